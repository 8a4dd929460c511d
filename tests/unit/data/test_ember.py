"""Repairs of the price file, each on a file of a few rows."""

from __future__ import annotations

import pandas as pd
import pytest

from vpp_sim.data.ember import repaired
from vpp_sim.errors import DataError

COLUMNS = ["Country", "Datetime (UTC)", "Datetime (Local)", "Price (EUR/MWhe)"]
ROWS = [
    ("2023-01-01 00:00:00", "2023-01-01 01:00:00", "10.0"),
    ("2023-01-01 01:00:00", "2023-01-01 02:00:00", "20.0"),
    ("01/01/2023 01:00", "01/01/2023 02:00", "20.0"),
    ("01/01/2023 03:00", "01/01/2023 04:00", "50.0"),
]


def frame(*rows: tuple[str | None, str | None, str]) -> pd.DataFrame:
    return pd.DataFrame([("Netherlands", *row) for row in rows], columns=COLUMNS, dtype=str)


def test_formats_repeats_gap_and_empty_row() -> None:
    price, repairs = repaired(frame(*ROWS[:2], (None, None, "0.0"), *ROWS[2:]))
    assert price.tolist() == [10.0, 20.0, 35.0, 50.0]
    assert price.index[2] == pd.Timestamp("2023-01-01 02:00")
    assert list(repairs.values()) == [1, 2, 1, 1]


def test_day_comes_first() -> None:
    price, _ = repaired(frame(("05/02/2023 00:00", "05/02/2023 01:00", "7.0")))
    assert price.index[0] == pd.Timestamp("2023-02-05")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS, ("2023-01-01 03:00:00", "2023-01-01 04:00:00", "51.0")], "without a price, or one with two"),
        ([*ROWS, ("2023-01-01 06:00:00", "2023-01-01 07:00:00", "1.0")], "lacks two hours in a row"),
        (
            [*ROWS, ("2023-01-01 04:00:00", "2023-01-01 06:00:00", "1.0")],
            "local stamp of 2023-01-01 04:00:00 UTC is not",
        ),
        ([*ROWS, ("2023.01.01 04:00", "2023-01-01 05:00:00", "1.0")], "unknown format: '2023.01.01 04:00'"),
    ],
    ids=["two prices", "long gap", "local stamp", "format"],
)
def test_what_cannot_be_mended_is_refused(rows: list[tuple[str, str, str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        repaired(frame(*rows))
