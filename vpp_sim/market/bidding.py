"""How homes choose the limit prices of their orders: truthful, at random, by learning, or by what is foreseen.

A strategy serves a whole fleet: arrays in, arrays out, one entry a home. In each step it is asked once for limits and
told once what the market made of them. What it learns stays in it, per home, and depends on the numbers it was given
alone. No strategy bids beyond a home's outside option: a buyer's limit is never above the retail price, and a seller's
never below the feed-in price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.market.accounts import filled
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["Adaptive", "BiddingStep", "BiddingStrategy", "ForecastBased", "Outlook", "Truthful", "ZeroIntelligence"]


_DAY_H = 24
"""Hours of a day."""


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What is foreseen of a step: quantiles of what all homes will want and offer together.

    Attributes
    ----------
    levels : ndarray, shape (Q,)
        Levels of the quantiles, rising, between 0 and 1.
    demand_kwh, supply_kwh : ndarray, shape (Q,)
        Quantiles of the energy wanted and offered [kWh], non-negative.

    Raises
    ------
    PhysicsError
        If shapes differ, an energy is negative, or the levels do not rise within 0..1.
    """

    levels: FloatArray
    demand_kwh: FloatArray
    supply_kwh: FloatArray

    def __post_init__(self) -> None:
        """Check shapes, signs and levels."""
        for name in ("demand_kwh", "supply_kwh"):
            require_shape(name, getattr(self, name), self.levels.shape)
            require_non_negative(name, getattr(self, name))
        if not self.levels.size or self.levels[0] <= 0 or self.levels[-1] >= 1 or (np.diff(self.levels) <= 0).any():
            raise PhysicsError(f"levels must rise between 0 and 1, not {self.levels}")


@dataclass(frozen=True, slots=True, eq=False)
class BiddingStep:
    """What the homes of a fleet know when they name their limit prices for a step.

    Attributes
    ----------
    sides : ndarray of int, shape (n,)
        1 for a home that buys, -1 for one that sells, 0 for one without an order, whose limit means nothing.
    retail_eur_per_kwh, feed_in_eur_per_kwh : float
        The outside options [EUR/kWh], of either sign.
    draws : ndarray, shape (n,)
        One number in [0, 1) a home, the strategy's only chance.
    hour : float
        Local hour of the day at which the step starts, with fraction, from 0 to below 24 [h].
    outlook : Outlook, optional
        What is foreseen of the step.

    Raises
    ------
    PhysicsError
        If a side is another number, shapes differ, a draw or the hour is out of its range, or a price is not finite.

    Examples
    --------
    >>> BiddingStep(np.array([1, -1]), 0.25, 0.05, draws=np.zeros(2), hour=24.0)
    Traceback (most recent call last):
    vpp_sim.errors.PhysicsError: hour is 24, expected 0 to below 24
    """

    sides: IntArray
    retail_eur_per_kwh: float
    feed_in_eur_per_kwh: float
    draws: FloatArray
    hour: float
    outlook: Outlook | None = None

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        if self.sides.ndim != 1 or self.sides.dtype.kind != "i" or (np.abs(self.sides) > 1).any():
            raise PhysicsError(f"sides must be a vector of -1, 0 and 1, not {self.sides}")
        require_shape("draws", self.draws, self.sides.shape)
        if not ((self.draws >= 0) & (self.draws < 1)).all():
            raise PhysicsError("draws must lie from 0 to below 1")
        require_finite("outside options", np.array([self.retail_eur_per_kwh, self.feed_in_eur_per_kwh]))
        if not 0 <= self.hour < _DAY_H:
            raise PhysicsError(f"hour is {self.hour:g}, expected 0 to below {_DAY_H}")

    def priced(self, share: FloatArray) -> FloatArray:
        """Return the prices at shares, shape (n,), of the way from feed-in (0) to retail price (1) [EUR/kWh]."""
        return self.feed_in_eur_per_kwh + (self.retail_eur_per_kwh - self.feed_in_eur_per_kwh) * share

    def within(self, limit_eur_per_kwh: FloatArray) -> FloatArray:
        """Hold limits, shape (n,), within the outside options, whatever rounding says.

        Prices that are equal on both sides of the market must stay equal.
        """
        retail, feed_in = self.retail_eur_per_kwh, self.feed_in_eur_per_kwh
        limit = np.clip(limit_eur_per_kwh, min(retail, feed_in), max(retail, feed_in))
        return np.where(self.sides > 0, np.minimum(limit, retail), np.maximum(limit, feed_in))


