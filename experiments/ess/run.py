"""Run the study of storage control and write its figures; ``--quick`` does a small version, writing nothing."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vpp_sim.data.prices import ERCOT_USD_PER_EUR, ErcotHoustonDayAhead
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.arbitrage import KNOWLEDGE, Knowledge, best_trading, market_cases, trade
from vpp_sim.ess.episodes import WARM_UP_DAYS, Cases
from vpp_sim.ess.protocol import Controller
from vpp_sim.registry import CONTROLLERS
from vpp_sim.runs.manifest import environment

HERE = Path(__file__).resolve().parent
CAPACITY_KWH, POWER_KW, ROUND_TRIP = 2000.0, 1000.0, 0.85
HOURS_A_YEAR, HISTORY_H = 8760, WARM_UP_DAYS * 24
QUICK_DAYS = 7
TEST_YEAR = 2022


def registered(name: str) -> Callable[[Knowledge], Sequence[Controller]]:
    """Return a maker of the one controller that a name stands for, whatever is known."""
    return lambda knows: [CONTROLLERS.load(name).open(3600)]


RIVALS: dict[str, Callable[[Knowledge], Sequence[Controller]]] = {
    name: registered(name) for name in ("idle", "price_rule", "mpc", "dp")
}
"""Name to a maker of the controllers that stand behind it, one a seed."""


def houston(knows: Knowledge, days: int) -> Cases:
    """Return the battery on Houston's prices over the first days of the test year."""
    series = ErcotHoustonDayAhead().load()
    local = series.index.tz_convert(series.time_zone)
    first = int(np.flatnonzero(local.year == TEST_YEAR)[0])
    rows = slice(first - HISTORY_H, first + days * 24)
    fleet = BatteryFleet.uniform(1, CAPACITY_KWH, POWER_KW, ROUND_TRIP)
    hour = np.asarray(local.hour[rows], dtype=np.float64)
    return market_cases(fleet, series.price_eur_per_kwh[rows], hour, knows=knows)


def arbitrage(days: int) -> dict[str, Any]:
    """Return the best profit, and by controller and knowledge its share, dollars and cycles."""
    half = np.array([CAPACITY_KWH / 2])
    best = best_trading(houston("da_known", days), start_kwh=half, end_kwh=half)
    best_usd = -float(best.cost_eur[0]) * ERCOT_USD_PER_EUR
    share: dict[str, Any] = {}
    usd: dict[str, Any] = {}
    cycles: dict[str, Any] = {}
    for name, make in RIVALS.items():
        for knows in KNOWLEDGE:
            done = [trade(c, houston(knows, days), start_kwh=half, end_kwh=half) for c in make(knows)]
            profits = [float(d.profit_eur.sum()) * ERCOT_USD_PER_EUR for d in done]
            turned = [float(d.discharge_kw.sum()) / CAPACITY_KWH for d in done]
            share.setdefault(name, {})[knows] = over_seeds([profit / best_usd for profit in profits], 4)
            usd.setdefault(name, {})[knows] = round(float(np.mean(profits)))
            cycles.setdefault(name, {})[knows] = round(float(np.mean(turned)))
            print(f"{name}, {knows}: {share[name][knows]['mean']:.4f}", file=sys.stderr)
    whole = {"mean": 1.0, "spread": 0.0, "seeds": 1}
    share["perfect_foresight"] = dict.fromkeys(KNOWLEDGE, whole)
    usd["perfect_foresight"] = dict.fromkeys(KNOWLEDGE, round(best_usd))
    cycles["perfect_foresight"] = dict.fromkeys(KNOWLEDGE, round(float(best.discharge_kw.sum()) / CAPACITY_KWH))
    return {"ercot_pf_share": share, "ercot_usd": usd, "ercot_cycles": cycles, "ercot_best_usd": round(best_usd, 2)}


def over_seeds(values: Sequence[float], digits: int) -> dict[str, float | int]:
    """Return mean and spread (standard deviation) of a figure over seeds, and their number."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": round(float(np.mean(values)), digits) + 0.0, "spread": round(spread, digits), "seeds": len(values)}


def table_of(figures: dict[str, Any]) -> str:
    """Return the README's tables."""
    lines = ["**Houston 2022: share of what perfect foresight earns**", ""]
    lines += [
        "| controller | today's prices known | cycles | USD | only the past known | cycles | USD |",
        "|---" * 7 + "|",
    ]
    for name, found in figures["ercot_pf_share"].items():
        cells = [name]
        for knows in KNOWLEDGE:
            mean, spread, seeds = (found[knows][key] for key in ("mean", "spread", "seeds"))
            cells += [f"{mean:.3f}" + (f" ± {spread:.3f} ({seeds} seeds)" if seeds > 1 else "")]
            cells += [f"{figures['ercot_cycles'][name][knows]}", f"{figures['ercot_usd'][name][knows]:,}"]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join([*lines, ""])


def write(figures: dict[str, Any], seconds: float) -> None:
    """Write ``figures.json`` and the README's tables."""
    facts = environment()
    stated = {
        "command": "python experiments/ess/run.py",
        "commit": facts["commit"],
        "versions": {"vpp_sim": facts["vpp_sim"], "python": facts["python"], **facts["libraries"]},
        "cores": os.cpu_count(),
        "seconds": round(seconds, 1),
        "figures": figures,
    }
    (HERE / "figures.json").write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")
    readme = HERE / "README.md"
    text = readme.read_text(encoding="utf-8")
    tables = f"<!-- tables -->\n\n{table_of(figures)}\n<!-- /tables -->"
    made = re.sub(r"<!-- tables -->.*?<!-- /tables -->", lambda _: tables, text, flags=re.S)
    readme.write_text(made, encoding="utf-8")


def main() -> None:
    """Run the study; the last line printed is one JSON object of its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one week; writes nothing")
    quick = parser.parse_args().quick
    begun = time.perf_counter()
    figures = arbitrage(QUICK_DAYS if quick else HOURS_A_YEAR // 24)
    if not quick:
        write(figures, time.perf_counter() - begun)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
