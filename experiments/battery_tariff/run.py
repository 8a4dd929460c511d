"""Run the study of batteries and tariffs and write its figures; ``--quick`` does a small version, writing nothing."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]

from study_program import Page, command_line, grid  # noqa: E402

from vpp_sim.figures import style  # noqa: E402
from vpp_sim.figures.heat_map import heat_map  # noqa: E402
from vpp_sim.registry import SWEEP_EXECUTORS  # noqa: E402
from vpp_sim.sweeps.expansion import expand  # noqa: E402
from vpp_sim.sweeps.run import SweepResult, run_sweep  # noqa: E402
from vpp_sim.sweeps.scenario_job import ScenarioJob, check_jobs  # noqa: E402
from vpp_sim.sweeps.spec import SweepSpec, load_sweep  # noqa: E402

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
    tables: list[str] = []
    for name, title in titles.items():
        prices = list(next(iter(figures[name].values())))
        rows = [
            [capacity, *(f"{row[price]['mean']:.2f} ± {row[price]['half_width']:.2f}" for price in prices)]
            for capacity, row in figures[name].items()
        ]
        heads = ["battery [kWh]", *(f"{price} EUR/kWh" for price in prices)]
        tables += [f"{title}, mean and half width of the 95 % interval over seeds:\n\n{grid(heads, rows)}"]
    return "\n".join(tables)


PAGE = Page(HERE, table_of)


def main() -> None:
    """Run the study; the last line printed is one JSON object of its figures."""
    parser = command_line(__doc__, quick="two small runs in this process; writes nothing here")
    quick = parser.parse_args().quick
    if not quick:
        PAGE.check()
    spec, base = load_sweep(HERE / "sweep.yaml")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if quick:
            spec = spec.model_copy(update={"grid": {**spec.grid, **QUICK}, "seeds": (1,)})
        result = study(spec, base, Path(folder), "serial" if quick else spec.executor)
    figures = figures_of(result)
    if not quick:
        PAGE.state(figures, time.perf_counter() - begun)
        if spec.figure is not None:
            style.save(heat_map(result, spec.figure), HERE / "heat_map.png")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
