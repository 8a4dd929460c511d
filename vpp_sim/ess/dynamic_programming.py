"""The worth of every state, in hindsight or as planned, by backward induction: what policies are cloned from.

.. math:: V_t(s) = \\max_a \\; r_t(s, a) + \\gamma V_{t+1}(s'(s, a))

over the discrete actions, with the state of charge on a grid and linear interpolation between its points (R. Bellman,
Dynamic Programming, 1957). Hindsight knows the future of each series; what a policy makes of it does not. A plan, made
anew at every step for the hours of its window, knows what a policy sees and no more: it earns less than hindsight, but
a policy can learn all of it, and learns nothing that only chance made true.
"""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.devices.battery import BatteryFleet, advance
from vpp_sim.ess.actions import ACTION_COUNT, powers
from vpp_sim.ess.episodes import Cases, burden_eur, saving_eur, step_cases, stored_value_eur, subset, window_prices
from vpp_sim.ess.features import Float32Array

__all__ = [
    "GRID_POINTS",
    "action_values",
    "planned_action_values",
    "planned_values",
    "state_values",
    "worth_eur",
]

GRID_POINTS = 25
"""States of charge from lowest to highest."""


def state_values(cases: Cases, *, discount: float) -> Float32Array:
    """Return what every state of every case is worth from each step on.

    Parameters
    ----------
    cases : Cases
        The series.
    discount : float
        Factor a step on later savings, in (0, 1].

    Returns
    -------
    ndarray of float32, shape (m, T + 1, 25)
        Worth [EUR]; zero before the first step that can be acted on.
    """
    m, steps = len(cases.fleet), cases.hour.shape[0]
    values = np.zeros((m, steps + 1, GRID_POINTS), dtype=np.float32)
    case, level = (index.ravel() for index in np.indices((m, GRID_POINTS)))
    grid = subset(cases.fleet, case)
    soc_kwh = grid.min_kwh + level / (GRID_POINTS - 1) * (grid.max_kwh - grid.min_kwh)
    last = np.full(m * GRID_POINTS, cases.last_step)
    values[:, cases.last_step] = stored_value_eur(cases, grid, case, last, soc_kwh).reshape(m, GRID_POINTS)
    everything = _spread(case, soc_kwh)
    fleet = subset(cases.fleet, everything[0])
    for step in range(cases.last_step - 1, cases.first_step - 1, -1):
        at = np.full(len(everything[0]), step)
        worth = _action_worth(cases, values, fleet, everything[0], at, everything[1], everything[2], discount)
        values[:, step] = worth.max(axis=1).reshape(m, GRID_POINTS)
    return values


def action_values(
    cases: Cases, values: Float32Array, case: IntArray, step: IntArray, soc_kwh: FloatArray, *, discount: float
) -> FloatArray:
    """Return what each action is worth in given states, shape (n, 10) [EUR].

    Parameters
    ----------
    cases : Cases
        The series.
    values : ndarray of float32, shape (m, T + 1, 25)
        What :func:`state_values` gave for them.
    case, step : ndarray of int, shape (n,)
        Which case, which step.
    soc_kwh : ndarray, shape (n,)
        Stored energy [kWh].
    discount : float
        As for :func:`state_values`.
    """
    rows, soc, action = _spread(case, soc_kwh)
    at = np.repeat(step, ACTION_COUNT)
    return _action_worth(cases, values, subset(cases.fleet, rows), rows, at, soc, action, discount)


def planned_values(cases: Cases, *, discount: float) -> Float32Array:
    """Return what stored energy is worth after each step, by a plan for the rest of the window seen at that step.

    Parameters
    ----------
    cases : Cases
        The series.
    discount : float
        Factor a step on later savings, in (0, 1].

    Returns
    -------
    ndarray of float32, shape (m, T, 25)
        Worth at the end of each step [EUR]; zero where no step can be acted on. What is left after the window is worth
        nothing.
    """
    m, steps = len(cases.fleet), cases.hour.shape[0]
    values = np.zeros((m, steps, GRID_POINTS), dtype=np.float32)
    at = np.arange(cases.first_step, cases.last_step)
    for case in range(m):
        rows = np.full(len(at), case)
        buy, sell = window_prices(cases, rows, at)
        net_kw = cases.foreseen_kw[case][at[:, None] + np.arange(buy.shape[1])]
        moved_kw, burden = _moves(cases, rows[:1])
        worth = np.zeros((len(at), GRID_POINTS), dtype=np.float32)
        for ahead in range(buy.shape[1] - 1, 0, -1):
            net, high, low = (series[:, ahead].astype(np.float32) for series in (net_kw, buy, sell))
            meter_kw = net[:, None, None] + moved_kw
            cost = np.where(meter_kw > 0, high[:, None, None], low[:, None, None]) * meter_kw * np.float32(cases.step_h)
            without = np.where(net > 0, high, low) * net * np.float32(cases.step_h)
            earned = np.float32(discount) * worth[:, None, :] - cost - burden
            worth = earned.max(axis=2) + without[:, None]
        values[case, at] = worth
    return values


