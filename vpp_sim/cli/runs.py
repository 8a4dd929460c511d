"""``runs``: the runs there are, one of them, or several side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from vpp_sim.cli.console import KPI_COLUMNS, print_table
from vpp_sim.cli.files import require_folder
from vpp_sim.cli.options import RESULTS, Results, parse_labels
from vpp_sim.errors import DataError, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpp_sim.runs.catalogue import Catalogue, RunRecord
    from vpp_sim.runs.folder import RunFolder

__all__ = ["Run", "add_to_catalogue", "open_catalogue", "runs_app"]

_NUMBERS = {"seed", "days", "bill difference [EUR]"}

runs_app = typer.Typer(name="runs", help="List, show and compare runs.", rich_markup_mode=None)

Run: TypeAlias = Annotated[
    str, typer.Argument(metavar="RUN", help="latest, the beginning of an id, NAME/ID, or a folder.")
]
"""Which run a command is about."""


def open_catalogue(results: Path) -> Catalogue:
    """Return the catalogue of the runs in `results`, completed by what it does not know yet.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    from vpp_sim.runs.catalogue import Catalogue

    require_folder(results, "runs")
    catalogue = Catalogue(results)
    catalogue.add_missing()
    return catalogue


def add_to_catalogue(folder: RunFolder, results: Path) -> None:
    """Add a finished run to the catalogue of the runs in `results`."""
    from vpp_sim.runs.catalogue import Catalogue

    Catalogue(results).add(folder)


@runs_app.command("list")
def list_runs(
    results: Results = RESULTS,
    name: Annotated[str | None, typer.Option("--name", help="Only runs of this scenario.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only runs that are complete, or failed.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="Only runs so labelled, such as sweep=NAME; repeatable."),
    ] = None,
) -> None:
    """List the runs, oldest first; those of sweeps carry labels: the sweep's name and the values of its grid."""
    if status not in {None, "complete", "failed"}:
        raise UserError(f"--status {status}: expected complete or failed")
    wanted = parse_labels(label)
    records = open_catalogue(results).list(name=name, status=status, labels=wanted)
    columns = [
        "scenario",
        "run",
        "status",
        "started (UTC)",
        "seed",
        "first day",
        "days",
        "storage",
        "bill difference [EUR]",
    ]
    rows = [
        [record.name, record.run_id, record.status, record.created, "" if record.seed is None else str(record.seed),
         *_what_ran(record)]
        for record in records
    ]  # fmt: skip
    if wanted:
        columns.append("labels")
        for row, record in zip(rows, records, strict=True):
            row.append(_label_text({key: value for key, value in record.labels.items() if key not in wanted}))
    print_table(columns, rows, text_columns=[column for column in columns if column not in _NUMBERS])


def _what_ran(record: RunRecord) -> list[str]:
    """Return first day, days, kind of storage and change of the homes' bills [EUR] of a run, empty where unknown."""
    from ruamel.yaml import YAML

    from vpp_sim.runs.folder import RunFolder
    from vpp_sim.runs.kpis import kpi_text

    try:
        scenario = YAML(typ="safe", pure=True).load(RunFolder(record.path).scenario_yaml())
    except DataError:  # a run may fail before it has written its scenario
        scenario = {}
    clock = scenario.get("clock", {})
    bills = record.kpis.get("homes_bill_eur", {}).get("difference")
    return [
        str(clock.get("start", ""))[:10],
        str(clock.get("days", "")),
        str(scenario.get("ess", {}).get("kind", "")),
        kpi_text(bills, "EUR", signed=True) if record.kpis else "",
    ]


def _label_text(labels: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in labels.items())


@runs_app.command("show")
def show_run(run: Run, results: Results = RESULTS) -> None:
    """Show the KPIs of a run, and what its manifest counts."""
    from vpp_sim.runs.folder import RunFolder
    from vpp_sim.runs.kpis import kpi_rows

    record = open_catalogue(results).find(run)
    manifest = RunFolder.open(record.path).manifest()
    typer.echo(f"{record.name} {record.run_id}: {record.status}, seed {record.seed}, started {record.created}")
    if record.labels:
        typer.echo(_label_text(record.labels))
    if record.error:
        typer.echo(record.error)
    if record.kpis:
        print_table(KPI_COLUMNS, kpi_rows(record.kpis), text_columns=("KPI", "unit"))
    if manifest.counts:
        rows = [(what, str(number)) for what, number in sorted(manifest.counts.items())]
        print_table(("counted", "number"), rows, text_columns=("counted",))
    typer.echo(record.path)


@runs_app.command("compare")
def compare_runs(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two runs or more, named as in show.")],
    results: Results = RESULTS,
    kpi: Annotated[list[str] | None, typer.Option("--kpi", help="Only this KPI; may be repeated.")] = None,
) -> None:
    """Compare the KPIs of several runs, a column each."""
    from pandas import isna

    from vpp_sim.runs.kpis import KPIS, kpi_text

    if len(runs) < 2:
        raise UserError(f"compare {runs[0]}: expected two runs or more; one is shown by vpp-sim runs show")
    frame, labels = open_catalogue(results).compare(runs, kpi), {each.name: each.label for each in KPIS}
    if len(frame.columns) < 3:
        raise UserError(f"compare {' '.join(runs)}: these are one and the same run; expected two or more")
    rows = [
        (
            labels[str(name)],
            *(kpi_text(None if isna(row[run]) else row[run], row["unit"]) for run in frame.columns[1:]),
            "" if row["unit"] == "1" else row["unit"],
        )
        for name, row in frame.astype(object).iterrows()
    ]
    print_table(("KPI", *frame.columns[1:], "unit"), rows, text_columns=("KPI", "unit"))
