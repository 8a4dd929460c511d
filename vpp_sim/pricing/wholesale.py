"""Day-ahead bids from quantile forecasts: the median, and the newsvendor's answer to what imbalance costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.bids import BidDecision, BidOptions, BidProblem
from vpp_sim.pricing.quantiles import quantile_at

__all__ = ["MedianBid", "NewsvendorBid", "critical_quantile", "critical_ratio"]

_EQUAL_EUR_PER_KWH = 1e-9
"""Prices nearer than this are equal but for rounding."""


def critical_ratio(*, short_spread: float, long_spread: float) -> float:
    r"""Return the probability at which one more kWh bought day ahead just pays.

    A kWh missing costs :math:`\sigma_s |p|` beyond the day-ahead price, a kWh too many loses :math:`\sigma_l |p|`, so
    the best position is the quantile :math:`\sigma_s / (\sigma_s + \sigma_l)` of the energy drawn. The price's size
    cancels. Without penalties any position costs the same; the median is returned.

    Raises
    ------
    PhysicsError
        If a spread is negative or not finite.

    Examples
    --------
    >>> critical_ratio(short_spread=0.6, long_spread=0.4)
    0.6
    """
    if not (np.isfinite([short_spread, long_spread]).all() and min(short_spread, long_spread) >= 0):
        raise PhysicsError(f"spreads must be finite and non-negative, not {short_spread:g} and {long_spread:g}")
    both = short_spread + long_spread
    return short_spread / both if both else 0.5


def critical_quantile(problem: BidProblem) -> FloatArray:
    """Return the newsvendor's position of each step at mean prices, within the position's limits, shape (H,) [kWh].

    It is the best position for the expected cost where there is no flexibility and prices do not move with energy.
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


def _check(quantiles_kwh: FloatArray, levels: FloatArray, price_eur_per_kwh: FloatArray) -> None:
    require_shape("quantiles_kwh", quantiles_kwh, (price_eur_per_kwh.size, levels.size))
    require_finite("price_eur_per_kwh", price_eur_per_kwh)


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

    def bid(
        self,
        quantiles_kwh: FloatArray,
        levels: FloatArray,
        price_eur_per_kwh: FloatArray,
        *,
        short_spread: float,
        long_spread: float,
    ) -> FloatArray:
        """Return the median of each step, shape (H,) [kWh]."""
        _check(quantiles_kwh, levels, price_eur_per_kwh)
        critical_ratio(short_spread=short_spread, long_spread=long_spread)  # refuses what every bidder must refuse
        return quantile_at(quantiles_kwh, levels, 0.5)


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

    >>> levels = np.array([0.0, 0.5, 1.0])
    >>> NewsvendorBid().bid(
    ...     np.array([[-100.0, -50.0, 0.0]]), levels, np.array([50.0]), short_spread=0.6, long_spread=0.4
    ... )
    array([-40.])
    """

    @classmethod
    def of(cls, options: BidOptions) -> Self:
        """Return the bidder, which has no use for options."""
        return cls()

    def decide(self, problem: BidProblem) -> BidDecision:
        """Return the position; what the fleet can still shift is not looked at."""
        return _in_closed_form(critical_quantile(problem))

    def bid(
        self,
        quantiles_kwh: FloatArray,
        levels: FloatArray,
        price_eur_per_kwh: FloatArray,
        *,
        short_spread: float,
        long_spread: float,
    ) -> FloatArray:
        """Return the critical quantile of each step, shape (H,) [kWh]."""
        _check(quantiles_kwh, levels, price_eur_per_kwh)
        ratio = critical_ratio(short_spread=short_spread, long_spread=long_spread)
        return quantile_at(quantiles_kwh, levels, ratio)
