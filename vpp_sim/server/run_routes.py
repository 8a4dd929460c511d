"""Addresses of runs: what there is, one run with its numbers, tables and figures, and several side by side."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from vpp_sim.errors import UnknownNameError
from vpp_sim.figures.gallery import FIGURES
from vpp_sim.runs.folder import COUNTERFACTUAL, RunFolder
from vpp_sim.runs.kpis import KPIS
from vpp_sim.runs.tables import TABLES
from vpp_sim.server.drawings import figure_png, report_html
from vpp_sim.server.messages import ComparedKpi, ComparedValue, Comparison, RunDetail, RunList, summary_of
from vpp_sim.server.problems import RequestError, require_known
from vpp_sim.server.table_pages import MOST_ROWS, TableQuery, read_page, to_csv, to_json, to_parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vpp_sim.runs.catalogue import RunRecord
    from vpp_sim.server.store import RunStore

__all__ = ["MOST_COMPARED", "run_routes"]

MOST_COMPARED = 50
"""Runs that are compared at once."""

_NO_VALUE = {"vpp": None, "counterfactual": None, "difference": None}
_MOST_STEPS = 2**31 - 1

Status = Annotated[Literal["complete", "failed"] | None, Query(description="Only runs that came to this end.")]
Name = Annotated[str | None, Query(max_length=200, description="Only runs of this scenario.")]
Names = Annotated[str | None, Query(max_length=5000, description="Names, separated by commas; without it, all.")]
Step = Annotated[int | None, Query(ge=0, le=_MOST_STEPS, description="Number of a tick, included.")]
Offset = Annotated[int, Query(ge=0, le=10**12, description="How many to leave out.")]
Format = Annotated[Literal["json", "csv", "parquet"], Query(description="How the table is written.")]


def run_routes(store: RunStore) -> APIRouter:
    """Return the addresses of the runs in `store`."""
    routes = APIRouter(prefix="/api", tags=["runs"])
    _add_lists(routes, store)
    _add_numbers(routes, store)
    _add_drawings(routes, store)
    return routes


def _add_lists(routes: APIRouter, store: RunStore) -> None:
    @routes.get("/runs")
    def list_runs(
        name: Name = None,
        status: Status = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="How many to list at most.")] = 100,
        offset: Offset = 0,
    ) -> RunList:
        """List runs, newest first."""
        records = store.list(name=name, status=status)
        page = [summary_of(record) for record in records[offset : offset + limit]]
        return RunList(len(records), offset, limit, page)

    @routes.get("/runs/{run_id}")
    def show_run(run_id: str) -> RunDetail:
        """Show a run's manifest and scenario, and which tables and figures it has."""
        return _detail(store.find(run_id))

    @routes.get("/compare")
    def compare_runs(
        ids: Annotated[list[str], Query(description="Ids of runs, repeated or separated by commas.")],
        kpis: Names = None,
    ) -> Comparison:
        """Show the KPIs of several runs side by side."""
        return _comparison(store, [part for text in ids for part in _parts(text)], _parts(kpis))


def _add_numbers(routes: APIRouter, store: RunStore) -> None:
    @routes.get("/runs/{run_id}/kpis")
    def show_kpis(run_id: str) -> dict[str, dict[str, Any]]:
        """Show every KPI of a run, of its counterfactual, and their difference."""
        _, folder = store.complete(run_id)
        return {name: dict(value) for name, value in folder.kpis().items()}

    @routes.get("/runs/{run_id}/tables/{table}", response_model=None)
    def show_table(
        run_id: str,
        table: str,
        format: Format = "json",
        columns: Names = None,
        first_step: Step = None,
        last_step: Step = None,
        counterfactual: Annotated[bool, Query(description="Of the same homes without the VPP.")] = False,
        offset: Offset = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows at most.")] = 10_000,
    ) -> Response | dict[str, Any]:
        """Return a part of a table: some columns, some steps, a bounded number of rows."""
        file = _table_file(store.find(run_id), table, counterfactual=counterfactual)
        page = read_page(file, TableQuery(table, tuple(_parts(columns)), first_step, last_step, offset, limit))
        if format == "json":
            return to_json(page)
        content, kind = (to_csv(page), "text/csv") if format == "csv" else (to_parquet(page), _PARQUET)
        headers = {"Content-Disposition": f'attachment; filename="{table}.{format}"'}
        headers |= {"X-Total-Rows": str(page.total_rows)}
        if page.next_offset is not None:
            headers["X-Next-Offset"] = str(page.next_offset)
        return Response(content, media_type=kind, headers=headers)


def _add_drawings(routes: APIRouter, store: RunStore) -> None:
    @routes.get("/runs/{run_id}/figures/{name}.png", response_class=Response, responses=_bytes("image/png"))
    def show_figure(run_id: str, name: str) -> Response:
        """Return one figure of a run."""
        _, folder = store.complete(run_id)
        return Response(figure_png(folder, name), media_type="image/png")

    @routes.get("/runs/{run_id}/report", response_class=Response, responses=_bytes("text/html"))
    def show_report(run_id: str) -> Response:
        """Return the report of a run: one page without external resources."""
        _, folder = store.complete(run_id)
        return Response(report_html(folder), media_type="text/html")


_PARQUET = "application/vnd.apache.parquet"


def _bytes(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {kind: {}}}}


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _detail(record: RunRecord) -> RunDetail:
    folder = RunFolder.open(record.path)
    complete = record.status == "complete"
    has_scenario = (folder.path / "scenario.yaml").is_file()
    return RunDetail(
        run=summary_of(record),
        manifest=asdict(folder.manifest()),
        scenario_yaml=folder.scenario_yaml() if has_scenario else "",
        tables=_tables_in(folder.path),
        counterfactual_tables=_tables_in(folder.path / COUNTERFACTUAL),
        figures=list(FIGURES) if complete else [],
    )


def _tables_in(path: Path) -> list[str]:
    return [table for table in TABLES if (path / f"{table}.parquet").is_file()]


def _table_file(record: RunRecord, table: str, *, counterfactual: bool) -> Path:
    if table not in TABLES:
        raise UnknownNameError("table", table, TABLES)
    folder = record.path / COUNTERFACTUAL if counterfactual else record.path
    file = folder / f"{table}.parquet"
    if not file.is_file():
        whose = f"the counterfactual of run {record.run_id}" if counterfactual else f"run {record.run_id}"
        there = ", ".join(_tables_in(folder)) or "none"
        raise RequestError(404, "missing table", f"{whose} has no table {table}; it has {there}")
    return file


def _comparison(store: RunStore, ids: Sequence[str], names: Sequence[str]) -> Comparison:
    distinct = list(dict.fromkeys(ids))
    if not 1 <= len(distinct) <= MOST_COMPARED:
        detail = f"expected 1 to {MOST_COMPARED} ids of runs, got {len(distinct)}"
        raise RequestError(422, "invalid parameter", detail)
    require_known("KPI", names, [kpi.name for kpi in KPIS])
    records = [store.complete(run_id)[0] for run_id in distinct]
    wanted = [kpi for kpi in KPIS if kpi.name in names] if names else KPIS
    kpis = [
        ComparedKpi(
            kpi.name, kpi.label, kpi.unit, kpi.better, kpi.definition, [_value(record, kpi.name) for record in records]
        )
        for kpi in wanted
    ]
    return Comparison([summary_of(record) for record in records], kpis)


def _value(record: RunRecord, kpi: str) -> ComparedValue:
    entry = record.kpis.get(kpi, _NO_VALUE)
    return ComparedValue(entry["vpp"], entry["counterfactual"], entry["difference"])
