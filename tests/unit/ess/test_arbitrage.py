"""Trading without a home: what is known of prices when, where the battery ends, and how near the plans come."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.arbitrage import best_trading, market_cases, trade
from vpp_sim.ess.episodes import Cases, window_prices
from vpp_sim.ess.evaluation import observe
from vpp_sim.ess.mpc import ModelPredictiveControl
from vpp_sim.ess.outlook import CARRY_H, KNOWLEDGE, Knowledge, carried_mean
from vpp_sim.ess.rules import Idle, SelfConsumption
from vpp_sim.registry import CONTROLLERS

FLEET = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.85)
HALF = np.array([1000.0])


def prices(steps: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = 0.05 + 0.03 * np.sin(np.arange(steps) * np.pi / 12)
    return np.asarray(shape * rng.lognormal(0.0, 0.3, steps))


def local_hours(start: str, steps: int) -> np.ndarray:
    index = pd.date_range(start, periods=steps, freq="h", tz="America/Chicago")
    return np.asarray(index.hour, dtype=float)


def cases(knows: Knowledge, steps: int = 12 * 24, start: str = "2021-05-01", carry_h: float = CARRY_H) -> Cases:
    hour = local_hours(start, steps)
    return market_cases(
        FLEET, prices(steps), hour, knows=knows, foresight=lambda p: carried_mean(p, hour, knows=knows, carry_h=carry_h)
    )


@pytest.mark.parametrize("start", ["2021-05-01", "2021-03-05", "2021-10-29"])  # the clock changes on the ninth day
@pytest.mark.parametrize("knows", KNOWLEDGE)
def test_a_controller_sees_nothing_of_what_it_cannot_know(knows: Knowledge, start: str) -> None:
    """Prices are changed from the first unknown one on: what is seen stays the same, bit by bit."""
    steps = 12 * 24
    price, stamps = prices(steps), pd.date_range(start, periods=steps, freq="h", tz="America/Chicago")
    hour, day = np.asarray(stamps.hour, dtype=float), np.asarray(stamps.dayofyear)
    whole = market_cases(FLEET, price, hour, knows=knows)
    for step in range(whole.first_step, whole.last_step, 5):
        first_unknown = step if knows == "past_only" else int(np.searchsorted(day, day[step] + 1))
        other = price.copy()
        other[first_unknown:] = 9.0
        changed = market_cases(FLEET, other, hour, knows=knows)
        one, two = (observe(c, step, HALF, truth=False) for c in (whole, changed))
        np.testing.assert_array_equal(one.buy_eur_per_kwh, two.buy_eur_per_kwh)
        np.testing.assert_array_equal(one.sell_eur_per_kwh, two.sell_eur_per_kwh)
        known = first_unknown - step
        np.testing.assert_array_equal(one.buy_eur_per_kwh[: min(known, 24)], price[step : step + min(known, 24)])


def test_what_is_not_known_is_the_mean_of_seven_days() -> None:
    whole, step = cases("past_only", carry_h=0.0), 8 * 24 + 3
    price = whole.buy_eur_per_kwh[0]
    buy, sell = window_prices(whole, np.zeros(1, dtype=int), np.array([step]))
    expected = [np.mean([price[step + k - 24 * d] for d in range(1, 8)]) for k in range(24)]
    np.testing.assert_allclose(buy[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(buy, sell)
    known, _ = window_prices(cases("da_known", carry_h=0.0), np.zeros(1, dtype=int), np.array([step]))
    np.testing.assert_array_equal(known[0, :21], price[step : step + 21])  # 03:00 to 23:00
    np.testing.assert_allclose(known[0, 21:], expected[21:], rtol=1e-12)


@pytest.mark.parametrize(("knows", "last"), [("past_only", 8 * 24 + 2), ("da_known", 8 * 24 + 23)])
def test_a_deviation_of_the_last_three_hours_is_carried_on_and_fades(knows: Knowledge, last: int) -> None:
    """Every day is alike until the ninth, when the last three hours known cost half as much again."""
    hour, step = np.arange(12 * 24.0) % 24, 8 * 24 + 3
    price = 0.05 + 0.001 * hour
    price[last - 2 : last + 1] *= 1.5
    whole = market_cases(
        FLEET, price, hour, knows=knows, foresight=lambda p: carried_mean(p, hour, knows=knows, carry_h=4.0)
    )
    seen, _ = window_prices(whole, np.zeros(1, dtype=int), np.array([step]))
    ahead = np.arange(step, step + 24)
    unknown = ahead > last
    mean = np.array([np.mean([price[at - 24 * d] for d in range(1, 8)]) for at in ahead])
    faded = 1.0 + 0.5 * np.exp(-(ahead - last) / 4.0)
    np.testing.assert_allclose(seen[0, unknown], (mean * faded)[unknown], rtol=1e-12)
    np.testing.assert_array_equal(seen[0, ~unknown], price[ahead[~unknown]])


def test_a_ratio_of_prices_about_nothing_is_not_carried_on() -> None:
    hour = np.arange(12 * 24.0) % 24
    price = np.where(hour < 6, -0.01, 0.05)
    whole = market_cases(FLEET, price, hour, knows="past_only")
    seen, _ = window_prices(whole, np.zeros(1, dtype=int), np.array([8 * 24 + 5]))
    np.testing.assert_allclose(seen[0], price[8 * 24 + 5 : 9 * 24 + 5], rtol=1e-12)


def test_a_controller_of_the_truth_sees_it() -> None:
    whole, step = cases("past_only"), 200
    seen = observe(whole, step, HALF, truth=True)
    np.testing.assert_array_equal(seen.buy_eur_per_kwh, whole.buy_eur_per_kwh[0, step : step + 24])


@pytest.mark.parametrize("name", CONTROLLERS.names)
@pytest.mark.parametrize("end", [0.0, 1000.0, 2000.0])
def test_every_controller_ends_where_it_must_and_earns_what_its_powers_say(name: str, end: float) -> None:
    whole, ends = cases("da_known", steps=9 * 24), np.array([end])
    done = trade(CONTROLLERS.load(name).open(3600), whole, start_kwh=HALF, end_kwh=ends)
    price = whole.buy_eur_per_kwh[0, 168 : 168 + 48]
    assert done.soc_kwh[0, 0] == 1000.0
    assert done.soc_kwh[0, -1] == pytest.approx(end, abs=1e-6)
    by_hand = (done.discharge_kw[0] - done.charge_kw[0]) @ price
    assert done.profit_eur.sum() == pytest.approx(by_hand, rel=1e-12)
    best = best_trading(whole, start_kwh=HALF, end_kwh=ends)
    assert by_hand <= -best.cost_eur[0] + 1e-6


def test_who_does_nothing_earns_nothing() -> None:
    for rule in (Idle(), SelfConsumption()):  # there is no home whose meter one could follow
        done = trade(rule, cases("da_known"), start_kwh=HALF, end_kwh=HALF)
        assert (done.profit_eur == 0.0).all()


@pytest.mark.parametrize("knows", KNOWLEDGE)
def test_with_a_price_that_repeats_each_day_planning_is_optimal(knows: Knowledge) -> None:
    hour = np.arange(14 * 24.0) % 24
    whole = market_cases(FLEET, 0.05 + 0.03 * np.sin(hour * np.pi / 12), hour, knows=knows)
    done = trade(ModelPredictiveControl.open(3600), whole, start_kwh=HALF, end_kwh=HALF)
    best = best_trading(whole, start_kwh=HALF, end_kwh=HALF)
    assert done.profit_eur.sum() == pytest.approx(-best.cost_eur[0], rel=0.03)  # but for the last day's end
    np.testing.assert_allclose(
        done.profit_eur[0, :96].sum(),
        (best.discharge_kw - best.charge_kw)[0, :96] @ (whole.buy_eur_per_kwh[0, 168 : 168 + 96]),
        rtol=1e-6,
    )


def test_what_cannot_be_is_refused() -> None:
    hour = np.arange(168.0) % 24
    with pytest.raises(PhysicsError, match="prices of 168 steps leave none to trade in after a week of history"):
        market_cases(FLEET, np.ones(168), hour, knows="da_known")
    with pytest.raises(PhysicsError, match=r"price_eur_per_kwh has shape \(3,\), expected \(168,\)"):
        market_cases(FLEET, np.ones(3), hour, knows="da_known")
    with pytest.raises(PhysicsError, match="end_kwh lies outside the window"):
        trade(Idle(), cases("da_known"), start_kwh=HALF, end_kwh=np.array([2001.0]))
    with pytest.raises(PhysicsError, match="1 steps do not lead from the start to the end"):
        trade(Idle(), cases("da_known", steps=169), start_kwh=HALF, end_kwh=np.array([2000.0]))
