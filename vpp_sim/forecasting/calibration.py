r"""Online calibration of quantiles: intervals that held too little or too much are widened or narrowed as time goes on.

A forecaster's quantile :math:`q_\tau` lies at some distance from its median :math:`m`. The calibrated quantile lies at
:math:`e^c` times that distance, one :math:`c` for each series, block of leads and level. After each outcome :math:`y`

.. math:: c \leftarrow c + \eta_k \, (\mathbf{1}\{|y - m| > e^c |q_\tau - m|\} - \alpha), \quad
          \alpha = \min(\tau, 1 - \tau), \quad \eta_k = \max(\eta_\infty, \eta_1 k^{-0.6})

where only outcomes on the side of the quantile can exceed it and :math:`k` counts outcomes. A quantile exceeded more
often than its level says moves out, another moves in, so that in the long run each is exceeded as often as it says
whatever the data do, as long as the factor stays inside its bounds. This is the quantile tracking of [3]_, a
successor of adaptive conformal inference [2]_, on the two-sided scores of conformalised quantile regression [1]_, with
the falling step of [4]_ down to a floor, because homes change. What is ours is the logarithm: scores are in units of
the distance that the forecaster itself gives, so one step suits a flat and a factory, day and night.

Turned down: adaptive conformal inference itself, which keeps a window of scores for each series and answers with
infinite intervals after a run of misses. What follows from the factor: a median is never moved, a forecast without any
spread stays so, and steps to which the forecaster gives next to no spread (solar output at night) teach nothing.

References
----------
.. [1] Y. Romano, E. Patterson and E. J. Candes, "Conformalized Quantile Regression", NeurIPS 2019.
   https://doi.org/10.48550/arXiv.1905.03222
.. [2] I. Gibbs and E. J. Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021.
   https://doi.org/10.48550/arXiv.2106.00170
.. [3] A. N. Angelopoulos, E. J. Candes and R. J. Tibshirani, "Conformal PID Control for Time Series Prediction",
   NeurIPS 2023. https://doi.org/10.48550/arXiv.2307.16895
.. [4] A. N. Angelopoulos, R. F. Barber and S. Bates, "Online conformal prediction with decaying step sizes", ICML 2024.
   https://doi.org/10.48550/arXiv.2402.01139
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["CalibrationSettings", "QuantileCalibrator", "calibrate"]

_DECAY = 0.6
_CERTAIN = 0.01  # of the widest distance in a horizon: below it the forecaster is certain, and hits say nothing


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """How the calibration learns; the defaults were chosen on synthetic noise.

    Attributes
    ----------
    blocks : int
        Parts of the horizon, each with factors of its own.
    first_rate : float
        Step :math:`\\eta_1` after the first outcome, in logarithms of the factor.
    rate : float
        Floor :math:`\\eta_\\infty` of the step. At 0.05, with six outcomes a day in a block, a doubling of the noise is
        followed within about 30 days, at the price of intervals about 1 % wider than the best in steady noise.
    largest_factor : float
        Bound of the factor; its inverse is the least.
    """

    blocks: int = 4
    first_rate: float = 1.0
    rate: float = 0.05
    largest_factor: float = 20.0


class QuantileCalibrator:
    """Calibrates the forecasts of n series, one after the other, from nothing but the outcomes told to it so far.

    Time passes in :meth:`update` alone: a forecast handed to :meth:`apply` is issued for the steps of the updates that
    follow, so that no outcome can be used before it is known. The object holds plain arrays and can be pickled.

    Parameters
    ----------
    levels : sequence of float, length Q
        Quantile levels, increasing inside (0, 1), 0.5 among them.
    series, horizon_steps : int
        Number of series n, and steps H of a forecast.
    non_negative : bool
        Whether no quantile may fall below zero (load, solar output).
    settings : CalibrationSettings, optional
        How it learns.

    Raises
    ------
    PhysicsError
        If the levels do not increase inside (0, 1) around 0.5, or the horizon has fewer steps than blocks.

    Examples
    --------
    >>> calibrator = QuantileCalibrator((0.1, 0.5, 0.9), series=1, horizon_steps=2, settings=CalibrationSettings(1))
    >>> forecast = np.array([[[9.0, 10.0, 11.0], [9.0, 10.0, 11.0]]])
    >>> calibrator.apply(forecast)[0, 0]
    array([ 9., 10., 11.])
    >>> calibrator.update(np.array([[15.0, 10.5]]))  # one of two above the 90 % quantile, none below the 10 % quantile
    >>> calibrator.apply(forecast)[0, 0].round(2)
    array([ 9.12, 10.  , 11.7 ])
    """

    def __init__(
        self,
        levels: Sequence[float],
        *,
        series: int,
        horizon_steps: int,
        non_negative: bool = False,
        settings: CalibrationSettings | None = None,
    ) -> None:
        self._settings = settings or CalibrationSettings()
        tau = np.asarray(levels, dtype=np.float64)
        inside = tau.size > 0 and tau[0] > 0.0 and tau[-1] < 1.0 and bool((np.diff(tau) > 0).all())
        if not inside or 0.5 not in tau:
            raise PhysicsError(f"levels {tuple(levels)} must increase inside (0, 1) and contain 0.5")
        if not 1 <= self._settings.blocks <= horizon_steps:
            raise PhysicsError(f"{self._settings.blocks} blocks do not fit a horizon of {horizon_steps} steps")
        self._middle = int(np.searchsorted(tau, 0.5))
        self._shape = (series, horizon_steps, len(tau))
        self._side = np.sign(tau - 0.5)
        self._alpha = np.minimum(tau, 1.0 - tau)
        self._block_of = np.arange(horizon_steps) * self._settings.blocks // horizon_steps
        self._non_negative = non_negative
        self._log_factor = np.zeros((series, self._settings.blocks, len(tau)))
        self._outcomes = np.zeros(self._log_factor.shape)
        self._pending: list[tuple[FloatArray, int, float]] = []
        self._since_issue = horizon_steps

    @property
    def factors(self) -> FloatArray:
        """By how much each distance from the median is stretched, shape (n, blocks, Q); 1 at the median."""
        return np.exp(self._log_factor)

    def apply(self, quantiles: FloatArray) -> FloatArray:
        """Issue a forecast: return its quantiles, calibrated by what is known now.

        Parameters
        ----------
        quantiles : ndarray, shape (n, H, Q)
            The forecaster's own quantiles, for the H steps that come next [unit of the data].

        Returns
        -------
        ndarray, shape (n, H, Q)
            Never decreasing along Q, whatever came in; the median as it was (or zero, if it must not be negative).

        Raises
        ------
        PhysicsError
            If the shape is another, or a value is not finite.
        """
        stretched = self.stretch(quantiles)
        self._pending.append((quantiles.copy(), 0, self.weight(self._since_issue)))
        self._since_issue = 0
        return stretched

    def stretch(self, quantiles: FloatArray) -> FloatArray:
        """Return calibrated quantiles, as :meth:`apply` does, without issuing them: nothing is learnt from them."""
        require_shape("quantiles", quantiles, self._shape)
        require_finite("quantiles", quantiles)
        median = quantiles[..., self._middle, None]
        distance = self._distance(quantiles) * self.factors[:, self._block_of]
        low, high = distance[..., : self._middle], distance[..., self._middle :]
        outward = (np.maximum.accumulate(low[..., ::-1], axis=-1)[..., ::-1], np.maximum.accumulate(high, axis=-1))
        result: FloatArray = median + self._side * np.concatenate(outward, axis=-1)
        return np.maximum(result, 0.0) if self._non_negative else result

    def update(self, actual: FloatArray) -> None:
        """Let time pass by k steps, in which `actual` happened, and learn from every issued forecast of these steps.

        Parameters
        ----------
        actual : ndarray, shape (n, k)
            What happened in the next k steps; NaN where no reading came.

        Raises
        ------
        PhysicsError
            If there is another number of series.
        """
        if actual.ndim != 2 or len(actual) != self._shape[0]:
            raise PhysicsError(f"actual has shape {actual.shape}, expected {self._shape[0]} series by steps")
        aged = []
        for quantiles, age, weight in self._pending:
            stop = min(age + actual.shape[1], self._shape[1])
            self.learn(quantiles, actual[:, : stop - age], first_lead=age, weight=weight)
            if stop < self._shape[1]:
                aged.append((quantiles, stop, weight))
        self._pending = aged
        self._since_issue += actual.shape[1]

    def weight(self, gap_steps: int) -> float:
        """Return what an outcome counts, of a forecast issued `gap_steps` after the one before.

        Forecasts that follow each other sooner than the length of a block meet the same outcome in the same block
        several times; together they count as one.
        """
        return min(1.0, gap_steps * self._settings.blocks / self._shape[1])

    def learn(self, quantiles: FloatArray, actual: FloatArray, *, first_lead: int, weight: float = 1.0) -> None:
        """Learn from outcomes of one forecast, without letting time pass.

        Parameters
        ----------
        quantiles : ndarray, shape (n, H, Q)
            The forecaster's own quantiles.
        actual : ndarray, shape (n, k)
            What happened at leads `first_lead` to `first_lead` + k - 1; NaN where no reading came.
        first_lead : int
            Lead of the first outcome, from 0.
        weight : float
            What each outcome counts, see :meth:`weight`.
        """
        leads = slice(first_lead, first_lead + actual.shape[1])
        distance = self._distance(quantiles)
        counts = distance[:, leads] > _CERTAIN * distance.max(axis=1, keepdims=True)
        counts &= np.isfinite(actual)[..., None]
        beyond = self._side * (actual[..., None] - quantiles[:, leads, self._middle, None])
        exceeded = beyond > distance[:, leads] * self.factors[:, self._block_of[leads]]
        misses = np.where(counts, exceeded - self._alpha, 0.0)
        for block in np.unique(self._block_of[leads]):
            mine = self._block_of[leads] == block
            self._step(int(block), weight * misses[:, mine].sum(axis=1), weight * counts[:, mine].sum(axis=1))

    def _step(self, block: int, misses: FloatArray, counts: FloatArray) -> None:
        """Move the factors of one block by its weighted sums (n, Q) of misses over leads."""
        seen = self._outcomes[:, block] = self._outcomes[:, block] + counts
        rate = np.maximum(self._settings.rate, self._settings.first_rate * np.maximum(seen, 1.0) ** -_DECAY)
        bound = np.log(self._settings.largest_factor)
        self._log_factor[:, block] = np.clip(self._log_factor[:, block] + rate * misses, -bound, bound)

    def _distance(self, quantiles: FloatArray) -> FloatArray:
        """Return how far each quantile lies outside the median, shape (n, H, Q); zero where it crosses it."""
        return np.maximum(self._side * (quantiles - quantiles[..., self._middle, None]), 0.0)


def calibrate(
    quantiles: FloatArray,
    actual: FloatArray,
    levels: Sequence[float],
    *,
    origins: IntArray,
    non_negative: bool = False,
    settings: CalibrationSettings | None = None,
) -> FloatArray:
    """Return the forecasts of a backtest, each calibrated with the outcomes known at its issue, and no others.

    Parameters
    ----------
    quantiles : ndarray, shape (N, n, H, Q)
        Forecasts of n series at N origins.
    actual : ndarray, shape (N, n, H)
        What happened after each origin; NaN where no reading came.
    levels : sequence of float, length Q
        Quantile levels.
    origins : ndarray of int, shape (N,)
        First step of each forecast, increasing. What happened in steps before an origin is known there.
    non_negative : bool
        Whether no quantile may fall below zero.
    settings : CalibrationSettings, optional
        How the calibration learns.

    Returns
    -------
    ndarray, shape (N, n, H, Q)
        Calibrated quantiles; the first origin's are as they were.

    Raises
    ------
    PhysicsError
        If shapes do not fit together, or origins do not increase.

    Examples
    --------
    >>> forecast = np.tile(np.array([9.0, 10.0, 11.0]), (2, 1, 1, 1))
    >>> calibrate(forecast, np.full((2, 1, 1), 15.0), (0.1, 0.5, 0.9), origins=np.array([0, 1]),
    ...           settings=CalibrationSettings(blocks=1))[:, 0, 0, 2].round(2)
    array([11.  , 12.46])
    """
    if quantiles.ndim != 4 or actual.shape != quantiles.shape[:3] or origins.shape != quantiles.shape[:1]:
        raise PhysicsError(
            f"quantiles {quantiles.shape}, actual {actual.shape} and origins {origins.shape} do not fit together"
        )
    if (np.diff(origins) <= 0).any():
        raise PhysicsError("origins must increase")
    _, series, horizon, _ = quantiles.shape
    shape = {"series": series, "horizon_steps": horizon}
    calibrator = QuantileCalibrator(levels, **shape, non_negative=non_negative, settings=settings)
    result = np.empty_like(quantiles)
    weights = [calibrator.weight(int(gap)) for gap in np.diff(origins, prepend=origins[:1] - horizon)]
    for index in range(len(origins)):
        for earlier, leads in _newly_known(origins, index, horizon):
            known = actual[earlier][:, leads]
            calibrator.learn(quantiles[earlier], known, first_lead=leads.start, weight=weights[earlier])
        result[index] = calibrator.stretch(quantiles[index])
    return result


def _newly_known(origins: IntArray, index: int, horizon: int) -> Iterator[tuple[int, slice]]:
    """Yield each earlier forecast with the leads that became known between the previous origin and this one."""
    for earlier in range(int(np.searchsorted(origins, origins[max(index - 1, 0)] - horizon, side="right")), index):
        start = max(int(origins[index - 1] - origins[earlier]), 0)
        stop = min(int(origins[index] - origins[earlier]), horizon)
        if start < stop:
            yield earlier, slice(start, stop)
