"""Whether sources hold what a scenario asks for: homes, window, history, step."""

from pathlib import Path

import pytest

from vpp_sim.agents.fleet import HISTORY_H
from vpp_sim.data.coverage import HISTORY_DAYS, gaps_of, require_coverage
from vpp_sim.data.fontana import Fontana
from vpp_sim.errors import ScenarioError
from vpp_sim.registry import HOME_SOURCES
from vpp_sim.scenario import read_scenario
from vpp_sim.scenario.loader import LoadedScenario

TOY = """\
name: toy
clock: {start: 2017-07-03, days: 2, timezone: America/Los_Angeles}
prosumers:
  - group: homes
    data: {kind: fontana, homes: [1, 2]}
"""


def loaded(folder: Path, **overrides: object) -> LoadedScenario:
    path = folder / "toy.yaml"
    path.write_text(TOY)
    return read_scenario(path, {key.replace("__", "."): value for key, value in overrides.items()})


@pytest.mark.parametrize(
    ("overrides", "keys"),
    [  # the homes' year is 2016-08-01 to 2017-08-01, local time; nine days of it are history
        ({}, []),
        ({"clock__start": "2016-08-10"}, []),
        ({"clock__start": "2016-08-09"}, ["clock.start"]),
        ({"clock__start": "2017-07-30"}, []),
        ({"clock__start": "2017-07-31"}, ["clock.start"]),
        ({"clock__start": "2016-08-10", "clock__days": 356}, []),
        ({"clock__start": "2016-08-10", "clock__days": 357}, ["clock.days"]),
        ({"clock__start": "2018-01-01", "clock__days": 1000}, ["clock.days"]),
        ({"clock__timezone": "UTC"}, ["clock.timezone"]),
        ({"clock__start": "2017-03-11", "clock__days": 3}, []),  # over the day of 23 hours
        ({"prosumers__0__data__homes": None}, []),
        ({"prosumers__0__data__homes": [18, 1, 99]}, ["prosumers.0.data.homes.0", "prosumers.0.data.homes.2"]),
        ({"clock__days": 999, "prosumers__0__data__homes": [99]}, ["clock.days", "prosumers.0.data.homes.0"]),
        # The tariff covers what the homes cover: it is the homes', and read from a day before the start on.
        ({"prices__kind": "fontana_tariff", "clock__start": "2016-08-10"}, []),
    ],
)  # fmt: skip
def test_gaps(tmp_path: Path, overrides: dict[str, object], keys: list[str]) -> None:
    assert [gap.key for gap in gaps_of(loaded(tmp_path, **overrides).scenario)] == keys


def test_a_home_is_in_one_group_also_by_default(tmp_path: Path) -> None:
    groups = [{"group": "all", "data": {"kind": "fontana"}}, {"group": "two", "data": {"kind": "fontana"}}]
    gaps = gaps_of(loaded(tmp_path, prosumers=groups).scenario)
    assert len(gaps) == 13  # every home without a flag
    assert {gap.key for gap in gaps} == {"prosumers.1.data.homes"}
    groups[1]["data"] = {"kind": "fontana", "homes": [7, 17]}  # home 7 has a flag
    assert [(gap.key, gap.allowed) for gap in gaps_of(loaded(tmp_path, prosumers=groups).scenario)] == [
        (
            "prosumers.1.data.homes.1",
            "expected each home in one group; home 17 of fontana is in all and in two",
        )
    ]


def test_the_history_covers_what_forecasters_read() -> None:
    # A context of 168 h, and a gate that may close 25 h before the start; one of the days before may have 23 h.
    assert HISTORY_DAYS * 24 - 1 >= HISTORY_H == 168 + 25


def test_every_gap_is_raised_with_its_line(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, clock__start="2018-01-01", prosumers__0__data__homes=[99])
    with pytest.raises(ScenarioError) as caught:
        require_coverage(scenario)
    assert [(problem.line, problem.key, problem.value) for problem in caught.value.problems] == [
        (1, "clock.start", "2018-01-01"),
        (2, "prosumers.0.data.homes.0", "99"),
    ]


def test_a_step_longer_than_the_datas_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class QuarterHourly(Fontana):
        def load(self):  # type: ignore[no-untyped-def]
            return super().load().resampled(900)

    monkeypatch.setattr(HOME_SOURCES, "load", lambda _: QuarterHourly)
    gaps = gaps_of(loaded(tmp_path).scenario)
    assert [(gap.key, gap.allowed) for gap in gaps] == [
        ("clock.step", "expected a step that divides that of fontana, 15min")
    ]
    assert gaps_of(loaded(tmp_path, clock__step="5min").scenario) == []
