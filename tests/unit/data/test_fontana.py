"""The shipped homes: size, names, flags, clocks, and the facts that the data's page states of them."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.fontana import DEFAULT_HOMES, FLAGS, USD_PER_EUR, Fontana
from vpp_sim.data.homes import HomesData
from vpp_sim.data.parquet import FILES
from vpp_sim.data.sources import HomeSource
from vpp_sim.errors import DataError
from vpp_sim.registry import HOME_SOURCES

PAGE = (FILES / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def homes() -> HomesData:
    return Fontana().load()


def elevation_deg(index: pd.DatetimeIndex, minutes: int) -> np.ndarray:
    from pvlib import solarposition

    middle = index + pd.Timedelta(minutes=minutes)
    return solarposition.get_solarposition(middle, 34.1, -117.44)["elevation"].to_numpy()


@pytest.fixture(scope="module")
def highest_deg(homes: HomesData) -> np.ndarray:
    """How high the sun comes over Fontana in each hour, shape (T,)."""
    return np.max([elevation_deg(homes.index, minutes) for minutes in (0, 30, 60)], axis=0)


def test_registered_source_keeps_the_protocol() -> None:
    source = HOME_SOURCES.load("fontana")()
    assert isinstance(source, HomeSource)
    assert source.default_homes == DEFAULT_HOMES


def test_a_year_of_seventeen_homes(homes: HomesData) -> None:
    assert homes.names == tuple(f"home_{n}" for n in range(1, 18))
    assert homes.covered == "2016-08-01T00:00:00-07:00 to 2017-08-01T00:00:00-07:00"
    assert homes.load_kw.shape == homes.pv_kw_per_kwp.shape == (8760, 17)
    assert homes.pv_kwp.tolist() == [4, 4, 4, 5, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5]
    assert set(homes.battery_kwh) == {6.4}
    assert set(homes.battery_kw) == {5.0}
    assert homes.repairs == {"wall_clock_rows_used_twice_in_autumn": 1, "wall_clock_rows_left_out_in_spring": 1}


def test_default_is_the_thirteen_without_a_flag(homes: HomesData) -> None:
    assert tuple(f"home_{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 13, 16, 17)) == DEFAULT_HOMES
    assert set(homes.flags) == {"home_7", "home_12", "home_14", "home_15"}
    assert homes.select(DEFAULT_HOMES).flags == {}


def test_flags_state_what_is_measured(homes: HomesData) -> None:
    for name, why in FLAGS.items():
        home = homes.names.index(name)
        near_zero = int(re.search(r"below 10 W in (\d+) of 8760 hours", why)[1])
        assert near_zero == (homes.load_kw[:, home] < 0.01).sum()
        if solar := re.search(r"yields (\d+) kWh/kWp", why):
            assert int(solar[1]) == round(homes.pv_kw_per_kwp[:, home].sum())


def test_digest_is_that_of_the_file(homes: HomesData) -> None:
    assert homes.digest == sha256((FILES / "fontana.parquet").read_bytes()).hexdigest()
    assert homes.digest in PAGE


def test_page_states_the_measured_readings(homes: HomesData, highest_deg: np.ndarray) -> None:
    rows = re.findall(r"^\| (home_\d+) \|(.*)\|$", PAGE, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(homes.names)
    for home, (_, text) in enumerate(rows):
        load, solar = homes.load_kw[:, home], homes.pv_kw_per_kwp[:, home]
        measured = [
            f"{homes.pv_kwp[home]:.0f}",
            f"{load.sum():.0f}",
            f"{load.max():.2f}",
            f"{(load == 0).sum()}",
            f"{(load < 0.01).sum()}",
            f"{(load < 0.05).sum()}",
            f"{solar.sum():.0f}",
            f"{solar.max():.3f}",
            f"{((solar > 0.001) & (highest_deg < -1)).sum()}",
        ]
        assert [cell.strip() for cell in text.split("|")] == measured


def test_sun_is_up_when_it_shines(homes: HomesData, highest_deg: np.ndarray) -> None:
    """Both clocks: an hour off, more than a thousandth of all irradiance falls into hours without sun."""
    down = highest_deg < 0
    steady = homes.select(("home_1", "home_2", "home_3", "home_5", "home_8"))
    solar = steady.pv_kw_per_kwp.mean(axis=1)
    for shine in (homes.ghi_w_m2, solar):
        assert shine[down].sum() / shine.sum() < 1e-4
        for hours in (-1, 1):
            shifted = np.roll(shine, hours)
            assert shifted[down].sum() / shifted.sum() > 1e-3


def test_solar_noon_does_not_jump_with_the_clock(homes: HomesData) -> None:
    """The centre of the day in UTC moves by less than half an hour over both changes of the clock."""
    hour_utc = homes.index.tz_convert("UTC").hour.to_numpy() + 0.5
    for shine in (homes.ghi_w_m2, homes.select(("home_1", "home_2", "home_5")).pv_kw_per_kwp.mean(axis=1)):
        for sunday in ("2016-11-06", "2017-03-12"):
            change = homes.position(pd.Timestamp(sunday, tz="America/Los_Angeles"))
            week = [slice(change - 7 * 24, change), slice(change + 24, change + 8 * 24)]
            before, after = (np.average(hour_utc[rows], weights=shine[rows] + 1e-9) for rows in week)
            assert abs(after - before) < 0.5


def test_tariff_is_time_of_use_by_the_wall_clock(homes: HomesData) -> None:
    index = homes.index
    usd = np.round(homes.tariff_eur_per_kwh * USD_PER_EUR, 6)
    peak = (index.hour >= 16) & (index.hour < 21)
    summer = index.month.isin([6, 7, 8, 9])
    weekday = index.dayofweek < 5
    expected = np.select([peak & summer & weekday, peak & summer, peak, summer], [0.54, 0.40, 0.50, 0.22], default=0.21)
    assert np.array_equal(usd, expected)


def test_third_column_closes_as_global_horizontal(homes: HomesData) -> None:
    """GHI = DHI + DNI cos z leaves a diffuse part that is never below -20 W/m2; as diffuse it would outshine space."""
    up = np.mean([np.maximum(np.sin(np.radians(elevation_deg(homes.index, m))), 0) for m in range(5, 60, 10)], axis=0)
    day = up > 0.1
    beam = homes.dni_w_m2 * up
    assert (homes.ghi_w_m2 - beam)[day].min() > -20
    assert (homes.ghi_w_m2 > 1361 * up)[day].sum() == 0
    assert (homes.ghi_w_m2 + beam > 1361 * up)[day].mean() > 0.45


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.parquet is missing; `python -m vpp_sim\.data\.build` makes it"):
        Fontana(tmp_path / "gone.parquet").load()
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match=r"broken\.parquet is not a Parquet file of this package"):
        Fontana(broken).load()
