"""``run``, ``validate`` and ``schema``: what is done with one scenario."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vpp_sim.cli.console import KPI_COLUMNS, print_table, progress_bar
from vpp_sim.cli.options import RESULTS, NamedOverrides, Quiet, Results, ScenarioFile, SetOptions, parse_overrides
from vpp_sim.cli.runs import add_to_catalogue
from vpp_sim.cli.wall_clock import utc_now

if TYPE_CHECKING:
    from vpp_sim.scenario import Scenario

__all__ = ["run", "schema", "validate"]


def run(
    scenario: ScenarioFile,
    results: Results = RESULTS,
    set_: SetOptions = None,
    with_: NamedOverrides = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Draw figures and write report.html.")] = True,
    quiet: Quiet = False,
) -> None:
    """Run a scenario and its counterfactual; print the KPIs and where the report is."""
    from vpp_sim.runs.kpis import kpi_rows
    from vpp_sim.simulation import run_scenario

    overrides = parse_overrides(set_)
    with progress_bar(scenario.stem, quiet=quiet) as advance:
        folder = run_scenario(
            scenario,
            started=utc_now(),
            results_dir=results,
            overrides=overrides,
            named=with_ or (),
            on_progress=advance,
        )
    add_to_catalogue(folder, results)
    last_line = folder.path
    if report:
        from vpp_sim.figures.report import write_report

        last_line = write_report(folder)
    if not quiet:
        print_table(KPI_COLUMNS, kpi_rows(folder.kpis()), text_columns=("KPI", "unit"))
    typer.echo(last_line)


def validate(scenario: ScenarioFile, set_: SetOptions = None, with_: NamedOverrides = None) -> None:
    """Check a scenario, also against the data that it names, without running it."""
    from vpp_sim.data.coverage import require_coverage
    from vpp_sim.scenario import read_scenario
    from vpp_sim.scenario.paths import require_paths

    loaded = read_scenario(scenario, parse_overrides(set_), with_ or ())
    require_paths(loaded)
    require_coverage(loaded)
    typer.echo(f"{scenario}: {_summary(loaded.scenario)}")


def schema(
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to a file instead.")] = None,
) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from vpp_sim.cli.files import write_text
    from vpp_sim.scenario import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
    else:
        write_text(out, text + "\n")
        typer.echo(out)


def _summary(scenario: Scenario) -> str:
    from vpp_sim.units import format_duration

    groups = ", ".join(group.group for group in scenario.prosumers)
    clock = scenario.clock
    return (
        f"{scenario.name} is valid: {groups}; {clock.days} days from {clock.start} ({clock.timezone}) "
        f"in steps of {format_duration(clock.step)}; digest {scenario.digest[:12]}"
    )
