"""Scenarios from several files: bases, named overrides, dotted overrides, and whose line a mistake shows."""

from pathlib import Path

import pytest

from vpp_sim.errors import ScenarioError
from vpp_sim.scenario import load_scenario
from vpp_sim.scenario.written import Written

BASE = """\
clock: {timezone: America/Los_Angeles}
tariff:
  kind: flat
  price_eur_per_kwh: 0.30
"""
TOY = """\
name: toy
extends: base/here.yaml
clock: {start: 2017-07-03, days: 2}
prosumers:
  - group: homes
    data: {kind: fontana, homes: [1, 2]}
"""


def write(folder: Path, **files: str) -> Path:
    """Write files, named with ``__`` for a slash and without ``.yaml``; return the folder's ``toy.yaml``."""
    for name, text in {"base__here": BASE, "toy": TOY, **files}.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "toy.yaml"


def complaints(path: Path, **arguments: object) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, **arguments)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_sections_of_a_base_are_completed_and_overridden(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, toy=TOY + "tariff: {feed_in_eur_per_kwh: 0.05}\n"))
    assert scenario.clock.timezone == "America/Los_Angeles"
    assert (scenario.clock.days, scenario.tariff.price_eur_per_kwh, scenario.tariff.feed_in_eur_per_kwh) == (
        2,
        0.3,
        0.05,
    )


def test_later_bases_win_and_lists_are_replaced(tmp_path: Path) -> None:
    more = "tariff: {price_eur_per_kwh: 0.4}\nprosumers: [{group: others, data: {kind: fontana}}]\nseed: 9\n"
    scenario = load_scenario(
        write(tmp_path, more=more, toy=TOY.replace("base/here.yaml", "[base/here.yaml, more.yaml]"))
    )
    assert (scenario.tariff.price_eur_per_kwh, scenario.seed) == (0.4, 9)
    assert [group.group for group in scenario.prosumers] == ["homes"]


def test_a_base_may_have_a_base_beside_itself(tmp_path: Path) -> None:
    path = write(tmp_path, base__here="extends: ../other/deep.yaml\n" + BASE, other__deep="seed: 5\n")
    assert load_scenario(path).seed == 5


def test_a_mistake_in_a_base_shows_the_line_of_the_base(tmp_path: Path) -> None:
    path = write(tmp_path, base__here=BASE.replace("0.30", "cheap"))
    assert complaints(path) == ["base/here.yaml:4: tariff.price_eur_per_kwh = cheap; expected a number in EUR/kWh, > 0"]


def test_an_unknown_key_of_a_base_shows_the_line_of_the_base(tmp_path: Path) -> None:
    lines = complaints(write(tmp_path, base__here=BASE + "  fed_in: 1\n"))
    assert lines[0].startswith("base/here.yaml:5: tariff.fed_in = 1; unknown key; allowed: kind, ")


def test_a_missing_base_is_named_with_its_nearest_neighbour(tmp_path: Path) -> None:
    path = write(tmp_path, toy=TOY.replace("base/here.yaml", "base/hear.yaml"))
    assert complaints(path)[0] == (
        "toy.yaml:2: extends = base/hear.yaml; no such file: base/hear.yaml; did you mean 'base/here.yaml'?"
    )


def test_files_that_extend_one_another_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, base__here="extends: ../toy.yaml\n")
    assert complaints(path) == [
        "base/here.yaml:1: extends = ../toy.yaml; expected files that do not extend one another: "
        "toy.yaml -> base/here.yaml -> toy.yaml"
    ]


@pytest.mark.parametrize("extends", ["7", "{a: b}", "[1]", "[]", "null"])
def test_extends_is_a_path_or_a_list_of_them(tmp_path: Path, extends: str) -> None:
    lines = complaints(write(tmp_path, toy=TOY.replace("base/here.yaml", extends).replace("days: 2", "days: 0")))
    assert lines == [
        f"toy.yaml:2: extends = {extends}; expected the path of a file relative to this one, or a list of them",
        "toy.yaml:3: clock.days = 0; expected a whole number of days, >= 1",
    ]


