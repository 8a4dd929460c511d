"""How homes answer prices: hand arithmetic, the area under demand by quadrature, and moves by a linear program."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.customers import Customers, ElasticHomes, ShiftingHomes

BASE = np.array([[2.0, 1.0, 0.5, 3.0], [0.5, 0.0, 4.0, 1.0]])
DEFAULT = np.array([0.30, 0.25, 0.20, 0.40])
ASKED = np.array([0.20, 0.30, 0.25, 0.35])


def elastic() -> ElasticHomes:
    return ElasticHomes(own=np.array([0.05, 0.2]), shift=np.array([0.3, 0.1]), reach_steps=2.0)


def shifting(tie="stay", window=4, discomfort=(0.03, 0.06)) -> ShiftingHomes:
    return ShiftingHomes(np.array([0.25, 0.5]), np.array(discomfort), window_steps=window, tie=tie)


def area_eur(homes: ElasticHomes, path: list[np.ndarray]) -> np.ndarray:
    """Integrate demand over prices along straight pieces of a path, by many small steps."""
    lost = np.zeros(len(BASE))
    for start, end in pairwise(path):
        middles = (np.arange(400) + 0.5) / 400
        for middle in middles:
            demand = homes.respond(BASE, DEFAULT, start + middle * (end - start)).demand_kwh
            lost += demand @ (end - start) / 400
    return -lost


def test_surplus_is_the_area_under_the_demand_whatever_the_path_of_prices():
    change = elastic().respond(BASE, DEFAULT, ASKED).surplus_change_eur
    corner = np.array([ASKED[0], DEFAULT[1], ASKED[2], DEFAULT[3]])
    np.testing.assert_allclose(area_eur(elastic(), [DEFAULT, ASKED]), change, atol=1e-9)
    np.testing.assert_allclose(area_eur(elastic(), [DEFAULT, corner, ASKED]), change, atol=1e-9)


def test_two_steps_by_hand():
    """Prices change by a half; w is one half and k d1 d2 / (d1 + d2) = 0.4 * 3 / 4 = 0.3: 0.3 * 0.5 * 1 moves."""
    homes = ElasticHomes(own=np.array([0.1]), shift=np.array([0.4]), reach_steps=1.0)
    answer = homes.respond(np.array([[1.0, 3.0]]), np.array([0.2, 0.2]), np.array([0.3, 0.1]))
    np.testing.assert_allclose(answer.demand_kwh, [[1 - 0.05 - 0.15, 3 + 0.15 + 0.15]])
    np.testing.assert_allclose(answer.surplus_change_eur, [-0.1 * 1.8 / 2 + 0.1 * 6.3 / 2])


def test_what_moves_keeps_its_energy_and_an_even_rise_moves_nothing():
    homes = ElasticHomes(own=np.zeros(2), shift=np.array([0.3, 0.6]), reach_steps=3.0)
    np.testing.assert_allclose(homes.respond(BASE, DEFAULT, ASKED).demand_kwh.sum(axis=1), BASE.sum(axis=1))
    np.testing.assert_allclose(homes.respond(BASE, DEFAULT, DEFAULT + 0.1).demand_kwh, BASE, atol=1e-12)


def test_the_matrix_is_what_small_changes_of_price_show():
    homes, step = elastic(), 1e-4
    total = BASE.sum(axis=0)
    found = homes.elasticity(BASE, DEFAULT)
    for column in range(4):
        asked = DEFAULT.copy()
        asked[column] *= 1 + step
        relative = homes.respond(BASE, DEFAULT, asked).demand_kwh.sum(axis=0) / total - 1
        np.testing.assert_allclose(found[:, column], relative / step, atol=1e-9)
    assert (np.diag(found) < 0).all()
    assert (found[~np.eye(4, dtype=bool)] > 0).all()


def test_a_step_and_a_home_without_demand_have_no_response():
    base = np.array([[0.0, 2.0], [0.0, 0.0]])
    assert (elastic().elasticity(base, DEFAULT[:2])[0] == 0).all()
    answer = elastic().respond(base, DEFAULT[:2], ASKED[:2])
    assert answer.demand_kwh[0, 0] == 0
    assert (answer.demand_kwh[1] == 0).all()
    assert answer.surplus_change_eur[1] == 0


def test_prices_beyond_the_linear_demand_are_refused():
    homes = ElasticHomes(own=np.array([0.5, 0.5]), shift=np.zeros(2), reach_steps=1.0)
    with pytest.raises(
        PhysicsError, match=r"demand of home 0 in step 3 would be -0\.375 kWh at 1\.3 EUR/kWh: prices lie"
    ):
        homes.respond(BASE, DEFAULT, np.array([0.3, 0.25, 0.2, 1.3]))


def least_outlay_eur(homes: ShiftingHomes, home: int) -> float:
    """The least that a home's moves can cost it, by a linear program over all pairs of steps."""
    steps, change = 4, ASKED - DEFAULT
    outlay = np.full((steps, steps), np.inf)
    for start in range(0, steps, homes.window_steps):
        here = np.s_[start : start + homes.window_steps]
        outlay[here, here] = change[None, here] - change[here, None] + homes.discomfort_eur_per_kwh[home]
    allowed = np.isfinite(outlay)
    leaves = np.array([(np.arange(16) // 4 == step) for step in range(4)], dtype=float)
    comes = np.array([(np.arange(16) % 4 == step) for step in range(4)], dtype=float)
    most = homes.share[home] * np.concatenate([BASE[home], np.full(4, BASE[home].max())])
    bounds = [(0, None if each else 0) for each in allowed.ravel()]
    cost = np.where(allowed, outlay, 0).ravel()
    return float(linprog(cost, A_ub=np.vstack([leaves, comes]), b_ub=most, bounds=bounds).fun)


@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("discomfort", [(0.001, 0.02), (0.03, 0.06), (0.2, 0.3)])
def test_moves_are_those_of_the_linear_program(window, discomfort):
    homes = shifting(window=window, discomfort=discomfort)
    answer = homes.respond(BASE, DEFAULT, ASKED)
    np.testing.assert_allclose(answer.demand_kwh.sum(axis=1), BASE.sum(axis=1))
    assert (answer.demand_kwh >= (1 - homes.share[:, None]) * BASE - 1e-12).all()
    gained = [-BASE[home] @ (ASKED - DEFAULT) - least_outlay_eur(homes, home) for home in range(2)]
    np.testing.assert_allclose(answer.surplus_change_eur, gained, atol=1e-9)


def test_no_more_comes_into_a_step_than_there_is_room_for():
    """Of 4 kWh a quarter may move; the cheapest step takes a quarter of the largest demand, 0.5, the next the rest."""
    homes = ShiftingHomes(np.array([0.25]), np.array([0.01]), window_steps=4)
    answer = homes.respond(np.array([[2.0, 2.0, 0.0, 0.0]]), np.full(4, 0.3), np.array([0.4, 0.39, 0.2, 0.1]))
    np.testing.assert_allclose(answer.demand_kwh, [[1.5, 1.5, 0.5, 0.5]])
    np.testing.assert_allclose(answer.surplus_change_eur, [-(0.15 + 0.135 - 0.05 - 0.1) - 0.01])


def test_nothing_moves_at_the_default_prices_however_uneven():
    answer = shifting(discomfort=(1e-4, 1e-4)).respond(BASE, DEFAULT, DEFAULT)
    np.testing.assert_array_equal(answer.demand_kwh, BASE)
    np.testing.assert_allclose(answer.surplus_change_eur, 0, atol=1e-12)


@pytest.mark.parametrize(("tie", "moved"), [("stay", 0.0), ("for_seller", 0.5), ("against_seller", 0.0)])
@pytest.mark.parametrize("off", [0.0, 4e-6, -4e-6])
def test_a_saving_equal_to_the_discomfort_is_a_tie_and_is_worth_nothing(tie, moved, off):
    homes = ShiftingHomes(np.array([0.5]), np.array([0.05]), window_steps=2, tie=tie)
    asked, cost = np.array([0.30, 0.25 + off]), np.array([0.2, 0.05])
    answer = homes.respond(np.array([[1.0, 0.0]]), np.full(2, 0.3), asked, cost_eur_per_kwh=cost)
    np.testing.assert_allclose(answer.demand_kwh, [[1 - moved, moved]])
    np.testing.assert_allclose(answer.surplus_change_eur, 0, atol=1e-5)


@pytest.mark.parametrize(("tie", "target"), [("for_seller", 1), ("against_seller", 2)])
def test_of_two_steps_as_cheap_the_tie_decides(tie, target):
    homes = ShiftingHomes(np.array([0.5]), np.array([0.01]), window_steps=3, tie=tie)
    asked, cost = np.array([0.3, 0.2, 0.2]), np.array([0.1, 0.02, 0.09])
    answer = homes.respond(np.array([[1.0, 0.0, 0.0]]), np.full(3, 0.3), asked, cost_eur_per_kwh=cost)
    assert answer.demand_kwh[0, target] == 0.5


prices = st.lists(st.floats(0.15, 0.45), min_size=4, max_size=4).map(np.array)


@settings(max_examples=60, deadline=None)
@given(asked=prices)
def test_no_home_is_worse_off_by_more_than_its_old_demand_costs_more(asked):
    customers = Customers(elastic(), shifting())
    answer = customers.respond(BASE, DEFAULT, asked)
    assert (answer.surplus_change_eur >= -BASE @ (asked - DEFAULT) - 1e-12).all()
    assert ((answer.demand_kwh - BASE) @ (asked - DEFAULT) <= 1e-12).all()  # demand falls where it became dearer


def test_both_parts_add_up():
    both = Customers(elastic(), shifting()).respond(BASE, DEFAULT, ASKED)
    share = np.array([[0.25], [0.5]])
    rest = elastic().respond((1 - share) * BASE, DEFAULT, ASKED)
    moved = replace(shifting(), share=np.ones(2)).respond(share * BASE, DEFAULT, ASKED)
    np.testing.assert_allclose(both.demand_kwh, rest.demand_kwh + moved.demand_kwh)
    np.testing.assert_allclose(both.surplus_change_eur, rest.surplus_change_eur + moved.surplus_change_eur)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ElasticHomes(np.array([-0.1]), np.array([0.0]), 1.0), "own is negative: lowest value -0.1"),
        (lambda: ElasticHomes(np.array([0.1]), np.zeros(2), 1.0), "shift has shape"),
        (lambda: ElasticHomes(np.array([0.1]), np.zeros(1), 0.0), "reach_steps is 0, expected above 0"),
        (lambda: ShiftingHomes(np.array([1.2]), np.ones(1), 1), "share must lie within 0..1: highest is 1.2"),
        (lambda: ShiftingHomes(np.array([0.2]), np.ones(1), 0), "window_steps is 0, expected 1 or above"),
        (lambda: ShiftingHomes(np.array([0.2]), np.zeros(1), 1), "discomfort is 0 EUR/kWh, expected above 0"),
        (lambda: ShiftingHomes(np.array([0.2]), np.ones(2), 1), "discomfort_eur_per_kwh has shape"),
        (
            lambda: Customers(ElasticHomes(np.zeros(2), np.zeros(2), 1.0), ShiftingHomes(np.zeros(3), np.ones(3), 1)),
            "2 homes are elastic and 3 shift",
        ),
        (lambda: elastic().respond(BASE[:1], DEFAULT, ASKED), r"base_kwh has shape \(1, 4\), expected \(2, H\)"),
        (lambda: elastic().respond(BASE, DEFAULT * 0, ASKED), "default_eur_per_kwh must be positive"),
        (lambda: shifting().respond(BASE, DEFAULT, ASKED * np.nan), "buy_eur_per_kwh has 4 values"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(PhysicsError, match=message):
        make()
