"""What a run is told of the weather ahead: from which source, under which seed, and how at the end of the data."""

from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents.fleet import HISTORY_H, LOOK_AHEAD_H
from vpp_sim.agents.inputs import Inputs, load_inputs
from vpp_sim.errors import DataError

BEYOND = "weather forecast: hours beyond the data, made from the weather of the day before"


def known(inputs: Inputs, hour: int, hours: int = 36) -> np.ndarray:
    """Return the weather forecast that is known as an hour of the run begins."""
    return inputs.weather_forecast.known_at(hour + HISTORY_H, hours)


def test_errors_belong_to_the_date_and_the_seed() -> None:
    """A run that begins two days later is told the same on the same day; another seed is told otherwise."""
    early, late = load_inputs(light_scenario(clock__days=3)), load_inputs(light_scenario(clock__start="2017-07-05"))
    np.testing.assert_allclose(known(early, 49), known(late, 1), rtol=1e-12)
    other = load_inputs(light_scenario(seed=8))
    assert np.abs(known(early, 10) - known(other, 10)).max() > 0.1
    assert "seed 8" in other.weather_forecast.note


def test_a_finer_clock_is_told_the_same() -> None:
    hourly, quarters = load_inputs(light_scenario()), load_inputs(light_scenario(clock__step="15min"))
    np.testing.assert_allclose(known(hourly, 7), known(quarters, 7), rtol=1e-12)


def test_perfect_weather_is_what_comes() -> None:
    inputs = load_inputs(light_scenario(forecasting__weather={"kind": "perfect"}))
    rows = slice(inputs.fleet.row(10), inputs.fleet.row(46))
    np.testing.assert_array_equal(known(inputs, 10), inputs.fleet.weather[rows])
    assert "a bound and no forecast" in inputs.weather_forecast.note


@pytest.mark.parametrize(("start", "repeated"), [("2017-07-29", 0), ("2017-07-30", 24), ("2017-07-31", 48)])
def test_at_the_end_of_the_data_the_last_day_repeats_and_is_counted(start: str, repeated: int) -> None:
    inputs = load_inputs(light_scenario(clock__start=start, forecasting__weather={"kind": "perfect"}))
    assert inputs.repaired.get(BEYOND, 0) == repeated
    told, hours_known = known(inputs, 23), 1 + LOOK_AHEAD_H - repeated
    assert np.isfinite(told).all()
    if hours_known < 36:
        last_day = inputs.fleet.weather[-24:]
        np.testing.assert_array_equal(told[hours_known:], np.resize(last_day, (72, 2))[: 36 - hours_known])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file of two runs, from noon two days before the start on: 21.5 and 23.5 degC, 321 W/m2, for 40 hours each."""
    frames = []
    for number, hour in enumerate(("2017-07-01T12:00", "2017-07-02T00:00")):
        run = pd.Timestamp(hour, tz="America/Los_Angeles").tz_convert("UTC")
        valid = [(run + timedelta(hours=h)).isoformat() for h in range(40)]
        rows = {
            "issue_time": run.isoformat(),
            "valid_time": valid,
            "temperature_c": 21.5 + 2 * number,
            "ghi_w_m2": 321.0,
        }
        frames.append(pd.DataFrame(rows))
    path = tmp_path / "archive.csv"
    pd.concat(frames).to_csv(path, index=False)
    return path


def test_archived_forecasts_are_read_from_their_file(archive: Path) -> None:
    weather = {"kind": "file", "path": str(archive), "delay": "8h"}
    inputs = load_inputs(light_scenario(forecasting__weather=weather))
    with pytest.raises(DataError, match="the first is known from step"):
        known(inputs, -29, 1)
    np.testing.assert_array_equal(known(inputs, -28, 8), [[21.5, 321.0]] * 8)  # known 8 h after its run
    np.testing.assert_array_equal(known(inputs, -17, 8), [[21.5, 321.0]] * 8)
    np.testing.assert_array_equal(known(inputs, -16, 8), [[23.5, 321.0]] * 8)
    assert inputs.digests["weather forecast"] == sha256(archive.read_bytes()).hexdigest()
    assert BEYOND not in inputs.repaired


def test_a_file_that_ends_too_early_is_named_with_the_moment(archive: Path, tmp_path: Path) -> None:
    """At noon before the start 36 hours are wanted; the latest run, of midnight, holds 28 more."""
    scenario = light_scenario(forecasting__weather={"kind": "file", "path": str(archive), "delay": "8h"})
    expected = (
        r"^the weather forecasts do not serve a forecast issued at 2017-07-02T12:00:00-07:00, by the hour: no fore"
    )
    with pytest.raises(DataError, match=expected):
        simulate_in(tmp_path / "run", scenario)
