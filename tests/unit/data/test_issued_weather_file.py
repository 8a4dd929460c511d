"""Archived forecasts: what is read, what is refused and how it is named, and what a gap does."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import ObservedWeather
from vpp_sim.data.weather_file import WeatherForecastFile
from vpp_sim.data.weather_forecast import WeatherForecastOptions
from vpp_sim.errors import DataError

HEAD = "issue_time,valid_time,temperature_c,ghi_w_m2\n"
GOOD = HEAD + (
    "2017-01-01T00:00Z,2017-01-01T06:00Z,10.0,0\n"
    "2017-01-01T00:00Z,2017-01-01T07:00Z,11.0,50\n"
    "2017-01-01T00:00Z,2017-01-01T08:00Z,12.0,100\n"
    "2017-01-01T06:00+00:00,2017-01-01T13:00+01:00,13.5,200\n"
    "2017-01-01T06:00+00:00,2017-01-01T14:00+01:00,14.5,210\n"
)


def observed(steps: int = 24, step_s: int = 3600) -> ObservedWeather:
    index = pd.date_range("2017-01-01", periods=steps, freq=pd.Timedelta(seconds=step_s), tz="UTC")
    return ObservedWeather(index, step_s, np.zeros(steps), np.zeros(steps), np.zeros(steps))


def read(path: Path, text: str, horizon: int = 6, seen: ObservedWeather | None = None) -> IssuedForecasts:
    file = path / "runs.csv"
    file.write_text(text)
    return WeatherForecastFile(WeatherForecastOptions(path=file)).issue(seen or observed(), horizon)


def test_runs_are_known_a_delay_after_they_start_in_any_zone(tmp_path: Path) -> None:
    issued = read(tmp_path, GOOD)
    assert issued.issued_at.tolist() == [6, 12]
    assert issued.known_at(6, 3).tolist() == [[10.0, 0.0], [11.0, 50.0], [12.0, 100.0]]
    assert issued.known_at(12, 2).tolist() == [[13.5, 200.0], [14.5, 210.0]]
    assert issued.note.startswith("file: runs.csv (SHA-256 ")
    assert issued.note.endswith("2 runs, 0 steps left out")
    with pytest.raises(DataError, match="the first is known from step 6"):
        issued.known_at(5, 1)


def test_parquet_reads_as_csv_does_in_any_order_of_rows(tmp_path: Path) -> None:
    rows = pd.read_csv(pd.io.common.StringIO(GOOD))
    for name in ("issue_time", "valid_time"):
        rows[name] = pd.to_datetime(rows[name], utc=True).dt.tz_convert("Europe/Amsterdam")
    file = tmp_path / "runs.parquet"
    rows.sample(frac=1.0, random_state=3).to_parquet(file)
    issued = WeatherForecastFile(WeatherForecastOptions(path=file)).issue(observed(), 6)
    np.testing.assert_array_equal(issued.values, read(tmp_path, GOOD).values)


def test_an_hour_holds_for_its_quarters(tmp_path: Path) -> None:
    issued = read(tmp_path, GOOD, horizon=12, seen=observed(96, 900))
    assert issued.known_at(24, 12)[:, 0].tolist() == [10.0] * 4 + [11.0] * 4 + [12.0] * 4


def test_a_gap_is_counted_logged_and_never_filled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = GOOD.replace("2017-01-01T00:00Z,2017-01-01T07:00Z,11.0,50\n", "")
    text += "2017-01-01T00:00Z,2017-01-01T09:00Z,13.0,150\n"
    with caplog.at_level(logging.WARNING, logger="vpp_sim.data.weather_file"):
        issued = read(tmp_path, text)
    assert issued.note.endswith("2 runs, 1 steps left out")
    assert "leaves out 1 steps" in caplog.text
    assert np.isnan(issued.values[0, 1]).all()
    with pytest.raises(DataError, match="covers steps 6 to 9 but for 1"):
        issued.known_at(6, 3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("11.0,50", "11.0,-1", r"runs.csv: row 2: ghi_w_m2 = -1.*; expected 0 to 1600"),
        ("11.0,50", "80.0,50", r"row 2: temperature_c = 80.0; expected -90 to 60"),
        ("11.0,50", ",50", r"row 2: temperature_c = nan; expected -90 to 60"),
        ("11.0,50", "warm,50", r"row 2: temperature_c = warm; expected -90 to 60"),
        ("T07:00Z", "T07:00", r"row 2: valid_time = 2017-01-01T07:00; expected a time with its zone"),
        ("T07:00Z", "T06:00Z", r"row 2: valid_time = 2017-01-01 06:00.*; expected each valid time of a run once"),
        ("T07:00Z", "T07:20Z", r"row 2: valid_time = 2017-01-01T07:20.*; expected the start of a step of 3600 s"),
        ("2017-01-01T07:00Z", "2016-12-31T07:00Z", "row 2: valid_time = .*; expected no time before its run"),
        ("T00:00Z,", "T00:00,", r"row 1: issue_time = 2017-01-01T00:00; expected a time with its zone.*\(and 2 more\)"),
        ("ghi_w_m2", "ghi", "lacks the columns ghi_w_m2"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(DataError, match=message):
        read(tmp_path, GOOD.replace(old, new))


def test_a_file_of_other_dates_is_refused_with_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no run says anything of 2017-01-01.*; it has runs from 2016-01-01T00:00"):
        read(tmp_path, GOOD.replace("2017-", "2016-"))


@pytest.mark.parametrize(("name", "text"), [("runs.csv", ""), ("runs.parquet", "no parquet")])
def test_what_is_no_table_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name} is no Parquet or CSV file"):
        WeatherForecastFile(WeatherForecastOptions(path=tmp_path / name)).issue(observed(), 6)


def test_a_missing_file_and_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no Parquet or CSV file that can be read"):
        WeatherForecastFile(WeatherForecastOptions(path=tmp_path / "none.csv")).issue(observed(), 6)
    with pytest.raises(DataError, match="'file' needs the path"):
        WeatherForecastFile(WeatherForecastOptions())


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 0 rows"):
        read(tmp_path, HEAD)
