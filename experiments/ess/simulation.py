"""The whole simulation over the last quarter of the homes' year, once for each storage controller.

Everything of the default scenario is on but the chain: forecasts every hour, retail prices and bids, demand response,
the local market, the feeder, the ledger and its audit. The chain only repeats the ledger's amounts, to the micro-euro,
so bills are the same without it.

What was seen before: the shipped policies learned from days before 2017-05-01 and were chosen on 2017-05-01 to
2017-06-15; the shipped forecasters learned from both. So in a quarter that begins on 2017-05-01, the first 46 days are
not out of sample; the 46 days from 2017-06-16 on are, for all of them, and can be had alone with ``days=46``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from vpp_sim.agents.inputs import Inputs, load_inputs, open_models
from vpp_sim.registry import CONTROLLERS
from vpp_sim.runs.bills import make_bills
from vpp_sim.runs.frames import RunTables, read_tables
from vpp_sim.runs.kpis import compute_kpis
from vpp_sim.scenario.loader import load_scenario
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.simulation import simulate

__all__ = ["FIGURES", "table_of_simulation", "whole_simulation"]

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios" / "fontana.yaml"
LAST_DAY = date(2017, 7, 31)
UNSEEN_FROM = date(2017, 6, 16)
"""First day that no shipped model was fitted or chosen on."""

REPLACEMENT_EUR_PER_KWH = 300.0
"""Assumed price of a new battery, which values ageing; no controller here is told of it, and no bill holds it."""

FIGURES: dict[str, tuple[str, int]] = {
    "homes_bill_eur": ("homes' bill [EUR]", 2),
    "vpp_profit_eur": ("plant's profit [EUR]", 2),
    "bill_less_profit_eur": ("bill less profit [EUR]", 2),
    "ageing_cost_eur": ("ageing [EUR]", 2),
    "feeder_peak_kw": ("peak [kW]", 2),
    "self_consumption": ("self-consumption", 3),
    "self_sufficiency": ("self-sufficiency", 3),
    "battery_cycles": ("cycles", 1),
    "projected_actions": ("asks cut", 0),
    "simulation_s": ("processor time [s]", 0),
}
"""Figure to its heading and decimals."""

WITHOUT_VPP = "without the plant"


def whole_simulation(days: int) -> dict[str, Any]:
    """Simulate the last `days` days of the homes' year with every registered controller.

    Parameters
    ----------
    days : int
        Whole local days, up to and including 2017-07-31; 92 are the quarter.

    Returns
    -------
    dict
        ``days`` and ``unseen_days`` (those that no shipped model was fitted or chosen on), ``first``, ``last``, and
        ``controllers``: name to its :data:`FIGURES`. The row ``without the plant`` is the counterfactual: the same
        homes with a plain retailer, self-consuming, and no trades.
    """
    first = LAST_DAY - timedelta(days=days - 1)
    scenario = _scenario(first, days, "idle")
    inputs = load_inputs(scenario)
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, seconds = _simulated(scenario.without_vpp(), inputs, Path(folder) / "plain")
        for name in CONTROLLERS.names:
            tables, spent_s = _simulated(_scenario(first, days, name), inputs, Path(folder) / name)
            rows[name], rows[WITHOUT_VPP] = _figures(tables, plain, spent_s, seconds)
            print(f"{name}: {rows[name]}", file=sys.stderr)
    unseen = min(days, (LAST_DAY - UNSEEN_FROM).days + 1)
    return {
        "days": days,
        "unseen_days": unseen,
        "first": str(first),
        "last": str(LAST_DAY),
        "replacement_eur_per_kwh": REPLACEMENT_EUR_PER_KWH,
        "controllers": dict(sorted(rows.items(), key=lambda row: row[1]["bill_less_profit_eur"])),
    }


def _scenario(first: date, days: int, controller: str) -> Scenario:
    return load_scenario(
        SCENARIO,
        {
            "clock.start": str(first),
            "clock.days": days,
            "ess.kind": controller,
            "chain": None,
            "prosumers.0.battery.replacement_eur_per_kwh": REPLACEMENT_EUR_PER_KWH,
        },
    )


def _simulated(scenario: Scenario, inputs: Inputs, folder: Path) -> tuple[RunTables, float]:
    """Return the tables of a simulation, and the processor time that it took [s]."""
    folder.mkdir()
    models, begun = open_models(scenario), time.process_time()
    simulate(scenario, inputs, models, folder)
    seconds = time.process_time() - begun
    capacity_kwh = float(inputs.fleet.batteries.capacity_kwh.sum())
    return read_tables(folder, step_h=inputs.clock.step_h, battery_capacity_kwh=capacity_kwh), seconds


def _figures(
    tables: RunTables, plain: RunTables, spent_s: float, plain_s: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the figures of a run and of the one without the plant."""
    kpis = compute_kpis(tables, plain, make_bills(tables, plain), make_bills(plain, plain))
    run: dict[str, float] = {}
    without: dict[str, float] = {}
    for row, which, seconds in ((run, "vpp", spent_s), (without, "counterfactual", plain_s)):
        found = {name: entry[which] for name, entry in kpis.items()}  # type: ignore[literal-required]
        found |= {"bill_less_profit_eur": -found["joint_surplus_eur"], "simulation_s": seconds}
        row.update({name: round(found[name], digits) + 0.0 for name, (_, digits) in FIGURES.items()})
    return run, without


def table_of_simulation(figures: dict[str, Any]) -> str:
    """Return the table of :func:`whole_simulation` as Markdown, with what was seen before."""
    seen = figures["days"] - figures["unseen_days"]
    caveat = (
        f" Of these days the first {seen} were not unseen: the policies were chosen, and the forecasters fitted and "
        "chosen, on them."
        if seen
        else " No shipped model was fitted or chosen on these days."
    )
    lines = [
        f"**The whole simulation, {figures['first']} to {figures['last']}**: the default scenario with its 13 homes, "
        f"by controller, lowest bill less profit first.{caveat} Every controller knew this hour's load and sun when it "
        "acted, and beyond it the forecasts; perfect_foresight was told the coming day. Ageing is valued at "
        f"{figures['replacement_eur_per_kwh']:g} EUR for a new kWh and is in no bill.",
        "",
        "| controller | " + " | ".join(heading for heading, _ in FIGURES.values()) + " |",
        "|---" + "|---:" * len(FIGURES) + "|",
    ]
    for name, row in figures["controllers"].items():
        cells = (f"{row[key]:,.{digits}f}" for key, (_, digits) in FIGURES.items())
        lines += [f"| {name} | " + " | ".join(cells) + " |"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(table_of_simulation(whole_simulation(int(sys.argv[1]) if len(sys.argv) > 1 else 92)))
