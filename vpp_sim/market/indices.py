"""What one clearing is worth to its members: welfare, budget, gains, whom it hurts, and what a lie would bring.

What a member gains is measured against dealing with the retailer alone, at the retail and feed-in prices of the book.
How a community fares over many steps is told by :mod:`~vpp_sim.market.community_indices`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative
from vpp_sim.errors import PhysicsError
from vpp_sim.market.accounts import filled, payments_eur, welfare_eur
from vpp_sim.market.optimum import optimum
from vpp_sim.market.protocol import Clearing, ClearingMechanism, OrderBook

__all__ = [
    "Misreports",
    "Rationality",
    "budget_residual_eur",
    "member_gains_eur",
    "misreports",
    "rationality",
    "welfare_share",
]

_ROUNDING = 1e-9
"""A loss below this share of the order's worth is rounding [1]."""


def welfare_share(clearing: Clearing, book: OrderBook, values: OrderBook | None = None) -> float:
    """Return the welfare of a clearing as a share of the largest there is, found by linear programming.

    Parameters
    ----------
    clearing : Clearing
        The trades.
    book : OrderBook
        The orders that led to them.
    values : OrderBook, optional
        The same orders at the prices that they are truly worth; `book` itself, as if all were honest, when left out.

    Returns
    -------
    float
        At most 1, and 1 where there is nothing to gain; negative where trades destroy value.

    Examples
    --------
    >>> from vpp_sim.market.clearing import NoTrade, UniformPrice
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([2.0]), bid_eur_per_kwh=np.array([3.0]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([1.0]),
    ...     retail_eur_per_kwh=3.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> welfare_share(UniformPrice().clear(book), book), welfare_share(NoTrade().clear(book), book)
    (1.0, 0.0)
    """
    truth = book if values is None else values
    best = optimum(truth).welfare_eur
    return welfare_eur(clearing, truth) / best if best > 0 else 1.0


def budget_residual_eur(clearing: Clearing) -> float:
    """Return what buyers pay less what sellers are paid [EUR]: 0 balances, above 0 someone keeps it, below adds it."""
    paid_eur = clearing.energy_kwh @ clearing.paid_eur_per_kwh
    return float(paid_eur - clearing.energy_kwh @ clearing.price_eur_per_kwh)


def member_gains_eur(clearing: Clearing, book: OrderBook) -> tuple[FloatArray, FloatArray]:
    """Return what each order gains against dealing with the retailer alone.

    Returns
    -------
    buyer_eur : ndarray, shape (B,)
        The retail price of what was bought here, less what was paid for it, fees included [EUR].
    seller_eur : ndarray, shape (S,)
        What was earned here, less the feed-in price of it [EUR].

    Examples
    --------
    >>> from vpp_sim.market.clearing import MidMarketRate
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([100.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([1]), ask_kwh=np.array([60.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> member_gains_eur(MidMarketRate().clear(book), book)
    (array([6.]), array([6.]))
    """
    bought_kwh, sold_kwh = filled(clearing, book)
    paid_eur, earned_eur = payments_eur(clearing, book)
    return book.retail_eur_per_kwh * bought_kwh - paid_eur, earned_eur - book.feed_in_eur_per_kwh * sold_kwh


@dataclass(frozen=True, slots=True)
class Rationality:
    """Whom a clearing hurts.

    Attributes
    ----------
    beyond_limit : int
        Orders that pay more, or are paid less, than their own limits allow.
    worse_off : int
        Orders that the retailer alone would have served better.
    orders : int
        All orders.
    community_gain_eur : float
        What all members gain together against the retailer alone; below zero the community as a whole is hurt [EUR].
    """

    beyond_limit: int
    worse_off: int
    orders: int
    community_gain_eur: float


