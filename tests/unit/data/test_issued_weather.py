"""Measured weather as forecasts need it, and the runs placed on its steps."""

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.fontana import Fontana
from vpp_sim.data.weather import FONTANA, ObservedWeather, Place, clear_sky_w_m2
from vpp_sim.data.weather_forecast import WeatherForecastOptions, on_runs, runs_for
from vpp_sim.errors import DataError


def flat(start: str, steps: int, step_s: int = 3600, tz: str = "UTC") -> ObservedWeather:
    index = pd.date_range(start, periods=steps, freq=pd.Timedelta(seconds=step_s), tz=tz)
    return ObservedWeather(index, step_s, np.full(steps, 20.0), np.zeros(steps), np.zeros(steps))


class TestClearSky:
    def test_noon_at_the_equator_on_the_equinox_is_haurwitz_overhead(self) -> None:
        """Sun overhead: GHI = 1098 cos z exp(-0.059 / cos z) (Reno et al. 2012) is 1035 W/m2."""
        hour = pd.date_range("2017-03-20 11:30", periods=1, freq="h", tz="UTC")
        clear = clear_sky_w_m2(hour, 3600, Place(0.0, 0.0))
        assert clear[0] == pytest.approx(1035.1, rel=0.01)

    def test_it_is_dark_at_night_and_dim_in_the_hour_of_sunrise(self) -> None:
        day = pd.date_range("2017-06-21", periods=24, freq="h", tz="America/Los_Angeles")
        clear = clear_sky_w_m2(day, 3600, Place(34.09, -117.44))
        assert not clear[[0, 1, 2, 3, 4, 21, 22, 23]].any()
        assert 0 < clear[5] < 50
        assert clear.argmax() in (12, 13)

    def test_a_place_that_does_not_exist_is_refused(self) -> None:
        with pytest.raises(DataError, match="no place at 91"):
            Place(91.0, 0.0)


class TestObservedWeather:
    def test_it_is_that_of_the_homes(self) -> None:
        homes = Fontana().load()
        weather = ObservedWeather.of_homes(homes.window(homes.index[0], 48), FONTANA)
        np.testing.assert_array_equal(weather.values, np.stack([homes.temperature_c, homes.ghi_w_m2], axis=1)[:48])
        assert weather.start_s == homes.index[0].timestamp()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"index": pd.date_range("2017-01-01", periods=3, freq="h")}, "with a time zone"),
            ({"step_s": 900}, "not spaced by 900 s"),
            ({"temperature_c": np.zeros(2)}, r"temperature_c of shape \(2,\) does not give 3 steps"),
            ({"temperature_c": np.array([0.0, np.nan, 0.0])}, "a finite value"),
            ({"ghi_w_m2": np.array([0.0, -1.0, 0.0])}, "ghi_w_m2 is negative: lowest value -1"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, change: dict[str, object], message: str) -> None:
        good = {
            "index": pd.date_range("2017-01-01", periods=3, freq="h", tz="UTC"),
            "step_s": 3600,
            "temperature_c": np.zeros(3),
            "ghi_w_m2": np.zeros(3),
            "clear_sky_w_m2": np.zeros(3),
        }
        ObservedWeather(**good)
        with pytest.raises(DataError, match=message):
            ObservedWeather(**{**good, **change})


class TestRuns:
    def test_the_first_run_is_the_latest_known_at_the_first_step(self) -> None:
        """From 07:00 UTC with 6 h delay: the run of 00 UTC is known since 06:00, one step before."""
        runs = runs_for(flat("2017-01-02 07:00", 24), WeatherForecastOptions())
        assert runs.issued_at.tolist() == [-1, 5, 11, 17, 23]
        assert runs.run_s[0] == pd.Timestamp("2017-01-02", tz="UTC").timestamp()
        assert (runs.every_steps, runs.first_lead, runs.phase_s) == (6, 6, 0)

    def test_a_run_known_within_a_step_is_known_from_the_next(self) -> None:
        """ECMWF's 6 h 12 min: known at 06:12, so from the step that starts at 07:00, seven hours after the run."""
        runs = runs_for(flat("2017-01-02 07:00", 24), WeatherForecastOptions(delay_s=6 * 3600 + 720))
        assert runs.issued_at.tolist() == [0, 6, 12, 18]
        assert runs.first_lead == 7

    def test_runs_keep_to_utc_over_a_change_of_the_clock(self) -> None:
        seen = flat("2017-03-12", 47, tz="America/Los_Angeles")
        runs = runs_for(seen, WeatherForecastOptions(delay_s=0))
        hours = seen.index[0].tz_convert("UTC") + pd.to_timedelta(runs.issued_at, unit="h")
        assert {hour.hour for hour in hours} == {0, 6, 12, 18}

    def test_a_zone_of_half_hours_has_leads_of_half_hours(self) -> None:
        runs = runs_for(flat("2017-01-01", 24, tz="Asia/Kolkata"), WeatherForecastOptions(delay_s=0))
        assert (runs.first_lead, runs.phase_s) == (0, 1800)

    def test_quarters_of_an_hour_have_four_times_the_steps(self) -> None:
        runs = runs_for(flat("2017-01-01", 96, 900), WeatherForecastOptions(delay_s=3 * 3600))
        assert (runs.every_steps, runs.first_lead) == (24, 12)

    def test_values_beyond_the_series_are_empty(self) -> None:
        values = on_runs(np.arange(3.0)[:, None], np.array([-1, 1]), 3)[:, :, 0]
        np.testing.assert_array_equal(values, [[np.nan, 0.0, 1.0], [1.0, 2.0, np.nan]])
