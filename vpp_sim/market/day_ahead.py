r"""The day-ahead auction: bids as price-quantity steps, one clearing price a delivery step, everyone settled at it.

Energy is positive for a buyer and negative for a seller, in kWh of the delivery step; prices are EUR/kWh inside and
EUR/MWh where the exchange's rules state them. A bid of a buyer is filled at prices up to its limit, one of a seller at
prices from its limit on. At price :math:`p` the demand that must be filled is that with limits above :math:`p`, the
demand that may be filled that with limits at or above; likewise for supply. A clearing price is one at which the two
ranges meet. Where a whole interval of prices does, its midpoint is taken, as EUPHEMIA does [1]_. Bids whose limit is
the price share what is left pro rata.

What an exchange would not take is refused here too, and counted: see :class:`AuctionRules` and :class:`Admitted`.

References
----------
.. [1] NEMO Committee, "EUPHEMIA public description: single price coupling algorithm", 2024, sections on price
   indeterminacy and curtailment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, IntArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["Admitted", "AuctionResult", "AuctionRules", "BidSteps", "admit", "clear_auction", "price_taker_fills"]

_KWH_PER_MWH = 1000.0


@dataclass(frozen=True, slots=True)
class AuctionRules:
    """What the exchange takes.

    Attributes
    ----------
    step_h : float
        Length of a delivery step [h].
    lowest_eur_per_mwh, highest_eur_per_mwh : float
        Limits of a bid's price [EUR/MWh]; -500 and 4,000 are the harmonised limits of the single day-ahead coupling
        since 2022 [1]_, which the exchanges move when prices come near them.
    tick_eur_per_mwh : float
        Smallest step of a price [EUR/MWh].
    least_mw : float
        Smallest bid, as mean power over the step [MW]; 0.1 at EPEX SPOT.
    tick_mw : float
        Smallest step of a bid's size [MW]; 0 takes any size, as a larger balancing group would that passes the bid on.

    Raises
    ------
    PhysicsError
        If a number is not finite, a size is negative, the step or the tick of prices is not positive, or the limits
        cross.

    References
    ----------
    .. [1] All NEMOs, "Harmonised maximum and minimum clearing prices for single day-ahead coupling", under article 41
       of Commission Regulation (EU) 2015/1222.
    """

    step_h: float = 1.0
    lowest_eur_per_mwh: float = -500.0
    highest_eur_per_mwh: float = 4000.0
    tick_eur_per_mwh: float = 0.1
    least_mw: float = 0.1
    tick_mw: float = 0.1

    def __post_init__(self) -> None:
        """Check the ranges."""
        ticks, sizes = (self.step_h, self.tick_eur_per_mwh), (self.least_mw, self.tick_mw)
        limits = (self.lowest_eur_per_mwh, self.highest_eur_per_mwh)
        if not np.isfinite([*ticks, *sizes, *limits]).all() or min(ticks) <= 0 or min(sizes) < 0:
            raise PhysicsError(f"auction rules must be finite, their ticks positive and no size negative: {self}")
        if self.lowest_eur_per_mwh > self.highest_eur_per_mwh:
            raise PhysicsError(
                f"lowest price {self.lowest_eur_per_mwh:g} exceeds highest {self.highest_eur_per_mwh:g} EUR/MWh"
            )

    @property
    def limits_eur_per_kwh(self) -> tuple[float, float]:
        """Lowest and highest price [EUR/kWh]."""
        return self.lowest_eur_per_mwh / _KWH_PER_MWH, self.highest_eur_per_mwh / _KWH_PER_MWH


@dataclass(frozen=True, slots=True, eq=False)
class BidSteps:
    """Bids of one or many participants, one entry each.

    Attributes
    ----------
    step : ndarray of int, shape (m,)
        Delivery step of each bid, from 0.
    energy_kwh : ndarray, shape (m,)
        Energy of the step: bought if positive, sold if negative [kWh].
    limit_eur_per_kwh : ndarray, shape (m,)
        Highest price of a buyer, lowest of a seller [EUR/kWh].

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, or a step is negative.
    """

    step: IntArray
    energy_kwh: FloatArray
    limit_eur_per_kwh: FloatArray

    def __post_init__(self) -> None:
        """Check shapes."""
        shape = (self.step.size,)
        for name in ("energy_kwh", "limit_eur_per_kwh"):
            require_shape(name, getattr(self, name), shape)
            require_finite(name, getattr(self, name))
        if (self.step < 0).any():
            raise PhysicsError(f"step must be 0 or above: lowest is {self.step.min()}")

    @classmethod
    def at_any_price(cls, position_kwh: FloatArray, rules: AuctionRules) -> BidSteps:
        """Return the bids of a price taker: buy at up to the highest price, sell from the lowest on.

        Parameters
        ----------
        position_kwh : ndarray, shape (H,)
            Energy to buy (positive) or sell (negative) [kWh]; steps of zero make no bid.
        rules : AuctionRules
            Whose limits are used.
        """
        lowest, highest = rules.limits_eur_per_kwh
        step = np.flatnonzero(position_kwh)
        energy = position_kwh[step]
        return cls(step, energy, np.where(energy > 0, highest, lowest))


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """What the exchange took of some bids, and what it did not.

    Attributes
    ----------
    bids : BidSteps
        Bids in whole ticks; as many as came in, refused ones with zero energy.
    refused : ndarray of bool, shape (m,)
        Which bids were refused.
    price_out_of_range, below_least_size : int
        How many were refused, and why; a bid with both faults counts as the first.
    prices_rounded, sizes_rounded : int
        How many of those taken were rounded to a tick.
    refused_kwh : float
        Energy of refused bids, without sign [kWh].
    rounded_kwh : float
        What rounding added to (or took from) the energy bought, less that sold [kWh].
    """

    bids: BidSteps
    refused: BoolArray
    price_out_of_range: int
    below_least_size: int
    prices_rounded: int
    sizes_rounded: int
    refused_kwh: float
    rounded_kwh: float


def admit(bids: BidSteps, rules: AuctionRules) -> Admitted:
    """Return what the exchange takes of `bids`.

    Sizes are rounded to the nearest tick, prices to the tick that is no worse for the bidder: down for a buyer, up for
    a seller. A bid beyond the price limits, or whose size in whole ticks is below the least one, is refused.

    Examples
    --------
    Of 140, -60 and 250 kW, the second is no whole tick of 100 kW, but is rounded up to one.

    >>> bids = BidSteps(np.array([0, 0, 1]), np.array([140.0, -60.0, 40.0]), np.array([0.08, 0.05012, 0.07]))
    >>> taken = admit(bids, AuctionRules())
    >>> taken.bids.energy_kwh, taken.bids.limit_eur_per_kwh
    (array([ 100., -100.,    0.]), array([0.08  , 0.0502, 0.07  ]))
    >>> taken.below_least_size, taken.sizes_rounded, taken.prices_rounded, taken.refused_kwh, taken.rounded_kwh
    (1, 2, 1, 40.0, -80.0)
    """
    lot_kwh, least_kwh = (size * _KWH_PER_MWH * rules.step_h for size in (rules.tick_mw, rules.least_mw))
    sized = np.rint(bids.energy_kwh / lot_kwh) * lot_kwh if lot_kwh else bids.energy_kwh
    ticks = bids.limit_eur_per_kwh * _KWH_PER_MWH / rules.tick_eur_per_mwh
    whole = np.rint(ticks)
    exact = np.abs(ticks - whole) <= 1e-9 * np.maximum(1.0, np.abs(ticks))
    whole = np.where(exact, whole, np.where(bids.energy_kwh > 0, np.floor(ticks), np.ceil(ticks)))
    limit = np.where(exact, bids.limit_eur_per_kwh, whole * rules.tick_eur_per_mwh / _KWH_PER_MWH)
    lowest, highest = rules.limits_eur_per_kwh
    slack = 1e-9 * rules.tick_eur_per_mwh
    outside = (bids.limit_eur_per_kwh < lowest - slack) | (bids.limit_eur_per_kwh > highest + slack)
    small = ~outside & ((sized == 0) | (np.abs(sized) < least_kwh * (1 - 1e-9)))
    refused = outside | small
    energy = np.where(refused, 0.0, sized)
    resized = ~refused & (np.abs(energy - bids.energy_kwh) > 1e-9 * lot_kwh)
    return Admitted(
        bids=BidSteps(bids.step, energy, np.clip(limit, lowest, highest)),
        refused=refused,
        price_out_of_range=int(outside.sum()),
        below_least_size=int(small.sum()),
        prices_rounded=int((~refused & ~exact).sum()),
        sizes_rounded=int(resized.sum()),
        refused_kwh=float(np.abs(bids.energy_kwh[refused]).sum()),
        rounded_kwh=float((energy - bids.energy_kwh)[~refused].sum()),
    )


def price_taker_fills(bids: BidSteps, price_eur_per_kwh: FloatArray) -> FloatArray:
    """Return what of each bid is filled at given prices, which it is too small to move, shape (m,) [kWh].

    A bid whose limit is the price is filled.

    Parameters
    ----------
    bids : BidSteps
        The bids.
    price_eur_per_kwh : ndarray, shape (H,)
        Clearing price of each step [EUR/kWh].

    Raises
    ------
    PhysicsError
        If a bid is for a step without a price.

    Examples
    --------
    >>> bids = BidSteps(np.array([0, 0, 0]), np.array([5.0, 5.0, -5.0]), np.array([0.05, 0.07, 0.08]))
    >>> price_taker_fills(bids, np.array([0.06]))
    array([ 0.,  5., -0.])
    """
    if (bids.step >= price_eur_per_kwh.size).any():
        raise PhysicsError(f"step {bids.step.max()} has no price: there are {price_eur_per_kwh.size}")
    require_finite("price_eur_per_kwh", price_eur_per_kwh)
    in_favour = np.sign(bids.energy_kwh) * (bids.limit_eur_per_kwh - price_eur_per_kwh[bids.step])
    filled: FloatArray = bids.energy_kwh * (in_favour >= 0)
    return filled


@dataclass(frozen=True, slots=True, eq=False)
class AuctionResult:
    """Prices and fills of an auction.

    Attributes
    ----------
    price_eur_per_kwh : ndarray, shape (H,)
        Clearing price of each step [EUR/kWh]; NaN where nobody bid.
    volume_kwh : ndarray, shape (H,)
        Energy traded [kWh].
    filled_kwh : ndarray, shape (m,)
        What of each bid was filled, with its sign [kWh].
    """

    price_eur_per_kwh: FloatArray
    volume_kwh: FloatArray
    filled_kwh: FloatArray

    def payments_eur(self, bids: BidSteps) -> FloatArray:
        """Return what each bid pays (positive) or is paid (negative), shape (m,) [EUR]; they add up to nothing."""
        price = self.price_eur_per_kwh[bids.step]
        paid: FloatArray = np.where(self.filled_kwh == 0, 0.0, self.filled_kwh * price)
        return paid


def clear_auction(bids: BidSteps, *, steps: int, rules: AuctionRules) -> AuctionResult:
    """Clear all bids, own and others', at one price a step.

    Where demand at the highest price exceeds all supply, the price is the highest and that demand shares the supply;
    likewise at the lowest. Where bids cross nowhere, the price is the midpoint between the best of either side, and the
    best limit where there is one side only.

    Parameters
    ----------
    bids : BidSteps
        Admitted bids (:func:`admit`).
    steps : int
        Number of delivery steps H.
    rules : AuctionRules
        Whose price limits hold.

    Returns
    -------
    AuctionResult
        Prices, volumes and fills.

    Raises
    ------
    PhysicsError
        If a bid is for a step beyond the last, or its limit is beyond the price limits.

    Examples
    --------
    Unit bids at 100, 90, 80, 70, 60 against asks at 80, 85, 95, 100, 110: two trade, at any price from 85 to 90.

    >>> bids = BidSteps(
    ...     np.zeros(10, dtype=int), np.repeat([1.0, -1.0], 5), np.array([100.0, 90, 80, 70, 60, 80, 85, 95, 100, 110])
    ... )
    >>> result = clear_auction(bids, steps=1, rules=AuctionRules(highest_eur_per_mwh=4e6))
    >>> result.price_eur_per_kwh, result.volume_kwh
    (array([87.5]), array([2.]))
    """
    if bids.step.size and bids.step.max() >= steps:
        raise PhysicsError(f"step {bids.step.max()} is beyond the {steps} delivery steps")
    lowest, highest = rules.limits_eur_per_kwh
    if ((bids.limit_eur_per_kwh < lowest) | (bids.limit_eur_per_kwh > highest)).any():
        raise PhysicsError(f"bids lie beyond the price limits {lowest:g}..{highest:g} EUR/kWh: admit them first")
    price, volume, filled = np.full(steps, np.nan), np.zeros(steps), np.zeros(bids.step.size)
    order = np.argsort(bids.step, kind="stable")
    ends = np.searchsorted(bids.step[order], np.arange(steps + 1))
    for step in range(steps):
        rows = order[ends[step] : ends[step + 1]]
        rows = rows[bids.energy_kwh[rows] != 0]
        if rows.size:
            price[step], volume[step], filled[rows] = _clear_step(
                bids.energy_kwh[rows], bids.limit_eur_per_kwh[rows], lowest, highest
            )
    return AuctionResult(price, volume, filled)


def _reach(limit: FloatArray, energy: FloatArray, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the energy with limits below each price, and with limits up to it."""
    order = np.argsort(limit, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(energy[order])])
    ranked = limit[order]
    return total[np.searchsorted(ranked, price, "left")], total[np.searchsorted(ranked, price, "right")]


