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
