r"""Trading without a centre: prosumers agree on who delivers what by exchange ADMM, each knowing only its own costs.

Every round each prosumer answers the price with the energy that suits it, and the price moves with what is left over.
No cost, limit or utility leaves its owner; what the market sees is the sum of the answers [1]_, section 7.3.2; in
peer-to-peer markets [2]_.

References
----------
.. [1] S. Boyd, N. Parikh, E. Chu, B. Peleato, J. Eckstein, "Distributed optimization and statistical learning via the
   alternating direction method of multipliers", Foundations and Trends in Machine Learning 3 (2011) 1-122.
   https://doi.org/10.1561/2200000016
.. [2] E. Sorin, L. Bobo, P. Pinson, "Consensus-based approach to peer-to-peer electricity markets with product
   differentiation", IEEE Transactions on Power Systems 34 (2019) 994-1004.
   https://doi.org/10.1109/TPWRS.2018.2872880
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError, SolveError
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import at_one_price, pairs
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["Decentralised", "ExchangeProblem", "ExchangeResult", "solve_exchange"]

logger = logging.getLogger(__name__)

_STRETCH = 2.0
"""Factor by which the penalty changes."""

_NEAR = 2.0
"""Steepnesses by which the agreed price may lie from the limit of the order that sets it."""

_TAIL = 1e-3
"""Share of the trade whose limits do not bound the price: what orders out of merit still hold when rounds end."""


@dataclass(frozen=True, slots=True, eq=False)
class ExchangeProblem:
    r"""Prosumers with quadratic costs who must be even with one another.

    Prosumer i draws :math:`x_i` within its bounds, negative where it delivers, at a cost of
    :math:`b_i x_i + a_i x_i^2 / 2`: the utility of a kilowatt-hour drawn counts as a negative cost. All draw nothing
    together.

    Attributes
    ----------
    slope_eur_per_kwh : ndarray, shape (n,)
        :math:`b_i` [EUR/kWh]; for an order, its limit price with the sign turned.
    curvature_eur_per_kwh2 : ndarray, shape (n,)
        :math:`a_i` [EUR/kWh2], non-negative.
    lower_kwh, upper_kwh : ndarray, shape (n,)
        Bounds of the energy drawn [kWh].

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, a curvature is negative, or bounds are crossed.
    SolveError
        If the bounds leave no way to be even; it says by how much.

    Examples
    --------
    >>> ExchangeProblem(np.zeros(2), np.ones(2), np.array([1.0, -0.25]), np.array([2.0, 0.0]))
    Traceback (most recent call last):
    vpp_sim.errors.SolveError: prosumers draw at least 0.75 kWh more than they deliver: the lower bounds add up to it
    """

    slope_eur_per_kwh: FloatArray
    curvature_eur_per_kwh2: FloatArray
    lower_kwh: FloatArray
    upper_kwh: FloatArray

    def __post_init__(self) -> None:
        """Check shapes, signs, and that there is an answer."""
        for name in ("slope_eur_per_kwh", "curvature_eur_per_kwh2", "lower_kwh", "upper_kwh"):
            require_shape(name, getattr(self, name), (self.slope_eur_per_kwh.size,))
            require_finite(name, getattr(self, name))
        require_non_negative("curvature_eur_per_kwh2", self.curvature_eur_per_kwh2)
        if (self.lower_kwh > self.upper_kwh).any():
            who = int(np.argmax(self.lower_kwh > self.upper_kwh))
            raise PhysicsError(f"prosumer {who} has bounds {self.lower_kwh[who]:g}..{self.upper_kwh[who]:g} kWh")
        least, most = float(self.lower_kwh.sum()), float(self.upper_kwh.sum())
        if least > 0:
            text = "prosumers draw at least {:g} kWh more than they deliver: the lower bounds add up to it"
            raise SolveError(text.format(least))
        if most < 0:
            text = "prosumers deliver at least {:g} kWh more than they draw: the upper bounds add up to it"
            raise SolveError(text.format(-most))

    def cost_eur(self, energy_kwh: FloatArray) -> float:
        """Return the cost of all prosumers together [EUR].

        Parameters
        ----------
        energy_kwh : ndarray, shape (n,)
            Energy drawn by each [kWh].
        """
        return float(self.slope_eur_per_kwh @ energy_kwh + self.curvature_eur_per_kwh2 @ energy_kwh**2 / 2)


@dataclass(frozen=True, slots=True, eq=False)
class ExchangeResult:
    """What the prosumers agreed on, and how they came to it.

    Attributes
    ----------
    energy_kwh : ndarray, shape (n,)
        Energy drawn by each [kWh], negative delivers: within its bounds, and zero in sum.
    price_eur_per_kwh : float
        Price of the exchange [EUR/kWh]: what whoever draws pays to whoever delivers.
    iterations : int
        Rounds that it took.
    converged : bool
        Whether both residuals came below their tolerances.
    primal_residual_kwh : ndarray, shape (iterations,)
        What was left over after each round, a prosumer in the mean [kWh].
    dual_residual_eur_per_kwh : ndarray, shape (iterations,)
        How far prosumers' marginal costs were from one price, root of the mean square [EUR/kWh].
    penalty_eur_per_kwh2 : ndarray, shape (iterations,)
        Penalty of each round [EUR/kWh2].
    """

    energy_kwh: FloatArray
    price_eur_per_kwh: float
    iterations: int
    converged: bool
    primal_residual_kwh: FloatArray
    dual_residual_eur_per_kwh: FloatArray
    penalty_eur_per_kwh2: FloatArray


def solve_exchange(
    problem: ExchangeProblem,
    *,
    tolerance: float = 1e-5,
    most_iterations: int = 5000,
    penalty_eur_per_kwh2: float | None = None,
    price_eur_per_kwh: float | None = None,
    adapt_above: float = 5.0,
) -> ExchangeResult:
    r"""Let the prosumers agree by exchange ADMM.

    With the penalty :math:`\rho`, the mean :math:`\bar x` of all answers and the price :math:`\lambda`, each round is

    .. math::

        x_i &\leftarrow \arg\min_{l_i \le x \le u_i} b_i x + \tfrac{a_i}{2} x^2 + \lambda x
        + \tfrac{\rho}{2} (x - x_i + \bar x)^2 = \Bigl[\frac{\rho (x_i - \bar x) - \lambda - b_i}{a_i + \rho}\Bigr]

        \lambda &\leftarrow \lambda + \rho \bar x

    The primal residual is :math:`\bar x`; the dual one the root mean square of
    :math:`\rho \bigl((x_i - \bar x) - (x_i - \bar x)_\text{before}\bigr)`. It stops when the first is below `tolerance`
    times the prosumers' root mean square size, with all that is left over below ten times `tolerance` of what is traded
    (or a hundredth of a prosumer), and the second below `tolerance` times the range of marginal costs. Where
    one residual is `adapt_above` times the other in those units, the penalty doubles or halves; it does so ever more
    seldom, so that it ends fixed and the method's proof of convergence holds. What is then still left over is divided
    over those with room.

    Parameters
    ----------
    problem : ExchangeProblem
        The prosumers.
    tolerance : float, default 1e-5
        Share of the problem's own scales at which residuals are small enough.
    most_iterations : int, default 5000
        Rounds after which to stop anyway.
    penalty_eur_per_kwh2 : float, optional
        First penalty [EUR/kWh2]; by default the range of marginal costs over the size of prosumers.
    price_eur_per_kwh : float, optional
        First price [EUR/kWh], such as that of the step before; by default the middle of the slopes.
    adapt_above : float, default 5
        Ratio of residuals from which the penalty changes; ``inf`` keeps it.

    Returns
    -------
    ExchangeResult
        Energies, price, and the residuals of every round.

    Raises
    ------
    PhysicsError
        If the tolerance or penalty is not positive, there is no round, or the ratio is below 1.

    Examples
    --------
    Two prosumers with marginal utilities 3 - x and 1 - x meet at a price of 2:

    >>> problem = ExchangeProblem(np.array([-3.0, -1.0]), np.ones(2), np.full(2, -5.0), np.full(2, 5.0))
    >>> result = solve_exchange(problem)
    >>> result.energy_kwh.round(4), round(result.price_eur_per_kwh, 4), result.converged
    (array([ 1., -1.]), 2.0, True)
    """
    _require_settings(tolerance, most_iterations, adapt_above)
    size_kwh, range_eur_per_kwh = _scales(problem)
    first = range_eur_per_kwh / size_kwh if penalty_eur_per_kwh2 is None else penalty_eur_per_kwh2
    penalty = _Penalty(first, adapt_above)
    price = _middle(-problem.slope_eur_per_kwh) if price_eur_per_kwh is None else price_eur_per_kwh
    energy_kwh = fair_kwh = np.zeros(problem.slope_eur_per_kwh.size)
    history: list[tuple[float, float, float]] = []
    converged = False
    while not converged and len(history) < most_iterations:
        energy_kwh = _answers(problem, fair_kwh, price, penalty.value)
        left_kwh = float(energy_kwh.mean()) if energy_kwh.size else 0.0
        before, fair_kwh = fair_kwh, energy_kwh - left_kwh
        price += penalty.value * left_kwh
        moved = penalty.value * _root_mean_square(fair_kwh - before)
        history.append((abs(left_kwh), moved, penalty.value))
        primal, dual = _primal(energy_kwh, left_kwh, size_kwh), moved / range_eur_per_kwh
        converged = primal <= tolerance and dual <= tolerance
        penalty.adapt(len(history), primal, dual)
    residuals = np.array(history)
    return ExchangeResult(_even(energy_kwh, problem), price, len(history), converged, *residuals.T)


def _require_settings(tolerance: float, most_iterations: int, adapt_above: float) -> None:
    if not (tolerance > 0 and most_iterations >= 1 and adapt_above >= 1):
        raise PhysicsError(
            f"tolerance {tolerance:g}, most_iterations {most_iterations} and adapt_above {adapt_above:g} must be "
            "positive, at least 1 and at least 1"
        )


class _Penalty:
    """The penalty of a round, which follows the larger residual ever more seldom."""

    def __init__(self, first_eur_per_kwh2: float, adapt_above: float) -> None:
        if not (math.isfinite(first_eur_per_kwh2) and first_eur_per_kwh2 > 0):
            raise PhysicsError(f"penalty_eur_per_kwh2 is {first_eur_per_kwh2:g}, expected a positive number")
        self.value, self._adapt_above = first_eur_per_kwh2, adapt_above
        self._wait, self._next_change = 1, 1

    def adapt(self, iteration: int, primal: float, dual: float) -> None:
        """Raise it after a round that left too much over, lower it after one that moved prosumers too far."""
        if iteration >= self._next_change and max(primal, dual) > self._adapt_above * min(primal, dual):
            self.value *= _STRETCH if primal > dual else 1 / _STRETCH
            self._wait += 1
            self._next_change = iteration + self._wait


def _answers(problem: ExchangeProblem, fair_kwh: FloatArray, price: float, penalty: float) -> FloatArray:
    """Return the energy that suits each prosumer at a price, not too far from what would have been fair [kWh]."""
    wanted = (penalty * fair_kwh - price - problem.slope_eur_per_kwh) / (problem.curvature_eur_per_kwh2 + penalty)
    return np.minimum(np.maximum(wanted, problem.lower_kwh), problem.upper_kwh)


def _scales(problem: ExchangeProblem) -> tuple[float, float]:
    """Return the size of a prosumer [kWh] and the range of its marginal costs [EUR/kWh], positive."""
    size = _root_mean_square(np.maximum(np.abs(problem.lower_kwh), np.abs(problem.upper_kwh)))
    bounds = np.stack([problem.lower_kwh, problem.upper_kwh])
    marginal = problem.slope_eur_per_kwh + problem.curvature_eur_per_kwh2 * bounds
    return size or 1.0, float(np.ptp(marginal)) if marginal.size and np.ptp(marginal) > 0 else 1.0


def _primal(energy_kwh: FloatArray, left_kwh: float, size_kwh: float) -> float:
    """Return what is left over: of a prosumer's size in the mean, or of a tenth of the trade in all if that is more."""
    traded_kwh = float(np.abs(energy_kwh).sum()) / 2
    return max(abs(left_kwh) / size_kwh, abs(left_kwh) * energy_kwh.size / max(10 * traded_kwh, size_kwh / 100))


