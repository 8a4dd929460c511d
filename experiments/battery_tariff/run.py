"""Run the study of batteries and tariffs and write its figures; ``--quick`` does a small version, writing nothing."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vpp_sim.figures import style
from vpp_sim.figures.heat_map import heat_map
from vpp_sim.registry import SWEEP_EXECUTORS
from vpp_sim.runs.manifest import environment
from vpp_sim.sweeps.expansion import expand
from vpp_sim.sweeps.run import SweepResult, run_sweep
from vpp_sim.sweeps.scenario_job import ScenarioJob, check_jobs
from vpp_sim.sweeps.spec import SweepSpec, load_sweep

HERE = Path(__file__).parent
CAPACITY, PRICE = "prosumers.0.battery.capacity_kwh", "tariff.price_eur_per_kwh"
GAINS = {"homes_saving_eur": "homes_bill_eur.gain", "vpp_gain_eur": "vpp_profit_eur.gain"}
QUICK: dict[str, Any] = {
    CAPACITY: (0.0, 6.4),
    PRICE: (0.28,),
    "clock.days": (1,),
    "chain": (None,),
    "prosumers.0.data.homes": ([1, 2, 3, 4],),
}


def study(spec: SweepSpec, base: Path, results: Path, executor: str) -> SweepResult:
    """Run all jobs and return their table; a failed job stops the study."""
    check_jobs(spec, base, expand(spec), str(HERE / "sweep.yaml"))
    job = ScenarioJob(base.resolve(), results.resolve(), datetime.now(UTC), spec.name)

    def show(_: object, outcome: Any, finished: int, total: int) -> None:
        print(f"{finished}/{total}{' failed: ' + outcome.error if outcome.error else ''}", file=sys.stderr)

    result = run_sweep(spec, job, SWEEP_EXECUTORS.load(executor)(workers=spec.workers), show)
    if len(result.failures):
        raise SystemExit(f"{len(result.failures)} jobs failed")
    return result


def figures_of(result: SweepResult) -> dict[str, Any]:
    """Return every number of the study: gain -> capacity -> tariff -> mean and half width of the 95 % interval."""
    found: dict[str, Any] = {"runs": len(result.table)}
    for name, kpi in GAINS.items():
        by_capacity: dict[str, Any] = {}
        for row in result.summary(kpi).to_dict("records"):
            half = row["half_width"]
            cell = {"mean": round(row["mean"], 2) + 0.0, "half_width": None if half != half else round(half, 2) + 0.0}
            by_capacity.setdefault(f"{row[CAPACITY]:g}", {})[f"{row[PRICE]:.2f}"] = cell
        found[name] = by_capacity
    return found


def table_of(figures: dict[str, Any]) -> str:
    """Return the README's tables."""
    titles = {
        "homes_saving_eur": "Saving of all homes in the week [EUR]",
        "vpp_gain_eur": "Gain of the VPP over a plain retailer [EUR]",
    }
    lines: list[str] = []
    for name, title in titles.items():
        prices = list(next(iter(figures[name].values())))
        lines += [f"{title}, mean and half width of the 95 % interval over seeds:", ""]
        lines += ["| battery [kWh] | " + " | ".join(f"{price} EUR/kWh" for price in prices) + " |"]
        lines += ["|---" * (len(prices) + 1) + "|"]
        for capacity, row in figures[name].items():
            cells = (f"{row[price]['mean']:.2f} ± {row[price]['half_width']:.2f}" for price in prices)
            lines += [f"| {capacity} | " + " | ".join(cells) + " |"]
        lines += [""]
    return "\n".join(lines)


def write(result: SweepResult, spec: SweepSpec, figures: dict[str, Any], seconds: float) -> None:
    """Write ``figures.json``, the heat map and the README's tables."""
    facts = environment()
    stated = {
        "command": "python experiments/battery_tariff/run.py",
        "commit": facts["commit"],
        "versions": {"vpp_sim": facts["vpp_sim"], "python": facts["python"], **facts["libraries"]},
        "cores": os.cpu_count(),
        "seconds": round(seconds, 1),
        "figures": figures,
    }
    (HERE / "figures.json").write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")
    if spec.figure is not None:
        style.save(heat_map(result, spec.figure), HERE / "heat_map.png")
    readme = HERE / "README.md"
    text = readme.read_text(encoding="utf-8")
    tables = f"<!-- tables -->\n\n{table_of(figures)}\n<!-- /tables -->"
    readme.write_text(
        re.sub(r"<!-- tables -->.*?<!-- /tables -->", lambda _: tables, text, flags=re.S), encoding="utf-8"
    )


def main() -> None:
    """Run the study; the last line printed is one JSON object of its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small runs in this process; writes nothing here")
    quick = parser.parse_args().quick
    spec, base = load_sweep(HERE / "sweep.yaml")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if quick:
            spec = spec.model_copy(update={"grid": {**spec.grid, **QUICK}, "seeds": (1,)})
        result = study(spec, base, Path(folder), "serial" if quick else spec.executor)
    figures = figures_of(result)
    if not quick:
        write(result, spec, figures, time.perf_counter() - begun)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
