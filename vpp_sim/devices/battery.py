"""Batteries as arrays: the feasible set of an action, and the state of charge that follows from it.

Power is measured at the grid side of the inverter, so losses fall between meter and cell in both directions:

.. math:: E_{t+1} = \\kappa E_t + \\eta_c P_c h - P_d h / \\eta_d, \\qquad \\kappa = (1 - s)^{h / 730}

with energy :math:`E` [kWh], charging and discharging power :math:`P_c, P_d` [kW], step length :math:`h` [h] and
self-discharge :math:`s`, the share of the stored energy that a battery at rest loses in a month. What is stored as the
step begins decays through it; what the step adds or takes counts from its end on. So a battery at rest loses the same
over a day whatever the step.

Self-discharge never takes stored energy below zero, but it may take it below the window. That is no fault: such a
battery cannot discharge until it is back inside, and nothing forces it to charge.

An inverter limit holds at the grid side. A battery's own inverter carries its charging or its discharging. A hybrid
inverter also carries the PV of its home: what the sun takes of it is lost to discharging, and sun that is stored never
passes it. A device's PV is taken as measured, behind its inverter already, so it is never cut here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import inf, sqrt

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["HOURS_PER_MONTH", "BatteryFleet", "advance", "project"]

HOURS_PER_MONTH = 730.0
"""A twelfth of a year of 365 days [h]."""

_TOLERANCE = 1e-9
"""Relative slack for rounding when limits are checked."""

_NOT_GIVEN: FloatArray = np.empty(0)
_NOWHERE: BoolArray = np.empty(0, dtype=np.bool_)


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
    self_discharge_per_month : ndarray, shape (n,), optional
        Share of the stored energy lost in a month at rest, in [0, 1); without it, nothing is lost.
    inverter_kw : ndarray, shape (n,), optional
        Greatest power of the inverter at the grid side [kW]; infinite, as without it, where there is no such limit.
    hybrid : ndarray of bool, shape (n,), optional
        Whether that inverter carries the PV of its home too; without it, none does.

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
    self_discharge_per_month: FloatArray = field(default_factory=lambda: _NOT_GIVEN)
    inverter_kw: FloatArray = field(default_factory=lambda: _NOT_GIVEN)
    hybrid: BoolArray = field(default_factory=lambda: _NOWHERE)

    def __post_init__(self) -> None:
        self._fill()
        for each in fields(self):
            values = getattr(self, each.name)
            require_shape(each.name, values, (len(self),))
            require_non_negative(each.name, values[np.isfinite(values)] if each.name == "inverter_kw" else values)
        if np.isnan(self.inverter_kw).any():
            raise PhysicsError("inverter_kw must not be NaN")
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not ((getattr(self, name) > 0) & (getattr(self, name) <= 1)).all():
                raise PhysicsError(f"{name} must lie in (0, 1]")
        if not ((self.min_soc <= self.max_soc) & (self.max_soc <= 1)).all():
            raise PhysicsError("state of charge window must satisfy 0 <= min_soc <= max_soc <= 1")
        if not (self.self_discharge_per_month < 1).all():
            raise PhysicsError("self_discharge_per_month must lie in [0, 1)")

    def _fill(self) -> None:
        """Give every battery what was not given: no self-discharge, no inverter limit."""
        n = len(self)
        for name, absent, value in (
            ("self_discharge_per_month", _NOT_GIVEN, np.zeros(n)),
            ("inverter_kw", _NOT_GIVEN, np.full(n, np.inf)),
            ("hybrid", _NOWHERE, np.zeros(n, dtype=np.bool_)),
        ):
            if getattr(self, name) is absent:
                object.__setattr__(self, name, value)

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
        self_discharge_per_month: float = 0.0,
        inverter_kw: float = inf,
        hybrid: bool = False,
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
        self_discharge_per_month : float
            Share of the stored energy lost in a month at rest, in [0, 1).
        inverter_kw : float
            Greatest power of the inverter at the grid side [kW].
        hybrid : bool
            Whether that inverter carries the PV of its home too.

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
        return cls(
            capacity_kwh=np.full(n, float(capacity_kwh)),
            power_kw=np.full(n, float(power_kw)),
            charge_efficiency=np.full(n, one_way),
            discharge_efficiency=np.full(n, one_way),
            min_soc=np.full(n, float(min_soc)),
            max_soc=np.full(n, float(max_soc)),
            self_discharge_per_month=np.full(n, float(self_discharge_per_month)),
            inverter_kw=np.full(n, float(inverter_kw)),
            hybrid=np.full(n, hybrid),
        )

    @property
    def min_kwh(self) -> FloatArray:
        """Lowest stored energy, shape (n,) [kWh]."""
        return self.min_soc * self.capacity_kwh

    @property
    def max_kwh(self) -> FloatArray:
        """Highest stored energy, shape (n,) [kWh]."""
        return self.max_soc * self.capacity_kwh

    @property
    def limit_kw(self) -> FloatArray:
        """Greatest power either way while its home's PV is idle: of battery and inverter the lower, shape (n,) [kW]."""
        return np.minimum(self.power_kw, self.inverter_kw)

    def kept_share(self, step_h: float) -> FloatArray:
        """Return the share of stored energy that self-discharge leaves after a step, shape (n,)."""
        if not self.self_discharge_per_month.any():
            return np.ones(len(self))
        kept: FloatArray = (1.0 - self.self_discharge_per_month) ** (step_h / HOURS_PER_MONTH)
        return kept

    def limits_kw(self, pv_kw: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Return the greatest charging and discharging power beside the PV of their homes, each of shape (n,) [kW].

        Parameters
        ----------
        pv_kw : ndarray, shape (n,), optional
            PV power of each home [kW]; without it, none.

        Examples
        --------
        >>> fleet = BatteryFleet.uniform(1, 10.0, 5.0, 0.9, inverter_kw=4.0, hybrid=True)
        >>> fleet.limits_kw(np.array([3.0]))
        (array([5.]), array([1.]))
        """
        if pv_kw is None or not self.hybrid.any():
            limit_kw = self.limit_kw
            return limit_kw, limit_kw
        shared_kw = np.where(self.hybrid, pv_kw, 0.0)
        charge = np.minimum(self.power_kw, self.inverter_kw + shared_kw)
        return charge, np.minimum(self.power_kw, np.maximum(self.inverter_kw - shared_kw, 0.0))


def project(
    fleet: BatteryFleet,
    soc_kwh: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
    step_h: float,
    *,
    pv_kw: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Return the feasible powers nearest to those asked for.

    What is asked in both directions at once is netted; what remains is cut to the limits of battery and inverter and to
    what the window of the state of charge leaves.

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
    pv_kw : ndarray, shape (n,), optional
        PV power of each home [kW], which hybrid inverters carry; without it, none.

    Returns
    -------
    charge_kw, discharge_kw : ndarray, shape (n,)
        Feasible powers [kW]; at least one of the two is zero for every battery.

    Raises
    ------
    PhysicsError
        If shapes differ, or a power is negative, NaN or infinite.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(2, 6.4, 5.0, 1.0)
    >>> project(fleet, np.array([6.0, 3.0]), np.array([4.0, 1.0]), np.array([0.0, 9.0]), 1.0)
    (array([0.4, 0. ]), array([0., 3.]))
    """
    _require_action(fleet, soc_kwh, charge_kw, discharge_kw, step_h, pv_kw)
    net_kw = charge_kw - discharge_kw
    kept_kwh = _kept_kwh(fleet, soc_kwh, step_h)
    room_kw = np.maximum(fleet.max_kwh - kept_kwh, 0.0) / (fleet.charge_efficiency * step_h)
    stock_kw = np.maximum(kept_kwh - fleet.min_kwh, 0.0) * fleet.discharge_efficiency / step_h
    charge_limit_kw, discharge_limit_kw = fleet.limits_kw(pv_kw)
    charge = np.clip(net_kw, 0.0, np.minimum(charge_limit_kw, room_kw))
    discharge = np.clip(-net_kw, 0.0, np.minimum(discharge_limit_kw, stock_kw))
    return charge, discharge


def advance(
    fleet: BatteryFleet,
    soc_kwh: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
    step_h: float,
    *,
    pv_kw: FloatArray | None = None,
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
    pv_kw : ndarray, shape (n,), optional
        PV power of each home [kW], which hybrid inverters carry; without it, none.

    Returns
    -------
    ndarray, shape (n,)
        Stored energy at the end of the step [kWh]: inside the window, or below it by self-discharge alone.

    Raises
    ------
    PhysicsError
        If shapes differ, a power is negative, NaN or above the limit, both directions are used at once, or an action
        would leave the window of the state of charge.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(1, 6.4, 5.0, 0.81)
    >>> advance(fleet, np.array([1.0]), np.array([2.0]), np.array([0.0]), 1.0)
    array([2.8])
    """
    _require_action(fleet, soc_kwh, charge_kw, discharge_kw, step_h, pv_kw)
    _require_limits(fleet, charge_kw, discharge_kw, pv_kw)
    kept_kwh = _kept_kwh(fleet, soc_kwh, step_h)
    end_kwh = (
        kept_kwh + fleet.charge_efficiency * charge_kw * step_h - discharge_kw * step_h / fleet.discharge_efficiency
    )
    floor_kwh = fleet.min_kwh
    if kept_kwh is not soc_kwh:
        sinks = (fleet.self_discharge_per_month > 0) & (discharge_kw == 0)
        floor_kwh = np.where(sinks, np.minimum(floor_kwh, np.maximum(kept_kwh, 0.0)), floor_kwh)
    slack_kwh = _TOLERANCE * (1.0 + fleet.capacity_kwh)
    outside = (end_kwh < floor_kwh - slack_kwh) | (end_kwh > fleet.max_kwh + slack_kwh)
    if outside.any():
        i = int(np.flatnonzero(outside)[0])
        raise PhysicsError(
            f"battery {i} would hold {end_kwh[i]:g} kWh, outside [{fleet.min_kwh[i]:g}, {fleet.max_kwh[i]:g}] kWh"
        )
    return np.clip(end_kwh, floor_kwh, fleet.max_kwh)


def _kept_kwh(fleet: BatteryFleet, soc_kwh: FloatArray, step_h: float) -> FloatArray:
    """Return what self-discharge leaves, shape (n,) [kWh]: the very same array if no battery has any."""
    if not fleet.self_discharge_per_month.any():
        return soc_kwh
    return fleet.kept_share(step_h) * soc_kwh


def _require_action(
    fleet: BatteryFleet,
    soc_kwh: FloatArray,
    charge_kw: FloatArray,
    discharge_kw: FloatArray,
    step_h: float,
    pv_kw: FloatArray | None,
) -> None:
    if not (np.isfinite(step_h) and step_h > 0):
        raise PhysicsError(f"step_h is {step_h:g}, expected a positive length")
    for name, values in (("soc_kwh", soc_kwh), ("charge_kw", charge_kw), ("discharge_kw", discharge_kw)):
        require_shape(name, values, (len(fleet),))
    require_finite("soc_kwh", soc_kwh)
    require_non_negative("charge_kw", charge_kw)
    require_non_negative("discharge_kw", discharge_kw)
    if pv_kw is not None:
        require_shape("pv_kw", pv_kw, (len(fleet),))
        require_non_negative("pv_kw", pv_kw)


def _require_limits(
    fleet: BatteryFleet, charge_kw: FloatArray, discharge_kw: FloatArray, pv_kw: FloatArray | None
) -> None:
    limits_kw = fleet.limits_kw(pv_kw)
    for name, power_kw, limit_kw in zip(("charges", "discharges"), (charge_kw, discharge_kw), limits_kw, strict=True):
        above = power_kw > limit_kw * (1.0 + _TOLERANCE)
        if above.any():
            i = int(np.flatnonzero(above)[0])
            raise PhysicsError(f"battery {i} {name} at {power_kw[i]:g} kW, above its limit of {limit_kw[i]:g} kW")
    if ((charge_kw > 0) & (discharge_kw > 0)).any():
        i = int(np.flatnonzero((charge_kw > 0) & (discharge_kw > 0))[0])
        raise PhysicsError(f"battery {i} charges and discharges at once")
