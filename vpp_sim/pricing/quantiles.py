"""Quantile forecasts: read any level from the levels given, and add up homes whose errors are partly in step."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["Tail", "aggregate_quantiles", "quantile_at", "values_at"]

Tail: TypeAlias = Literal["held", "exponential"]
"""What a forecast's distribution does beyond its outermost levels."""


def _check(quantiles: FloatArray, levels: FloatArray) -> None:
    if levels.ndim != 1 or not levels.size:
        raise PhysicsError(f"levels has shape {levels.shape}, expected (Q,)")
    if not (np.diff(levels) > 0).all() or levels[0] < 0 or levels[-1] > 1:
        raise PhysicsError(f"levels must rise within 0..1: {levels.tolist()}")
    require_shape("quantiles", quantiles, (*quantiles.shape[:-1], levels.size))
    require_finite("quantiles", quantiles)


def quantile_at(quantiles: FloatArray, levels: FloatArray, level: float) -> FloatArray:
    """Return one quantile, interpolated between the levels given and held constant outside them.

    Parameters
    ----------
    quantiles : ndarray, shape (..., Q)
        Quantiles, in any unit.
    levels : ndarray, shape (Q,)
        Their probabilities, rising, within 0..1.
    level : float
        Probability asked for.

    Returns
    -------
    ndarray, shape (...)
        The quantile, in the same unit.

    Raises
    ------
    PhysicsError
        If shapes differ, levels do not rise within 0..1, or a quantile is not finite.

    Examples
    --------
    >>> quantile_at(np.array([[0.0, 10.0, 30.0]]), np.array([0.1, 0.5, 0.9]), 0.6)
    array([15.])
    """
    _check(quantiles, levels)
    place = float(np.interp(level, levels, np.arange(levels.size)))
    below = min(int(place), max(levels.size - 2, 0))
    above, share = min(below + 1, levels.size - 1), place - below
    value: FloatArray = quantiles[..., below] * (1 - share) + quantiles[..., above] * share
    return value


def aggregate_quantiles(home_quantiles: FloatArray, levels: FloatArray, *, rank_correlation: float) -> FloatArray:
    r"""Return quantiles of the sum over homes from quantiles of each home.

    The median of the sum is taken as the sum of the medians, and the distances from it add up as standard deviations
    do, on either side of the median by itself:

    .. math:: d^2 = (1 - \rho) \sum_i d_i^2 + \rho \, \Bigl(\sum_i d_i\Bigr)^2

    This is exact for a Gaussian copula of Gaussian homes with one common correlation :math:`\rho`, which follows from
    the rank correlation as :math:`\rho = 2 \sin(\pi \rho_S / 6)` [1]_. For other shapes it is an approximation: many
    independent skewed homes have a sum that is less skewed, with a median nearer to the mean, than this says. Adding
    quantiles level by level, the common shortcut, is the case of correlation 1 and overstates the spread.

    Parameters
    ----------
    home_quantiles : ndarray, shape (n, H, Q)
        Quantiles of each home, not falling along the levels, in any unit.
    levels : ndarray, shape (Q,)
        Their probabilities, rising; 0.5 must lie within them.
    rank_correlation : float
        Spearman's rank correlation of the errors of any two homes, 0..1.

    Returns
    -------
    ndarray, shape (H, Q)
        Quantiles of the sum, not falling along the levels, in the same unit.

    Raises
    ------
    PhysicsError
        If shapes differ, levels do not rise or do not enclose 0.5, quantiles fall, or the correlation is outside 0..1.

    References
    ----------
    .. [1] W. H. Kruskal, "Ordinal measures of association", Journal of the American Statistical Association 53 (1958)
       814-861. https://doi.org/10.1080/01621459.1958.10501481

    Examples
    --------
    >>> homes = np.array([[[1.0, 4.0, 7.0]], [[2.0, 6.0, 10.0]]])
    >>> aggregate_quantiles(homes, np.array([0.1, 0.5, 0.9]), rank_correlation=0.0)
    array([[ 5., 10., 15.]])
    >>> aggregate_quantiles(homes, np.array([0.1, 0.5, 0.9]), rank_correlation=1.0)
    array([[ 3., 10., 17.]])
    """
    if home_quantiles.ndim != 3:
        raise PhysicsError(f"home_quantiles has shape {home_quantiles.shape}, expected (n, H, Q)")
    _check(home_quantiles, levels)
    if not levels[0] <= 0.5 <= levels[-1]:
        raise PhysicsError(f"levels must enclose 0.5: {levels.tolist()}")
    if not 0 <= rank_correlation <= 1:
        raise PhysicsError(f"rank_correlation is {rank_correlation:g}, expected 0..1")
    if (np.diff(home_quantiles, axis=2) < 0).any():
        raise PhysicsError("home_quantiles fall along the levels: the quantiles cross")
    correlation = 2 * np.sin(np.pi * rank_correlation / 6)
    median = quantile_at(home_quantiles, levels, 0.5)
    distance = home_quantiles - median[..., None]
    in_step = distance.sum(axis=0)
    spread = np.sqrt((1 - correlation) * (distance**2).sum(axis=0) + correlation * in_step**2)
    total: FloatArray = median.sum(axis=0)[:, None] + np.copysign(spread, in_step)
    return total


