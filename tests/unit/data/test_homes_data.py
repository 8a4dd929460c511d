"""The message itself: selection, positions, windows, finer steps, refusals."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vpp_sim.data.homes import HomesData
from vpp_sim.errors import DataError, UnknownNameError

ZONE = "America/Los_Angeles"
STEPS = 30


def homes(steps: int = STEPS) -> HomesData:
    """Three homes from 2017-03-12 00:00, the day whose clock skips 02:00; load of home i at step t is 10 t + i."""
    load_kw = 10.0 * np.arange(steps)[:, None] + np.arange(3.0)
    hourly = np.arange(float(steps))
    return HomesData(
        index=pd.date_range(pd.Timestamp("2017-03-12", tz=ZONE), periods=steps, freq="h"),
        step_s=3600,
        names=("home_1", "home_2", "home_3"),
        flags={"home_2": "broken meter"},
        load_kw=load_kw,
        pv_kw_per_kwp=load_kw / 1000,
        pv_kwp=np.array([4.0, 5.0, 6.0]),
        battery_kwh=np.array([6.4, 6.5, 6.6]),
        battery_kw=np.array([5.0, 5.1, 5.2]),
        temperature_c=hourly - 10.0,
        relative_humidity=hourly / 100,
        ghi_w_m2=hourly,
        dni_w_m2=hourly * 2,
        tariff_eur_per_kwh=hourly / 10,
        carbon_kg_per_kwh=hourly / 20,
        digest="abc",
        repairs={"gaps": 2},
    )


def test_select_keeps_the_order_asked_for() -> None:
    chosen = homes().select(("home_3", "home_2"))
    assert chosen.names == ("home_3", "home_2")
    assert chosen.load_kw[4].tolist() == [42.0, 41.0]
    assert chosen.pv_kw_per_kwp[4].tolist() == [0.042, 0.041]
    assert chosen.pv_kwp.tolist() == [6.0, 5.0]
    assert chosen.battery_kwh.tolist() == [6.6, 6.5]
    assert chosen.battery_kw.tolist() == [5.2, 5.1]
    assert chosen.flags == {"home_2": "broken meter"}
    assert homes().select(("home_1",)).flags == {}


def test_select_names_the_homes_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown home 'home_4'; allowed: home_1, home_2, home_3; did you mean"):
        homes().select(("home_4",))


@pytest.mark.parametrize(("names", "seen"), [((), "none"), (("home_1", "home_1"), "home_1, home_1")])
def test_select_refuses_nothing_and_twice(names: tuple[str, ...], seen: str) -> None:
    with pytest.raises(DataError, match=f"once each, at least one; got {seen}"):
        homes().select(names)


@pytest.mark.parametrize(
    ("stamp", "step"),
    [
        ("2017-03-12T00:00:00-08:00", 0),
        ("2017-03-12T00:59:59-08:00", 0),
        ("2017-03-12T01:00:00-08:00", 1),
        ("2017-03-12T03:00:00-07:00", 2),  # two hours after midnight: 02:00 was skipped
        ("2017-03-12T10:00:00+00:00", 2),
        ("2017-03-13T00:00:00-07:00", 23),
    ],
)
def test_position_counts_elapsed_hours(stamp: str, step: int) -> None:
    assert homes().position(pd.Timestamp(stamp)) == step


@pytest.mark.parametrize("stamp", ["2017-03-11T23:59:59-08:00", "2017-03-13T07:00:00-07:00"])
def test_position_names_the_covered_range(stamp: str) -> None:
    covered = "2017-03-12T00:00:00-08:00 to 2017-03-13T07:00:00-07:00"
    with pytest.raises(DataError, match=f"{stamp} lies outside the data, which covers {covered}"):
        homes().position(pd.Timestamp(stamp))


def test_position_refuses_a_stamp_without_a_zone() -> None:
    with pytest.raises(DataError, match="2017-03-12 05:00:00 has no time zone"):
        homes().position(pd.Timestamp("2017-03-12 05:00"))


def test_window_takes_rows_from_its_start() -> None:
    part = homes().window(pd.Timestamp("2017-03-12 03:00", tz=ZONE), 4)
    assert part.load_kw[:, 0].tolist() == [20.0, 30.0, 40.0, 50.0]
    assert part.temperature_c.tolist() == [-8.0, -7.0, -6.0, -5.0]
    assert part.index[0] == pd.Timestamp("2017-03-12T03:00:00-07:00")
    assert part.pv_kwp.tolist() == [4.0, 5.0, 6.0]


@pytest.mark.parametrize("n_steps", [0, 28])
def test_window_must_fit(n_steps: int) -> None:
    with pytest.raises(DataError, match=f"{n_steps} steps of 3600 s from 2017-03-12T04:00:00-07:00 do not fit"):
        homes().window(pd.Timestamp("2017-03-12 04:00", tz=ZONE), n_steps)


@pytest.mark.parametrize("step_s", [1800, 900, 300])
def test_finer_steps_conserve_energy(step_s: int) -> None:
    hourly, fine = homes(), homes().resampled(step_s)
    parts = 3600 // step_s
    assert len(fine.index) == STEPS * parts
    assert fine.index[1] - fine.index[0] == pd.Timedelta(seconds=step_s)
    assert fine.load_kw.sum(axis=0) * step_s == pytest.approx(hourly.load_kw.sum(axis=0) * 3600, rel=1e-14)
    assert fine.pv_kw_per_kwp[parts : 2 * parts, 2].tolist() == [0.012] * parts
    assert fine.tariff_eur_per_kwh[: parts + 1].tolist() == [0.0] * parts + [0.1]
    assert fine.window(pd.Timestamp("2017-03-12T03:00:00-07:00"), 1).load_kw[0, 0] == 20.0


def test_same_step_is_the_same_data() -> None:
    data = homes()
    assert data.resampled(3600) is data


@pytest.mark.parametrize("step_s", [7200, 1000, 0, -900])
def test_other_steps_are_refused(step_s: int) -> None:
    with pytest.raises(DataError, match=f"3600 s cannot be put on a step of {step_s} s: it must divide it"):
        homes().resampled(step_s)


def test_series_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        homes().load_kw[0, 0] = 1.0


def test_survives_pickling() -> None:
    assert np.array_equal(pickle.loads(pickle.dumps(homes())).load_kw, homes().load_kw)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("load_kw", np.zeros((STEPS, 2)), r"load_kw has shape \(30, 2\), expected \(30, 3\)"),
        ("ghi_w_m2", np.zeros(29), r"ghi_w_m2 has shape \(29,\), expected \(30,\)"),
        ("battery_kw", np.array([1.0, -2.0, 3.0]), "battery_kw is negative: lowest value -2"),
        ("temperature_c", np.full(STEPS, np.nan), "temperature_c has 30 values that are not finite"),
        ("step_s", 900, "the index is not spaced by 900 s: 3600 s after 2017-03-12T00:00:00-08:00"),
    ],
)
def test_what_does_not_fit_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(homes(), **{field: value})


def test_index_needs_a_zone_and_no_gap() -> None:
    data = homes()
    with pytest.raises(DataError, match="no time zone"):
        replace(data, index=data.index.tz_localize(None))
    gap = data.index[:5].append(data.index[6:]).append(data.index[-1:] + pd.Timedelta(hours=1))
    with pytest.raises(DataError, match="not spaced by 3600 s: 7200 s after 2017-03-12T05:00:00-07:00"):
        replace(data, index=gap)
    with pytest.raises(DataError, match="at least one step"):
        replace(data, index=data.index[:0])
