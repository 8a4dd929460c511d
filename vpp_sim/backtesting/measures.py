"""What each forecaster of a back-test is measured by, by series and over seeds, with its ratios to the references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from vpp_sim.errors import PhysicsError
from vpp_sim.forecasting import metrics

if TYPE_CHECKING:
    from vpp_sim.arrays import FloatArray, IntArray

__all__ = ["RATIOS_OF", "Measures", "crossings", "mean_of", "measures_of", "ratios", "scales_of", "spread_of"]

Measures: TypeAlias = dict[str, float | None]
"""Measure to value; None where it has none, as a relative error of a series that was zero throughout."""

RATIOS_OF = ("mae", "nrmse", "mase", "wql", "crps")
"""Measures whose ratios to the references are given."""


def scales_of(values: FloatArray, origins: IntArray, season_steps: int) -> FloatArray | None:
    """Return the scales of MASE before each origin, shape (N,), None if the history repeats exactly.

    Parameters
    ----------
    values : ndarray, shape (T,)
        One series.
    origins : ndarray of int, shape (N,)
        Issues.
    season_steps : int
        Steps of a day.
    """
    try:
        return metrics.rolling_scales(values, origins, season_steps)
    except PhysicsError:
        return None


def measures_of(
    actual: FloatArray, quantiles: FloatArray, levels: Sequence[float], scales: FloatArray | None
) -> Measures:
    """Return the measures of one series.

    Parameters
    ----------
    actual : ndarray, shape (N, H)
        What happened after each origin [unit of the target].
    quantiles : ndarray, shape (N, H, Q)
        What was forecast.
    levels : sequence of float, length Q
        Quantile levels.
    scales : ndarray, shape (N,), optional
        Errors of the daily seasonal naive before each origin; without them MASE has no value.

    Returns
    -------
    dict
        ``mae``, ``rmse``, ``crps`` and ``sharpness_50`` to ``_90`` in the unit of the target; ``nrmse``, ``wape``,
        ``mase``, ``wql`` and ``coverage_50`` to ``_90`` without one.
    """
    median = quantiles[..., list(levels).index(0.5)]
    shares = metrics.interval_shares(levels)
    widths = metrics.sharpness(quantiles, levels)
    found: dict[str, Callable[[], float]] = {
        "mae": lambda: metrics.mae(actual, median),
        "rmse": lambda: metrics.rmse(actual, median),
        "nrmse": lambda: metrics.nrmse(actual, median),
        "wape": lambda: metrics.wape(actual, median),
        "mase": lambda: _scaled(actual, median, scales),
        "wql": lambda: metrics.weighted_quantile_loss(actual, quantiles, levels),
        "crps": lambda: metrics.crps(actual, quantiles, levels),
    }
    values = {name: _defined(measure) for name, measure in found.items()}
    for share in sorted(shares):
        low, high = shares[share]
        name = f"{100 * share:.0f}"
        values[f"coverage_{name}"] = metrics.coverage(actual, quantiles[..., low], quantiles[..., high])
        values[f"sharpness_{name}"] = widths[share]
    return values


def mean_of(rows: Sequence[Measures]) -> Measures:
    """Return the mean of each measure over the rows that have it.

    Examples
    --------
    >>> mean_of([{"mae": 1.0, "wape": None}, {"mae": 2.0, "wape": 0.5}])
    {'mae': 1.5, 'wape': 0.5}
    """
    return {name: float(np.mean(values)) if values else None for name, values in _kept(rows).items()}


def spread_of(rows: Sequence[Measures]) -> Measures:
    """Return the standard deviation of each measure over seeds (with N - 1), None from one seed alone.

    Examples
    --------
    >>> spread_of([{"mae": 1.0}, {"mae": 3.0}])["mae"] == 2**0.5
    True
    """
    return {name: float(np.std(values, ddof=1)) if len(values) > 1 else None for name, values in _kept(rows).items()}


def ratios(own: Measures, references: Mapping[str, Measures]) -> Measures:
    """Return ``<measure>_ratio_to_<reference>``: below one is better; None where either has no value, or is zero.

    Examples
    --------
    >>> ratios({"mae": 1.0}, {"persistence": {"mae": 2.0}})
    {'mae_ratio_to_persistence': 0.5}
    """
    return {
        f"{measure}_ratio_to_{name}": _ratio(own[measure], reference[measure])
        for name, reference in references.items()
        for measure in RATIOS_OF
        if measure in own
    }


def crossings(quantiles: FloatArray) -> int:
    """Return how often a quantile lies below that of a lower level, of quantiles (..., Q).

    Examples
    --------
    >>> crossings(np.array([[1.0, 2.0, 1.5], [1.0, 1.0, 2.0]]))
    1
    """
    return int((np.diff(quantiles, axis=-1) < 0.0).sum())


def _kept(rows: Sequence[Measures]) -> dict[str, list[float]]:
    return {name: [value for row in rows if (value := row[name]) is not None] for name in rows[0]}


def _scaled(actual: FloatArray, median: FloatArray, scales: FloatArray | None) -> float:
    if scales is None:
        raise PhysicsError("a history that repeats exactly gives no scale")
    return metrics.mase_over_windows(actual, median, scales)


def _defined(measure: Callable[[], float]) -> float | None:
    """Return a measure, None where its denominator is zero; shapes are checked by those that have none."""
    try:
        return measure()
    except PhysicsError:
        return None


def _ratio(own: float | None, reference: float | None) -> float | None:
    return own / reference if own is not None and reference else None
