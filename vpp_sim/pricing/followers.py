"""Customers who shift a share of their demand to cheaper steps: what they may do, and how they answer given prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError, SolveError
from vpp_sim.pricing.protocol import RetailProblem

__all__ = ["Followers", "Tie", "best_answer_kwh", "group_homes", "leader_profit_eur"]

Tie: TypeAlias = Literal["optimistic", "pessimistic"]
"""Which of several answers that cost them the same customers give: the best for the retailer, or the worst."""


_TIE_SHARE = 1e-6
"""Weight of the retailer's loss in a customer's choice."""

_SCALE = 1e3
"""Costs are told to the solver in thousandths, for it takes what differs by less than 1e-7 for equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Followers:
    r"""Types of customers, each with demand of which it may move some within a window of time.

    Customers of a type take away :math:`o_t` from a step and add :math:`i_t` to another to make smallest what they pay
    and the discomfort :math:`\kappa` of every kWh moved:

    .. math::

        \min_{i, o} \; \sum_t p_t (i_t - o_t) + \kappa \sum_t i_t \quad \text{s.t.} \quad
        \sum_{t \in w} i_t = \sum_{t \in w} o_t \; \forall w, \quad 0 \le i \le I, \quad 0 \le o \le O

    Attributes
    ----------
    demand_kwh : ndarray, shape (K, H)
        What each type draws if it moves nothing [kWh], non-negative.
    movable_kwh : ndarray, shape (K, H)
        How much of it may be taken away, :math:`O` [kWh], at most the demand.
    room_kwh : ndarray, shape (K, H)
        How much may be added, :math:`I` [kWh], non-negative.
    discomfort_eur_per_kwh : ndarray, shape (K,)
        What moving a kWh costs the customer, :math:`\kappa` [EUR/kWh], positive.
    window : ndarray, shape (H,)
        Window of each step, from 0 on.

    Raises
    ------
    PhysicsError
        If shapes differ, a number is negative or not finite, more may move than is there, or moving is free.
    """

    demand_kwh: FloatArray
    movable_kwh: FloatArray
    room_kwh: FloatArray
    discomfort_eur_per_kwh: FloatArray
    window: IntArray

    def __post_init__(self) -> None:
        """Check shapes and signs."""
        if self.demand_kwh.ndim != 2:
            raise PhysicsError(f"demand_kwh has shape {self.demand_kwh.shape}, expected (K, H)")
        types, horizon_steps = self.demand_kwh.shape
        for name in ("demand_kwh", "movable_kwh", "room_kwh"):
            require_shape(name, getattr(self, name), (types, horizon_steps))
            require_non_negative(name, getattr(self, name))
        require_shape("discomfort_eur_per_kwh", self.discomfort_eur_per_kwh, (types,))
        require_finite("discomfort_eur_per_kwh", self.discomfort_eur_per_kwh)
        if self.window.shape != (horizon_steps,):
            raise PhysicsError(f"window has shape {self.window.shape}, expected {(horizon_steps,)}")
        if (self.movable_kwh > self.demand_kwh * (1 + 1e-12)).any():
            raise PhysicsError("movable_kwh exceeds demand_kwh")
        if (self.discomfort_eur_per_kwh <= 0).any():
            raise PhysicsError(f"discomfort is {self.discomfort_eur_per_kwh.min():g} EUR/kWh, expected above 0")

    @property
    def windows(self) -> FloatArray:
        """Which steps belong to which window, ones and zeros, shape (W, H)."""
        member: FloatArray = (np.unique(self.window)[:, None] == self.window).astype(np.float64)
        return member


def group_homes(
    problem: RetailProblem,
    *,
    types: int,
    flexible_share: float,
    discomfort_eur_per_kwh: float,
    window_steps: int | None = None,
) -> Followers:
    """Return the homes as a few types, by how dear the hours are in which they draw their energy.

    Homes are sorted by the mean wholesale price of their demand and cut into groups of equal number. Each group may
    take away `flexible_share` of its demand in a step, and add as much as that share of its largest demand.

    Parameters
    ----------
    problem : RetailProblem
        Demand of the homes and wholesale prices.
    types : int
        Number of types; no more than there are homes.
    flexible_share : float
        Share of demand that may move, 0..1.
    discomfort_eur_per_kwh : float
        What moving a kWh costs the customer [EUR/kWh].
    window_steps : int, optional
        Steps within which energy may move, counted from the first step on; the whole horizon if left out.

    Examples
    --------
    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[0.0, 2.0], [2.0, 0.0], [1.0, 1.0], [4.0, 0.0]]),
    ...     wholesale_eur_per_kwh=np.array([0.1, 0.2]), default_eur_per_kwh=np.array([0.3, 0.3]),
    ...     levies_eur_per_kwh=0.0, feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> group_homes(problem, types=2, flexible_share=0.5, discomfort_eur_per_kwh=0.05).demand_kwh
    array([[6., 0.],
           [1., 3.]])
    """
    demand = problem.demand_kwh
    total = demand.sum(axis=1)
    mean = np.divide(demand @ problem.wholesale_eur_per_kwh, total, out=np.zeros_like(total), where=total > 0)
    order = np.argsort(mean, kind="stable")
    edges = np.linspace(0, len(order), min(types, len(order)) + 1).astype(np.int64)
    grouped = np.add.reduceat(demand[order], edges[:-1], axis=0)
    horizon_steps = demand.shape[1]
    room = np.broadcast_to(flexible_share * grouped.max(axis=1, keepdims=True), grouped.shape)
    return Followers(
        demand_kwh=grouped,
        movable_kwh=flexible_share * grouped,
        room_kwh=room.copy(),
        discomfort_eur_per_kwh=np.full(len(grouped), float(discomfort_eur_per_kwh)),
        window=np.arange(horizon_steps) // (window_steps or horizon_steps),
    )


