"""What a run came to: one vectorised function a number, from its tables and bills.

Each function takes the tables of one run and its bills, and returns one number; NaN where the run has nothing to
measure. :mod:`vpp_sim.runs.kpis` gives them names, units and definitions.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.units import MICRO_EUR_PER_EUR

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from vpp_sim.arrays import FloatArray
    from vpp_sim.devices.ageing import Ageing
    from vpp_sim.runs.frames import RunTables

__all__ = [
    "account_income",
    "ageing_cost_eur",
    "awaiting_eur",
    "battery_cycles",
    "battery_life_used",
    "battery_lost_capacity",
    "battery_sum",
    "bill_total",
    "chain_mean",
    "chain_sum",
    "confirmation_s",
    "coverage",
    "deferred_kwh",
    "emissions_kg",
    "energy_kwh",
    "feeder_kw",
    "feeder_peak_kw",
    "feeder_reverse_peak_kw",
    "forecast_mae_kw",
    "forecast_nrmse",
    "gas_cost_eur_per_kwh",
    "highest",
    "homes_above_default",
    "homes_bill",
    "homes_worse_off",
    "item_cost",
    "joint_result",
    "load_factor",
    "local_share",
    "lowest",
    "magnitude_kwh",
    "ramping_kw",
    "self_consumption",
    "self_sufficiency",
    "settled_periods",
    "society_result",
    "violations",
]

HALF_CENT_EUR = 0.005  # two bills that differ by less print the same
VOLTAGE_BAND = 0.10


def _column(tables: RunTables, name: str) -> FloatArray:
    return np.asarray(tables.timeseries[name], dtype=np.float64)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else nan


# Money


def homes_bill(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return what all homes together paid [EUR]."""
    return tables.homes_eur()


