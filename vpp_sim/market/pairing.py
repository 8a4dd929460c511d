"""The arithmetic that clearing mechanisms share: cleared quantities into the shortest list of pairs, without a loop.

Two queues of energy are laid side by side; wherever one order ends, a pair ends. That is the north-west corner rule of
the transportation problem, and it gives at most B + S - 1 pairs.
"""

from __future__ import annotations

import math

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import PhysicsError
from vpp_sim.market.minimum import at_least_minimum, without
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["at_one_price", "at_prices", "in_proportion", "match", "no_trade", "pairs", "pro_rata"]

_SLIVER = 1e-12
"""Pairs shorter than this share of the traded energy are rounding of the running sums, and dropped."""


def match(bought_kwh: FloatArray, sold_kwh: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Lay two queues of energy side by side, up to the end of the shorter.

    Parameters
    ----------
    bought_kwh, sold_kwh : ndarray, shape (B,) and (S,)
        Energy of each order [kWh], non-negative, first in the queue first.

    Returns
    -------
    bid, ask : ndarray of int, shape (M,)
        Places in the queues that each pair joins, in the queues' order; M <= B + S - 1.
    energy_kwh : ndarray, shape (M,)
        Energy of each pair [kWh], positive.

    Examples
    --------
    >>> bid, ask, energy_kwh = match(np.array([3.0, 1.0]), np.array([2.0, 9.0]))
    >>> bid, ask, energy_kwh
    (array([0, 0, 1]), array([0, 1, 1]), array([2., 1., 1.]))
    """
    bought_end, sold_end = np.cumsum(bought_kwh), np.cumsum(sold_kwh)
    traded_kwh = min(bought_end[-1], sold_end[-1]) if bought_end.size and sold_end.size else 0.0
    # A stable sort merges two sorted runs in linear time.
    ends = np.minimum(np.sort(np.concatenate([bought_end, sold_end]), kind="stable"), traded_kwh)
    starts = np.concatenate([[0.0], ends[:-1]])
    real = ends - starts > _SLIVER * traded_kwh
    starts, ends = starts[real], ends[real]
    middles = (starts + ends) / 2
    bid = np.searchsorted(bought_end, middles, side="right").astype(np.int64)
    ask = np.searchsorted(sold_end, middles, side="right").astype(np.int64)
    return bid, ask, ends - starts


def pairs(
    buyer: IntArray, bought_kwh: FloatArray, seller: IntArray, sold_kwh: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Turn what each prosumer bought and sold into the shortest list of pairs.

    Parameters
    ----------
    buyer, seller : ndarray of int, shape (B,) and (S,)
        Prosumers.
    bought_kwh, sold_kwh : ndarray, shape (B,) and (S,)
        What each bought and sold [kWh], non-negative, with equal sums.

    Returns
    -------
    buyer, seller : ndarray of int, shape (M,)
        Prosumers of each pair, M <= B + S - 1.
    energy_kwh : ndarray, shape (M,)
        Energy of each pair [kWh], positive.

    Raises
    ------
    PhysicsError
        If the sums differ by more than one part in a billion.

    Examples
    --------
    >>> pairs(np.array([4, 7]), np.array([3.0, 1.0]), np.array([2]), np.array([4.0]))
    (array([4, 7]), array([2, 2]), array([3., 1.]))
    """
    bought, sold = float(bought_kwh.sum()), float(sold_kwh.sum())
    if not math.isclose(bought, sold, rel_tol=1e-9):
        raise PhysicsError(f"{bought:g} kWh bought cannot be paired with {sold:g} kWh sold")
    bid, ask, energy_kwh = match(bought_kwh, sold_kwh)
    return buyer[bid], seller[ask], energy_kwh


def at_prices(
    buyer: IntArray,
    seller: IntArray,
    energy_kwh: FloatArray,
    price_eur_per_kwh: FloatArray,
    fee_eur_per_kwh: FloatArray | None = None,
) -> Clearing:
    """Return the clearing in which each pair trades at a price of its own.

    Parameters
    ----------
    buyer, seller, energy_kwh : ndarray, shape (M,)
        Pairs, as :func:`pairs` returns them.
    price_eur_per_kwh : ndarray, shape (M,)
        What each pair's seller is paid [EUR/kWh].
    fee_eur_per_kwh : ndarray, shape (M,), optional
        What each pair's buyer pays the market on top [EUR/kWh]; nothing if left out.

    Examples
    --------
    >>> at_prices(np.array([0, 1]), np.array([2, 2]), np.ones(2), np.array([0.1, 0.1])).market_eur_per_kwh
    0.1
    """
    fee = np.zeros(energy_kwh.shape) if fee_eur_per_kwh is None else fee_eur_per_kwh
    one = energy_kwh.size > 0 and bool((price_eur_per_kwh == price_eur_per_kwh[0]).all())
    return Clearing(buyer, seller, energy_kwh, price_eur_per_kwh, fee, float(price_eur_per_kwh[0]) if one else math.nan)


def at_one_price(
    buyer: IntArray, seller: IntArray, energy_kwh: FloatArray, price_eur_per_kwh: float, fee_eur_per_kwh: float = 0.0
) -> Clearing:
    """Return the clearing in which every pair trades at `price_eur_per_kwh`.

    Parameters
    ----------
    buyer, seller, energy_kwh : ndarray, shape (M,)
        Pairs, as :func:`pairs` returns them.
    price_eur_per_kwh : float
        The market's price [EUR/kWh]; not used where there are no pairs.
    fee_eur_per_kwh : float, default 0
        What every buyer pays the market on top [EUR/kWh].
    """
    market_eur_per_kwh = float(price_eur_per_kwh) if energy_kwh.size else math.nan
    price, fee = np.full(energy_kwh.shape, market_eur_per_kwh), np.full(energy_kwh.shape, float(fee_eur_per_kwh))
    return Clearing(buyer, seller, energy_kwh, price, fee, market_eur_per_kwh)


def no_trade() -> Clearing:
    """Return the clearing in which nobody trades."""
    nobody = np.empty(0, dtype=np.int64)
    return at_one_price(nobody, nobody, np.empty(0), math.nan)


def in_proportion(wanted_kwh: FloatArray, offered_kwh: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fill the shorter side whole and the longer side in proportion to its orders.

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
    >>> in_proportion(np.array([3.0, 1.0]), np.array([2.0]))
    (array([1.5, 0.5]), array([2.]))
    """
    demand_kwh, supply_kwh = float(wanted_kwh.sum()), float(offered_kwh.sum())
    traded_kwh = min(demand_kwh, supply_kwh)
    if not traded_kwh:
        return np.zeros(wanted_kwh.shape), np.zeros(offered_kwh.shape)
    return wanted_kwh * (traded_kwh / demand_kwh), offered_kwh * (traded_kwh / supply_kwh)


def pro_rata(book: OrderBook, price_eur_per_kwh: float, *, limits: bool = True) -> Clearing:
    """Trade as much as both sides have at one price; the longer side is filled in proportion to its orders.

    Parameters
    ----------
    book : OrderBook
        The orders; those that would be filled with less than its least energy stay outside.
    price_eur_per_kwh : float
        The market's price [EUR/kWh].
    limits : bool, default True
        Whether orders whose limit refuses the price stay outside.

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([0, 1]), bid_kwh=np.array([3.0, 1.0]), bid_eur_per_kwh=np.array([0.25, 0.25]),
    ...     seller=np.array([2]), ask_kwh=np.array([2.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> pro_rata(book, 0.15).energy_kwh
    array([1.5, 0.5])
    """
    if limits:
        book = without(
            book, bids=book.bid_eur_per_kwh < price_eur_per_kwh, asks=book.ask_eur_per_kwh > price_eur_per_kwh
        )

    def fills(some: OrderBook) -> tuple[FloatArray, FloatArray]:
        return in_proportion(some.bid_kwh, some.ask_kwh)

    def clear(some: OrderBook) -> Clearing:
        bought_kwh, sold_kwh = fills(some)
        return at_one_price(*pairs(some.buyer, bought_kwh, some.seller, sold_kwh), price_eur_per_kwh)

    return at_least_minimum(book, clear, fills=fills)
