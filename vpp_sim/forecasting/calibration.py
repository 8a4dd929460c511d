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

from vpp_sim.arrays import BoolArray, FloatArray, IntArray, require_finite, require_shape
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


@dataclass(frozen=True, slots=True, eq=False)
class _Issued:
    """A forecast as the calibration sees it.

    Attributes
    ----------
    median : ndarray, shape (n, H)
        Median [unit of the data].
    distance : ndarray, shape (Q, n, H)
        How far each quantile lies outside the median; zero where it crosses it [unit of the data].
    tells : ndarray of bool, shape (Q, n, H)
        Where the forecaster gives enough spread that an outcome says something of it.
    """

    median: FloatArray
    distance: FloatArray
    tells: BoolArray


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
        self._side = np.sign(tau - 0.5)[:, None, None]
        self._alpha = np.minimum(tau, 1.0 - tau)[:, None, None]
        self._block_of = np.arange(horizon_steps) * self._settings.blocks // horizon_steps
        self._non_negative = non_negative
        # Levels come first inside, so that every operation runs along whole rows of memory.
        self._log_factor = np.zeros((len(tau), series, self._settings.blocks))
        self._outcomes = np.zeros(self._log_factor.shape)
        self._pending: list[tuple[_Issued, int, float]] = []
        self._since_issue = horizon_steps

    @property
    def factors(self) -> FloatArray:
        """By how much each distance from the median is stretched, shape (n, blocks, Q); 1 at the median."""
        return np.moveaxis(np.exp(self._log_factor), 0, -1)

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
        issued = self._read(quantiles)
        self._pending.append((issued, 0, self.weight(self._since_issue)))
        self._since_issue = 0
        return self._stretch(issued)

    def _read(self, quantiles: FloatArray) -> _Issued:
        """Return what the calibration needs of a forecast (n, H, Q), without issuing it."""
        require_shape("quantiles", quantiles, self._shape)
        require_finite("quantiles", quantiles)
        median = quantiles[..., self._middle].copy()
        distance = np.maximum(self._side * (np.moveaxis(quantiles, -1, 0) - median), 0.0)
        return _Issued(median, distance, distance > _CERTAIN * distance.max(axis=2, keepdims=True))

    def _stretch(self, issued: _Issued) -> FloatArray:
        """Return the quantiles (n, H, Q) of a forecast, calibrated by what is known now."""
        distance = issued.distance * np.exp(self._log_factor)[..., self._block_of]
        np.maximum.accumulate(distance[self._middle :], axis=0, out=distance[self._middle :])
        np.maximum.accumulate(distance[self._middle :: -1], axis=0, out=distance[self._middle :: -1])
        result: FloatArray = np.moveaxis(issued.median + self._side * distance, 0, -1)
        return np.maximum(result, 0.0) if self._non_negative else np.ascontiguousarray(result)

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
        for issued, age, weight in self._pending:
            stop = min(age + actual.shape[1], self._shape[1])
            self._learn(issued, actual[:, : stop - age], first_lead=age, weight=weight)
            if stop < self._shape[1]:
                aged.append((issued, stop, weight))
        self._pending = aged
        self._since_issue += actual.shape[1]

    def weight(self, gap_steps: int) -> float:
        """Return what an outcome counts, of a forecast issued `gap_steps` after the one before.

        Forecasts that follow each other sooner than the length of a block meet the same outcome in the same block
        several times; together they count as one.
        """
        return min(1.0, gap_steps * self._settings.blocks / self._shape[1])

    def _learn(self, issued: _Issued, actual: FloatArray, *, first_lead: int, weight: float = 1.0) -> None:
        """Learn from outcomes of one forecast, without letting time pass.

        Parameters
        ----------
        issued : _Issued
            The forecast, as `_read` returns it.
        actual : ndarray, shape (n, k)
            What happened at leads `first_lead` to `first_lead` + k - 1; NaN where no reading came.
        first_lead : int
            Lead of the first outcome, from 0.
        weight : float
            What each outcome counts, see :meth:`weight`.
        """
        leads = slice(first_lead, first_lead + actual.shape[1])
        block_of = self._block_of[leads]
        counts = issued.tells[..., leads] & np.isfinite(actual)
        beyond = self._side * (actual - issued.median[:, leads])
        exceeded = beyond > issued.distance[..., leads] * np.exp(self._log_factor)[..., block_of]
        misses = np.where(counts, exceeded - self._alpha, 0.0)
        starts = np.flatnonzero(np.diff(block_of, prepend=-1))
        blocks = block_of[starts]
        seen = self._outcomes[..., blocks] + weight * np.add.reduceat(counts, starts, axis=-1, dtype=np.float64)
        rate = np.maximum(self._settings.rate, self._settings.first_rate * np.maximum(seen, 1.0) ** -_DECAY)
        moved = self._log_factor[..., blocks] + rate * weight * np.add.reduceat(misses, starts, axis=-1)
        bound = np.log(self._settings.largest_factor)
        self._outcomes[..., blocks] = seen
        self._log_factor[..., blocks] = np.clip(moved, -bound, bound)


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
    pending: dict[int, _Issued] = {}
    for index in range(len(origins)):
        for earlier, leads in _newly_known(origins, index, horizon):
            known = actual[earlier][:, leads]
            calibrator._learn(pending[earlier], known, first_lead=leads.start, weight=weights[earlier])
            if leads.stop == horizon:
                del pending[earlier]
        pending[index] = calibrator._read(quantiles[index])
        result[index] = calibrator._stretch(pending[index])
    return result


def _newly_known(origins: IntArray, index: int, horizon: int) -> Iterator[tuple[int, slice]]:
    """Yield each earlier forecast with the leads that became known between the previous origin and this one."""
    for earlier in range(int(np.searchsorted(origins, origins[max(index - 1, 0)] - horizon, side="right")), index):
        start = max(int(origins[index - 1] - origins[earlier]), 0)
        stop = min(int(origins[index] - origins[earlier]), horizon)
        if start < stop:
            yield earlier, slice(start, stop)
