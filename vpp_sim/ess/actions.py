"""The discrete actions that policies choose from, and what each means in kilowatts.

Import and export costs are piecewise linear, so at an optimum a battery follows its meter to zero, runs at full power,
rests, or is stopped by its limits. The table holds these, and smaller shares of power for the hours in between:

====== ============================================================
index  meaning
====== ============================================================
0      rest
1      follow the meter: store the surplus, or cover the deficit
2..5   charge at 10, 25, 50, 100 % of the power limit
6..9   discharge at 10, 25, 50, 100 % of the power limit
====== ============================================================

Whatever is chosen is projected onto what the battery can do.
"""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.devices.battery import BatteryFleet, project

__all__ = ["ACTION_COUNT", "FOLLOW", "POWER_SHARES", "asked_powers", "powers"]

POWER_SHARES: tuple[float, ...] = (0.0, 0.0, 0.1, 0.25, 0.5, 1.0, -0.1, -0.25, -0.5, -1.0)
"""Signed share of the power limit that each action stands for; positive charges. That of `FOLLOW` is not used."""

FOLLOW = 1
"""The action whose power is that of the meter, with the opposite sign."""

ACTION_COUNT = len(POWER_SHARES)

_SHARES = np.array(POWER_SHARES)


def powers(
    fleet: BatteryFleet, soc_kwh: FloatArray, net_now_kw: FloatArray, action: IntArray, step_h: float
) -> tuple[FloatArray, FloatArray]:
    """Return the feasible powers that actions stand for.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    soc_kwh : ndarray, shape (n,)
        Stored energy at the start of the step [kWh].
    net_now_kw : ndarray, shape (n,)
        Load minus PV of this step, as far as it is known [kW].
    action : ndarray of int, shape (n,)
        Index of an action, 0..9.
    step_h : float
        Length of the step [h].

    Returns
    -------
    charge_kw, discharge_kw : ndarray, shape (n,)
        Feasible powers [kW].

    Raises
    ------
    PhysicsError
        If shapes differ or a value is not finite.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(3, 6.4, 5.0, 1.0)
    >>> powers(fleet, np.full(3, 3.0), np.full(3, 0.7), np.array([0, 1, 4]), 1.0)
    (array([0. , 0. , 2.5]), array([0. , 0.7, 0. ]))
    """
    return project(fleet, soc_kwh, *asked_powers(fleet, net_now_kw, action), step_h)


def asked_powers(fleet: BatteryFleet, net_now_kw: FloatArray, action: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return the charging and discharging powers that actions stand for before limits cut them, shape (n,) [kW]."""
    wanted_kw = np.where(action == FOLLOW, -net_now_kw, _SHARES[action] * fleet.power_kw)
    return np.maximum(wanted_kw, 0.0), np.maximum(-wanted_kw, 0.0)