def best_answer_kwh(
    followers: Followers, buy_eur_per_kwh: FloatArray, cost_eur_per_kwh: FloatArray, tie: Tie
) -> tuple[FloatArray, FloatArray]:
    r"""Return what each type adds and takes away at given prices, ties broken for or against the retailer.

    A type pays the same in all of its best answers, so that the retailer's profit differs among them by
    :math:`-c^T (i - o) - \kappa \sum i` alone. A millionth of that, for or against, is added to what the type pays:
    enough to decide a tie, and too little to decide anything else that is worth a micro-euro a kWh.

    Parameters
    ----------
    followers : Followers
        The types.
    buy_eur_per_kwh, cost_eur_per_kwh : ndarray, shape (H,)
        What a kWh costs the customer, and the retailer [EUR/kWh].
    tie : {"optimistic", "pessimistic"}
        How ties are broken.

    Returns
    -------
    added_kwh, taken_kwh : ndarray, shape (K, H)
        Energy added to and taken from each step [kWh].

    Raises
    ------
    PhysicsError
        If shapes differ, or a price is not finite.
    SolveError
        If the linear program has no solution.
    """
    types, horizon_steps = followers.demand_kwh.shape
    for name, values in (("buy_eur_per_kwh", buy_eur_per_kwh), ("cost_eur_per_kwh", cost_eur_per_kwh)):
        require_shape(name, values, (horizon_steps,))
        require_finite(name, values)
    discomfort = np.repeat(followers.discomfort_eur_per_kwh, horizon_steps)
    weight = _TIE_SHARE if tie == "optimistic" else -_TIE_SHARE
    moved = np.tile(buy_eur_per_kwh + weight * cost_eur_per_kwh, types)
    balance = np.kron(np.eye(types), followers.windows)
    most = np.concatenate([followers.room_kwh.ravel(), followers.movable_kwh.ravel()])
    pay = np.concatenate([moved + (1 + weight) * discomfort, -moved])
    found = _least(pay, np.hstack([balance, -balance]), most).reshape(2, types, horizon_steps)
    return found[0], found[1]


def _least(cost: FloatArray, same: FloatArray, most: FloatArray) -> FloatArray:
    from scipy.optimize import linprog

    bounds = np.column_stack([np.zeros(most.size), most])
    found = linprog(_SCALE * cost, A_eq=same, b_eq=np.zeros(len(same)), bounds=bounds, method="highs")
    if found.status != 0:
        raise SolveError(f"the customers' answer was not found: {found.message}")
    return np.asarray(found.x, dtype=np.float64)


def leader_profit_eur(problem: RetailProblem, followers: Followers, buy_eur_per_kwh: FloatArray, tie: Tie) -> float:
    """Return the retailer's margin over wholesale price and levies when customers answer as they like best [EUR].

    Examples
    --------
    Moving a kWh from step 0 to step 1 saves the customer 0.05, which is what it costs them in discomfort.

    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[2.0, 0.0]]), wholesale_eur_per_kwh=np.array([0.2, 0.05]), levies_eur_per_kwh=0.0,
    ...     default_eur_per_kwh=np.full(2, 0.3), feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> followers = group_homes(problem, types=1, flexible_share=0.5, discomfort_eur_per_kwh=0.05)
    >>> price = np.array([0.30, 0.25])
    >>> [round(leader_profit_eur(problem, followers, price, tie), 4) for tie in ("optimistic", "pessimistic")]
    [0.3, 0.2]
    """
    cost = problem.wholesale_eur_per_kwh + problem.levies_eur_per_kwh
    added, taken = best_answer_kwh(followers, buy_eur_per_kwh, cost, tie)
    demand = (followers.demand_kwh + added - taken).sum(axis=0)
    return float((buy_eur_per_kwh - cost) @ demand)
