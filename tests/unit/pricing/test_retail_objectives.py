"""Cross elasticities, objectives, and limits on revenue, demand and profit, against algebra and another optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.demand import (
    Gain,
    Response,
    consumer_surplus_eur,
    elastic_demand_kwh,
    expected_profit_eur,
    surplus_change_eur,
)
from vpp_sim.pricing.limits import Limits
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.pricing.retail import ElasticQp

_WIDE = {"cap_eur_per_kwh": 9.0, "floor_eur_per_kwh": -9.0}


def _problem(demand=((1.0, 3.0, 2.0), (2.0, 1.0, 1.0)), wholesale=(0.05, 0.20, 0.10), default=0.30, **rest):
    demand = np.array(demand, dtype=float)
    horizon = demand.shape[1]
    return RetailProblem(
        demand_kwh=demand,
        wholesale_eur_per_kwh=np.broadcast_to(np.array(wholesale, dtype=float), horizon).copy(),
        default_eur_per_kwh=np.broadcast_to(np.array(default, dtype=float), horizon).copy(),
        levies_eur_per_kwh=rest.pop("levies", 0.1),
        feed_in_eur_per_kwh=np.full(horizon, rest.pop("feed_in", -9.0)),
        **rest,
    )


def _solve(problem, **options):
    homes, horizon_steps = problem.demand_kwh.shape
    return ElasticQp(homes=homes, horizon_steps=horizon_steps, options=RetailOptions(**options)).price(problem)


_CROSS = np.array([[-0.9, 0.1, 0.05], [0.15, -1.1, 0.1], [0.05, 0.2, -0.8]])


def _by_slsqp(problem, objective, elasticity, upper=9.0, lower=-9.0, limits=()):
    """Return the optimum of another optimiser, from the textbook's formulas and nothing of the program's."""
    default, demand = problem.default_eur_per_kwh, problem.demand_kwh

    def loss(price):
        gain = expected_profit_eur(problem, price, elasticity)
        if objective == "welfare":
            gain += surplus_change_eur(problem, price, elasticity)
        return -gain

    promise = {"type": "ineq", "fun": lambda price: demand @ (default - price)}
    found = minimize(
        loss, default, method="SLSQP", bounds=[(lower, upper)] * default.size,
        constraints=[promise, *limits], options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert found.success
    return found.x


@pytest.mark.parametrize("objective", ["profit", "welfare"])
@pytest.mark.parametrize("upper", [9.0, 0.33])
def test_a_matrix_of_elasticities_gives_what_another_optimiser_finds(objective, upper):
    problem = _problem(elasticity=_CROSS)
    prices = _solve(problem, objective=objective, cap_eur_per_kwh=upper, floor_eur_per_kwh=-9.0)
    assert prices.status == "optimal"
    assert prices.buy_eur_per_kwh == pytest.approx(_by_slsqp(problem, objective, _CROSS, upper), abs=2e-5)


@pytest.mark.parametrize("objective", ["profit", "welfare", "peak"])
def test_a_diagonal_matrix_is_the_number_on_it(objective):
    one = _solve(_problem(), objective=objective, elasticity=-0.4)
    other = _solve(_problem(elasticity=-0.4 * np.eye(3)), objective=objective)
    assert other.buy_eur_per_kwh == pytest.approx(one.buy_eur_per_kwh, abs=2e-5)


def test_profit_without_limits_solves_the_first_order_conditions():
    # D + B (p - p_def) + B' (p - c) = 0, at a default so high that no promise binds.
    problem = _problem(default=0.9, elasticity=3 * _CROSS)
    total = problem.demand_kwh.sum(axis=0)
    slope = total[:, None] * 3 * _CROSS / 0.9
    cost = problem.wholesale_eur_per_kwh + 0.1
    expected = np.linalg.solve(slope + slope.T, slope @ np.full(3, 0.9) + slope.T @ cost - total)
    prices = _solve(problem, **_WIDE)
    assert prices.binding == ()
    assert prices.buy_eur_per_kwh == pytest.approx(expected, abs=1e-5)


def test_welfare_without_limits_prices_at_marginal_cost():
    prices = _solve(_problem(), objective="welfare", elasticity=-0.3)
    assert prices.buy_eur_per_kwh == pytest.approx([0.15, 0.30, 0.20], abs=1e-5)


def test_a_new_matrix_needs_no_new_compilation():
    pricer = ElasticQp(homes=2, horizon_steps=3)
    first = pricer.price(_problem(elasticity=_CROSS))
    program = pricer._programs[True, False]._attempts[0][0]
    compiled = program._cache.param_prog
    second = pricer.price(_problem(elasticity=_CROSS - np.diag([0.0, 0.5, 0.0])))
    assert program._cache.param_prog is compiled
    assert np.abs(first.buy_eur_per_kwh - second.buy_eur_per_kwh).max() > 1e-3
    third = ElasticQp(homes=2, horizon_steps=3).price(_problem(elasticity=_CROSS - np.diag([0.0, 0.5, 0.0])))
    assert third.buy_eur_per_kwh.tobytes() == second.buy_eur_per_kwh.tobytes()


def test_curvature_of_the_wrong_sign_is_flattened_and_noted():
    # Symmetric part of -E with demand 1 each and p_def .3: eigenvalues (.1 -+ .3) / .3; the negative one, 2/4 of the
    # largest, goes. The price keeps to the limits, where the margin would have grown for ever.
    matrix = np.array([[-0.1, 0.3], [0.3, -0.1]])
    problem = _problem(demand=[[1.0, 1.0]], wholesale=[0.1, 0.1], elasticity=matrix)
    response = Response.of(problem, matrix)
    assert np.linalg.eigvalsh(response.curvature) == pytest.approx([0.0, 0.4 / 0.3], abs=1e-9)
    prices = _solve(problem, cap_eur_per_kwh=0.4, floor_eur_per_kwh=0.2)
    assert prices.notes == ("elasticities leave the margin unbounded: negative curvature of 0.5 was set to zero",)
    assert prices.status == "optimal"
    assert _solve(_problem(elasticity=_CROSS)).notes == ()


def test_demand_is_not_driven_below_zero_by_other_prices():
    # The price of step 1 lifts step 0's demand, and the price of step 0 chokes it: pricing steps 0 and 1 apart pays.
    matrix = np.array([[-3.0, 0.0], [2.9, -3.0]])
    problem = _problem(demand=[[1.0, 1.0]], wholesale=[9.0, 0.0], default=0.9, elasticity=matrix, levies=0.0)
    prices = _solve(problem, cap_eur_per_kwh=20.0, floor_eur_per_kwh=0.0)
    demand = elastic_demand_kwh(problem, prices.buy_eur_per_kwh, matrix)
    assert demand.min() == pytest.approx(0.0, abs=1e-5)
    assert "no demand at step 0" in prices.binding
    assert "no demand at step 1" not in prices.binding


@pytest.mark.parametrize("matrix", [None, -0.5 * np.eye(3), _CROSS])
def test_the_feeder_limit_holds_after_the_response(matrix):
    problem = _problem(elasticity=matrix)
    free, held = (_solve(problem, elasticity=-0.5, feeder_limit_kw=limit, step_h=0.25) for limit in (None, 14.8))
    demand = [
        elastic_demand_kwh(problem, prices.buy_eur_per_kwh, -0.5 if matrix is None else matrix)
        for prices in (free, held)
    ]
    assert demand[0][1] > 3.75
    assert demand[1].max() == pytest.approx(14.8 * 0.25, abs=1e-5)
    assert "feeder limit at step 1" in held.binding
    spared = _solve(
        _problem(elasticity=matrix, export_kwh=np.full(3, 9.0)), elasticity=-0.5, feeder_limit_kw=14.8, step_h=0.25
    )
    assert spared.buy_eur_per_kwh == pytest.approx(free.buy_eur_per_kwh, abs=1e-5)


def test_a_ramp_counts_from_the_price_before_the_horizon():
    # Prices would lie above 0.30 in the first two steps; from 0.28 before they may climb by 0.005 a step.
    free, held = (
        _solve(_problem(before_eur_per_kwh=before), elasticity=-0.3, ramp_eur_per_kwh=ramp)
        for before, ramp in ((None, 0.5), (0.28, 0.005))
    )
    assert free.buy_eur_per_kwh[:2].min() > 0.30
    assert held.buy_eur_per_kwh == pytest.approx([0.285, 0.290, 0.295], abs=1e-7)
    assert held.binding == ("ramp at step 0", "ramp at step 1", "ramp at step 2")
    assert (held.pressure_kwh["ramp"] > 1).all()


def test_the_revenue_cap_holds_on_the_demand_expected():
    problem = _problem()
    held = _solve(problem, elasticity=-0.3, revenue_cap_eur_per_kwh=0.25)
    total = problem.demand_kwh.sum(axis=0)
    assert held.buy_eur_per_kwh @ total / total.sum() == pytest.approx(0.25, abs=1e-6)
    assert held.binding == ("revenue cap",)


def _peak_kwh(problem, price, elasticity):
    return (
        elastic_demand_kwh(problem, price, elasticity) - (0 if problem.export_kwh is None else problem.export_kwh)
    ).max()


@pytest.mark.parametrize("share", [1.0, 0.9])
@pytest.mark.parametrize("export", [None, np.array([0.0, 1.5, 0.0])])
def test_the_peak_is_the_smallest_that_profit_and_promises_allow(share, export):
    # Another optimiser: smallest z above all net imports, with the profit as a smooth constraint.
    problem, elasticity = _problem(export_kwh=export), -0.5
    spared = np.zeros(3) if export is None else export
    usual = expected_profit_eur(problem, problem.default_eur_per_kwh, elasticity)
    found = minimize(
        lambda x: x[3],
        np.append(problem.default_eur_per_kwh, 4.0),
        method="SLSQP",
        bounds=[(0.1, 0.6)] * 3 + [(None, None)],
        constraints=[
            {"type": "ineq", "fun": lambda x: problem.demand_kwh @ (problem.default_eur_per_kwh - x[:3])},
            {"type": "ineq", "fun": lambda x: x[3] - (elastic_demand_kwh(problem, x[:3], elasticity) - spared)},
            {"type": "ineq", "fun": lambda x: expected_profit_eur(problem, x[:3], elasticity) - share * usual},
        ],
        options={"ftol": 1e-10, "maxiter": 500},
    )
    assert found.success
    prices = _solve(problem, objective="peak", elasticity=elasticity, least_profit_share=share, floor_eur_per_kwh=0.1)
    assert _peak_kwh(problem, prices.buy_eur_per_kwh, elasticity) == pytest.approx(found.fun, rel=1e-3)
    assert _peak_kwh(problem, prices.buy_eur_per_kwh, elasticity) < _peak_kwh(
        problem, problem.default_eur_per_kwh, elasticity
    )
    assert expected_profit_eur(problem, prices.buy_eur_per_kwh, elasticity) >= share * usual - 2e-6 * usual


def test_the_peak_objective_keeps_the_whole_profit_unless_told_otherwise():
    problem = _problem()
    default, told = (
        _solve(problem, objective="peak", elasticity=-0.5, **rest) for rest in ({}, {"least_profit_share": 1.0})
    )
    assert default.buy_eur_per_kwh.tobytes() == told.buy_eur_per_kwh.tobytes()


def test_welfare_may_be_told_to_keep_a_profit():
    problem = _problem()
    usual = expected_profit_eur(problem, problem.default_eur_per_kwh, -0.3)
    prices = _solve(problem, objective="welfare", elasticity=-0.3, least_profit_share=0.5)
    assert expected_profit_eur(problem, prices.buy_eur_per_kwh, -0.3) == pytest.approx(usual / 2, rel=1e-4)


def test_a_loss_may_not_grow():
    # At a cost of .4 against a default of .3 every kWh is a loss; the share widens it by a tenth of its size.
    problem = _problem(demand=[[1.0, 1.0]], wholesale=[0.3, 0.3])
    prices = _solve(problem, objective="welfare", elasticity=-0.3, least_profit_share=0.9)
    assert expected_profit_eur(problem, prices.buy_eur_per_kwh, -0.3) >= -0.2 * 1.1 - 1e-6


@pytest.mark.parametrize("matrix", [None, _CROSS])
@pytest.mark.parametrize("objective", ["profit", "welfare"])
def test_pressure_of_the_limits_balances_the_gain(matrix, objective):
    # Karush-Kuhn-Tucker: at the optimum the gain's slope by each price equals what the limits hold back.
    problem = _problem(elasticity=matrix)
    options = RetailOptions(
        objective=objective, elasticity=-0.5, cap_eur_per_kwh=0.32, floor_eur_per_kwh=0.2, ramp_eur_per_kwh=0.05,
        feeder_limit_kw=3.9, revenue_cap_eur_per_kwh=0.29,
    )  # fmt: skip
    prices = ElasticQp(homes=2, horizon_steps=3, options=options).price(problem)
    elasticity = -0.5 if matrix is None else matrix

    def gain(price):
        surplus = surplus_change_eur(problem, price, elasticity) if objective == "welfare" else 0.0
        return expected_profit_eur(problem, price, elasticity) + surplus

    step = 1e-6 * np.eye(3)
    slope = [(gain(prices.buy_eur_per_kwh + h) - gain(prices.buy_eur_per_kwh - h)) / 2e-6 for h in step]
    held = sum(prices.pressure_kwh.values())
    assert prices.binding
    assert np.abs(slope).max() > 0.01
    assert held == pytest.approx(slope, abs=2e-4)


@pytest.mark.parametrize(
    ("options", "status", "reason"),
    [
        # Demand 4 at step 1 falls by 6.667 b at a price of .3 + b. Home 0 draws as much there as elsewhere, so that all
        # other prices fall by b, and their demand of 3 rises by 5 b: most is least at 4 - 6.667 b = 3 + 5 b = 3.4286.
        ({"feeder_limit_kw": 3.0, "cap_eur_per_kwh": 0.4}, "infeasible",
         "feeder limit at step 1 would have to give by 0.4286 kW"),
        ({"revenue_cap_eur_per_kwh": 0.1, "floor_eur_per_kwh": 0.2}, "infeasible",
         "revenue cap fails by 1 of the revenue allowed even at the lowest prices"),
    ],
)  # fmt: skip
def test_limits_that_contradict_each_other_are_named(options, status, reason):
    prices = _solve(_problem(), elasticity=-0.5, **options)
    assert (prices.fallback, prices.status, prices.reason) == (True, status, reason)


def test_a_feeder_limit_beyond_the_reach_of_all_prices_is_named():
    # Demand 4 at step 1 falls by 1.1 * 4 / .3 for each EUR/kWh of its own price, and grows with the others', which a
    # floor of .3 keeps from falling: at a cap of .33 it is 4 (1 - 1.1 * .1) = 3.56, and 3 is missed by .56 kWh in a
    # quarter of an hour, 2.24 kW.
    problem = _problem(elasticity=_CROSS, default=[0.3, 0.4, 0.3])
    wide = _problem(elasticity=_CROSS)
    prices = _solve(wide, cap_eur_per_kwh=0.33, floor_eur_per_kwh=0.3, feeder_limit_kw=12.0, step_h=0.25)
    assert prices.fallback
    assert prices.status == "infeasible"
    assert "feeder limit at step 1 would have to give by" in prices.reason
    assert not _solve(problem, cap_eur_per_kwh=0.9, feeder_limit_kw=15.8, step_h=0.25).fallback


def test_a_profit_out_of_reach_is_named_with_what_it_lacks():
    # A cap of .25 below the default of .3: at most (.25 - .2) a kWh on one that costs .2, and demand grows by a tenth
    # of a sixth: 2 * .05 * (1 + .1/6) = .10167 of the .2 asked.
    problem = _problem(demand=[[1.0, 1.0]], wholesale=[0.1, 0.1])
    prices = _solve(problem, elasticity=-0.1, cap_eur_per_kwh=0.25, least_profit_share=1.0)
    assert prices.fallback
    assert prices.reason == "least profit 0.2 EUR is missed by 0.09833"


def test_surplus_is_the_triangle_under_the_demand():
    problem = _problem()
    price = np.array([0.25, 0.35, 0.30])
    change = consumer_surplus_eur(problem, price, -0.4) - consumer_surplus_eur(
        problem, problem.default_eur_per_kwh, -0.4
    )
    assert surplus_change_eur(problem, price, -0.4) == pytest.approx(change, abs=1e-12)
    with pytest.raises(PhysicsError, match="elasticity is 0, expected below 0"):
        consumer_surplus_eur(problem, price, 0.0)


@pytest.mark.parametrize("objective", ["profit", "welfare"])
@pytest.mark.parametrize("elasticity", [-0.4, _CROSS])
def test_the_gain_is_profit_or_welfare_per_mean_demand(objective, elasticity):
    problem, price = _problem(), np.array([0.2, 0.4, 0.33])
    response = Response.of(problem, elasticity)
    expected = expected_profit_eur(problem, price, elasticity)
    if objective == "welfare":
        expected += surplus_change_eur(problem, price, elasticity)
    assert response.unit_kwh * Gain.of(problem, response, objective).at(price) == pytest.approx(expected, abs=1e-12)


def test_a_step_without_demand_moves_no_other():
    matrix = np.full((3, 3), 0.1) - 0.6 * np.eye(3)
    problem = _problem(demand=[[1.0, 0.0, 2.0]], elasticity=matrix)
    prices = _solve(problem)
    assert prices.notes == ()
    assert prices.buy_eur_per_kwh[1] == pytest.approx(0.3, abs=1e-4)


def test_limits_without_a_response_know_nothing_of_demand():
    limits = Limits.of(_problem(), RetailOptions(feeder_limit_kw=0.1))
    assert (list(limits.floors), list(limits.caps), limits.room) == (["floor", "feed-in price"], ["cap"], None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "revenue"}, "objective is 'revenue', expected one of profit, welfare, peak"),
        ({"least_profit_share": 1.5}, "least_profit_share is 1.5, expected 1 or below"),
        ({"revenue_cap_eur_per_kwh": 0.0}, "revenue cap is 0 EUR/kWh, expected above 0"),
        ({"feeder_limit_kw": -1.0}, "feeder limit is -1 kW, expected 0 or above"),
        ({"step_h": 0.0}, "step_h is 0, expected above 0"),
        ({"feeder_limit_kw": np.nan}, "retail options must be finite"),
    ],
)
def test_bad_aims_are_refused(options, message):
    with pytest.raises(PhysicsError, match=message):
        RetailOptions(**options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elasticity": np.zeros((2, 2))}, r"elasticity has shape \(2, 2\), expected \(3, 3\)"),
        ({"elasticity": np.full((3, 3), np.nan)}, "elasticity has 9 values that are not finite"),
        ({"elasticity": np.diag([-0.1, 0.2, -0.1])}, "own elasticity of step 1 is 0.2, expected 0 or below"),
        ({"export_kwh": np.array([0.0, -1.0, 0.0])}, "export_kwh is negative"),
    ],
)
def test_bad_responses_are_refused(changes, message):
    with pytest.raises(PhysicsError, match=message):
        _problem(**changes)


@pytest.mark.parametrize(
    ("price", "kept"),
    [
        ([0.30, 0.30, 0.30], True),
        ([0.30, 0.30, 0.37], False),  # a step of 0.07
        ([0.34, 0.37, 0.33], False),  # 3 x 0.34 + 4 x 0.37 + 3 x 0.33 = 3.49 for 10 kWh, above 0.34
        ([0.09, 0.12, 0.15], False),  # below the floor
        ([0.10, 0.14, 0.18], True),
        ([0.41, 0.36, 0.31], False),  # above the cap
    ],
)
def test_limits_tell_which_prices_keep_them(price, kept):
    options = RetailOptions(
        cap_eur_per_kwh=0.4, floor_eur_per_kwh=0.1, ramp_eur_per_kwh=0.05, revenue_cap_eur_per_kwh=0.34
    )
    assert Limits.of(_problem(), options).kept(np.array(price)) is kept
