"""Mechanisms that set prices for a community as a whole, from its supply and demand instead of its members' limits."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_sim.market.pairing import pro_rata
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["BillSharing", "SupplyDemandRatio"]


@dataclass(frozen=True, slots=True)
class SupplyDemandRatio:
    r"""Price local energy by how scarce it is: the more sun for the demand, the closer to the feed-in price [1]_.

    With supply :math:`G`, demand :math:`D`, retail price :math:`b`, feed-in price :math:`s` and :math:`r = G / D`,
    sellers are paid

    .. math:: p = \frac{s b}{(b - s) r + s} \quad (r \le 1), \qquad p = s \quad (r > 1),

    and buyers pay :math:`p r + b (1 - r)`: the energy :math:`\min(G, D)` trades at :math:`p`, pro rata on the longer
    side, and the rest is settled outside.

    The ratio counts every order of the book. An order whose limit refuses :math:`p` stays outside. Where a price is not
    positive the formula has a pole; there :math:`p = s`, its limit for a feed-in price that falls to zero.

    References
    ----------
    .. [1] N. Liu, X. Yu, C. Wang, C. Li, L. Ma, J. Lei, "Energy-sharing model with price-based demand response for
       microgrids of peer-to-peer prosumers", IEEE Transactions on Power Systems 32 (2017) 3569-3583.
       https://doi.org/10.1109/TPWRS.2017.2649558

    Examples
    --------
    >>> import numpy as np
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([100.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([1]), ask_kwh=np.array([60.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> round(SupplyDemandRatio().clear(book).market_eur_per_kwh, 6)
    0.073529
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades at the price of the ratio."""
        supply_kwh, demand_kwh = float(book.ask_kwh.sum()), float(book.bid_kwh.sum())
        retail, feed_in = book.retail_eur_per_kwh, book.feed_in_eur_per_kwh
        price = feed_in
        if supply_kwh <= demand_kwh and demand_kwh and min(retail, feed_in) > 0:
            price = feed_in * retail / ((retail - feed_in) * supply_kwh / demand_kwh + feed_in)
            # Rounding must not push the price beyond a limit that equals an outside price.
            price = min(max(price, min(retail, feed_in)), max(retail, feed_in))
        return pro_rata(book, price)


@dataclass(frozen=True, slots=True)
class BillSharing:
    r"""Local energy costs nothing; the bill or the income of the whole community is shared by energy [1]_.

    With supply :math:`G`, demand :math:`D`, retail price :math:`b` and feed-in price :math:`s`, a community that lacks
    energy is billed :math:`b (D - G)`, which its buyers share: each pays :math:`b (D - G) / D` a kWh, and sellers are
    paid nothing. One that has too much earns :math:`s (G - D)`, which its sellers share: :math:`s (G - D) / G` a kWh,
    and buyers pay nothing. As pairs: the energy :math:`\min(G, D)` changes hands for free, pro rata on the longer side,
    and the rest is settled outside.

    It looks at the community as a whole: limits are not asked, and who sells earns less than without the market. The
    bill of all is the least possible.

    References
    ----------
    .. [1] C. Long, J. Wu, C. Zhang, L. Thomas, M. Cheng, N. Jenkins, "Peer-to-peer energy trading in a community
       microgrid", IEEE PES General Meeting, 2017. https://doi.org/10.1109/PESGM.2017.8274546

    Examples
    --------
    >>> import numpy as np
    >>> from vpp_sim.market.accounts import blended_prices
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([100.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([1]), ask_kwh=np.array([60.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> blended_prices(BillSharing().clear(book), book)
    (array([0.1]), array([0.]))
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades, at no price."""
        return pro_rata(book, 0.0, limits=False)
