"""The plan without a solver against linear programmes solved by HiGHS: its cost, its first step, and its choices."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
from scipy.optimize import linprog

from vpp_sim.devices.battery import BatteryFleet, advance
from vpp_sim.ess.mpc import ModelPredictiveControl, first_gain_kwh
from vpp_sim.ess.perfect_foresight import optimal_schedule
from vpp_sim.ess.protocol import StorageObservation


class Programme:
    """One battery's plan as a linear programme in charge, discharge, import and export, solved by SciPy's HiGHS."""

    def __init__(self, fleet: BatteryFleet, i: int, buy: np.ndarray, sell: np.ndarray, step_h: float, worth: float):
        self.low, self.high, self.power = fleet.min_kwh[i], fleet.max_kwh[i], fleet.power_kw[i]
        self.gain, self.drain = step_h * fleet.charge_efficiency[i], step_h / fleet.discharge_efficiency[i]
        steps = len(buy)
        eye, zero, below = np.eye(steps), np.zeros((steps, steps)), np.tril(np.ones((steps, steps)))
        self.stored = np.hstack([self.gain * below, -self.drain * below, zero, zero])
        self.balance = np.hstack([-eye, eye, eye, -eye])
        self.worth = worth
        self.cost = np.concatenate([np.zeros(2 * steps), buy * step_h, -sell * step_h]) - worth * self.stored[-1]

    def solve(self, soc: float, net: np.ndarray, goal: np.ndarray | None = None, most: float = np.inf) -> float:
        """Return the least cost, or the least `goal` among plans that cost at most `most`."""
        steps = len(net)
        answer = linprog(
            self.cost if goal is None else goal,
            A_ub=np.vstack([self.stored, -self.stored, self.cost]),
            b_ub=np.concatenate(
                [np.full(steps, self.high - soc), np.full(steps, soc - self.low), [min(most + self.worth * soc, 1e6)]]
            ),
            A_eq=self.balance,
            b_eq=net,
            bounds=[(0, self.power)] * (2 * steps) + [(0, None)] * (2 * steps),
        )
        assert answer.success, answer.message
        return float(answer.fun) - (self.worth * soc if goal is None else 0.0)

    def first_gains(self, soc: float, net: np.ndarray) -> tuple[float, float]:
        """Return the least and the greatest first gain of all plans that cost the least, to 1e-9 EUR."""
        goal = np.zeros(4 * len(net))
        goal[0], goal[len(net)] = self.gain, -self.drain
        most = self.solve(soc, net) + 1e-9
        return self.solve(soc, net, goal, most), -self.solve(soc, net, -goal, most)


def _case(seed: int) -> tuple[BatteryFleet, np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, np.ndarray]:
    """Return a random fleet, states, net loads, prices, step and worth; odd seeds have few prices, so many ties."""
    rng = np.random.default_rng(seed)
    n, steps, step_h = 4, int(rng.integers(1, 25)), [0.25, 0.5, 1.0][seed % 3]
    ways = rng.uniform(0.8, 1.0, (2, n))
    capacity, power = rng.uniform(0.5, 10, n), rng.uniform(0.5, 5, n)
    capacity[0], power[1] = (0.0, power[1]) if seed % 5 else (capacity[0], 0.0)
    fleet = BatteryFleet(capacity, power, ways[0], ways[1], np.full(n, 0.1), np.full(n, 0.9))
    if seed % 4 == 0:
        fleet = BatteryFleet.uniform(n, 6.0, 2.0, 1.0)
    net, buy = rng.normal(0.3, 2.0, (n, steps)), rng.uniform(0.1, 0.6, steps)
    sell = buy * rng.uniform(0.0, 1.0, steps)
    if seed % 2:
        net, buy = np.round(net), np.round(buy, 1)
        sell = np.minimum(np.round(sell, 1), buy) * rng.integers(2)
    soc = fleet.min_kwh + rng.choice([0.0, 0.3, rng.random(), 1.0], n) * (fleet.max_kwh - fleet.min_kwh)
    return fleet, soc, net, buy, sell, step_h, rng.choice([0.0, 0.1, 0.3, 0.5], n)


def _powers(fleet: BatteryFleet, gain: np.ndarray, step_h: float) -> np.ndarray:
    charge = np.maximum(gain, 0.0) / (fleet.charge_efficiency * step_h)
    return np.array(charge - np.maximum(-gain, 0.0) * fleet.discharge_efficiency / step_h)


def _cost(grid_kw: np.ndarray, buy: float, sell: float, step_h: float) -> np.ndarray:
    return np.array((buy * np.maximum(grid_kw, 0.0) - sell * np.maximum(-grid_kw, 0.0)) * step_h)


@pytest.mark.parametrize("seed", range(30))
def test_the_first_step_begins_an_optimum_of_the_linear_programme(seed: int) -> None:
    fleet, soc, net, buy, sell, step_h, worth = _case(seed)
    gain = first_gain_kwh(fleet, soc, net, buy, sell, step_h=step_h, end_worth_eur_per_kwh=worth)
    power = _powers(fleet, gain, step_h)
    assert (np.abs(power) <= fleet.power_kw + 1e-9).all()
    first = _cost(net[:, 0] + power, buy[0], sell[0], step_h)
    after = np.clip(soc + gain, fleet.min_kwh, fleet.max_kwh)
    np.testing.assert_allclose(after, soc + gain, atol=1e-12)
    for i in range(len(fleet)):
        best = Programme(fleet, i, buy, sell, step_h, worth[i]).solve(soc[i], net[i])
        rest = -worth[i] * after[i]
        if len(buy) > 1:
            rest = Programme(fleet, i, buy[1:], sell[1:], step_h, worth[i]).solve(after[i], net[i, 1:])
        assert first[i] + rest == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize("seed", [1, 3, 7, 9, 13, 19])
def test_of_equal_plans_it_takes_the_one_whose_meter_is_nearest_zero_now(seed: int) -> None:
    fleet, soc, net, buy, sell, step_h, worth = _case(seed)
    sell = np.maximum(sell, 0.05)  # so that no energy can be moved at no cost, and only the order is free
    gain = first_gain_kwh(fleet, soc, net, buy, sell, step_h=step_h, end_worth_eur_per_kwh=worth)
    for i in range(len(fleet)):
        least, most = Programme(fleet, i, buy, sell, step_h, worth[i]).first_gains(soc[i], net[i])
        now = net[i, 0] * step_h
        wanted = -now * fleet.charge_efficiency[i] if now < 0 else -now / fleet.discharge_efficiency[i]
        assert gain[i] == pytest.approx(np.clip(wanted, least, most), abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_step_by_step_it_pays_what_the_compiled_programme_pays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, steps, step_h = 5, 48, [0.25, 1.0][seed % 2]
    one_way = rng.uniform(0.8, 0.99, n)
    fleet = BatteryFleet(
        rng.uniform(2, 10, n), rng.uniform(1, 5, n), one_way, one_way**0.7, np.full(n, 0.1), np.ones(n)
    )
    net, buy = rng.normal(0.3, 2.0, (n, steps)), rng.uniform(0.1, 0.6, steps)
    sell = buy * rng.uniform(0.0, 1.0, steps)
    best = optimal_schedule(fleet, fleet.min_kwh, net, buy, sell, step_h=step_h, end_kwh=fleet.min_kwh)
    soc, paid = fleet.min_kwh, np.zeros(n)
    for t in range(steps):
        left = slice(t, None)
        gain = first_gain_kwh(
            fleet, soc, net[:, left], buy[left], sell[left], step_h=step_h, end_worth_eur_per_kwh=np.zeros(n)
        )
        paid += _cost(net[:, t] + _powers(fleet, gain, step_h), buy[t], sell[t], step_h)
        soc = soc + gain
    np.testing.assert_allclose(paid, best.cost_eur, atol=1e-6)


def _act(fleet: BatteryFleet, soc: float, net: np.ndarray, buy: np.ndarray, sell: np.ndarray) -> float:
    """Return the power that one battery takes, charging positive [kW]."""
    seen = StorageObservation(np.full(1, soc), net[None], buy, sell, 0.0, 24.0 / len(buy))
    charge, discharge = ModelPredictiveControl.open(3600).act(fleet, seen)
    return float((charge - discharge)[0])


class TestTheController:
    fleet = BatteryFleet.uniform(1, 4.0, 3.0, 0.81)
    flat = np.full(24, 0.3)

    def test_surplus_that_earns_nothing_is_kept_though_the_window_never_needs_it(self) -> None:
        net = np.where(np.arange(24) < 1, -2.0, 0.0)
        assert _act(self.fleet, 0.0, net, self.flat, 0.0 * self.flat) == pytest.approx(2.0)

    def test_surplus_is_sold_where_that_earns_more_than_half_the_lowest_price_and_nobody_needs_it(self) -> None:
        """A kWh of surplus stores 0.9, worth 0.9 * 0.9 * 0.15 = 0.1215."""
        net = np.where(np.arange(24) < 1, -2.0, 0.0)
        assert _act(self.fleet, 0.0, net, self.flat, np.full(24, 0.1216)) == 0.0
        assert _act(self.fleet, 0.0, net, self.flat, np.full(24, 0.1214)) == pytest.approx(2.0)

    def test_nothing_is_bought_to_be_kept(self) -> None:
        assert _act(self.fleet, 0.0, np.zeros(24), np.r_[0.01, self.flat[1:]], 0.0 * self.flat) == 0.0

    def test_it_buys_for_a_dear_evening_what_the_sun_will_not_bring(self) -> None:
        """2 kWh due in the evening take 2.222 stored; the sun brings 0.9, so 1.322 / 0.9 = 1.469 are bought, at once
        because only now is cheap."""
        net, buy = np.zeros(24), self.flat.copy()
        net[10], net[19], buy[0], buy[19] = -1.0, 2.0, 0.1, 0.5
        assert _act(self.fleet, 0.0, net, buy, 0.0 * buy) == pytest.approx((2.0 / 0.9 - 0.9) / 0.9)

    def test_it_holds_energy_back_for_the_dearer_hour(self) -> None:
        net, buy = np.zeros(24), self.flat.copy()
        net[0], net[5], buy[5] = 1.0, 2.0, 0.6
        assert _act(self.fleet, 3.0, net, buy, 0.0 * buy) == pytest.approx(-(3.0 - 2.0 / 0.9) * 0.9)

    def test_among_equally_dear_hours_it_serves_the_present_one(self) -> None:
        assert _act(self.fleet, 1.0, np.ones(24), self.flat, 0.0 * self.flat) == pytest.approx(-0.9)

    def test_among_equally_sunny_hours_it_stores_the_present_one(self) -> None:
        net = np.where(np.arange(24) < 12, -1.0, 2.0)
        assert _act(self.fleet, 0.0, net, self.flat, 0.0 * self.flat) == pytest.approx(1.0)

    def test_among_equally_cheap_hours_it_leaves_buying_to_the_last(self) -> None:
        buy = np.where(np.arange(24) < 3, 0.1, 0.5)
        net = np.where(np.arange(24) < 3, 0.0, 2.0)
        assert _act(self.fleet, 0.0, net, buy, 0.0 * buy) == 0.0
        assert _act(self.fleet, 0.0, net[2:].repeat(2)[:24], buy[2:].repeat(2)[:24], np.zeros(24)) > 1.0

    def test_energy_is_not_moved_for_nothing(self) -> None:
        fleet, free = BatteryFleet.uniform(1, 4.0, 3.0, 1.0), np.zeros(24)
        assert _act(fleet, 2.0, np.ones(24), free, free) == 0.0

    def test_it_fills_up_where_buying_is_paid_for(self) -> None:
        buy = np.where(np.arange(24) < 1, -0.1, 0.3)
        assert _act(self.fleet, 0.0, np.ones(24), buy, np.minimum(buy, 0.0)) == pytest.approx(3.0)

    def test_selling_above_the_buying_price_is_planned_as_equal(self) -> None:
        rng = np.random.default_rng(0)
        net, buy = rng.normal(0.0, 2.0, 24), rng.uniform(0.1, 0.6, 24)
        assert _act(self.fleet, 2.0, net, buy, 2.0 * buy) == _act(self.fleet, 2.0, net, buy, buy)

    def test_a_state_outside_the_window_is_taken_to_its_end(self) -> None:
        fleet = BatteryFleet.uniform(1, 4.0, 3.0, 0.81, min_soc=0.25, max_soc=0.75)
        assert _act(fleet, 0.0, np.ones(24), self.flat, 0.0 * self.flat) == 0.0
        assert _act(fleet, 4.0, -np.ones(24), self.flat, 0.0 * self.flat) == 0.0


def test_batteries_stay_inside_their_windows_over_two_days_of_quarter_hours() -> None:
    rng = np.random.default_rng(5)
    n, day = 20, 96
    one_way = rng.uniform(0.85, 1.0, n)
    fleet = BatteryFleet(
        rng.uniform(0, 12, n), rng.uniform(0, 6, n), one_way, one_way.copy(), np.full(n, 0.05), np.full(n, 0.95)
    )
    net, buy = rng.normal(0.3, 2.0, (n, 3 * day)), np.round(rng.uniform(-0.05, 0.5, 3 * day), 2)
    soc, controller = fleet.min_kwh, ModelPredictiveControl.open(900)
    for t in range(2 * day):
        ahead = slice(t, t + day)
        seen = StorageObservation(soc, net[:, ahead], buy[ahead], 0.4 * buy[ahead], t % day / 4, 0.25)
        soc = advance(fleet, soc, *controller.act(fleet, seen), 0.25)
    assert ((fleet.min_kwh <= soc) & (soc <= fleet.max_kwh)).all()


@pytest.mark.perf
@pytest.mark.parametrize(("n", "budget_ms"), [(13, 1.0), (1000, 20.0)])
def test_it_acts_within_its_budget(n: int, budget_ms: float) -> None:
    rng = np.random.default_rng(0)
    fleet, buy = BatteryFleet.uniform(n, 6.4, 5.0, 0.9), rng.uniform(0.1, 0.5, 24)
    seen = StorageObservation(rng.uniform(0, 6.4, n), rng.normal(0.3, 1.5, (n, 24)), buy, 0.2 * buy, 9.0, 1.0)
    controller, spent_ms = ModelPredictiveControl.open(3600), []
    for _ in range(100):
        began = process_time()
        controller.act(fleet, seen)
        spent_ms.append(1e3 * (process_time() - began))
    print(f"\n{n} batteries: {min(spent_ms):.3f} ms, budget {budget_ms:g} ms")
    assert min(spent_ms) <= budget_ms
