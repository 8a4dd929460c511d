"""Features by series, issue and lead, for models that learn from rows: one place for the linear one and for the trees.

A row is one series, one issue and one step ahead. Whatever it holds of the target is in deviations of that series over
the last week before the issue: no statistic of a split enters, so no scaler can leak, and a home never seen is treated
like any other. A day is counted back from the issue, so the features are right whenever a forecast is issued.

Beside the series of a table, means of random groups of them are rows as well, drawn anew at each issue: a portfolio is
one more series, and its quantiles are not those of its homes added up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.windows import origins

if TYPE_CHECKING:
    from vpp_sim.forecasting.protocol import ForecastInputs, Task
    from vpp_sim.forecasting.windows import SeriesTable, Split

__all__ = ["Rows", "Windows", "feature_names", "require_week", "rows", "windows_at", "windows_of"]

Features: TypeAlias = "NDArray[np.float32]"
"""Array of float32: what a row is described by."""

SERIES, MIN_STRIDE_H = 32, 5
"""Series at an issue at most, and hours between issues at least."""

DAYS, CLIP, LEAST_SCALE = 7, 20.0, 0.02
"""Days looked back at, the most deviations that count, and the least deviation as a share of the mean."""

RECENT_H = (1, 3, 6)
EWM_DECAY = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Windows of R series at each of O issues, over L past and H future steps.

    Attributes
    ----------
    history : ndarray, shape (O, R, L)
        Past values [unit of the target].
    covariates : ndarray, shape (O, L + H, C)
        Observed before the issue, as forecast then from it on.
    hour, day_of_week, day_of_year : ndarray, shape (O, L + H)
        Local calendar.
    actual : ndarray, shape (O, R, H), optional
        What happened, to learn from.
    """

    history: FloatArray
    covariates: FloatArray
    hour: FloatArray
    day_of_week: IntArray
    day_of_year: IntArray
    actual: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Features of windows, with what takes their targets to deviations and back.

    Attributes
    ----------
    features : ndarray of float32, shape (O, R, H, F)
        In the order of :func:`feature_names`.
    mean, scale : ndarray, shape (O, R, 1)
        Mean and deviation of each series over the last week [unit of the target]; a series that was zero throughout
        has neither, and stays zero.
    target : ndarray, shape (O, R, H), optional
        What happened, in deviations.
    """

    features: Features
    mean: FloatArray
    scale: FloatArray
    target: FloatArray | None = None

    @property
    def matrix(self) -> Features:
        """All rows, shape (O * R * H, F)."""
        return self.features.reshape(-1, self.features.shape[-1])

    @property
    def targets(self) -> FloatArray:
        """The targets of all rows, shape (O * R * H,).

        Raises
        ------
        DataError
            If it is not known what happened.
        """
        if self.target is None:
            raise DataError("rows without targets teach nothing")
        return self.target.reshape(-1)

    def restored(self, deviations: FloatArray) -> FloatArray:
        """Return `deviations` (O, R, H, Q) in the unit of the target."""
        values: FloatArray = self.mean[..., None] + self.scale[..., None] * deviations
        return values


def require_week(task: Task, kind: str) -> None:
    """Raise `DataError` unless the context of `task` holds a week and its horizon is no longer than one."""
    week = DAYS * task.day_steps
    if task.context_steps < week or task.horizon_steps > week:
        raise DataError(
            f"the {kind} forecaster needs a context of at least, and a horizon of at most, {DAYS} days of "
            f"{task.day_steps} steps; got {task.context_steps} and {task.horizon_steps} steps"
        )


def windows_of(inputs: ForecastInputs) -> Windows:
    """Return the windows (O = 1) of one forecast."""
    return Windows(
        history=inputs.history[None],
        covariates=inputs.covariates[None],
        hour=inputs.hour[None],
        day_of_week=inputs.day_of_week[None],
        day_of_year=inputs.day_of_year[None],
    )


def windows_at(table: SeriesTable, at: IntArray, task: Task, series: IntArray, groups: FloatArray) -> Windows:
    """Return the windows of some series at the steps `at`, and behind them those of means over groups of them.

    Parameters
    ----------
    table : SeriesTable
        The series.
    at : ndarray of int, shape (O,)
        First step of each forecast.
    task : Task
        Context and horizon.
    series : ndarray of int, shape (O, K)
        Which series at each of them.
    groups : ndarray, shape (O, G, K)
        Weights of each group over those series, which sum to one.

    Returns
    -------
    Windows
        With R = K + G series, and what happened.
    """
    past = at[:, None] + np.arange(-task.context_steps, 0)
    future = at[:, None] + np.arange(task.horizon_steps)
    both = np.concatenate([past, future], axis=1)
    history = table.values[past[:, None], series[..., None]]
    actual = table.values[future[:, None], series[..., None]]
    known = [table.covariates[past], table.issued.all_known_at(at, task.horizon_steps)] if task.covariates else []
    return Windows(
        history=np.concatenate([history, groups @ history], axis=1),
        covariates=np.concatenate(known, axis=1) if known else np.empty((*both.shape, 0)),
        hour=table.hour[both],
        day_of_week=table.day_of_week[both],
        day_of_year=table.day_of_year[both],
        actual=np.concatenate([actual, groups @ actual], axis=1),
    )


def drawn_windows(
    table: SeriesTable, split: Split, task: Task, rng: np.random.Generator, *, whole: bool = False, limit: int = 150_000
) -> Windows:
    """Return windows of `split`: evenly spread issues, at most :data:`SERIES` series at each, and groups of those.

    Parameters
    ----------
    table : SeriesTable
        The series.
    split : Split
        Where all targets lie.
    task : Task
        Context and horizon.
    rng : Generator
        Draws series, where there are more than are wanted, and groups.
    whole : bool, default False
        Whether the only group is that of all series drawn, as for a validation.
    limit : int, default 150 000
        About how many rows are wanted at most.

    Raises
    ------
    DataError
        If the split has no room for a window.
    """
    count = table.values.shape[1]
    kept = min(count, SERIES)
    groups = int(count > 1) if whole else (kept + 1) // 2 * (count > 1)
    first = origins(split, context_steps=task.context_steps, horizon_steps=task.horizon_steps)
    stride = max(-(-len(first) * (kept + groups) * task.horizon_steps // limit), MIN_STRIDE_H * task.day_steps // 24, 1)
    while math.gcd(stride, task.day_steps) > 1:
        stride += 1
    at = first[::stride]
    chosen = np.sort(rng.random((len(at), count)).argsort(axis=1)[:, :kept], axis=1)
    return windows_at(table, at, task, chosen, _groups(rng, len(at), groups, kept, whole=whole))


def _groups(rng: np.random.Generator, issues: int, groups: int, series: int, *, whole: bool) -> FloatArray:
    """Return weights (O, G, K) of means over random numbers of at least two series, or over all."""
    smallest = series if whole else min(2, series)
    size = rng.integers(smallest, series + 1, (issues, groups, 1))
    rank = rng.random((issues, groups, series)).argsort(axis=-1)
    weights: FloatArray = (rank < size) / size
    return weights


def feature_names(task: Task) -> tuple[str, ...]:
    """Return the names of the features of a row, in order."""
    covariates = [f"{name}.{part}" for name in task.covariates for part in _COVARIATE]
    return (*_OF_THE_HOUR, *_OF_THE_ISSUE, *_CALENDAR, *covariates)


def rows(windows: Windows, task: Task) -> Rows:
    """Return the features of `windows`, and their targets where it is known what happened.

    Parameters
    ----------
    windows : Windows
        Windows of the task.
    task : Task
        With a context of at least a week.
    """
    week = windows.history[..., -DAYS * task.day_steps :]
    mean = week.mean(axis=-1, keepdims=True)
    scale = np.maximum(week.std(axis=-1, keepdims=True), LEAST_SCALE * np.abs(mean))
    divisor = np.where(scale > 0.0, scale, 1.0)
    days = np.clip((week - mean) / divisor, -CLIP, CLIP).reshape(*week.shape[:-1], DAYS, task.day_steps)
    slot, number = np.arange(task.horizon_steps) % task.day_steps, np.arange(task.horizon_steps) // task.day_steps
    blocks = [
        _of_the_hour(days, windows, slot, number, task),
        _of_the_issue(days, mean / divisor, task),
        _calendar(windows, slot, task),
        *(_covariate(windows.covariates[..., c], slot, task) for c in range(len(task.covariates))),
    ]
    width = sum(block.shape[-1] for block in blocks)
    features = np.empty((*week.shape[:2], task.horizon_steps, width), dtype=np.float32)
    at = 0
    for block in blocks:
        features[..., at : at + block.shape[-1]] = block
        at += block.shape[-1]
    target = None if windows.actual is None else np.clip((windows.actual - mean) / divisor, -CLIP, CLIP)
    return Rows(features, mean, scale, target)


_OF_THE_HOUR = (
    *(f"days_ago_{DAYS - day}" for day in range(DAYS)),
    *("same_weekday", "week_mean", "week_median", "week_std", "week_min", "week_max"),
    *("last_3_days", "fading_mean", "same_day_type", "week_mean_near", "last_day_near", "profile_slope"),
)
"""Of the hour that is forecast, over the last seven days."""


def _of_the_hour(days: FloatArray, windows: Windows, slot: IntArray, number: IntArray, task: Task) -> FloatArray:
    """Return features (O, R, H, _) of past days (O, R, 7, S) at the hours to be forecast."""
    fading = EWM_DECAY ** np.arange(DAYS)[::-1]
    profile, last = days.mean(axis=2), days[:, :, -1]
    hour = max(task.day_steps // 24, 1)
    by_slot = np.stack(
        [
            profile,
            np.median(days, axis=2),
            days.std(axis=2),
            days.min(axis=2),
            days.max(axis=2),
            days[:, :, -3:].mean(axis=2),
            np.tensordot(days, fading / fading.sum(), axes=(2, 0)),
        ],
        axis=-1,
    )
    near = np.stack([_near(profile, hour), _near(last, hour), np.roll(profile, -hour, -1) - np.roll(profile, hour, -1)])
    lags = days[..., slot].swapaxes(-1, -2)
    weekend = windows.day_of_week >= 5
    past = weekend[:, -DAYS * task.day_steps - task.horizon_steps : -task.horizon_steps]
    alike = (past.reshape(-1, DAYS, task.day_steps)[..., slot] == weekend[:, None, -task.horizon_steps :]) + 1e-6
    same = np.einsum("orhd,odh->orh", lags, alike / alike.sum(axis=1, keepdims=True))
    weekday = days[:, :, number % DAYS, slot]
    return np.concatenate(
        [lags, weekday[..., None], by_slot[:, :, slot], same[..., None], np.moveaxis(near, 0, -1)[:, :, slot]], axis=-1
    )


def _near(values: FloatArray, hour: int) -> FloatArray:
    """Return the mean over each step of a day and those up to an hour beside it, (..., S)."""
    total = sum((np.roll(values, shift, axis=-1) for shift in range(-hour, hour + 1)), np.zeros_like(values))
    return total / (2 * hour + 1)


_OF_THE_ISSUE = (
    *(f"last_{hours}_h" for hours in RECENT_H),
    *(f"last_{hours}_h_unusual" for hours in RECENT_H),
    *("last_day_mean", "last_day_std", "day_before_mean", "last_3_days_mean", "regularity", "mean_over_deviation"),
)
"""Of the series at the issue, whatever step is forecast."""


def _of_the_issue(days: FloatArray, ratio: FloatArray, task: Task) -> FloatArray:
    """Return features (O, R, 1, _) of past days (O, R, 7, S)."""
    last, usual = days[:, :, -1], days.mean(axis=2)
    recent = [max(hours * task.day_steps // 24, 1) for hours in RECENT_H]
    columns = [
        *(last[..., -steps:].mean(axis=-1) for steps in recent),
        *((last - usual)[..., -steps:].mean(axis=-1) for steps in recent),
        last.mean(axis=-1),
        last.std(axis=-1),
        days[:, :, -2].mean(axis=-1),
        days[:, :, -3:].mean(axis=(-1, -2)),
        usual.std(axis=-1),
        ratio[..., 0],
    ]
    return np.stack(columns, axis=-1)[:, :, None]


_CALENDAR = ("hour", "hour_sin", "hour_cos", "hour_sin_2", "hour_cos_2", "day_of_week", "weekend", "weekend_yesterday",
             "year_sin", "year_cos", "lead_h")  # fmt: skip
"""Of the step that is forecast."""


def _calendar(windows: Windows, slot: IntArray, task: Task) -> FloatArray:
    """Return features (O, 1, H, _) of the calendar."""
    future = slice(task.context_steps, None)
    hour, weekday = windows.hour[:, future], windows.day_of_week[:, future]
    day, year = 2 * np.pi * hour / 24, 2 * np.pi * windows.day_of_year[:, future] / 365.25
    lead = np.broadcast_to(np.arange(task.horizon_steps) * 24 / task.day_steps, hour.shape)
    before = windows.day_of_week[:, task.context_steps - task.day_steps : task.context_steps][:, slot]
    columns = [hour, np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day), weekday, weekday >= 5, before >= 5]
    return np.stack([*columns, np.sin(year), np.cos(year), lead], axis=-1)[:, None]


_COVARIATE = ("value", "over_last_day", "over_week", "next_day_over_last", "next_day_over_week")
"""Of each covariate: as forecast at issue for the step, and in excess of what was observed at that hour."""


def _covariate(values: FloatArray, slot: IntArray, task: Task) -> FloatArray:
    """Return features (O, 1, H, _) of a covariate (O, L + H)."""
    future = values[:, task.context_steps :]
    week = values[:, task.context_steps - DAYS * task.day_steps : task.context_steps]
    days = week.reshape(len(week), DAYS, task.day_steps)
    ahead = future[:, : task.day_steps]
    over_last = (ahead - days[:, -1, : ahead.shape[1]]).mean(axis=1, keepdims=True)
    over_week = (ahead - days[:, :, : ahead.shape[1]].mean(axis=1)).mean(axis=1, keepdims=True)
    columns = [
        future,
        future - days[:, -1][:, slot],
        future - days.mean(axis=1)[:, slot],
        np.broadcast_to(over_last, future.shape),
        np.broadcast_to(over_week, future.shape),
    ]
    return np.stack(columns, axis=-1)[:, None]
