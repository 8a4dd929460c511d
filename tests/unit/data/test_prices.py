"""Price series: by the instant and by the wall clock, over both changes of the clock, and out of range."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.parquet import FILES
from vpp_sim.data.prices import PriceSeries
from vpp_sim.data.sources import PriceSource
from vpp_sim.errors import DataError
from vpp_sim.registry import PRICE_SOURCES

FONTANA = "America/Los_Angeles"


@pytest.fixture(scope="module")
def dutch() -> PriceSeries:
    return PRICE_SOURCES.load("netherlands_day_ahead")().load()


@pytest.fixture(scope="module")
def tariff() -> PriceSeries:
    return PRICE_SOURCES.load("fontana_tariff")().load()


def in_mwh(prices: np.ndarray) -> list[float]:
    return np.round(prices * 1000, 6).tolist()


@pytest.mark.parametrize("name", PRICE_SOURCES.names)
def test_registered_sources_keep_the_protocol(name: str) -> None:
    source = PRICE_SOURCES.load(name)()
    assert isinstance(source, PriceSource)
    assert isinstance(source.load(), PriceSeries)


def test_ten_years_of_hours_without_a_gap(dutch: PriceSeries) -> None:
    assert dutch.covered == "2015-01-01T00:00:00+00:00 to 2025-01-08T00:00:00+00:00"
    assert len(dutch.index) == 87840
    assert dutch.price_eur_per_kwh.min() == -0.5
    assert dutch.price_eur_per_kwh.max() == 0.87296
    assert dutch.repairs == {
        "rows_without_a_stamp_dropped": 1,
        "rows_in_the_day_first_format": 17711,
        "repeated_hours_dropped": 6553,
        "missing_hours_filled_with_the_mean_of_their_neighbours": 2,
    }
    content = (FILES / "netherlands_day_ahead.parquet").read_bytes()
    assert dutch.digest == sha256(content).hexdigest()
    assert dutch.digest in (FILES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("stamp", "price"),  # cells of the source, read in an editor; both date formats
    [
        ("2015-01-01 00:00", 34.94),
        ("2022-12-31 23:00", -3.61),
        ("2023-12-30 22:00", 43.23),
        ("2025-01-07 23:00", 66.19),
    ],
)
def test_cells_of_the_source(dutch: PriceSeries, stamp: str, price: float) -> None:
    assert in_mwh(dutch.at(pd.Timestamp(stamp, tz="UTC"), 1, 3600, alignment="instant")) == [price]


@pytest.mark.parametrize(
    ("stamp", "price"),
    [("2023-12-30 23:00", (43.23 + 12.56) / 2), ("2024-12-30 23:00", (36.47 + 54.90) / 2)],
)
def test_missing_hours_are_the_mean_of_their_neighbours(dutch: PriceSeries, stamp: str, price: float) -> None:
    assert in_mwh(dutch.at(pd.Timestamp(stamp, tz="UTC"), 1, 3600, alignment="instant")) == [round(price, 6)]


def test_same_hour_of_the_clock_in_another_country(dutch: PriceSeries) -> None:
    """18:00 in Amsterdam on 2017-07-03 is 16:00 UTC, 38.94 EUR/MWh in the source; 18:00 in Fontana is nine hours on."""
    start = pd.Timestamp("2017-07-03 18:00", tz=FONTANA)
    assert in_mwh(dutch.at(start, 2, 3600)) == [38.94, 44.25]
    assert in_mwh(dutch.at(start, 1, 3600, alignment="instant")) != [38.94]


def test_finer_steps_repeat_the_hour(dutch: PriceSeries) -> None:
    start = pd.Timestamp("2017-07-03 18:30", tz=FONTANA)
    assert in_mwh(dutch.at(start, 4, 900)) == [38.94, 38.94, 44.25, 44.25]


def test_hour_that_fontana_has_twice(dutch: PriceSeries) -> None:
    """2016-11-06 00:00, 01:00 PDT, 01:00 PST, 02:00: Amsterdam has had its change a week before."""
    prices = in_mwh(dutch.at(pd.Timestamp("2016-11-06 01:00-07:00").tz_convert(FONTANA), 3, 3600))
    assert prices == [33.32, 33.32, 34.69]


def test_hour_that_fontana_skips(dutch: PriceSeries) -> None:
    """2017-03-12 01:00 PST, then 03:00 PDT: the price of 02:00 in Amsterdam, 29.02, serves nobody."""
    assert in_mwh(dutch.at(pd.Timestamp("2017-03-12 01:00", tz=FONTANA), 2, 3600)) == [27.11, 26.78]


def test_hour_that_amsterdam_has_twice(dutch: PriceSeries) -> None:
    """2016-10-30 01:00 and the first 02:00 (23:00 and 00:00 UTC), then 03:00 (02:00 UTC); the second, 32.93, is not."""
    assert in_mwh(dutch.at(pd.Timestamp("2016-10-30 01:00", tz=FONTANA), 3, 3600)) == [42.87, 33.11, 31.4]


def test_hour_that_amsterdam_skips(dutch: PriceSeries) -> None:
    """2017-03-26 01:00 (00:00 UTC); 02:00 is no hour there and takes the price of 03:00 (01:00 UTC)."""
    assert in_mwh(dutch.at(pd.Timestamp("2017-03-26 01:00", tz=FONTANA), 3, 3600)) == [28.36, 26.97, 26.97]


@pytest.mark.parametrize(
    ("start", "n_steps", "where"), [("2014-12-31", 30, "2014-12-31"), ("2025-01-07", 26, "2025-01-08")]
)
def test_out_of_range_names_the_range(dutch: PriceSeries, start: str, n_steps: int, where: str) -> None:
    covered = r"2015-01-01T00:00:00\+00:00 to 2025-01-08T00:00:00\+00:00"
    with pytest.raises(DataError, match=f"no price at {where}T.*: prices cover {covered}"):
        dutch.at(pd.Timestamp(start, tz=FONTANA), n_steps, 3600)


@pytest.mark.parametrize(("n_steps", "step_s"), [(0, 3600), (1, 7200), (1, 1000), (1, 0)])
def test_steps_must_divide_an_hour(dutch: PriceSeries, n_steps: int, step_s: int) -> None:
    with pytest.raises(DataError, match=f"at least one step that divides 3600 s; got {n_steps} of {step_s} s"):
        dutch.at(pd.Timestamp("2017-07-03", tz=FONTANA), n_steps, step_s)


def test_start_needs_a_zone(dutch: PriceSeries) -> None:
    with pytest.raises(DataError, match="2017-07-03 00:00:00 has no time zone"):
        dutch.at(pd.Timestamp("2017-07-03"), 1, 3600)


def test_tariff_by_the_instant(tariff: PriceSeries) -> None:
    """Summer weekday, 0.22 USD until 16:00 and 0.54 from then on, at 1.0943 USD/EUR."""
    prices = tariff.at(pd.Timestamp("2017-07-03 15:45", tz=FONTANA), 2, 900)
    assert prices == pytest.approx([0.22 / 1.0943, 0.54 / 1.0943], rel=1e-12)


def test_what_is_no_series_is_refused(dutch: PriceSeries) -> None:
    with pytest.raises(DataError, match=r"prices of shape \(2,\) do not give 87840 hours"):
        replace(dutch, price_eur_per_kwh=np.zeros(2))
    holes = dutch.price_eur_per_kwh.copy()
    holes[7] = np.nan
    with pytest.raises(DataError, match="a finite price each"):
        replace(dutch, price_eur_per_kwh=holes)
    with pytest.raises(DataError, match="hourly in UTC, without a gap"):
        replace(dutch, index=dutch.index.tz_convert("Europe/Amsterdam"))
    with pytest.raises(DataError, match="hourly in UTC, without a gap"):
        replace(dutch, index=dutch.index[:10].append(dutch.index[11:12]), price_eur_per_kwh=np.zeros(11))
