"""The KPIs of a run: their names, units and definitions as data, their values for the VPP and its counterfactual.

The energy shares are those of Luthander et al. [1]_, taken over all homes together: with load :math:`L`, PV output
:math:`P` and battery power :math:`S` (positive when discharging), the energy used locally is
:math:`M = \\min(L, P + S)`; self-consumption is :math:`\\sum M / \\sum P`, self-sufficiency :math:`\\sum M / \\sum L`.

References
----------
.. [1] R. Luthander, J. Widen, D. Nilsson, J. Palm, "Photovoltaic self-consumption in buildings: A review",
   Applied Energy 142, 2015. https://doi.org/10.1016/j.apenergy.2014.12.028
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from vpp_sim.errors import DataError
from vpp_sim.runs import measures as m
from vpp_sim.units import MICRO_EUR_PER_EUR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from vpp_sim.runs.frames import RunTables

__all__ = ["KPIS", "Kpi", "KpiValue", "compute_kpis", "kpi_rows", "kpi_text", "read_kpis", "write_kpis"]

Measure: TypeAlias = "Callable[[RunTables, pd.DataFrame], float]"
Better: TypeAlias = Literal["higher", "lower", "neither"]


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key figure.

    Attributes
    ----------
    name, label : str
        Its key in ``kpis.json``, and what reports call it.
    unit : str
        ``"1"`` for shares and pure numbers.
    better : {"higher", "lower", "neither"}
        Which direction is an improvement.
    group : str
        The heading that it stands under.
    definition : str
        The formula in words.
    measure : callable
        From the tables and bills of one run to the value.
    vpp_only : bool
        Whether it says nothing about the counterfactual.
    """

    name: str
    label: str
    unit: str
    better: Better
    group: str
    definition: str
    measure: Measure
    vpp_only: bool = False


class KpiValue(TypedDict):
    """What ``kpis.json`` holds for each name; None where there is nothing to measure."""

    vpp: float | None
    counterfactual: float | None
    difference: float | None
    unit: str
    definition: str


_EN_50160 = "EN 50160"
_RETAILER = "Without the VPP: the forecast of its plain retailer."

