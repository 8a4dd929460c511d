"""Customer baselines: what a home would have used without an event, by the averages that system operators use.

All rules look at the last days that count (no events, no holidays, as the programme says), rank them by the energy of
the event's hours, and average some of them hour by hour. Days come most recent first; where two tie, the more recent
ranks as the higher.
"""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite
from vpp_sim.errors import PhysicsError

__all__ = ["high_of", "mid_of"]


def _ranked(load_kw: FloatArray, count: int, window_days: int) -> IntArray:
    """Return the window's days from the highest to the lowest for each home, shape (window_days, n)."""
    if load_kw.ndim != 3:
        raise PhysicsError(f"load_kw has shape {load_kw.shape}, expected (days, n, H)")
    if not 1 <= count <= window_days:
        raise PhysicsError(f"cannot choose {count} of {window_days} days")
    if load_kw.shape[0] < window_days:
        raise PhysicsError(f"{load_kw.shape[0]} days of load are too few: the baseline looks back {window_days}")
    require_finite("load_kw", load_kw)
    return np.argsort(-load_kw[:window_days].mean(axis=2), axis=0, kind="stable").astype(np.int64)


def _mean_of(load_kw: FloatArray, days: IntArray) -> FloatArray:
    mean: FloatArray = np.take_along_axis(load_kw, days[:, :, None], axis=0).mean(axis=0)
    return mean


def high_of(load_kw: FloatArray, *, count: int, window_days: int) -> FloatArray:
    """Return the mean of the highest `count` of the last `window_days` days.

    ``count=4, window_days=5`` is the Korean Max(4/5) [1]_, ``5`` of ``10`` the New York baseline, ``10`` of ``10``
    California's plain average.

    Parameters
    ----------
    load_kw : ndarray, shape (days, n, H)
        Load in the event's hours of past days, most recent first [kW].
    count, window_days : int
        How many days to average, out of how many.

    Returns
    -------
    ndarray, shape (n, H)
        Baseline [kW].

    Raises
    ------
    PhysicsError
        If there are too few days, the counts do not fit, or a load is not finite.

    References
    ----------
    .. [1] "Implementation of a demand-side management solution for South Korea's demand response program", Applied
       Sciences 10 (2020) 1751. https://doi.org/10.3390/app10051751

    Examples
    --------
    >>> days = np.array([100.0, 110.0, 90.0, 120.0, 80.0]).reshape(5, 1, 1)
    >>> high_of(days, count=4, window_days=5)
    array([[105.]])
    """
    return _mean_of(load_kw, _ranked(load_kw, count, window_days)[:count])


def mid_of(load_kw: FloatArray, *, count: int, window_days: int) -> FloatArray:
    """Return the mean of the middle `count` of the last `window_days` days, as many left out above as below.

    ``count=6, window_days=10`` is the Korean Mid(6/10).

    Parameters
    ----------
    load_kw : ndarray, shape (days, n, H)
        Load in the event's hours of past days, most recent first [kW].
    count, window_days : int
        How many days to average, out of how many; their difference must be even.

    Returns
    -------
    ndarray, shape (n, H)
        Baseline [kW].

    Raises
    ------
    PhysicsError
        If there are too few days, the counts do not fit, or a load is not finite.

    Examples
    --------
    >>> days = np.array([100.0, 110.0, 90.0, 120.0, 80.0, 105.0, 95.0, 115.0, 85.0, 130.0]).reshape(10, 1, 1)
    >>> mid_of(days, count=6, window_days=10)
    array([[102.5]])
    """
    ranked = _ranked(load_kw, count, window_days)
    above, uneven = divmod(window_days - count, 2)
    if uneven:
        raise PhysicsError(f"{count} of {window_days} days have no middle: their difference is odd")
    return _mean_of(load_kw, ranked[above : above + count])