def rationality(clearing: Clearing, book: OrderBook) -> Rationality:
    """Count the orders that a clearing hurts, by their own limits and against not trading; rounding is let pass.

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([1.0]), bid_eur_per_kwh=np.array([0.20]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> one = np.ones(1)
    >>> dear = Clearing(book.buyer, book.seller, one, 0.22 * one, 0.0 * one, 0.22)
    >>> found = rationality(dear, book)
    >>> found.beyond_limit, found.worse_off, round(found.community_gain_eur, 12)
    (1, 0, 0.2)
    """
    bought_kwh, sold_kwh = filled(clearing, book)
    paid_eur, earned_eur = payments_eur(clearing, book)
    gains = member_gains_eur(clearing, book)
    kwh = np.concatenate([bought_kwh, sold_kwh])
    dearest = np.max(np.abs(np.concatenate([book.bid_eur_per_kwh, book.ask_eur_per_kwh, [1.0]])))
    slack_eur = _ROUNDING * dearest * (kwh + kwh.max(initial=0.0))
    by_limit = np.concatenate(
        [book.bid_eur_per_kwh * bought_kwh - paid_eur, earned_eur - book.ask_eur_per_kwh * sold_kwh]
    )
    by_retailer = np.concatenate(gains)
    return Rationality(
        beyond_limit=int((by_limit < -slack_eur).sum()),
        worse_off=int((by_retailer < -slack_eur).sum()),
        orders=kwh.size,
        community_gain_eur=float(by_retailer.sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Misreports:
    """What sampled members could gain by lying while all others are honest.

    Attributes
    ----------
    member : ndarray of int, shape (m,)
        The members.
    gain_eur : ndarray, shape (m,)
        Most that each gains over its honest report [EUR], never negative: honesty is among the reports.
    price_eur_per_kwh : ndarray, shape (m,)
        The best report's limit [EUR/kWh].
    quantity_share : ndarray, shape (m,)
        The best report's energy as a share of the true one [1].
    """

    member: IntArray
    gain_eur: FloatArray
    price_eur_per_kwh: FloatArray
    quantity_share: FloatArray

    @property
    def greatest_eur(self) -> float:
        """The greatest gain [EUR]; 0 where nobody was sampled."""
        return float(self.gain_eur.max(initial=0.0))

    @property
    def mean_eur(self) -> float:
        """The mean gain [EUR]; 0 where nobody was sampled."""
        return float(self.gain_eur.mean()) if self.gain_eur.size else 0.0


def misreports(
    mechanism: ClearingMechanism,
    book: OrderBook,
    members: IntArray,
    *,
    prices_eur_per_kwh: FloatArray,
    quantity_shares: FloatArray,
) -> Misreports:
    """Search the best response of each member to the honest reports of all others, over a grid of reports.

    The limits and energies of `book` are taken as true. A member values what it buys, up to what it wants, at its
    limit; what it bought beyond that it feeds in. A seller forgoes its limit for each kWh it has; what it sold beyond
    that it buys from the retailer. The search is a lower bound: it knows no report between the points of the grid.

    Parameters
    ----------
    mechanism : ClearingMechanism
        The market.
    book : OrderBook
        The honest orders.
    members : ndarray of int, shape (m,)
        Who may lie, one at a time; each must have an order.
    prices_eur_per_kwh : ndarray, shape (P,)
        Limits to try [EUR/kWh], beside the honest one.
    quantity_shares : ndarray, shape (K,)
        Energies to try as shares of the true one, non-negative, beside 1.

    Raises
    ------
    PhysicsError
        If a member has no order, or a share is negative.

    Examples
    --------
    The only buyer of a double auction presses the price down to what the seller asks:

    >>> from vpp_sim.market.clearing import UniformPrice
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([1.0]), bid_eur_per_kwh=np.array([3.0]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([1.0]),
    ...     retail_eur_per_kwh=3.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> grid = np.array([1.0, 2.0])
    >>> found = misreports(
    ...     UniformPrice(), book, np.array([0]), prices_eur_per_kwh=grid, quantity_shares=np.ones(1)
    ... )
    >>> found.greatest_eur, found.price_eur_per_kwh
    (1.0, array([1.]))
    """
    require_non_negative("quantity_shares", quantity_shares)
    require_finite("prices_eur_per_kwh", prices_eur_per_kwh)
    best = [_best_report(mechanism, book, int(member), prices_eur_per_kwh, quantity_shares) for member in members]
    gain, price, share = np.array(best, dtype=np.float64).reshape(-1, 3).T
    return Misreports(np.asarray(members, dtype=np.int64), gain, price, share)


def _best_report(
    mechanism: ClearingMechanism, book: OrderBook, member: int, prices: FloatArray, shares: FloatArray
) -> tuple[float, float, float]:
    """Return one member's greatest gain, and the report that brings it."""
    buys = member in book.buyer
    place = np.flatnonzero((book.buyer if buys else book.seller) == member)
    if not place.size:
        raise PhysicsError(f"prosumer {member} has no order to misreport")
    at = int(place[0])
    limit = float((book.bid_eur_per_kwh if buys else book.ask_eur_per_kwh)[at])
    honest = _utility_eur(mechanism.clear(book), book, at, buys)
    best = (0.0, limit, 1.0)
    for price in (limit, *prices.tolist()):
        for share in (1.0, *shares.tolist()):
            told = _told(book, at, buys, price, share)
            gain = _utility_eur(mechanism.clear(told), book, at, buys) - honest
            if gain > best[0]:
                best = (gain, price, share)
    return best


def _told(book: OrderBook, at: int, buys: bool, price: float, share: float) -> OrderBook:
    """Return the book in which one order is misreported."""
    kwh = (book.bid_kwh if buys else book.ask_kwh).copy()
    limits = (book.bid_eur_per_kwh if buys else book.ask_eur_per_kwh).copy()
    kwh[at], limits[at] = share * kwh[at], price
    if buys:
        return replace(book, bid_kwh=kwh, bid_eur_per_kwh=limits)
    return replace(book, ask_kwh=kwh, ask_eur_per_kwh=limits)


def _utility_eur(clearing: Clearing, true: OrderBook, at: int, buys: bool) -> float:
    """Return what a clearing is worth to one order, by its true limit and energy [EUR]."""
    mine = (clearing.buyer == true.buyer[at]) if buys else (clearing.seller == true.seller[at])
    kwh = clearing.energy_kwh[mine]
    traded = float(kwh.sum())
    if buys:
        useful = min(traded, float(true.bid_kwh[at]))
        worth = useful * true.bid_eur_per_kwh[at] + (traded - useful) * true.feed_in_eur_per_kwh
        return float(worth - kwh @ clearing.paid_eur_per_kwh[mine])
    own = min(traded, float(true.ask_kwh[at]))
    cost = own * true.ask_eur_per_kwh[at] + (traded - own) * true.retail_eur_per_kwh
    return float(kwh @ clearing.price_eur_per_kwh[mine] - cost)