class BiddingStrategy(Protocol):
    """Limit prices for every home of a fleet, step by step.

    Made as ``Strategy.of(homes=13, rng=generator)``. Each step calls :meth:`limits` once and, after the clearing,
    :meth:`observe` once.
    """

    @classmethod
    def of(cls, *, homes: int, rng: np.random.Generator) -> Self:
        """Return the strategy of a fleet; `rng` draws the homes' characters, if it has any."""
        ...

    def limits(self, step: BiddingStep) -> FloatArray:
        """Return the limit price of every home, shape (n,) [EUR/kWh].

        Parameters
        ----------
        step : BiddingStep
            What homes know of this step.
        """
        ...

    def observe(self, clearing: Clearing, book: OrderBook, home_of: IntArray | None = None) -> None:
        """Learn from what the market made of the limits.

        Parameters
        ----------
        clearing : Clearing
            The trades.
        book : OrderBook
            The orders that led to them.
        home_of : ndarray of int, shape (n,), optional
            The home behind each prosumer of the book; prosumers are homes when left out.
        """
        ...


class _Forgetful:
    """A strategy that learns nothing."""

    @classmethod
    def of(cls, *, homes: int, rng: np.random.Generator) -> Self:
        """Return the strategy; all fleets and homes are alike to it."""
        return cls()

    def observe(self, clearing: Clearing, book: OrderBook, home_of: IntArray | None = None) -> None:
        """Learn nothing."""


class Truthful(_Forgetful):
    """Bid the outside option: whatever is better than the retailer is welcome.

    Examples
    --------
    >>> Truthful().limits(BiddingStep(np.array([1, -1]), 0.25, 0.05, draws=np.zeros(2), hour=12.0))
    array([0.25, 0.05])
    """

    def limits(self, step: BiddingStep) -> FloatArray:
        """Return the retail price for those who buy, the feed-in price for all others."""
        return np.where(step.sides > 0, step.retail_eur_per_kwh, step.feed_in_eur_per_kwh)


class ZeroIntelligence(_Forgetful):
    """Bid anything between the outside options, alike on both sides, as the constrained traders of [1]_.

    References
    ----------
    .. [1] D. K. Gode, S. Sunder, "Allocative efficiency of markets with zero-intelligence traders", Journal of
       Political Economy 101 (1993) 119-137. https://doi.org/10.1086/261868

    Examples
    --------
    >>> step = BiddingStep(np.array([1, -1]), 0.25, 0.05, draws=np.array([0.5, 0.25]), hour=12.0)
    >>> ZeroIntelligence().limits(step)
    array([0.15, 0.1 ])
    """

    def limits(self, step: BiddingStep) -> FloatArray:
        """Return uniform prices between the feed-in and the retail price."""
        return step.priced(step.draws)


