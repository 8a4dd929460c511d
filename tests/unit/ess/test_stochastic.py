"""The stochastic programme against one that searches all powers, and what uncertainty changes."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess import stochastic
from vpp_sim.ess.mpc import END_WORTH_SHARE
from vpp_sim.ess.protocol import StorageObservation
from vpp_sim.ess.stochastic import StochasticDynamicProgramming


def _searched(
    fleet: BatteryFleet, seen: StorageObservation, net_spread: float, price_spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return what 401 first gains are worth, found by trying as many in every step, state and outcome."""
    grid = np.linspace(0.0, float(fleet.max_kwh[0]), 401)
    buy, sell = seen.buy_eur_per_kwh, np.minimum(seen.sell_eur_per_kwh, seen.buy_eur_per_kwh)
    charge, discharge, power = fleet.charge_efficiency[0], fleet.discharge_efficiency[0], fleet.power_kw[0]
    gain = grid[None, :] - grid[:, None]  # from each state to each
    grid_kw = np.where(gain > 0, gain / charge, gain * discharge)
    allowed = np.abs(grid_kw) <= power + 1e-9
    worth = grid * discharge * END_WORTH_SHARE * buy.min()
    spread = net_spread * np.abs(seen.net_kw[0]).mean()
    for t in range(23, 0, -1):
        outcomes = []
        for z, zp in zip(stochastic._Z, stochastic._Z[[3, 0, 2, 4, 1]], strict=True):
            factor = 1.0 + (price_spread * zp if seen.hour + t >= 24 else 0.0)
            meter = seen.net_kw[0, t] + spread * z + grid_kw
            paid = factor * np.where(meter > 0, buy[t], sell[t]) * meter
            outcomes.append(np.where(allowed, worth[None, :] - paid, -np.inf).max(axis=1))
        worth = np.mean(outcomes, axis=0)
    gain_now = grid - seen.soc_kwh[0]
    now_kw = np.where(gain_now > 0, gain_now / charge, gain_now * discharge)
    meter = seen.net_kw[0, 0] + now_kw
    return now_kw, np.where(
        np.abs(now_kw) <= power + 1e-9, worth - np.where(meter > 0, buy[0], sell[0]) * meter, -np.inf
    )


@pytest.mark.parametrize("seed", range(6))
def test_its_first_step_is_worth_what_the_best_of_all_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fleet = BatteryFleet.uniform(1, float(rng.uniform(3, 10)), float(rng.uniform(2, 5)), float(rng.uniform(0.8, 0.95)))
    buy = rng.uniform(0.1, 0.6, 24)
    seen = StorageObservation(
        rng.random(1) * fleet.max_kwh, rng.normal(0.3, 1.5, (1, 24)), buy, buy * rng.uniform(0, 1, 24), 9.0, 1.0
    )
    controller = StochasticDynamicProgramming(net_spread=0.8, price_spread=0.3)
    charge, discharge = controller.act(fleet, seen)
    powers, worth = _searched(fleet, seen, 0.8, 0.3)
    got = np.interp(charge[0] - discharge[0], powers, worth)
    assert got == pytest.approx(worth.max(), abs=0.01 * buy.mean())  # a hundredth of a kWh


def test_what_is_not_certain_to_be_needed_is_used_now() -> None:
    """3 kWh are stored and a kWh is due now at 0.30; in three hours a home that foresees 2.5 kW will pay 0.32."""
    fleet = BatteryFleet.uniform(1, 6.0, 5.0, 1.0)
    buy, net = np.full(24, 0.30), np.zeros((1, 24))
    buy[3], net[0, 0], net[0, 3] = 0.32, 1.0, 2.5
    seen = StorageObservation(np.array([3.0]), net, buy, 0.0 * buy, 0.0, 1.0)
    held = {spread: StochasticDynamicProgramming(net_spread=spread).act(fleet, seen)[1][0] for spread in (0.0, 10.0)}
    assert held[0.0] == pytest.approx(0.5, abs=0.16)  # by the grid of 0.15 kWh
    assert held[10.0] == pytest.approx(1.0)


def test_with_a_certain_price_it_trades_as_the_plan_does() -> None:
    """Two cheap and two dear hours: full power in the first of them, as in the golden case of four hours."""
    fleet = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.81)
    price = np.full(24, 0.05)
    price[[0, 1, 4, 5]] = 0.02, 0.02, 0.1, 0.1
    seen = StorageObservation(np.zeros(1), np.zeros((1, 24)), price, price, 0.0, 1.0)
    charge, discharge = StochasticDynamicProgramming().act(fleet, seen)
    assert (charge[0], discharge[0]) == (1000.0, 0.0)
