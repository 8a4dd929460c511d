"""Solar power from a series per kWp, and what the weather-driven chain refuses and does by night."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vpp_sim.devices.solar import PvSite, pv_ac_power_kw, pv_weather_kw_per_kwp
from vpp_sim.errors import PhysicsError

SITE = PvSite(34.1, -117.44)
DAY = pd.date_range("2017-06-21", periods=24, freq="h", tz="America/Los_Angeles")


def test_power_is_series_times_size() -> None:
    per_kwp = np.array([[0.0, 0.5], [0.9, 1.0]])
    assert pv_ac_power_kw(per_kwp, np.array([4.0, 6.0])).tolist() == [[0.0, 3.0], [3.6, 6.0]]


def test_inverter_cuts_home_by_home() -> None:
    per_kwp = np.array([[0.0, 0.5], [0.9, 1.0]])
    cut = pv_ac_power_kw(per_kwp, np.array([4.0, 6.0]), inverter_kw=np.array([3.0, 5.0]))
    assert cut.tolist() == [[0.0, 3.0], [3.0, 5.0]]


@pytest.mark.parametrize(
    ("per_kwp", "kwp", "inverter_kw", "message"),
    [
        ([0.5, -0.1], [4.0, 4.0], None, "pv_kw_per_kwp is negative: lowest value -0.1"),
        ([0.5, np.nan], [4.0, 4.0], None, "pv_kw_per_kwp has 1 values that are not finite"),
        ([0.5, 0.1], [4.0], None, r"pv_kwp has shape \(1,\), expected \(2,\)"),
        ([0.5, 0.1], [4.0, -4.0], None, "pv_kwp is negative"),
        ([0.5, 0.1], [4.0, 4.0], [3.0], r"inverter_kw has shape \(1,\), expected \(2,\)"),
        ([0.5, 0.1], [4.0, 4.0], [3.0, -1.0], "inverter_kw is negative"),
    ],
)
def test_what_has_no_answer_is_refused(
    per_kwp: list[float], kwp: list[float], inverter_kw: list[float] | None, message: str
) -> None:
    limit = None if inverter_kw is None else np.array(inverter_kw)
    with pytest.raises(PhysicsError, match=message):
        pv_ac_power_kw(np.array(per_kwp), np.array(kwp), inverter_kw=limit)


def test_no_sun_no_power() -> None:
    dark = pv_weather_kw_per_kwp(DAY, 3600, np.zeros(24), np.zeros(24), np.full(24, 20.0), SITE)
    assert dark.tolist() == [0.0] * 24


def test_beam_below_the_horizon_is_nobodys() -> None:
    """DNI stamped into the night must not light a tilted array through the ground."""
    steep = PvSite(34.1, -117.44, tilt_deg=90.0, azimuth_deg=0.0)
    night = pv_weather_kw_per_kwp(DAY[:2], 3600, np.zeros(2), np.full(2, 900.0), np.full(2, 20.0), steep)
    assert night.tolist() == [0.0, 0.0]


def test_west_has_its_best_hour_after_east() -> None:
    noon = 12.8 - DAY.hour.to_numpy() - 0.5
    ghi = np.maximum(1000 * np.cos(noon / 14 * np.pi), 0)
    dni = np.where(ghi > 0, 800.0, 0.0)
    best = [
        int(
            np.argmax(
                pv_weather_kw_per_kwp(DAY, 3600, ghi, dni, np.full(24, 20.0), PvSite(34.1, -117.44, 40.0, azimuth))
            )
        )
        for azimuth in (90.0, 180.0, 270.0)
    ]
    assert best[0] < best[1] < best[2]


@pytest.mark.parametrize(
    ("ghi", "dni", "temperature", "message"),
    [
        (np.full(24, -1.0), np.zeros(24), np.zeros(24), "ghi_w_m2 is negative"),
        (np.zeros(23), np.zeros(24), np.zeros(24), r"ghi_w_m2 has shape \(23,\), expected \(24,\)"),
        (np.zeros(24), np.full(24, np.inf), np.zeros(24), "dni_w_m2 has 24 values that are not finite"),
        (np.zeros(24), np.zeros(24), np.full(24, np.nan), "temperature_c has 24 values that are not finite"),
        (np.zeros(24), np.zeros(24), np.zeros(1), r"temperature_c has shape \(1,\), expected \(24,\)"),
    ],
)
def test_weather_that_does_not_fit_is_refused(
    ghi: np.ndarray, dni: np.ndarray, temperature: np.ndarray, message: str
) -> None:
    with pytest.raises(PhysicsError, match=message):
        pv_weather_kw_per_kwp(DAY, 3600, ghi, dni, temperature, SITE)
