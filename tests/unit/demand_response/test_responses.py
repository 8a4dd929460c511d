"""Deferral within the day, by hand arithmetic."""

import numpy as np
import pytest

from vpp_sim.demand_response.responses import NoResponse, SelfDemandResponse
from vpp_sim.errors import PhysicsError


def _day(response, base_kw, prices, step_h=1.0):
    """Return the loads of one day, shape (D, n)."""
    prices = np.array(prices, dtype=float)
    return np.array([response.respond(load, prices, step, step_h) for step, load in enumerate(np.array(base_kw))])


def test_a_dear_step_puts_off_by_elasticity_and_the_cheap_one_returns_it():
    # Mean price 0.2; the dear step is 50 % above it: 0.2 * 0.5 = 10 % of 2 kW moves.
    loads = _day(SelfDemandResponse(homes=1, elasticity=-0.2), [[2.0], [2.0], [2.0]], [0.2, 0.3, 0.1])
    assert loads[:, 0] == pytest.approx([2.0, 1.8, 2.2])


def test_the_flexible_share_bounds_the_cut():
    loads = _day(SelfDemandResponse(homes=1, elasticity=-9.0, flexible_share=0.25), [[2.0], [2.0]], [0.3, 0.1])
    assert loads[:, 0] == pytest.approx([1.5, 2.5])


def test_cheaper_steps_return_more():
    # Mean 0.2, cheapness .05 and .15: a quarter and three quarters of the 0.6 kWh put off.
    response = SelfDemandResponse(homes=1, elasticity=-0.1, flexible_share=1.0)
    loads = _day(response, [[6.0], [1.0], [1.0]], [0.4, 0.15, 0.05])
    assert loads[:, 0] == pytest.approx([5.4, 1.15, 1.45])


def test_nothing_is_put_off_when_no_cheap_step_remains():
    loads = _day(SelfDemandResponse(homes=1, elasticity=-0.5), [[2.0], [2.0], [2.0]], [0.1, 0.2, 0.3])
    assert loads[:, 0].tolist() == [2.0, 2.0, 2.0]


def test_the_return_makes_no_peak_of_its_own():
    # Seven dear steps and one cheap: without a bound, 7 * 0.1 kWh would fall on it. Bounded: 0.2 of 1 kW.
    response = SelfDemandResponse(homes=1, elasticity=-1.0, flexible_share=0.2)
    loads = _day(response, np.ones((8, 1)), [0.22] * 7 + [0.06])
    assert loads[-1, 0] == pytest.approx(1.2)
    assert loads[:, 0].sum() == pytest.approx(8.0)
    assert loads.min() >= 0.8 - 1e-12


def test_quarter_hours_move_energy_not_power():
    response = SelfDemandResponse(homes=1, elasticity=-0.2)
    prices = np.array([0.3, 0.1])
    assert response.respond(np.array([2.0]), prices, 0, 0.25) == pytest.approx([1.8])
    assert response.deferred_kwh == pytest.approx([0.05])
    assert response.respond(np.array([2.0]), prices, 1, 0.25) == pytest.approx([2.2])
    assert response.deferred_kwh.tolist() == [0.0]


def test_homes_answer_in_proportion_to_their_own_load():
    loads = _day(SelfDemandResponse(homes=3, elasticity=-0.2), [[2.0, 0.0, 8.0], [1.0, 1.0, 1.0]], [0.3, 0.1])
    assert loads == pytest.approx(np.array([[1.8, 0.0, 7.2], [1.2, 1.0, 1.8]]))


def test_what_new_prices_leave_stranded_is_spread_over_the_rest_of_the_day():
    response = SelfDemandResponse(homes=1, elasticity=-0.2)
    assert response.respond(np.array([3.0]), np.array([0.3, 0.2, 0.1]), 0, 1.0) == pytest.approx([2.7])
    new = np.array([0.1, 0.3, 0.3])  # the cheap hour is taken back: 0.3 kWh are owed, two steps are left
    assert response.respond(np.array([3.0]), new, 1, 1.0) == pytest.approx([3.15])
    assert response.respond(np.array([3.0]), new, 2, 1.0) == pytest.approx([3.15])
    assert response.deferred_kwh.tolist() == [0.0]


