"""Rows arrive in order, in bounded row groups, with the same bytes each time."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vpp_sim.errors import SimulationError
from vpp_sim.kernel.recorder import Recorder

SCHEMAS = {"power": pa.schema([("step", pa.int32()), ("load_kw", pa.float64())])}


def write(folder: Path, rows_per_group: int = 10) -> Path:
    folder.mkdir()
    with Recorder(folder, SCHEMAS, rows_per_group=rows_per_group) as recorder:
        for step in range(25):
            recorder.record("power", {"step": [step], "load_kw": np.array([step / 2])})
    return folder / "power.parquet"


def test_rows_arrive_in_order_and_in_bounded_groups(tmp_path: Path) -> None:
    file = pq.ParquetFile(write(tmp_path / "a"))
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [10, 10, 5]
    table = file.read()
    assert table["step"].to_pylist() == list(range(25))
    assert table["load_kw"][3].as_py() == 1.5


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a").read_bytes() == write(tmp_path / "b").read_bytes()


def test_an_empty_table_is_still_a_file(tmp_path: Path) -> None:
    with Recorder(tmp_path, SCHEMAS):
        pass
    assert pq.read_table(tmp_path / "power.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ("power", {"step": [1]}, r"table 'power': columns differ by \['load_kw'\]"),
        ("power", {"step": [1], "load_kw": [1.0], "pv_kw": [1.0]}, r"columns differ by \['pv_kw'\]"),
        ("energy", {}, "no table 'energy' is recorded"),
    ],
)
def test_unknown_tables_and_columns_are_refused(
    tmp_path: Path, table: str, columns: dict[str, list[float]], message: str
) -> None:
    with Recorder(tmp_path, SCHEMAS) as recorder, pytest.raises(SimulationError, match=message):
        recorder.record(table, columns)
