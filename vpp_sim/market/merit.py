"""The merit order that every sealed auction begins with: who gains from trading with whom, and how much all gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.market.pairing import match
from vpp_sim.market.protocol import OrderBook

__all__ = ["MeritOrder", "efficient_welfare_eur", "merit_order"]


@dataclass(frozen=True, slots=True, eq=False)
class MeritOrder:
    """The two queues of a book, and the pairs along them that gain.

    Attributes
    ----------
    bids, asks : ndarray of int, shape (P,) and (Q,)
        Places in the book of the orders with energy: bids from the dearest, asks from the cheapest, lower ids first
        where prices tie.
    bid, ask : ndarray of int, shape (M,)
        Places in the two queues that each pair joins; the last pair is the marginal one.
    energy_kwh : ndarray, shape (M,)
        Energy of each pair [kWh], positive.
    """

    bids: IntArray
    asks: IntArray
    bid: IntArray
    ask: IntArray
    energy_kwh: FloatArray

    @property
    def pairs(self) -> tuple[IntArray, IntArray]:
        """Places in the book that each pair joins, shape (M,) each."""
        return self.bids[self.bid], self.asks[self.ask]


def merit_order(book: OrderBook) -> MeritOrder:
    """Serve bids from the dearest and asks from the cheapest, as long as the bid is not below the ask.

    That maximises welfare over the limit prices, and volume among the maxima.

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([0, 1]), bid_kwh=np.array([1.0, 2.0]), bid_eur_per_kwh=np.array([3.0, 4.0]),
    ...     seller=np.array([2]), ask_kwh=np.array([9.0]), ask_eur_per_kwh=np.array([2.0]),
    ...     retail_eur_per_kwh=9.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> merit_order(book).bids, merit_order(book).energy_kwh
    (array([1, 0]), array([2., 1.]))
    """
    bids = np.lexsort((book.buyer, -book.bid_eur_per_kwh))
    asks = np.lexsort((book.seller, book.ask_eur_per_kwh))
    bids, asks = bids[book.bid_kwh[bids] > 0], asks[book.ask_kwh[asks] > 0]
    bid, ask, energy_kwh = match(book.bid_kwh[bids], book.ask_kwh[asks])
    # Along the queues bids only fall and asks only rise, so the pairs that gain come first.
    count = int(np.count_nonzero(book.bid_eur_per_kwh[bids[bid]] >= book.ask_eur_per_kwh[asks[ask]]))
    return MeritOrder(bids, asks, bid[:count], ask[:count], energy_kwh[:count])


def efficient_welfare_eur(book: OrderBook) -> float:
    """Return the most that the members of `book` can gain from trade by their own limit prices [EUR].

    The least energy an order is not regarded: with it the optimum would be a problem of whole numbers.

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([2.0]), bid_eur_per_kwh=np.array([3.0]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([1.0]),
    ...     retail_eur_per_kwh=3.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> efficient_welfare_eur(book)
    2.0
    """
    order = merit_order(book)
    bid, ask = order.pairs
    return float(order.energy_kwh @ (book.bid_eur_per_kwh[bid] - book.ask_eur_per_kwh[ask]))
