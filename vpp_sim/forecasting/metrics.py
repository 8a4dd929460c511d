r"""Measures of point and quantile forecasts, each with its formula and source.

All take arrays of any one shape; they average over everything that they are given, so a caller slices by home, hour or
horizon first. Throughout, :math:`y` is what happened, :math:`f` a point forecast and :math:`q_\tau` a quantile.

References
----------
.. [1] R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy", Int. J. Forecasting 22, 2006.
   https://doi.org/10.1016/j.ijforecast.2006.03.001
.. [2] R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46(1), 1978. https://doi.org/10.2307/1913643
.. [3] Y. Park et al., "Learning Quantile Functions without Quantile Crossing for Distribution-free Time Series
   Forecasting", AISTATS 2022. https://doi.org/10.48550/arXiv.2111.06581
.. [4] P. Emami et al., "BuildingsBench: A Large-Scale Dataset of 900K Buildings and Benchmark for Short-Term Load
   Forecasting", NeurIPS 2023. https://doi.org/10.48550/arXiv.2307.00142
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import PhysicsError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["coverage", "mae", "mase", "nrmse", "pinball_loss", "rmse", "seasonal_scale", "weighted_quantile_loss"]


def _errors(actual: FloatArray, forecast: FloatArray) -> FloatArray:
    if actual.shape != forecast.shape or not actual.size:
        raise PhysicsError(f"actual {actual.shape} and forecast {forecast.shape} must have one shape, not empty")
    return actual - forecast


def mae(actual: FloatArray, forecast: FloatArray) -> float:
    r"""Return the mean absolute error :math:`\frac1N \sum |y - f|` [unit of the data].

    Examples
    --------
    >>> mae(np.array([1.0, 2.0, 4.0]), np.array([2.0, 2.0, 2.0]))
    1.0
    """
    return float(np.abs(_errors(actual, forecast)).mean())


def rmse(actual: FloatArray, forecast: FloatArray) -> float:
    r"""Return the root mean squared error :math:`\sqrt{\frac1N \sum (y - f)^2}` [unit of the data].

    Examples
    --------
    >>> rmse(np.array([0.0, 0.0]), np.array([3.0, 4.0])) == 12.5**0.5
    True
    """
    return float(np.sqrt(np.square(_errors(actual, forecast)).mean()))


def nrmse(actual: FloatArray, forecast: FloatArray) -> float:
    r"""Return the error :math:`\mathrm{RMSE} / \bar y`, relative to the mean of what happened [1] [4]_.

    Raises
    ------
    PhysicsError
        If the mean of `actual` is zero.

    Examples
    --------
    >>> nrmse(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    0.5
    """
    error, level = rmse(actual, forecast), float(actual.mean())
    if level == 0.0:
        raise PhysicsError("nrmse has no value where the mean of what happened is zero")
    return error / level


def seasonal_scale(history: FloatArray, season_steps: int) -> float:
    r"""Return the in-sample error of the seasonal naive, :math:`\frac{1}{T-m} \sum_{t>m} |y_t - y_{t-m}|` [1]_.

    Parameters
    ----------
    history : ndarray, shape (T,)
        Values of one series before the evaluation.
    season_steps : int
        Season :math:`m` [steps].

    Raises
    ------
    PhysicsError
        If the history is no longer than a season, or repeats exactly.

    Examples
    --------
    >>> seasonal_scale(np.array([1.0, 2.0, 2.0, 4.0]), season_steps=2)
    1.5
    """
    if history.ndim != 1 or len(history) <= season_steps:
        raise PhysicsError(f"a history of shape {history.shape} is too short for a season of {season_steps} steps")
    scale = float(np.abs(history[season_steps:] - history[:-season_steps]).mean())
    if scale == 0.0:
        raise PhysicsError("the history repeats exactly, so that the scaled error has no value")
    return scale


def mase(actual: FloatArray, forecast: FloatArray, scale: float) -> float:
    r"""Return the mean absolute scaled error, :math:`\mathrm{MAE} / s` [1]_ [1].

    Parameters
    ----------
    actual, forecast : ndarray, one shape
        What happened, and the point forecast.
    scale : float
        In-sample error :math:`s` of :func:`seasonal_scale`, of the unit of the data.

    Examples
    --------
    >>> mase(np.array([1.0, 2.0]), np.array([2.0, 4.0]), scale=3.0)
    0.5
    """
    return mae(actual, forecast) / scale


def pinball_loss(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    r"""Return the mean pinball loss of each level [2]_.

    .. math:: \frac1N \sum \max(\tau e, (\tau - 1) e), \quad e = y - q_\tau

    Parameters
    ----------
    actual : ndarray, shape (...)
        What happened.
    quantiles : ndarray, shape (..., Q)
        Forecast.
    levels : sequence of float, length Q
        Levels :math:`\tau`.

    Returns
    -------
    ndarray, shape (Q,)
        Loss of each level [unit of the data].

    Examples
    --------
    >>> pinball_loss(np.array([10.0, 10.0]), np.array([[8.0], [12.0]]), [0.9])
    array([1.])
    """
    tau = np.asarray(levels, dtype=np.float64)
    if quantiles.shape != (*actual.shape, len(tau)) or not actual.size:
        raise PhysicsError(f"quantiles have shape {quantiles.shape}, expected {(*actual.shape, len(tau))}, not empty")
    error = actual[..., None] - quantiles
    loss: FloatArray = np.maximum(tau * error, (tau - 1.0) * error).reshape(-1, len(tau)).mean(axis=0)
    return loss


def weighted_quantile_loss(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> float:
    r"""Return the weighted quantile loss, the mean over levels of the pinball loss against what happened [3]_ [1].

    .. math:: \frac{1}{Q} \sum_\tau \frac{2 \sum \rho_\tau(y - q_\tau)}{\sum |y|}

    Raises
    ------
    PhysicsError
        If shapes differ, or everything that happened is zero.

    Examples
    --------
    >>> weighted_quantile_loss(np.array([10.0, 10.0]), np.array([[8.0], [12.0]]), [0.9])
    0.2
    """
    level = float(np.abs(actual).mean())
    if level == 0.0:
        raise PhysicsError("the weighted quantile loss has no value where everything that happened is zero")
    return float(2.0 * pinball_loss(actual, quantiles, levels).mean() / level)


def coverage(actual: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Return the share of what happened that lies between two quantiles, bounds included [1].

    Examples
    --------
    >>> coverage(np.array([1.0, 2.0, 3.0, 9.0]), np.full(4, 1.0), np.full(4, 3.0))
    0.75
    """
    _errors(actual, low), _errors(actual, high)
    return float(((actual >= low) & (actual <= high)).mean())