def _clear_step(
    energy: FloatArray, limit: FloatArray, lowest: float, highest: float
) -> tuple[float, float, FloatArray]:
    buys = energy > 0
    demand, supply = np.where(buys, energy, 0.0), np.where(buys, 0.0, -energy)
    candidates = np.unique(np.concatenate([limit, [lowest, highest]]))
    below, upto = _reach(limit, demand, candidates)
    total = demand.sum()
    may_buy, must_buy = total - below, total - upto
    must_sell, may_sell = _reach(limit, supply, candidates)
    slack = 1e-12 * max(float(total), float(supply.sum()))
    meets = (must_buy <= may_sell + slack) & (must_sell <= may_buy + slack)
    # The highest price rations buyers who would pay it, the lowest sellers: a clearing price always exists.
    clearing = candidates[meets]
    price = float(clearing[0] + clearing[-1]) / 2
    if not buys.any():
        price = float(limit.min())
    elif buys.all():
        price = float(limit.max())
    must = np.where(buys, limit > price, limit < price)
    may = limit == price
    volume = min(float(demand[must | may].sum()), float(supply[must | may].sum()))
    return price, volume, _fill(demand, must, may, volume) - _fill(supply, must, may, volume)


def _fill(energy: FloatArray, must: BoolArray, may: BoolArray, volume: float) -> FloatArray:
    """Return the fills of one side: those who must be filled in full, the rest pro rata up to the volume."""
    full = np.where(must, energy, 0.0)
    at_price = np.where(may, energy, 0.0)
    left, offered = max(volume - float(full.sum()), 0.0), float(at_price.sum())
    share = min(left / offered, 1.0) if offered > 0 else 0.0
    filled: FloatArray = full + share * at_price
    return filled
