"""Stochastic dynamic programming: what stored energy is worth when forecasts may be wrong, for all batteries at once.

A plan that takes its forecast for certain keeps energy for an hour that may not need it, and buys for one that may not
come. Here the value of stored energy is found backwards over the window, as in R. Bellman (Dynamic Programming, 1957):

.. math::
    V_t(E) = \\sum_w p_w \\max_u \\; \\bigl( V_{t+1}(E + u) - c_t(u, w) \\bigr)

where in each step one of five outcomes :math:`w` is seen before acting, independent from step to step: net load
is the forecast plus a multiple of the spread, and the cost :math:`c_t` of a gain is that of :mod:`vpp_sim.ess.mpc`,
convex with four pieces. :math:`V` is concave, on a grid with linear interpolation, so no action need be searched: of
each piece, in order of their costs, so much is taken as lifts the energy to where its worth falls below the piece's
cost. The first step is this step, whose net load is seen.

Nobody says how wrong a forecast is, so the spread is assumed: a share of the mean magnitude of the foreseen net load,
:data:`NET_SPREAD`, and of each price after midnight, :data:`PRICE_SPREAD`; prices until then count as known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.mpc import END_WORTH_SHARE, WEAR_EUR_PER_KWH
from vpp_sim.ess.protocol import AskingController, StorageObservation, require_observation

__all__ = ["GRID_POINTS", "NET_SPREAD", "PRICE_SPREAD", "StochasticDynamicProgramming"]

GRID_POINTS = 41
"""States of charge from lowest to highest."""

NET_SPREAD = 2.0
"""Standard deviation of a forecast's error, by the mean magnitude of the foreseen net load of the window."""

PRICE_SPREAD = 0.3
"""Standard deviation of a price after midnight, as a share of the foreseen one."""

_Z = np.array([-1.4, -0.5244, 0.0, 0.5244, 1.4])
"""Means of the fifths of a normal distribution, their standard deviation scaled to nearly one."""

_SLACK = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class _Value:
    """The worth of stored energy above empty: shape (n, G), on a grid of `width_kwh`, shape (n,)."""

    worth_eur: FloatArray
    width_kwh: FloatArray

    def at(self, energy_kwh: FloatArray) -> FloatArray:
        """Return the worth of energies of shape (n, ...) [EUR]."""
        n, points = self.worth_eur.shape
        place = energy_kwh.reshape(n, -1) / self.width_kwh[:, None]
        below = np.clip(place.astype(np.int64), 0, points - 2)
        rows = np.arange(n)[:, None]
        low, high = self.worth_eur[rows, below], self.worth_eur[rows, below + 1]
        worth: FloatArray = low + (place - below) * (high - low)
        return worth.reshape(energy_kwh.shape)

    def levels_kwh(self, bar_eur: FloatArray) -> FloatArray:
        """Return up to where another kWh is worth more than each of the bars, shape (n, ...)."""
        slope = np.diff(self.worth_eur, axis=1) / self.width_kwh[:, None]
        bars = bar_eur.reshape(len(slope), -1)
        level: FloatArray = (slope[:, None, :] > bars[:, :, None]).sum(axis=2) * self.width_kwh[:, None]
        return level.reshape(bar_eur.shape)