def values_at(quantiles: FloatArray, levels: FloatArray, probability: FloatArray, *, tail: Tail = "held") -> FloatArray:
    r"""Return the forecast's values at any probabilities: its quantile function, one a step.

    Between the levels given, the function is linear, so that it is exact at every level. Beyond the outermost level it
    is either held, or goes on as an exponential tail whose density joins the last segment's [1]_:

    .. math:: Q(u) = q_Q + (1 - a_Q) \, s \, \ln \frac{1 - a_Q}{1 - u}, \qquad s = \frac{q_Q - q_{Q-1}}{a_Q - a_{Q-1}}

    for :math:`u > a_Q`, and likewise below :math:`a_1`. A held tail has no values beyond the outermost quantiles: it
    understates what the worst scenarios cost. An exponential one has them, at a thickness the forecast did not state.

    Parameters
    ----------
    quantiles : ndarray, shape (H, Q)
        Quantiles, not falling along the levels, in any unit.
    levels : ndarray, shape (Q,)
        Their probabilities, rising, within 0..1.
    probability : ndarray, shape (S, H)
        Probabilities asked for, within 0..1; strictly inside with exponential tails.
    tail : {"held", "exponential"}
        What lies beyond the outermost levels.

    Returns
    -------
    ndarray, shape (S, H)
        Values, in the unit of the quantiles.

    Raises
    ------
    PhysicsError
        If shapes differ, levels do not rise, quantiles fall, a probability lies outside, or the tail is unknown.

    References
    ----------
    .. [1] P. Pinson, H. Madsen, H. Aa. Nielsen, G. Papaefthymiou, B. Klöckl, "From probabilistic forecasts to
       statistical scenarios of short-term wind power production", Wind Energy 12 (2009) 51-62, completes quantile
       forecasts with exponential tails. https://doi.org/10.1002/we.284

    Examples
    --------
    >>> quantiles, levels = np.array([[0.0, 10.0]]), np.array([0.25, 0.75])
    >>> values_at(quantiles, levels, np.array([[0.25], [0.5], [0.9]]))
    array([[ 0.],
           [ 5.],
           [10.]])
    >>> values_at(quantiles, levels, np.array([[0.9]]), tail="exponential").round(3)
    array([[14.581]])
    """
    _check(quantiles, levels)
    require_shape("probability", probability, (*probability.shape[:1], quantiles.shape[0]))
    inside = (probability > 0) & (probability < 1) if tail == "exponential" else (probability >= 0) & (probability <= 1)
    if tail not in ("held", "exponential"):
        raise PhysicsError(f"tail is {tail!r}, expected 'held' or 'exponential'")
    if not inside.all():
        raise PhysicsError("probability lies outside 0..1")
    if (np.diff(quantiles, axis=1) < 0).any():
        raise PhysicsError("quantiles fall along the levels: the quantiles cross")
    place = np.interp(probability, levels, np.arange(levels.size))
    below = np.minimum(place.astype(np.int64), max(levels.size - 2, 0))
    above, share, step = np.minimum(below + 1, levels.size - 1), place - below, np.arange(quantiles.shape[0])
    value: FloatArray = quantiles[step, below] * (1 - share) + quantiles[step, above] * share
    if tail == "exponential" and levels.size > 1:
        slope = np.diff(quantiles, axis=1) / np.diff(levels)
        upper, lower = 1 - levels[-1], levels[0]
        value += upper * slope[:, -1] * np.log(np.maximum(upper / (1 - probability), 1.0))
        value -= lower * slope[:, 0] * np.log(np.maximum(lower / probability, 1.0))
    return value
