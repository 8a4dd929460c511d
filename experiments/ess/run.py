"""Run the study of storage control and write its figures; ``--quick`` does a small version, writing nothing.

A full run keeps what it has trained in its scratch folder and goes on from there. What CityLearn's own environment says
of the policies is measured by the programs in ``citylearn``, which need that package; their figures are taken over.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "citylearn"), str(HERE.parent)]

import collect  # noqa: E402
import homes  # noqa: E402
import houston  # noqa: E402
import simulation  # noqa: E402
import speed  # noqa: E402
from study_program import Page, command_line, table  # noqa: E402

from vpp_sim.ess.outlook import KNOWLEDGE  # noqa: E402

SCRATCH = HERE.parents[1] / "results" / "studies" / "ess"
QUARTER_DAYS = 92


def study(scratch: Path, *, jobs: int, quick: bool) -> dict[str, Any]:
    """Return every figure; with several jobs the whole simulation runs beside the rest, but for the speeds."""
    days = 1 if quick else QUARTER_DAYS
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as another:
        simulated = another.submit(simulation.whole_simulation, days)
        if jobs == 1:
            simulated.result()
        traded = houston.arbitrage(scratch / "houston", jobs=jobs, quick=quick)
        saved = homes.seventy_days(scratch / "homes", jobs=jobs, quick=quick)
        whole = simulated.result()
    return {
        **traded,
        **saved,
        "whole_simulation": whole,
        **speed.speeds(quick=quick),
        **judged(),
    }


def judged() -> dict[str, Any]:
    """Return the figures that the programs of CityLearn left."""
    figures: dict[str, Any] = json.loads((HERE / "citylearn" / "figures.json").read_text(encoding="utf-8"))["figures"]
    return figures


def table_of(figures: dict[str, Any]) -> str:
    """Return the README's tables."""
    parts = [
        _houston_table(figures),
        _homes_table(figures),
        _each_home_table(figures),
        _training_table(figures),
        "**In CityLearn's own environment: score against no control, less is better; and environments in one run**",
        "",
        collect.table_of(figures),
        "",
        simulation.table_of_simulation(figures["whole_simulation"]),
        _speed_table(figures),
    ]
    return "\n".join(parts)


def _over_seeds(found: dict[str, Any], digits: int = 3) -> str:
    mean, spread, seeds = found["mean"], found["spread"], found["seeds"]
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if seeds > 1 else "")


def _houston_table(figures: dict[str, Any]) -> str:
    rows = []
    for name, found in figures["ercot_pf_share"].items():
        cells = [name, str(max(found[knows]["seeds"] for knows in KNOWLEDGE))]
        for knows in KNOWLEDGE:
            cells += [_over_seeds(found[knows])]
            cells += [f"{figures['ercot_cycles'][name][knows]}", f"{figures['ercot_usd'][name][knows]:,}"]
        rows.append(cells)
    heads = ["controller", "seeds", "today's prices known", "cycles", "USD", "only the past known", "cycles", "USD"]
    return table("Houston 2022: share of what perfect foresight earns", heads, rows)


def _homes_table(figures: dict[str, Any]) -> str:
    def share(row: dict[str, Any], forecast: str) -> str:
        spread = row[f"{forecast}_spread"]
        return f"{row[forecast]:.3f}" + ("" if spread is None else f" ± {spread:.3f}")

    rows = [
        [
            name,
            str(row["seeds"] or "–"),
            share(row, "real_forecast"),
            " to ".join(f"{bound:.3f}" for bound in row["interval_over_homes"]),
            share(row, "perfect_forecast"),
            "–" if row["homes_ahead_of_rule_and_mpc"] is None else f"{row['homes_ahead_of_rule_and_mpc']} of 13",
            f"{row['eur_per_home']:.2f}",
            f"{row['cycles']:.1f}",
            "–" if row["projected_share"] is None else f"{100 * row['projected_share']:.0f} %",
        ]
        for name, row in figures["fontana_pf_share"].items()
    ]
    heads = ["controller", "seeds", "forecast: yesterday", "95 % over homes", "forecast: the truth"]
    heads += ["ahead of rule and mpc", "EUR a home", "cycles", "asked for more than limits allow"]
    title = "Thirteen homes, 70 days: share of what perfect foresight saves (all know this hour's meter)"
    return table(title, heads, rows)


def _each_home_table(figures: dict[str, Any]) -> str:
    rows = [[name, *(f"{value:.2f}" for value in shares)] for name, shares in figures["fontana_each_home"].items()]
    heads = ["controller", *(name.removeprefix("home_") for name in figures["fontana_homes"])]
    return table("The same, home by home, with yesterday as the forecast", heads, rows)


def _training_table(figures: dict[str, Any]) -> str:
    rows = [
        [
            name,
            str(len(found)),
            f"{sum(scores[0] for scores in found) / len(found):.3f}",
            f"{sum(max(scores) for scores in found) / len(found):.3f}",
            f"{figures['train_s'][name]:.0f}",
        ]
        for name, found in figures["fontana_scores"].items()
    ]
    heads = ["policy for homes", "seeds", "before reinforcement learning", "best", "training CPU s"]
    return table("Cloned first, or from nothing: mean score on the days that choose", heads, rows)


def _speed_table(figures: dict[str, Any]) -> str:
    rows = [[name, *(f"{figures['acting_ms'][name][n]:.2f}" for n in ("100", "1000"))] for name in figures["acting_ms"]]
    acting = table("Acting, ms", ["controller", "100 batteries", "1,000 batteries"], rows)
    steps = [[f"{int(n):,}", f"{rate:,}"] for n, rate in figures["env_battery_steps_per_s"].items()]
    environments = table("The vectorised environment", ["batteries at once", "battery-steps a second"], steps)
    broken = f"Limits broken by {figures['random_actions']:,} random actions: {figures['limits_broken']}.\n"
    return "\n".join([acting, environments, broken])


PAGE = Page(HERE, table_of)


def main() -> None:
    """Run the study; the last line printed is one JSON object of its figures."""
    parser = command_line(__doc__, quick="a few days and steps; writes nothing")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--take-over", action="store_true", help="only take over what CityLearn's programs left")
    given = parser.parse_args()
    begun = time.perf_counter()
    if given.take_over:
        stated = PAGE.stated()
        figures = stated["figures"] | judged()
        PAGE.write({**stated, "figures": figures})
    elif given.quick:
        with tempfile.TemporaryDirectory() as scratch:
            figures = study(Path(scratch), jobs=1, quick=True)
    else:
        PAGE.check()
        figures = study(SCRATCH, jobs=given.jobs, quick=False)
        PAGE.state(figures, time.perf_counter() - begun)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
