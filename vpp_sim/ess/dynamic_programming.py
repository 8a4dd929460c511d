"""The worth of every state in hindsight, by backward induction: the labels that policies are cloned from.

.. math:: V_t(s) = \\max_a \\; r_t(s, a) + \\gamma V_{t+1}(s'(s, a))

over the discrete actions, with the state of charge on a grid and linear interpolation between its points (R. Bellman,
Dynamic Programming, 1957). It knows the future of each series; what a policy makes of it does not.
"""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.actions import ACTION_COUNT
from vpp_sim.ess.episodes import Cases, step_cases, stored_value_eur, subset
from vpp_sim.ess.features import Float32Array

__all__ = ["GRID_POINTS", "action_values", "state_values", "worth_eur"]

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
