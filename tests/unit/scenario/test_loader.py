"""Every mistake in a scenario is one line: file, line, key, value, what is allowed, and the nearest valid name."""

from pathlib import Path

import pytest

from vpp_sim.errors import ScenarioError
from vpp_sim.scenario import dump_scenario, load_scenario, read_scenario

GOOD = """\
name: toy
seed: 3
clock:
  start: 2017-07-03
  days: 2
  step: 15min
  timezone: America/Los_Angeles
prosumers:
  - group: homes
    data: {kind: fontana, homes: [1, 2]}
    battery:
      capacity_kwh: 6.4
      power_kw: 5.0
"""


def write(folder: Path, text: str, name: str = "toy.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def complaints(path: Path, **arguments: object) -> list[str]:
    """Return the lines of the error that loading `path` raises, with its folder cut off."""
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, **arguments)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_a_good_scenario_loads(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, GOOD))
    assert (scenario.name, scenario.seed, scenario.clock.step, scenario.clock.days) == ("toy", 3, 900, 2)
    assert scenario.prosumers[0].data.homes == (1, 2)
    assert scenario.prosumers[0].battery.capacity_kwh == 6.4


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "capacity_kwh: 6.4", "capcity_kwh: 6.4",
            "toy.yaml:12: prosumers.0.battery.capcity_kwh = 6.4; unknown key; allowed: capacity_kwh, power_kw, "
            "efficiency, min_soc, max_soc, initial_soc, self_discharge_per_month, inverter_kw, inverter, "
            "replacement_eur_per_kwh, temperature_c; did you mean 'capacity_kwh'?",
        ),
        (
            "capacity_kwh: 6.4", "capacity_kwh: -6.4",
            "toy.yaml:12: prosumers.0.battery.capacity_kwh = -6.4; expected a number in kWh, >= 0",
        ),
        (
            "capacity_kwh: 6.4", "capacity_kwh: 6400 Wh",
            "toy.yaml:12: prosumers.0.battery.capacity_kwh = 6400 Wh; expected the unit kWh, not Wh",
        ),
        (
            "capacity_kwh: 6.4", "capacity_kwh: large",
            "toy.yaml:12: prosumers.0.battery.capacity_kwh = large; expected a number in kWh, >= 0",
        ),
        (
            "power_kw: 5.0", "efficiency: 90%",
            "toy.yaml:13: prosumers.0.battery.efficiency = 90%; expected a number, > 0, <= 1",
        ),
        (
            "power_kw: 5.0", "inverter: hybrid",
            "toy.yaml:13: prosumers.0.battery.inverter = hybrid; expected inverter_kw beside it, the power that "
            "battery and PV share",
        ),
        (
            "power_kw: 5.0", "inverter: dc",
            "toy.yaml:13: prosumers.0.battery.inverter = dc; expected one of own, hybrid",
        ),
        (
            "power_kw: 5.0", "self_discharge_per_month: 1",
            "toy.yaml:13: prosumers.0.battery.self_discharge_per_month = 1; expected a number, >= 0, < 1",
        ),
        (
            "power_kw: 5.0", "inverter_kw: 5 kVA",
            "toy.yaml:13: prosumers.0.battery.inverter_kw = 5 kVA; expected the unit kW, not kVA",
        ),
        (
            "power_kw: 5.0", "replacement_eur_per_kwh: -1",
            "toy.yaml:13: prosumers.0.battery.replacement_eur_per_kwh = -1; expected a number in EUR/kWh, >= 0 or null",
        ),
        (
            "power_kw: 5.0", "temperature_c: -300",
            "toy.yaml:13: prosumers.0.battery.temperature_c = -300; expected a number in degC, > -273.15",
        ),
        (
            "power_kw: 5.0", "initial_soc: 0.1\n      min_soc: 0.2",
            "toy.yaml:13: prosumers.0.battery.initial_soc = 0.1; expected min_soc (0.2) <= initial_soc (0.1) <= "
            "max_soc (1.0)",
        ),
        ("seed: 3", "seed: '3'", 'toy.yaml:2: seed = "3"; expected a whole number, >= 0'),
        ("seed: 3", "seed: 3.0", "toy.yaml:2: seed = 3.0; expected a whole number, >= 0"),
        ("seed: 3", "seed: true", "toy.yaml:2: seed = true; expected a whole number, >= 0"),
        (
            "seed: 3", "description: [a, b]", "toy.yaml:2: description = [a, b]; expected text",
        ),
        (
            "name: toy", "name: Toy",
            "toy.yaml:1: name = Toy; expected a name of lower-case letters, digits and _, beginning with a letter",
        ),
        (
            "start: 2017-07-03", "start: 2017-07-33",
            "toy.yaml:4: clock.start = 2017-07-33; expected a local date such as 2017-07-03",
        ),
        *(
            (
                "start: 2017-07-03", f"start: {other}",
                f"toy.yaml:4: clock.start = {shown}; expected a local date such as 2017-07-03",
            )
            # the other spellings of ISO 8601, and digits of another script
            for other, shown in [
                ("'20170703'", '"20170703"'), ("2017-W27-1", "2017-W27-1"), ("2017W271", "2017W271"),
                ("2017-184", "2017-184"), ("２017-07-03", "２017-07-03"), ("' 2017-07-03'", '" 2017-07-03"'),
            ]
        ),
        (
            "start: 2017-07-03", "start: 2017-07-03T06:00",
            "toy.yaml:4: clock.start = 2017-07-03T06:00; expected a local date such as 2017-07-03",
        ),
        (
            "  start: 2017-07-03\n", "",
            "toy.yaml:3: clock.start = (missing); required: first local day, for example '2017-07-03'; "
            "a run covers whole local days",
        ),
        ("days: 2", "days: 0", "toy.yaml:5: clock.days = 0; expected a whole number of days, >= 1"),
        (
            "step: 15min", "step: 7min",
            "toy.yaml:6: clock.step = 7min; expected a step that divides an hour, such as 5min, 15min or 1h",
        ),
        (
            "step: 15min", "step: 900",
            "toy.yaml:6: clock.step = 900; expected a duration with its unit, such as 12s, 15min, 24h or 7d",
        ),
        (
            "America/Los_Angeles", "America/Los_Angelos",
            "toy.yaml:7: clock.timezone = America/Los_Angelos; expected an IANA time zone, such as Europe/Amsterdam; "
            "did you mean 'America/Los_Angeles'?",
        ),
        (
            "kind: fontana", "kind: fontanna",
            "toy.yaml:10: prosumers.0.data.kind = fontanna; expected a home source: fontana; did you mean 'fontana'?",
        ),
        (
            "[1, 2]", "[1, one]", "toy.yaml:10: prosumers.0.data.homes.1 = one; expected a whole number, >= 1",
        ),
        ("[1, 2]", "[]", "toy.yaml:10: prosumers.0.data.homes = []; expected at least one home, each once"),
        (
            "[1, 2]", "3",
            "toy.yaml:10: prosumers.0.data.homes = 3; expected a list, each entry a whole number or null",
        ),
        (
            "seed: 3", "ess: ppo", "toy.yaml:2: ess = ppo; expected a section with the keys kind, acts",
        ),
        ("seed: 3", "ess:", "toy.yaml:2: ess = null; expected a section with the keys kind, acts"),
        (
            "seed: 3", "ess: {acts: after_metre}",
            "toy.yaml:2: ess.acts = after_metre; expected one of after_meter, before_meter; did you mean "
            "'after_meter'?",
        ),
        (
            "seed: 3", "pricing: {retail: {guarantee: on}}",
            "toy.yaml:2: pricing.retail.guarantee = on; expected true or false",
        ),
        (
            "seed: 3", "pricing: {retail: {cap_eur_per_kwh: 0.1}}",
            "toy.yaml:2: pricing.retail.cap_eur_per_kwh = 0.1; expected floor_eur_per_kwh (0.13) <= "
            "cap_eur_per_kwh (0.1)",
        ),
        (
            "seed: 3", "pricing: {retail: {kind: flat, feeder_limit_kw: 30}}",
            "toy.yaml:2: pricing.retail.feeder_limit_kw = 30; expected no feeder_limit_kw with flat, which does not "
            "heed it",
        ),
        (
            "seed: 3", "pricing: {retail: {kind: stackelberg_pessimistic, objective: welfare}}",
            "toy.yaml:2: pricing.retail.objective = welfare; expected no objective with stackelberg_pessimistic, which "
            "does not heed it",
        ),
        (
            "seed: 3", "pricing: {retail: {exploration: 0.1}}",
            "toy.yaml:2: pricing.retail.exploration = 0.1; expected no exploration unless learns_elasticity is true",
        ),
        (
            "seed: 3", "pricing: {retail: {ramp_eur_per_kwh: -0.1}}",
            "toy.yaml:2: pricing.retail.ramp_eur_per_kwh = -0.1; expected a number in EUR/kWh, >= 0 or null",
        ),
        (
            "seed: 3", "tariff: {price_eur_per_kwh: 0.05}",
            "toy.yaml:2: tariff.price_eur_per_kwh = 0.05; expected energy_eur_per_kwh <= price_eur_per_kwh (0.05)",
        ),
        (
            "seed: 3", "market: {wholesale: {gate_closure: 12:30}}",
            "toy.yaml:2: market.wholesale.gate_closure = 12:30; expected a full hour of the day from 00:00 to 22:00",
        ),
        (
            "seed: 3", "market: {wholesale: {imbalance: one_prize}}",
            "toy.yaml:2: market.wholesale.imbalance = one_prize; expected one of both_sides, two_prices, one_price; "
            "did you mean 'one_price'?",
        ),
        (
            "seed: 3", "market: {wholesale: {system_short_share: 1.5}}",
            "toy.yaml:2: market.wholesale.system_short_share = 1.5; expected a number, >= 0, <= 1",
        ),
        (
            "seed: 3", "market: {wholesale: {tick_kw: -100}}",
            "toy.yaml:2: market.wholesale.tick_kw = -100; expected a number in kW, >= 0",
        ),
        (
            "seed: 3", "market: {wholesale: {least_kw: 0.1 MW}}",
            "toy.yaml:2: market.wholesale.least_kw = 0.1 MW; expected the unit kW, not MW",
        ),
        (
            "seed: 3", "market: {wholesale: {lowest_eur_per_kwh: 5}}",
            "toy.yaml:2: market.wholesale.lowest_eur_per_kwh = 5; expected lowest_eur_per_kwh (5.0) <= "
            "highest_eur_per_kwh (4.0)",
        ),
        (
            "seed: 3", "market: {wholesale: {intraday: {lead: 60}}}",
            "toy.yaml:2: market.wholesale.intraday.lead = 60; expected a duration with its unit, such as 12s, 15min, "
            "24h or 7d",
        ),
        (
            "seed: 3", "market: {wholesale: {intraday: {half_spread_eur_per_kwh: -0.01}}}",
            "toy.yaml:2: market.wholesale.intraday.half_spread_eur_per_kwh = -0.01; expected a number in EUR/kWh, >= 0",
        ),
        (
            "seed: 3", "market: {wholesale: {intraday: {trades: last}}}",
            "toy.yaml:2: market.wholesale.intraday.trades = last; expected one of last_forecast, every_forecast",
        ),
        (
            "seed: 3", "market: {wholesale: {intraday: on}}",
            "toy.yaml:2: market.wholesale.intraday = on; expected a section with the keys lead, "
            "half_spread_eur_per_kwh, fee_eur_per_kwh, trades or null",
        ),
        (
            "seed: 3", "chain: {every: 20min}",
            "toy.yaml:2: chain.every = 20min; expected a multiple of clock.step (15min)",
        ),
        (
            "seed: 3", "forecasting: {calibration: conformal, every: 15min}",
            "toy.yaml:2: forecasting.every = 15min; expected whole hours, since forecasts are calibrated",
        ),
        (
            "seed: 3", "forecasting: {calibration: conformel}",
            "toy.yaml:2: forecasting.calibration = conformel; expected one of none, conformal; did you mean "
            "'conformal'?",
        ),
        (
            "seed: 3", "forecasting: {weather: {kind: file}}",
            "toy.yaml:2: forecasting.weather.kind = file; expected a path beside it, of the file to read",
        ),
        (
            "seed: 3", "forecasting: {weather: {kind: perfekt}}",
            "toy.yaml:2: forecasting.weather.kind = perfekt; expected a weather forecast: error_model, file, perfect; "
            "did you mean 'perfect'?",
        ),
        (
            "seed: 3", "forecasting: {weather: {delay: 6}}",
            "toy.yaml:2: forecasting.weather.delay = 6; expected a duration with its unit, such as 12s, 15min, 24h or "
            "7d",
        ),
        (
            "seed: 3", "chain: {block_time: 2h}",
            "toy.yaml:2: chain.block_time = 2h; expected a block time of at most 1h",
        ),
        (
            "seed: 3", "seeds: 3",
            "toy.yaml:2: seeds = 3; unknown key; allowed: name, description, seed, clock, prosumers, prices, tariff, "
            "forecasting, ess, demand_response, pricing, market, network, chain, counterfactual; did you mean 'seed'?",
        ),
        ("seed: 3", "name: x", "toy.yaml:2: name = x; duplicate key; first written on line 1"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert GOOD.count(old) == 1
    assert complaints(write(tmp_path, GOOD.replace(old, new))) == [complaint]


@pytest.mark.parametrize(
    ("text", "seen"), [("", "null"), ("# nothing\n", "null"), ("- name: toy\n", "[{name: toy}]"), ("toy\n", "toy")]
)
def test_a_scenario_is_a_mapping(tmp_path: Path, text: str, seen: str) -> None:
    assert complaints(write(tmp_path, text)) == [f"toy.yaml:1: scenario = {seen}; expected a mapping of sections"]


def test_all_problems_come_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = GOOD.replace("seed: 3", "sed: 3\nseed: x").replace("days: 2", "days: .inf").replace("6.4", "-1")
    lines = complaints(write(tmp_path, text), overrides={"network.power_factor": 0})
    assert [line.split(";")[0] for line in lines] == [
        "toy.yaml:2: sed = 3",
        "toy.yaml:3: seed = x",
        "toy.yaml:6: clock.days = .inf",
        "toy.yaml:13: prosumers.0.battery.capacity_kwh = -1",
        "overrides:1: network.power_factor = 0",
    ]


@pytest.mark.parametrize("digits", ["0x" + "f" * 8000, "9" * 8000])
def test_a_number_too_long_to_print_is_named(tmp_path: Path, digits: str) -> None:
    allowed = "expected a whole number of at most 100 digits"
    text = GOOD.replace("seed: 3", f"seed: {digits}")
    assert complaints(write(tmp_path, text)) == [f"toy.yaml:2: seed = {digits[:56]} ...; {allowed}"]
    assert complaints(write(tmp_path, GOOD), overrides={"clock.days": 1, "seed": 1 << 40_000}) == [
        f"overrides:2: seed = 0x1{'0' * 53} ...; {allowed}"
    ]
    assert load_scenario(write(tmp_path, GOOD.replace("seed: 3", f"seed: {'9' * 100}"))).seed == 10**100 - 1


def test_quantities_may_carry_their_unit(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, GOOD.replace("6.4", "6.4 kWh").replace("5.0", "5e0 kW")))
    battery = scenario.prosumers[0].battery
    assert (battery.capacity_kwh, battery.power_kw) == (6.4, 5.0)


