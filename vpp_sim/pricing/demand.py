"""How demand answers prices, and what that is worth: demand, profit and consumer surplus at given prices.

Demand is linear around the default prices. The elasticity is one number (each step answers its own price) or a matrix
(own and cross elasticities, a row for each step whose demand changes, a column for each step whose price does).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.protocol import Objective, RetailOptions, RetailProblem

__all__ = [
    "Gain",
    "Response",
    "believed_elasticity",
    "consumer_surplus_eur",
    "elastic_demand_kwh",
    "expected_profit_eur",
    "surplus_change_eur",
]

_IDLE = 1e-3
"""A step with less than this share of the mean demand has no demand to price."""

_ROUNDING = 1e-9
"""A negative curvature of no more than this share of the largest is rounding, and put right without a word."""

_NEAREST = 1e-3
"""How strongly the nearest prices to the default are preferred among those with the same peak, as a share of it."""


def believed_elasticity(problem: RetailProblem, options: RetailOptions) -> float | FloatArray:
    """Return the problem's matrix of elasticities, or the options' number where there is none."""
    return options.elasticity if problem.elasticity is None else problem.elasticity


def elastic_demand_kwh(
    problem: RetailProblem, buy_eur_per_kwh: FloatArray, elasticity: float | FloatArray
) -> FloatArray:
    r"""Return the demand of all homes at given prices, linear around the default price.

    .. math:: d_t = D_t + R_t \sum_s e_{ts} \Bigl(\frac{p_s}{p^{def}_s} - 1\Bigr)

    Parameters
    ----------
    problem : RetailProblem
        Demand :math:`D` at the default prices :math:`p^{def}`, and the energy :math:`R` that answers, the demand itself
        where nothing else is said.
    buy_eur_per_kwh : ndarray, shape (H,)
        Prices :math:`p` [EUR/kWh].
    elasticity : float or ndarray, shape (H, H)
        Elasticity :math:`e` at the default prices; a number is the own elasticity of every step.

    Returns
    -------
    ndarray, shape (H,)
        Demand [kWh].

    Examples
    --------
    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[10.0, 20.0]]), wholesale_eur_per_kwh=np.zeros(2), levies_eur_per_kwh=0.0,
    ...     default_eur_per_kwh=np.array([0.3, 0.3]), feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> elastic_demand_kwh(problem, np.array([0.3, 0.45]), np.array([[-0.2, 0.1], [0.1, -0.2]])).round(6)
    array([10.5, 18. ])
    """
    relative = buy_eur_per_kwh / problem.default_eur_per_kwh - 1
    answer = elasticity @ relative if isinstance(elasticity, np.ndarray) else elasticity * relative
    demand: FloatArray = problem.demand_kwh.sum(axis=0) + problem.answering_kwh * answer
    return demand


def expected_profit_eur(problem: RetailProblem, buy_eur_per_kwh: FloatArray, elasticity: float | FloatArray) -> float:
    """Return the VPP's margin over wholesale price and levies on the demand that the prices lead to [EUR]."""
    margin = buy_eur_per_kwh - problem.levies_eur_per_kwh - problem.wholesale_eur_per_kwh
    return float(margin @ elastic_demand_kwh(problem, buy_eur_per_kwh, elasticity))


def consumer_surplus_eur(problem: RetailProblem, buy_eur_per_kwh: FloatArray, elasticity: float) -> float:
    r"""Return what customers value their energy at beyond what they pay, the triangle under the demand curve [EUR].

    .. math:: \sum_t \frac{d_t^2}{2 \, |\partial d_t / \partial p_t|}

    Raises
    ------
    PhysicsError
        If the elasticity is not negative: demand that no price chokes is valued without bound.

    Examples
    --------
    Demand 100 - 2 p at p = 30 is 40, and 0 at 50: a triangle of 40 x 20 / 2.

    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[20.0]]), wholesale_eur_per_kwh=np.array([10.0]), levies_eur_per_kwh=0.0,
    ...     default_eur_per_kwh=np.array([40.0]), feed_in_eur_per_kwh=np.array([0.0]),
    ... )
    >>> consumer_surplus_eur(problem, np.array([30.0]), -4.0)
    400.0
    """
    if not elasticity < 0:
        raise PhysicsError(f"elasticity is {elasticity:g}, expected below 0: surplus would have no bound")
    slope = -elasticity * problem.answering_kwh / problem.default_eur_per_kwh
    demand = elastic_demand_kwh(problem, buy_eur_per_kwh, elasticity)
    return float(np.divide(demand**2, 2 * slope, out=np.zeros_like(demand), where=slope > 0).sum())


