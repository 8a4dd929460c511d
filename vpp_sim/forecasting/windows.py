"""Windows over a table of series: which moments a forecast may be issued at inside a split, and its inputs there.

A split is a range of steps. A window belongs to it when *all its targets* lie inside; its context may reach back before
the start, as it would in use, but no target of one split is a target of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_non_negative, require_shape
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import ForecastInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SeriesTable", "Split", "inputs_at", "origins", "targets_at"]


@dataclass(frozen=True, slots=True)
class Split:
    """A range of target steps.

    Attributes
    ----------
    name : str
        ``"train"``, ``"validation"`` or ``"test"``.
    start, stop : int
        First step, and the step after the last.
    """

    name: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """Aligned series of one target with weather and calendar, T steps of n series.

    Attributes
    ----------
    values_kw : ndarray, shape (T, n)
        The target, non-negative [kW; for ``pv`` kW per kWp].
    weather : ndarray, shape (T, 2)
        Observed temperature [degC] and global horizontal irradiance [W/m2].
    hour : ndarray, shape (T,)
        Local hour of day at the start of the step [h].
    day_of_week, day_of_year : ndarray of int, shape (T,)
        Local calendar; 0 = Monday, 1 = 1 January.

    Raises
    ------
    PhysicsError
        If shapes differ, or the target is negative or not finite.
    """

    values_kw: FloatArray
    weather: FloatArray
    hour: FloatArray
    day_of_week: IntArray
    day_of_year: IntArray

    def __post_init__(self) -> None:
        steps = self.values_kw.shape[0]
        require_shape("weather", self.weather, (steps, 2))
        require_shape("hour", self.hour, (steps,))
        require_non_negative("values_kw", self.values_kw)


def origins(split: Split, *, context_steps: int, horizon_steps: int, stride: int = 1) -> IntArray:
    """Return the steps at which a forecast may be issued so that all its targets lie in `split`.

    Parameters
    ----------
    split : Split
        The range of target steps.
    context_steps, horizon_steps : int
        Past and future steps of a window.
    stride : int, default 1
        Steps between origins.

    Returns
    -------
    ndarray of int, shape (N,)
        First target step of each window.

    Raises
    ------
    DataError
        If the split has no room for a single window.

    Examples
    --------
    >>> origins(Split("test", 4, 10), context_steps=5, horizon_steps=3)
    array([5, 6, 7])
    """
    found = np.arange(max(split.start, context_steps), split.stop - horizon_steps + 1, stride, dtype=np.int64)
    if not found.size:
        raise DataError(
            f"split {split.name!r} of steps {split.start} to {split.stop} has no room for "
            f"{context_steps} past and {horizon_steps} future steps"
        )
    return found


def inputs_at(table: SeriesTable, origin: int, *, context_steps: int, horizon_steps: int) -> ForecastInputs:
    """Return what was known at step `origin`, for all series of the table.

    Values and weather end before `origin`; only the calendar reaches beyond it.

    Raises
    ------
    DataError
        If the table does not hold that context and the calendar of that horizon.
    """
    first, end = origin - context_steps, origin + horizon_steps
    if first < 0 or end > table.values_kw.shape[0]:
        raise DataError(f"steps {first} to {end} reach outside the table of {table.values_kw.shape[0]} steps")
    return ForecastInputs(
        history_kw=np.ascontiguousarray(table.values_kw[first:origin].T),
        weather=table.weather[first:origin],
        hour=table.hour[first:end],
        day_of_week=table.day_of_week[first:end],
        day_of_year=table.day_of_year[first:end],
    )


def targets_at(table: SeriesTable, at: Sequence[int] | IntArray, *, horizon_steps: int) -> FloatArray:
    """Return what happened after each origin, shape (N, n, H) [unit of the table]."""
    steps = np.asarray(at, dtype=np.int64)[:, None] + np.arange(horizon_steps)
    return np.ascontiguousarray(table.values_kw[steps].transpose(0, 2, 1))
