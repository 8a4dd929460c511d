"""``sweep``: many runs of one scenario, over a grid of its values and several seeds."""

from __future__ import annotations

import logging
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpp_sim.cli.console import print_table, progress_bar
from vpp_sim.cli.options import RESULTS, Quiet, Results
from vpp_sim.cli.wall_clock import utc_now

if TYPE_CHECKING:
    from vpp_sim.sweeps.executors import Outcome
    from vpp_sim.sweeps.expansion import Job
    from vpp_sim.sweeps.run import SweepResult

__all__ = ["sweep"]

_SHOWN_KPIS = ("homes_bill_eur.gain", "vpp_profit_eur.gain", "joint_surplus_eur.gain")
_MOST_ROWS = 40


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out that a worker is ended by force after its last job: nothing is lost, and nothing is to be done."""
    return not record.getMessage().startswith("Worker process still alive")


def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP", help="A sweep file (YAML).")],
    results: Results = RESULTS,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Jobs at the same time.")] = None,
    executor: Annotated[str | None, typer.Option("--executor", help="Where jobs run: serial or dask.")] = None,
    quiet: Quiet = False,
) -> None:
    """Run a scenario over a grid of values and seeds; write one table of all jobs, and one of means and intervals."""
    from vpp_sim.registry import SWEEP_EXECUTORS
    from vpp_sim.sweeps.expansion import expand
    from vpp_sim.sweeps.run import run_sweep, write_sweep
    from vpp_sim.sweeps.scenario_job import ScenarioJob, check_jobs
    from vpp_sim.sweeps.spec import load_sweep

    spec, base = load_sweep(file)
    make_executor = SWEEP_EXECUTORS.load(executor or spec.executor)
    check_jobs(spec, base, expand(spec), str(file))
    logging.getLogger("distributed.nanny").addFilter(_is_news)
    started = utc_now()
    with progress_bar(spec.name, quiet=quiet) as advance:

        def show(job: Job, outcome: Outcome, finished: int, total: int) -> None:
            advance(finished, total, job.label)
            if outcome.error and not quiet:
                typer.echo(f"job {job.number} failed ({job.label}): {outcome.error}", err=True)

        run_one = ScenarioJob(base.resolve(), results.resolve(), started, spec.name)
        result = run_sweep(spec, run_one, make_executor(workers=workers or spec.workers), show)
    folder = results / spec.name / f"{started:%Y%m%dT%H%M%SZ}"
    write_sweep(result, folder)
    figure = None
    if spec.figure is not None and spec.figure.kpi in result.kpis:
        from vpp_sim.figures import style
        from vpp_sim.figures.heat_map import heat_map

        figure = folder / "heat_map.png"
        style.save(heat_map(result, spec.figure), figure)
    if not quiet:
        _print_summary(result, [key for key, values in spec.grid.items() if len(values) > 1])
        typer.echo(folder)
    if quiet or figure is not None:
        typer.echo(figure or folder)
    if len(result.failures):
        typer.echo(f"{len(result.failures)} of {len(result.table)} jobs failed", err=True)
        raise typer.Exit(1)


def _print_summary(result: SweepResult, keys: list[str]) -> None:
    """Print mean and interval of the chief KPIs, by the keys of the grid that have several values."""
    for kpi in (name for name in _SHOWN_KPIS if name in result.kpis):
        rows = [
            (*(_value(row[key]) for key in keys), str(row["n"]), _amount(row["mean"]), _amount(row["half_width"]))
            for row in result.summary(kpi).to_dict("records")
        ]
        typer.echo(kpi)
        print_table((*keys, "runs", "mean", "+/- (95 %)"), rows[:_MOST_ROWS], text_columns=keys)
        if len(rows) > _MOST_ROWS:
            typer.echo(f"... and {len(rows) - _MOST_ROWS} more in summary.csv")


def _value(value: object) -> str:
    """Return a value of the grid as the sweep's file writes it; a table of numbers holds null as NaN."""
    return "null" if value is None or (isinstance(value, float) and isnan(value)) else str(value)


def _amount(value: float) -> str:
    return "–" if isnan(value) else f"{round(value, 2) + 0.0:.2f}"  # no negative zero
