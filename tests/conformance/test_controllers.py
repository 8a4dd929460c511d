"""What every storage controller owes: feasible powers of the right shape, and nothing but its inputs to depend on."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet, advance, project
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.policy import PolicyController
from vpp_sim.ess.protocol import AskingController, Controller, StorageObservation, horizon_steps
from vpp_sim.ess.rules import SelfConsumption
from vpp_sim.registry import CONTROLLERS

N = 9


def _fleet() -> BatteryFleet:
    rng = np.random.default_rng(1)
    one_way = rng.uniform(0.85, 1.0, N)
    capacity, power = rng.uniform(2, 14, N), rng.uniform(1, 7, N)
    capacity[0] = power[1] = 0.0
    return BatteryFleet(capacity, power, one_way, one_way.copy(), np.full(N, 0.05), np.full(N, 0.95))


def _observation(fleet: BatteryFleet, seed: int, step_h: float) -> StorageObservation:
    rng = np.random.default_rng(seed)
    steps = horizon_steps(step_h)
    level = np.clip(rng.uniform(-0.3, 1.3, N), 0.0, 1.0)
    buy = rng.uniform(0.05, 0.6, steps)
    return StorageObservation(
        soc_kwh=fleet.min_kwh + level * (fleet.max_kwh - fleet.min_kwh),
        net_kw=rng.normal(0.3, 2.0, (N, steps)),
        buy_eur_per_kwh=buy,
        sell_eur_per_kwh=buy * rng.uniform(0.0, 1.0, steps),
        hour=float(rng.integers(24)),
        step_h=step_h,
    )


def _rows(fleet: BatteryFleet, seen: StorageObservation, rows: list[int]) -> tuple[BatteryFleet, StorageObservation]:
    part = BatteryFleet(*(getattr(fleet, field.name)[rows] for field in fields(fleet)))
    return part, replace(seen, soc_kwh=seen.soc_kwh[rows], net_kw=seen.net_kw[rows])


@pytest.mark.parametrize("name", CONTROLLERS.names)
class TestController:
    """Conformance of one controller."""

    @pytest.fixture
    def controller(self, name: str) -> Controller:
        return CONTROLLERS.load(name).open(step_s=3600)

    def test_only_perfect_foresight_needs_the_truth(self, name: str, controller: Controller) -> None:
        assert controller.needs_truth is (name == "perfect_foresight")

    @pytest.mark.parametrize("step_h", [1.0, 0.25])
    def test_powers_are_feasible_in_random_states(self, controller: Controller, step_h: float) -> None:
        fleet = _fleet()
        for seed in range(12):
            seen = _observation(fleet, seed, step_h)
            charge, discharge = controller.act(fleet, seen)
            assert charge.shape == discharge.shape == (N,)
            assert charge.dtype == discharge.dtype == np.float64
            again = project(fleet, seen.soc_kwh, charge, discharge, step_h)
            np.testing.assert_allclose(again, (charge, discharge), atol=1e-12)
            advance(fleet, seen.soc_kwh, charge, discharge, step_h)

    @pytest.mark.parametrize("hybrid", [False, True])
    def test_powers_are_feasible_with_self_discharge_and_inverters(self, controller: Controller, hybrid: bool) -> None:
        fleet = replace(
            _fleet(),
            self_discharge_per_month=np.linspace(0.0, 0.9, N),
            inverter_kw=np.where(np.arange(N) % 3, 2.0, np.inf),
            hybrid=np.full(N, hybrid),
        )
        for seed in range(6):
            seen = _observation(fleet, seed, 1.0)
            low = np.where(np.arange(N) % 4 == 1, 0.5, 1.0)  # some sank below their window
            seen = replace(seen, soc_kwh=np.where(low < 1, low * fleet.min_kwh, seen.soc_kwh))
            charge, discharge = controller.act(fleet, seen)
            assert (np.maximum(charge, discharge) <= fleet.limit_kw).all()
            advance(fleet, seen.soc_kwh, charge, discharge, 1.0)

    def test_what_is_asked_for_becomes_what_is_done(self, controller: Controller) -> None:
        if not isinstance(controller, AskingController):
            return
        fleet, cut = _fleet(), 0
        for seed in range(6):
            seen = _observation(fleet, seed, 0.25)
            asked, done = controller.ask(fleet, seen), controller.act(fleet, seen)
            np.testing.assert_array_equal(project(fleet, seen.soc_kwh, *asked, 0.25), done)
            cut += int((np.abs(np.subtract(*asked) - np.subtract(*done)) > 1e-6).sum())
        assert cut or not isinstance(controller, SelfConsumption | PolicyController)

    def test_inputs_are_left_as_they_were(self, controller: Controller) -> None:
        fleet = _fleet()
        seen = _observation(fleet, 3, 1.0)
        kept = {field.name: np.copy(getattr(seen, field.name)) for field in fields(seen)}
        for field in fields(seen):
            if isinstance(getattr(seen, field.name), np.ndarray):
                getattr(seen, field.name).flags.writeable = False
        controller.act(fleet, seen)
        for key, value in kept.items():
            np.testing.assert_array_equal(getattr(seen, key), value)

    def test_same_observation_same_powers(self, name: str, controller: Controller) -> None:
        fleet = _fleet()
        seen = _observation(fleet, 4, 1.0)
        other = CONTROLLERS.load(name).open(step_s=3600)
        first = controller.act(fleet, seen)
        controller.act(fleet, _observation(fleet, 5, 1.0))  # no memory of what was in between
        np.testing.assert_array_equal(first, controller.act(fleet, seen))
        np.testing.assert_array_equal(first, other.act(fleet, seen))

    def test_a_battery_is_run_alike_in_any_company(self, name: str, controller: Controller) -> None:
        fleet = _fleet()
        seen = _observation(fleet, 6, 1.0)
        whole = np.array(controller.act(fleet, seen))
        exact = name != "perfect_foresight"  # one programme over all: equal up to the solver's tolerance
        for rows in ([0], [7], [2, 3, 4], [8, 1, 5, 0]):
            part = np.array(controller.act(*_rows(fleet, seen, rows)))
            np.testing.assert_allclose(part, whole[:, rows], rtol=0.0, atol=0.0 if exact else 1e-6)

    def test_no_battery_at_all_is_fine(self, controller: Controller) -> None:
        fleet = BatteryFleet.uniform(2, 0.0, 0.0, 0.9)
        price = np.full(24, 0.3)
        seen = StorageObservation(np.zeros(2), np.ones((2, 24)), price, 0.1 * price, 8.0, 1.0)
        np.testing.assert_allclose(controller.act(fleet, seen), 0.0, atol=1e-9)

    def test_an_observation_of_another_fleet_is_refused(self, controller: Controller) -> None:
        fleet = _fleet()
        with pytest.raises(PhysicsError, match=r"soc_kwh has shape \(9,\), expected \(2,\)"):
            controller.act(BatteryFleet.uniform(2, 1.0, 1.0, 0.9), _observation(fleet, 0, 1.0))
