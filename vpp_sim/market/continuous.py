"""The continuous double auction: orders arrive one by one and trade at once with what rests in the book."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import at_prices
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["ContinuousDoubleAuction"]

_SLIVER = 1e-12
"""Share of an order's energy below which its rest is rounding, and counts as none."""


@dataclass(frozen=True, slots=True)
class ContinuousDoubleAuction:
    """Orders arrive in the order of their ids, and trade by price, then by time [1]_.

    An arriving bid takes the cheapest resting ask that is not above its limit, the earlier where prices tie, at the
    price of the ask, which came first; then the next, until its energy or the asks that suit it end. The rest of it
    waits in the book for asks to come, which take the dearest bid first. Pairs are listed in the order of their trades.

    The budget balances and nobody loses. The trade is not efficient, even if limits are true: who comes early may take
    what would be worth more to one who comes late.

    The loop over orders is the mechanism's own: who trades with whom depends on all trades before. Two heaps hold the
    resting orders, so that it costs O(N log N).

    References
    ----------
    .. [1] D. K. Gode, S. Sunder, "Allocative efficiency of markets with zero-intelligence traders: market as a partial
       substitute for individual rationality", Journal of Political Economy 101 (1993) 119-137.
       https://doi.org/10.1086/261868

    Examples
    --------
    An ask of 0.10 waits, then one of 0.05; the bid that comes last takes the cheaper.

    >>> book = OrderBook(
    ...     buyer=np.array([2]), bid_kwh=np.array([3.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([0, 1]), ask_kwh=np.array([2.0, 2.0]), ask_eur_per_kwh=np.array([0.10, 0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> clearing = ContinuousDoubleAuction().clear(book)
    >>> clearing.seller, clearing.energy_kwh, clearing.price_eur_per_kwh
    (array([1, 0]), array([2., 1.]), array([0.05, 0.1 ]))
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades, each at the price of the order that came first."""
        return at_least_minimum(book, self._clear, queue=True)

    def _clear(self, book: OrderBook) -> Clearing:
        owner = np.concatenate([book.buyer, book.seller])
        arrival = np.argsort(owner)
        buys = (arrival < book.buyer.size).tolist()
        price = np.concatenate([book.bid_eur_per_kwh, book.ask_eur_per_kwh])[arrival]
        energy_kwh = np.concatenate([book.bid_kwh, book.ask_kwh])[arrival]
        bid, ask, traded_kwh = _trade(buys, price.tolist(), energy_kwh.tolist())
        resting = np.minimum(bid, ask)
        return at_prices(owner[arrival[bid]], owner[arrival[ask]], traded_kwh, price[resting])


def _trade(buys: list[bool], price: list[float], energy_kwh: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the trades of orders that stand in order of arrival: places of bid and ask, and energy, shape (M,)."""
    left_kwh, least_kwh = list(energy_kwh), [_SLIVER * energy for energy in energy_kwh]
    bids: list[tuple[float, int]] = []
    asks: list[tuple[float, int]] = []
    trades: list[tuple[int, int, float]] = []
    for order, (buying, limit) in enumerate(zip(buys, price, strict=True)):
        sign, own, other = (-1.0, bids, asks) if buying else (1.0, asks, bids)
        # Keys are prices signed so that the best comes first: asks as they are, bids negated.
        while left_kwh[order] > least_kwh[order] and other and other[0][0] <= -sign * limit:
            resting = other[0][1]
            traded_kwh = min(left_kwh[order], left_kwh[resting])
            trades.append((order, resting, traded_kwh) if buying else (resting, order, traded_kwh))
            left_kwh[order] -= traded_kwh
            left_kwh[resting] -= traded_kwh
            if left_kwh[resting] <= least_kwh[resting]:
                heappop(other)
        if left_kwh[order] > least_kwh[order]:
            heappush(own, (sign * limit, order))
    bid, ask, traded = zip(*trades, strict=True) if trades else ((), (), ())
    return np.array(bid, dtype=np.int64), np.array(ask, dtype=np.int64), np.array(traded, dtype=np.float64)
