"""The pay-as-bid double auction: matched like the uniform price, paid pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vpp_sim.errors import PhysicsError
from vpp_sim.market.merit import merit_order
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import at_prices
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["PayAsBid", "Spread"]

Spread = Literal["to_seller", "halved", "to_market"]
"""Who is left with the difference of a pair's bid and ask."""


@dataclass(frozen=True, slots=True)
class PayAsBid:
    """Double auction in which every pair settles at its own limits, also called discriminatory [1]_.

    Bids are served from the dearest and asks from the cheapest, as in the uniform-price auction, with the same trades.
    The dearest bid meets the cheapest ask. What a pair's bid exceeds its ask by is its spread, and goes by choice

    - to the seller: the buyer pays its bid, all of it to the seller;
    - halved: both trade at the middle of bid and ask;
    - to the market: the buyer pays its bid, the seller is paid its ask, and the market keeps the difference as a fee.

    Nobody loses and the trade is efficient if limits are true, but they will not be: who pays her bid shades it. The
    budget balances, or leaves the spread over where that goes to the market.

    Parameters
    ----------
    spread : {"to_seller", "halved", "to_market"}, default "to_seller"
        Who is left with the spread.

    Raises
    ------
    PhysicsError
        If `spread` is another word.

    References
    ----------
    .. [1] D. Friedman, J. Rust (eds.), "The Double Auction Market: Institutions, Theories, and Evidence", Santa Fe
       Institute Studies in the Sciences of Complexity 14, Addison-Wesley, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([1.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([0.125]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> PayAsBid().clear(book).price_eur_per_kwh
    array([0.25])
    >>> clearing = PayAsBid(spread="to_market").clear(book)
    >>> clearing.price_eur_per_kwh, clearing.surplus_eur
    (array([0.125]), 0.125)
    """

    spread: Spread = "to_seller"

    def __post_init__(self) -> None:
        """Check the word."""
        if self.spread not in get_args(Spread):
            raise PhysicsError(f"spread is {self.spread!r}, expected one of {', '.join(get_args(Spread))}")

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades, each at its own price."""
        return at_least_minimum(book, self._clear, queue=True)

    def _clear(self, book: OrderBook) -> Clearing:
        order = merit_order(book)
        bid, ask = order.pairs
        buyer, seller = book.buyer[bid], book.seller[ask]
        pay, get = book.bid_eur_per_kwh[bid], book.ask_eur_per_kwh[ask]
        if self.spread == "to_market":
            return at_prices(buyer, seller, order.energy_kwh, get, pay - get)
        return at_prices(buyer, seller, order.energy_kwh, pay if self.spread == "to_seller" else (pay + get) / 2)
