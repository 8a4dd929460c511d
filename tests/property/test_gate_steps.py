"""Gates of the market against the calendar, on every day of a year and on those with a change of clocks."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.agents.bidder import gate_steps
from vpp_sim.kernel.clock import Clock

_ZONES = ["America/Los_Angeles", "Europe/Berlin", "Australia/Sydney", "America/Santiago", "Asia/Kolkata", "UTC"]


def by_calendar(clock: Clock, hour: int) -> list[int]:
    """Return the first step at or after `hour` on the day before each day, as Python's calendar has it."""
    found = []
    for day in range(clock.n_days):
        before = clock.start.date() + timedelta(days=day - 1)
        instant = datetime(before.year, before.month, before.day, hour, tzinfo=clock.start.tzinfo)
        found.append(int(-(-(instant.timestamp() - clock.start.timestamp()) // clock.step_s)))
    return found


@pytest.mark.parametrize("zone", _ZONES)
def test_a_whole_year_at_noon(zone):
    clock = Clock.of_days("2017-01-01", days=366, step_s=3600, timezone=zone)
    assert gate_steps(clock, "12:00") == by_calendar(clock, 12)


@given(
    st.sampled_from(_ZONES),
    st.dates(date(2015, 1, 2), date(2024, 12, 1)),
    st.integers(0, 22),
    st.sampled_from([900, 3600]),
)
@settings(max_examples=100, deadline=None)
def test_any_hour_of_any_days(zone, start, hour, step_s):
    clock = Clock.of_days(start.isoformat(), days=4, step_s=step_s, timezone=zone)
    assert gate_steps(clock, f"{hour:02d}:00") == by_calendar(clock, hour)


@pytest.mark.parametrize(
    ("start", "hours", "steps"),
    [
        ("2017-03-12", 23, [-12, 11]),  # noon of the day on which clocks go forward is its twelfth hour
        ("2017-11-05", 25, [-12, 13]),
    ],
)
def test_days_with_a_change_of_clocks(start, hours, steps):
    clock = Clock.of_days(start, days=2, step_s=3600, timezone="America/Los_Angeles")
    assert len(clock.day_steps(0)) == hours
    assert gate_steps(clock, "12:00") == steps


@pytest.mark.parametrize(
    ("start", "closure", "step"),
    [
        ("2017-03-13", "02:00", -21),  # 2:00 is skipped, so that 3:00 follows 1:59; 21 hours are left of the day
        ("2017-11-06", "01:00", -24),  # 1:00 comes twice, and its first passing counts
    ],
)
def test_a_gate_that_is_skipped_or_comes_twice(start, closure, step):
    clock = Clock.of_days(start, days=1, step_s=3600, timezone="America/Los_Angeles")
    assert gate_steps(clock, closure) == [step]
