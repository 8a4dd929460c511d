"""The Vickrey-Clarke-Groves double auction: members pay, or are paid, what their presence does to the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.market.merit import merit_order
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import at_prices, no_trade
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["Vcg"]


def _best_use_eur(energy_kwh: FloatArray, stock_kwh: FloatArray, worth_eur_per_kwh: FloatArray) -> FloatArray:
    """Return what each of `energy_kwh` would fetch from the top of a stock, dearest first, shape (N,) [EUR]."""
    kwh = np.concatenate([[0.0], np.cumsum(stock_kwh)])
    eur = np.concatenate([[0.0], np.cumsum(stock_kwh * worth_eur_per_kwh)])
    best: FloatArray = np.interp(energy_kwh, kwh, eur)
    return best


def _others_gain_eur(
    limit_eur_per_kwh: FloatArray,
    energy_kwh: FloatArray,
    traded_kwh: FloatArray,
    facing_eur_per_kwh: FloatArray,
    facing_traded_kwh: FloatArray,
) -> FloatArray:
    """Return what all others would gain if a buyer left, for each of the bids in merit order, shape (N,) [EUR].

    What the facing asks sent the buyer goes to where it is worth most: to bids that are not filled, or back to the
    dearest asks, which then need not deliver. A buyer's own rest is not among the former, so the one order that is
    filled in part has a stock of its own.
    """
    # Both parts of the stock stand with the dearest first: a stable sort merges them in linear time.
    worth = np.concatenate([limit_eur_per_kwh, facing_eur_per_kwh[::-1]])
    stock_kwh = np.concatenate([energy_kwh - traded_kwh, facing_traded_kwh[::-1]])
    dearest = np.argsort(-worth, kind="stable")
    gain = _best_use_eur(traded_kwh, stock_kwh[dearest], worth[dearest])
    marginal = np.flatnonzero(traded_kwh)[-1:]
    stock_kwh[marginal] = 0.0
    gain[marginal] = _best_use_eur(traded_kwh[marginal], stock_kwh[dearest], worth[dearest])
    return gain


@dataclass(frozen=True, slots=True)
class Vcg:
    r"""Efficient and truthful double auction of Vickrey, Clarke and Groves [1]_, which runs a deficit.

    The trades are those of the merit order. With :math:`W` the largest welfare and :math:`W_{-i}` that of the others
    without :math:`i`, a buyer of energy :math:`x_i` with limit :math:`v_i` pays
    :math:`W_{-i} - (W - v_i x_i)`, and a seller of :math:`y_j` with limit :math:`c_j` is paid
    :math:`(W + c_j y_j) - W_{-j}`. Orders may have any energy, and are filled in part where that is best. A prosumer
    has one order, so without :math:`i` all of it is gone.

    In pairs: a seller is paid her sum per kWh by every buyer, and a buyer's fee is what his own sum per kWh differs
    from it, mostly negative: sellers are paid at least what buyers pay, and whoever runs the market adds the rest.

    Truthful in limits and in energy, efficient, nobody loses, never a surplus. A least energy an order is kept before
    the payments are found; which orders it shuts out depends on limits, and the claims then hold no longer.

    All absences come from one sum along the merit order instead of one clearing each: without a buyer, her energy goes
    to the dearest of what is unserved and what need not be produced. O(N log N).

    References
    ----------
    .. [1] W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16 (1961)
       8-37, https://doi.org/10.1111/j.1540-6261.1961.tb02789.x; E. H. Clarke, "Multipart pricing of public goods",
       Public Choice 11 (1971) 17-33, https://doi.org/10.1007/BF01726210; T. Groves, "Incentives in teams",
       Econometrica 41 (1973) 617-631, https://doi.org/10.2307/1914085

    Examples
    --------
    >>> unit, prosumers = np.ones(5), np.arange(10)
    >>> book = OrderBook(
    ...     buyer=prosumers[:5], bid_kwh=unit, bid_eur_per_kwh=np.array([100.0, 90.0, 80.0, 70.0, 60.0]),
    ...     seller=prosumers[5:], ask_kwh=unit, ask_eur_per_kwh=np.array([80.0, 85.0, 95.0, 100.0, 110.0]),
    ...     retail_eur_per_kwh=110.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> clearing = Vcg().clear(book)
    >>> clearing.paid_eur_per_kwh, clearing.price_eur_per_kwh, clearing.surplus_eur
    (array([85., 85.]), array([90., 90.]), -10.0)
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the efficient trades, with everybody's externality as her payment."""
        return at_least_minimum(book, self._clear, queue=True)

    def _clear(self, book: OrderBook) -> Clearing:
        order = merit_order(book)
        if not order.energy_kwh.size:
            return no_trade()
        bid_kwh, limit = book.bid_kwh[order.bids], book.bid_eur_per_kwh[order.bids]
        ask_kwh, cost = book.ask_kwh[order.asks], book.ask_eur_per_kwh[order.asks]
        # Running sums may exceed an order by their rounding.
        bought_kwh = np.minimum(np.bincount(order.bid, order.energy_kwh, bid_kwh.size), bid_kwh)
        sold_kwh = np.minimum(np.bincount(order.ask, order.energy_kwh, ask_kwh.size), ask_kwh)
        paid_eur = _others_gain_eur(limit, bid_kwh, bought_kwh, cost, sold_kwh)
        # A seller is a buyer of negative worth: without her, her energy comes from where it is cheapest.
        earned_eur = -_others_gain_eur(-cost, ask_kwh, sold_kwh, -limit, bought_kwh)
        pay = np.minimum(paid_eur[order.bid] / bought_kwh[order.bid], limit[order.bid])
        get = np.maximum(earned_eur[order.ask] / sold_kwh[order.ask], cost[order.ask])
        bid, ask = order.pairs
        return at_prices(book.buyer[bid], book.seller[ask], order.energy_kwh, get, pay - get)