KPIS: tuple[Kpi, ...] = (
    # Money
    Kpi(
        "homes_bill_eur", "Homes' total bill", "EUR", "lower", "Money",
        "Sum over all homes of everything the ledger charged them, refunds included.", m.homes_bill,
    ),
    Kpi(
        "vpp_profit_eur", "VPP's profit", "EUR", "higher", "Money",
        "Less the sum of the ledger's amounts of the account vpp: what homes paid it for energy, less feed-in "
        "payments, wholesale costs, imbalance and refunds. Without the VPP: the margin of a plain retailer.",
        m.account_income("vpp"),
    ),
    Kpi(
        "joint_surplus_eur", "Homes and VPP together", "EUR", "higher", "Money",
        "VPP's profit less the homes' bill; payments between them cancel, so its difference is what the VPP as a whole "
        "gains from others.",
        m.joint_result,
    ),
    Kpi(
        "society_eur", "Homes, VPP and grid operator together", "EUR", "higher", "Money",
        "VPP's profit and grid operator's income less the homes' bill; payments between the three cancel, levies "
        "included, so it is minus what all of them pay to the wholesale market.",
        m.society_result,
    ),
    Kpi(
        "grid_operator_income_eur", "Grid operator's income", "EUR", "neither", "Money",
        "Levies received less the wholesale cost of the feeder's losses.", m.account_income("grid_operator"),
    ),
    Kpi(
        "day_ahead_cost_eur", "Day-ahead cost", "EUR", "lower", "Money",
        "What the VPP paid for its positions at the day-ahead price; sales count negative.",
        m.item_cost("vpp", "day_ahead"),
    ),
    Kpi(
        "intraday_cost_eur", "Intraday cost", "EUR", "lower", "Money",
        "What the VPP paid for energy bought after the auction, spread and fees included; sales count negative.",
        m.item_cost("vpp", "intraday"),
    ),
    Kpi(
        "imbalance_cost_eur", "Imbalance cost", "EUR", "lower", "Money",
        "What the VPP paid for metered energy above its position, intraday trades included, less what it was paid for "
        "energy below it.",
        m.item_cost("vpp", "imbalance"),
    ),
    Kpi(
        "guarantee_eur", "Refunds under the guarantee", "EUR", "neither", "Money",
        "What the VPP refunded to homes whose bill exceeded their default bill.", m.item_cost("vpp", "guarantee"),
    ),
    Kpi(
        "ageing_cost_eur", "Battery ageing", "EUR", "lower", "Money",
        "Share of their life that the batteries used times the price of new ones, by time and by depth of cycles "
        "(Xu et al. 2018, as in vpp_sim/devices/ageing.py); of those whose battery.replacement_eur_per_kwh is given. "
        "Not in the ledger.",
        m.ageing_cost_eur,
    ),
    Kpi(
        "default_bill_eur", "Homes' default bill", "EUR", "neither", "Money",
        "Cost of the same metered energy at the default tariff, all homes.", m.bill_total("default_bill_eur"),
    ),
    Kpi(
        "homes_worse_off", "Homes worse off", "homes", "lower", "Money",
        "Homes whose bill exceeds that of the counterfactual by more than half a cent.",
        m.homes_worse_off, vpp_only=True,
    ),
    Kpi(
        "homes_above_default", "Homes above their default bill", "homes", "lower", "Money",
        "Homes whose bill exceeds what the default tariff would have charged for the same metered energy, by more than "
        "half a cent.",
        m.homes_above_default, vpp_only=True,
    ),
    # Energy
    Kpi("load_kwh", "Load", "kWh", "neither", "Energy", "Energy used by all homes.", m.energy_kwh("load_kw")),
    Kpi(
        "pv_kwh", "PV available", "kWh", "neither", "Energy",
        "Energy that all PV arrays could deliver, before curtailment.", m.energy_kwh("pv_kw"),
    ),
    Kpi(
        "import_kwh", "Drawn at meters", "kWh", "lower", "Energy",
        "Sum over homes and steps of positive metered net energy.", m.energy_kwh("import_kw"),
    ),
    Kpi(
        "export_kwh", "Fed in at meters", "kWh", "neither", "Energy",
        "Sum over homes and steps of negative metered net energy, as a magnitude.", m.energy_kwh("export_kw"),
    ),
    Kpi(
        "self_consumption", "Self-consumption", "1", "higher", "Energy",
        "PV energy less what was curtailed and what the homes together fed in, over the PV energy available (feed-in "
        "definition; Luthander et al. 2015 compare it with others).",
        m.self_consumption,
    ),
    Kpi(
        "self_sufficiency", "Self-sufficiency", "1", "higher", "Energy",
        "Load less what the homes together drew, over load (Luthander et al. 2015); charging from the grid counts "
        "against it, energy in the batteries at the start for it.",
        m.self_sufficiency,
    ),
    Kpi(
        "local_kwh", "Traded locally", "kWh", "higher", "Energy",
        "Energy delivered under trades between homes.", m.energy_kwh("delivered_kwh"),
    ),
    Kpi(
        "local_share", "Share traded locally", "1", "higher", "Energy",
        "Energy delivered under trades between homes over energy drawn at meters.", m.local_share,
    ),
    Kpi(
        "deferred_kwh", "Deferred load", "kWh", "neither", "Energy",
        "Sum over homes and steps of load before less load after demand response, where positive.", m.deferred_kwh,
    ),
    Kpi(
        "battery_cycles", "Battery full equivalent cycles", "1", "neither", "Energy",
        "Energy charged and discharged over twice the capacity, all batteries together.", m.battery_cycles,
    ),
    Kpi(
        "battery_life_used", "Battery life used", "life", "lower", "Energy",
        "Stress of time and of cycles counted by rainflow (ASTM E1049-85) over that at which a fifth of the capacity "
        "is lost (Xu et al. 2018), weighted by capacity.",
        m.battery_life_used,
    ),
    Kpi(
        "battery_lost_capacity", "Battery capacity lost", "1", "lower", "Energy",
        "Share of the capacity that the same stress takes from batteries that were new at the start, which lose most "
        "at first.",
        m.battery_lost_capacity,
    ),
    Kpi(
        "projected_actions", "Battery actions cut to limits", "actions", "neither", "Energy",
        "Steps, over all batteries, in which power limit, inverter or window gave less than the controller asked for; "
        "a rule that follows the meter asks for all of it, whether the battery is full or not.",
        m.battery_sum("projected_steps"),
    ),
    Kpi(
        "projected_kwh", "Energy cut from battery actions", "kWh", "neither", "Energy",
        "Energy by which they were cut, at the grid side.", m.battery_sum("projected_kwh"),
    ),
    Kpi(
        "stored_kwh", "Stored at the end", "kWh", "neither", "Energy",
        "Energy in all batteries after the last step; run and counterfactual start with the same, and what is left is "
        "not valued in money.",
        m.stored_kwh,
    ),
    Kpi(
        "curtailed_kwh", "Curtailed PV", "kWh", "lower", "Energy",
        "PV energy cut off.", m.energy_kwh("curtailed_kw"),
    ),
    Kpi(
        "emissions_kg", "CO2 emissions", "kg", "lower", "Energy",
        "Energy drawn through the transformer times the grid's carbon intensity of the step; energy fed back earns no "
        "credit.",
        m.emissions_kg,
    ),
    Kpi(
        "imbalance_kwh", "Imbalance", "kWh", "lower", "Energy",
        "Sum over steps of the magnitude of metered net energy less what was bought day ahead and intraday.",
        m.magnitude_kwh("imbalance_kwh"),
    ),
    Kpi(
        "intraday_kwh", "Traded intraday", "kWh", "neither", "Energy",
        "Sum over steps of the magnitude of what was bought or sold after the auction for the step, all trades "
        "together.",
        m.magnitude_kwh("intraday_kwh"),
    ),
    # Feeder
    Kpi(
        "feeder_peak_kw", "Feeder peak", "kW", "lower", "Feeder",
        "Highest mean power of a step drawn through the transformer, losses included.", m.feeder_peak_kw,
    ),
    Kpi(
        "feeder_reverse_peak_kw", "Feeder reverse peak", "kW", "lower", "Feeder",
        "Highest mean power of a step fed back through the transformer.", m.feeder_reverse_peak_kw,
    ),
    Kpi("losses_kwh", "Feeder losses", "kWh", "lower", "Feeder", "Energy lost in the feeder.", m.energy_kwh("loss_kw")),
    Kpi(
        "load_factor", "Load factor", "1", "higher", "Feeder",
        "Mean over peak of the power drawn through the transformer; steps that feed back count as zero.", m.load_factor,
    ),
    Kpi(
        "ramping_kw", "Ramping", "kW", "lower", "Feeder",
        "Sum of the magnitudes of changes of the transformer's power from step to step.", m.ramping_kw,
    ),
    Kpi(
        "v_min_pu", "Lowest voltage", "p.u.", "higher", "Feeder",
        "Lowest voltage of any node in any step.", m.lowest("v_min_pu"),
    ),
    Kpi(
        "v_max_pu", "Highest voltage", "p.u.", "lower", "Feeder",
        "Highest voltage of any node in any step.", m.highest("v_max_pu"),
    ),
    Kpi(
        "transformer_loading", "Transformer loading", "1", "lower", "Feeder",
        "Highest loading of the transformer, as a share of its rating.", m.highest("transformer_loading"),
    ),
    Kpi(
        "line_loading", "Line loading", "1", "lower", "Feeder",
        "Highest loading of any line, as a share of its rating.", m.highest("line_loading"),
    ),
    Kpi(
        "voltage_violations", "Steps outside the voltage band", "steps", "lower", "Feeder",
        f"Steps in which a voltage left 0.90 to 1.10 p.u. ({_EN_50160} allows 5 % of a week's 10-minute means).",
        m.violations,
    ),
    # Forecast
    Kpi(
        "forecast_mae_kw", "Forecast error, MAE", "kW", "lower", "Forecast",
        "Mean absolute error of the median day-ahead forecast of fleet load less PV. " + _RETAILER, m.forecast_mae_kw,
    ),
    Kpi(
        "forecast_nrmse", "Forecast error, NRMSE", "1", "lower", "Forecast",
        "Root mean square error of the median day-ahead forecast of fleet load less PV, over the mean load of the "
        "steps forecast (the mean net load may be near zero). " + _RETAILER,
        m.forecast_nrmse,
    ),
    Kpi(
        "forecast_coverage", "Forecast coverage, 10 to 90 %", "1", "neither", "Forecast",
        "Share of steps in which the outcome lay between the 10 % and 90 % quantiles; 0.8 is right. " + _RETAILER,
        m.coverage,
    ),
    # Settlement
    Kpi(
        "chain_periods", "Periods settled on chain", "periods", "neither", "Settlement",
        "Settlement periods whose payments are final; one in which nothing moved is none.", m.settled_periods,
        vpp_only=True,
    ),
    Kpi(
        "chain_moved_eur", "Settled on chain", "EUR", "neither", "Settlement",
        "Sum over periods of the amounts moved.", m.chain_sum("moved_micro_eur", 1 / MICRO_EUR_PER_EUR), vpp_only=True,
    ),
    Kpi(
        "chain_gas", "Gas, total", "gas", "lower", "Settlement",
        "Gas used by all settlement transactions.", m.chain_sum("gas_used"), vpp_only=True,
    ),
    Kpi(
        "chain_gas_per_period", "Gas a period", "gas", "lower", "Settlement",
        "Mean gas of settling a period.", m.chain_mean("gas_used"), vpp_only=True,
    ),
    Kpi(
        "chain_gas_cost_eur", "Gas cost", "EUR", "lower", "Settlement",
        "Cost of that gas at its price when it was used.", m.chain_sum("gas_cost_eur"), vpp_only=True,
    ),
    Kpi(
        "chain_gas_cost_eur_per_kwh", "Gas cost a kWh", "EUR/kWh", "lower", "Settlement",
        "Cost of gas over the homes' load.", m.gas_cost_eur_per_kwh, vpp_only=True,
    ),
    Kpi(
        "chain_confirmation_s", "Time to final payment", "s", "lower", "Settlement",
        "Mean time from the end of a settlement period to the confirmation of its last transaction.", m.confirmation_s,
        vpp_only=True,
    ),
    Kpi(
        "chain_awaiting_eur", "Money not final", "EUR", "lower", "Settlement",
        "Mean over steps of what homes owe or are owed and have not seen paid for good, summed over homes.",
        m.awaiting_eur, vpp_only=True,
    ),
)  # fmt: skip
"""Every KPI, in the order of reports."""


