"""What a local market takes and gives: the order book, the clearing, and the protocol between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["Clearing", "ClearingMechanism", "FeederUse", "OrderBook"]


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
    minimum_kwh : float, default 0
        Least energy that the market trades for an order [kWh]: one that would be filled with less stays outside.
    connection : ndarray of int, shape (n,), optional
        Where each prosumer, by its index, is connected to the feeder, for mechanisms that look at it.

    Raises
    ------
    PhysicsError
        If shapes differ, an energy is negative, a number is not finite, a prosumer has two orders, a negative index, or
        no connection.

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
    minimum_kwh: float = 0.0
    connection: IntArray | None = None

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
        if not (np.isfinite(self.minimum_kwh) and self.minimum_kwh >= 0):
            raise PhysicsError(f"minimum_kwh is {self.minimum_kwh:g}, expected 0 or above")
        owners = np.sort(np.concatenate([self.buyer, self.seller]))
        if owners.size and owners[0] < 0:
            raise PhysicsError(f"prosumer {owners[0]} is no index")
        twice = owners[1:][owners[1:] == owners[:-1]]
        if twice.size:
            raise PhysicsError(f"prosumer {twice[0]} has more than one order")
        if self.connection is not None and owners.size and owners[-1] >= self.connection.size:
            raise PhysicsError(f"prosumer {owners[-1]} has no connection: there are {self.connection.size}")


@dataclass(frozen=True, slots=True)
class FeederUse:
    """What the limits of a feeder did to a clearing.

    Attributes
    ----------
    binding : int
        Limits that hold trades back.
    broken : int
        Limits that are broken without any trade, and that trades may not make worse.
    share : float, default 1
        Share of the trades found that the feeder carries: below 1 where all had to be cut in one proportion.
    """

    binding: int
    broken: int
    share: float = 1.0

    @property
    def limited(self) -> bool:
        """Whether more would have been traded without the feeder, or at one price."""
        return self.binding > 0 or self.share < 1


@dataclass(frozen=True, slots=True, eq=False)
class Clearing:
    """The trades of one step, as pairs: what each buyer pays its seller, and what it pays the market beside that.

    A buyer pays price and fee, a seller is paid the price. Most mechanisms take no fee, and their budget balances pair
    by pair. Where buyers and sellers see different prices, the difference is the fee, which goes to whoever runs the
    market; a negative one is what she adds.

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
    fee_eur_per_kwh : ndarray, shape (M,)
        What the buyer pays the market on top, of either sign [EUR/kWh].
    market_eur_per_kwh : float
        The one price that sellers are paid [EUR/kWh]; NaN where nothing was traded or pairs differ in price.
    feeder : FeederUse, optional
        What the feeder's limits did, where the mechanism looks at any.

    Raises
    ------
    PhysicsError
        If shapes differ, an energy is negative, or a number is not finite.
    """

    buyer: IntArray
    seller: IntArray
    energy_kwh: FloatArray
    price_eur_per_kwh: FloatArray
    fee_eur_per_kwh: FloatArray
    market_eur_per_kwh: float
    feeder: FeederUse | None = None

    def __post_init__(self) -> None:
        """Check shapes and signs."""
        if self.buyer.shape != self.seller.shape:
            raise PhysicsError(f"{self.buyer.size} buyers cannot be paired with {self.seller.size} sellers")
        require_shape("energy_kwh", self.energy_kwh, self.buyer.shape)
        require_shape("price_eur_per_kwh", self.price_eur_per_kwh, self.buyer.shape)
        require_non_negative("energy_kwh", self.energy_kwh)
        require_finite("price_eur_per_kwh", self.price_eur_per_kwh)
        require_shape("fee_eur_per_kwh", self.fee_eur_per_kwh, self.buyer.shape)
        require_finite("fee_eur_per_kwh", self.fee_eur_per_kwh)

    @property
    def paid_eur_per_kwh(self) -> FloatArray:
        """What each pair's buyer pays in all, price and fee, shape (M,) [EUR/kWh]."""
        return self.price_eur_per_kwh + self.fee_eur_per_kwh

    @property
    def surplus_eur(self) -> float:
        """What buyers pay more than sellers are paid; negative is a deficit [EUR]."""
        return float(self.energy_kwh @ self.fee_eur_per_kwh)

    @property
    def traded_kwh(self) -> float:
        """Energy traded in all pairs [kWh]."""
        return float(self.energy_kwh.sum())


class ClearingMechanism(Protocol):
    """A local market: orders in, trades out, nothing remembered in between.

    A mechanism leaves its book unchanged, gives the same clearing for the same book, never fills an order beyond its
    energy or with less than the book's least (:func:`~vpp_sim.market.minimum.at_least_minimum` sees to that), and lists
    at most B + S - 1 pairs.

    Attributes
    ----------
    keeps_limits : bool
        Whether no buyer pays, fee included, more than its limit, and no seller is paid less than its own. A mechanism
        that looks at the community as a whole does not promise that.
    """

    keeps_limits: ClassVar[bool]

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades that `book` leads to."""
        ...