def planned_action_values(
    cases: Cases, plan: Float32Array, case: IntArray, step: IntArray, soc_kwh: FloatArray, *, discount: float
) -> FloatArray:
    """Return what each action is worth in given states by a plan, shape (n, 10) [EUR].

    Parameters
    ----------
    cases : Cases
        The series.
    plan : ndarray of float32, shape (m, T, 25)
        What :func:`planned_values` gave for them.
    case, step : ndarray of int, shape (n,)
        Which case, which step.
    soc_kwh : ndarray, shape (n,)
        Stored energy [kWh].
    discount : float
        As for :func:`planned_values`.
    """
    rows, soc, action = _spread(case, soc_kwh)
    at, fleet = np.repeat(step, ACTION_COUNT), subset(cases.fleet, rows)
    buy, sell = (np.repeat(price[:, 0], ACTION_COUNT) for price in window_prices(cases, case, step))
    net_kw = cases.now_kw[rows, at]
    charge_kw, discharge_kw = powers(fleet, soc, net_kw, action, cases.step_h)
    saving = saving_eur(net_kw, charge_kw - discharge_kw, buy, sell, cases.step_h)
    saving -= burden_eur(cases, fleet, rows, charge_kw, discharge_kw)
    end_kwh = advance(fleet, soc, charge_kw, discharge_kw, cases.step_h)
    worth: FloatArray = saving + discount * worth_eur(plan, fleet, rows, at, end_kwh)
    return worth.reshape(-1, ACTION_COUNT)


def worth_eur(
    values: Float32Array, fleet: BatteryFleet, case: IntArray, step: IntArray, soc_kwh: FloatArray
) -> FloatArray:
    """Return what given states are worth, interpolated from :func:`state_values`, shape (n,) [EUR]."""
    usable_kwh = np.maximum(fleet.max_kwh - fleet.min_kwh, 1e-9)
    position = (soc_kwh - fleet.min_kwh) / usable_kwh * (GRID_POINTS - 1)
    below = np.minimum(position.astype(np.int64), GRID_POINTS - 2)
    low, high = values[case, step, below], values[case, step, below + 1]
    worth: FloatArray = low + (position - below) * (high - low)
    return worth


def _moves(cases: Cases, case: IntArray) -> tuple[Float32Array, Float32Array]:
    """Return the power that leads from each level of a battery to each [kW], and its burden [EUR], inf if too great.

    Both have shape (25, 25).
    """
    battery, step_h = subset(cases.fleet, case), cases.step_h
    low, high = battery.min_kwh[0], battery.max_kwh[0]
    level_kwh = np.linspace(low, high, GRID_POINTS)
    kept_kwh = np.maximum(level_kwh * battery.kept_share(step_h)[0], low)
    gain_kwh = level_kwh[None, :] - kept_kwh[:, None]
    charge_kw = np.maximum(gain_kwh, 0.0) / battery.charge_efficiency[0] / step_h
    discharge_kw = np.maximum(-gain_kwh, 0.0) * battery.discharge_efficiency[0] / step_h
    moved_kw = charge_kw - discharge_kw
    possible = np.abs(moved_kw) <= battery.power_kw[0] * (1.0 + 1e-9)
    burden = np.where(possible, burden_eur(cases, battery, case, charge_kw, discharge_kw), np.inf)
    return moved_kw.astype(np.float32), burden.astype(np.float32)


def _spread(case: IntArray, soc_kwh: FloatArray) -> tuple[IntArray, FloatArray, IntArray]:
    action = np.tile(np.arange(ACTION_COUNT), len(case))
    return np.repeat(case, ACTION_COUNT), np.repeat(soc_kwh, ACTION_COUNT), action


def _action_worth(
    cases: Cases,
    values: Float32Array,
    fleet: BatteryFleet,
    case: IntArray,
    step: IntArray,
    soc_kwh: FloatArray,
    action: IntArray,
    discount: float,
) -> FloatArray:
    end_kwh, saving = step_cases(cases, fleet, case, step, soc_kwh, action)
    worth: FloatArray = saving + discount * worth_eur(values, fleet, case, step + 1, end_kwh)
    return worth.reshape(-1, ACTION_COUNT)