def _middle(values: FloatArray) -> float:
    return float(values.max() + values.min()) / 2 if values.size else 0.0


def _root_mean_square(values: FloatArray) -> float:
    return math.sqrt(float(values @ values) / values.size) if values.size else 0.0


def _even(energy_kwh: FloatArray, problem: ExchangeProblem) -> FloatArray:
    """Divide what is left over among those who have room, in proportion to it."""
    left_kwh = float(energy_kwh.sum())
    room = energy_kwh - (problem.lower_kwh if left_kwh > 0 else problem.upper_kwh)
    whole = float(room.sum())
    return energy_kwh if not whole else energy_kwh - room * (left_kwh / whole)


@dataclass(frozen=True, slots=True)
class Decentralised:
    r"""Clear a book without a centre: its orders agree by :func:`solve_exchange`.

    An order's limit price is its marginal utility. Flat utilities make ADMM slow, since a price that is off by little
    turns an order over; so each is tilted, to fall over its energy by `steepness` times the range of all limits.
    Against the uniform-price auction the trades lose about that share of the range for each kilowatt-hour, mostly much
    less.

    The price is the agreed one, moved between the limits of the marginal orders that trade, and to the nearest limit if
    one lies within that tilt. Orders that it refuses do not trade, and what is left over on the longer side is taken
    off its marginal orders. So nobody trades beyond its limit even if the rounds ended too early, which is logged.

    Parameters
    ----------
    steepness : float, default 0.001
        Share of the range of limits by which an order's utility falls over its energy.
    tolerance : float, default 0.0001
        Residuals at which prosumers agree, as in :func:`solve_exchange`.
    most_iterations : int, default 20000
        Rounds after which to stop anyway.

    Raises
    ------
    PhysicsError
        If the steepness or tolerance is not positive, or there is no round.

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([0, 1]), bid_kwh=np.array([2.0, 2.0]), bid_eur_per_kwh=np.array([0.3, 0.2]),
    ...     seller=np.array([2]), ask_kwh=np.array([3.0]), ask_eur_per_kwh=np.array([0.1]),
    ...     retail_eur_per_kwh=0.3, feed_in_eur_per_kwh=0.1,
    ... )
    >>> clearing = Decentralised().clear(book)
    >>> clearing.buyer, clearing.energy_kwh.round(2), clearing.market_eur_per_kwh
    (array([0, 1]), array([2., 1.]), 0.2)
    """

    keeps_limits: ClassVar[bool] = True
    steepness: float = 1e-3
    tolerance: float = 1e-4
    most_iterations: int = 20_000

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not (self.steepness > 0 and self.tolerance > 0 and self.most_iterations >= 1):
            raise PhysicsError(
                f"steepness {self.steepness:g}, tolerance {self.tolerance:g} and most_iterations "
                f"{self.most_iterations} must be positive"
            )

    def agree(self, book: OrderBook) -> ExchangeResult:
        """Return what the orders agree on: bids first, then asks, each as the book has them."""
        limit = np.concatenate([book.bid_eur_per_kwh, book.ask_eur_per_kwh])
        size_kwh = np.concatenate([book.bid_kwh, book.ask_kwh])
        buys = np.arange(limit.size) < book.buyer.size
        tilt_eur_per_kwh = self.steepness * _range(limit)
        curvature = np.divide(tilt_eur_per_kwh, size_kwh, out=np.zeros(limit.size), where=size_kwh > 0)
        # Half the tilt on either side of the limit, so that it is right in the mean.
        slope = -limit - np.where(buys, 0.5, -0.5) * tilt_eur_per_kwh
        problem = ExchangeProblem(slope, curvature, np.where(buys, 0.0, -size_kwh), np.where(buys, size_kwh, 0.0))
        return solve_exchange(problem, tolerance=self.tolerance, most_iterations=self.most_iterations)

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades that the orders agree on."""
        return at_least_minimum(book, self._clear)

    def _clear(self, book: OrderBook) -> Clearing:
        result = self.agree(book)
        if not result.converged:
            logger.warning("prosumers did not agree in %d rounds", result.iterations)
        bought_kwh = np.maximum(result.energy_kwh[: book.buyer.size], 0.0)
        sold_kwh = np.maximum(-result.energy_kwh[book.buyer.size :], 0.0)
        price = self._price(book, result.price_eur_per_kwh, bought_kwh, sold_kwh)
        bids, asks = np.flatnonzero(book.bid_eur_per_kwh >= price), np.flatnonzero(book.ask_eur_per_kwh <= price)
        bought_kwh, sold_kwh = bought_kwh[bids], sold_kwh[asks]
        traded_kwh = min(float(bought_kwh.sum()), float(sold_kwh.sum()))
        bought_kwh = _up_to(traded_kwh, bought_kwh, first=-book.bid_eur_per_kwh[bids])
        sold_kwh = _up_to(traded_kwh, sold_kwh, first=book.ask_eur_per_kwh[asks])
        return at_one_price(*pairs(book.buyer[bids], bought_kwh, book.seller[asks], sold_kwh), price)

    def _price(self, book: OrderBook, agreed: float, bought_kwh: FloatArray, sold_kwh: FloatArray) -> float:
        """Return the agreed price, moved between the limits of the marginal orders and to one that is near."""
        low = _last(book.ask_eur_per_kwh, sold_kwh)
        high = -_last(-book.bid_eur_per_kwh, bought_kwh)
        price = min(max(agreed, low), high)
        limit = np.concatenate([book.bid_eur_per_kwh, book.ask_eur_per_kwh])
        nearest = float(limit[np.argmin(np.abs(limit - price))]) if limit.size else price
        near = low <= nearest <= high and abs(nearest - price) <= _NEAR * self.steepness * _range(limit)
        return nearest if near else price


def _last(cost_eur_per_kwh: FloatArray, energy_kwh: FloatArray) -> float:
    """Return the cost of the marginal order, but for the dearest sliver of the energy; minus infinity for none."""
    order = np.argsort(cost_eur_per_kwh, kind="stable")
    so_far = np.cumsum(energy_kwh[order])
    if not so_far.size or not so_far[-1]:
        return -math.inf
    return float(cost_eur_per_kwh[order[np.searchsorted(so_far, (1 - _TAIL) * so_far[-1])]])


def _up_to(traded_kwh: float, energy_kwh: FloatArray, *, first: FloatArray) -> FloatArray:
    """Cut the energies down to a sum of `traded_kwh`; those with the lowest `first` are cut last."""
    order = np.argsort(first, kind="stable")
    before = np.cumsum(energy_kwh[order]) - energy_kwh[order]
    kept = np.empty_like(energy_kwh)
    kept[order] = np.clip(traded_kwh - before, 0.0, energy_kwh[order])
    return kept


def _range(limit_eur_per_kwh: FloatArray) -> float:
    """Return the range of limits [EUR/kWh]; 1 where they are all the same."""
    return float(np.ptp(limit_eur_per_kwh)) or 1.0 if limit_eur_per_kwh.size else 1.0
