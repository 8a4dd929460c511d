"""Windows over a table of series: which moments a forecast may be issued at inside a split, and its inputs there.

A split is a range of steps. A window belongs to it when *all its targets* lie inside; its context may reach back before
the start, as it would in use, but no target of one split is a target of another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_shape
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import ForecastInputs, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SeriesTable", "Split", "inputs_at", "origins", "require_splits", "targets_at"]


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


@dataclass(frozen=True, slots=True, eq=False)
class SeriesTable:
    """Aligned series of one target with what is known beside them, T steps of n series.

    Attributes
    ----------
    values : ndarray, shape (T, n)
        The target [its unit].
    covariates : ndarray, shape (T, C)
        What was observed beside the target, common to all series.
    issued : IssuedForecasts
        The same covariates as they were forecast, with the step from which each forecast was known.
    hour : ndarray, shape (T,)
        Local hour of day at the start of the step [h].
    day_of_week, day_of_year : ndarray of int, shape (T,)
        Local calendar; 0 = Monday, 1 = 1 January.

    Raises
    ------
    PhysicsError
        If shapes differ or a value is not finite.
    DataError
        If the forecasts are not of the covariates.
    """

    values: FloatArray
    covariates: FloatArray
    issued: IssuedForecasts
    hour: FloatArray
    day_of_week: IntArray
    day_of_year: IntArray

    def __post_init__(self) -> None:
        steps = self.values.shape[0]
        require_shape("covariates", self.covariates, (steps, len(self.issued.names)))
        require_shape("hour", self.hour, (steps,))
        require_finite("values", self.values)
        require_finite("covariates", self.covariates)

    def known_covariates(self, origin: int, *, context_steps: int, horizon_steps: int) -> FloatArray:
        """Return what was known at `origin`, shape (L + H, C): observed before it, forecast from it on."""
        past = self.covariates[origin - context_steps : origin]
        return np.concatenate([past, self.issued.known_at(origin, horizon_steps)])

    def series(self, which: Sequence[int] | IntArray) -> SeriesTable:
        """Return the table of some of its series, in that order."""
        return replace(self, values=self.values[:, np.asarray(which, dtype=np.int64)])


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


def require_splits(train: Split, validation: Split) -> None:
    """Raise `DataError` if two splits overlap, or the validation is not the later one."""
    if validation.start < train.stop:
        raise DataError(f"split {validation.name!r} must begin after {train.name!r} ends")


def inputs_at(table: SeriesTable, origin: int, task: Task, *, truth: bool = False) -> ForecastInputs:
    """Return what was known at step `origin`, for all series of the table.

    Values end before `origin`; beyond it there are the calendar and the covariates as they were forecast then.

    Parameters
    ----------
    table : SeriesTable
        The series.
    origin : int
        First step that is forecast.
    task : Task
        Context and horizon.
    truth : bool, default False
        Whether to hand out what will happen, for a forecaster that is a bound.

    Raises
    ------
    DataError
        If the table does not hold that context and the calendar of that horizon, or no forecast of the covariates was
        known.
    """
    first, end = origin - task.context_steps, origin + task.horizon_steps
    if first < 0 or end > table.values.shape[0]:
        raise DataError(f"steps {first} to {end} reach outside the table of {table.values.shape[0]} steps")
    return ForecastInputs(
        history=np.ascontiguousarray(table.values[first:origin].T),
        covariates=table.known_covariates(origin, context_steps=task.context_steps, horizon_steps=task.horizon_steps),
        hour=table.hour[first:end],
        day_of_week=table.day_of_week[first:end],
        day_of_year=table.day_of_year[first:end],
        truth=np.ascontiguousarray(table.values[origin:end].T) if truth else None,
    )


def targets_at(table: SeriesTable, at: Sequence[int] | IntArray, *, horizon_steps: int) -> FloatArray:
    """Return what happened after each origin, shape (N, n, H) [unit of the table]."""
    steps = np.asarray(at, dtype=np.int64)[:, None] + np.arange(horizon_steps)
    return np.ascontiguousarray(table.values[steps].transpose(0, 2, 1))