def _number(value: float) -> float | None:
    return round(value, 9) + 0.0 if isfinite(value) else None


def compute_kpis(
    vpp: RunTables, counterfactual: RunTables, bills: pd.DataFrame, counterfactual_bills: pd.DataFrame
) -> dict[str, KpiValue]:
    """Return the value of every KPI for a run, its counterfactual, and their difference.

    Parameters
    ----------
    vpp, counterfactual : RunTables
        The run, and the same homes without the VPP.
    bills, counterfactual_bills : DataFrame
        Their bills (see :func:`vpp_sim.runs.bills.make_bills`).

    Returns
    -------
    dict of str to KpiValue
        In the order of `KPIS`; numbers are rounded to nine decimals.
    """
    values: dict[str, KpiValue] = {}
    for kpi in KPIS:
        ours = _number(kpi.measure(vpp, bills))
        theirs = None if kpi.vpp_only else _number(kpi.measure(counterfactual, counterfactual_bills))
        difference = None if ours is None or theirs is None else _number(ours - theirs)
        values[kpi.name] = KpiValue(
            vpp=ours, counterfactual=theirs, difference=difference, unit=kpi.unit, definition=kpi.definition
        )
    return values


def write_kpis(kpis: Mapping[str, KpiValue], path: Path) -> None:
    """Write the KPIs as JSON, in the order of reports."""
    path.write_text(json.dumps(kpis, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_kpis(path: Path) -> dict[str, KpiValue]:
    """Read the KPIs of a run.

    Raises
    ------
    DataError
        If the file is missing or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as KPIs: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: is no JSON object")
    return content


_DECIMALS = {
    "1": 3, "EUR": 2, "EUR/kWh": 4, "kWh": 1, "kW": 2, "kg": 1, "p.u.": 4, "homes": 0, "steps": 0, "periods": 0,
    "gas": 0, "s": 1, "life": 5, "actions": 0,
}  # fmt: skip


def kpi_text(value: float | None, unit: str, *, signed: bool = False) -> str:
    """Return the value of a KPI as tables write it.

    Parameters
    ----------
    value : float or None
        In `unit`.
    unit : str
        As in :attr:`Kpi.unit`; it decides the number of decimals.
    signed : bool
        Whether a positive number gets a plus.

    Examples
    --------
    >>> kpi_text(1234.567, "EUR"), kpi_text(0.5, "1", signed=True), kpi_text(None, "kWh")
    ('1,234.57', '+0.500', '–')
    """
    if value is None:
        return "–"
    sign = "+" if signed else ""
    decimals = _DECIMALS[unit]
    if not round(value, decimals):
        return f"{0.0:,.{decimals}f}"
    return f"{value:{sign},.{decimals}f}"


def kpi_rows(kpis: Mapping[str, KpiValue]) -> list[tuple[str, str, str, str, str]]:
    """Return the KPIs as text for a terminal or a report.

    Returns
    -------
    list of tuple
        Label, VPP, counterfactual, difference and unit, a row for each KPI that has a value; the unit of shares and
        counts is empty.
    """
    rows = []
    for kpi in KPIS:
        entry = kpis.get(kpi.name)
        if entry is None or (entry["vpp"] is None and entry["counterfactual"] is None):
            continue
        vpp, counterfactual = kpi_text(entry["vpp"], kpi.unit), kpi_text(entry["counterfactual"], kpi.unit)
        difference = kpi_text(entry["difference"], kpi.unit, signed=True)
        rows.append((kpi.label, vpp, counterfactual, difference, "" if kpi.unit == "1" else kpi.unit))
    return rows
