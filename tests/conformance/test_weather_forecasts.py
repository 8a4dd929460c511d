"""Every source of weather forecasts keeps its protocol's promises."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import WEATHER_NAMES, ObservedWeather
from vpp_sim.data.weather_forecast import WeatherForecastOptions, WeatherForecastSource, issue_weather
from vpp_sim.errors import DataError, UnknownNameError
from vpp_sim.registry import WEATHER_FORECASTS

HORIZON = 36
DAYS = 10


def weather(first_day: int = 0, days: int = DAYS) -> ObservedWeather:
    """Return days of one invented record, which begins on 2017-03-08 and holds the change to summer time."""
    hours = np.arange(24 * 20)
    sun = np.maximum(np.sin((hours - 6) * np.pi / 12), 0.0) * 900.0
    cloud = 0.6 + 0.3 * np.sin(hours / 7.0)
    index = pd.date_range("2017-03-08", periods=len(hours), freq="h", tz="America/Los_Angeles")
    part = slice(24 * first_day, 24 * (first_day + days))
    temperature = 15.0 + 5.0 * np.sin((hours - 9) * np.pi / 12) + np.sin(hours / 31.0)
    return ObservedWeather(index[part], 3600, temperature[part], (sun * cloud)[part], sun[part])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of runs every six hours for 48 h, made from the record by a rule: it errs by a tenth a lead."""
    seen, rows = weather(days=20), []
    for run in range(-12, 24 * 20, 6):
        steps = np.arange(max(run, 0), min(run + 48, 24 * 20))
        rows.append(
            pd.DataFrame(
                {
                    "issue_time": seen.index[0].tz_convert("UTC") + pd.Timedelta(hours=run),
                    "valid_time": seen.index[steps].tz_convert("UTC"),
                    "temperature_c": seen.temperature_c[steps] + 0.1 * (steps - run),
                    "ghi_w_m2": seen.ghi_w_m2[steps],
                }
            )
        )
    path = tmp_path_factory.mktemp("archive") / "runs.parquet"
    pd.concat(rows).to_parquet(path)
    return path


@pytest.mark.parametrize("name", WEATHER_FORECASTS.names)
class TestWeatherForecastSource:
    @pytest.fixture
    def issue(self, name: str, archive: Path) -> Callable[..., IssuedForecasts]:
        path = archive if name == "file" else None

        def made(observed: ObservedWeather, horizon: int = HORIZON, **options: int) -> IssuedForecasts:
            return issue_weather(name, observed, horizon, WeatherForecastOptions(path=path, **options))

        return made

    def test_it_fulfils_the_protocol(self, name: str, archive: Path) -> None:
        source = WEATHER_FORECASTS.load(name)(WeatherForecastOptions(path=archive if name == "file" else None))
        assert isinstance(source, WeatherForecastSource)

    def test_every_step_has_a_forecast_that_was_known(self, issue: Callable[..., IssuedForecasts]) -> None:
        issued = issue(weather())
        assert issued.names == WEATHER_NAMES
        assert issued.horizon_steps == HORIZON
        known = issued.all_known_at(np.arange(24 * DAYS - 24), 24)
        assert np.isfinite(known).all()
        assert (known[:, :, 1] >= 0).all()

    def test_nights_stay_dark(self, issue: Callable[..., IssuedForecasts]) -> None:
        observed = weather()
        issued = issue(observed)
        steps = np.arange(24 * DAYS - 24)
        night = observed.clear_sky_w_m2[steps[:, None] + np.arange(24)] == 0
        assert night.any()
        assert not issued.all_known_at(steps, 24)[night][:, 1].any()

    def test_the_same_options_give_the_same_values(self, issue: Callable[..., IssuedForecasts]) -> None:
        one, two = issue(weather(), seed=3), issue(weather(), seed=3)
        np.testing.assert_array_equal(one.issued_at, two.issued_at)
        np.testing.assert_array_equal(one.values, two.values)
        assert one.note == two.note

    def test_a_run_says_the_same_wherever_the_series_begins_and_ends(
        self, issue: Callable[..., IssuedForecasts]
    ) -> None:
        whole, part = issue(weather(), seed=5), issue(weather(first_day=3, days=5), seed=5)
        for step in range(24 * 4):
            np.testing.assert_array_equal(whole.known_at(step + 72, 24), part.known_at(step, 24))

    def test_a_longer_horizon_adds_steps_and_changes_none(self, issue: Callable[..., IssuedForecasts]) -> None:
        short, long = issue(weather(), 30), issue(weather(), 42)
        shared = np.isin(long.issued_at, short.issued_at)
        np.testing.assert_array_equal(long.values[shared][:, :30], short.values)

    def test_a_later_delivery_is_known_later(self, issue: Callable[..., IssuedForecasts]) -> None:
        soon, late = issue(weather(), delay_s=3600), issue(weather(), delay_s=4 * 3600)
        assert set(soon.issued_at + 3) & set(late.issued_at)
        assert not set(soon.issued_at) & set(late.issued_at)

    def test_inputs_are_left_alone(self, issue: Callable[..., IssuedForecasts]) -> None:
        observed = weather()
        before = observed.values.copy()
        issue(observed)
        np.testing.assert_array_equal(observed.values, before)

    def test_it_names_itself_for_the_report(self, name: str, issue: Callable[..., IssuedForecasts]) -> None:
        assert issue(weather()).note.startswith(f"{name}: ")

    def test_no_step_is_refused(self, issue: Callable[..., IssuedForecasts]) -> None:
        with pytest.raises(DataError, match="at least one step; got 0"):
            issue(weather(), 0)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown weather forecast 'perfct'.*did you mean 'perfect'"):
        issue_weather("perfct", weather(), 24)


@pytest.mark.parametrize("name", ["error_model", "perfect"])
def test_a_file_for_a_source_that_reads_none_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"'{name}' reads no file, but runs.csv is named"):
        issue_weather(name, weather(), 24, WeatherForecastOptions(path=Path("runs.csv")))


def test_perfect_is_the_observation() -> None:
    observed = weather()
    known = issue_weather("perfect", observed, HORIZON).all_known_at(np.arange(100), 24)
    np.testing.assert_array_equal(known, observed.values[np.arange(100)[:, None] + np.arange(24)])


@pytest.mark.parametrize(("every_s", "delay_s"), [(0, 0), (3600, -1)])
def test_options_that_make_no_sense_are_refused(every_s: int, delay_s: int) -> None:
    with pytest.raises(DataError, match=f"every {every_s} s and known {delay_s} s later"):
        WeatherForecastOptions(every_s=every_s, delay_s=delay_s)


def test_runs_between_steps_are_refused() -> None:
    with pytest.raises(DataError, match="runs every 5400 s do not fit steps of 3600 s"):
        issue_weather("error_model", weather(), 24, WeatherForecastOptions(every_s=5400))
