"""Weather-driven solar power against the PVWatts manual by hand, and against pvlib's ModelChain."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pvlib.irradiance import complete_irradiance
from pvlib.location import Location
from pvlib.modelchain import ModelChain
from pvlib.pvsystem import Array, FixedMount, PVSystem

from vpp_sim.devices.solar import PvSite, pv_weather_kw_per_kwp

FLAT = list(csv.DictReader((Path(__file__).parent / "flat.csv").read_text(encoding="utf-8").splitlines()))
LATITUDE, LONGITUDE = 34.1, -117.44


@pytest.mark.parametrize("case", FLAT, ids=lambda case: f"{case['ghi_w_m2']}W")
def test_flat_array_by_hand(case: dict[str, str]) -> None:
    noon = pd.DatetimeIndex(["2017-06-21 12:00"], tz="America/Los_Angeles")
    ghi, air = np.array([float(case["ghi_w_m2"])]), np.array([float(case["temperature_c"])])
    flat = PvSite(LATITUDE, LONGITUDE, tilt_deg=0.0)
    for dni in (0.0, 150.0):
        power = pv_weather_kw_per_kwp(noon, 3600, ghi, np.array([dni]), air, flat)
        assert power[0] == pytest.approx(float(case["ac_kw_per_kwp"]), abs=2e-6)


@pytest.mark.parametrize(("tilt_deg", "azimuth_deg"), [(20.0, 180.0), (35.0, 270.0), (10.0, 95.0)])
def test_tilted_array_against_model_chain(tilt_deg: float, azimuth_deg: float) -> None:
    index = pd.date_range("2017-03-18", periods=24 * 4, freq="h", tz="America/Los_Angeles")
    middle = index + pd.Timedelta(minutes=30)
    location = Location(LATITUDE, LONGITUDE)
    sun = location.get_solarposition(middle)
    sky = location.get_clearsky(middle, model="haurwitz")
    ghi = sky["ghi"].to_numpy()
    dni = np.where(sun["apparent_zenith"] < 85, 0.6 * ghi, 0.0)
    air = 15 + 10 * np.sin(np.arange(len(index)) / 24 * 2 * np.pi)

    ours = pv_weather_kw_per_kwp(index, 3600, ghi, dni, air, PvSite(LATITUDE, LONGITUDE, tilt_deg, azimuth_deg))

    closed = complete_irradiance(sun["apparent_zenith"], ghi=pd.Series(ghi, middle), dni=pd.Series(dni, middle))
    weather = closed.fillna(0.0).assign(temp_air=air, wind_speed=1.0)
    inverter_w = 1000.0 / 1.2 / 0.96
    array = Array(
        FixedMount(tilt_deg, azimuth_deg),
        module_parameters={"pdc0": 1000.0, "gamma_pdc": -0.0047},
        temperature_model_parameters={"u0": 25.0, "u1": 6.84},
    )
    theirs = ModelChain(
        PVSystem([array], inverter_parameters={"pdc0": inverter_w}),
        location,
        transposition_model="isotropic",
        dc_model="pvwatts",
        ac_model="pvwatts",
        aoi_model="no_loss",
        spectral_model="no_loss",
        temperature_model="faiman",
        dc_ohmic_model="no_loss",
        losses_model=lambda chain: _lose(chain, 0.1408),
    ).run_model(weather)
    assert ours.max() > 0.6
    assert ours == pytest.approx(theirs.results.ac.to_numpy() / 1000, rel=2e-4, abs=1e-5)


def _lose(chain: ModelChain, share: float) -> None:
    chain.results.dc *= 1 - share
