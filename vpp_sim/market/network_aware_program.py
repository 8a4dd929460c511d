"""The linear program behind nodal prices: the most valuable trades that a linear feeder can carry, and their duals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from vpp_sim.arrays import BoolArray, FloatArray, IntArray
from vpp_sim.errors import SolveError
from vpp_sim.market.protocol import OrderBook

__all__ = ["Dispatch", "dispatch", "drawn_kwh"]

_TOLERANCE = 1e-10
"""The solver's tightest tolerance [kWh and EUR/kWh]; its usual one of 1e-7 is more than a small order."""


@dataclass(frozen=True, slots=True, eq=False)
class Dispatch:
    """The fills of a book, and what the feeder's limits make of prices.

    Attributes
    ----------
    bought_kwh, sold_kwh : ndarray, shape (B,) and (S,)
        Fill of each order [kWh].
    congestion_eur_per_kwh : ndarray, shape (N,)
        What limits add to the price at each node [EUR/kWh].
    shadow_eur : ndarray, shape (2 R,)
        What one more unit of each limit is worth, ceilings before floors [EUR a pu or share].
    """

    bought_kwh: FloatArray
    sold_kwh: FloatArray
    congestion_eur_per_kwh: FloatArray
    shadow_eur: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """One side's orders by node and price: orders alike in both are one step, filled in the order of their ids."""

    order: IntArray
    energy_kwh: FloatArray
    starts: IntArray
    node: IntArray
    price_eur_per_kwh: FloatArray

    @classmethod
    def of(cls, owner: IntArray, node: IntArray, price_eur_per_kwh: FloatArray, energy_kwh: FloatArray) -> _Steps:
        """Sort one side's orders into steps."""
        order = np.lexsort((owner, price_eur_per_kwh, node))
        node, price = node[order], price_eur_per_kwh[order]
        new: BoolArray = np.ones(order.size, dtype=np.bool_)
        new[1:] = (node[1:] != node[:-1]) | (price[1:] != price[:-1])
        starts = np.flatnonzero(new)
        return cls(order, energy_kwh[order], starts, node[starts], price[starts])

    @property
    def capacity_kwh(self) -> FloatArray:
        """Energy of each step [kWh]."""
        return np.asarray(np.add.reduceat(self.energy_kwh, self.starts) if self.starts.size else np.zeros(0))

    def fills(self, step_kwh: FloatArray) -> FloatArray:
        """Return the fill of each order, in the book's order."""
        before = np.cumsum(self.energy_kwh) - self.energy_kwh
        counts = np.diff(np.append(self.starts, self.order.size))
        before -= np.repeat(before[self.starts], counts)
        filled = np.empty(self.order.size)
        filled[self.order] = np.clip(np.repeat(step_kwh, counts) - before, 0.0, self.energy_kwh)
        return filled


def drawn_kwh(book: OrderBook, node: IntArray, nodes: int, bought_kwh: FloatArray, sold_kwh: FloatArray) -> FloatArray:
    """Return what the trades draw at each node, shape (nodes,) [kWh].

    Parameters
    ----------
    book : OrderBook
        The orders.
    node : ndarray of int
        Node of each prosumer, by its index.
    nodes : int
        How many nodes there are.
    bought_kwh, sold_kwh : ndarray, shape (B,) and (S,)
        Fills [kWh].
    """
    return np.asarray(
        np.bincount(node[book.buyer], bought_kwh, nodes) - np.bincount(node[book.seller], sold_kwh, nodes)
    )


def dispatch(book: OrderBook, node: IntArray, per_kwh: FloatArray, room: FloatArray) -> Dispatch:
    r"""Return the fills of largest welfare that keep a feeder's limits.

    .. math::

        \max \sum_i b_i x_i - \sum_j a_j y_j \quad \text{with} \quad
        e_n = \sum_{i \in n} x_i - \sum_{j \in n} y_j, \quad \sum_n e_n = 0, \quad A e \le u

    over fills within the orders. The dual of a node's balance is its price [1]_: one price for all, that of the sum
    over nodes, and :math:`A^\top \mu` for the limits' duals.

    Parameters
    ----------
    book : OrderBook
        The orders.
    node : ndarray of int
        Node of each prosumer, by its index.
    per_kwh : ndarray, shape (R, N)
        How each limited quantity moves with the energy drawn at each node.
    room : ndarray, shape (2 R,)
        How far each may rise, and then fall, from where it is without trades; non-negative.

    Raises
    ------
    SolveError
        If the solver ends without an optimum; trading nothing is always a solution, so this is numerical trouble.

    References
    ----------
    .. [1] F. C. Schweppe, M. C. Caramanis, R. D. Tabors, R. E. Bohn, "Spot Pricing of Electricity", Kluwer, 1988.
    """
    bids = _Steps.of(book.buyer, node[book.buyer], book.bid_eur_per_kwh, book.bid_kwh)
    asks = _Steps.of(book.seller, node[book.seller], book.ask_eur_per_kwh, book.ask_kwh)
    steps, nodes = bids.node.size + asks.node.size, per_kwh.shape[1]
    side = np.concatenate([np.ones(bids.node.size), -np.ones(asks.node.size)])
    places = (np.concatenate([bids.node, asks.node]), np.arange(steps))
    balance = sparse.hstack([sparse.coo_array((side, places), (nodes, steps)), -sparse.eye_array(nodes)])
    whole = sparse.coo_array(np.concatenate([np.zeros(steps), np.ones(nodes)])[None])
    matters = np.flatnonzero(np.concatenate([per_kwh, per_kwh]).any(axis=1))
    limited = np.concatenate([per_kwh, -per_kwh])[matters]
    # In kWh at the node that moves it most, so that one tolerance suits all; the solver takes what is small for zero.
    in_kwh = 1 / np.abs(limited).max(axis=1, initial=0.0)
    top = np.concatenate([bids.capacity_kwh, asks.capacity_kwh, np.full(nodes, np.inf)])
    solved = linprog(
        np.concatenate([-bids.price_eur_per_kwh, asks.price_eur_per_kwh, np.zeros(nodes)]),
        A_ub=sparse.hstack([sparse.coo_array((matters.size, steps)), sparse.coo_array(limited * in_kwh[:, None])]),
        b_ub=room[matters] * in_kwh,
        A_eq=sparse.vstack([balance, whole]),
        b_eq=np.zeros(nodes + 1),
        bounds=np.stack([np.concatenate([np.zeros(steps), np.full(nodes, -np.inf)]), top], axis=1),
        method="highs-ds",
        # With many steps and few rows, presolving takes ten times as long as the simplex method itself.
        options={
            "presolve": False,
            "primal_feasibility_tolerance": _TOLERANCE,
            "dual_feasibility_tolerance": _TOLERANCE,
        },
    )
    if solved.status != 0:
        raise SolveError(f"no network-aware clearing of {steps} steps at {nodes} nodes: {solved.message}")
    shadow = np.zeros(room.size)
    shadow[matters] = np.maximum(-np.asarray(solved.ineqlin.marginals), 0.0) * in_kwh
    rows = per_kwh.shape[0]
    return Dispatch(
        bids.fills(solved.x[: bids.node.size]),
        asks.fills(solved.x[bids.node.size : steps]),
        per_kwh.T @ (shadow[:rows] - shadow[rows:]),
        shadow,
    )
