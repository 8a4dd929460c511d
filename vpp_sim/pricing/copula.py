r"""Scenarios from quantile forecasts: a copula says how the steps of a day move together, the quantiles how far.

A scenario is drawn in two parts. The copula gives ranks :math:`u_{st}` that are uniform in each step and dependent over
the steps; the forecast's quantile function turns each into a value (:func:`~vpp_sim.pricing.quantiles.values_at`). So
the margins are the forecast's own whatever the copula, and errors that last for hours stay together, which is what
decides how much a battery can do about them.

Ranks are stratified: in each step they are the midpoints :math:`(i - 1/2) / S`, each once. The mean over scenarios then
has far less noise than that of independent draws, and so has a bid that rests on it [1]_.

References
----------
.. [1] M. Stein, "Large sample properties of simulations using Latin hypercube sampling", Technometrics 29 (1987)
   143-151. https://doi.org/10.1080/00401706.1987.10488205
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import ndtri

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.quantiles import Tail, values_at

__all__ = [
    "Copula",
    "EmpiricalCopula",
    "ExponentialCopula",
    "GaussianCopula",
    "MaternCopula",
    "fit_gaussian",
    "scenarios_from_quantiles",
    "stratified_ranks",
]


class Copula(Protocol):
    """Says how the steps of a horizon move together."""

    def ranks(self, scenarios: int, horizon_steps: int, *, seed: int) -> FloatArray:
        """Return dependent ranks, uniform in each step and strictly within 0..1, shape (scenarios, horizon_steps)."""
        ...


def stratified_ranks(scores: FloatArray) -> FloatArray:
    """Return the ranks of each column as midpoints of equal strata.

    Parameters
    ----------
    scores : ndarray, shape (S, H)
        Draws of any scale; only their order in each column counts, ties by row.

    Returns
    -------
    ndarray, shape (S, H)
        In each column the numbers (i - 1/2) / S, each once.

    Examples
    --------
    >>> stratified_ranks(np.array([[3.0], [-1.0]]))
    array([[0.75],
           [0.25]])
    """
    order = np.argsort(np.argsort(scores, axis=0, kind="stable"), axis=0, kind="stable")
    ranks: FloatArray = (order + 0.5) / scores.shape[0]
    return ranks


def _gaussian_ranks(correlation: FloatArray, scenarios: int, seed: int) -> FloatArray:
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = np.random.default_rng(seed).standard_normal((scenarios, correlation.shape[0]))
    return stratified_ranks(normal @ root.T)


def _distance(horizon_steps: int, step_h: float, range_h: float) -> FloatArray:
    if not (np.isfinite([step_h, range_h]).all() and min(step_h, range_h) > 0):
        raise PhysicsError(f"step_h and range_h must be positive, not {step_h:g} and {range_h:g}")
    hour = np.arange(horizon_steps) * step_h
    distance: FloatArray = np.abs(hour[:, None] - hour) / range_h
    return distance


@dataclass(frozen=True, slots=True)
class ExponentialCopula:
    r"""Gaussian copula whose correlation falls exponentially with the time between steps, :math:`e^{-|i-j| h / r}`.

    Attributes
    ----------
    step_h : float
        Length of a step [h].
    range_h : float
        Time in which the correlation falls to 1/e [h]; 7 h is what Pinson et al. found for wind power.

    Examples
    --------
    >>> ExponentialCopula(step_h=1.0, range_h=2.0).ranks(4, 3, seed=0).shape
    (4, 3)
    """

    step_h: float = 1.0
    range_h: float = 7.0

    def correlation(self, horizon_steps: int) -> FloatArray:
        """Return the correlation of the normal scores, shape (H, H)."""
        matrix: FloatArray = np.exp(-_distance(horizon_steps, self.step_h, self.range_h))
        return matrix

    def ranks(self, scenarios: int, horizon_steps: int, *, seed: int) -> FloatArray:
        """Return dependent ranks, shape (scenarios, horizon_steps)."""
        return _gaussian_ranks(self.correlation(horizon_steps), scenarios, seed)


@dataclass(frozen=True, slots=True)
class MaternCopula:
    r"""Gaussian copula with the Matérn correlation of smoothness 3/2, :math:`(1 + \sqrt3 d / r) e^{-\sqrt3 d / r}`.

    Its paths are smooth where those of the exponential copula are rough: errors of a temperature, not of clouds.

    Attributes
    ----------
    step_h : float
        Length of a step [h].
    range_h : float
        Length scale [h].
    """

    step_h: float = 1.0
    range_h: float = 7.0

    def correlation(self, horizon_steps: int) -> FloatArray:
        """Return the correlation of the normal scores, shape (H, H)."""
        distance = np.sqrt(3.0) * _distance(horizon_steps, self.step_h, self.range_h)
        matrix: FloatArray = (1 + distance) * np.exp(-distance)
        return matrix

    def ranks(self, scenarios: int, horizon_steps: int, *, seed: int) -> FloatArray:
        """Return dependent ranks, shape (scenarios, horizon_steps)."""
        return _gaussian_ranks(self.correlation(horizon_steps), scenarios, seed)


@dataclass(frozen=True, slots=True, eq=False)
class GaussianCopula:
    """Gaussian copula with a given correlation, such as one fitted to past errors.

    Attributes
    ----------
    matrix : ndarray, shape (H, H)
        Correlation of the normal scores: symmetric, ones on the diagonal, no negative eigenvalue.

    Raises
    ------
    PhysicsError
        If the matrix is no correlation.
    """

    matrix: FloatArray

    def __post_init__(self) -> None:
        """Check that it is a correlation."""
        require_shape("matrix", self.matrix, (self.matrix.shape[0],) * 2)
        require_finite("matrix", self.matrix)
        if not (np.allclose(self.matrix, self.matrix.T) and np.allclose(np.diag(self.matrix), 1.0)):
            raise PhysicsError("matrix is no correlation: it must be symmetric with ones on its diagonal")
        lowest = float(np.linalg.eigvalsh(self.matrix)[0])
        if lowest < -1e-8:
            raise PhysicsError(f"matrix is no correlation: its lowest eigenvalue is {lowest:g}")

    def ranks(self, scenarios: int, horizon_steps: int, *, seed: int) -> FloatArray:
        """Return dependent ranks, shape (scenarios, horizon_steps)."""
        require_shape("matrix", self.matrix, (horizon_steps, horizon_steps))
        return _gaussian_ranks(self.matrix, scenarios, seed)


@dataclass(frozen=True, slots=True, eq=False)
class EmpiricalCopula:
    """Dependence of past days taken as it was: each scenario follows the ranks of one day (the Schaake shuffle [1]_).

    Attributes
    ----------
    past_ranks : ndarray, shape (D, H)
        Probability that the forecast gave to what then happened, one row a day, within 0..1.

    References
    ----------
    .. [1] M. Clark, S. Gangopadhyay, L. Hay, B. Rajagopalan, R. Wilby, "The Schaake shuffle", Journal of
       Hydrometeorology 5 (2004) 243-262. https://doi.org/10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2
    """

    past_ranks: FloatArray

    def ranks(self, scenarios: int, horizon_steps: int, *, seed: int) -> FloatArray:
        """Return dependent ranks, shape (scenarios, horizon_steps).

        Days are used equally often, in random order; scenarios of the same day are set apart at random within its rank.
        """
        _check_ranks(self.past_ranks)
        require_shape("past_ranks", self.past_ranks, (self.past_ranks.shape[0], horizon_steps))
        rng = np.random.default_rng(seed)
        days = self.past_ranks.shape[0]
        chosen = np.concatenate([rng.permutation(days) for _ in range(-(-scenarios // days))])[:scenarios]
        order = stratified_ranks(self.past_ranks)
        return stratified_ranks(order[chosen] + rng.uniform(-0.5, 0.5, (scenarios, horizon_steps)) / days)


def _check_ranks(past_ranks: FloatArray) -> None:
    if past_ranks.ndim != 2 or not past_ranks.shape[0]:
        raise PhysicsError(f"past_ranks has shape {past_ranks.shape}, expected (D, H)")
    if not ((past_ranks >= 0) & (past_ranks <= 1)).all():
        raise PhysicsError("past_ranks must lie within 0..1")


def fit_gaussian(past_ranks: FloatArray, *, toward: FloatArray, weight_days: float = 30.0) -> GaussianCopula:
    r"""Return the Gaussian copula of past forecast errors, shrunk toward a given one.

    .. math:: R = \frac{D \hat R + w R_0}{D + w}

    With fewer days than steps the sample correlation :math:`\hat R` is singular; the mixture never is, if
    :math:`R_0` is not.

    Parameters
    ----------
    past_ranks : ndarray, shape (D, H)
        Probability that the forecast gave to what then happened, one row a day, within 0..1.
    toward : ndarray, shape (H, H)
        Correlation :math:`R_0` to shrink to.
    weight_days : float, default 30
        How many days of evidence that one is worth.

    Returns
    -------
    GaussianCopula
        The copula of the mixture.

    Raises
    ------
    PhysicsError
        If shapes differ or a rank lies outside 0..1.

    Examples
    --------
    >>> day = np.random.default_rng(0).uniform(size=(500, 1))
    >>> fit_gaussian(np.repeat(day, 2, axis=1), toward=np.eye(2), weight_days=500).matrix.round(2)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    _check_ranks(past_ranks)
    days = past_ranks.shape[0]
    scores = ndtri(stratified_ranks(past_ranks))
    size = np.sqrt((scores**2).mean(axis=0))
    scaled = scores / np.where(size > 0, size, 1.0)
    found = scaled.T @ scaled / days
    np.fill_diagonal(found, 1.0)
    require_shape("toward", toward, found.shape)
    return GaussianCopula((days * found + weight_days * toward) / (days + weight_days))


