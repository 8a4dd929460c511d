"""Batteries: projection, the energy balance, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet, advance, project
from vpp_sim.errors import PhysicsError


@pytest.fixture
def fleet() -> BatteryFleet:
    """Three batteries of 10 kWh and 5 kW, 0.9 each way, used between 10 % and 90 %."""
    return BatteryFleet.uniform(3, 10.0, 5.0, 0.81, min_soc=0.1, max_soc=0.9)


def test_round_trip_efficiency_is_split_evenly(fleet: BatteryFleet) -> None:
    np.testing.assert_allclose(fleet.charge_efficiency * fleet.discharge_efficiency, 0.81)
    assert fleet.min_kwh.tolist() == [1.0, 1.0, 1.0]
    assert fleet.max_kwh.tolist() == [9.0, 9.0, 9.0]


def test_project_cuts_to_power_and_to_what_the_window_leaves(fleet: BatteryFleet) -> None:
    soc = np.array([5.0, 8.55, 9.0])  # room of 4, 0.45 and 0 kWh: 4.44, 0.5 and 0 kW for an hour at 0.9
    charge, discharge = project(fleet, soc, np.full(3, 7.0), np.zeros(3), 1.0)
    np.testing.assert_allclose(charge, [4.0 / 0.9, 0.5, 0.0])
    assert discharge.tolist() == [0.0, 0.0, 0.0]
    charge, discharge = project(fleet, np.array([9.0, 2.0, 1.0]), np.zeros(3), np.full(3, 7.0), 1.0)
    np.testing.assert_allclose(discharge, [5.0, 0.9, 0.0])  # 1 kWh above the minimum gives 0.9 kWh
    assert charge.tolist() == [0.0, 0.0, 0.0]


def test_project_nets_both_directions(fleet: BatteryFleet) -> None:
    charge, discharge = project(fleet, np.full(3, 5.0), np.array([3.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0]), 0.25)
    assert charge.tolist() == [2.0, 0.0, 0.0]
    assert discharge.tolist() == [0.0, 2.0, 0.0]


def test_advance_balances_energy(fleet: BatteryFleet) -> None:
    end = advance(fleet, np.full(3, 5.0), np.array([4.0, 0.0, 0.0]), np.array([0.0, 1.8, 0.0]), 0.5)
    np.testing.assert_allclose(end, [5.0 + 0.9 * 4.0 * 0.5, 5.0 - 1.8 * 0.5 / 0.9, 5.0])


def test_a_battery_outside_its_window_is_left_alone_by_projection(fleet: BatteryFleet) -> None:
    charge, discharge = project(fleet, np.array([0.5, 9.5, 5.0]), np.zeros(3), np.zeros(3), 1.0)
    assert charge.tolist() == discharge.tolist() == [0.0, 0.0, 0.0]


def test_no_capacity_means_no_power() -> None:
    none = BatteryFleet.uniform(1, 0.0, 5.0, 0.9)
    charge, discharge = project(none, np.zeros(1), np.ones(1), np.zeros(1), 1.0)
    assert (charge[0], discharge[0]) == (0.0, 0.0)
    assert advance(none, np.zeros(1), charge, discharge, 1.0)[0] == 0.0


@pytest.mark.parametrize(
    ("charge", "discharge", "message"),
    [
        ([0.0, 6.0, 0.0], [0.0, 0.0, 0.0], "battery 1 charges at 6 kW, above its limit of 5 kW"),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 5.1], "battery 2 discharges at 5.1 kW, above its limit of 5 kW"),
        ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], "battery 0 charges and discharges at once"),
        ([5.0, 0.0, 0.0], [0.0, 0.0, 0.0], r"battery 0 would hold 9.5 kWh, outside \[1, 9\] kWh"),
        ([0.0, 0.0, 0.0], [0.0, 4.5, 0.0], r"battery 1 would hold 0 kWh, outside \[1, 9\] kWh"),
        ([-1.0, 0.0, 0.0], [0.0, 0.0, 0.0], "charge_kw is negative: lowest value -1"),
        ([0.0, 0.0, 0.0], [np.nan, 0.0, 0.0], "discharge_kw has 1 values that are not finite"),
    ],
)
def test_advance_refuses(fleet: BatteryFleet, charge: list[float], discharge: list[float], message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        advance(fleet, np.full(3, 5.0), np.array(charge), np.array(discharge), 1.0)


def test_shapes_and_step_are_checked(fleet: BatteryFleet) -> None:
    with pytest.raises(PhysicsError, match=r"charge_kw has shape \(2,\), expected \(3,\)"):
        project(fleet, np.full(3, 5.0), np.zeros(2), np.zeros(3), 1.0)
    with pytest.raises(PhysicsError, match="step_h is 0, expected a positive length"):
        project(fleet, np.full(3, 5.0), np.zeros(3), np.zeros(3), 0.0)


@pytest.mark.parametrize(
    ("efficiency", "window", "message"),
    [
        (0.0, (0.0, 1.0), r"round-trip efficiency 0 must lie in \(0, 1\]"),
        (1.2, (0.0, 1.0), r"round-trip efficiency 1.2 must lie in \(0, 1\]"),
        (0.9, (0.6, 0.5), "state of charge window must satisfy 0 <= min_soc <= max_soc <= 1"),
        (0.9, (0.0, 1.1), "state of charge window must satisfy 0 <= min_soc <= max_soc <= 1"),
    ],
)
def test_a_fleet_out_of_range_is_refused(efficiency: float, window: tuple[float, float], message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        BatteryFleet.uniform(2, 10.0, 5.0, efficiency, min_soc=window[0], max_soc=window[1])


def test_a_battery_at_rest_loses_its_share_a_month_whatever_the_step() -> None:
    """3 % of 10 kWh in 730 h, by hand 9.7 kWh; as a year of 8,760 h, 10 * 0.97**12 = 6.938 kWh."""
    fleet = BatteryFleet.uniform(1, 10.0, 5.0, 0.9, self_discharge_per_month=0.03)
    nothing = np.zeros(1)
    assert advance(fleet, np.array([10.0]), nothing, nothing, 730.0)[0] == pytest.approx(9.7, abs=1e-12)
    for step_h in (1.0, 0.25):
        soc = np.array([10.0])
        for _ in range(round(730 / step_h)):
            soc = advance(fleet, soc, nothing, nothing, step_h)
        assert soc[0] == pytest.approx(9.7, abs=1e-9)
    assert advance(fleet, np.array([10.0]), nothing, nothing, 8760.0)[0] == pytest.approx(6.938, abs=1e-3)


def test_what_a_step_adds_does_not_decay_in_it() -> None:
    fleet = BatteryFleet.uniform(1, 10.0, 5.0, 0.81, self_discharge_per_month=0.5)
    end = advance(fleet, np.array([4.0]), np.array([2.0]), np.zeros(1), 730.0 / 365)
    assert end[0] == pytest.approx(4.0 * 0.5 ** (1 / 365) + 0.9 * 2.0 * 2.0, abs=1e-12)


def test_self_discharge_leaves_room_and_takes_stock() -> None:
    """Of 8 kWh half is lost in a month of one step: 4 kWh of room in 8, and 2 kWh above a minimum of 2."""
    fleet = BatteryFleet.uniform(1, 10.0, 5.0, 1.0, min_soc=0.2, max_soc=0.8, self_discharge_per_month=0.5)
    charge, _ = project(fleet, np.array([8.0]), np.array([5.0]), np.zeros(1), 730.0)
    assert charge[0] * 730.0 == pytest.approx(4.0)
    _, discharge = project(fleet, np.array([8.0]), np.zeros(1), np.array([5.0]), 730.0)
    assert discharge[0] * 730.0 == pytest.approx(2.0)


def test_self_discharge_alone_may_leave_the_window_downwards_and_an_action_may_not() -> None:
    fleet = BatteryFleet.uniform(1, 10.0, 5.0, 1.0, min_soc=0.2, self_discharge_per_month=0.5)
    nothing, soc = np.zeros(1), np.array([2.0])
    sunk = advance(fleet, soc, nothing, nothing, 730.0)
    assert sunk[0] == pytest.approx(1.0)
    assert project(fleet, sunk, nothing, np.array([5.0]), 1.0)[1][0] == 0.0
    with pytest.raises(PhysicsError, match=r"battery 0 would hold .* kWh, outside \[2, 10\] kWh"):
        advance(fleet, sunk, nothing, np.array([0.1]), 1.0)
    charge, _ = project(fleet, sunk, np.array([0.5]), nothing, 1.0)
    assert advance(fleet, sunk, charge, nothing, 1.0)[0] == pytest.approx(0.5 ** (1 / 730) + 0.5)


def test_without_self_discharge_the_window_is_never_left(fleet: BatteryFleet) -> None:
    with pytest.raises(PhysicsError, match=r"battery 0 would hold 0.5 kWh, outside \[1, 9\] kWh"):
        advance(fleet, np.full(3, 0.5), np.zeros(3), np.zeros(3), 1.0)


def test_an_inverter_of_its_own_cuts_both_directions() -> None:
    fleet = BatteryFleet.uniform(2, 10.0, 5.0, 1.0, inverter_kw=3.0)
    pv = np.array([2.0, 2.0])
    charge, discharge = project(fleet, np.full(2, 5.0), np.array([9.0, 0.0]), np.array([0.0, 9.0]), 0.5, pv_kw=pv)
    assert (charge.tolist(), discharge.tolist()) == ([3.0, 0.0], [0.0, 3.0])
    with pytest.raises(PhysicsError, match=r"battery 0 charges at 3\.5 kW, above its limit of 3 kW"):
        advance(fleet, np.full(2, 5.0), np.array([3.5, 0.0]), np.zeros(2), 0.5, pv_kw=pv)


def test_a_hybrid_inverter_carries_the_sun_too() -> None:
    """Of 4 kW the sun takes 0, 3, 6 kW: 4, 1, 0 kW are left to discharge; its own 5 kW may be charged with sun."""
    fleet = BatteryFleet.uniform(3, 10.0, 5.0, 1.0, inverter_kw=4.0, hybrid=True)
    soc, asked, nothing, pv = np.full(3, 5.0), np.full(3, 9.0), np.zeros(3), np.array([0.0, 3.0, 6.0])
    assert project(fleet, soc, nothing, asked, 0.25, pv_kw=pv)[1].tolist() == [4.0, 1.0, 0.0]
    charge, _ = project(fleet, soc, asked, nothing, 0.25, pv_kw=pv)
    assert charge.tolist() == [4.0, 5.0, 5.0]
    advance(fleet, soc, charge, nothing, 0.25, pv_kw=pv)
    with pytest.raises(PhysicsError, match="battery 1 discharges at 2 kW, above its limit of 1 kW"):
        advance(fleet, soc, nothing, np.full(3, 2.0), 0.25, pv_kw=pv)
    # where the sun is not told, what is granted holds whatever it does to charging
    assert project(fleet, soc, asked, nothing, 0.25)[0].tolist() == [4.0, 4.0, 4.0]


def test_what_is_not_given_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    n = 200
    six = (rng.random(n) * 9, rng.random(n) * 5, *rng.uniform(0.8, 1, (2, n)), np.full(n, 0.1), np.full(n, 0.9))
    bare, full = BatteryFleet(*six), BatteryFleet(*six, np.zeros(n), np.full(n, np.inf), np.zeros(n, dtype=np.bool_))
    soc = bare.min_kwh + rng.random(n) * (bare.max_kwh - bare.min_kwh)
    asked = rng.random((2, n)) * 9
    ends = []
    for fleet in (bare, full):
        powers = project(fleet, soc, *asked, 0.25, pv_kw=rng.random(n))
        ends.append(np.stack([*powers, advance(fleet, soc, *powers, 0.25)]))
    assert ends[0].tobytes() == ends[1].tobytes()
    assert bare.limit_kw.tobytes() == bare.power_kw.tobytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"self_discharge_per_month": 1.0}, r"self_discharge_per_month must lie in \[0, 1\)"),
        ({"self_discharge_per_month": -0.1}, "self_discharge_per_month is negative: lowest value -0.1"),
        ({"inverter_kw": -1.0}, "inverter_kw is negative: lowest value -1"),
        ({"inverter_kw": np.nan}, "inverter_kw must not be NaN"),
    ],
)
def test_losses_and_inverters_out_of_range_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        BatteryFleet.uniform(2, 10.0, 5.0, 0.9, **change)


def test_sun_is_checked() -> None:
    fleet = BatteryFleet.uniform(2, 10.0, 5.0, 0.9)
    with pytest.raises(PhysicsError, match="pv_kw is negative: lowest value -1"):
        project(fleet, np.ones(2), np.ones(2), np.zeros(2), 1.0, pv_kw=np.array([1.0, -1.0]))
