"""The error model: bounds, growth, memory, and what its draws depend on."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import ObservedWeather
from vpp_sim.data.weather_error import CLEARNESS, TEMPERATURE, ErrorGrowth, WeatherErrorModel
from vpp_sim.data.weather_forecast import WeatherForecastOptions
from vpp_sim.errors import DataError

STEPS = 24 * 400


def steady(steps: int = STEPS, clearness: float = 0.5, step_s: int = 3600) -> ObservedWeather:
    """Return 20 degrees and one clearness under a sun that never moves: 1000 W/m2 at clearness 1."""
    index = pd.date_range("2017-01-01", periods=steps, freq=pd.Timedelta(seconds=step_s), tz="UTC")
    clear = np.full(steps, 1000.0 / 1.1)
    return ObservedWeather(index, step_s, np.full(steps, 20.0), np.full(steps, clearness * 1000.0), clear)


@cache
def made(seed: int = 1, steps: int = STEPS, clearness: float = 0.5, horizon: int = 25) -> IssuedForecasts:
    return WeatherErrorModel(WeatherForecastOptions(seed=seed, delay_s=0)).issue(steady(steps, clearness), horizon)


@pytest.fixture(scope="module")
def errors() -> np.ndarray:
    """Return the errors of temperature of nearly 1600 runs by lead, shape (K, 73)."""
    return made(horizon=73).values[:-13, :, 0] - 20.0


class TestErrorGrowth:
    def test_it_grows_from_its_start_to_its_limit(self) -> None:
        """Variance 1 + 24 (1 - exp(-1)) = 16.1709 after the growth time, by hand."""
        growth = ErrorGrowth(start=1.0, limit=5.0, growth_h=100.0, lasts_h=1.0)
        np.testing.assert_allclose(growth.at(np.array([0.0, 100.0, 1e6])), [1.0, 4.021302, 5.0], rtol=1e-6)

    @pytest.mark.parametrize("wrong", [{"start": 3.0}, {"growth_h": 0.0}, {"lasts_h": -1.0}, {"start": -0.1}])
    def test_an_error_that_shrinks_is_refused(self, wrong: dict[str, float]) -> None:
        with pytest.raises(DataError, match="grows from a start to a limit"):
            ErrorGrowth(**{"start": 1.0, "limit": 2.0, "growth_h": 9.0, "lasts_h": 9.0, **wrong})


class TestTemperature:
    @pytest.mark.parametrize("lead", [0, 3, 6, 24, 48, 72])
    def test_the_error_has_the_deviation_of_its_lead(self, errors: np.ndarray, lead: int) -> None:
        assert errors[:, lead].std() == pytest.approx(TEMPERATURE.at(np.array([float(lead)]))[0], rel=0.05)

    def test_there_is_no_bias(self, errors: np.ndarray) -> None:
        """Errors last a dozen hours, so 400 days hold some 400 independent ones: four standard errors are 0.28."""
        assert abs(errors[:, 24].mean()) < 4 * 1.41 / np.sqrt(400)

    @pytest.mark.parametrize("hours", [1, 6, 12])
    def test_an_error_lasts(self, errors: np.ndarray, hours: int) -> None:
        """Parts that are AR(1) with exp(-hours / 12) but for what begins anew with each run."""
        correlation = np.corrcoef(errors[:, 24], errors[:, 24 + hours])[0, 1]
        assert correlation == pytest.approx(np.exp(-hours / TEMPERATURE.lasts_h), abs=0.1)

    @pytest.mark.parametrize("lead", [12, 30, 66])
    def test_successive_runs_are_alike_as_stated(self, errors: np.ndarray, lead: int) -> None:
        old, new = errors[:-1, lead], errors[1:, lead - 6]
        newer, older = TEMPERATURE.at(np.array([lead - 6.0, lead]))
        assert np.corrcoef(old, new)[0, 1] == pytest.approx(newer / older, abs=0.03)
        assert (new**2).mean() < (old**2).mean()

    def test_an_older_run_tells_nothing_beyond_the_newer(self, errors: np.ndarray) -> None:
        new, update = errors[1:, 24], errors[:-1, 30] - errors[1:, 24]
        assert abs(np.corrcoef(new, update)[0, 1]) < 0.08


class TestIrradiance:
    @pytest.mark.parametrize("clearness", [0.1, 0.5, 0.95])
    def test_the_mean_is_the_observation_and_the_deviation_that_of_its_lead(self, clearness: float) -> None:
        forecast = made(clearness=clearness).values[:-13, 24, 1] / 1000.0
        expected = CLEARNESS.at(np.array([24.0]))[0] * np.sqrt(clearness * (1 - clearness))
        assert forecast.std() == pytest.approx(expected, rel=0.06)
        assert abs(forecast.mean() - clearness) < 4 * expected / np.sqrt(800)

    def test_it_stays_between_dark_and_the_ceiling(self) -> None:
        forecast = made(clearness=0.8).values[:, :, 1]
        assert np.nanmin(forecast) >= 0.0
        assert np.nanmax(forecast) <= 1000.0 * (1 + 1e-12)

    def test_what_is_above_every_clear_sky_stays_as_it_was(self) -> None:
        observed = steady(48, clearness=1.2)
        values = WeatherErrorModel(WeatherForecastOptions()).issue(observed, 6).values[:, :, 1]
        assert set(values[~np.isnan(values)]) == {1200.0}

    def test_temperature_and_cloud_err_apart(self) -> None:
        values = made().values[:-13, 24]
        assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.08


class TestDraws:
    def test_a_longer_series_changes_no_issue(self) -> None:
        short, long = made(steps=240, horizon=30), made(steps=480, horizon=30)
        n = len(short.issued_at) - 5
        np.testing.assert_array_equal(short.values[:n], long.values[:n])

    def test_seeds_differ(self) -> None:
        one, two = made(seed=1), made(seed=2)
        assert abs(np.corrcoef(one.values[:-13, 24, 0], two.values[:-13, 24, 0])[0, 1]) < 0.1

    def test_finer_steps_have_the_same_errors_in_distribution(self) -> None:
        options = WeatherForecastOptions(seed=4, delay_s=0)
        fine = WeatherErrorModel(options).issue(steady(4 * 24 * 200, step_s=900), 100).values[:-5, :, 0] - 20.0
        assert fine[:, 96].std() == pytest.approx(TEMPERATURE.at(np.array([24.0]))[0], rel=0.07)
        assert np.corrcoef(fine[:, 30], fine[:, 46])[0, 1] == pytest.approx(np.exp(-4 / 12), abs=0.1)

    def test_a_delay_is_a_larger_error(self) -> None:
        late = WeatherErrorModel(WeatherForecastOptions(delay_s=24 * 3600)).issue(steady(), 1).values[:, 0, 0] - 20.0
        assert np.nanstd(late) == pytest.approx(TEMPERATURE.at(np.array([24.0]))[0], rel=0.06)

    def test_an_error_of_nothing_is_the_observation(self) -> None:
        none = ErrorGrowth(start=0.0, limit=0.0, growth_h=1.0, lasts_h=1.0)
        values = WeatherErrorModel(WeatherForecastOptions(), temperature=none).issue(steady(48), 6).values[:, :, 0]
        assert set(values[~np.isnan(values)]) == {20.0}


@pytest.mark.parametrize(("start", "limit"), [(0.0, 0.5), (0.3, 1.0)])
def test_a_clearness_error_that_its_range_does_not_allow_is_refused(start: float, limit: float) -> None:
    with pytest.raises(DataError, match="lies between 0 and 1"):
        WeatherErrorModel(WeatherForecastOptions(), clearness=ErrorGrowth(start, limit, 9.0, 9.0))