class StochasticDynamicProgramming(AskingController):
    """Acts by the worth of stored energy under an uncertain forecast; see the module.

    Terminal rule: that of :class:`~vpp_sim.ess.mpc.ModelPredictiveControl`.

    The spread of net load was chosen on the validation weeks of the thirteen Fontana homes, forecasts repeating
    yesterday, by the share of the hindsight optimum under their own tariff and under one that follows the market, with
    no spread of prices: spreads of 0.25, 0.5, 1, 1.5, 2 and 3 give 0.872, 0.921, 0.965, 0.974, 0.976, 0.975 and 0.845,
    0.878, 0.917, 0.934, 0.937, 0.933; the plan without uncertainty gives 0.970 and 0.805, self-consumption 0.932 and
    0.929. That twice the mean net load is best says that errors last for hours, for which independent steps make up by
    size.

    The spread of prices was chosen on Houston's prices of 2021 (see :mod:`vpp_sim.ess.arbitrage`). With today's prices
    known and coming ones foreseen by the carried mean, spreads of 0, 0.15, 0.3 and 0.45 give 0.887, 0.891, 0.905 and
    0.905 over the year, a week of storm in it; with only past ones known 0.528, 0.531, 0.505 and 0.495. On the homes 0
    and 0.3 are alike.

    Parameters
    ----------
    net_spread, price_spread : float
        See :data:`NET_SPREAD` and :data:`PRICE_SPREAD`.
    """

    needs_truth = False

    def __init__(self, *, net_spread: float = NET_SPREAD, price_spread: float = PRICE_SPREAD) -> None:
        self.net_spread, self.price_spread = net_spread, price_spread

    @classmethod
    def open(cls, step_s: int) -> Self:
        """Return an instance with the tuned spreads; any step will do."""
        return cls()

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return the best powers of this step, each of shape (n,) [kW]."""
        require_observation(fleet, observation)
        step_h, net = observation.step_h, observation.net_kw
        buy = observation.buy_eur_per_kwh
        sell = np.minimum(observation.sell_eur_per_kwh, buy)
        value = self._value_after(fleet, observation, buy, sell)
        start = np.clip(observation.soc_kwh, fleet.min_kwh, fleet.max_kwh)[:, None] - fleet.min_kwh[:, None]
        end = _best_end(fleet, value, start[:, None], net[:, :1], buy[:1], sell[:1], step_h)
        gain = (end[:, 0] - start)[:, 0]
        charge_kw = np.maximum(gain, 0.0) / (fleet.charge_efficiency * step_h)
        discharge_kw = np.maximum(-gain, 0.0) * fleet.discharge_efficiency / step_h
        return charge_kw, discharge_kw

    def _value_after(
        self, fleet: BatteryFleet, observation: StorageObservation, buy: FloatArray, sell: FloatArray
    ) -> _Value:
        """Return what stored energy is worth after this step."""
        net, step_h, steps = observation.net_kw, observation.step_h, len(buy)
        width = np.maximum(fleet.max_kwh - fleet.min_kwh, 1e-9) / (GRID_POINTS - 1)
        grid = (width[:, None] * np.arange(GRID_POINTS))[:, None, :]
        per_kwh = fleet.discharge_efficiency * max(END_WORTH_SHARE * float(buy.min()), 0.0)
        value = _Value(per_kwh[:, None] * grid[:, 0], width)
        spread_kw = self.net_spread * np.abs(net).mean(axis=1)
        sure = observation.hour + np.arange(steps) * step_h < 24.0 - 1e-9
        price_z = np.where(sure[:, None], 0.0, self.price_spread * _Z[[3, 0, 2, 4, 1]])
        for t in range(steps - 1, 0, -1):
            seen = net[:, t, None] + spread_kw[:, None] * _Z
            factor = 1.0 + price_z[t]
            end = _best_end(fleet, value, grid, seen, buy[t] * factor, sell[t] * factor, step_h)
            cost = _cost_eur(fleet, end - grid, seen, buy[t] * factor, sell[t] * factor, step_h)
            value = _Value((value.at(end) - cost).mean(axis=1), width)
        return value


def _best_end(
    fleet: BatteryFleet,
    value: _Value,
    start_kwh: FloatArray,
    net_kw: FloatArray,
    buy: FloatArray,
    sell: FloatArray,
    step_h: float,
) -> FloatArray:
    """Return the best energy after a step, shape (n, K, G), from starts (n, 1, G), net loads (n, K) and prices (K,)."""
    charge, discharge = fleet.charge_efficiency[:, None], fleet.discharge_efficiency[:, None]
    limit = fleet.power_kw[:, None]
    cover_kw, surplus_kw = np.clip(net_kw, 0.0, limit), np.clip(-net_kw, 0.0, limit)
    out_h, in_h = step_h / discharge, step_h * charge
    pieces = [(limit - cover_kw) * out_h, cover_kw * out_h, surplus_kw * in_h, (limit - surplus_kw) * in_h]
    bars = [  # what is metered now is certain, so where both are worth the same, it is served
        (sell - WEAR_EUR_PER_KWH) * discharge - _SLACK,
        (buy - WEAR_EUR_PER_KWH) * discharge + _SLACK,
        (sell + WEAR_EUR_PER_KWH) / charge - _SLACK,
        (buy + WEAR_EUR_PER_KWH) / charge + _SLACK,
    ]
    length, level = np.stack(pieces, axis=1)[..., None], value.levels_kwh(np.stack(bars, axis=1))[..., None]
    begin = np.cumsum(length, axis=1) - length - (length[:, :1] + length[:, 1:2]) + start_kwh[:, None]
    end: FloatArray = begin[:, 0] + np.clip(level - begin, 0.0, length).sum(axis=1)
    return np.clip(end, 0.0, (fleet.max_kwh - fleet.min_kwh)[:, None, None])


def _cost_eur(
    fleet: BatteryFleet, gain_kwh: FloatArray, net_kw: FloatArray, buy: FloatArray, sell: FloatArray, step_h: float
) -> FloatArray:
    """Return what homes pay in a step for gains of shape (n, K, G) [EUR]."""
    charge, discharge = fleet.charge_efficiency[:, None, None], fleet.discharge_efficiency[:, None, None]
    meter_kwh = net_kw[:, :, None] * step_h + np.where(gain_kwh > 0, gain_kwh / charge, gain_kwh * discharge)
    paid: FloatArray = np.where(meter_kwh > 0, buy[:, None], sell[:, None]) * meter_kwh
    return paid
