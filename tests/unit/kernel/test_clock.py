"""Steps, days and hours, above all where clocks change. Dates of the changes: IANA tz database."""

import numpy as np
import pytest

from vpp_sim.errors import SimulationError
from vpp_sim.kernel.clock import Clock

ZONE = "America/Los_Angeles"


def clock(start: str, days: int = 1, step_s: int = 3600) -> Clock:
    return Clock.of_days(start, days=days, step_s=step_s, timezone=ZONE)


@pytest.mark.parametrize(
    ("start", "step_s", "steps"),
    [
        ("2017-07-03", 3600, 24),
        ("2017-03-12", 3600, 23),  # clocks put forward at 02:00
        ("2016-11-06", 3600, 25),  # clocks put back at 02:00
        ("2016-11-06", 900, 100),
    ],
)
def test_a_local_day_has_its_own_length(start: str, step_s: int, steps: int) -> None:
    assert clock(start, step_s=step_s).n_steps == steps


def test_hours_skip_and_repeat_where_clocks_change() -> None:
    assert clock("2017-03-12").local_time(0, 5).hour.tolist() == [0, 1, 3, 4, 5]
    assert clock("2016-11-06").local_time(0, 5).hour.tolist() == [0, 1, 1, 2, 3]


def test_days_tile_a_week_with_a_change_of_clocks() -> None:
    week = clock("2017-03-10", days=4)
    assert np.diff(week.day_starts).tolist() == [24, 24, 23, 24]
    assert [week.day_of(step) for step in (0, 23, 24, 70, 71)] == [0, 0, 1, 2, 3]
    assert week.day_steps(2) == range(48, 71)


def test_a_local_hour_is_found_on_other_days() -> None:
    assert clock("2017-07-03").step_at(-1, 12) == -12
    assert clock("2017-07-03", step_s=900).step_at(0, 6) == 24
    assert clock("2017-03-12").step_at(0, 12) == 11
    assert clock("2017-03-12").step_at(0, 2) == 2  # 02:00 does not exist; the next step is 03:00


def test_stamps_reach_below_zero_and_carry_the_zone() -> None:
    stamps = clock("2017-07-03").stamps(-2, 3)
    assert [stamp.isoformat() for stamp in stamps] == [
        "2017-07-02T22:00:00-07:00",
        "2017-07-02T23:00:00-07:00",
        "2017-07-03T00:00:00-07:00",
    ]


def test_calendar_counts_from_monday_and_new_year() -> None:
    local = clock("2017-07-03").local_time(0, 1)
    assert (local.day_of_week[0], local.day_of_year[0]) == (0, 184)


@pytest.mark.parametrize("step_s", [7, 5400])
def test_a_step_divides_an_hour(step_s: int) -> None:
    with pytest.raises(SimulationError, match="its step divides an hour"):
        clock("2017-07-03", step_s=step_s)
