"""The least energy that a market trades for an order, kept in one place for every mechanism.

A mechanism clears as if there were no least energy; here it is asked again, without the orders that fell short, until
none does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, IntArray
from vpp_sim.market.accounts import filled
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["at_least_minimum", "without"]

_ROUNDING = 1e-9
"""Share of the least energy by which a fill may miss it, and stay: the error of running sums."""


def without(book: OrderBook, *, bids: BoolArray, asks: BoolArray) -> OrderBook:
    """Return `book` without the orders that are marked.

    Parameters
    ----------
    book : OrderBook
        The orders.
    bids, asks : ndarray of bool, shape (B,) and (S,)
        True for orders that leave.
    """
    return replace(
        book,
        buyer=book.buyer[~bids],
        bid_kwh=book.bid_kwh[~bids],
        bid_eur_per_kwh=book.bid_eur_per_kwh[~bids],
        seller=book.seller[~asks],
        ask_kwh=book.ask_kwh[~asks],
        ask_eur_per_kwh=book.ask_eur_per_kwh[~asks],
    )


def _leaving(owner: IntArray, filled_kwh: FloatArray, minimum_kwh: float, *, queue: bool) -> BoolArray:
    """Return which orders of one side leave, shape (N,)."""
    leaves: BoolArray = (filled_kwh > 0) & (filled_kwh < minimum_kwh)
    short = np.flatnonzero(leaves)
    if short.size:
        room = int(filled_kwh[short].sum() / minimum_kwh + _ROUNDING)
        share = np.round(filled_kwh[short] / minimum_kwh, 9)  # equal fills differ by rounding
        best_first = short[np.lexsort((owner[short], -share))]
        leaves[best_first[:room]] = False
        if queue and not room:
            leaves |= filled_kwh == 0
    return leaves


def at_least_minimum(
    book: OrderBook,
    clear: Callable[[OrderBook], Clearing],
    *,
    fills: Callable[[OrderBook], tuple[FloatArray, FloatArray]] | None = None,
    queue: bool = False,
) -> Clearing:
    """Return what `clear` makes of `book` without the orders that would be filled with less than its least energy.

    Orders smaller than the least energy leave first. Then the book is cleared; on each side the orders that fell short
    leave, but for as many as the energy that they were given would serve: the best filled, lower ids first where equal.
    The rest is cleared again, until no order is traded short.

    Parameters
    ----------
    book : OrderBook
        The orders, with their least energy.
    clear : callable
        The mechanism, blind to the least energy.
    fills : callable, optional
        What each bid bought and each ask sold by `clear` [kWh], where that is known at less cost than by clearing.
    queue : bool, default False
        Whether orders are served one after the other. Then whoever waits behind an order that fell short would be given
        no more than that one, and leaves with it; this saves asking them one by one.

    Examples
    --------
    Three equal buyers share 2 kWh; at least 0.9 kWh an order leaves room for two.

    >>> from vpp_sim.market.clearing import MidMarketRate
    >>> book = OrderBook(
    ...     buyer=np.arange(3), bid_kwh=np.full(3, 4.0), bid_eur_per_kwh=np.full(3, 0.25),
    ...     seller=np.array([3]), ask_kwh=np.array([2.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05, minimum_kwh=0.9,
    ... )
    >>> clearing = MidMarketRate().clear(book)
    >>> clearing.buyer, clearing.energy_kwh
    (array([0, 1]), array([1., 1.]))
    """
    minimum_kwh = book.minimum_kwh
    if not minimum_kwh:
        return clear(book)
    book = without(book, bids=book.bid_kwh < minimum_kwh, asks=book.ask_kwh < minimum_kwh)
    fills = fills or (lambda some: filled(clear(some), some))
    while True:
        bought_kwh, sold_kwh = fills(book)
        bids = _leaving(book.buyer, bought_kwh, minimum_kwh, queue=queue)
        asks = _leaving(book.seller, sold_kwh, minimum_kwh, queue=queue)
        if not (bids.any() or asks.any()):
            return clear(book)
        book = without(book, bids=bids, asks=asks)
