"""Batteries as arrays: the feasible set of an action, and the state of charge that follows from it.

Power is measured at the grid side of the inverter, so losses fall between meter and cell in both directions:

.. math:: E_{t+1} = E_t + \\eta_c P_c h - P_d h / \\eta_d

with energy :math:`E` [kWh], charging and discharging power :math:`P_c, P_d` [kW] and step length :math:`h` [h].
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import sqrt

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["BatteryFleet", "advance", "project"]

_TOLERANCE = 1e-9
"""Relative slack for rounding when limits are checked."""


@dataclass(frozen=True, slots=True, eq=False)
class BatteryFleet:
    """The fixed properties of n batteries.

    Attributes
    ----------
    capacity_kwh : ndarray, shape (n,)
        Energy between empty and full [kWh]; 0 stands for no battery.
    power_kw : ndarray, shape (n,)
        Greatest charging and discharging power at the grid side [kW].
    charge_efficiency, discharge_efficiency : ndarray, shape (n,)
        Share of energy that survives each way, in (0, 1].
    min_soc, max_soc : ndarray, shape (n,)
        Window of the state of charge, as shares of the capacity.

    Raises
    ------
    PhysicsError
        If shapes differ or a value lies outside its range.
    """

    capacity_kwh: FloatArray
    power_kw: FloatArray
    charge_efficiency: FloatArray
    discharge_efficiency: FloatArray
    min_soc: FloatArray
    max_soc: FloatArray

    def __post_init__(self) -> None:
        for field in fields(self):
            values = getattr(self, field.name)
            require_shape(field.name, values, (len(self),))
            require_non_negative(field.name, values)
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not ((getattr(self, name) > 0) & (getattr(self, name) <= 1)).all():
                raise PhysicsError(f"{name} must lie in (0, 1]")
        if not ((self.min_soc <= self.max_soc) & (self.max_soc <= 1)).all():
            raise PhysicsError("state of charge window must satisfy 0 <= min_soc <= max_soc <= 1")

    def __len__(self) -> int:
        """Return the number of batteries."""
        return int(self.capacity_kwh.shape[0])

    @classmethod
    def uniform(
        cls,
        n: int,
        capacity_kwh: float,
        power_kw: float,
        round_trip_efficiency: float,
        *,
        min_soc: float = 0.0,
        max_soc: float = 1.0,
    ) -> BatteryFleet:
        """Return n equal batteries; each direction has the square root of the round-trip efficiency.

        Parameters
        ----------
        n : int
            Number of batteries.
        capacity_kwh : float
            Energy between empty and full [kWh].
        power_kw : float
            Greatest charging and discharging power [kW].
        round_trip_efficiency : float
            Energy out per energy in, in (0, 1].
        min_soc, max_soc : float
            Window of the state of charge, as shares of the capacity.

        Raises
        ------
        PhysicsError
            If a value lies outside its range.

        Examples
        --------
        >>> BatteryFleet.uniform(2, 6.4, 5.0, 0.81).charge_efficiency
        array([0.9, 0.9])
        """
        if not 0 < round_trip_efficiency <= 1:
            raise PhysicsError(f"round-trip efficiency {round_trip_efficiency:g} must lie in (0, 1]")
        one_way = sqrt(round_trip_efficiency)
        return cls(*(np.full(n, v) for v in (capacity_kwh, power_kw, one_way, one_way, min_soc, max_soc)))

    @property
    def min_kwh(self) -> FloatArray:
        """Lowest stored energy, shape (n,) [kWh]."""
        return self.min_soc * self.capacity_kwh

    @property
    def max_kwh(self) -> FloatArray:
        """Highest stored energy, shape (n,) [kWh]."""
        return self.max_soc * self.capacity_kwh


def project(
    fleet: BatteryFleet, soc_kwh: FloatArray, charge_kw: FloatArray, discharge_kw: FloatArray, step_h: float
) -> tuple[FloatArray, FloatArray]:
    """Return the feasible powers nearest to those asked for.

    What is asked in both directions at once is netted; what remains is cut to the power limit and to what the window of
    the state of charge leaves.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    soc_kwh : ndarray, shape (n,)
        Stored energy at the start of the step [kWh].
    charge_kw, discharge_kw : ndarray, shape (n,)
        Powers asked for [kW], non-negative.
    step_h : float
        Length of the step [h].

    Returns
    -------
    charge_kw, discharge_kw : ndarray, shape (n,)
        Feasible powers [kW]; at least one of the two is zero for every battery.

    Raises
    ------
    PhysicsError
        If shapes differ, or a power is negative or NaN.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(2, 6.4, 5.0, 1.0)
    >>> project(fleet, np.array([6.0, 3.0]), np.array([4.0, 1.0]), np.array([0.0, 9.0]), 1.0)
    (array([0.4, 0. ]), array([0., 3.]))
    """
    _require_action(fleet, soc_kwh, charge_kw, discharge_kw, step_h)
    net_kw = charge_kw - discharge_kw
    room_kw = np.maximum(fleet.max_kwh - soc_kwh, 0.0) / (fleet.charge_efficiency * step_h)
    stock_kw = np.maximum(soc_kwh - fleet.min_kwh, 0.0) * fleet.discharge_efficiency / step_h
    charge = np.clip(net_kw, 0.0, np.minimum(fleet.power_kw, room_kw))
    discharge = np.clip(-net_kw, 0.0, np.minimum(fleet.power_kw, stock_kw))
    return charge, discharge


def advance(
    fleet: BatteryFleet, soc_kwh: FloatArray, charge_kw: FloatArray, discharge_kw: FloatArray, step_h: float
) -> FloatArray:
    """Return the stored energy at the end of the step.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    soc_kwh : ndarray, shape (n,)
        Stored energy at the start of the step [kWh].
    charge_kw, discharge_kw : ndarray, shape (n,)
        Powers at the grid side [kW], non-negative.
    step_h : float
        Length of the step [h].

    Returns
    -------
    ndarray, shape (n,)
        Stored energy at the end of the step [kWh], inside the window.

    Raises
    ------
    PhysicsError
        If shapes differ, a power is negative, NaN or above the limit, both directions are used at once, or the window
        of the state of charge would be left.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(1, 6.4, 5.0, 0.81)
    >>> advance(fleet, np.array([1.0]), np.array([2.0]), np.array([0.0]), 1.0)
    array([2.8])
    """
    _require_action(fleet, soc_kwh, charge_kw, discharge_kw, step_h)
    _require_limits(fleet, charge_kw, discharge_kw)
    gained_kwh = fleet.charge_efficiency * charge_kw * step_h
    end_kwh = soc_kwh + gained_kwh - discharge_kw * step_h / fleet.discharge_efficiency
    slack_kwh = _TOLERANCE * (1.0 + fleet.capacity_kwh)
    outside = (end_kwh < fleet.min_kwh - slack_kwh) | (end_kwh > fleet.max_kwh + slack_kwh)
    if outside.any():
        i = int(np.flatnonzero(outside)[0])
        raise PhysicsError(
            f"battery {i} would hold {end_kwh[i]:g} kWh, outside [{fleet.min_kwh[i]:g}, {fleet.max_kwh[i]:g}] kWh"
        )
    return np.clip(end_kwh, fleet.min_kwh, fleet.max_kwh)


def _require_action(
    fleet: BatteryFleet, soc_kwh: FloatArray, charge_kw: FloatArray, discharge_kw: FloatArray, step_h: float
) -> None:
    if not (np.isfinite(step_h) and step_h > 0):
        raise PhysicsError(f"step_h is {step_h:g}, expected a positive length")
    for name, values in (("soc_kwh", soc_kwh), ("charge_kw", charge_kw), ("discharge_kw", discharge_kw)):
        require_shape(name, values, (len(fleet),))
    require_finite("soc_kwh", soc_kwh)
    require_non_negative("charge_kw", charge_kw)
    require_non_negative("discharge_kw", discharge_kw)


def _require_limits(fleet: BatteryFleet, charge_kw: FloatArray, discharge_kw: FloatArray) -> None:
    limit_kw = fleet.power_kw * (1.0 + _TOLERANCE)
    for name, power_kw in (("charges", charge_kw), ("discharges", discharge_kw)):
        if (power_kw > limit_kw).any():
            i = int(np.flatnonzero(power_kw > limit_kw)[0])
            raise PhysicsError(f"battery {i} {name} at {power_kw[i]:g} kW, above its limit of {fleet.power_kw[i]:g} kW")
    if ((charge_kw > 0) & (discharge_kw > 0)).any():
        i = int(np.flatnonzero((charge_kw > 0) & (discharge_kw > 0))[0])
        raise PhysicsError(f"battery {i} charges and discharges at once")
