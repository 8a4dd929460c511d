"""Tables on disk, written as the run goes: memory stays bounded whatever the length of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vpp_sim.errors import SimulationError

__all__ = ["Recorder"]


class _Table:
    """Buffer and file of one table."""

    def __init__(self, path: Path, schema: pa.Schema, rows_per_group: int) -> None:
        self._schema, self._rows_per_group = schema, rows_per_group
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def append(self, columns: Mapping[str, Any]) -> None:
        arrays = [pa.array(columns[name], type=self._schema.field(name).type) for name in self._schema.names]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._batches.append(batch)
        self._rows += batch.num_rows
        if self._rows >= self._rows_per_group:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._batches, self._schema).combine_chunks())
        self._batches, self._rows = [], 0

    def close(self) -> None:
        self.flush()
        self._writer.close()


class Recorder:
    """Writer of Parquet tables, one file a table, in row groups of bounded size.

    The same rows give the same bytes. Use it as a context manager: leaving it writes what is buffered.

    Parameters
    ----------
    folder : Path
        Where ``<table>.parquet`` files are written; it exists.
    schemas : mapping of str to pyarrow.Schema
        Columns of each table.
    rows_per_group : int
        A table is written out when that many rows are buffered.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema], *, rows_per_group: int = 50_000) -> None:
        self._tables = {
            name: _Table(folder / f"{name}.parquet", schema, rows_per_group) for name, schema in schemas.items()
        }

    def record(self, table: str, columns: Mapping[str, Any]) -> None:
        """Append rows to `table`.

        Parameters
        ----------
        table : str
            Name of the table.
        columns : mapping of str to array
            One array of equal length a column.

        Raises
        ------
        SimulationError
            If there is no such table, or the columns are not those of its schema.
        """
        if table not in self._tables:
            raise SimulationError(f"no table {table!r} is recorded")
        wanted = set(self._tables[table]._schema.names)
        if set(columns) != wanted:
            raise SimulationError(f"table {table!r}: columns differ by {sorted(wanted.symmetric_difference(columns))}")
        self._tables[table].append(columns)

    def __enter__(self) -> Recorder:
        """Return the recorder."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is buffered and close the files."""
        for table in self._tables.values():
            table.close()
