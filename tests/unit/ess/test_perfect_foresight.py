"""The linear programme against another one, written out and solved by SciPy, and its terminal rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from vpp_sim.devices.battery import BatteryFleet, advance
from vpp_sim.errors import PhysicsError, SolveError
from vpp_sim.ess.perfect_foresight import PerfectForesight, optimal_schedule
from vpp_sim.ess.protocol import StorageObservation


def _independent_cost_eur(
    fleet: BatteryFleet,
    i: int,
    soc: float,
    net: np.ndarray,
    buy: np.ndarray,
    sell: np.ndarray,
    step_h: float,
    end: float,
) -> float:
    """Return the optimum with import and export spelled out: variables charge, discharge, import, export."""
    steps = len(net)
    eye, zero, below = np.eye(steps), np.zeros((steps, steps)), np.tril(np.ones((steps, steps)))
    gain, drain = step_h * fleet.charge_efficiency[i] * below, -step_h / fleet.discharge_efficiency[i] * below
    kept = fleet.kept_share(step_h)[i] ** np.maximum(np.subtract.outer(np.arange(steps), np.arange(steps)), 0)
    stored = np.hstack([gain * kept, drain * kept, zero, zero])
    rest = soc * fleet.kept_share(step_h)[i] ** np.arange(1, steps + 1)
    floor = np.full(steps, fleet.min_kwh[i])
    floor[-1] = max(end, floor[-1])
    answer = linprog(
        np.concatenate([np.zeros(2 * steps), buy * step_h, -sell * step_h]),
        A_ub=np.vstack([stored, -stored]),
        b_ub=np.concatenate([fleet.max_kwh[i] - rest, rest - floor]),
        A_eq=np.hstack([-eye, eye, eye, -eye]),
        b_eq=net,
        bounds=[(0, min(fleet.power_kw[i], fleet.inverter_kw[i]))] * (2 * steps) + [(0, None)] * (2 * steps),
    )
    assert answer.success
    return float(answer.fun)


@pytest.mark.parametrize("seed", range(6))
def test_it_agrees_with_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, steps, step_h = 3, 30, [0.25, 1.0][seed % 2]
    one_way = rng.uniform(0.8, 1.0, n)
    fleet = BatteryFleet(
        rng.uniform(1, 10, n), rng.uniform(1, 5, n), one_way, one_way**0.7, np.full(n, 0.1), np.full(n, 0.95)
    )
    soc = fleet.min_kwh + rng.random(n) * (fleet.max_kwh - fleet.min_kwh)
    net, buy = rng.normal(0.3, 2.0, (n, steps)), rng.uniform(0.1, 0.6, steps)
    sell = buy * rng.uniform(0.0, 1.0, steps)
    best = optimal_schedule(fleet, soc, net, buy, sell, step_h=step_h, end_kwh=soc)
    for i in range(n):
        other = _independent_cost_eur(fleet, i, soc[i], net[i], buy, sell, step_h, soc[i])
        assert best.cost_eur[i] == pytest.approx(other, abs=1e-6)
    stored = soc.copy()
    for t in range(steps):  # the schedule is one that batteries can follow, up to the solver's feasibility
        charge, discharge = np.minimum(best.charge_kw[:, t], fleet.power_kw), best.discharge_kw[:, t]
        gained = fleet.charge_efficiency * charge - np.minimum(discharge, fleet.power_kw) / fleet.discharge_efficiency
        stored = stored + step_h * gained
        assert (np.minimum(charge, discharge) < 1e-6).all()
        np.testing.assert_allclose(stored, best.soc_kwh[:, t + 1], atol=1e-5)


def test_it_agrees_with_scipy_on_self_discharge_and_inverters() -> None:
    rng = np.random.default_rng(7)
    n, steps = 3, 30
    fleet = replace(
        BatteryFleet.uniform(n, 8.0, 4.0, 0.85),
        self_discharge_per_month=np.array([0.03, 0.9, 0.99999]),
        inverter_kw=np.array([1.5, np.inf, 3.0]),
    )
    soc, net, buy = np.array([4.0, 8.0, 0.0]), rng.normal(0.3, 2.0, (n, steps)), rng.uniform(0.1, 0.6, steps)
    best = optimal_schedule(fleet, soc, net, buy, 0.4 * buy, step_h=1.0, end_kwh=np.full(n, 1.0))
    lossless = optimal_schedule(
        BatteryFleet.uniform(n, 8.0, 4.0, 0.85), soc, net, buy, 0.4 * buy, step_h=1.0, end_kwh=np.full(n, 1.0)
    )
    for i in range(n):
        other = _independent_cost_eur(fleet, i, soc[i], net[i], buy, 0.4 * buy, 1.0, 1.0)
        assert best.cost_eur[i] == pytest.approx(other, abs=1e-6)
        assert best.cost_eur[i] > lossless.cost_eur[i] + 1e-3


def test_an_end_out_of_reach_is_an_error() -> None:
    fleet = BatteryFleet.uniform(1, 10.0, 1.0, 1.0)
    with pytest.raises(SolveError, match="the solver ended with status infeasible"):
        optimal_schedule(
            fleet, np.zeros(1), np.zeros((1, 4)), np.ones(4), np.ones(4), step_h=1.0, end_kwh=np.full(1, 5.0)
        )


def test_nobody_charges_and_discharges_at_once_to_burn_what_it_is_paid_to_take() -> None:
    """Full, two hours at -1 EUR/kWh, 0.9 each way: 0.81 out for 0.81 EUR, then 1 in for 1 EUR, full again."""
    fleet, full = BatteryFleet.uniform(1, 1.0, 1.0, 0.81), np.ones(1)
    price = np.full(2, -1.0)
    best = optimal_schedule(fleet, full, np.zeros((1, 2)), price, price, step_h=1.0, end_kwh=np.zeros(1))
    assert best.cost_eur[0] == pytest.approx(0.81 - 1.0, abs=1e-6)
    np.testing.assert_allclose(best.discharge_kw[0], [0.81, 0.0], atol=1e-6)
    np.testing.assert_allclose(best.charge_kw[0], [0.0, 1.0], atol=1e-6)


def test_series_must_fit_each_other() -> None:
    fleet = BatteryFleet.uniform(1, 10.0, 1.0, 1.0)
    with pytest.raises(PhysicsError, match=r"net_kw has shape \(1, 3\), expected \(1, 4\)"):
        optimal_schedule(fleet, np.zeros(1), np.zeros((1, 3)), np.ones(4), np.ones(4), step_h=1.0, end_kwh=np.zeros(1))


def test_selling_above_the_buying_price_is_planned_as_equal() -> None:
    fleet = BatteryFleet.uniform(1, 10.0, 1.0, 1.0)
    buy = np.array([0.1, 0.3])
    flat = (np.zeros(1), np.zeros((1, 2)), buy)
    above = optimal_schedule(fleet, *flat, 2 * buy, step_h=1.0, end_kwh=np.zeros(1))
    equal = optimal_schedule(fleet, *flat, buy, step_h=1.0, end_kwh=np.zeros(1))
    assert above.cost_eur[0] == pytest.approx(equal.cost_eur[0]) == pytest.approx(0.1 - 0.3)


def test_the_controller_keeps_energy_for_after_the_window_and_buys_none_to_keep() -> None:
    fleet = BatteryFleet.uniform(2, 4.0, 4.0, 0.81)
    controller = PerfectForesight.open(3600)
    buy = np.full(24, 0.3)
    soc = np.array([4.0, 0.0])
    nothing_to_do = StorageObservation(soc, np.zeros((2, 24)), buy, np.zeros(24), 0.0, 1.0)
    charge, discharge = controller.act(fleet, nothing_to_do)
    np.testing.assert_allclose([charge, discharge], 0.0, atol=1e-6)


def test_the_controller_follows_a_new_fleet() -> None:
    controller = PerfectForesight.open(3600)
    buy = np.array([0.1] + [0.5] * 23)
    for n, power in ((2, 1.0), (2, 2.0), (3, 2.0)):
        fleet = BatteryFleet.uniform(n, 100.0, power, 1.0)
        seen = StorageObservation(np.zeros(n), np.full((n, 24), 3.0), buy, 0.0 * buy, 0.0, 1.0)
        charge, _ = controller.act(fleet, seen)
        np.testing.assert_allclose(charge, power)
        advance(fleet, np.zeros(n), charge, 0 * charge, 1.0)
