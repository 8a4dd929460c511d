"""Retail prices against hand-derived optima, brute force, and the conditions of optimality."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.demand import consumer_surplus_eur
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.pricing.retail import DefaultTariff, ElasticQp, Flat, elastic_demand_kwh, expected_profit_eur


def _problem(demand, wholesale, default, levies=0.0, feed_in=0.0):
    demand = np.atleast_2d(np.array(demand, dtype=float))
    horizon = demand.shape[1]
    return RetailProblem(
        demand_kwh=demand,
        wholesale_eur_per_kwh=np.broadcast_to(np.array(wholesale, dtype=float), horizon).copy(),
        default_eur_per_kwh=np.broadcast_to(np.array(default, dtype=float), horizon).copy(),
        levies_eur_per_kwh=levies,
        feed_in_eur_per_kwh=np.broadcast_to(np.array(feed_in, dtype=float), horizon).copy(),
    )


def _solve(problem, **options):
    homes, horizon_steps = problem.demand_kwh.shape
    return ElasticQp(homes=homes, horizon_steps=horizon_steps, options=RetailOptions(**options)).price(problem)


@pytest.fixture
def evening():
    """Two steps, night and evening; a home that lives in the evening and one that does not."""
    return _problem([[1.0, 3.0], [2.0, 1.0]], wholesale=[0.05, 0.20], default=0.30, levies=0.10)


def test_monopoly_price_of_a_linear_demand():
    # Demand 100 - 2p at a unit cost of 10, split into wholesale and levies: p = 30, q = 40, profit 800 (textbook).
    problem = _problem([[20.0]], wholesale=4.0, default=40.0, levies=6.0)
    prices = _solve(problem, cap_eur_per_kwh=50.0, elasticity=-4.0)
    assert prices.buy_eur_per_kwh == pytest.approx([30.0], abs=1e-5)
    assert elastic_demand_kwh(problem, prices.buy_eur_per_kwh, -4.0) == pytest.approx([40.0], abs=1e-5)
    assert expected_profit_eur(problem, prices.buy_eur_per_kwh, -4.0) == pytest.approx(800.0, abs=1e-6)
    assert (prices.status, prices.solver, prices.fallback, prices.binding) == ("optimal", "PIQP_DENSE", False, ())
    assert 0 < prices.solve_s < prices.total_s


@pytest.mark.parametrize("matrix", [False, True])
def test_what_answers_may_be_more_than_what_is_drawn(matrix):
    # Homes draw 20 but consume 40, the rest from their roofs; 40 x -2 / 40 is the slope of 100 - 2p as above.
    problem = replace(_problem([[20.0]], wholesale=4.0, default=40.0, levies=6.0), responsive_kwh=np.array([40.0]))
    if matrix:
        problem = replace(problem, elasticity=np.array([[-2.0]]))
    prices = _solve(problem, cap_eur_per_kwh=50.0, elasticity=-2.0)
    assert prices.buy_eur_per_kwh == pytest.approx([30.0], abs=1e-5)
    assert elastic_demand_kwh(problem, np.array([30.0]), -2.0) == pytest.approx([40.0])
    assert expected_profit_eur(problem, np.array([30.0]), -2.0) == pytest.approx(800.0)
    assert consumer_surplus_eur(problem, np.array([30.0]), -2.0) == pytest.approx(400.0)


def test_what_answers_has_the_shape_of_a_horizon_and_is_no_debt():
    problem = _problem([[1.0, 2.0]], wholesale=0.05, default=0.3)
    with pytest.raises(PhysicsError, match=r"responsive_kwh has shape \(1,\), expected \(2,\)"):
        replace(problem, responsive_kwh=np.array([1.0]))
    with pytest.raises(PhysicsError, match="responsive_kwh"):
        replace(problem, responsive_kwh=np.array([1.0, -1.0]))


@pytest.mark.parametrize(
    ("options", "price", "binding"),
    [
        ({"cap_eur_per_kwh": 25.0}, 25.0, ("cap at step 0",)),
        ({"cap_eur_per_kwh": 90.0, "floor_eur_per_kwh": 35.0}, 35.0, ("floor at step 0",)),
    ],
)
def test_a_limit_in_the_way_of_the_optimum_binds(options, price, binding):
    prices = _solve(_problem([[20.0]], wholesale=10.0, default=40.0), elasticity=-4.0, **options)
    assert prices.buy_eur_per_kwh == pytest.approx([price], abs=1e-5)
    assert prices.binding == binding


def test_the_feed_in_price_is_a_floor():
    prices = _solve(_problem([[20.0]], wholesale=10.0, default=40.0, feed_in=33.0), cap_eur_per_kwh=90.0, elasticity=-4)
    assert prices.buy_eur_per_kwh == pytest.approx([33.0], abs=1e-5)
    assert prices.binding == ("feed-in price at step 0",)


def test_demand_is_never_priced_below_zero():
    # At a unit cost of 500 every kWh of step 1 is a loss, and a price of 200 would turn its linear demand negative: a
    # loss on less than nothing, a gain on paper. Demand ends at 60 (1 + 1/4) = 75.
    problem = _problem([[10.0, 1.0]], wholesale=[0.0, 500.0], default=60.0)
    prices = _solve(problem, cap_eur_per_kwh=1000.0, elasticity=-4.0)
    assert prices.buy_eur_per_kwh == pytest.approx([37.5, 75.0], abs=1e-4)
    assert elastic_demand_kwh(problem, prices.buy_eur_per_kwh, -4.0)[1] == pytest.approx(0.0, abs=1e-4)
    assert prices.binding == ("choke price at step 1",)


def test_the_promise_binds_where_demand_hardly_answers(evening):
    prices = _solve(evening, elasticity=-0.08)
    bills = evening.demand_kwh @ prices.buy_eur_per_kwh
    assert (bills <= evening.demand_kwh @ evening.default_eur_per_kwh * (1 + 1e-6)).all()
    assert any(entry.startswith("promise to home") for entry in prices.binding)
    unbound = _solve(_problem([[1.0, 3.0], [2.0, 1.0]], [0.05, 0.20], 10.0, 0.10), elasticity=-0.08)
    assert unbound.binding == ("cap at step 0", "cap at step 1")


def test_one_home_alone_meets_its_promise_as_lagrange_has_it():
    # max (p-c)'d(p) with slope a = -e D / p_def and promise D'p = D'p_def: p = (D(1-e) + a c - u D) / 2a, so that
    # p = p_def (1-e-u) / (-2e) + c/2; u from the promise. By hand, with D = (1, 3), p_def = .3, e = -.5, c = (.15, .3).
    d, c, default, e = np.array([1.0, 3.0]), np.array([0.15, 0.30]), 0.30, -0.5
    u = (1 - e) + 2 * e * (d.sum() * default - d @ c / 2) / (d.sum() * default)
    expected = default * (1 - e - u) / (-2 * e) + c / 2
    assert expected == pytest.approx([0.24375, 0.31875])
    prices = _solve(_problem([d], wholesale=[0.05, 0.20], default=default, levies=0.10), elasticity=e)
    assert prices.buy_eur_per_kwh == pytest.approx(expected, abs=1e-6)
    assert prices.binding == ("promise to home 0",)


@pytest.mark.parametrize("elasticity", [-0.08, -0.5, -2.0])
def test_brute_force_finds_nothing_better(evening, elasticity):
    options = {"cap_eur_per_kwh": 0.45, "floor_eur_per_kwh": 0.10, "elasticity": elasticity}
    prices = _solve(evening, **options)
    best = expected_profit_eur(evening, prices.buy_eur_per_kwh, elasticity)
    allowed = evening.demand_kwh @ evening.default_eur_per_kwh
    grid = np.linspace(0.10, 0.45, 141)
    tried = [
        expected_profit_eur(evening, np.array(pair), elasticity)
        for pair in itertools.product(grid, grid)
        if (evening.demand_kwh @ pair <= allowed + 1e-12).all()
    ]
    assert best == pytest.approx(max(tried), rel=1e-3)
    assert best >= max(tried) - 1e-6


def test_a_ramp_holds_between_all_steps():
    problem = _problem([[1.0, 1.0, 1.0, 1.0]], wholesale=[0.05, 0.4, 0.05, 0.4], default=0.30, levies=0.05)
    free = _solve(problem, elasticity=-0.5).buy_eur_per_kwh
    held = _solve(problem, elasticity=-0.5, ramp_eur_per_kwh=0.02)
    assert np.abs(np.diff(free)).min() > 0.1
    assert np.abs(np.diff(held.buy_eur_per_kwh)).max() <= 0.02 + 1e-6
    assert {"ramp at step 1", "ramp at step 2", "ramp at step 3"} <= set(held.binding)


@pytest.mark.parametrize("wholesale", [[0.05, 0.4], [0.4, 0.05]])
def test_a_ramp_holds_both_ways(wholesale):
    prices = _solve(
        _problem([[1.0, 1.0]], wholesale, default=0.30, levies=0.05), elasticity=-0.5, ramp_eur_per_kwh=0.02
    )
    assert np.abs(np.diff(prices.buy_eur_per_kwh)) == pytest.approx([0.02], abs=1e-6)


def test_a_step_without_demand_keeps_the_default_price():
    prices = _solve(_problem([[1.0, 0.0, 1.0]], wholesale=0.1, default=[0.3, 0.2, 0.3]), elasticity=-0.1)
    assert prices.buy_eur_per_kwh[1] == pytest.approx(0.2, abs=1e-4)


def test_a_horizon_without_demand_keeps_the_default_prices():
    prices = _solve(_problem([[0.0, 0.0]], wholesale=0.1, default=[0.3, 0.2]))
    assert prices.buy_eur_per_kwh == pytest.approx([0.3, 0.2], abs=1e-4)
    assert not prices.fallback


def test_limits_that_leave_one_price_give_that_price():
    prices = _solve(_problem([[1.0, 2.0]], wholesale=0.1, default=0.3), cap_eur_per_kwh=0.3, floor_eur_per_kwh=0.3)
    assert prices.buy_eur_per_kwh.tolist() == [0.3, 0.3]
    assert prices.status == "optimal"


@pytest.mark.parametrize("pricer", [Flat, ElasticQp])
@pytest.mark.parametrize(
    ("problem", "options", "reason"),
    [
        (
            _problem([[1.0, 1.0]], 0.1, 0.3, feed_in=[0.1, 0.7]),
            {"cap_eur_per_kwh": 0.6},
            "feed-in price exceeds cap at step 1 by 0.1 EUR/kWh",
        ),
        (
            _problem([[1.0, 1.0], [0.0, 2.0]], 0.1, [0.3, 0.2]),
            {"floor_eur_per_kwh": 0.25},
            "promise to home 1 fails by 0.25 of its default bill even at the lowest prices",
        ),
    ],
)
def test_what_cannot_be_kept_falls_back_to_the_default_and_says_why(pricer, problem, options, reason, caplog):
    homes, horizon_steps = problem.demand_kwh.shape
    prices = pricer(homes=homes, horizon_steps=horizon_steps, options=RetailOptions(**options)).price(problem)
    assert (prices.fallback, prices.status, prices.reason, prices.binding) == (True, "infeasible", reason, ())
    assert prices.buy_eur_per_kwh.tolist() == problem.default_eur_per_kwh.tolist()
    assert prices.buy_eur_per_kwh is not problem.default_eur_per_kwh
    assert f"the default tariff stands in: {reason}" in caplog.text


def test_a_ramp_that_cannot_be_kept_is_named_with_what_it_lacks():
    problem = _problem([[1.0, 1.0]], 0.1, 0.9, feed_in=[0.0, 0.6])
    pricer = ElasticQp(homes=1, horizon_steps=2, options=RetailOptions(ramp_eur_per_kwh=0.01))
    fine = pricer.price(problem)
    assert fine.status == "optimal"
    choked = _problem([[1.0, 1.0]], 0.1, [0.1, 0.9], feed_in=[0.0, 0.6])
    pricer = ElasticQp(homes=1, horizon_steps=2, options=RetailOptions(ramp_eur_per_kwh=0.01, elasticity=-1.0))
    prices = pricer.price(choked)
    assert (prices.fallback, prices.status) == (True, "infeasible")
    # The price of step 1 is at least 0.6, that of step 0 at most its choke price 0.2: the ramp lacks 0.4 - 0.01.
    assert prices.reason == "ramp at step 1 would have to give by 0.39 EUR/kWh"
    assert prices.solver == "CLARABEL"


def _unlike_homes(seed):
    """Return 600 homes over 6 steps: 24 promises stand in the program, the others are added when broken."""
    rng = np.random.default_rng(seed)
    demand = rng.gamma(2.0, 1.0, (600, 6)) * rng.uniform(0.2, 5.0, (600, 1))
    return _problem(demand, wholesale=rng.uniform(0.0, 0.5, 6), default=rng.uniform(0.2, 0.4, 6), levies=0.05)


@pytest.mark.parametrize("seed", [0, 1])
def test_many_homes_give_the_same_prices_as_all_promises_at_once(monkeypatch, seed):
    # Forgetting the promises that bind while adding the broken ones goes round in circles here.
    problem = _unlike_homes(seed)
    monkeypatch.setattr("vpp_sim.pricing.retail._MIN_ROWS", 1)
    some = _solve(problem, elasticity=-2.0)
    monkeypatch.setattr("vpp_sim.pricing.retail._MIN_ROWS", 600)
    every = _solve(problem, elasticity=-2.0)
    assert some.status == every.status == "optimal"
    assert some.buy_eur_per_kwh == pytest.approx(every.buy_eur_per_kwh, abs=1e-5)


def test_promises_that_do_not_settle_fall_back(monkeypatch):
    problem = _unlike_homes(0)
    monkeypatch.setattr("vpp_sim.pricing.retail._MIN_ROWS", 1)
    monkeypatch.setattr("vpp_sim.pricing.retail.ElasticQp.max_rounds", 1)
    prices = _solve(problem, elasticity=-2.0)
    assert (prices.fallback, prices.reason) == (True, "promises are still broken after 1 rounds")
    assert (prices.buy_eur_per_kwh == problem.default_eur_per_kwh).all()


def test_the_default_tariff_is_left_as_it_is():
    default = np.array([0.2, 0.5, 0.3])
    problem = RetailProblem(np.ones((1, 3)), np.array([0.1, -0.1, 0.4]), default, 0.1, np.zeros(3))
    prices = DefaultTariff(homes=1, horizon_steps=3).price(problem)
    assert prices.buy_eur_per_kwh.tolist() == [0.2, 0.5, 0.3]
    assert (prices.status, prices.fallback) == ("rule", False)


def test_flat_is_the_default_where_the_default_is_flat():
    prices = Flat(homes=1, horizon_steps=3).price(_problem([[1.0, 2.0, 0.1]], wholesale=0.1, default=0.3))
    assert prices.buy_eur_per_kwh.tolist() == [0.3, 0.3, 0.3]
    assert (prices.status, prices.fallback) == ("rule", False)


def test_flat_keeps_the_promise_to_the_home_with_the_cheapest_hours():
    # Default bills per kWh: (1*.2 + 3*.4)/4 = .35 and (2*.2 + 1*.4)/3 = .2667.
    prices = Flat(homes=2, horizon_steps=2).price(_problem([[1.0, 3.0], [2.0, 1.0]], wholesale=0.1, default=[0.2, 0.4]))
    assert prices.buy_eur_per_kwh == pytest.approx([0.8 / 3, 0.8 / 3])
    assert prices.binding == ("promise to home 1",)


def test_flat_stays_below_the_cap():
    pricer = Flat(homes=1, horizon_steps=2, options=RetailOptions(cap_eur_per_kwh=0.25))
    prices = pricer.price(_problem([[1.0, 1.0]], wholesale=0.1, default=0.3))
    assert prices.buy_eur_per_kwh.tolist() == [0.25, 0.25]
    assert prices.binding == ("cap at step 0", "cap at step 1")


def test_flat_without_demand_takes_the_lowest_default():
    prices = Flat(homes=1, horizon_steps=2).price(_problem([[0.0, 0.0]], wholesale=0.1, default=[0.3, 0.2]))
    assert prices.buy_eur_per_kwh.tolist() == [0.2, 0.2]


def test_flat_falls_back_where_one_price_cannot_do():
    prices = Flat(homes=1, horizon_steps=2).price(_problem([[1.0, 1.0]], 0.1, [0.2, 0.6], feed_in=[0.1, 0.5]))
    assert prices.fallback
    assert prices.reason == "the flat price 0.4 EUR/kWh lies below the lowest allowed by 0.1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cap_eur_per_kwh": 0.1, "floor_eur_per_kwh": 0.2}, "floor 0.2 exceeds cap 0.1"),
        ({"elasticity": 0.1}, "elasticity is 0.1, expected 0 or below"),
        ({"ramp_eur_per_kwh": -0.1}, "ramp is -0.1 EUR/kWh, expected 0 or above"),
        ({"cap_eur_per_kwh": np.inf}, "retail options must be finite"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(PhysicsError, match=message):
        RetailOptions(**options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"default_eur_per_kwh": np.array([0.3, 0.0])}, "default_eur_per_kwh must be positive: lowest is 0"),
        ({"demand_kwh": np.array([[1.0, -1.0]])}, "demand_kwh is negative"),
        ({"demand_kwh": np.array([1.0, 1.0])}, r"demand_kwh has shape \(2,\), expected \(n, H\)"),
        ({"wholesale_eur_per_kwh": np.array([0.1])}, r"wholesale_eur_per_kwh has shape \(1,\), expected \(2,\)"),
        ({"feed_in_eur_per_kwh": np.array([0.1, np.nan])}, "feed_in_eur_per_kwh has 1 values that are not finite"),
        ({"levies_eur_per_kwh": np.nan}, "levies_eur_per_kwh has 1 values that are not finite"),
    ],
)
def test_bad_problems_are_refused(changes, message):
    good = _problem([[1.0, 1.0]], 0.1, 0.3)
    fields = {name: getattr(good, name) for name in RetailProblem.__dataclass_fields__}
    with pytest.raises(PhysicsError, match=message):
        RetailProblem(**{**fields, **changes})


@pytest.mark.parametrize("pricer", [Flat, ElasticQp])
def test_another_size_than_promised_is_refused(pricer):
    with pytest.raises(PhysicsError, match=r"demand_kwh has shape \(1, 2\), expected \(3, 2\)"):
        pricer(homes=3, horizon_steps=2).price(_problem([[1.0, 1.0]], 0.1, 0.3))
    with pytest.raises(PhysicsError, match="a pricer needs homes and steps, not 0 and 2"):
        pricer(homes=0, horizon_steps=2)
