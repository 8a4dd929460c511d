"""The first three local mechanisms: no trade, the mid-market rate, and the uniform-price double auction."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_sim.errors import PhysicsError
from vpp_sim.market.merit import merit_order
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import at_one_price, no_trade, pro_rata
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["KDoubleAuction", "MidMarketRate", "NoTrade", "UniformPrice"]


@dataclass(frozen=True, slots=True)
class NoTrade:
    """Nobody trades: everyone deals with the retailer, the reference that every other mechanism is measured against."""

    def clear(self, book: OrderBook) -> Clearing:
        """Return no trades."""
        return no_trade()


@dataclass(frozen=True, slots=True)
class MidMarketRate:
    r"""Trade what is there at the middle of the retail and feed-in prices, pro rata on the longer side [1]_.

    With supply :math:`G`, demand :math:`D`, retail price :math:`b`, feed-in price :math:`s` and their mean :math:`p`,
    the energy :math:`\min(G, D)` trades at :math:`p` and the rest is settled outside. The prices that members see on
    average are the textbook's: buyers pay :math:`(pG + b(D - G)) / D` if :math:`G < D`, sellers get
    :math:`(pD + s(G - D)) / G` if :math:`G > D`, and :math:`p` otherwise.

    An order whose limit refuses :math:`p` stays outside, so nobody is worse off than without the market.

    References
    ----------
    .. [1] C. Long, J. Wu, C. Zhang, L. Thomas, M. Cheng, N. Jenkins, "Peer-to-peer energy trading in a community
       microgrid", IEEE PES General Meeting, 2017. https://doi.org/10.1109/PESGM.2017.8274546

    Examples
    --------
    >>> import numpy as np
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([100.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([1]), ask_kwh=np.array([60.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> clearing = MidMarketRate().clear(book)
    >>> round(clearing.market_eur_per_kwh, 12), clearing.traded_kwh
    (0.15, 60.0)
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades at the mid-market rate."""
        return pro_rata(book, (book.retail_eur_per_kwh + book.feed_in_eur_per_kwh) / 2)


@dataclass(frozen=True, slots=True)
class UniformPrice:
    r"""Double auction in which all trades settle at one price between the marginal bid and ask [1]_.

    Bids are served from the dearest and asks from the cheapest, lower ids first where prices tie, as long as the bid is
    not below the ask. That maximises welfare over the reported prices, and volume among the maxima. The price is
    :math:`k b_m + (1 - k) a_m` with the last matched bid :math:`b_m` and ask :math:`a_m`.

    The order that is last may be filled in part; its rest stays outside although its limit would admit the price.
    The budget balances, nobody loses, and the trade is efficient if limits are true; but whoever sets the price gains
    by shading her limit.

    Parameters
    ----------
    k : float, default 0.5
        Share of the marginal pair's gain that goes to the sellers, between 0 and 1.

    Raises
    ------
    PhysicsError
        If `k` is outside 0..1.

    References
    ----------
    .. [1] M. A. Satterthwaite, S. R. Williams, "Bilateral trade with the sealed bid k-double auction: existence and
       efficiency", Journal of Economic Theory 48 (1989) 107-133. https://doi.org/10.1016/0022-0531(89)90121-X

    Examples
    --------
    >>> import numpy as np
    >>> unit, prosumers = np.ones(5), np.arange(10)
    >>> book = OrderBook(
    ...     buyer=prosumers[:5], bid_kwh=unit, bid_eur_per_kwh=np.array([100.0, 90.0, 80.0, 70.0, 60.0]),
    ...     seller=prosumers[5:], ask_kwh=unit, ask_eur_per_kwh=np.array([80.0, 85.0, 95.0, 100.0, 110.0]),
    ...     retail_eur_per_kwh=110.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> clearing = UniformPrice().clear(book)
    >>> clearing.traded_kwh, clearing.market_eur_per_kwh
    (2.0, 87.5)
    """

    k: float = 0.5

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 <= self.k <= 1:
            raise PhysicsError(f"k is {self.k:g}, expected 0..1")

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades at the one price."""
        return at_least_minimum(book, self._clear, queue=True)

    def _clear(self, book: OrderBook) -> Clearing:
        order = merit_order(book)
        bid, ask = order.pairs
        if not bid.size:
            return no_trade()
        price = self.k * book.bid_eur_per_kwh[bid[-1]] + (1 - self.k) * book.ask_eur_per_kwh[ask[-1]]
        return at_one_price(book.buyer[bid], book.seller[ask], order.energy_kwh, float(price))


KDoubleAuction = UniformPrice
"""The name by which the auction goes in the literature on bargaining, where `k` is at the centre."""
