"""The best profit of a battery in Houston, and ten random cases, against a programme written for HiGHS itself."""

from __future__ import annotations

import highspy
import numpy as np
import pytest

from vpp_sim.data.prices import ERCOT_USD_PER_EUR, ErcotHoustonDayAhead
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.perfect_foresight import optimal_schedule


def highs_cost(
    fleet: BatteryFleet,
    soc: float,
    net: np.ndarray,
    buy: np.ndarray,
    sell: np.ndarray,
    step_h: float,
    end: float,
) -> float:
    """Return the least cost, row by row: columns charge, discharge, import, export and stored energy of each step."""
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.setOptionValue("output_flag", False)
    steps = len(net)
    power, gain = float(fleet.power_kw[0]), float(fleet.charge_efficiency[0]) * step_h
    drain = step_h / float(fleet.discharge_efficiency[0])
    low, high = float(fleet.min_kwh[0]), float(fleet.max_kwh[0])
    for t in range(steps):
        solver.addCol(0.0, 0.0, power, 0, [], [])
        solver.addCol(0.0, 0.0, power, 0, [], [])
        solver.addCol(float(buy[t]) * step_h, 0.0, highspy.kHighsInf, 0, [], [])
        solver.addCol(-float(sell[t]) * step_h, 0.0, highspy.kHighsInf, 0, [], [])
        solver.addCol(0.0, max(low, end) if t == steps - 1 else low, high, 0, [], [])
    for t in range(steps):
        charge, discharge, bought, sold, stored = range(5 * t, 5 * t + 5)
        load = float(net[t])
        solver.addRow(load, load, 4, [bought, sold, charge, discharge], [1.0, -1.0, -1.0, 1.0])
        if t:
            solver.addRow(0.0, 0.0, 4, [stored, stored - 5, charge, discharge], [1.0, -1.0, -gain, drain])
        else:
            solver.addRow(soc, soc, 3, [stored, charge, discharge], [1.0, -gain, drain])
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(solver.getInfo().objective_function_value)


def test_houston_2022() -> None:
    """1 MW, 2 MWh, 85 % round trip, half full at both ends: 89,025 USD, as measured elsewhere on the same prices."""
    prices = ErcotHoustonDayAhead().load().price_eur_per_kwh[8760:]
    fleet, half, nothing = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.85), np.array([1000.0]), np.zeros((1, 8760))
    best = optimal_schedule(fleet, half, nothing, prices, prices, step_h=1.0, end_kwh=half)
    profit_usd = -best.cost_eur[0] * ERCOT_USD_PER_EUR
    assert profit_usd == pytest.approx(89_025, abs=0.5)
    other_usd = -highs_cost(fleet, 1000.0, nothing[0], prices, prices, 1.0, 1000.0) * ERCOT_USD_PER_EUR
    assert profit_usd == pytest.approx(other_usd, rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_random_cases(seed: int) -> None:
    rng = np.random.default_rng([4, seed])
    steps, step_h = int(rng.integers(24, 97)), float(rng.choice([0.25, 0.5, 1.0]))
    charge, discharge = rng.uniform(0.75, 1.0, (2, 1))
    size = rng.uniform(1.0, 15.0, 1)
    fleet = BatteryFleet(size, size * rng.uniform(0.2, 1.2), charge, discharge, np.full(1, 0.1), np.full(1, 0.9))
    soc, end = fleet.min_kwh + rng.random((2, 1)) * (fleet.max_kwh - fleet.min_kwh) * [[1.0], [0.3]]
    net, buy = rng.normal(0.3, 3.0, (1, steps)), rng.uniform(0.0, 0.6, steps)
    sell = buy * rng.uniform(0.0, 1.0, steps)
    best = optimal_schedule(fleet, soc, net, buy, sell, step_h=step_h, end_kwh=end)
    other = highs_cost(fleet, float(soc[0]), net[0], buy, sell, step_h, float(end[0]))
    assert best.cost_eur[0] == pytest.approx(other, abs=1e-6)
