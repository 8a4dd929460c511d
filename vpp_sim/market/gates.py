"""When a market closes: gates in local time, on days of 23, 24 and 25 hours.

Exchanges state their gates on the wall clock ("noon of the day before"), so the instant moves with daylight saving. Two
wall-clock times need a rule. One that is skipped when clocks go forward stands for the first instant after the gap. One
that comes twice when they go back stands for its first passing: a bid that is in time by it is in time by either.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from vpp_sim.arrays import BoolArray
from vpp_sim.errors import DataError, PhysicsError

__all__ = ["AuctionGate", "ContinuousGate", "delivery_starts", "local_instant"]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DataError(f"there is no time zone {name!r}") from error


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise DataError(f"{instant.isoformat()} has no time zone: its instant is not known")
    return instant.astimezone(UTC)


def local_instant(day: date, at: time, timezone: str) -> datetime:
    """Return the instant of a wall-clock time.

    Parameters
    ----------
    day : date
        Local date.
    at : time
        Local time, without a zone of its own.
    timezone : str
        IANA name.

    Returns
    -------
    datetime
        Local and time-zone aware; the first instant after the gap if that time is skipped, its first passing if it
        comes twice.

    Raises
    ------
    DataError
        If there is no such zone.

    Examples
    --------
    >>> local_instant(date(2025, 3, 30), time(2, 30), "Europe/Berlin").isoformat()
    '2025-03-30T03:00:00+02:00'
    >>> local_instant(date(2025, 10, 26), time(2, 30), "Europe/Berlin").isoformat()
    '2025-10-26T02:30:00+02:00'
    """
    zone = _zone(timezone)
    wall = datetime.combine(day, at).replace(tzinfo=zone, fold=0)
    if wall.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return wall
    # Before a gap the old offset holds (fold 0), behind it the new one (fold 1): the gap ends where they meet.
    before = wall.utcoffset()
    early, late = wall.replace(fold=1).astimezone(UTC), wall.astimezone(UTC)
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        early, late = (middle, late) if middle.astimezone(zone).utcoffset() == before else (early, middle)
    return late.replace(microsecond=0).astimezone(zone)


def delivery_starts(day: date, *, step_s: int, timezone: str) -> list[datetime]:
    """Return the starts of all delivery steps of a local day, of which there are 23, 24 or 25 hours' worth.

    Parameters
    ----------
    day : date
        Local date of delivery.
    step_s : int
        Length of a step [s]; it divides an hour.
    timezone : str
        IANA name.

    Returns
    -------
    list of datetime
        Local and time-zone aware, `step_s` apart in real time; the hour that comes twice stands there twice.

    Raises
    ------
    PhysicsError
        If the step does not divide an hour.
    DataError
        If there is no such zone.

    Examples
    --------
    >>> [len(delivery_starts(date(2025, *day), step_s=900, timezone="Europe/Berlin")) for day in ((3, 30), (10, 26))]
    [92, 100]
    """
    if step_s <= 0 or 3600 % step_s:
        raise PhysicsError(f"step_s is {step_s}, expected a divisor of 3600")
    zone = _zone(timezone)
    first = local_instant(day, time(0), timezone).astimezone(UTC)
    last = local_instant(day + timedelta(days=1), time(0), timezone).astimezone(UTC)
    steps = round((last - first).total_seconds()) // step_s
    return [(first + timedelta(seconds=i * step_s)).astimezone(zone) for i in range(steps)]


@dataclass(frozen=True, slots=True)
class AuctionGate:
    """Gate of an auction: one wall-clock time for all steps of a day.

    Attributes
    ----------
    at : time
        Local time of closing; noon for the coupled European day-ahead auction.
    days_before : int
        Days between closing and delivery.
    timezone : str
        IANA name of the market's clock.
    """

    at: time = time(12)
    days_before: int = 1
    timezone: str = "Europe/Brussels"

    def closes(self, day: date) -> datetime:
        """Return when the auction for a delivery day closes.

        Examples
        --------
        >>> AuctionGate().closes(date(2025, 3, 31)).isoformat()
        '2025-03-30T12:00:00+02:00'
        """
        return local_instant(day - timedelta(days=self.days_before), self.at, self.timezone)

    def is_open(self, now: datetime, day: date) -> bool:
        """Return whether a bid for `day` is in time at `now`; at the very instant of closing it is too late.

        Raises
        ------
        DataError
            If `now` has no time zone.
        """
        return _aware(now) < self.closes(day).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ContinuousGate:
    """Gate of continuous trading: each step closes by itself, some time before its delivery.

    Attributes
    ----------
    lead_s : int
        Time between closing and delivery [s]; one hour across European borders, five minutes within Germany.

    Raises
    ------
    PhysicsError
        If the lead is negative.
    """

    lead_s: int = 3600

    def __post_init__(self) -> None:
        """Check the lead."""
        if self.lead_s < 0:
            raise PhysicsError(f"lead_s is {self.lead_s}, expected 0 or above")

    def open_steps(self, now: datetime, starts: list[datetime]) -> BoolArray:
        """Return which delivery steps can still be traded at `now`, shape (H,).

        Raises
        ------
        DataError
            If an instant has no time zone.
        """
        closing = _aware(now) + timedelta(seconds=self.lead_s)
        return np.array([closing < _aware(start) for start in starts], dtype=np.bool_)
