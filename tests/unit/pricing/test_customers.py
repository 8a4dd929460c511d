"""How homes answer prices: hand arithmetic, the area under their demand by quadrature, and moves by trying them all."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.customers import Customers, ElasticHomes, ShiftingHomes

BASE = np.array([[2.0, 1.0, 0.5, 3.0], [0.5, 0.0, 4.0, 1.0]])
DEFAULT = np.array([0.30, 0.25, 0.20, 0.40])
ASKED = np.array([0.20, 0.30, 0.25, 0.35])


def elastic() -> ElasticHomes:
    return ElasticHomes(own=np.array([0.05, 0.2]), shift=np.array([0.3, 0.1]), reach_steps=2.0)


def shifting(tie="stay", reach=2, trouble=0.03) -> ShiftingHomes:
    return ShiftingHomes(share=np.array([0.25, 0.5]), reach_steps=reach, trouble_eur_per_kwh=trouble, tie=tie)


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


def tried_all(homes: ShiftingHomes, step: int) -> float:
    """The least that a kWh of `step` can cost its home, by trying every target."""
    return min(
        ASKED[to] + max(homes.trouble_eur_per_kwh * abs(to - step), DEFAULT[step] - DEFAULT[to])
        for to in range(4)
        if abs(to - step) <= homes.reach_steps
    )


@pytest.mark.parametrize("reach", [0, 1, 3])
@pytest.mark.parametrize("trouble", [0.0, 0.03, 0.2])
def test_what_moves_goes_where_nothing_is_cheaper(reach, trouble):
    homes = shifting(reach=reach, trouble=trouble)
    answer = homes.respond(BASE, DEFAULT, ASKED)
    np.testing.assert_allclose(answer.demand_kwh.sum(axis=1), BASE.sum(axis=1))
    least = np.array([tried_all(homes, step) for step in range(4)])
    share = homes.share[:, None]
    outlay = (1 - share) * BASE @ ASKED[:, None] + share * BASE @ least[:, None]
    np.testing.assert_allclose(answer.surplus_change_eur, BASE @ DEFAULT - outlay[:, 0])


def test_nothing_moves_at_the_default_prices_however_uneven():
    answer = shifting(reach=3, trouble=0.0).respond(BASE, DEFAULT, DEFAULT)
    np.testing.assert_array_equal(answer.demand_kwh, BASE)
    np.testing.assert_allclose(answer.surplus_change_eur, 0, atol=1e-12)


@pytest.mark.parametrize(("tie", "target"), [("stay", 1), ("for_seller", 0), ("against_seller", 2)])
def test_a_tie_is_broken_as_told_and_is_worth_the_same_to_the_home(tie, target):
    homes = ShiftingHomes(share=np.array([1.0]), reach_steps=1, trouble_eur_per_kwh=0.0, tie=tie)
    cost = np.array([0.01, 0.05, 0.09])
    answer = homes.respond(np.array([[0.0, 1.0, 0.0]]), np.full(3, 0.3), np.full(3, 0.2), cost_eur_per_kwh=cost)
    assert answer.demand_kwh.argmax() == target
    np.testing.assert_allclose(answer.surplus_change_eur, 0.1)


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
    all_of_it = ShiftingHomes(share=np.ones(2), reach_steps=2, trouble_eur_per_kwh=0.03)
    moved = all_of_it.respond(share * BASE, DEFAULT, ASKED)
    np.testing.assert_allclose(both.demand_kwh, rest.demand_kwh + moved.demand_kwh)
    np.testing.assert_allclose(both.surplus_change_eur, rest.surplus_change_eur + moved.surplus_change_eur)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ElasticHomes(np.array([-0.1]), np.array([0.0]), 1.0), "own is negative: lowest value -0.1"),
        (lambda: ElasticHomes(np.array([0.1]), np.zeros(2), 1.0), "shift has shape"),
        (lambda: ElasticHomes(np.array([0.1]), np.zeros(1), 0.0), "reach_steps is 0, expected above 0"),
        (lambda: ShiftingHomes(np.array([1.2]), 1, 0.0), "share must lie within 0..1: highest is 1.2"),
        (lambda: ShiftingHomes(np.array([0.2]), -1, 0.0), "reach_steps is -1, expected 0 or above"),
        (lambda: ShiftingHomes(np.array([0.2]), 1, -0.1), "trouble_eur_per_kwh is -0.1, expected 0 or above"),
        (
            lambda: Customers(ElasticHomes(np.zeros(2), np.zeros(2), 1.0), ShiftingHomes(np.zeros(3), 1, 0.0)),
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
