"""Stochastic dynamic programming: what stored energy is worth when forecasts may be wrong, for all batteries at once.

A plan that takes its forecast for certain keeps energy for an hour that may not need it, and buys for one that may not
come. Here the value of stored energy is found backwards over the window, as in R. Bellman (Dynamic Programming, 1957):

.. math::
    V_t(E) = \\sum_w p_w \\max_u \\; \\bigl( V_{t+1}(E + u) - c_t(u, w) \\bigr)

where in each step one of five outcomes :math:`w` is seen before acting, alike independent from step to step: net load
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
from vpp_sim.devices.battery import BatteryFleet, project
from vpp_sim.ess.mpc import END_WORTH_SHARE, WEAR_EUR_PER_KWH
from vpp_sim.ess.protocol import StorageObservation, require_observation

__all__ = ["GRID_POINTS", "NET_SPREAD", "PRICE_SPREAD", "StochasticDynamicProgramming"]

GRID_POINTS = 41
"""States of charge from lowest to highest."""

NET_SPREAD = 2.0
"""Standard deviation of a forecast's error, by the mean magnitude of the foreseen net load of the window."""

PRICE_SPREAD = 0.0
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

    def level_kwh(self, cost_eur: FloatArray, *, greedy: bool) -> FloatArray:
        """Return up to where another kWh is worth its cost, shape (n, K); where equal, only if `greedy`."""
        slope = np.diff(self.worth_eur, axis=1) / self.width_kwh[:, None]
        bar = cost_eur - _SLACK if greedy else cost_eur + _SLACK
        level: FloatArray = (slope[:, None, :] > bar[:, :, None]).sum(axis=2) * self.width_kwh[:, None]
        return level


class StochasticDynamicProgramming:
    """Acts by the worth of stored energy under an uncertain forecast; see the module.

    Terminal rule: that of :class:`~vpp_sim.ess.mpc.ModelPredictiveControl`.

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

    def act(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return the best powers of this step, each of shape (n,) [kW].

        Raises
        ------
        PhysicsError
            If the observation does not fit the fleet or is not finite.
        """
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
        return project(fleet, observation.soc_kwh, charge_kw, discharge_kw, step_h)

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
    cover_kw, surplus_kw = np.maximum(net_kw, 0.0), np.maximum(-net_kw, 0.0)
    limit = fleet.power_kw[:, None]
    cover_kw, surplus_kw = np.minimum(cover_kw, limit), np.minimum(surplus_kw, limit)
    pieces = (
        ((limit - cover_kw) * step_h / discharge, (sell - WEAR_EUR_PER_KWH) * discharge, True),
        (cover_kw * step_h / discharge, (buy - WEAR_EUR_PER_KWH) * discharge, False),
        (surplus_kw * step_h * charge, (sell + WEAR_EUR_PER_KWH) / charge, True),
        ((limit - surplus_kw) * step_h * charge, (buy + WEAR_EUR_PER_KWH) / charge, False),
    )
    begin = start_kwh - (pieces[0][0] + pieces[1][0])[:, :, None]
    end = begin.copy()
    for length, cost, greedy in pieces:
        level = value.level_kwh(np.broadcast_to(cost, length.shape), greedy=greedy)[:, :, None]
        end += np.clip(level - begin, 0.0, length[:, :, None])
        begin += length[:, :, None]
    return np.clip(end, 0.0, (fleet.max_kwh - fleet.min_kwh)[:, None, None])


def _cost_eur(
    fleet: BatteryFleet, gain_kwh: FloatArray, net_kw: FloatArray, buy: FloatArray, sell: FloatArray, step_h: float
) -> FloatArray:
    """Return what homes pay in a step for gains of shape (n, K, G) [EUR]."""
    charge, discharge = fleet.charge_efficiency[:, None, None], fleet.discharge_efficiency[:, None, None]
    meter_kwh = net_kw[:, :, None] * step_h + np.where(gain_kwh > 0, gain_kwh / charge, gain_kwh * discharge)
    paid: FloatArray = np.where(meter_kwh > 0, buy[:, None], sell[:, None]) * meter_kwh
    return paid
