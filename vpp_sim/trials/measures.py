"""Shares of the optimum, and how sure they are: intervals over homes, spread over seeds.

Homes are resampled with replacement and the mean over them taken anew (the percentile bootstrap of B. Efron, Annals of
Statistics 7:1, 1979, https://doi.org/10.1214/aos/1176344552). Homes of one neighbourhood share their weather, so the
interval speaks of other homes in these weeks, not of other weeks. Seeds are few; their spread is the standard deviation
of their means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from vpp_sim.arrays import FloatArray

__all__ = ["CONFIDENCE", "RESAMPLES", "bootstrap_interval", "shares_of", "spread_of"]

CONFIDENCE = 0.95
"""Of the intervals."""

RESAMPLES = 10_000
"""Of the bootstrap."""

_LEAST_EUR = 0.005


def shares_of(saved_eur: FloatArray, best_eur: FloatArray) -> FloatArray:
    """Return savings as shares of the best ones; NaN where there was nothing to save, half a cent or less.

    Examples
    --------
    >>> shares_of(np.array([4.5, 0.0]), np.array([5.0, 0.0]))
    array([0.9, nan])
    """
    worth = best_eur > _LEAST_EUR
    share: FloatArray = np.divide(saved_eur, best_eur, out=np.full(np.shape(saved_eur), np.nan), where=worth)
    return share


def bootstrap_interval(values: FloatArray) -> tuple[float, float] | None:
    """Return the interval of the mean of `values` over homes, or none where there are fewer than three.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One a home; NaN is left out.

    Examples
    --------
    >>> [round(end, 2) for end in bootstrap_interval(np.array([0.8, 0.9, 0.9, 1.0]))]
    [0.82, 0.97]
    """
    found = values[np.isfinite(values)]
    if len(found) < 3:
        return None
    drawn = np.random.default_rng(0).integers(len(found), size=(RESAMPLES, len(found)))
    low, high = np.quantile(found[drawn].mean(axis=1), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def spread_of(values: FloatArray) -> float | None:
    """Return the standard deviation over seeds, or none where there is one seed.

    Examples
    --------
    >>> round(spread_of(np.array([0.9, 0.94])), 4), spread_of(np.array([0.9]))
    (0.0283, None)
    """
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
