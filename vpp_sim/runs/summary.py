"""What follows from the recorder's tables alone: the bills and KPIs of a run, written beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_sim.runs.bills import make_bills
from vpp_sim.runs.folder import COUNTERFACTUAL
from vpp_sim.runs.frames import read_tables, write_frame
from vpp_sim.runs.kpis import compute_kpis, write_kpis

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.runs.kpis import KpiValue

__all__ = ["write_summary"]


def write_summary(path: Path, *, step_h: float, battery_capacity_kwh: float) -> dict[str, KpiValue]:
    """Write ``bills.parquet`` (of the run and of its counterfactual) and ``kpis.json``.

    Parameters
    ----------
    path : Path
        Folder with the recorder's tables, those of the counterfactual in its folder ``counterfactual``.
    step_h : float
        Length of a tick [h].
    battery_capacity_kwh : float
        Capacity of all batteries together [kWh].

    Returns
    -------
    dict of str to KpiValue
        The KPIs written.

    Raises
    ------
    DataError
        If a table is missing or lacks a column.
    SimulationError
        If run and counterfactual differ in homes or steps, or a home was charged for an item that no bill lists.
    """
    vpp = read_tables(path, step_h=step_h, battery_capacity_kwh=battery_capacity_kwh)
    counterfactual = read_tables(path / COUNTERFACTUAL, step_h=step_h, battery_capacity_kwh=battery_capacity_kwh)
    bills, theirs = make_bills(vpp, counterfactual), make_bills(counterfactual, counterfactual)
    write_frame(bills, path, "bills")
    write_frame(theirs, path / COUNTERFACTUAL, "bills")
    kpis = compute_kpis(vpp, counterfactual, bills, theirs)
    write_kpis(kpis, path / "kpis.json")
    return kpis