class Adaptive:
    r"""Raise the wanted margin after a trade, lower it after none: zero-intelligence-plus traders [1]_, once a step.

    A home remembers, for each side, the share :math:`p` of the spread between feed-in (0) and retail price (1) that it
    names, so that what it learnt holds when the outside options move. After a clearing at the share :math:`q`, the mean
    price of the step's trades, fees included for buyers:

    - a home that was filled and named less than it could have had moves to the price, :math:`\tau = q`;
    - a home that was not filled gives way to :math:`\tau = \min(p, q) - A` if it sells, and to
      :math:`\tau = \max(p, q) + A` if it buys.

    Both move by the Widrow-Hoff rule with momentum, :math:`\Gamma' = \gamma \Gamma + (1 - \gamma) \beta (\tau - p)` and
    :math:`p' = p + \Gamma'`, held within 0..1. :math:`\beta` is drawn once a home from U(0.1, 0.5), :math:`\gamma` from
    U(0, 0.1), the first margin from U(0.05, 0.35), and :math:`A` anew in each step from U(0, 0.05), as in [1]_.

    Ours, because the paper has a continuous auction of unit orders, with many prices a day to learn from, and a step
    has one: margins are shares of the spread instead of the limit price; those that were filled do not reach beyond the
    price (if both sides did, half of all orders would miss each other for good), and those that were not outbid
    themselves even if the price would have suited them; an order counts as filled from half of its energy on; where
    nothing was traded, the other side's best limit stands for the price. A home without an order, or facing no order at
    all, learns nothing.

    A home has such a memory a side for each hour of its day, so that it does not carry to noon what it learns in scarce
    evenings. Measured in ``experiments/trading`` (100 homes in four auctions, the two weeks after two of learning,
    three seeds; shares of the largest gain): where supply and demand of the daylight hours are about equal, buyers get
    11 to 38 % and not none, as with one memory for all hours; with sun on all roofs 18 to 64 % and not 0 to 42 %. If
    half of the homes do either, those that remember by hour gain as if the community made 99 to 123 % of the largest
    gain, the others 56 to 94 %. With sparse sun both gain the same. It costs trades, for an hour brings one lesson a
    day: 2 to 4 % of the gain where buyers pay their own bids, elsewhere less than 1 %. Where they do, the price of what
    was filled does not tell them that less would have been enough, and sellers keep most of the gain.

    Parameters
    ----------
    homes : int
        Size of the fleet.
    rng : numpy.random.Generator
        Draws the homes' characters.
    by_hour : bool, default True
        Whether there is a memory for each hour of the day, of 768 bytes a home; otherwise one serves all.

    References
    ----------
    .. [1] D. Cliff, "Minimal-intelligence agents for bargaining behaviors in market-based environments", HP
       Laboratories HPL-97-91, 1997.

    Examples
    --------
    >>> homes = Adaptive(2, np.random.default_rng(1))
    >>> first = homes.limits(BiddingStep(np.array([1, -1]), 0.25, 0.05, draws=np.zeros(2), hour=12.0))
    >>> bool(((first > 0.05) & (first < 0.25)).all())
    True
    """

    _GREATEST_STEP = 0.05
    _FILLED = 0.5

    @classmethod
    def of(cls, *, homes: int, rng: np.random.Generator) -> Self:
        """Return the strategy of a fleet."""
        return cls(homes, rng)

    def __init__(self, homes: int, rng: np.random.Generator, *, by_hour: bool = True) -> None:
        memories = _DAY_H if by_hour else 1
        self._rate, self._momentum = rng.uniform(0.1, 0.5, homes), rng.uniform(0.0, 0.1, homes)
        buys, sells = rng.uniform(0.05, 0.35, (2, homes))
        self._share: FloatArray = np.tile(np.stack([sells, 1.0 - buys]), (memories, 1, 1))
        self._drift: FloatArray = np.zeros((memories, 2, homes))
        self._yields: FloatArray = np.zeros(homes)
        self._memory = 0

    def limits(self, step: BiddingStep) -> FloatArray:
        """Return what each home has learnt to name on its side of the market at this hour of the day."""
        require_shape("draws", step.draws, self._yields.shape)
        self._yields = self._GREATEST_STEP * step.draws
        self._memory = int(step.hour) % len(self._share)  # the only one, where there is one
        sells, buys = self._share[self._memory]
        return step.within(step.priced(np.where(step.sides > 0, buys, sells)))

    def observe(self, clearing: Clearing, book: OrderBook, home_of: IntArray | None = None) -> None:
        """Move the margins of all homes that had an order."""
        spread = book.retail_eur_per_kwh - book.feed_in_eur_per_kwh
        if spread <= 0 or not book.buyer.size or not book.seller.size:
            return
        seen = (_prices(clearing, book) - book.feed_in_eur_per_kwh) / spread
        bought_kwh, sold_kwh = filled(clearing, book)
        for side, owner, order_kwh, traded_kwh in (
            (0, book.seller, book.ask_kwh, sold_kwh),
            (1, book.buyer, book.bid_kwh, bought_kwh),
        ):
            home = owner if home_of is None else home_of[owner]
            self._learn(side, home, float(seen[side]), (traded_kwh > 0) & (traded_kwh >= self._FILLED * order_kwh))

    def _learn(self, side: int, home: IntArray, price: float, served: BoolArray) -> None:
        """Move homes on one side (0 sells, 1 buys) towards a target around the price's share of the spread."""
        gain = 1.0 if side == 0 else -1.0  # the direction in which a higher margin lies
        at = (self._memory, side, home)
        share = self._share[at]
        modest = gain * (price - share) >= 0
        yielding = np.minimum(price, share) if side == 0 else np.maximum(price, share)
        target = np.where(served, price, yielding - gain * self._yields[home])
        moves = modest | ~served
        drift = self._momentum[home] * self._drift[at]
        drift = drift + (1 - self._momentum[home]) * self._rate[home] * (target - share)
        self._drift[at] = np.where(moves, drift, self._drift[at])
        self._share[at] = np.clip(share + np.where(moves, drift, 0.0), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ForecastBased(_Forgetful):
    r"""Bid the local price that is foreseen: near feed-in when much sun is expected, near retail when little.

    The price that a local market will find is taken as :math:`b - (b - s) \min(1, G / D)`, the line from the retail
    price :math:`b` without local supply to the feed-in price :math:`s` where supply :math:`G` covers demand :math:`D`:
    the idea of pricing by the supply and demand ratio [1]_, straightened so that it holds for prices of either sign.
    Supply and demand are each one of their quantiles, weighted with the levels that lie nearest to it and independent
    of one another, which makes a distribution of prices. A buyer names its quantile at `confidence`, a seller that at
    ``1 - confidence``: at 0.5 both name the median, above it they give up some margin to miss fewer trades.

    Parameters
    ----------
    confidence : float, default 0.8
        How surely an order should be good enough, from 0.5 up to 1.

    Raises
    ------
    PhysicsError
        If `confidence` is outside 0.5..1, or no outlook is given.

    References
    ----------
    .. [1] N. Liu, X. Yu, C. Wang, C. Li, L. Ma, J. Lei, "Energy-sharing model with price-based demand response for
       microgrids of peer-to-peer prosumers", IEEE Transactions on Power Systems 32 (2017) 3569-3583.
       https://doi.org/10.1109/TPWRS.2017.2649558

    Examples
    --------
    >>> half = Outlook(levels=np.array([0.5]), demand_kwh=np.array([10.0]), supply_kwh=np.array([5.0]))
    >>> step = BiddingStep(np.array([1, -1]), 0.25, 0.05, draws=np.zeros(2), hour=12.0, outlook=half)
    >>> ForecastBased().limits(step)
    array([0.15, 0.15])
    """

    confidence: float = 0.8

    def __post_init__(self) -> None:
        """Check the confidence."""
        if not 0.5 <= self.confidence <= 1:
            raise PhysicsError(f"confidence is {self.confidence:g}, expected 0.5..1")

    def limits(self, step: BiddingStep) -> FloatArray:
        """Return quantiles of the foreseen local price."""
        if step.outlook is None:
            raise PhysicsError("bids by forecast need an outlook on the step")
        covered, chance = _covered(step.outlook)
        # The price falls with the covered share, so the price's quantile is that share's at the other end.
        scarce, ample = _quantiles(covered, chance, np.array([1 - self.confidence, self.confidence]))
        return step.within(step.priced(1 - np.where(step.sides > 0, scarce, ample)))


def _prices(clearing: Clearing, book: OrderBook) -> FloatArray:
    """Return what sellers were paid and what buyers paid in the mean, or the best limit that faced them [EUR/kWh]."""
    if clearing.traded_kwh > 0:
        pairs = clearing.price_eur_per_kwh, clearing.paid_eur_per_kwh
        return np.array([np.average(price, weights=clearing.energy_kwh) for price in pairs])
    return np.array([book.bid_eur_per_kwh.max(), book.ask_eur_per_kwh.min()])


def _covered(outlook: Outlook) -> tuple[FloatArray, FloatArray]:
    """Return each share of demand that supply may cover, at most 1, and its chance, shape (Q * Q,)."""
    edges = np.concatenate([[0.0], (outlook.levels[1:] + outlook.levels[:-1]) / 2, [1.0]])
    weight = np.diff(edges)
    demand, supply = np.meshgrid(outlook.demand_kwh, outlook.supply_kwh, indexing="ij")
    # Without any demand supply covers it, if there is any.
    nothing = (supply > 0).astype(np.float64)
    covered = np.minimum(np.divide(supply, demand, out=nothing, where=demand > 0), 1.0)
    return covered.ravel(), np.outer(weight, weight).ravel()


def _quantiles(values: FloatArray, chance: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the smallest value whose cumulative chance reaches each level."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(chance[order])
    place = np.searchsorted(reached, levels - 1e-12)
    return values[order][np.minimum(place, values.size - 1)]
