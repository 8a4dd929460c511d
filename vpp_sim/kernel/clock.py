"""The only place that knows dates: steps of a run, their local times, and the local days they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import SimulationError
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["Clock", "LocalTime"]


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Calendar of a range of steps.

    Attributes
    ----------
    hour : ndarray, shape (T,)
        Local hour of the day at the start of each step, with fraction.
    day_of_week : ndarray, shape (T,)
        0 is Monday.
    day_of_year : ndarray, shape (T,)
        1 is the first of January.
    """

    hour: FloatArray
    day_of_week: IntArray
    day_of_year: IntArray


@dataclass(frozen=True)
class Clock:
    """Steps of equal length from an instant on, and their local calendar.

    Parameters
    ----------
    start : datetime
        Start of step 0, time-zone aware, on a full local hour.
    step_s : int
        Length of a step; it divides an hour.
    n_steps : int
        Number of steps.

    Notes
    -----
    Steps may be numbered below zero (before the start) and beyond the end: calendars and days exist for them too.

    Examples
    --------
    The day on which clocks are put forward has 23 hours.

    >>> clock = Clock.of_days("2017-03-12", days=1, step_s=3600, timezone="America/Los_Angeles")
    >>> clock.n_steps
    23
    """

    start: datetime
    step_s: int
    n_steps: int

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise SimulationError("a clock starts at a time-zone aware instant")
        if SECONDS_PER_HOUR % self.step_s or self.start.minute or self.start.second:
            raise SimulationError("a clock starts on a full hour and its step divides an hour")

    @classmethod
    def of_days(cls, start: str, *, days: int, step_s: int, timezone: str) -> Clock:
        """Return the clock of `days` local days from the local time `start` on.

        Parameters
        ----------
        start : str
            Local date or date and time, ISO 8601.
        days : int
            Number of local days, of 23, 24 or 25 hours.
        step_s : int
            Length of a step [s].
        timezone : str
            IANA name.
        """
        local = datetime.fromisoformat(start)
        zone = ZoneInfo(timezone)
        first, last = local.replace(tzinfo=zone), (local + timedelta(days=days)).replace(tzinfo=zone)
        return cls(first, step_s, round(last.timestamp() - first.timestamp()) // step_s)

    @property
    def step_h(self) -> float:
        """Length of a step [h]."""
        return self.step_s / SECONDS_PER_HOUR

    @property
    def steps_per_hour(self) -> int:
        """Number of steps in an hour."""
        return SECONDS_PER_HOUR // self.step_s

    @property
    def duration_s(self) -> int:
        """Length of the whole run [s]."""
        return self.n_steps * self.step_s

    def stamps(self, first: int, n: int) -> pd.DatetimeIndex:
        """Return the local starts of steps ``first .. first + n - 1``."""
        origin = pd.Timestamp(self.start).tz_convert("UTC") + pd.Timedelta(seconds=first * self.step_s)
        index = pd.date_range(origin, periods=n, freq=pd.Timedelta(seconds=self.step_s), unit="us")
        return index.tz_convert(self.start.tzinfo)

    def local_time(self, first: int, n: int) -> LocalTime:
        """Return the calendar of steps ``first .. first + n - 1``."""
        stamps = self.stamps(first, n)
        return LocalTime(
            hour=np.asarray(stamps.hour + stamps.minute / 60 + stamps.second / SECONDS_PER_HOUR, dtype=np.float64),
            day_of_week=np.asarray(stamps.dayofweek, dtype=np.int64),
            day_of_year=np.asarray(stamps.dayofyear, dtype=np.int64),
        )

    @property
    def timezone(self) -> str:
        """IANA name of the local time."""
        return str(self.start.tzinfo)

    def date_of(self, day: int) -> date:
        """Return the date of local day `day`, 0 for that of the start; days before it are negative."""
        return self.start.date() + timedelta(days=day)

    def step_from(self, instant: datetime) -> int:
        """Return the first step that starts at a time-zone aware `instant` or later."""
        return int(-(-(instant.timestamp() - self.start.timestamp()) // self.step_s))

    def step_at(self, date_offset: int, hour: int) -> int:
        """Return the step that starts at a local `hour`, `date_offset` days after the date of the start.

        On a day without that hour the first step after it is returned.
        """
        day = self.date_of(date_offset)
        return self.step_from(datetime(day.year, day.month, day.day, hour, tzinfo=self.start.tzinfo))

    @cached_property
    def day_starts(self) -> IntArray:
        """First step of each local day that the run touches, and that of the day after; shape (days + 1,).

        The first entry is negative when the run starts after midnight.
        """
        starts = [self.step_at(0, 0)]
        while starts[-1] < self.n_steps:
            starts.append(self.step_at(len(starts), 0))
        return np.array(starts, dtype=np.int64)

    @property
    def n_days(self) -> int:
        """Number of local days that the run touches."""
        return len(self.day_starts) - 1

    def day_of(self, step: int) -> int:
        """Return the number of the local day that `step` belongs to, 0 for that of the start."""
        return int(np.searchsorted(self.day_starts, step, side="right")) - 1

    def day_steps(self, day: int) -> range:
        """Return the steps of local day `day`."""
        return range(int(self.day_starts[day]), int(self.day_starts[day + 1]))
