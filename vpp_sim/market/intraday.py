"""The intraday market: move a position to what is now expected, at a price with a spread, while the gate is open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["IntradayRules", "IntradayTrades", "adjust_position"]

_KWH_PER_MWH = 1000.0


@dataclass(frozen=True, slots=True)
class IntradayRules:
    """What trading intraday costs, and what the exchange takes.

    Attributes
    ----------
    step_h : float
        Length of a delivery step [h].
    half_spread_eur_per_kwh : float
        What buying costs above the middle price, and selling is paid below it [EUR/kWh].
    fee_eur_per_kwh : float
        Exchange fee on every kWh either way [EUR/kWh].
    least_mw, tick_mw : float
        Smallest trade and smallest step of its size, as mean power over the step [MW]; a step of 0 takes any size.
    lowest_eur_per_mwh, highest_eur_per_mwh : float
        Limits of a trade's price [EUR/MWh]; 9,999 either way in the single intraday coupling.

    Raises
    ------
    PhysicsError
        If a number is not finite, a spread, fee or size is negative, or the step is not positive.
    """

    step_h: float = 1.0
    half_spread_eur_per_kwh: float = 0.002
    fee_eur_per_kwh: float = 0.0
    least_mw: float = 0.1
    tick_mw: float = 0.1
    lowest_eur_per_mwh: float = -9999.0
    highest_eur_per_mwh: float = 9999.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        sizes, costs = (self.least_mw, self.tick_mw), (self.half_spread_eur_per_kwh, self.fee_eur_per_kwh)
        limits = (self.lowest_eur_per_mwh, self.highest_eur_per_mwh)
        if not np.isfinite([self.step_h, *sizes, *costs, *limits]).all():
            raise PhysicsError(f"intraday rules must be finite: {self}")
        if self.step_h <= 0 or min(*costs, *sizes) < 0:
            raise PhysicsError(f"intraday rules need a positive step, and no negative cost or size: {self}")


@dataclass(frozen=True, slots=True, eq=False)
class IntradayTrades:
    """What was traded, and what was not.

    Attributes
    ----------
    traded_kwh : ndarray, shape (H,)
        Energy bought (positive) or sold (negative) [kWh].
    price_eur_per_kwh : ndarray, shape (H,)
        Price of each trade with its half spread [EUR/kWh]; the middle price where nothing was traded.
    fee_eur : ndarray, shape (H,)
        Fees [EUR].
    after_gate_kwh, out_of_range_kwh, beyond_depth_kwh, rounded_kwh : float
        Wanted and not traded, without sign: the gate was closed, the price was beyond the limits, the market was not
        deep enough, or it was no whole tick or too small [kWh]; each in that order, what is left after the former.
    """

    traded_kwh: FloatArray
    price_eur_per_kwh: FloatArray
    fee_eur: FloatArray
    after_gate_kwh: float
    out_of_range_kwh: float
    beyond_depth_kwh: float
    rounded_kwh: float

    @property
    def cost_eur(self) -> FloatArray:
        """Cost with fees, shape (H,) [EUR]; negative where it earns."""
        return self.traded_kwh * self.price_eur_per_kwh + self.fee_eur


def adjust_position(
    position_kwh: FloatArray,
    wanted_kwh: FloatArray,
    middle_eur_per_kwh: FloatArray,
    *,
    is_open: BoolArray,
    rules: IntradayRules,
    depth_kwh: FloatArray | None = None,
) -> IntradayTrades:
    """Trade from a position toward the one wanted.

    Sizes are cut to whole ticks toward zero, so that no trade overshoots what is wanted.

    Parameters
    ----------
    position_kwh, wanted_kwh : ndarray, shape (H,)
        Position held and wanted, positive bought [kWh].
    middle_eur_per_kwh : ndarray, shape (H,)
        Middle of the intraday market's bid and ask [EUR/kWh].
    is_open : ndarray of bool, shape (H,)
        Which steps can still be traded, as of :class:`~vpp_sim.market.gates.ContinuousGate`.
    rules : IntradayRules
        Costs and limits.
    depth_kwh : ndarray, shape (H,), optional
        Most that the market takes either way [kWh]; any amount without it.

    Returns
    -------
    IntradayTrades
        Trades, their cost, and what was wanted and not traded.

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, or a depth is negative.

    Examples
    --------
    >>> trades = adjust_position(
    ...     np.array([500.0, 500.0]), np.array([730.0, 300.0]), np.array([0.10, 0.10]),
    ...     is_open=np.array([True, False]), rules=IntradayRules(half_spread_eur_per_kwh=0.01),
    ... )
    >>> trades.traded_kwh, trades.cost_eur.round(6), trades.after_gate_kwh, trades.rounded_kwh
    (array([200.,   0.]), array([22.,  0.]), 200.0, 30.0)
    """
    shape = position_kwh.shape
    for name, values in (
        ("position_kwh", position_kwh), ("wanted_kwh", wanted_kwh), ("middle_eur_per_kwh", middle_eur_per_kwh)
    ):  # fmt: skip
        require_shape(name, values, shape)
        require_finite(name, values)
    if is_open.shape != shape:
        raise PhysicsError(f"is_open has shape {is_open.shape}, expected {shape}")
    wish = wanted_kwh - position_kwh
    price = middle_eur_per_kwh + rules.half_spread_eur_per_kwh * np.sign(wish)
    in_time = np.where(is_open, wish, 0.0)
    quoted = price * _KWH_PER_MWH
    inside = (quoted >= rules.lowest_eur_per_mwh) & (quoted <= rules.highest_eur_per_mwh)
    possible = np.where(inside, in_time, 0.0)
    if depth_kwh is not None:
        require_shape("depth_kwh", depth_kwh, shape)
        require_non_negative("depth_kwh", depth_kwh)
        possible = np.clip(possible, -depth_kwh, depth_kwh)
    lot_kwh, least_kwh = (size * _KWH_PER_MWH * rules.step_h for size in (rules.tick_mw, rules.least_mw))
    lots = np.sign(possible) * np.floor(np.abs(possible) / lot_kwh + 1e-9) if lot_kwh else possible
    sized = lots * lot_kwh if lot_kwh else possible
    traded = np.where(np.abs(sized) >= least_kwh * (1 - 1e-9), sized, 0.0)
    reachable = np.where(inside, in_time, 0.0)
    return IntradayTrades(
        traded_kwh=traded,
        price_eur_per_kwh=np.where(traded == 0, middle_eur_per_kwh, price),
        fee_eur=rules.fee_eur_per_kwh * np.abs(traded),
        after_gate_kwh=float(np.abs(wish - in_time).sum()),
        out_of_range_kwh=float(np.abs(in_time - reachable).sum()),
        beyond_depth_kwh=float(np.abs(reachable - possible).sum()),
        rounded_kwh=float(np.abs(possible - traded).sum()),
    )
