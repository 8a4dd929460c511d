r"""Measures of point and quantile forecasts, each with its formula and source.

All take arrays of any one shape; they average over everything that they are given, so a caller slices by home, hour or
horizon first. Throughout, :math:`y` is what happened, :math:`f` a point forecast and :math:`q_\tau` a quantile.

MASE over rolling windows, as the benchmark of [6]_ computes it, is :func:`mase_over_windows` with the
:func:`rolling_scales` of the series: every window is scaled by the history before it, and windows count alike.

References
----------
.. [1] R. J. Hyndman and A. B. Koehler, "Another look at measures of forecast accuracy", Int. J. Forecasting 22, 2006.
   https://doi.org/10.1016/j.ijforecast.2006.03.001
.. [2] R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46(1), 1978. https://doi.org/10.2307/1913643
.. [3] Y. Park et al., "Learning Quantile Functions without Quantile Crossing for Distribution-free Time Series
   Forecasting", AISTATS 2022. https://doi.org/10.48550/arXiv.2111.06581
.. [4] P. Emami et al., "BuildingsBench: A Large-Scale Dataset of 900K Buildings and Benchmark for Short-Term Load
   Forecasting", NeurIPS 2023. https://doi.org/10.48550/arXiv.2307.00142
.. [5] S. Kolassa and W. Schuetz, "Advantages of the MAD/Mean Ratio over the MAPE", Foresight 6, 2007, pp. 40-43.
   https://ideas.repec.org/a/for/ijafaa/y2007i6p40-43.html
.. [6] O. Shchur et al., "fev-bench: A Realistic Benchmark for Time Series Forecasting", 2025.
   https://doi.org/10.48550/arXiv.2509.26468
.. [7] T. Gneiting and A. E. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", J. American
   Statistical Association 102, 2007, eq. (21). https://doi.org/10.1198/016214506000001437
.. [8] J. Broecker, "Evaluating raw ensembles with the continuous ranked probability score", Q. J. Royal Meteorological
   Society 138, 2012. https://doi.org/10.1002/qj.1891
.. [9] T. Gneiting, F. Balabdaoui and A. E. Raftery, "Probabilistic forecasts, calibration and sharpness", J. Royal
   Statistical Society B 69, 2007. https://doi.org/10.1111/j.1467-9868.2007.00587.x
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import PhysicsError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "coverage",
    "crps",
    "crps_ensemble",
    "interval_shares",
    "level_weights",
    "mae",
    "mase",
    "mase_over_windows",
    "nrmse",
    "observed_shares",
    "pinball_loss",
    "rmse",
    "rolling_scales",
    "seasonal_scale",
    "sharpness",
    "wape",
    "weighted_quantile_loss",
]


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


def wape(actual: FloatArray, forecast: FloatArray) -> float:
    r"""Return the weighted absolute percentage error :math:`\sum |y - f| / \sum |y|` [5]_, as a share.

    Raises
    ------
    PhysicsError
        If everything that happened is zero.

    Examples
    --------
    >>> wape(np.array([1.0, -3.0]), np.array([2.0, -3.0]))
    0.25
    """
    error, level = mae(actual, forecast), float(np.abs(actual).mean())
    if level == 0.0:
        raise PhysicsError("wape has no value where everything that happened is zero")
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


def rolling_scales(series: FloatArray, origins: IntArray, season_steps: int) -> FloatArray:
    """Return :func:`seasonal_scale` of all that came before each origin, without adding it up anew each time.

    Parameters
    ----------
    series : ndarray, shape (T,)
        Values of one series.
    origins : ndarray of int, shape (N,)
        First step of each window; the history of an origin ends just before it.
    season_steps : int
        Season [steps].

    Returns
    -------
    ndarray, shape (N,)
        Scales [unit of the data].

    Raises
    ------
    PhysicsError
        If an origin has no season before it, lies beyond the series, or has a history that repeats exactly.

    Examples
    --------
    >>> rolling_scales(np.array([1.0, 2.0, 2.0, 4.0, 9.0]), np.array([3, 4]), season_steps=2)
    array([1. , 1.5])
    """
    if series.ndim != 1 or not len(origins) or origins.min() <= season_steps or origins.max() > len(series):
        raise PhysicsError(f"origins must lie after a season of {season_steps} steps, in a series of {series.shape}")
    total = np.abs(series[season_steps:] - series[:-season_steps]).cumsum()
    scales: FloatArray = total[origins - season_steps - 1] / (origins - season_steps)
    if not (scales > 0.0).all():
        raise PhysicsError("the history repeats exactly, so that the scaled error has no value")
    return scales


def mase_over_windows(actual: FloatArray, forecast: FloatArray, scales: FloatArray) -> float:
    r"""Return the mean over windows of the scaled error, :math:`\frac1N \sum_i \mathrm{MAE}_i / s_i` [6]_ [1].

    Parameters
    ----------
    actual, forecast : ndarray, shape (N, H)
        What happened after each of N origins, and the point forecast.
    scales : ndarray, shape (N,)
        In-sample error before each origin, of :func:`rolling_scales` [unit of the data].

    Raises
    ------
    PhysicsError
        If shapes differ or are empty.

    Examples
    --------
    >>> mase_over_windows(np.array([[1.0, 2.0], [5.0, 5.0]]), np.array([[2.0, 4.0], [5.0, 7.0]]), np.array([3.0, 2.0]))
    0.5
    """
    errors = np.abs(_errors(actual, forecast))
    if errors.ndim != 2 or scales.shape != errors.shape[:1]:
        raise PhysicsError(f"scales have shape {scales.shape}, expected one of each window of {actual.shape}")
    return float((errors.mean(axis=1) / scales).mean())


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


def level_weights(levels: Sequence[float]) -> FloatArray:
    """Return the share of all probabilities that each level stands for: up to the middle between it and its neighbours.

    Raises
    ------
    PhysicsError
        If levels do not increase inside (0, 1).

    Examples
    --------
    >>> level_weights([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]).round(3).tolist()
    [0.075, 0.1, 0.2, 0.25, 0.2, 0.1, 0.075]
    """
    tau = np.asarray(levels, dtype=np.float64)
    edges = np.concatenate([[0.0], (tau[1:] + tau[:-1]) / 2, [1.0]])
    if not tau.size or not 0.0 < tau[0] <= tau[-1] < 1.0 or (np.diff(tau) <= 0).any():
        raise PhysicsError(f"levels {tuple(levels)} must increase inside (0, 1)")
    return np.diff(edges)


def crps(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> float:
    r"""Return the continuous ranked probability score [7]_ of quantiles, the mean over all outcomes.

    .. math:: \mathrm{CRPS} = 2 \int_0^1 \rho_\tau(y - q_\tau) \, d\tau
              \approx 2 \sum_k w_k \, \rho_{\tau_k}(y - q_{\tau_k})

    The quadrature takes the pinball loss of a level for all probabilities nearer to it than to another level
    (:func:`level_weights`). Being a sum of pinball losses, it stays a proper score for any levels; at the levels
    :math:`(k - 1/2) / K` it is the exact score of the ensemble of the K quantiles [8]_. The tails beyond the outermost
    levels enter through these only: at the seven levels of a forecaster the expected score of a normal
    forecast that is right comes out 1.7 % low. Compare scores at the same levels.

    Parameters
    ----------
    actual : ndarray, shape (...)
        What happened.
    quantiles : ndarray, shape (..., Q)
        Forecast.
    levels : sequence of float, length Q
        Levels, increasing.

    Returns
    -------
    float
        Score [unit of the data]; the absolute error where all quantiles are one value.

    Examples
    --------
    >>> crps(np.array([3.0]), np.array([[1.0, 1.0, 1.0]]), [0.1, 0.5, 0.9])
    2.0
    """
    return float(2.0 * (level_weights(levels) * pinball_loss(actual, quantiles, levels)).sum())


def crps_ensemble(actual: FloatArray, members: FloatArray) -> float:
    r"""Return the exact continuous ranked probability score of an ensemble, the mean over all outcomes [7]_.

    .. math:: \frac1M \sum_i |x_i - y| - \frac{1}{2 M^2} \sum_{i,j} |x_i - x_j|

    Parameters
    ----------
    actual : ndarray, shape (...)
        What happened.
    members : ndarray, shape (..., M)
        Members, in any order.

    Returns
    -------
    float
        Score [unit of the data].

    Examples
    --------
    >>> crps_ensemble(np.array([0.0]), np.array([[1.0, -1.0]]))
    0.5
    """
    if members.shape[:-1] != actual.shape or not members.size:
        raise PhysicsError(f"members {members.shape} must have the shape of actual {actual.shape} and one axis more")
    count = members.shape[-1]
    # The mean distance of pairs, from ranks: sum over i, j of |x_i - x_j| = 2 sum_k (2 k - M - 1) x_(k), k = 1..M.
    ranks = 2.0 * np.arange(1, count + 1) - count - 1
    spread = (np.sort(members, axis=-1) * ranks).sum(axis=-1) / count**2
    return float((np.abs(members - actual[..., None]).mean(axis=-1) - spread).mean())


def coverage(actual: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Return the share of what happened that lies between two quantiles, bounds included [1].

    Examples
    --------
    >>> coverage(np.array([1.0, 2.0, 3.0, 9.0]), np.full(4, 1.0), np.full(4, 3.0))
    0.75
    """
    _errors(actual, low), _errors(actual, high)
    return float(((actual >= low) & (actual <= high)).mean())


