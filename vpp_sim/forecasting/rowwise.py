"""What forecasters that learn from rows share: samples of a split, a fit in three steps, and calibrated quantiles.

1. Settings are chosen by training on the training split and looking at the validation split.
2. What that model gets wrong on the validation split, by level and hour of day, becomes a shift of its quantiles, in
   widths of its own interval: conformalized quantile regression [1]_, taken level by level. In-sample residuals would
   promise too much.
3. The model is learned again, with the settings and the shifts as they are, from both splits: the latest weeks, which
   were held back for the choice, are the ones most like what comes.

Nothing outside the two splits is read but the contexts of their windows.

References
----------
.. [1] Y. Romano, E. Patterson, E. Candes, "Conformalized Quantile Regression", NeurIPS 2019.
   https://doi.org/10.48550/arXiv.1905.03222
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.model import ForecasterBase
from vpp_sim.forecasting.protocol import FitReport, ForecastInputs, Progress, Task
from vpp_sim.forecasting.tabular import Features, Rows, drawn_windows, feature_names, require_week, rows, windows_of
from vpp_sim.forecasting.windows import require_splits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vpp_sim.forecasting.windows import SeriesTable, Split

__all__ = ["RowForecaster", "Sample", "mean_pinball"]

HOURS, NEAR_H, TWO_YEARS_D = 24, 1, 730
NARROWEST = 0.02
"""Least width of an interval that shifts are measured in, in deviations of a series."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """N rows to learn from.

    Attributes
    ----------
    features : ndarray of float32, shape (N, F)
        Those in use.
    hour : ndarray of int, shape (N,)
        Hour of the day that is forecast.
    target : ndarray, shape (N,)
        What happened, in deviations of each series.
    """

    features: Features
    hour: IntArray
    target: FloatArray

    def joined(self, other: Sample) -> Sample:
        """Return the rows of both."""
        return Sample(
            np.concatenate([self.features, other.features]),
            np.concatenate([self.hour, other.hour]),
            np.concatenate([self.target, other.target]),
        )


class RowForecaster(ForecasterBase):
    """A forecaster that learns quantiles of a row's target from its features.

    Subclasses give :meth:`choose`, :meth:`learn` and :meth:`deviations`, and keep what they learn.

    Parameters
    ----------
    task : Task
        With a context of a week or more and a horizon of a week or less.

    Raises
    ------
    DataError
        If the task has another shape.
    """

    trained: ClassVar[bool] = True
    row_limit: ClassVar[int] = 150_000
    """About how many rows of a split it learns from at most."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        require_week(task, self.kind)
        self.columns = np.arange(len(feature_names(task)))
        self.shifts = np.zeros((HOURS, len(task.levels)))
        self.fitted = False

    def fit(
        self,
        table: SeriesTable,
        *,
        train: Split,
        validation: Split,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> FitReport:
        """Learn as the module says; see :class:`~vpp_sim.forecasting.protocol.Forecaster`.

        A fit takes seconds, so none is cut off worth resuming, and `checkpoint` is not used. The day of the year is a
        feature only where the training split holds two years: in less, it tells one stretch of days from another, which
        is learned by heart and misleads on the next.
        """
        require_splits(train, validation)
        rng = np.random.default_rng(seed)
        self.columns = _columns(self.task, train)
        limit = self.row_limit
        taught = self.sample(rows(drawn_windows(table, train, self.task, rng, limit=limit), self.task))
        checked = self.sample(
            rows(drawn_windows(table, validation, self.task, rng, limit=limit, whole=True), self.task)
        )
        report = self.choose(taught, checked, seed, progress)
        self.shifts = _shifts(self.deviations(checked.features, checked.hour), checked, self.task.levels)
        self.learn(taught.joined(checked), seed)
        self.fitted = True
        return report

    def sample(self, made: Rows) -> Sample:
        """Return rows to learn from."""
        return Sample(*self._used(made), made.targets)

    def quantiles(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles (n, H, Q) [unit of the history].

        Raises
        ------
        DataError
            If nothing was learned yet.
        """
        self._require_fitted()
        if not len(inputs.history):
            return np.empty((0, self.task.horizon_steps, len(self.task.levels)))
        made = rows(windows_of(inputs), self.task)
        features, hour = self._used(made)
        found = self.deviations(features, hour)
        shifted = np.sort(found + self.shifts[hour] * _width(found), axis=1)
        restored: FloatArray = made.restored(shifted.reshape(*made.features.shape[:3], -1))[0]
        return restored

    def choose(self, taught: Sample, checked: Sample, seed: int, progress: Progress | None) -> FitReport:
        """Choose settings by `checked`, and keep a model that learned from `taught` alone."""
        raise DataError(f"{type(self).__name__} chooses nothing")

    def learn(self, sample: Sample, seed: int) -> None:
        """Learn from `sample` with the settings chosen."""
        raise DataError(f"{type(self).__name__} learns nothing")

    def deviations(self, features: Features, hour: IntArray) -> FloatArray:
        """Return quantiles (N, Q) of rows in deviations of their series, in order along Q."""
        raise DataError(f"{type(self).__name__} forecasts nothing")

    def state(self) -> tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]]:
        """Return what is common; subclasses add what they learned."""
        self._require_fitted()
        return {}, {"columns": self.columns, "shifts": self.shifts}

    @classmethod
    def restore(cls, task: Task, sizes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return a forecaster with what is common."""
        model = cls(task)
        model.columns, model.shifts, model.fitted = arrays["columns"], arrays["shifts"], True
        return model

    def _require_fitted(self) -> None:
        if not self.fitted:
            raise DataError(f"the {self.kind} forecaster was not fitted")

    def _used(self, made: Rows) -> tuple[Features, IntArray]:
        """Return the features in use (N, F) and the hour of each row (N,)."""
        hour = made.matrix[:, feature_names(self.task).index("hour")].astype(np.int64)
        return np.ascontiguousarray(made.matrix[:, self.columns]), hour


def mean_pinball(quantiles: FloatArray, actual: FloatArray, levels: tuple[float, ...]) -> float:
    """Return the mean pinball loss over rows and levels, of quantiles (N, Q) of `actual` (N,).

    Examples
    --------
    >>> mean_pinball(np.array([[1.0, 2.0]]), np.array([3.0]), (0.1, 0.5))
    0.35
    """
    miss = actual[:, None] - quantiles
    return float(np.maximum(np.array(levels) * miss, (np.array(levels) - 1.0) * miss).mean())


def _columns(task: Task, train: Split) -> IntArray:
    """Return the positions of the features to use."""
    short = train.stop - train.start < TWO_YEARS_D * task.day_steps
    return np.array([k for k, name in enumerate(feature_names(task)) if not (short and name.startswith("year_"))])


def _width(quantiles: FloatArray) -> FloatArray:
    """Return the width of the widest interval (N, 1)."""
    return np.maximum(quantiles[:, -1:] - quantiles[:, :1], NARROWEST)


def _shifts(quantiles: FloatArray, sample: Sample, levels: tuple[float, ...]) -> FloatArray:
    """Return for each hour of the day and level the quantile of what was missed, (24, Q) in widths."""
    missed = (sample.target[:, None] - quantiles) / _width(quantiles)
    shifts = np.zeros((HOURS, len(levels)))
    for hour in range(HOURS):
        apart = (sample.hour - hour) % HOURS
        near = missed[(apart <= NEAR_H) | (apart >= HOURS - NEAR_H)]
        shifts[hour] = [np.quantile(near[:, q], level) for q, level in enumerate(levels)] if len(near) else 0.0
    return shifts
