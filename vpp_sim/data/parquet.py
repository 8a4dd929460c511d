"""Shipped Parquet files: written so that the same table gives the same bytes, read together with their digest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vpp_sim.arrays import FloatArray, IntArray

__all__ = ["FILES", "ShippedTable", "read_shipped", "write_table"]

FILES = Path(__file__).parent / "files"
"""Folder of the shipped files."""

_NOTES_KEY = b"vpp_sim"


@dataclass(frozen=True, slots=True)
class ShippedTable:
    """A table read from a shipped file.

    Attributes
    ----------
    table : pyarrow.Table
        The columns.
    notes : mapping
        What the file says of itself: origin, licence, repairs and more.
    digest : str
        SHA-256 of the file's bytes.
    """

    table: Any
    notes: Mapping[str, Any]
    digest: str

    def floats(self, column: str, scale: float = 1.0) -> FloatArray:
        """Return `column` divided by `scale` as float64, shape (T,)."""
        values: FloatArray = self.table.column(column).to_numpy().astype(np.float64)
        return values / scale

    def integers(self, column: str) -> IntArray:
        """Return `column` as int64, shape (T,)."""
        values: IntArray = self.table.column(column).to_numpy().astype(np.int64)
        return values

    def matrix(self, prefix: str, names: tuple[str, ...]) -> FloatArray:
        """Return the columns ``prefix + name`` side by side as float64, shape (T, n)."""
        return np.stack([self.floats(prefix + name) for name in names], axis=1)


def read_shipped(path: Path) -> ShippedTable:
    """Read a file that :func:`write_table` wrote.

    Raises
    ------
    DataError
        If the file is missing, or is no Parquet file of this package.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing; `python -m vpp_sim.data.build` makes it")
    content = path.read_bytes()
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        notes = json.loads(file.metadata.metadata[_NOTES_KEY])
        table = file.read()
    except (pa.ArrowInvalid, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a Parquet file of this package: {error}") from error
    return ShippedTable(table, notes, sha256(content).hexdigest())


def write_table(path: Path, columns: Mapping[str, NDArray[Any]], notes: Mapping[str, Any]) -> str:
    """Write `columns` and `notes` to `path`, and return the SHA-256 of the bytes.

    The bytes depend on the arguments and the version of pyarrow alone: integers are packed as differences, floats are
    split by byte, both compressed with zstd, in one row group.
    """
    table = pa.table(dict(columns))
    text = json.dumps(dict(notes), sort_keys=True, ensure_ascii=False)
    encodings = {
        name: "BYTE_STREAM_SPLIT" if np.issubdtype(values.dtype, np.floating) else "DELTA_BINARY_PACKED"
        for name, values in columns.items()
    }
    with pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        compression_level=19,
        use_dictionary=False,
        column_encoding=encodings,
        write_statistics=False,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=len(table))
        writer.add_key_value_metadata({_NOTES_KEY: text.encode()})
    return sha256(path.read_bytes()).hexdigest()
