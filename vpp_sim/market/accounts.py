"""What a clearing means to its members: energy traded, the price each sees with its residual, and the gain of all."""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["blended_prices", "filled", "payments_eur", "welfare_eur"]


def _sum_by(owner: IntArray, of: IntArray, values: FloatArray) -> FloatArray:
    """Sum `values` over the entries of `of`, for each of `owner`."""
    sums = np.bincount(of, weights=values, minlength=int(owner.max(initial=-1)) + 1)
    return sums[owner].astype(np.float64)


def filled(clearing: Clearing, book: OrderBook) -> tuple[FloatArray, FloatArray]:
    """Return how much of each order was traded.

    Returns
    -------
    bought_kwh : ndarray, shape (B,)
        Energy that each bid received [kWh].
    sold_kwh : ndarray, shape (S,)
        Energy that each ask delivered [kWh].

    Examples
    --------
    >>> from vpp_sim.market.clearing import MidMarketRate
    >>> book = OrderBook(
    ...     buyer=np.array([7, 3]), bid_kwh=np.array([3.0, 1.0]), bid_eur_per_kwh=np.array([0.25, 0.25]),
    ...     seller=np.array([5]), ask_kwh=np.array([2.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> filled(MidMarketRate().clear(book), book)
    (array([1.5, 0.5]), array([2.]))
    """
    return (
        _sum_by(book.buyer, clearing.buyer, clearing.energy_kwh),
        _sum_by(book.seller, clearing.seller, clearing.energy_kwh),
    )


def payments_eur(clearing: Clearing, book: OrderBook) -> tuple[FloatArray, FloatArray]:
    """Return the money that changes hands for each order.

    Returns
    -------
    paid_eur : ndarray, shape (B,)
        What each bid pays, fees included [EUR].
    earned_eur : ndarray, shape (S,)
        What each ask is paid [EUR].

    Examples
    --------
    >>> from vpp_sim.market.clearing import MidMarketRate
    >>> book = OrderBook(
    ...     buyer=np.array([7, 3]), bid_kwh=np.array([3.0, 1.0]), bid_eur_per_kwh=np.array([0.25, 0.25]),
    ...     seller=np.array([5]), ask_kwh=np.array([2.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> paid_eur, earned_eur = payments_eur(MidMarketRate().clear(book), book)
    >>> paid_eur.round(9), earned_eur.round(9)
    (array([0.225, 0.075]), array([0.3]))
    """
    return (
        _sum_by(book.buyer, clearing.buyer, clearing.energy_kwh * clearing.paid_eur_per_kwh),
        _sum_by(book.seller, clearing.seller, clearing.energy_kwh * clearing.price_eur_per_kwh),
    )


def _blend(paid_eur: FloatArray, traded_kwh: FloatArray, order_kwh: FloatArray, outside: float) -> FloatArray:
    total_eur = paid_eur + outside * (order_kwh - traded_kwh)
    blend: FloatArray = np.divide(
        total_eur, order_kwh, out=np.full(order_kwh.shape, float(outside)), where=order_kwh > 0
    )
    return blend


def blended_prices(clearing: Clearing, book: OrderBook) -> tuple[FloatArray, FloatArray]:
    """Return the mean price of each order's whole energy: traded here, the rest with the retailer.

    Returns
    -------
    buy_eur_per_kwh : ndarray, shape (B,)
        What each buyer pays in the mean [EUR/kWh]; the retail price for an order of no energy.
    sell_eur_per_kwh : ndarray, shape (S,)
        What each seller is paid in the mean [EUR/kWh]; the feed-in price for an order of no energy.

    Examples
    --------
    >>> from vpp_sim.market.clearing import MidMarketRate
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([100.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([1]), ask_kwh=np.array([60.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> blended_prices(MidMarketRate().clear(book), book)
    (array([0.19]), array([0.15]))
    """
    bought_kwh, sold_kwh = filled(clearing, book)
    paid_eur, earned_eur = payments_eur(clearing, book)
    return (
        _blend(paid_eur, bought_kwh, book.bid_kwh, book.retail_eur_per_kwh),
        _blend(earned_eur, sold_kwh, book.ask_kwh, book.feed_in_eur_per_kwh),
    )


def welfare_eur(clearing: Clearing, book: OrderBook) -> float:
    """Return the gain from trade by the orders' own limit prices: what buyers would have paid less what sellers asked.

    Examples
    --------
    >>> from vpp_sim.market.clearing import UniformPrice
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([2.0]), bid_eur_per_kwh=np.array([3.0]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([1.0]),
    ...     retail_eur_per_kwh=3.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> welfare_eur(UniformPrice().clear(book), book)
    2.0
    """
    bought_kwh, sold_kwh = filled(clearing, book)
    return float(bought_kwh @ book.bid_eur_per_kwh - sold_kwh @ book.ask_eur_per_kwh)
