"""Every column of every table says what it is and in which unit."""

import pyarrow as pa
import pytest

from vpp_sim.errors import UnknownNameError
from vpp_sim.runs.tables import TABLES, table_schema, unit_of

COLUMNS = [(table, field) for table, schema in TABLES.items() for field in schema]

SUFFIXES = {
    "_eur_per_kwh": "EUR/kWh",
    "_kg_per_kwh": "kg/kWh",
    "_micro_eur": "uEUR",
    "_eur": "EUR",
    "_kwh": "kWh",
    "_kw": "kW",
    "_pu": "p.u.",
    "_w_m2": "W/m2",
    "_s": "s",
    "_bytes": "B",
    "_wei": "wei/gas",
}


@pytest.mark.parametrize(("table", "field"), COLUMNS, ids=[f"{table}.{field.name}" for table, field in COLUMNS])
def test_column_has_unit_and_description(table: str, field: pa.Field) -> None:
    unit, description = field.metadata[b"unit"].decode(), field.metadata[b"description"].decode()
    assert description.endswith(".")
    assert len(description) > 8
    numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    assert bool(unit) == numeric
    assert not field.nullable


@pytest.mark.parametrize(("table", "field"), COLUMNS, ids=[f"{table}.{field.name}" for table, field in COLUMNS])
def test_unit_agrees_with_the_name(table: str, field: pa.Field) -> None:
    expected = next((unit for suffix, unit in SUFFIXES.items() if field.name.endswith(suffix)), None)
    if expected is not None:
        assert unit_of(table, field.name) == expected


def test_the_tables_of_a_run() -> None:
    assert list(TABLES) == [
        "timeseries", "prosumers", "batteries", "trades", "prices", "forecasts", "ledger", "chain", "blocks",
        "transactions", "events", "bills",
    ]  # fmt: skip


def test_time_takes_the_zone_and_keeps_its_description() -> None:
    schema = table_schema("trades", "Europe/Amsterdam")
    assert schema.field("time").type == pa.timestamp("ms", tz="Europe/Amsterdam")
    assert schema.field("time").metadata == TABLES["trades"].field("time").metadata
    assert table_schema("ledger", "Europe/Amsterdam") is TABLES["ledger"]


def test_unknown_table_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown table 'timeserie'.*did you mean 'timeseries'"):
        table_schema("timeserie")
