"""Forecasts that need no training: yesterday, a week ago, the mean day of the last week, and the truth.

The quantiles of the naive ones come from their own recent errors: the differences between the days of the context, at
the hour of day to be forecast and up to two hours beside it, with their mirror images, because one day exceeds another
as often as the reverse. The median therefore is the naive value itself.
"""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray, require_shape
from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.model import ForecasterBase
from vpp_sim.forecasting.protocol import ForecastInputs, Task
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["Naive", "Perfect", "Persistence", "PersistenceEnsemble", "SeasonalNaive"]

DAYS, NEIGHBOUR_H = 7, 2


class Naive(ForecasterBase):
    """What the naive forecasts share: the last seven days, and quantiles of past errors around a naive value.

    Raises
    ------
    DataError
        If the context holds no week of whole days.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        if task.context_steps < DAYS * task.day_steps:
            raise DataError(f"the {self.kind} forecaster needs {DAYS} days of context, not {task.context_steps} steps")

    def quantiles(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles (n, H, Q) [unit of the history]."""
        week = inputs.history[:, -DAYS * self.task.day_steps :]
        days = week.reshape(len(week), DAYS, self.task.day_steps)
        ahead = -(-self.task.horizon_steps // self.task.day_steps)
        blocks = [self._day(days, number) for number in range(ahead)]
        return np.ascontiguousarray(np.concatenate(blocks, axis=1)[:, : self.task.horizon_steps])

    def _day(self, days: FloatArray, number: int) -> FloatArray:
        """Return quantiles (n, steps of a day, Q) of day `number` ahead, from past days (n, D, steps of a day)."""
        point, errors = self.point_and_errors(days, number)
        reach = NEIGHBOUR_H * SECONDS_PER_HOUR // self.task.step_s
        near = np.concatenate([np.roll(errors, shift, axis=2) for shift in range(-reach, reach + 1)], axis=1)
        spread = np.quantile(np.concatenate([near, -near], axis=1), self.task.levels, axis=1)
        quantiles: FloatArray = point[..., None] + np.moveaxis(spread, 0, -1)
        return quantiles

    def point_and_errors(self, days: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
        """Return the naive value (n, S) of day `number` ahead, and its errors over past days (n, any, S)."""
        raise DataError(f"{type(self).__name__} names no naive value")


class Persistence(Naive):
    """Yesterday's value of the same hour; beyond a day ahead, the latest day that is known.

    Examples
    --------
    >>> model = Persistence.open("load")
    >>> history = np.tile(np.arange(24.0), 7)[None]
    >>> calendar = np.arange(204) % 24
    >>> known = ForecastInputs(history, np.zeros((204, 2)), calendar * 1.0, calendar * 0, calendar * 0 + 1)
    >>> model.predict(known)[0, [0, 23, 24], 3]
    array([ 0., 23.,  0.])
    """

    kind = "persistence"

    def point_and_errors(self, days: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
        """Return the latest day (n, S), and differences of days as far apart as it is from the target (n, any, S)."""
        lag = number + 1
        return days[:, -1], days[:, lag:] - days[:, :-lag]


class SeasonalNaive(Naive):
    """The value of the same hour a week ago, with the differences between days of that week, two or more days apart."""

    kind = "seasonal_naive"

    def point_and_errors(self, days: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
        """Return the day a week before (n, S), and differences of days (n, 15, S)."""
        earlier, later = np.triu_indices(DAYS, k=2)
        return days[:, number], days[:, later] - days[:, earlier]


class PersistenceEnsemble(Naive):
    """The mean of the same hour over the last seven days [1]_, with the deviations of those days from it.

    References
    ----------
    .. [1] P. Emami et al., "BuildingsBench", NeurIPS 2023. https://doi.org/10.48550/arXiv.2307.00142
    """

    kind = "persistence_ensemble"

    def point_and_errors(self, days: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
        """Return the mean day (n, S), and the deviations of each day from it (n, D, S)."""
        mean = days.mean(axis=1)
        return mean, days - mean[:, None]


class Perfect(ForecasterBase):
    """What will happen, as every quantile: a bound on what forecasts can be worth, and no forecast.

    Raises
    ------
    PhysicsError
        If it is not told what will happen.
    """

    kind = "perfect"
    needs_truth = True

    def quantiles(self, inputs: ForecastInputs) -> FloatArray:
        """Return the truth as every quantile, (n, H, Q) [unit of the history]."""
        if inputs.truth is None:
            raise PhysicsError("the perfect forecaster was not told what will happen")
        require_shape("truth", inputs.truth, (len(inputs.history), self.task.horizon_steps))
        return np.repeat(inputs.truth[..., None], len(self.task.levels), axis=-1)
