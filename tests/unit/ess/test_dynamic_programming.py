"""What plans are worth that are made anew at every step, and what they know."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.arbitrage import market_cases
from vpp_sim.ess.dynamic_programming import planned_action_values, planned_values
from vpp_sim.ess.episodes import window_prices
from vpp_sim.ess.perfect_foresight import optimal_schedule


def test_a_plan_is_worth_what_a_linear_programme_over_its_window_earns() -> None:
    """With a power of six levels an hour and no losses an optimum moves from level to level, so both agree."""
    fleet, hour = BatteryFleet.uniform(1, 2.4, 0.6, 1.0), np.arange(10 * 24.0) % 24
    price = np.random.default_rng(3).lognormal(-3.0, 0.5, len(hour))
    cases = market_cases(fleet, price, hour, knows="da_known")
    plan, step = planned_values(cases, discount=1.0), 8 * 24 + 5
    buy, _ = window_prices(cases, np.zeros(1, dtype=np.int64), np.array([step]))
    for level in (0, 7, 24):
        start_kwh = np.array([0.1 * level])
        best = optimal_schedule(
            fleet, start_kwh, np.zeros((1, 23)), buy[0, 1:], buy[0, 1:], step_h=1.0, end_kwh=np.zeros(1)
        )
        assert plan[0, step, level] == pytest.approx(-best.cost_eur[0], rel=1e-6)


def test_a_planned_action_is_worth_its_saving_and_what_the_plan_says_of_the_rest() -> None:
    """The first of two dear hours: 2 kWh are sold at 0.5 each; or else one of them later, at 0.1."""
    fleet, hour = BatteryFleet.uniform(1, 2.0, 1.0, 1.0), np.arange(10 * 24.0) % 24
    price = np.where((hour == 18) | (hour == 19), 0.5, 0.1)
    cases = market_cases(fleet, price, hour, knows="da_known")
    plan = planned_values(cases, discount=1.0)
    case, step = np.zeros(1, dtype=np.int64), np.array([8 * 24 + 18])
    worth = planned_action_values(cases, plan, case, step, np.array([2.0]), discount=1.0)[0]
    rest, full = 0, 9
    assert worth[full] == pytest.approx(0.5 + 0.5, rel=1e-6)
    assert worth[rest] == pytest.approx(0.5 + 0.1, rel=1e-6)


def test_a_plan_knows_no_more_than_its_window_shows() -> None:
    hour = np.arange(12 * 24.0) % 24
    price = np.random.default_rng(4).lognormal(-3.0, 0.5, len(hour))
    other, step = price.copy(), 8 * 24 + 5
    other[step:] *= np.random.default_rng(5).uniform(0.2, 5.0, len(hour) - step)
    plans = [
        planned_values(market_cases(BatteryFleet.uniform(1, 2.0, 1.0, 0.9), p, hour, knows="past_only"), discount=0.99)
        for p in (price, other)
    ]
    np.testing.assert_array_equal(plans[0][:, : step + 1], plans[1][:, : step + 1])
    assert (plans[0][:, step + 1 :] != plans[1][:, step + 1 :]).any()
