"""Forecasts that need no training: yesterday, a week ago, and the mean day of the last week.

Their quantiles come from their own recent errors: the differences between the days of the context, at the hour of day
to be forecast and up to two hours beside it, with their mirror images, because one day exceeds another as often as the
reverse. The median therefore is the naive value itself.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import DEFAULT_LEVELS, ForecastInputs, require_inputs, require_levels, require_target
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["Naive", "Persistence", "PersistenceEnsemble", "SeasonalNaive"]

HORIZON_H, NEIGHBOUR_H = 36, 2


class Naive:
    """What the baselines share: whole days of context, and quantiles of past errors around a naive value.

    Parameters
    ----------
    step_s : int, default 3600
        Length of a step [s]; divides an hour.
    levels : tuple of float
        Quantile levels.

    Raises
    ------
    DataError
        If steps do not divide an hour, or levels are not increasing around 0.5.
    """

    context_days: ClassVar[int]

    def __init__(self, step_s: int = SECONDS_PER_HOUR, levels: tuple[float, ...] = DEFAULT_LEVELS) -> None:
        if step_s <= 0 or SECONDS_PER_HOUR % step_s:
            raise DataError(f"step_s = {step_s} must divide an hour")
        require_levels(levels)
        self.step_s, self.levels = step_s, levels
        self.day_steps = 24 * SECONDS_PER_HOUR // step_s
        self.context_steps = self.context_days * self.day_steps
        self.horizon_steps = HORIZON_H * SECONDS_PER_HOUR // step_s

    @classmethod
    def open(cls, target: str, step_s: int = SECONDS_PER_HOUR) -> Naive:
        """Return a ready forecaster; the target makes no difference to it, but must exist."""
        require_target(target)
        return cls(step_s)

    def predict(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles (n, H, Q) [unit of the history]; see :class:`~vpp_sim.forecasting.protocol.Forecaster`."""
        require_inputs(inputs, context_steps=self.context_steps, horizon_steps=self.horizon_steps)
        days = inputs.history_kw.reshape(len(inputs.history_kw), self.context_days, self.day_steps)
        ahead = -(-self.horizon_steps // self.day_steps)
        blocks = [self._day(days, number) for number in range(ahead)]
        quantiles = np.concatenate(blocks, axis=1)[:, : self.horizon_steps]
        floored: FloatArray = np.maximum(quantiles, 0.0)
        return floored

    def _day(self, days: FloatArray, number: int) -> FloatArray:
        """Return quantiles (n, steps of a day, Q) of day `number` ahead, from past days (n, D, steps of a day)."""
        point, errors = self.point_and_errors(days, number)
        reach = NEIGHBOUR_H * SECONDS_PER_HOUR // self.step_s
        near = np.concatenate([np.roll(errors, shift, axis=2) for shift in range(-reach, reach + 1)], axis=1)
        spread = np.quantile(np.concatenate([near, -near], axis=1), self.levels, axis=1)
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
    >>> known = ForecastInputs(history, np.zeros((168, 2)), calendar * 1.0, calendar * 0, calendar * 0 + 1)
    >>> model.predict(known)[0, [0, 23, 24], 3]
    array([ 0., 23.,  0.])
    """

    context_days = 7

    def point_and_errors(self, days: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
        """Return the latest day (n, S), and differences of days as far apart as it is from the target (n, any, S)."""
        lag = number + 1
        return days[:, -1], days[:, lag:] - days[:, :-lag]


class SeasonalNaive(Naive):
    """The value of the same hour a week ago, with the differences between days of that week, two or more days apart."""

    context_days = 7

    def point_and_errors(self, days: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
        """Return the day a week before (n, S), and differences of days (n, 15, S)."""
        earlier, later = np.triu_indices(self.context_days, k=2)
        return days[:, number], days[:, later] - days[:, earlier]


class PersistenceEnsemble(Naive):
    """The mean of the same hour over the last seven days [1]_, with the deviations of those days from it.

    References
    ----------
    .. [1] P. Emami et al., "BuildingsBench", NeurIPS 2023. https://doi.org/10.48550/arXiv.2307.00142
    """

    context_days = 7

    def point_and_errors(self, days: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
        """Return the mean day (n, S), and the deviations of each day from it (n, D, S)."""
        mean = days.mean(axis=1)
        return mean, days - mean[:, None]
