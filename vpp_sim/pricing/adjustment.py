r"""When to trade on after the auction: the band of positions that are not worth the spread of leaving.

Whoever holds :math:`x` of an energy :math:`N` that is not yet known expects to pay, beyond the middle price,
:math:`a_s \mathrm{E}(N - x)^+ + a_l \mathrm{E}(x - N)^+`, where :math:`a_s` is what missing energy is expected to cost
above the middle price and :math:`a_l` what surplus loses below it. One more kWh saves :math:`a_s (1 - F(x)) - a_l F(x)`
and costs the half spread and the fee, :math:`c`. So it pays to buy up to the quantile
:math:`(a_s - c) / (a_s + a_l)` and to sell down to the quantile :math:`(a_s + c) / (a_s + a_l)`; in between, and where
a quantile lies outside 0..1, the position stays. Without costs both are the newsvendor's.

The band takes each chance as the last one. Who trades again with every new forecast could wait, so it trades somewhat
more than is best where the middle price does not move.
"""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.bids import PricePaths
from vpp_sim.pricing.quantiles import quantile_at

__all__ = ["no_trade_band"]

_EQUAL_EUR_PER_KWH = 1e-9
"""Prices nearer than this are equal but for rounding."""


def no_trade_band(
    quantiles_kwh: FloatArray, levels: FloatArray, prices: PricePaths, *, cost_eur_per_kwh: float
) -> tuple[FloatArray, FloatArray]:
    """Return between which positions no trade pays, each of shape (H,) [kWh].

    Parameters
    ----------
    quantiles_kwh : ndarray, shape (H, Q)
        Quantiles of the net energy as foreseen now [kWh], positive from the grid.
    levels : ndarray, shape (Q,)
        Their probabilities, rising, within 0..1.
    prices : PricePaths
        Middle price of trades, in the place of the day-ahead price, and prices of imbalance; their mean counts.
    cost_eur_per_kwh : float
        Half spread and fee of a trade, non-negative [EUR/kWh].

    Returns
    -------
    lowest_kwh, highest_kwh : ndarray, shape (H,)
        Buy up to the first, sell down to the second [kWh]; never beyond the outermost quantiles. Infinite where
        no position is worth buying, or selling, from.

    Raises
    ------
    PhysicsError
        If shapes differ or the cost is negative or not finite.

    Examples
    --------
    A middle price of 50, imbalance at 80 and 30, a spread of 5: buy below the half of the days, sell above 0.7 of them.

    >>> prices = PricePaths.of_spreads(np.array([50.0]), short_spread=0.6, long_spread=0.4)
    >>> no_trade_band(np.array([[0.0, 100.0]]), np.array([0.0, 1.0]), prices, cost_eur_per_kwh=5.0)
    (array([50.]), array([70.]))
    """
    if not (np.isfinite(cost_eur_per_kwh) and cost_eur_per_kwh >= 0):
        raise PhysicsError(f"cost_eur_per_kwh is {cost_eur_per_kwh:g}, expected 0 or above")
    middle = prices.day_ahead_eur_per_kwh.mean(axis=0)
    require_shape("quantiles_kwh", quantiles_kwh, (middle.size, levels.size))
    missing = prices.short_eur_per_kwh.mean(axis=0) - middle
    both = (prices.short_eur_per_kwh - prices.long_eur_per_kwh).mean(axis=0)
    buy = _ratio(missing - cost_eur_per_kwh, both, otherwise=-np.inf)
    sell = _ratio(missing + cost_eur_per_kwh, both, otherwise=np.inf)
    lowest = [
        quantile_at(row, levels, min(ratio, 1.0)) if ratio > 0 else -np.inf
        for row, ratio in zip(quantiles_kwh, buy, strict=True)
    ]
    highest = [
        quantile_at(row, levels, max(ratio, 0.0)) if ratio < 1 else np.inf
        for row, ratio in zip(quantiles_kwh, sell, strict=True)
    ]
    return np.array(lowest, dtype=np.float64), np.array(highest, dtype=np.float64)


def _ratio(saved: FloatArray, both: FloatArray, *, otherwise: float) -> FloatArray:
    """Return up to which share of the days a kWh more saves money.

    With one price of imbalance it is all of them or none; where that makes no difference, it is `otherwise`.
    """
    by_one_price = np.where(np.abs(saved) > _EQUAL_EUR_PER_KWH, np.copysign(np.inf, saved), otherwise)
    ratio: FloatArray = np.divide(saved, both, out=by_one_price, where=both > _EQUAL_EUR_PER_KWH)
    return ratio