def test_relations_are_reported_with_the_values_that_are_refused(tmp_path: Path) -> None:
    text = GOOD.replace("seed: 3", "seed: x").replace("power_kw: 5.0", "power_kw: -1\n      min_soc: 0.8")
    text = text.replace("homes: [1, 2]", "homes: [1, x]")
    text += "tariff: {price_eur_per_kwh: 0.1, energy_eur_per_kwh: 0.2}\nforecasting: {every: 20min}\n"
    assert [line.partition(";")[0] for line in complaints(write(tmp_path, text))] == [
        "toy.yaml:2: seed = x",
        "toy.yaml:10: prosumers.0.data.homes.1 = x",
        "toy.yaml:13: prosumers.0.battery.power_kw = -1",
        "toy.yaml:14: prosumers.0.battery.min_soc = 0.8",
        "toy.yaml:15: tariff.energy_eur_per_kwh = 0.2",
        "toy.yaml:16: forecasting.every = 20min",
    ]


def test_a_default_is_not_compared_in_place_of_a_refused_value(tmp_path: Path) -> None:
    text = GOOD + "tariff: {price_eur_per_kwh: much, energy_eur_per_kwh: 0.3}\nchain: {every: 20min}\n"
    assert [line.partition(";")[0] for line in complaints(write(tmp_path, text))] == [
        "toy.yaml:14: tariff.price_eur_per_kwh = much",
        "toy.yaml:15: chain.every = 20min",
    ]