def interval_shares(levels: Sequence[float]) -> dict[float, tuple[int, int]]:
    """Return the central intervals among `levels`: the share each should hold, and the indices of its two bounds.

    Examples
    --------
    >>> interval_shares([0.05, 0.1, 0.25, 0.5, 0.75, 0.9])
    {0.8: (1, 5), 0.5: (2, 4)}
    """
    rounded = [round(level, 9) for level in levels]
    return {
        round(1.0 - 2.0 * low, 9): (index, rounded.index(round(1.0 - low, 9)))
        for index, low in enumerate(rounded)
        if low < 0.5 and round(1.0 - low, 9) in rounded
    }


def sharpness(quantiles: FloatArray, levels: Sequence[float]) -> dict[float, float]:
    """Return the mean width of each central interval, by the share that it should hold [9]_ [unit of the data].

    Sharpness is a property of the forecasts alone: of two that cover as they should, the narrower is better.

    Parameters
    ----------
    quantiles : ndarray, shape (..., Q)
        Forecast.
    levels : sequence of float, length Q
        Levels.

    Raises
    ------
    PhysicsError
        If there are no quantiles, or another number of them than of levels.

    Examples
    --------
    >>> sharpness(np.array([[1.0, 2.0, 4.0], [0.0, 2.0, 5.0]]), [0.1, 0.5, 0.9])
    {0.8: 4.0}
    """
    if not quantiles.size or quantiles.shape[-1] != len(levels):
        raise PhysicsError(f"quantiles have shape {quantiles.shape}, expected (..., {len(levels)}), not empty")
    return {
        share: float((quantiles[..., high] - quantiles[..., low]).mean())
        for share, (low, high) in interval_shares(levels).items()
    }


def observed_shares(actual: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Return the share of outcomes at or below each quantile, shape (Q,): calibrated if it equals the levels [9]_.

    Parameters
    ----------
    actual : ndarray, shape (...)
        What happened.
    quantiles : ndarray, shape (..., Q)
        Forecast.

    Examples
    --------
    >>> observed_shares(np.array([1.0, 2.0]), np.array([[0.5, 1.0], [1.0, 3.0]]))
    array([0., 1.])
    """
    if not actual.size or quantiles.shape[:-1] != actual.shape:
        raise PhysicsError(f"actual {actual.shape} and quantiles {quantiles.shape} must fit, and not be empty")
    shares: FloatArray = (actual[..., None] <= quantiles).reshape(-1, quantiles.shape[-1]).mean(axis=0)
    return shares
