"""Parts of a table whose file has many row groups, as those of long runs have."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vpp_sim.runs.tables import table_schema
from vpp_sim.server.table_pages import TableQuery, read_page, to_csv


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a ledger of twenty steps with two rows each, in row groups of seven."""
    schema = table_schema("ledger")
    steps = [step for step in range(20) for _ in range(2)]
    columns = [steps, ["levies"] * 40, ["vpp", "wholesale"] * 20, list(range(40))]
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), tmp_path / "ledger.parquet", row_group_size=7)
    return tmp_path / "ledger.parquet"


@pytest.mark.parametrize(
    ("query", "rows", "total", "next_offset"),
    [
        ({}, range(40), 40, None),
        ({"offset": 15, "limit": 4}, range(15, 19), 40, 19),
        ({"offset": 6, "limit": 30}, range(6, 36), 40, 36),
        ({"offset": 38, "limit": 5}, range(38, 40), 40, None),
        ({"offset": 40}, (), 40, None),
        ({"first_step": 5, "last_step": 9}, range(10, 20), 10, None),
        ({"first_step": 5, "last_step": 9, "offset": 3, "limit": 4}, range(13, 17), 10, 7),
        ({"first_step": 18}, range(36, 40), 4, None),
        ({"last_step": 0}, range(2), 2, None),
        ({"first_step": 9, "last_step": 8}, (), 0, None),
    ],
)  # fmt: skip
def test_a_part_is_those_rows_and_no_others(file: Path, query, rows, total, next_offset) -> None:  # type: ignore[no-untyped-def]
    page = read_page(file, TableQuery("ledger", ("amount_micro_eur", "step"), **query))
    assert page.rows.column("amount_micro_eur").to_pylist() == list(rows)
    assert page.rows.column("step").to_pylist() == [row // 2 for row in rows]
    assert (page.total_rows, page.next_offset) == (total, next_offset)


def test_an_empty_part_keeps_its_head(file: Path) -> None:
    assert to_csv(read_page(file, TableQuery("ledger", ("item", "step"), offset=99))) == b'"item","step"\n'