@pytest.mark.parametrize(
    ("seen", "allowed"),
    [
        ("6,4", "expected a number in kWh, >= 0; the decimal mark is a point: write 6.4"),
        ("6,4 kWh", "expected a number in kWh, >= 0; the decimal mark is a point: write 6.4"),
        ("large, 4", "expected a number in kWh, >= 0"),
    ],
)
def test_a_decimal_comma_is_named(tmp_path: Path, seen: str, allowed: str) -> None:
    assert complaints(write(tmp_path, GOOD.replace("6.4", seen))) == [
        f"toy.yaml:12: prosumers.0.battery.capacity_kwh = {seen}; {allowed}"
    ]


def test_a_decimal_comma_is_named_in_plain_numbers_too(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "demand_response:\n  elasticity: -0,1\n")
    assert complaints(path)[0].endswith("; the decimal mark is a point: write -0.1")


def test_a_message_has_no_marks_of_docstrings(tmp_path: Path) -> None:
    (line,) = complaints(write(tmp_path, GOOD.replace("  start: 2017-07-03\n", "")))
    assert line == (
        "toy.yaml:3: clock.start = (missing); required: first local day, for example '2017-07-03'; a run covers whole "
        "local days"
    )


def test_two_groups_need_two_names(tmp_path: Path) -> None:
    text = GOOD + "  - group: homes\n    data: {kind: fontana}\n"
    assert complaints(write(tmp_path, text))[0].endswith("; expected each group name once")