def test_named_overrides_stand_beside_the_scenario_or_above_it(tmp_path: Path) -> None:
    path = write(tmp_path / "deep", overrides__long="clock: {days: 30}\n")
    write(tmp_path, overrides__seeded="seed: 8\n")
    scenario = load_scenario(path, named=["long", "seeded"])
    assert (scenario.clock.days, scenario.clock.start, scenario.seed) == (30, "2017-07-03", 8)
    assert load_scenario(path, named=[tmp_path / "overrides" / "seeded.yaml"]).seed == 8


def test_an_unknown_named_override_lists_those_there_are(tmp_path: Path) -> None:
    path = write(tmp_path, overrides__winter="clock: {days: 3}\n", overrides__long="clock: {days: 30}\n")
    assert complaints(path, named=["wintr"]) == [
        "toy.yaml:1: named override = wintr; expected a file, or one of the named overrides: long, winter; "
        "did you mean 'winter'?"
    ]


def test_a_mistake_in_a_named_override_shows_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, overrides__winter="\nclock: {days: none}\n")
    assert complaints(path, named=["winter"]) == [
        "overrides/winter.yaml:2: clock.days = none; expected a whole number of days, >= 1"
    ]


def test_dotted_overrides_reach_into_lists_and_win(tmp_path: Path) -> None:
    path = write(tmp_path, overrides__long="clock: {days: 30}\n")
    overrides = {
        "clock.days": 4,
        "prosumers.0.battery.capacity_kwh": 12.8,
        "prosumers.0.data.homes": [3],
        "chain": None,
        "clock.step": "15min",
    }
    scenario = load_scenario(path, overrides, ["long"])
    assert (scenario.clock.days, scenario.clock.step, scenario.chain) == (4, 900, None)
    assert scenario.prosumers[0].battery.capacity_kwh == 12.8
    assert scenario.prosumers[0].data.homes == (3,)


def test_a_mapping_is_merged_as_a_file_would_be(tmp_path: Path) -> None:
    battery = "    battery: {capacity_kwh: 9.6, power_kw: 3.0}\n"
    path = write(tmp_path, toy=TOY + battery)
    scenario = load_scenario(path, {"tariff": {"feed_in_eur_per_kwh": 0.05}, "prosumers.0.battery": {"power_kw": 4.0}})
    assert (scenario.tariff.price_eur_per_kwh, scenario.tariff.feed_in_eur_per_kwh) == (0.30, 0.05)
    assert (scenario.prosumers[0].battery.capacity_kwh, scenario.prosumers[0].battery.power_kw) == (9.6, 4.0)


def test_an_override_may_know_its_place(tmp_path: Path) -> None:
    overrides = {"clock.days": Written(0, "--set clock.days=0", 0), "seed": Written(-1, "sweep.yaml", 7)}
    assert complaints(write(tmp_path), overrides=overrides) == [
        "sweep.yaml:7: seed = -1; expected a whole number, >= 0",
        "--set clock.days=0: clock.days = 0; expected a whole number of days, >= 1",
    ]


def test_a_section_that_is_null_can_be_set_into(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path, toy=TOY + "chain: null\n"), {"chain.confirmations": 5})
    assert scenario.chain is not None
    assert scenario.chain.confirmations == 5


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("clock.dais", 1, "clock.dais = 1; unknown key; allowed: start, days, step, timezone; did you mean 'days'?"),
        ("clock.days.x", 1, "clock.days.x = 1; clock.days is a value (2), not a section"),
        ("prosumers.1.group", "a", "prosumers.1.group = a; prosumers is a list; expected a position from 0 to 0"),
        ("prosumers.x", 1, "prosumers.x = 1; prosumers is a list; expected a position from 0 to 0"),
        ("clock..days", 1, "clock..days = 1; expected keys joined by dots, such as clock.days"),
        ("clock.days", {1}, "clock.days = a set; expected plain data, not set"),
        ("seed", float("inf"), "seed = Infinity; expected a finite number"),
        ("description", ["a", 10**100], "description = a list; expected a whole number of at most 100 digits"),
        ("seed", -1, "seed = -1; expected a whole number, >= 0"),
        ("extends", "x.yaml", "extends = x.yaml; unknown key; allowed: name, "),
    ],
)
def test_a_mistake_in_a_dotted_override_shows_its_number(
    tmp_path: Path, key: str, value: object, complaint: str
) -> None:
    lines = complaints(write(tmp_path), overrides={"name": "other", key: value})
    assert len(lines) == 1
    assert lines[0].startswith(f"overrides:2: {complaint}")
