"""Alignment of the CityLearn files, on a made-up wheel whose every value is the number of its row."""

from __future__ import annotations

import io
import json
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.citylearn import FIRST_STEP, STEPS, TIME_ZONE, fontana_columns, fontana_notes, wall_clock_rows
from vpp_sim.errors import DataError

FOLDER = "citylearn/data/citylearn_challenge_2022_phase_all"
NUMBER = np.arange(STEPS)


def building() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Month": 7,
            "Hour": (NUMBER - 1) % 24 + 1,
            "Day Type": 7,
            "Daylight Savings Status": 0,
            "Equipment Electric Power [kWh]": NUMBER,
            "Solar Generation [W/kW]": NUMBER,
        }
    )


def wheel(home: pd.DataFrame, temperature: np.ndarray = NUMBER / 10) -> ZipFile:
    weather = pd.DataFrame(
        {
            "Outdoor Drybulb Temperature [C]": temperature,
            "Relative Humidity [%]": NUMBER,
            "Diffuse Solar Radiation [W/m2]": NUMBER,
            "Direct Solar Radiation [W/m2]": NUMBER,
        }
    )
    device = {
        "pv": {"attributes": {"nominal_power": 4.0}},
        "electrical_storage": {"attributes": {"capacity": 6.4, "nominal_power": 5.0}},
    }
    files = {
        **dict.fromkeys((f"Building_{n}.csv" for n in range(1, 18)), home.to_csv(index=False)),
        "weather.csv": weather.to_csv(index=False),
        "pricing.csv": pd.DataFrame({"Electricity Pricing [$/kWh]": NUMBER / 100}).to_csv(index=False),
        "carbon_intensity.csv": pd.DataFrame({"kg_CO2/kWh": NUMBER}).to_csv(index=False),
        "schema.json": json.dumps({"buildings": {f"Building_{n}": device for n in range(1, 18)}}),
    }
    archive = ZipFile(io.BytesIO(), "w")
    for name, text in files.items():
        archive.writestr(f"{FOLDER}/{name}", text)
    return archive


def test_two_clocks_on_one_index() -> None:
    """Wall clock 2016-11-06 01:00 is row 97 x 24 + 1 = 2329, used twice; 2017-03-12 02:00 is row 5354, not used."""
    columns = fontana_columns(wheel(building()))
    wall = [*range(2330), *range(2329, 5354), *range(5355, STEPS)]
    assert columns["start_s"][0] == pd.Timestamp("2016-08-01T07:00:00Z").timestamp()
    assert set(np.diff(columns["start_s"])) == {3600}
    for name in ("load_kw.home_1", "load_kw.home_17", "carbon_kg_per_kwh", "tariff_usd_cent_per_kwh"):
        assert columns[name].tolist() == wall
    assert columns["pv_kw_per_kwp.home_9"] == pytest.approx(np.array(wall) / 1000, rel=1e-6)
    for name in ("temperature_tenth_c", "relative_humidity_percent", "ghi_w_m2", "dni_w_m2"):
        assert columns[name].tolist() == NUMBER.tolist()


def test_notes_count_the_two_rows() -> None:
    archive = wheel(building())
    notes = fontana_notes(archive, fontana_columns(archive))
    assert notes["repairs"] == {"wall_clock_rows_used_twice_in_autumn": 1, "wall_clock_rows_left_out_in_spring": 1}
    assert notes["homes"]["home_3"] == {
        "pv_kwp": 4.0,
        "battery_kwh": 6.4,
        "battery_kw": 5.0,
        "hours_load_below_10_w": 1,
        "pv_kwh_per_kwp": pytest.approx((NUMBER.sum() + 2329 - 5354) / 1000),
    }


def test_wall_clock_rows_of_the_two_odd_days() -> None:
    autumn = pd.date_range(FIRST_STEP, pd.Timestamp("2016-11-07", tz=TIME_ZONE), freq="h", inclusive="left")[-25:]
    assert (wall_clock_rows(pd.DatetimeIndex([FIRST_STEP, *autumn]))[1:] - 97 * 24).tolist() == [0, 1, 1, *range(2, 24)]
    spring = pd.date_range("2017-03-12", periods=23, freq="h", tz=TIME_ZONE)
    assert wall_clock_rows(spring).tolist() == [0, 1, *range(3, 24)]


def changed(column: str, row: int, value: float) -> pd.DataFrame:
    home = building().astype(float)
    home.loc[row, column] = value
    return home


@pytest.mark.parametrize(
    ("home", "message"),
    [
        (building()[:-1], "Building_1.csv has 8759 rows, expected 8760"),
        (changed("Hour", 50, 5), "do not count from 24, 1, 2"),
        (changed("Month", 0, 8), "does not start in the night from Sunday to Monday at the end of July"),
        (changed("Daylight Savings Status", 3000, 1), "marks daylight saving"),
        (changed("Equipment Electric Power [kWh]", 9, np.nan), "a gap or a negative value"),
        (changed("Solar Generation [W/kW]", 9, -1), "a gap or a negative value"),
    ],
    ids=["rows", "hours", "start", "daylight saving", "gap", "negative"],
)
def test_what_the_alignment_does_not_expect_is_refused(home: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fontana_columns(wheel(home))


def test_values_between_the_stored_steps_are_refused() -> None:
    with pytest.raises(DataError, match="no multiple of 1/10"):
        fontana_columns(wheel(building(), temperature=NUMBER / 100))
