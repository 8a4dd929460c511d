"""Double auctions that give up the marginal trade so that nobody gains from hiding her limit: no price is one's own.

All three find the marginal bid and ask along the merit order and take their prices from orders that do not trade. An
order that stays in trades at a price that its own limit does not move; one that is shut out could only come in at a
price beyond its limit. For orders of one size that is the textbook. With orders of several sizes the two sides that
stay in differ in energy, and the longer one is cut by energy alone: who bid highest or asked least makes no difference,
so trade reduction and Huang's auction still leave nothing to gain from a false limit. McAfee's does: by shortening the
trade a large order can choose between its two cases. What is claimed is about limits; who offers more or less energy
than she has may gain. A least energy an order takes the claims away, since who falls short depends on others' limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.market.merit import MeritOrder, merit_order
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import at_one_price, in_proportion, match, no_trade
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["HuangMultiUnit", "McAfee", "TradeReduction", "in_equal_parts"]

Ration = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


def in_equal_parts(wanted_kwh: FloatArray, offered_kwh: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fill the shorter side whole and cut every order of the longer side by the same energy.

    An order smaller than its part gives up all of its energy, and the others share what is left to give up.

    Parameters
    ----------
    wanted_kwh, offered_kwh : ndarray, shape (B,) and (S,)
        Energy of each order [kWh], non-negative.

    Returns
    -------
    bought_kwh, sold_kwh : ndarray, shape (B,) and (S,)
        What each is filled with [kWh], with equal sums.

    Examples
    --------
    >>> in_equal_parts(np.array([5.0, 3.0, 0.5]), np.array([4.5]))
    (array([3.25, 1.25, 0.  ]), array([4.5]))
    """
    demand_kwh, supply_kwh = float(wanted_kwh.sum()), float(offered_kwh.sum())
    if demand_kwh > supply_kwh:
        return _cut(wanted_kwh, demand_kwh - supply_kwh), offered_kwh
    return wanted_kwh, _cut(offered_kwh, supply_kwh - demand_kwh)


def _cut(energy_kwh: FloatArray, excess_kwh: float) -> FloatArray:
    """Take `excess_kwh` from the orders in equal parts, from none more than it has."""
    if not energy_kwh.size:
        return energy_kwh
    ordered = np.sort(energy_kwh)
    # If the orders below the k-th give up everything, the k-th and larger ones give up `part[k]` each.
    gone = np.concatenate([[0.0], np.cumsum(ordered)[:-1]])
    part = (excess_kwh - gone) / np.arange(ordered.size, 0, -1)
    enough = part <= ordered
    enough[-1] = True  # the largest order has what is left to give up, whatever the rounding says
    left: FloatArray = np.maximum(energy_kwh - part[np.argmax(enough)], 0.0)
    return left


def _reduced(book: OrderBook, order: MeritOrder, ration: Ration) -> Clearing:
    """Shut the marginal bid and ask out; they set the prices of those before them."""
    if not order.energy_kwh.size:
        return no_trade()
    last_bid, last_ask = order.bid[-1], order.ask[-1]
    pay = float(book.bid_eur_per_kwh[order.bids[last_bid]])
    get = float(book.ask_eur_per_kwh[order.asks[last_ask]])
    bids, asks = order.bids[:last_bid], order.asks[:last_ask]
    bid, ask, energy_kwh = match(*ration(book.bid_kwh[bids], book.ask_kwh[asks]))
    return at_one_price(book.buyer[bids[bid]], book.seller[asks[ask]], energy_kwh, get, pay - get)


@dataclass(frozen=True, slots=True)
class TradeReduction:
    """Double auction that gives up its least valuable trade and takes its two prices from it [1]_.

    The last bid and the last ask that the merit order would match are shut out. The orders before them trade: buyers
    pay that bid, sellers are paid that ask, and the difference is left over as a fee. The longer of the two sides is
    filled in proportion to its orders.

    Truthful in limits, nobody loses, never a deficit. With orders of one size it loses its least valuable trade and no
    other.

    References
    ----------
    .. [1] M. Babaioff, N. Nisan, "Concurrent auctions across the supply chain", Journal of Artificial Intelligence
       Research 21 (2004) 595-629. https://doi.org/10.1613/jair.1316

    Examples
    --------
    >>> unit, prosumers = np.ones(5), np.arange(10)
    >>> book = OrderBook(
    ...     buyer=prosumers[:5], bid_kwh=unit, bid_eur_per_kwh=np.array([100.0, 90.0, 80.0, 70.0, 60.0]),
    ...     seller=prosumers[5:], ask_kwh=unit, ask_eur_per_kwh=np.array([80.0, 85.0, 95.0, 100.0, 110.0]),
    ...     retail_eur_per_kwh=110.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> clearing = TradeReduction().clear(book)
    >>> clearing.traded_kwh, clearing.surplus_eur
    (1.0, 5.0)
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades that are left when the marginal one is given up."""
        return at_least_minimum(book, lambda some: _reduced(some, merit_order(some), in_proportion))