def scenarios_from_quantiles(
    quantiles: FloatArray, levels: FloatArray, *, copula: Copula, scenarios: int, seed: int, tail: Tail = "exponential"
) -> FloatArray:
    """Return scenarios whose margins are the forecast's and whose dependence in time is the copula's.

    Parameters
    ----------
    quantiles : ndarray, shape (H, Q)
        Quantiles of each step, not falling along the levels, in any unit.
    levels : ndarray, shape (Q,)
        Their probabilities, rising, within 0..1.
    copula : Copula
        Dependence of the steps.
    scenarios : int
        How many, at least 1.
    seed : int
        Seed of the draw: the same gives the same scenarios.
    tail : {"held", "exponential"}
        What lies beyond the outermost levels.

    Returns
    -------
    ndarray, shape (scenarios, H)
        Equally likely paths, in the unit of the quantiles.

    Raises
    ------
    PhysicsError
        If there is no scenario, or the forecast is refused by :func:`~vpp_sim.pricing.quantiles.values_at`.

    Examples
    --------
    >>> paths = scenarios_from_quantiles(
    ...     np.array([[-100.0, 0.0]]), np.array([0.0, 1.0]), copula=ExponentialCopula(), scenarios=4, seed=1
    ... )
    >>> np.sort(paths[:, 0])
    array([-87.5, -62.5, -37.5, -12.5])
    """
    if scenarios < 1:
        raise PhysicsError(f"scenarios is {scenarios}, expected 1 or more")
    ranks = copula.ranks(scenarios, quantiles.shape[0], seed=seed)
    return values_at(quantiles, levels, ranks, tail=tail)