def test_rounding_never_leaves_a_negative_load():
    # (0.05 * 0.1) / 0.1 is a hair above 0.05: all of the load put off would leave -7e-18 kW.
    response = SelfDemandResponse(homes=1, elasticity=-9.0, flexible_share=1.0)
    assert response.respond(np.array([0.05]), np.array([0.3, 0.1]), 0, 0.1).tolist() == [0.0]


@pytest.mark.parametrize("prices", [[0.2, 0.2, 0.2], [0.0, 0.0, 0.0], [-0.1, -0.3, -0.2], [0.3, -0.4, 0.1]])
def test_even_free_and_negative_days_move_nothing(prices):
    loads = _day(SelfDemandResponse(homes=1, elasticity=-0.5), [[2.0], [2.0], [2.0]], prices)
    assert loads[:, 0] == pytest.approx([2.0, 2.0, 2.0], abs=1e-12)


def test_without_elasticity_nothing_moves():
    loads = _day(SelfDemandResponse(homes=1, elasticity=0.0), [[2.0], [2.0]], [0.3, 0.1])
    assert loads[:, 0].tolist() == [2.0, 2.0]


def test_no_response_returns_the_base_load():
    base_load_kw = np.array([1.0, 2.0])
    response = NoResponse(homes=2, elasticity=-0.5)
    load_kw = response.respond(base_load_kw, np.array([0.3, 0.1]), 0, 1.0)
    assert load_kw.tolist() == [1.0, 2.0]
    assert load_kw is not base_load_kw
    assert response.deferred_kwh.tolist() == [0.0, 0.0]


def test_a_day_must_not_begin_with_energy_owed():
    response = SelfDemandResponse(homes=1, elasticity=-0.2)
    response.respond(np.array([2.0]), np.array([0.3, 0.1]), 0, 1.0)
    with pytest.raises(PhysicsError, match=r"a day begins with 0\.2 kWh still owed from the day before"):
        response.respond(np.array([2.0]), np.array([0.3, 0.1]), 0, 1.0)


@pytest.mark.parametrize("response", [NoResponse, SelfDemandResponse])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [0.1, 0.2], 0, 1.0), r"base_load_kw has shape \(1,\), expected \(2,\)"),
        (([1.0, -1.0], [0.1, 0.2], 0, 1.0), "base_load_kw is negative"),
        (([1.0, np.nan], [0.1, 0.2], 0, 1.0), "base_load_kw has 1 values that are not finite"),
        (([1.0, 1.0], [0.1, np.inf], 0, 1.0), "day_buy_eur_per_kwh has 1 values that are not finite"),
        (([1.0, 1.0], [0.1, 0.2], 2, 1.0), "step 2 is not in a day of 2 steps"),
        (([1.0, 1.0], [0.1, 0.2], -1, 1.0), "step -1 is not in a day of 2 steps"),
        (([1.0, 1.0], [], 0, 1.0), "step 0 is not in a day of 0 steps"),
        (([1.0, 1.0], [0.1, 0.2], 0, 0.0), "step_h is 0, expected above 0"),
    ],
)
def test_bad_arguments_are_refused(response, arguments, message):
    load, prices, step, step_h = arguments
    with pytest.raises(PhysicsError, match=message):
        response(homes=2).respond(np.array(load), np.array(prices), step, step_h)


@pytest.mark.parametrize("response", [NoResponse, SelfDemandResponse])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"homes": 0}, "a response needs homes, not 0"),
        ({"elasticity": 0.1}, "elasticity is 0.1, expected 0 or below"),
        ({"flexible_share": 1.2}, r"flexible_share is 1\.2, expected 0\.\.1"),
    ],
)
def test_bad_options_are_refused(response, options, message):
    with pytest.raises(PhysicsError, match=message):
        response(**{"homes": 1, **options})
