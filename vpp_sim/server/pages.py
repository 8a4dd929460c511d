"""The page for people: the runs, newest first, with their headline KPIs and links; no scripts, no other hosts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from vpp_sim.runs.kpis import KPIS, kpi_rows
from vpp_sim.server.messages import HEADLINE_KPIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.runs.catalogue import RunRecord
    from vpp_sim.server.store import RunStore

__all__ = ["ROWS", "page_routes", "render_index"]

ROWS = 100
"""Runs on one page."""

_HEADLINE = [kpi for kpi in KPIS if kpi.name in HEADLINE_KPIS]


def page_routes(store: RunStore) -> APIRouter:
    """Return the address of the page."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/", response_class=HTMLResponse)
    def index(offset: Annotated[int, Query(ge=0, le=10**12)] = 0) -> str:
        """Show the runs."""
        return render_index(store.list(), offset)

    return routes


def render_index(records: Sequence[RunRecord], offset: int = 0) -> str:
    """Return the page of the runs from `offset` on.

    Parameters
    ----------
    records : sequence of RunRecord
        All runs, newest first.
    offset : int
        How many to leave out.
    """
    shown = records[offset : offset + ROWS]
    environment = Environment(
        loader=PackageLoader("vpp_sim.server", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("index.html.j2").render(
        heads=[(kpi.label, "" if kpi.unit == "1" else kpi.unit, kpi.definition) for kpi in _HEADLINE],
        rows=[_row(record) for record in shown],
        first=offset + 1,
        last=offset + len(shown),
        total=len(records),
        newer=max(offset - ROWS, 0) if offset else None,
        older=offset + ROWS if offset + ROWS < len(records) else None,
    )


def _row(record: RunRecord) -> dict[str, Any]:
    texts = {row[0]: row for row in kpi_rows(record.kpis)}
    cells = [(texts[kpi.label][1], texts[kpi.label][3]) if kpi.label in texts else ("–", "") for kpi in _HEADLINE]
    labels = ", ".join(
        f"{key} = {value if isinstance(value, str) else json.dumps(value)}" for key, value in record.labels.items()
    )
    return {"record": record, "cells": cells, "labels": labels}
