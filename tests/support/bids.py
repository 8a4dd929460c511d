"""A bid as most tests ask for it: from quantiles, at one path of prices whose imbalance stands off by shares."""

from __future__ import annotations

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.bids import BidProblem, PricePaths, ScenarioBidder


def position_kwh(
    bidder: ScenarioBidder,
    quantiles_kwh: FloatArray,
    levels: FloatArray,
    price_eur_per_kwh: FloatArray,
    *,
    short_spread: float,
    long_spread: float,
) -> FloatArray:
    """Return the bidder's position, shape (H,) [kWh]."""
    prices = PricePaths.of_spreads(price_eur_per_kwh, short_spread=short_spread, long_spread=long_spread)
    return bidder.decide(BidProblem(quantiles_kwh, levels, prices)).position_kwh
