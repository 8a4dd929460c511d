"""Gates on the wall clock, on both days of the year on which it is moved."""

import itertools
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest

from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.market.gates import AuctionGate, ContinuousGate, delivery_starts, local_instant

_SPRING, _AUTUMN = date(2025, 3, 30), date(2025, 10, 26)
"""In the European Union clocks go from 2:00 to 3:00 and from 3:00 back to 2:00 on these days."""


@pytest.mark.parametrize(
    ("day", "hours", "utc"),
    [(_SPRING, 23, 23), (_AUTUMN, 25, 22), (date(2025, 6, 1), 24, 22), (date(2025, 1, 1), 24, 23)],
)
def test_a_day_has_as_many_steps_as_its_hours(day, hours, utc):
    hourly = delivery_starts(day, step_s=3600, timezone="Europe/Berlin")
    quarters = delivery_starts(day, step_s=900, timezone="Europe/Berlin")
    assert (len(hourly), len(quarters)) == (hours, 4 * hours)
    assert hourly[0].astimezone(UTC).hour == utc
    gaps = {b.astimezone(UTC) - a.astimezone(UTC) for a, b in itertools.pairwise(quarters)}
    assert gaps == {timedelta(minutes=15)}
    assert {start.date() for start in quarters} == {day}


def test_the_missing_hour_is_missing_and_the_doubled_one_doubled():
    spring = [start.hour for start in delivery_starts(_SPRING, step_s=3600, timezone="Europe/Berlin")]
    autumn = [start.hour for start in delivery_starts(_AUTUMN, step_s=3600, timezone="Europe/Berlin")]
    assert spring == [0, 1, *range(3, 24)]
    assert autumn == [0, 1, 2, 2, *range(3, 24)]


@pytest.mark.parametrize("at", [time(2), time(2, 30), time(2, 59, 59)])
def test_a_skipped_time_is_the_first_instant_after_the_gap(at):
    assert local_instant(_SPRING, at, "Europe/Berlin").isoformat() == "2025-03-30T03:00:00+02:00"


def test_a_doubled_time_is_its_first_passing():
    first = local_instant(_AUTUMN, time(2, 30), "Europe/Berlin")
    assert first.astimezone(UTC) == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)


def test_a_day_that_begins_in_a_gap_begins_after_it():
    # In Santiago clocks went from 0:00 to 1:00 on 7 September 2025.
    starts = delivery_starts(date(2025, 9, 7), step_s=3600, timezone="America/Santiago")
    assert (len(starts), starts[0].hour) == (23, 1)


@pytest.mark.parametrize(
    ("delivery", "utc_hour"),
    [(date(2025, 3, 30), 11), (date(2025, 3, 31), 10), (date(2025, 10, 26), 10), (date(2025, 10, 27), 11)],
)
def test_noon_moves_with_daylight_saving(delivery, utc_hour):
    closes = AuctionGate().closes(delivery).astimezone(UTC)
    assert (closes.date(), closes.hour) == (delivery - timedelta(days=1), utc_hour)


def test_a_gate_is_shut_at_its_very_instant():
    gate, day = AuctionGate(timezone="Europe/Berlin"), date(2025, 7, 2)
    noon = datetime(2025, 7, 1, 10, tzinfo=UTC)
    assert gate.is_open(noon - timedelta(seconds=1), day)
    assert not gate.is_open(noon, day)


def test_each_step_closes_by_itself_through_the_doubled_hour():
    starts = delivery_starts(_AUTUMN, step_s=3600, timezone="Europe/Berlin")
    now = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)  # 2:30, its first passing
    open_steps = ContinuousGate(lead_s=3600).open_steps(now, starts)
    # The second 2:00 starts at 1:00 UTC, half an hour ahead: shut. 3:00 starts at 2:00 UTC: open.
    assert open_steps.tolist() == [False] * 4 + [True] * 21
    assert ContinuousGate(lead_s=300).open_steps(now, starts).sum() == 22
    on_time = datetime(2025, 10, 26, 1, 0, tzinfo=UTC)
    assert not ContinuousGate().open_steps(on_time, starts)[4]


def test_what_is_no_instant_is_refused():
    with pytest.raises(DataError, match="2025-07-01T10:00:00 has no time zone"):
        AuctionGate().is_open(datetime(2025, 7, 1, 10), date(2025, 7, 2))
    with pytest.raises(DataError, match="there is no time zone 'Europe/Berlim'"):
        AuctionGate(timezone="Europe/Berlim").closes(date(2025, 7, 2))
    with pytest.raises(PhysicsError, match="lead_s is -1"):
        ContinuousGate(lead_s=-1)
    with pytest.raises(PhysicsError, match="step_s is 7, expected a divisor of 3600"):
        delivery_starts(_SPRING, step_s=7, timezone="Europe/Berlin")
    assert ContinuousGate().open_steps(datetime(2025, 1, 1, tzinfo=UTC), []).dtype == np.bool_
