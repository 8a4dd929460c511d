"""The errors of a year of made forecasts, by lead, against the stated calibration; README.md shows it."""

import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.data.fontana import Fontana
from vpp_sim.data.weather import FONTANA, ObservedWeather
from vpp_sim.data.weather_forecast import WeatherForecastOptions, issue_weather, on_runs

EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text())
LEADS = 73


def rms(errors):
    return float(np.sqrt(np.nanmean(errors**2)))


@pytest.fixture(scope="module")
def year():
    return ObservedWeather.of_homes(Fontana().load(), FONTANA)


@pytest.fixture(scope="module", params=[0, 1])
def errors(request, year):
    """Return the errors of temperature, and of irradiance by daylight as a share of its mean, by run and lead."""
    issued = issue_weather("error_model", year, LEADS, WeatherForecastOptions(seed=request.param, delay_s=0))
    wrong = issued.values - on_runs(year.values, issued.issued_at, LEADS)
    lit = year.clear_sky_w_m2 > 0
    lit_on_runs = on_runs(lit[:, None].astype(float), issued.issued_at, LEADS)[:, :, 0] == 1
    return wrong[:, :, 0], np.where(lit_on_runs, wrong[:, :, 1] / year.ghi_w_m2[lit].mean(), np.nan)


@pytest.mark.parametrize("lead", [0, 24, 48, 72])
def test_errors_at_a_lead(errors, lead):
    temperature_c, ghi = errors
    assert rms(temperature_c[:, lead]) == pytest.approx(EXPECTED["temperature_rmse_c"][str(lead)], rel=0.1)
    assert rms(ghi[:, lead]) == pytest.approx(EXPECTED["ghi_nrmse"][str(lead)], rel=0.1)


def test_errors_of_the_day_ahead(errors):
    assert np.nanmean(np.abs(errors[1][:, 24:48])) == pytest.approx(EXPECTED["ghi_day_ahead_nmae"], rel=0.1)


def test_there_is_no_bias(errors):
    temperature_c, ghi = errors
    assert abs(np.nanmean(temperature_c)) < 0.3
    assert abs(np.nanmean(ghi)) < 0.02


def test_a_forecast_is_better_than_persistence_and_grows_worse(year, errors):
    lit = year.clear_sky_w_m2[24:] > 0
    change_c = year.temperature_c[24:] - year.temperature_c[:-24]
    change = ((year.ghi_w_m2[24:] - year.ghi_w_m2[:-24]) / year.ghi_w_m2[24:][lit].mean())[lit]
    stated = EXPECTED["persistence"]
    assert rms(change_c) == pytest.approx(stated["temperature_rmse_c"], abs=0.01)
    assert rms(change) == pytest.approx(stated["ghi_nrmse"], abs=0.001)
    assert np.abs(change).mean() == pytest.approx(stated["ghi_nmae"], abs=0.001)
    for wrong, persistence in zip(errors, (rms(change_c), rms(change)), strict=True):
        by_day = [rms(wrong[:, day : day + 24]) for day in (0, 24, 48)]
        assert by_day == sorted(by_day)
        assert by_day[0] < persistence
