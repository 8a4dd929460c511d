"""A bounded part of a run's table, as JSON, CSV or Parquet; only the columns and steps asked for are read."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from vpp_sim.errors import DataError
from vpp_sim.runs.tables import TABLES
from vpp_sim.server.problems import RequestError, require_known

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MOST_ROWS", "TablePage", "TableQuery", "read_page", "to_csv", "to_json", "to_parquet"]

MOST_ROWS = 100_000
"""Rows of the largest part that is served at once."""


@dataclass(frozen=True, slots=True)
class TableQuery:
    """Which part of a table is wanted.

    Attributes
    ----------
    table : str
        A key of `TABLES`.
    columns : tuple of str
        Their names, in this order; empty for all.
    first_step, last_step : int or None
        Ticks, both included; None for no bound. A settlement period counts if it touches one of them.
    offset, limit : int
        How many rows of these to leave out, and how many to return at most.
    """

    table: str
    columns: tuple[str, ...] = ()
    first_step: int | None = None
    last_step: int | None = None
    offset: int = 0
    limit: int = MOST_ROWS


@dataclass(frozen=True, slots=True)
class TablePage:
    """A part of a table.

    Attributes
    ----------
    query : TableQuery
        What was asked for.
    rows : pyarrow.Table
        The part, its columns with unit and description.
    total_rows : int
        Rows of the table in the steps asked for.
    """

    query: TableQuery
    rows: Any
    total_rows: int

    @property
    def next_offset(self) -> int | None:
        """Where the next part begins, or None if this is the last."""
        end = self.query.offset + len(self.rows)
        return end if len(self.rows) and end < self.total_rows else None


def read_page(file: Path, query: TableQuery) -> TablePage:
    """Read the part of a table that `query` names.

    Parameters
    ----------
    file : Path
        An existing Parquet file.
    query : TableQuery
        What is wanted.

    Raises
    ------
    RequestError
        422 if there is no such column, a column is named twice, or steps are asked of a table without any.
    DataError
        If the file cannot be read.
    """
    names = TABLES[query.table].names
    require_known(f"column of {query.table}", query.columns, names)
    columns = list(query.columns) or names
    if len(set(columns)) < len(columns):
        raise RequestError(422, "repeated column", "expected each column once")
    condition = _condition(query, names)
    try:
        data = ds.dataset(file, format="parquet")
        total = data.count_rows(filter=condition)
        return TablePage(query, _part(data, columns, condition, query), total)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{file}: cannot be read as a table of a run: {error}") from error


def _condition(query: TableQuery, names: list[str]) -> Any:
    """Return the filter of the steps asked for, or None."""
    if query.first_step is None and query.last_step is None:
        return None
    begin, end = ("first_step", "last_step") if "first_step" in names else ("step", "step")
    if begin not in names:
        raise RequestError(422, "table without steps", f"the rows of {query.table} belong to no step")
    bounds = []
    if query.first_step is not None:
        bounds.append(ds.field(end) >= query.first_step)
    if query.last_step is not None:
        bounds.append(ds.field(begin) <= query.last_step)
    return bounds[0] if len(bounds) == 1 else bounds[0] & bounds[1]


def _part(data: Any, columns: list[str], condition: Any, query: TableQuery) -> Any:
    """Return the rows from the offset on, reading no further than needed."""
    scanner = data.scanner(columns=columns, filter=condition)
    skip, need, parts = query.offset, query.limit, []
    for batch in scanner.to_batches():
        if skip >= len(batch):
            skip -= len(batch)
            continue
        part = batch.slice(skip, need)
        skip, need = 0, need - len(part)
        parts.append(part)
        if not need:
            break
    return pa.Table.from_batches(parts, schema=scanner.projected_schema)


def to_json(page: TablePage) -> dict[str, Any]:
    """Return the part as a JSON object: columns with unit and description, then their values; NaN becomes null."""
    schema = TABLES[page.query.table]
    rows = _as_text(page.rows)
    about = [
        {"name": name, **{key.decode(): value.decode() for key, value in schema.field(name).metadata.items()}}
        for name in rows.column_names
    ]
    return {
        "table": page.query.table,
        "total_rows": page.total_rows,
        "offset": page.query.offset,
        "next_offset": page.next_offset,
        "columns": about,
        "values": {name: rows.column(name).to_pylist() for name in rows.column_names},
    }


def to_csv(page: TablePage) -> bytes:
    """Return the part as CSV with a head; NaN becomes an empty cell, times are local with their offset."""
    out = BytesIO()
    pa.csv.write_csv(_as_text(page.rows), out)
    return out.getvalue()


def to_parquet(page: TablePage) -> bytes:
    """Return the part as Parquet, exactly as it was recorded."""
    out = BytesIO()
    pq.write_table(page.rows, out, compression="zstd")
    return out.getvalue()


def _as_text(rows: Any) -> Any:
    """Return the rows with times as ISO 8601 text and with nulls for what is no finite number."""
    return pa.table({name: _plain(rows.column(name)) for name in rows.column_names})


def _plain(column: Any) -> Any:
    if pa.types.is_timestamp(column.type):
        return pa.array([time.isoformat() for time in column.to_pylist()], type=pa.string())
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_finite(column), column, None)
    return column