def surplus_change_eur(problem: RetailProblem, buy_eur_per_kwh: FloatArray, elasticity: float | FloatArray) -> float:
    r"""Return by how much customers are better off than at the default prices [EUR].

    .. math:: -\int d(p)^T \mathrm{d}p = -\tfrac12 \, (p - p^{def})^T \bigl(D + d(p)\bigr)

    along the straight line from the default prices, which for a symmetric response is any line. For one number it is
    the difference of :func:`consumer_surplus_eur`, and holds for any elasticity, zero too.
    """
    moved = buy_eur_per_kwh - problem.default_eur_per_kwh
    both = problem.demand_kwh.sum(axis=0) + elastic_demand_kwh(problem, buy_eur_per_kwh, elasticity)
    return float(-(moved @ both) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """The demand of all homes as a line in the prices, ``offset + slope p``, in units of the mean demand.

    Attributes
    ----------
    weight : ndarray, shape (H,)
        Demand at the default prices, per mean demand.
    slope : ndarray, shape (H,) or (H, H)
        Change of demand with the prices, per mean demand [kWh/EUR]; one number a step where cross prices do not count.
    curvature : ndarray, shape (H,) or (H, H)
        Symmetric part of minus the slope, without negative curvature [kWh/EUR]. Steps without demand, which keep the
        default price and move no other step's demand, have a little.
    unit_kwh : float
        Mean demand of a step [kWh].
    note : str
        What had to be put right to make the margin concave; empty if nothing.
    """

    weight: FloatArray
    slope: FloatArray
    curvature: FloatArray
    unit_kwh: float
    note: str = ""

    @classmethod
    def of(cls, problem: RetailProblem, elasticity: float | FloatArray) -> Response:
        """Return the response of a problem's demand."""
        total, default = problem.demand_kwh.sum(axis=0), problem.default_eur_per_kwh
        unit_kwh = float(total.mean()) or 1.0
        weight, answering = total / unit_kwh, problem.answering_kwh / unit_kwh
        if not isinstance(elasticity, np.ndarray):
            slope = elasticity * answering / default
            return cls(weight, slope, np.where(weight < _IDLE, _IDLE / default, -slope), unit_kwh)
        busy = weight >= _IDLE
        matrix = np.where(busy[:, None] & busy, answering[:, None] * elasticity / default, 0.0)
        pull = np.diag(np.where(busy, 0.0, _IDLE / default))
        curvature, note = _concave(pull - (matrix + matrix.T) / 2)
        return cls(weight, matrix, curvature, unit_kwh, note)

    @property
    def idle(self) -> BoolArray:
        """Which steps have no demand to price, shape (H,)."""
        return self.weight < _IDLE

    @property
    def crossed(self) -> bool:
        """Whether a price moves the demand of other steps too."""
        return self.slope.ndim == 2

    def push(self, values: FloatArray) -> FloatArray:
        """Return ``slope.T @ values``: what a worth of demand in each step says of each price."""
        product: FloatArray = self.slope.T @ values if self.crossed else self.slope * values
        return product

    def answer(self, price: FloatArray) -> FloatArray:
        """Return ``slope @ price``."""
        product: FloatArray = self.slope @ price if self.crossed else self.slope * price
        return product

    def bend(self, values: FloatArray) -> FloatArray:
        """Return ``curvature @ values``."""
        product: FloatArray = self.curvature @ values if self.crossed else self.curvature * values
        return product

    def root(self) -> FloatArray:
        """Return R with ``R' R`` equal to the curvature; a vector stands for a diagonal."""
        if not self.crossed:
            root: FloatArray = np.sqrt(self.curvature)
            return root
        values, vectors = np.linalg.eigh(self.curvature)
        return np.ascontiguousarray((vectors * np.sqrt(np.maximum(values, 0.0))).T)

    def offset(self, default_eur_per_kwh: FloatArray) -> FloatArray:
        """Return the demand at prices of zero, per mean demand, shape (H,)."""
        offset: FloatArray = self.weight - self.answer(default_eur_per_kwh)
        return offset


def _concave(curvature: FloatArray) -> tuple[FloatArray, str]:
    """Return the nearest matrix without negative eigenvalues, and what had to be put right."""
    try:
        np.linalg.cholesky(curvature)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(curvature)
        largest = float(np.abs(values).max(initial=0.0))
        repaired: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
        repaired = (repaired + repaired.T) / 2
        if values.min() >= -_ROUNDING * largest:
            return repaired, ""
        share = float(-values.min()) / largest
        return repaired, f"elasticities leave the margin unbounded: negative curvature of {share:.3g} was set to zero"
    return curvature, ""


@dataclass(frozen=True, slots=True, eq=False)
class Gain:
    """A concave gain ``linear @ p - p' quadratic p + constant``, per mean demand.

    Attributes
    ----------
    linear : ndarray, shape (H,)
        Linear coefficients.
    quadratic : ndarray, shape (H,) or (H, H)
        Quadratic ones; one number a step stands for a diagonal.
    constant : float
        What remains at prices of zero.
    """

    linear: FloatArray
    quadratic: FloatArray
    constant: float = 0.0

    @classmethod
    def of(cls, problem: RetailProblem, response: Response, objective: Objective) -> Gain:
        """Return the gain of an objective, equal to it in value and slope at the default prices.

        For ``"peak"`` it holds what the peak itself does not say: of prices with the same peak, take those nearest to
        the default.
        """
        default = problem.default_eur_per_kwh
        if objective == "peak":
            flat = np.full(default.size, _NEAREST / default.size) / default**2
            flat = np.diag(flat) if response.crossed else flat
            return cls(np.full(default.size, 2 * _NEAREST / default.size) / default, flat)
        margin = default - problem.levies_eur_per_kwh - problem.wholesale_eur_per_kwh
        slope = response.push(margin) + (response.weight if objective == "profit" else 0.0)
        slope = np.where(response.idle, 0.0, slope)
        half = 1.0 if objective == "profit" else 0.5
        quadratic = half * response.curvature
        bent = half * response.bend(default)
        value = float(margin @ response.weight)
        return cls(slope + 2 * bent, quadratic, value - float((slope + bent) @ default))

    def at(self, price: FloatArray) -> float:
        """Return the gain at given prices."""
        bent = self.quadratic @ price if self.quadratic.ndim == 2 else self.quadratic * price
        return float(self.linear @ price - price @ bent + self.constant)

    def slope_at(self, price: FloatArray) -> FloatArray:
        """Return the gain's derivative by each price, shape (H,)."""
        bent = self.quadratic @ price if self.quadratic.ndim == 2 else self.quadratic * price
        slope: FloatArray = self.linear - 2 * bent
        return slope