@dataclass(frozen=True, slots=True)
class HuangMultiUnit:
    """Multi-unit double auction of Huang, Scheller-Wolf and Sycara [1]_.

    As :class:`TradeReduction`, the last bid and the last ask that the merit order would match are shut out and set the
    two prices. What the longer side has too much is spread over its orders in equal parts: each gives up the same
    energy, one smaller than its part gives up all of it.

    Truthful in limits, nobody loses, never a deficit.

    References
    ----------
    .. [1] P. Huang, A. Scheller-Wolf, K. Sycara, "Design of a multi-unit double auction e-market", Computational
       Intelligence 18 (2002) 596-617. https://doi.org/10.1111/1467-8640.t01-1-00206

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.arange(3), bid_kwh=np.array([1.0, 2.0, 5.0]), bid_eur_per_kwh=np.array([3.0, 4.0, 1.0]),
    ...     seller=np.arange(3, 6), ask_kwh=np.array([4.0, 1.0, 5.0]), ask_eur_per_kwh=np.array([2.0, 1.0, 6.0]),
    ...     retail_eur_per_kwh=6.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> clearing = HuangMultiUnit().clear(book)
    >>> clearing.traded_kwh, clearing.paid_eur_per_kwh, clearing.price_eur_per_kwh
    (1.0, array([3.]), array([2.]))
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades that are left when the marginal orders are shut out."""
        return at_least_minimum(book, lambda some: _reduced(some, merit_order(some), in_equal_parts))


@dataclass(frozen=True, slots=True)
class McAfee:
    r"""Double auction that gives up its least valuable trade only where the next orders cannot price it [1]_.

    Let :math:`b` and :math:`a` be the last bid and ask that the merit order matches, and :math:`b'` and :math:`a'` the
    first of either side that it leaves without any trade. If :math:`p = (a' + b') / 2` suits the marginal orders,
    :math:`a \le p \le b`, all matches trade at :math:`p` and the budget balances. Otherwise, or if a side has no order
    left, the marginal bid and ask are shut out as in :class:`TradeReduction`: buyers pay :math:`b`, sellers are paid
    :math:`a`, and the difference is left over as a fee.

    Nobody loses, never a deficit. With orders of one size it is truthful and loses at most its least valuable trade;
    with orders of several sizes a false limit may pay.

    References
    ----------
    .. [1] R. P. McAfee, "A dominant strategy double auction", Journal of Economic Theory 56 (1992) 434-450.
       https://doi.org/10.1016/0022-0531(92)90091-U

    Examples
    --------
    >>> unit, prosumers = np.ones(5), np.arange(10)
    >>> book = OrderBook(
    ...     buyer=prosumers[:5], bid_kwh=unit, bid_eur_per_kwh=np.array([100.0, 90.0, 80.0, 70.0, 60.0]),
    ...     seller=prosumers[5:], ask_kwh=unit, ask_eur_per_kwh=np.array([80.0, 85.0, 95.0, 100.0, 110.0]),
    ...     retail_eur_per_kwh=110.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> clearing = McAfee().clear(book)
    >>> clearing.traded_kwh, clearing.market_eur_per_kwh, clearing.surplus_eur
    (2.0, 87.5, 0.0)
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades, all of them where the next orders can price them."""
        return at_least_minimum(book, self._clear)

    def _clear(self, book: OrderBook) -> Clearing:
        order = merit_order(book)
        if not order.energy_kwh.size:
            return no_trade()
        last_bid, last_ask = order.bid[-1], order.ask[-1]
        if last_bid + 1 < order.bids.size and last_ask + 1 < order.asks.size:
            bids = book.bid_eur_per_kwh[order.bids[last_bid : last_bid + 2]]
            asks = book.ask_eur_per_kwh[order.asks[last_ask : last_ask + 2]]
            price = float(bids[1] + asks[1]) / 2
            if asks[0] <= price <= bids[0]:
                bid, ask = order.pairs
                return at_one_price(book.buyer[bid], book.seller[ask], order.energy_kwh, price)
        return _reduced(book, order, in_proportion)
