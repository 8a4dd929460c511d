"""Any scenario survives being written as YAML and loaded again."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.registry import CLEARINGS, CONTROLLERS, DEMAND_RESPONSES, FORECASTERS, RETAIL_PRICERS
from vpp_sim.scenario import Scenario, dump_scenario, load_scenario
from vpp_sim.units import format_duration, parse_duration_s

NAMES = st.from_regex(r"^[a-z][a-z0-9_]{0,11}\Z")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FRACTIONS = st.floats(0, 1)
AMOUNTS = st.floats(0, 1e9)
STEPS_S = st.sampled_from([divisor for divisor in range(1, 3601) if 3600 % divisor == 0])


def kinds(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({"kind": st.sampled_from(names)})


@st.composite
def batteries(draw: st.DrawFn) -> dict[str, object]:
    low, start, high = sorted(draw(st.tuples(FRACTIONS, FRACTIONS, FRACTIONS)))
    return {
        "capacity_kwh": draw(AMOUNTS),
        "power_kw": draw(AMOUNTS | AMOUNTS.map(lambda value: f"{value!r} kW")),
        "efficiency": draw(st.floats(0, 1, exclude_min=True)),
        "min_soc": low,
        "initial_soc": start,
        "max_soc": high,
        "self_discharge_per_month": draw(st.floats(0, 1, exclude_max=True)),
        "replacement_eur_per_kwh": draw(st.none() | AMOUNTS),
        "temperature_c": draw(st.floats(-40, 60)),
        **draw(st.just({}) | AMOUNTS.map(lambda kw: {"inverter_kw": kw, "inverter": "hybrid"})),
    }


def groups() -> st.SearchStrategy[list[dict[str, object]]]:
    homes = st.none() | st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True).map(tuple)
    data = st.fixed_dictionaries({"kind": st.just("fontana"), "homes": homes})
    group = st.fixed_dictionaries(
        {"group": NAMES, "data": data}, optional={"battery": batteries(), "pv_capacity_kw": st.none() | AMOUNTS}
    )
    return st.lists(group, min_size=1, max_size=3, unique_by=lambda found: str(found["group"]))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    step_s = draw(STEPS_S)
    every = st.integers(1, 100).map(lambda count: format_duration(count * step_s))
    low, high = sorted(draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))))
    chain = st.fixed_dictionaries({"every": every, "confirmations": st.integers(0, 99)})
    content = {
        "name": draw(NAMES),
        "description": draw(TEXTS),
        "seed": draw(st.integers(0, 2**80)),
        "clock": {
            "start": draw(st.dates(date(1, 1, 1), date(9999, 12, 31))).isoformat(),
            "days": draw(st.integers(1, 10_000)),
            "step": format_duration(step_s),
            "timezone": "UTC",
        },
        "prosumers": tuple(draw(groups())),
        "forecasting": {"demand": draw(kinds(FORECASTERS.names)), "every": draw(every)},
        "ess": draw(kinds(CONTROLLERS.names)),
        "demand_response": {**draw(kinds(DEMAND_RESPONSES.names)), "elasticity": draw(st.floats(-9, 0))},
        "pricing": {"retail": {**draw(kinds(RETAIL_PRICERS.names)), "floor_eur_per_kwh": low, "cap_eur_per_kwh": high}},
        "market": {"local": draw(kinds(CLEARINGS.names))},
        "chain": draw(st.none() | chain),
    }
    return Scenario.model_validate(content)


@settings(max_examples=25, deadline=None)
@given(scenarios())
def test_a_scenario_is_what_its_yaml_says(scenario: Scenario) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.yaml"
        path.write_text(dump_scenario(scenario), encoding="utf-8", newline="")
        again = load_scenario(path)
    assert again == scenario
    assert again.digest == scenario.digest
    assert dump_scenario(again) == dump_scenario(scenario)


@given(st.integers(1, 10**30))
def test_a_duration_is_what_its_text_says(duration_s: int) -> None:
    assert parse_duration_s(format_duration(duration_s)) == duration_s
