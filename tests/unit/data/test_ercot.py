"""Houston's prices: cells of the source, the clock's changes, and rows that cannot be hours."""

from __future__ import annotations

import io
from zipfile import ZipFile

import pandas as pd
import pytest

from vpp_sim.data import ercot
from vpp_sim.data.ercot import HubRow, hourly, houston_prices
from vpp_sim.data.parquet import FILES
from vpp_sim.data.prices import ERCOT_USD_PER_EUR, PriceSeries
from vpp_sim.errors import DataError
from vpp_sim.registry import PRICE_SOURCES

HOUSTON = "America/Chicago"


@pytest.fixture(scope="module")
def houston() -> PriceSeries:
    return PRICE_SOURCES.load("ercot_houston_day_ahead")().load()


def test_two_years_of_8760_hours(houston: PriceSeries) -> None:
    local = houston.index.tz_convert(HOUSTON)
    assert [int((local.year == year).sum()) for year in (2021, 2022)] == [8760, 8760]
    assert len(houston.index) == 17520
    assert houston.repairs == {"repeated_hours_flagged": 2, "hours_skipped_by_the_clock": 2}
    usd_per_mwh = houston.price_eur_per_kwh * ERCOT_USD_PER_EUR * 1000
    assert usd_per_mwh.min() == pytest.approx(0.06)
    assert usd_per_mwh.max() == pytest.approx(8995.11)
    assert houston.digest in (FILES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("stamp", "prices"),  # cells of the source, read in an editor
    [
        ("2021-01-01 00:00", [18.30, 17.65]),
        ("2021-03-14 01:00", [16.25, 15.07]),  # then 03:00
        ("2021-11-07 00:00", [30.33, 24.75, 28.14, 28.83]),  # 01:00 twice
        ("2022-12-31 23:00", [8.25]),
    ],
)
def test_cells_of_the_source(houston: PriceSeries, stamp: str, prices: list[float]) -> None:
    read = houston.at(pd.Timestamp(stamp, tz=HOUSTON), len(prices), 3600, alignment="instant")
    assert (read * ERCOT_USD_PER_EUR * 1000).round(6).tolist() == prices


def row(date: str, ending: str, flag: str = "N") -> HubRow:
    return date, ending, flag, 20.0


def test_the_clocks_changes_are_counted() -> None:
    spring, counted = hourly([row("03/14/2021", ending) for ending in ("02:00", "04:00")])
    assert spring.index.strftime("%H:%M").tolist() == ["07:00", "08:00"]
    assert counted == {"repeated_hours_flagged": 0, "hours_skipped_by_the_clock": 1}
    midnight, _ = hourly([row("12/31/2021", "24:00"), row("01/01/2022", "01:00")])
    assert midnight.index.strftime("%d %H:%M").tolist() == ["01 05:00", "01 06:00"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no row of HB_HOUSTON"),
        ([row("01/01/2021", "01:00"), row("01/01/2021", "03:00")], "a gap or a repeat"),
        ([row("01/01/2021", "01:00")] * 2, "a gap or a repeat"),
        ([row("11/07/2021", "02:00")] * 2, "a gap or a repeat"),
        ([row("03/14/2021", "02:00"), row("03/14/2021", "03:00")], "a gap or a repeat"),
        ([row("01/01/2021", "01:00", "Y")], "flags an hour that the clock does not repeat"),
    ],
)
def test_what_are_no_hours_is_refused(rows: list[HubRow], message: str) -> None:
    with pytest.raises(DataError, match=message):
        hourly(rows)


def test_a_sheet_with_other_columns_is_refused() -> None:
    sheet = '<worksheet xmlns="{}"><sheetData><row><c t="s"><v>0</v></c></row></sheetData></worksheet>'
    strings = '<sst xmlns="{}"><si><t>Delivery Day</t></si></sst>'
    book, wheel = io.BytesIO(), io.BytesIO()
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    with ZipFile(book, "w") as made:
        made.writestr("xl/worksheets/Sheet1.xml", sheet.format(space))
        made.writestr("xl/sharedStrings.xml", strings.format(space))
    with ZipFile(wheel, "w") as made:
        made.writestr(ercot._FILE.format(2021), book.getvalue())
    with pytest.raises(DataError, match=r"Sheet1\.xml of the price file does not have the columns Delivery Date"):
        houston_prices(ZipFile(wheel))
