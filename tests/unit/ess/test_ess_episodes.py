"""Cases: what is foreseen, what prices are known, what a step saves, and the labels in hindsight."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.curriculum import reference_cases, training_cases, worn
from vpp_sim.ess.dynamic_programming import (
    GRID_POINTS,
    action_values,
    planned_action_values,
    planned_values,
    state_values,
)
from vpp_sim.ess.environment import two_price_home
from vpp_sim.ess.episodes import foresee, saving_eur, step_cases, stored_value_eur, window_features
from vpp_sim.ess.perfect_foresight import optimal_schedule
from vpp_sim.ess.tariffs import TARIFF_KINDS, draw_tariff


def test_an_honest_forecast_knows_nothing_of_its_own_day() -> None:
    rng = np.random.default_rng(0)
    net_kw = rng.normal(size=(2, 240))
    changed = net_kw.copy()
    changed[:, 200] += 5.0
    honest = [foresee(v, 1.0, truth=np.zeros(2), yesterday=np.full(2, 0.5)) for v in (net_kw, changed)]
    differs = np.flatnonzero((honest[0] != honest[1]).any(axis=0))
    assert differs.tolist() == [224]  # a day later, and not before


def test_a_forecast_blends_as_told() -> None:
    net_kw = np.repeat(np.arange(10.0), 24)[None]
    for truth, yesterday, expected in ((1.0, 0.3, 9.0), (0.0, 1.0, 8.0), (0.0, 0.0, 5.0), (0.5, 0.5, 7.75)):
        seen = foresee(net_kw, 1.0, truth=np.array([truth]), yesterday=np.array([yesterday]))
        assert seen[0, -1] == pytest.approx(expected)


def test_the_window_is_metered_now_and_foreseen_after() -> None:
    home = two_price_home()
    cases = replace(home, net_kw=home.net_kw * 0 + 1.0, foreseen_kw=home.net_kw * 0 + 2.0)
    row = window_features(cases, cases.fleet, np.zeros(1, int), np.full(1, 180), np.zeros(1))[0]
    assert row[6] == 4.0 * 1.0 / 4.0
    assert set(row[7:30]) == {np.float32(4.0 * 2.0 / 4.0)}


def test_prices_set_daily_repeat_after_midnight() -> None:
    home = two_price_home()
    rising = np.arange(home.hour.size, dtype=float)[None] / 1000 + 0.1
    known, daily = (
        replace(home, buy_eur_per_kwh=rising, sell_eur_per_kwh=rising, set_daily=np.array([flag]))
        for flag in (False, True)
    )
    at = (np.zeros(1, int), np.full(1, 9 * 24 + 20), np.zeros(1))
    sell_known, sell_daily = (window_features(c, c.fleet, *at)[0, 54:78] for c in (known, daily))
    assert np.argmax(sell_known) == 23  # the last hour of the window is the dearest
    assert np.argmax(sell_daily) == 3  # 23 h is the last that is published
    assert np.argmin(sell_daily) == 4  # then today's midnight is repeated


@pytest.mark.parametrize(
    ("net_kw", "power_kw", "saved"),
    [(2.0, -3.0, 2 * 0.5 + 1 * 0.1), (2.0, 1.0, -0.5), (-2.0, 1.0, -0.1), (-2.0, 3.0, -2 * 0.1 - 1 * 0.5)],
)
def test_a_saving_is_import_at_buying_and_export_at_selling_price(net_kw: float, power_kw: float, saved: float) -> None:
    got = saving_eur(np.array([net_kw]), np.array([power_kw]), np.array([0.5]), np.array([0.1]), 1.0)
    assert got[0] == pytest.approx(saved)


def test_stored_energy_is_worth_the_mean_price_of_the_day_before() -> None:
    home = two_price_home()
    # 3 kWh above empty give 2.7 kWh; the mean of 20 hours at 0.2 and 4 at 0.5 is 0.25
    got = stored_value_eur(home, home.fleet, np.zeros(1, int), np.full(1, 200), np.full(1, 3.0))
    assert got[0] == pytest.approx(2.7 * 0.25)


def test_the_dynamic_programme_meets_the_linear_one() -> None:
    home = two_price_home()
    values = state_values(home, discount=1.0)
    assert values.shape == (1, home.hour.size + 1, GRID_POINTS)
    span = slice(home.first_step, home.last_step)
    best = optimal_schedule(
        home.fleet,
        np.zeros(1),
        home.net_kw[:, span],
        home.buy_eur_per_kwh[0, span],
        home.sell_eur_per_kwh[0, span],
        step_h=1.0,
        end_kwh=np.zeros(1),
    )
    saved = saving_eur(
        home.net_kw[:, span], best.charge_kw - best.discharge_kw, home.buy_eur_per_kwh[:, span], np.zeros(1), 1.0
    ).sum()
    # nobody buys to keep energy for the end, so both end empty; actions cover the optimum but for the grid's rounding
    assert values[0, home.first_step, 0] == pytest.approx(saved, rel=0.01)


def test_action_values_look_one_step_ahead() -> None:
    home = two_price_home()
    values = state_values(home, discount=0.9)
    state = (np.zeros(1, int), np.full(1, 200), np.full(1, 2.0))
    worth = action_values(home, values, *state, discount=0.9)
    grid = np.linspace(0.0, 4.0, GRID_POINTS)
    for action in range(worth.shape[1]):
        end_kwh, saved = step_cases(home, home.fleet, *state, np.array([action]))
        later = np.interp(end_kwh[0], grid, values[0, 201])
        assert worth[0, action] == pytest.approx(saved[0] + 0.9 * later, rel=1e-6)
    assert values[0, 200, GRID_POINTS // 2] == pytest.approx(worth.max(), rel=1e-6)


@pytest.mark.parametrize("kind", TARIFF_KINDS)
def test_drawn_tariffs_stay_in_their_bounds(kind: str) -> None:
    hour = np.arange(480.0) % 24
    own, spot = np.where(hour > 15, 0.5, 0.2), 0.04 + 0.02 * np.sin(hour)
    for seed in range(20):
        buy, sell = draw_tariff(kind, np.random.default_rng(seed), own, spot, hour)
        assert buy.shape == sell.shape == hour.shape
        assert 0.05 <= buy.min() <= buy.max() <= 0.6
        assert 0.0 <= sell.min() <= sell.max() <= 0.2
        assert (sell <= buy).all()


def test_training_cases_hold_every_home_under_every_tariff() -> None:
    rng = np.random.default_rng(3)
    hour = np.arange(240.0) % 24
    net_kw, own, spot = rng.normal(size=(2, 240)), np.full(240, 0.3), np.full(240, 0.04)
    cases = training_cases(net_kw, own, spot, hour, battery=(6.4, 5.0, 0.9), rng=rng)
    assert len(cases.fleet) == 12
    assert cases.first_step == 168
    assert cases.last_step == 217
    np.testing.assert_array_equal(cases.net_kw[:6], np.repeat(net_kw[:1], 6, axis=0))
    assert (cases.fleet.capacity_kwh == 6.4).any()
    assert (cases.fleet.capacity_kwh != 6.4).any()
    one = reference_cases(net_kw, (own, spot), hour, battery=(6.4, 5.0, 0.9), set_daily=True)
    np.testing.assert_array_equal(one.foreseen_kw[:, 168:], net_kw[:, 144:216])


def test_cases_that_do_not_fit_are_refused() -> None:
    home = two_price_home()
    with pytest.raises(PhysicsError, match=r"net_kw has shape \(1, 5\), expected \(1, 384\)"):
        replace(home, net_kw=np.zeros((1, 5)))
    with pytest.raises(PhysicsError, match=r"unpublished has shape \(2,\), expected \(1,\)"):
        replace(home, unpublished=np.zeros(2, dtype=bool))
    with pytest.raises(PhysicsError, match=r"foreseen_buy_eur_per_kwh has shape \(1, 5\), expected \(1, 384\)"):
        replace(home, foreseen_buy_eur_per_kwh=np.zeros((1, 5)))
    with pytest.raises(PhysicsError, match=r"net_kw has shape \(1, 384\), expected \(2, 384\)"):
        replace(home, fleet=BatteryFleet.uniform(2, 4.0, 2.0, 0.81))


def test_savings_are_less_the_wear_of_what_leaves_the_cells() -> None:
    """Taking 1 kWh out at 0.8 takes 1.25 kWh out of the cells: at 0.1 EUR each 0.125; charging wears nothing."""
    home = replace(two_price_home(), fleet=BatteryFleet.uniform(1, 4.0, 1.0, 0.64))
    worn_home = replace(home, wear_eur_per_kwh=np.array([0.1]))
    case, step, soc = np.zeros(1, dtype=np.int64), np.array([200]), np.array([3.0])
    for action, wear_eur in ((9, 0.125), (5, 0.0), (0, 0.0)):
        found = [step_cases(c, c.fleet, case, step, soc, np.array([action])) for c in (home, worn_home)]
        assert found[0][0] == found[1][0]
        assert found[0][1] - found[1][1] == pytest.approx(wear_eur, abs=1e-12)


def test_a_dear_battery_rests_in_hindsight_and_in_plans() -> None:
    """Cycles of the home's two prices save 0.3 EUR a kWh less losses, which a wear of 0.5 EUR a kWh exceeds."""
    home = replace(two_price_home(), set_daily=np.ones(1, dtype=np.bool_))
    case, step, full = np.zeros(1, dtype=np.int64), np.array([8 * 24 + 17]), np.array([4.0])
    for wear, best in ((0.0, 1), (0.5, 0)):  # follow the meter, or rest
        cases = replace(home, wear_eur_per_kwh=np.array([wear]))
        hindsight = action_values(cases, state_values(cases, discount=1.0), case, step, full, discount=1.0)
        planned = planned_action_values(cases, planned_values(cases, discount=1.0), case, step, full, discount=1.0)
        assert hindsight[0, 1] >= hindsight[0].max() - 1e-6 if best else hindsight[0, 0] > hindsight[0, 1]
        assert planned[0, 1] >= planned[0].max() - 1e-6 if best else planned[0, 0] > planned[0, 1]


def test_wear_follows_the_price_of_a_new_battery() -> None:
    """A whole window from empty to full wears 0.1435 EUR a kWh where a new kWh costs 400 EUR."""
    assert worn(two_price_home(), 0.0).wear_eur_per_kwh is None
    wear = worn(two_price_home(), 400.0).wear_eur_per_kwh
    assert wear is not None
    assert wear[0] == pytest.approx(0.1435, abs=5e-5)