def test_a_scenario_is_dumped_as_it_loads(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, GOOD))
    text = dump_scenario(scenario)
    assert "  step: 15min\n" in text
    assert "  block_time: 12s\n" in text
    again = load_scenario(write(tmp_path, text, "again.yaml"))
    assert again == scenario
    assert again.digest == scenario.digest


def test_the_digest_is_that_of_the_resolved_scenario(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, GOOD))
    spelled = load_scenario(write(tmp_path, GOOD.replace("15min", "900s") + "ess: {kind: ppo}\n"))
    other = load_scenario(write(tmp_path, GOOD.replace("seed: 3", "seed: 4")))
    assert spelled.digest == scenario.digest != other.digest
    assert len(scenario.digest) == 64


def test_a_problem_can_be_raised_later_with_its_place(tmp_path: Path) -> None:
    loaded = read_scenario(write(tmp_path, GOOD), {"clock.days": 5})
    problem = loaded.problem("clock.start", "expected another")
    assert (problem.line, problem.key, problem.value) == (4, "clock.start", "2017-07-03")
    assert loaded.problem("prosumers.0.data.homes.1", "x").value == "2"
    assert (loaded.problem("clock.days", "x").file, loaded.problem("clock.days", "x").line) == ("overrides", 1)
    default = loaded.problem("chain.backend", "x")
    assert (default.line, default.value) == (1, "(missing)")


def test_the_counterfactual_trades_nothing_and_is_itself_a_scenario(tmp_path: Path) -> None:
    text = GOOD + "chain: {every: 30min}\ncounterfactual: {battery: idle, forecaster: persistence}\n"
    scenario = load_scenario(write(tmp_path, text))
    without = scenario.without_vpp()
    assert (without.clock, without.prosumers, without.tariff, without.seed) == (
        scenario.clock, scenario.prosumers, scenario.tariff, scenario.seed,
    )  # fmt: skip
    assert (without.ess.kind, without.market.local.kind, without.demand_response.kind) == ("idle", "none", "none")
    assert (without.pricing.retail.kind, without.pricing.wholesale.kind, without.chain) == ("default", "median", None)
    assert {without.forecasting.demand.kind, without.forecasting.solar.kind} == {"persistence"}
    assert without.without_vpp() == without
    assert load_scenario(write(tmp_path, dump_scenario(without), "without.yaml")) == without