def account_income(account: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of what one account earned, net [EUR]."""
    return lambda tables, bills: -tables.account_eur(account)


def joint_result(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return what homes and VPP together earned, net; negative is a cost [EUR]."""
    return -(tables.homes_eur() + tables.account_eur("vpp"))


def society_result(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return what homes, VPP and grid operator together earned from outside, net; negative is a cost [EUR]."""
    return joint_result(tables, bills) - tables.account_eur("grid_operator")


def item_cost(account: str, item: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of what one account paid for one item, net [EUR]."""

    def cost(tables: RunTables, bills: pd.DataFrame) -> float:
        mine = (tables.ledger["account"] == account) & (tables.ledger["item"] == item)
        return float(tables.ledger.loc[mine, "amount_micro_eur"].sum()) / MICRO_EUR_PER_EUR

    return cost


def bill_total(column: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the sum of a column of the bills."""
    return lambda tables, bills: float(bills[column].sum())


def homes_worse_off(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return how many homes paid more than without the VPP."""
    return float((bills["total_eur"] - bills["counterfactual_total_eur"] > HALF_CENT_EUR).sum())


def homes_above_default(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return how many homes paid more than their default bill."""
    return float((bills["total_eur"] - bills["default_bill_eur"] > HALF_CENT_EUR).sum())


# Energy


def energy_kwh(column: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the energy in a column: the sum of kWh, or of kW times the step."""

    def energy(tables: RunTables, bills: pd.DataFrame) -> float:
        factor = tables.step_h if column.endswith("_kw") else 1.0
        return float(_column(tables, column).sum() * factor)

    return energy


def self_consumption(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the share of the PV energy available that did not leave the homes, together [1]."""
    pv_kw, sent_kw = _column(tables, "pv_kw"), np.maximum(-_column(tables, "net_kw"), 0.0)
    kept_kw = pv_kw - _column(tables, "curtailed_kw") - sent_kw
    return _ratio(float(kept_kw.sum()), float(pv_kw.sum()))


def self_sufficiency(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the share of the homes' load that was not drawn from outside, together [1]."""
    load_kw, drawn_kw = _column(tables, "load_kw"), np.maximum(_column(tables, "net_kw"), 0.0)
    return _ratio(float((load_kw - drawn_kw).sum()), float(load_kw.sum()))


def stored_kwh(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the energy in all batteries at the end [kWh]."""
    return float(_column(tables, "soc_kwh")[-1])


def local_share(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the share of the energy drawn at the meters that came from neighbours by trade [1]."""
    drawn_kwh = float(_column(tables, "import_kw").sum()) * tables.step_h
    return _ratio(float(_column(tables, "delivered_kwh").sum()), drawn_kwh)


def magnitude_kwh(column: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the sum of the magnitudes of a column of energies [kWh]."""
    return lambda tables, bills: float(np.abs(_column(tables, column)).sum())


def deferred_kwh(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the energy that homes did not use when they first would have [kWh]."""
    moved = tables.prosumers["base_load_kw"] - tables.prosumers["load_kw"]
    return float(moved.clip(lower=0).sum() * tables.step_h)


def battery_cycles(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the full equivalent cycles: energy in and out over twice the capacity [1]."""
    moved_kw = _column(tables, "charge_kw") + _column(tables, "discharge_kw")
    return _ratio(float(moved_kw.sum()) * tables.step_h, 2 * tables.battery_capacity_kwh)


def battery_sum(column: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the sum of a column of the batteries; NaN if they were not recorded."""
    return lambda tables, bills: float(tables.batteries[column].sum()) if len(tables.batteries) else nan


def battery_lost_capacity(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the share of the capacity of all batteries that was lost if they were new at the start [1]."""
    return _by_capacity(tables, lambda ageing: ageing.lost_capacity)


def battery_life_used(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the share of the life of all batteries that was used, weighted by capacity [1]."""
    return _by_capacity(tables, lambda ageing: ageing.life_used)


def ageing_cost_eur(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return what the used share of life costs, over the batteries that have a price; NaN if none has [EUR]."""
    price = np.asarray(tables.batteries["replacement_eur_per_kwh"], dtype=np.float64)
    if not np.isfinite(price).any():
        return nan
    capacity_kwh = np.asarray(tables.batteries["capacity_kwh"], dtype=np.float64)
    return float(np.nansum(tables.ageing().cost_eur(capacity_kwh, price)))


def _by_capacity(tables: RunTables, share: Callable[[Ageing], FloatArray]) -> float:
    capacity_kwh = np.asarray(tables.batteries["capacity_kwh"], dtype=np.float64)
    return _ratio(float(capacity_kwh @ share(tables.ageing())), float(capacity_kwh.sum())) if capacity_kwh.size else nan


# Feeder


def feeder_kw(tables: RunTables) -> FloatArray:
    """Return the power through the transformer, losses included, positive towards the homes [kW]."""
    return _column(tables, "net_kw") + _column(tables, "loss_kw")


def feeder_peak_kw(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the highest power drawn through the transformer, or 0 if none ever was [kW]."""
    return float(max(feeder_kw(tables).max(), 0.0))


def feeder_reverse_peak_kw(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the highest power fed back through the transformer, or 0 if none ever was [kW]."""
    return float(max(-feeder_kw(tables).min(), 0.0))


def load_factor(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the mean over the peak of the power drawn through the transformer [1]."""
    drawn = np.maximum(feeder_kw(tables), 0.0)
    return _ratio(float(drawn.mean()), float(drawn.max()))


def ramping_kw(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the sum of the magnitudes of the changes from step to step [kW]."""
    return float(np.abs(np.diff(feeder_kw(tables))).sum())


def emissions_kg(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the CO2 of the energy drawn through the transformer; feeding back earns nothing [kg]."""
    drawn_kwh = np.maximum(feeder_kw(tables), 0.0) * tables.step_h
    return float((drawn_kwh * _column(tables, "carbon_kg_per_kwh")).sum())


def highest(column: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the highest value of a column."""
    return lambda tables, bills: float(_column(tables, column).max())


def lowest(column: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the lowest value of a column."""
    return lambda tables, bills: float(_column(tables, column).min())


def violations(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the number of steps in which a voltage left the band of plus or minus 10 %."""
    low, high = _column(tables, "v_min_pu"), _column(tables, "v_max_pu")
    return float(((low < 1 - VOLTAGE_BAND) | (high > 1 + VOLTAGE_BAND)).sum())


# Forecast


def _forecast_pairs(tables: RunTables) -> tuple[FloatArray, FloatArray, FloatArray]:
    forecast = np.stack([_column(tables, f"forecast_net_{quantile}_kw") for quantile in ("p10", "p50", "p90")])
    known = np.isfinite(forecast).all(axis=0)
    load = _column(tables, "base_load_kw")
    actual = load - _column(tables, "pv_kw")
    return forecast[:, known], actual[known], load[known]


def forecast_mae_kw(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the mean absolute error of the median [kW]."""
    forecast, actual, _ = _forecast_pairs(tables)
    return float(np.abs(forecast[1] - actual).mean()) if actual.size else nan


def forecast_nrmse(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the root mean square error of the median over the mean load [1]."""
    forecast, actual, load = _forecast_pairs(tables)
    if not actual.size:
        return nan
    return _ratio(float(np.sqrt(((forecast[1] - actual) ** 2).mean())), float(load.mean()))


def coverage(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the share of steps in which the outcome lay between the outer quantiles [1]."""
    forecast, actual, _ = _forecast_pairs(tables)
    return float(((forecast[0] <= actual) & (actual <= forecast[2])).mean()) if actual.size else nan


# Settlement


def settled_periods(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the number of periods settled on chain; NaN if nothing was settled there."""
    return float(len(tables.chain)) if len(tables.chain) else nan


def chain_sum(column: str, factor: float = 1.0) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the sum over settled periods of a column, times `factor`."""
    return lambda tables, bills: float(tables.chain[column].sum()) * factor if len(tables.chain) else nan


def chain_mean(column: str) -> Callable[[RunTables, pd.DataFrame], float]:
    """Return the measure of the mean over settled periods of a column."""
    return lambda tables, bills: float(tables.chain[column].mean()) if len(tables.chain) else nan


def confirmation_s(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the mean time from the end of a settlement period to its confirmation [s]."""
    if not len(tables.chain):
        return nan
    period_end_s = (tables.chain["last_step"] + 1) * tables.step_h * 3600
    return float((tables.chain["confirmed_s"] - period_end_s).mean())


def gas_cost_eur_per_kwh(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the cost of gas over the homes' load [EUR/kWh]."""
    load_kwh = float(tables.timeseries["load_kw"].sum()) * tables.step_h
    return float(tables.chain["gas_cost_eur"].sum()) / load_kwh if len(tables.chain) and load_kwh else nan


def awaiting_eur(tables: RunTables, bills: pd.DataFrame) -> float:
    """Return the mean over steps of what homes owe or are owed less what they know to be paid, in magnitudes [EUR]."""
    homes = tables.prosumers
    if not len(tables.chain):
        return nan
    owed_eur = homes.groupby("home", observed=True)["cost_eur"].cumsum() - homes["paid_eur"]
    return float(owed_eur.abs().sum() / homes["step"].nunique())
