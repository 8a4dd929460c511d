"""What a local market takes and gives: the order book, the clearing, and the protocol between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["Clearing", "ClearingMechanism", "OrderBook"]


@dataclass(frozen=True, slots=True, eq=False)
class OrderBook:
    """The orders of one step: at most one a prosumer, either to buy or to sell.

    A prosumer's index is its order's id; where prices tie, the lower id goes first.

    Attributes
    ----------
    buyer : ndarray of int, shape (B,)
        Prosumer behind each bid.
    bid_kwh : ndarray, shape (B,)
        Energy wanted [kWh], non-negative.
    bid_eur_per_kwh : ndarray, shape (B,)
        Highest price accepted [EUR/kWh], of either sign.
    seller : ndarray of int, shape (S,)
        Prosumer behind each ask.
    ask_kwh : ndarray, shape (S,)
        Energy offered [kWh], non-negative.
    ask_eur_per_kwh : ndarray, shape (S,)
        Lowest price accepted [EUR/kWh], of either sign.
    retail_eur_per_kwh : float
        What a buyer pays its retailer for energy that it does not buy here [EUR/kWh].
    feed_in_eur_per_kwh : float
        What a seller is paid for energy that it does not sell here [EUR/kWh].

    Raises
    ------
    PhysicsError
        If shapes differ, an energy is negative, a number is not finite, or a prosumer has two orders.

    Examples
    --------
    >>> OrderBook(
    ...     buyer=np.array([0, 1]), bid_kwh=np.array([2.0, 1.0]), bid_eur_per_kwh=np.array([0.25, 0.20]),
    ...     seller=np.array([1]), ask_kwh=np.array([3.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    Traceback (most recent call last):
    vpp_sim.errors.PhysicsError: prosumer 1 has more than one order
    """

    buyer: IntArray
    bid_kwh: FloatArray
    bid_eur_per_kwh: FloatArray
    seller: IntArray
    ask_kwh: FloatArray
    ask_eur_per_kwh: FloatArray
    retail_eur_per_kwh: float
    feed_in_eur_per_kwh: float

    def __post_init__(self) -> None:
        """Check shapes, signs and ids."""
        for name, owner, energy_kwh, price_eur_per_kwh in (
            ("bid", self.buyer, self.bid_kwh, self.bid_eur_per_kwh),
            ("ask", self.seller, self.ask_kwh, self.ask_eur_per_kwh),
        ):
            if owner.ndim != 1 or owner.dtype.kind != "i":
                raise PhysicsError(f"owners of {name}s must be a vector of integers, not {owner.dtype}{owner.shape}")
            require_shape(f"{name}_kwh", energy_kwh, owner.shape)
            require_shape(f"{name}_eur_per_kwh", price_eur_per_kwh, owner.shape)
            require_non_negative(f"{name}_kwh", energy_kwh)
            require_finite(f"{name}_eur_per_kwh", price_eur_per_kwh)
        if not np.isfinite([self.retail_eur_per_kwh, self.feed_in_eur_per_kwh]).all():
            raise PhysicsError("retail and feed-in prices must be finite")
        owners = np.sort(np.concatenate([self.buyer, self.seller]))
        twice = owners[1:][owners[1:] == owners[:-1]]
        if twice.size:
            raise PhysicsError(f"prosumer {twice[0]} has more than one order")


@dataclass(frozen=True, slots=True, eq=False)
class Clearing:
    """The trades of one step, as pairs; each pair has one price, so the budget balances by construction.

    Attributes
    ----------
    buyer : ndarray of int, shape (M,)
        Prosumer who receives the energy.
    seller : ndarray of int, shape (M,)
        Prosumer who delivers it.
    energy_kwh : ndarray, shape (M,)
        Energy of the pair [kWh], positive.
    price_eur_per_kwh : ndarray, shape (M,)
        What the buyer pays the seller [EUR/kWh].
    market_eur_per_kwh : float
        The one price of the market [EUR/kWh]; NaN where nothing was traded or pairs differ in price.

    Raises
    ------
    PhysicsError
        If shapes differ, an energy is negative, or a number is not finite.
    """

    buyer: IntArray
    seller: IntArray
    energy_kwh: FloatArray
    price_eur_per_kwh: FloatArray
    market_eur_per_kwh: float

    def __post_init__(self) -> None:
        """Check shapes and signs."""
        if self.buyer.shape != self.seller.shape:
            raise PhysicsError(f"{self.buyer.size} buyers cannot be paired with {self.seller.size} sellers")
        require_shape("energy_kwh", self.energy_kwh, self.buyer.shape)
        require_shape("price_eur_per_kwh", self.price_eur_per_kwh, self.buyer.shape)
        require_non_negative("energy_kwh", self.energy_kwh)
        require_finite("price_eur_per_kwh", self.price_eur_per_kwh)

    @property
    def traded_kwh(self) -> float:
        """Energy traded in all pairs [kWh]."""
        return float(self.energy_kwh.sum())


class ClearingMechanism(Protocol):
    """A local market: orders in, trades out, nothing remembered in between.

    A mechanism leaves its book unchanged, gives the same clearing for the same book, never fills an order beyond its
    energy, never trades against an order's limit price, and lists at most B + S - 1 pairs.
    """

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades that `book` leads to."""
        ...
