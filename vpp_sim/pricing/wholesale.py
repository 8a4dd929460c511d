"""Day-ahead bids from quantile forecasts: the median, and the newsvendor's answer to what imbalance costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.bids import BidDecision, BidOptions, BidProblem
from vpp_sim.pricing.quantiles import quantile_at

__all__ = ["MedianBid", "NewsvendorBid", "critical_quantile"]

_EQUAL_EUR_PER_KWH = 1e-9
"""Prices nearer than this are equal but for rounding."""


def critical_quantile(problem: BidProblem) -> FloatArray:
    r"""Return the newsvendor's position of each step at mean prices, within the position's limits, shape (H,) [kWh].

    A kWh missing costs :math:`c_s` beyond the day-ahead price, a kWh too many loses :math:`c_l`, so that one more kWh
    bought day ahead just pays at the quantile :math:`c_s / (c_s + c_l)` of the energy drawn. That is the best position
    for the expected cost where there is no flexibility and prices do not move with energy.
    With one price of imbalance the cost is a line in the position: where that price is expected above the day-ahead
    price the highest quantile is best, below it the lowest; where they are equal any is, and the median is taken.
    """
    prices = problem.prices
    short = (prices.short_eur_per_kwh - prices.day_ahead_eur_per_kwh).mean(axis=0)
    both = (prices.short_eur_per_kwh - prices.long_eur_per_kwh).mean(axis=0)
    by_one_price = 0.5 + 0.5 * np.sign(short) * (np.abs(short) > _EQUAL_EUR_PER_KWH)
    ratio = np.clip(np.divide(short, both, out=by_one_price, where=both > 0), 0.0, 1.0)
    steps = zip(problem.quantiles_kwh, ratio, strict=True)
    bid = np.array([quantile_at(row, problem.levels, float(level)) for row, level in steps])
    clipped: FloatArray = np.clip(bid, *problem.position_limits_kwh)
    return clipped


def _in_closed_form(position_kwh: FloatArray) -> BidDecision:
    return BidDecision(position_kwh, np.empty(0), np.zeros(position_kwh.size), "closed form")


@dataclass(frozen=True, slots=True)
class MedianBid:
    """Buy the median of the fleet's net energy, whatever imbalance costs: the bidder to compare with."""

    @classmethod
    def of(cls, options: BidOptions) -> Self:
        """Return the bidder, which has no use for options."""
        return cls()

    def decide(self, problem: BidProblem) -> BidDecision:
        """Return the position; what the fleet can still shift is not looked at."""
        return _in_closed_form(quantile_at(problem.quantiles_kwh, problem.levels, 0.5))


@dataclass(frozen=True, slots=True)
class NewsvendorBid:
    """Buy the quantile of the fleet's net energy that minimises the expected cost of both settlements [1]_.

    The quantile is interpolated between the forecast's levels and never lies outside them: a ratio beyond the outermost
    level bids that level.

    References
    ----------
    .. [1] P. Pinson, C. Chevallier, G. N. Kariniotakis, "Trading wind generation from short-term probabilistic
       forecasts of wind power", IEEE Transactions on Power Systems 22 (2007) 1148-1156.
       https://doi.org/10.1109/TPWRS.2007.901117

    Examples
    --------
    A plant that makes 0 to 100 kWh, all equally likely, draws -100 to 0. Day ahead pays 50, surplus 30, and missing
    energy costs 80: it should sell 40.

    >>> from vpp_sim.pricing.bids import PricePaths
    >>> prices = PricePaths.of_spreads(np.array([50.0]), short_spread=0.6, long_spread=0.4)
    >>> problem = BidProblem(np.array([[-100.0, -50.0, 0.0]]), np.array([0.0, 0.5, 1.0]), prices)
    >>> NewsvendorBid().decide(problem).position_kwh
    array([-40.])
    """

    @classmethod
    def of(cls, options: BidOptions) -> Self:
        """Return the bidder, which has no use for options."""
        return cls()

    def decide(self, problem: BidProblem) -> BidDecision:
        """Return the position; what the fleet can still shift is not looked at."""
        return _in_closed_form(critical_quantile(problem))
