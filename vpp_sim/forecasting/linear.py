"""A linear quantile regression over all series: what can be had from features without a network or a tree.

Each hour of the day has its own line, which a penalty draws towards the line of all hours; another penalty draws the
slopes of that towards zero. Both are chosen on the validation split. The pinball loss is brought down by majorising it
with parabolas, each step a ridge regression in closed form [1]_.

References
----------
.. [1] D. R. Hunter and K. Lange, "Quantile Regression via an MM Algorithm", Journal of Computational and Graphical
   Statistics 9(1), 2000. https://doi.org/10.1080/10618600.2000.10474866
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.forecasting.protocol import FitReport, Progress, Task
from vpp_sim.forecasting.rowwise import HOURS, RowForecaster, Sample, mean_pinball

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vpp_sim.forecasting.tabular import Features

__all__ = ["LinearForecaster"]

PENALTIES: tuple[tuple[float, float], ...] = ((0.01, 100.0), (0.01, 3.0), (0.01, 0.1), (0.1, 100.0), (0.1, 3.0))
"""Candidates: towards zero, and of an hour towards all hours, both per row."""

STEPS, STEPS_BESIDE, CLOSEST = 8, 6, 0.02
"""Steps of the median, of each other level from the median moved there, and least miss of a parabola."""


class LinearForecaster(RowForecaster):
    """Lines through the features, one for each hour of the day and level."""

    kind = "linear"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.penalties = PENALTIES[0]
        self.centre = np.zeros(len(self.columns))
        self.spread = np.ones(len(self.columns))
        self.lines = np.zeros((HOURS, len(task.levels), len(self.columns) + 1))

    def choose(self, taught: Sample, checked: Sample, seed: int, progress: Progress | None) -> FitReport:
        """Choose the penalties by the median's loss; see :class:`RowForecaster`."""
        self.centre, self.spread = taught.features.mean(axis=0, dtype=float), taught.features.std(axis=0, dtype=float)
        self.spread[self.spread < 1e-9] = 1.0
        rows, check = self._by_hour(taught), self._by_hour(checked)
        losses = []
        for number, penalties in enumerate(PENALTIES, start=1):
            medians = _lines(rows, 0.5, penalties, STEPS)
            missed = [y - x @ line for (x, y), line in zip(check, medians, strict=True)]
            losses.append(mean_pinball(np.zeros((len(checked.target), 1)), np.concatenate(missed), (0.5,)))
            if progress is not None:
                progress(number, len(PENALTIES), losses[-1])
        best = int(np.argmin(losses))
        self.penalties = PENALTIES[best]
        self.learn(taught, seed)
        to_zero, to_all = self.penalties
        settings: dict[str, object] = {"penalty_to_zero": to_zero, "penalty_to_all_hours": to_all}
        return FitReport(tuple(losses), best + 1, self.lines.size, settings)

    def learn(self, sample: Sample, seed: int) -> None:
        """Draw the lines of the median, and from those all others."""
        rows = self._by_hour(sample)
        median = _lines(rows, 0.5, self.penalties, STEPS)
        missed = np.concatenate([y - x @ line for (x, y), line in zip(rows, median, strict=True)])
        self.lines = np.empty((HOURS, len(self.task.levels), median.shape[1]))
        for q, level in enumerate(self.task.levels):
            start = median.copy()
            start[:, -1] += np.quantile(missed, level)
            self.lines[:, q] = median if level == 0.5 else _lines(rows, level, self.penalties, STEPS_BESIDE, start)

    def deviations(self, features: Features, hour: IntArray) -> FloatArray:
        """Return quantiles (N, Q); see :class:`RowForecaster`."""
        standard = self._standard(features)
        found = np.empty((len(features), len(self.task.levels)))
        for each in np.unique(hour):
            here = hour == each
            found[here] = standard[here] @ self.lines[each].T
        found.sort(axis=1)
        return found

    def state(self) -> tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]]:
        """Return the penalties, and the lines with what standardises the features."""
        sizes, arrays = super().state()
        learned = {"centre": self.centre, "spread": self.spread, "lines": self.lines}
        return {**sizes, "penalties": self.penalties}, {**arrays, **learned}

    @classmethod
    def restore(cls, task: Task, sizes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the forecaster of a state."""
        model = super().restore(task, sizes, arrays)
        to_zero, to_all = sizes["penalties"]
        model.penalties = (to_zero, to_all)
        model.centre, model.spread, model.lines = arrays["centre"], arrays["spread"], arrays["lines"]
        return model

    def _standard(self, features: Features) -> FloatArray:
        """Return standardised features with a column of ones, (N, F + 1)."""
        found: FloatArray = np.ones((features.shape[0], features.shape[1] + 1))
        found[:, :-1] = (features - self.centre) / self.spread
        return found

    def _by_hour(self, sample: Sample) -> list[tuple[FloatArray, FloatArray]]:
        """Return standardised features and targets of each hour of the day."""
        order = np.argsort(sample.hour, kind="stable")
        ends = np.searchsorted(sample.hour[order], np.arange(1, HOURS))
        standard = self._standard(sample.features[order])
        return list(zip(np.split(standard, ends), np.split(sample.target[order], ends), strict=True))


def _lines(
    rows: list[tuple[FloatArray, FloatArray]],
    level: float,
    penalties: tuple[float, float],
    steps: int,
    start: FloatArray | None = None,
) -> FloatArray:
    """Return the coefficients (24, F + 1) of the quantile `level`, from rows by hour, after some steps.

    With misses r, the pinball loss is at most r^2 / (4 w) + (level - 1/2) r + w / 4, where w is the present |r|; the
    minimum of that over coefficients is a weighted ridge regression. The first step, without a start, is least squares.
    """
    width = rows[0][0].shape[1]
    to_zero, to_all = np.full(width, penalties[0]), np.full(width, penalties[1] / len(rows))
    to_zero[-1] = 0.0
    total = sum(len(y) for _, y in rows)
    lines = start
    for _ in range(steps):
        square, moment = np.empty((len(rows), width, width)), np.empty((len(rows), width))
        for hour, (x, y) in enumerate(rows):
            weight = np.ones_like(y) if lines is None else 0.5 / np.maximum(np.abs(y - x @ lines[hour]), CLOSEST)
            weighted = x * weight[:, None]
            square[hour], moment[hour] = weighted.T @ x, weighted.T @ y
            if lines is not None:
                moment[hour] += (level - 0.5) * x.sum(axis=0)
        common = np.linalg.solve(square.sum(axis=0) + np.diag(total * to_zero), moment.sum(axis=0))
        pull = total * to_all
        lines = np.linalg.solve(square + np.diag(pull), (moment + pull * common)[..., None])[..., 0].astype(np.float64)
    return np.zeros((len(rows), width)) if lines is None else lines
