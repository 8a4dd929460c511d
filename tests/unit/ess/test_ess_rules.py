"""Rules, actions and the observation's checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.actions import ACTION_COUNT, FOLLOW, POWER_SHARES, powers
from vpp_sim.ess.protocol import StorageObservation, horizon_steps
from vpp_sim.ess.rules import Idle, SelfConsumption


@pytest.fixture
def fleet() -> BatteryFleet:
    return BatteryFleet.uniform(4, 6.4, 5.0, 0.81)


@pytest.fixture
def seen() -> StorageObservation:
    net_kw = np.repeat(np.array([[-2.0], [1.5], [-9.0], [9.0]]), 24, axis=1)
    price = np.full(24, 0.3)
    return StorageObservation(np.array([3.2, 3.2, 0.0, 6.4]), net_kw, price, price, 12.0, 1.0)


def test_idle_never_moves(fleet: BatteryFleet, seen: StorageObservation) -> None:
    charge, discharge = Idle.open(3600).act(fleet, seen)
    assert charge.tolist() == discharge.tolist() == [0.0] * 4


def test_self_consumption_brings_the_meter_to_zero_as_far_as_it_can(
    fleet: BatteryFleet, seen: StorageObservation
) -> None:
    charge, discharge = SelfConsumption.open(3600).act(fleet, seen)
    assert charge.tolist() == [2.0, 0.0, 5.0, 0.0]
    assert discharge.tolist() == [0.0, 1.5, 0.0, 5.0]


def test_actions_mean_shares_of_power_but_for_follow() -> None:
    fleet = BatteryFleet.uniform(ACTION_COUNT, 100.0, 4.0, 1.0)
    half = np.full(ACTION_COUNT, 50.0)
    charge, discharge = powers(fleet, half, np.full(ACTION_COUNT, 1.7), np.arange(ACTION_COUNT), 1.0)
    wanted = 4.0 * np.array(POWER_SHARES)
    wanted[FOLLOW] = -1.7
    np.testing.assert_allclose(charge - discharge, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"soc_kwh": np.zeros(3)}, r"soc_kwh has shape \(3,\), expected \(4,\)"),
        ({"net_kw": np.zeros((4, 23))}, r"net_kw has shape \(4, 23\), expected \(4, 24\)"),
        ({"sell_eur_per_kwh": np.full(24, np.nan)}, "sell_eur_per_kwh has 24 values that are not finite"),
        ({"hour": 24.0}, r"hour is 24, expected \[0, 24\)"),
        ({"step_h": 0.7}, "step of 0.7 h: an hour must be a whole number of steps"),
    ],
)
def test_an_observation_that_does_not_fit_is_refused(
    fleet: BatteryFleet, seen: StorageObservation, change: dict[str, object], message: str
) -> None:
    with pytest.raises(PhysicsError, match=message):
        SelfConsumption.open(3600).act(fleet, replace(seen, **change))


def test_a_day_has_as_many_steps_as_it_has() -> None:
    assert [horizon_steps(h) for h in (1.0, 0.5, 0.25, 1 / 60)] == [24, 48, 96, 1440]
    with pytest.raises(PhysicsError, match="step of 2 h"):
        horizon_steps(2.0)
