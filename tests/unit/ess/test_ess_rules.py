"""Rules, actions and the observation's checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.actions import ACTION_COUNT, FOLLOW, POWER_SHARES, powers
from vpp_sim.ess.protocol import StorageObservation, horizon_steps
from vpp_sim.ess.rules import Idle, PriceRule, SelfConsumption


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


class TestPriceRule:
    """0.9 each way; hours 0 to 2 are cheap, 20 to 22 dear."""

    fleet = BatteryFleet.uniform(1, 4.0, 3.0, 0.81)
    buy = np.r_[np.full(3, 0.1), np.full(17, 0.3), np.full(3, 0.6), 0.3]
    rule = PriceRule(cheap_h=3, dear_h=3)

    def power(self, soc: float, net: np.ndarray, sell: np.ndarray, first: int = 0) -> float:
        turned = (np.roll(values, -first) for values in (net, self.buy, sell))
        net, buy, sell = turned
        charge, discharge = self.rule.act(
            self.fleet, StorageObservation(np.full(1, soc), net[None], buy, sell, float(first), 1.0)
        )
        return float((charge - discharge)[0])

    def test_a_market_is_bought_from_when_cheap_and_sold_to_when_dear(self) -> None:
        nothing = np.zeros(24)
        assert self.power(0.0, nothing, self.buy) == 3.0
        assert self.power(3.5, nothing, self.buy) == pytest.approx(0.5 / 0.9)
        assert self.power(4.0, nothing, self.buy, first=20) == pytest.approx(-3.0)
        assert self.power(2.0, nothing, self.buy, first=10) == 0.0

    def test_where_selling_pays_nothing_only_the_homes_need_is_bought(self) -> None:
        """1.8 kWh due in dear hours take 2 stored; the sun brings 0.9 of its kWh, so 1.1 / 0.9 are bought."""
        net = np.zeros(24)
        net[21], net[12] = 1.8, -1.0
        assert self.power(0.0, net, np.zeros(24)) == pytest.approx(1.1 / 0.9)
        assert self.power(4.0, net, np.zeros(24), first=20) == 0.0  # nothing is due in this hour, and none is sold

    def test_its_own_home_comes_first(self) -> None:
        assert self.power(2.0, np.full(24, 1.0), 0.1 * self.buy, first=10) == pytest.approx(-1.0)
        assert self.power(2.0, np.full(24, -1.0), 0.1 * self.buy, first=10) == pytest.approx(1.0)

    def test_in_a_cheap_hour_it_keeps_what_dear_ones_need(self) -> None:
        """Two dear hours of 0.9 kWh take 2 kWh; of 3 stored, one is free and covers 0.9 of the present deficit."""
        net = np.zeros(24)
        net[[20, 21]], net[0] = 0.9, 2.0
        assert self.power(3.0, net, np.zeros(24)) == pytest.approx(-0.9)

    def test_thresholds_are_hours_at_any_step(self) -> None:
        quarters = StorageObservation(
            np.zeros(1), np.zeros((1, 96)), np.repeat(self.buy, 4), np.repeat(self.buy, 4), 0.0, 0.25
        )
        assert self.rule.act(self.fleet, quarters)[0][0] == 3.0
