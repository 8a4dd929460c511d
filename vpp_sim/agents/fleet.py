"""The homes of a run as arrays on its clock: measured series, solar power, batteries, default tariff."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
import pandas as pd

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.data.homes import HomesData
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.devices.solar import pv_ac_power_kw
from vpp_sim.errors import DataError
from vpp_sim.kernel.clock import Clock
from vpp_sim.registry import HOME_SOURCES
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.scenario.sections.prosumers import BatterySpec, ProsumerGroupSpec

__all__ = ["HISTORY_H", "LOOK_AHEAD_H", "Fleet", "build_fleet"]

HISTORY_H = 168 + 25
"""Hours of history before the start: a forecaster's week of context, and the longest day for the earliest gate."""

LOOK_AHEAD_H = 48
"""Hours of data after the end, where there are any: the longest forecast, and the age of the latest weather run."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Measured series of n homes, from `first_step` (below zero) on, and their equipment.

    Attributes
    ----------
    names : tuple of str, length n
        ``<group>/home_<number>``.
    first_step : int
        Step of the first row.
    load_kw, pv_kw : ndarray, shape (R, n)
        Base load, and available solar power [kW].
    pv_kwp : ndarray, shape (n,)
        Nameplate power of the PV arrays [kW].
    weather : ndarray, shape (R, 2)
        Air temperature [degC] and global horizontal irradiance [W/m2].
    carbon_kg_per_kwh, tariff_eur_per_kwh : ndarray, shape (R,)
        Carbon intensity of the grid [kg/kWh], and the tariff in the homes' own data [EUR/kWh].
    batteries : BatteryFleet
        The homes' batteries.
    initial_soc_kwh : ndarray, shape (n,)
        Stored energy at the start [kWh].
    replacement_eur_per_kwh : ndarray, shape (n,)
        Price of a new battery [EUR/kWh]; NaN where ageing is not valued.
    cell_temperature_c : ndarray, shape (n,)
        Temperature of the batteries' cells [degC].
    digests : dict of str to str
        SHA-256 of each source's file.
    dropped : dict of str to int
        What sources repaired, by description.
    flags : dict of str to str
        Homes that their source does not recommend, and why.
    """

    names: tuple[str, ...]
    first_step: int
    load_kw: FloatArray
    pv_kw: FloatArray
    pv_kwp: FloatArray
    weather: FloatArray
    carbon_kg_per_kwh: FloatArray
    tariff_eur_per_kwh: FloatArray
    batteries: BatteryFleet
    initial_soc_kwh: FloatArray
    replacement_eur_per_kwh: FloatArray
    cell_temperature_c: FloatArray
    digests: dict[str, str]
    dropped: dict[str, int]
    flags: dict[str, str]

    def __len__(self) -> int:
        """Return the number of homes."""
        return len(self.names)

    def row(self, step: int) -> int:
        """Return the row of `step`."""
        return step - self.first_step

    def hourly_before(self, series: FloatArray, step: int, hours: int, steps_per_hour: int) -> FloatArray:
        """Return hourly means of `series` over the hours that end where `step` begins, shape (hours, ...).

        Nothing from `step` on is read.
        """
        end = self.row(step)
        past = series[end - hours * steps_per_hour : end]
        means: FloatArray = past.reshape(hours, steps_per_hour, *series.shape[1:]).mean(axis=1)
        return means

    def true_net_kw(self, step: int, n_steps: int, steps_per_day: int) -> FloatArray:
        """Return base load less solar power of coming steps, shape (n, n_steps) [kW]; a bound's knowledge only.

        Beyond the end of the data the same hours of the day before are repeated.
        """
        rows = self._rows_ahead(step, n_steps, steps_per_day)
        net: FloatArray = (self.load_kw[rows] - self.pv_kw[rows]).T
        return net

    def hourly_after(self, series: FloatArray, step: int, hours: int, steps_per_hour: int) -> FloatArray:
        """Return hourly means of `series` over the hours from `step` on, shape (hours, ...); a bound's knowledge only.

        Beyond the end of the data the same hours of the day before are repeated.
        """
        rows = self._rows_ahead(step, hours * steps_per_hour, 24 * steps_per_hour)
        means: FloatArray = series[rows].reshape(hours, steps_per_hour, *series.shape[1:]).mean(axis=1)
        return means

    def steps_beyond(self, step: int, n_steps: int) -> int:
        """Return how many of `n_steps` steps from `step` on lie beyond the end of the data."""
        return min(max(self.row(step) + n_steps - len(self.load_kw), 0), n_steps)

    def _rows_ahead(self, step: int, n_steps: int, steps_per_day: int) -> IntArray:
        rows = np.arange(self.row(step), self.row(step) + n_steps)
        beyond = np.maximum(rows - (len(self.load_kw) - 1), 0)
        ahead: IntArray = rows - -(-beyond // steps_per_day) * steps_per_day
        return ahead


def build_fleet(scenario: Scenario, clock: Clock) -> Fleet:
    """Return the homes of `scenario` on `clock`, with history before the start and a look ahead where there is data.

    Raises
    ------
    DataError
        If the data does not cover the run and its history, or lies in another time zone.
    """
    groups = [_group_data(group, clock) for group in scenario.prosumers]
    first = groups[0][0]
    series = [_pv_and_load(spec, data) for data, spec in groups]
    return Fleet(
        names=tuple(f"{spec.group}/{name}" for data, spec in groups for name in data.names),
        first_step=-HISTORY_H * clock.steps_per_hour,
        load_kw=np.hstack([data.load_kw for data, _ in groups]),
        pv_kw=np.hstack([pv_kw for pv_kw, _ in series]),
        pv_kwp=np.concatenate([kwp for _, kwp in series]),
        weather=np.column_stack([first.temperature_c, first.ghi_w_m2]),
        carbon_kg_per_kwh=first.carbon_kg_per_kwh,
        tariff_eur_per_kwh=first.tariff_eur_per_kwh,
        batteries=_batteries(groups),
        initial_soc_kwh=_each(groups, lambda battery: battery.initial_soc * battery.capacity_kwh),
        replacement_eur_per_kwh=_each(groups, lambda battery: _or(battery.replacement_eur_per_kwh, nan)),
        cell_temperature_c=_each(groups, lambda battery: battery.temperature_c),
        digests={spec.data.kind: data.digest for data, spec in groups},
        dropped={f"{spec.data.kind}: {what}": count for data, spec in groups for what, count in data.repairs.items()},
        flags={f"{spec.group}/{name}": why for data, spec in groups for name, why in data.flags.items()},
    )


def _group_data(group: ProsumerGroupSpec, clock: Clock) -> tuple[HomesData, ProsumerGroupSpec]:
    source = HOME_SOURCES.load(group.data.kind)()
    homes = group.data.homes
    names = source.default_homes if homes is None else tuple(f"home_{number}" for number in homes)
    data: HomesData = source.load().select(names).resampled(clock.step_s)
    zone = str(data.index.tz)
    if zone != str(clock.start.tzinfo):
        raise DataError(f"homes of {group.data.kind!r} live in {zone}, the scenario in {clock.start.tzinfo}")
    start = pd.Timestamp(clock.start)
    lead = HISTORY_H * clock.steps_per_hour
    covered = len(data.index) - data.position(start)
    n_steps = min(clock.n_steps + LOOK_AHEAD_H * clock.steps_per_hour, max(covered, clock.n_steps))
    return data.window(start - pd.Timedelta(seconds=lead * clock.step_s), lead + n_steps), group


def _pv_and_load(group: ProsumerGroupSpec, data: HomesData) -> tuple[FloatArray, FloatArray]:
    given = group.pv_capacity_kw
    kwp = data.pv_kwp if given is None else np.full(len(data.names), given)
    return pv_ac_power_kw(data.pv_kw_per_kwp, kwp), kwp


def _batteries(groups: list[tuple[HomesData, ProsumerGroupSpec]]) -> BatteryFleet:
    one_way = _each(groups, lambda battery: sqrt(battery.efficiency))
    return BatteryFleet(
        capacity_kwh=_each(groups, lambda battery: battery.capacity_kwh),
        power_kw=_each(groups, lambda battery: battery.power_kw),
        charge_efficiency=one_way,
        discharge_efficiency=one_way,
        min_soc=_each(groups, lambda battery: battery.min_soc),
        max_soc=_each(groups, lambda battery: battery.max_soc),
        self_discharge_per_month=_each(groups, lambda battery: battery.self_discharge_per_month),
        inverter_kw=_each(groups, lambda battery: _or(battery.inverter_kw, inf)),
        hybrid=_each(groups, lambda battery: battery.inverter == "hybrid").astype(np.bool_),
    )


def _each(groups: list[tuple[HomesData, ProsumerGroupSpec]], value: Callable[[BatterySpec], float]) -> FloatArray:
    """Return a property of its group's battery for every home."""
    return np.concatenate([np.full(len(data.names), float(value(spec.battery))) for data, spec in groups])


def _or(given: float | None, absent: float) -> float:
    return absent if given is None else given
