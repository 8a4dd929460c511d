"""Bids over scenarios: known answers, HiGHS against the own method and CVXPY, and what happens without a solution."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from tests.support.bids import position_kwh
from vpp_sim.errors import PhysicsError, SolveError
from vpp_sim.market.wholesale import two_settlement
from vpp_sim.pricing import cvar
from vpp_sim.pricing.bids import BidProblem, Flexibility, PricePaths
from vpp_sim.pricing.copula import ExponentialCopula
from vpp_sim.pricing.cvar import (
    CvarBid,
    DeterministicBid,
    RiskNeutralBid,
    conditional_value_at_risk,
    critical_quantile,
    dispatched_costs,
    foreseen_costs,
)
from vpp_sim.pricing.interior_point import solve_interior_point
from vpp_sim.pricing.two_stage import StageProblem, StageSolution, solve_highs
from vpp_sim.pricing.wholesale import NewsvendorBid

_LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
_BATTERY = Flexibility(charge_kw=4, discharge_kw=4, min_kwh=1, max_kwh=12, initial_kwh=5, wear_eur_per_kwh=0.003)


def _problem(horizon=6, flexibility=None, seed=0, **spreads):
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.normal(5.0, 4.0, (horizon, 5)), axis=1)
    prices = PricePaths.of_spreads(
        rng.uniform(0.02, 0.15, horizon), **{"short_spread": 0.5, "long_spread": 0.3} | spreads
    )
    return BidProblem(quantiles, _LEVELS, prices, flexibility)


def _stage(horizon=6, scenarios=30, weight=0.5, flexibility=_BATTERY, seed=0, negative=False):
    rng = np.random.default_rng(seed)
    net = rng.normal(3.0, 4.0, (scenarios, horizon))
    price = rng.uniform(-0.05 if negative else 0.02, 0.15, (scenarios, horizon))
    return StageProblem(
        net, price, price + 0.4 * np.abs(price), price - 0.3 * np.abs(price), net.min(axis=0) - 4, net.max(axis=0) + 4,
        flexibility, weight, 0.8,
    )  # fmt: skip


def _by_cvxpy(stage):
    """Return the optimal value of the program as a modeller would write it down, position and all."""
    scenarios, horizon = stage.net_kwh.shape
    x, tau, excess = cp.Variable(horizon), cp.Variable(), cp.Variable(scenarios, nonneg=True)
    short, long, charge, discharge = (cp.Variable((scenarios, horizon), nonneg=True) for _ in range(4))
    up, down = stage.premiums
    limits = [x >= stage.lowest_kwh, x <= stage.highest_kwh]
    flexibility, wear = stage.flexibility, 0.0
    if flexibility is None:
        limits += [charge == 0, discharge == 0]
    else:
        wear = flexibility.wear_eur_per_kwh
        stored = flexibility.initial_kwh + cp.cumsum(
            flexibility.charge_efficiency * charge - discharge / flexibility.discharge_efficiency, axis=1
        )
        limits += [charge <= flexibility.charge_kwh, discharge <= flexibility.discharge_kwh]
        limits += [stored >= flexibility.min_kwh, stored <= flexibility.max_kwh, stored[:, -1] >= flexibility.last_kwh]
    limits += [stage.net_kwh + charge - discharge - np.ones((scenarios, 1)) @ x[None] == short - long]
    day_ahead = stage.day_ahead
    cost = cp.sum(
        cp.multiply(day_ahead, np.ones((scenarios, 1)) @ x[None])
        + cp.multiply(day_ahead + up, short) - cp.multiply(day_ahead - down, long) + wear * (charge + discharge),
        axis=1,
    )  # fmt: skip
    risk = tau + cp.sum(excess) / ((1 - stage.level) * scenarios)
    limits += [excess >= cost - tau]
    weight = stage.risk_weight
    problem = cp.Problem(cp.Minimize((1 - weight) * cp.sum(cost) / scenarios + weight * risk), limits)
    return problem.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("flexibility", [None, _BATTERY], ids=["none", "battery"])
@pytest.mark.parametrize("negative", [False, True])
def test_three_solvers_agree(weight, flexibility, negative):
    stage = _stage(weight=weight, flexibility=flexibility, negative=negative)
    highs, own = solve_highs(stage), solve_interior_point(stage)
    assert (highs.status, own.status) == ("optimal", "optimal")
    assert highs.objective_eur == pytest.approx(_by_cvxpy(stage), rel=1e-6, abs=1e-7)
    assert own.objective_eur == pytest.approx(highs.objective_eur, rel=2e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_own_method_agrees_with_highs_on_longer_days(seed, weight):
    stage = _stage(horizon=24, scenarios=40, weight=weight, seed=seed)
    highs, own = solve_highs(stage), solve_interior_point(stage)
    assert own.status == "optimal"
    assert own.objective_eur == pytest.approx(highs.objective_eur, rel=2e-6)
    # The battery of the own solution keeps its limits.
    charged = np.maximum(own.battery_kwh, 0) * 0.95 + np.minimum(own.battery_kwh, 0) / 0.95
    stored = 5 + np.cumsum(charged, axis=1)
    assert np.abs(own.battery_kwh).max() <= 4 + 1e-6
    assert stored.min() >= 1 - 1e-4
    assert stored[:, -1].min() >= 5 - 1e-4


def test_a_position_that_may_not_move_stays_there():
    stage = _stage(scenarios=40)
    fixed = replace(stage, lowest_kwh=np.full(6, 2.0), highest_kwh=np.array([2.0, 9, 9, 9, 9, 9]))
    own, highs = solve_interior_point(fixed), solve_highs(fixed)
    assert own.position_kwh[0] == 2.0
    assert own.objective_eur == pytest.approx(highs.objective_eur, rel=2e-6)


def test_cvar_of_ten_profits():
    # Rockafellar and Uryasev: the worst fifth of {10, 8, ..., -8} is {-6, -8}, the worst tenth {-8}. The mean is 1.
    cost = -np.arange(10.0, -10.0, -2.0)
    assert conditional_value_at_risk(cost, 0.8) == pytest.approx(7.0)
    assert conditional_value_at_risk(cost, 0.9) == pytest.approx(8.0)
    assert conditional_value_at_risk(cost, 0.95) == pytest.approx(8.0)
    assert conditional_value_at_risk(cost, 0.0) == pytest.approx(-1.0)
    # Between two scenarios the next counts in part: the worst 15 % are all of 8 and half of 6.
    assert conditional_value_at_risk(cost, 0.85) == pytest.approx((8 + 0.5 * 6) / 1.5)


@pytest.mark.parametrize("level", [0.0, 0.5, 0.83, 0.97])
def test_cvar_is_the_minimum_of_its_definition(level):
    cost = np.random.default_rng(0).normal(size=57)
    over = [tau + np.maximum(cost - tau, 0).sum() / ((1 - level) * 57) for tau in cost]
    assert conditional_value_at_risk(cost, level) == pytest.approx(min(over))


@pytest.mark.parametrize("cost", [np.empty(0), np.array([np.nan])])
def test_cvar_of_nothing_is_refused(cost):
    with pytest.raises(PhysicsError):
        conditional_value_at_risk(cost, 0.9)


@pytest.mark.parametrize("seed", range(3))
def test_risk_neutral_without_flexibility_is_the_newsvendor(seed):
    problem = _problem(seed=seed)
    decision = RiskNeutralBid().decide(problem)
    price = problem.prices.day_ahead_eur_per_kwh[0]
    newsvendor = position_kwh(NewsvendorBid(), problem.quantiles_kwh, _LEVELS, price, short_spread=0.5, long_spread=0.3)
    assert decision.position_kwh == pytest.approx(newsvendor, abs=1e-12)
    assert (decision.status, decision.solver) == ("closed form", "")


def test_the_program_finds_the_newsvendor_too():
    # The closed form put aside: sampled quantiles lie within one scenario of 400 of the exact one.
    problem = _problem(horizon=3)
    bid = CvarBid(risk_weight=1e-12, scenarios=400).decide(problem)
    assert bid.status == "optimal"
    ratio = 0.5 / 0.8
    reach = 1.5 / 400
    low, high = ([np.interp(ratio + side, _LEVELS, row) for row in problem.quantiles_kwh] for side in (-reach, reach))
    assert (bid.position_kwh >= np.array(low) - 1e-6).all()
    assert (bid.position_kwh <= np.array(high) + 1e-6).all()


def test_a_plant_of_uniform_output_by_hand():
    # Sold at 50, surplus paid 30, shortage costs 80, output U[0, 100]. Mean income grows with the amount y sold by
    # 20 - y/2; that of the worst tenth, where output is U[0, 10], by 20 - 5 y. Weights 1/2: 40 = 5.5 y.
    prices = PricePaths.of_spreads(np.array([50.0]), short_spread=0.6, long_spread=0.4)
    problem = BidProblem(np.array([[-100.0, 0.0]]), np.array([0.0, 1.0]), prices)
    for weight, sold in ((0.0, 40.0), (0.5, 40 / 5.5), (1.0, 4.0)):
        bid = CvarBid(scenarios=1000, risk_weight=weight).decide(problem).position_kwh
        assert bid == pytest.approx([-sold], abs=0.11)


def test_risk_is_bought_with_expected_cost():
    problem = _problem(horizon=8, flexibility=_BATTERY)
    decisions = [CvarBid(scenarios=100, risk_weight=weight).decide(problem) for weight in (0.0, 0.3, 0.7, 1.0)]
    means = [decision.cost_eur.mean() for decision in decisions]
    tails = [conditional_value_at_risk(decision.cost_eur, 0.9) for decision in decisions]
    assert all(np.diff(means) >= -1e-5)
    assert all(np.diff(tails) <= 1e-5)
    assert means[-1] > means[0] + 1e-3
    assert tails[-1] < tails[0] - 1e-3


def test_flexibility_never_costs():
    for seed in range(3):
        worth = []
        for flexibility in (None, _BATTERY):
            cost = CvarBid(scenarios=60).decide(_problem(seed=seed, flexibility=flexibility)).cost_eur
            worth.append(0.5 * cost.mean() + 0.5 * conditional_value_at_risk(cost, 0.9))
        assert worth[1] < worth[0] - 1e-3


def test_the_deterministic_bid_is_the_median_day_with_its_battery():
    # Prices 20, 20, 100, 100 and 1 MW / 2 MWh, 0.9 each way: charge 2.47 kWh in two steps, sell 2 (battery arbitrage).
    battery = Flexibility(1.0, 1.0, 0.0, 2.0, 0.0, charge_efficiency=0.9, discharge_efficiency=0.9)
    prices = PricePaths.of_spreads(np.array([20.0, 20.0, 100.0, 100.0]), short_spread=0.1, long_spread=0.1)
    quantiles = np.repeat([[1.0, 3.0, 6.0]], 4, axis=0)
    decision = DeterministicBid().decide(BidProblem(quantiles, np.array([0.1, 0.5, 0.9]), prices, battery))
    assert decision.position_kwh[:2].sum() == pytest.approx(6 + 2 / 0.9 - 0.4 / 1.8, abs=0.3)
    assert decision.position_kwh == pytest.approx(3 + decision.battery_kwh)
    earned = -float(decision.battery_kwh @ [20.0, 20.0, 100.0, 100.0])
    assert earned == pytest.approx(122.0)
    without = DeterministicBid().decide(BidProblem(quantiles, np.array([0.1, 0.5, 0.9]), prices))
    assert (without.position_kwh.tolist(), without.status) == ([3.0] * 4, "closed form")


def test_one_price_of_imbalance_drives_the_position_to_its_limit():
    # Imbalance is expected to cost less than the day ahead: be as short as allowed.
    problem = _problem(horizon=3)
    day_ahead = problem.prices.day_ahead_eur_per_kwh
    one = PricePaths(day_ahead, day_ahead - 0.01, day_ahead - 0.01)
    bid = CvarBid(risk_weight=1e-9).decide(replace(problem, prices=one))
    assert bid.position_kwh == pytest.approx(problem.position_limits_kwh[0])


def test_prices_that_rise_with_demand_make_an_averse_bidder_buy_more():
    problem = _problem(horizon=1, short_spread=0.0, long_spread=0.0)
    bidder = CvarBid(scenarios=100, risk_weight=1.0)
    net = bidder.draw(problem)
    day_ahead = np.full((100, 1), 0.1)
    imbalance = 0.1 + 0.02 * (net - np.median(net))
    paths = PricePaths(day_ahead, np.maximum(imbalance, day_ahead), np.minimum(imbalance, day_ahead))
    averse = bidder.decide(replace(problem, prices=paths)).position_kwh
    neutral = RiskNeutralBid(scenarios=100).decide(replace(problem, prices=paths)).position_kwh
    assert averse[0] > neutral[0] + 0.5


def test_costs_are_those_of_the_settlement():
    problem = _problem(flexibility=_BATTERY)
    bidder = CvarBid(scenarios=20)
    decision, net = bidder.decide(problem), bidder.draw(problem)
    prices = problem.prices
    objective = 0.5 * decision.cost_eur.mean() + 0.5 * conditional_value_at_risk(decision.cost_eur, 0.9)
    stage = cvar._stage(problem, prices, net, risk_weight=0.5, level=0.9)
    assert objective == pytest.approx(solve_highs(stage).objective_eur, abs=1e-4)
    assert decision.battery_kwh.shape == (6,)


def test_every_solve_is_recorded():
    bidder = CvarBid(scenarios=20)
    decision = bidder.decide(_problem(flexibility=_BATTERY))
    assert (decision.status, decision.solver, decision.fallback, decision.reason) == ("optimal", "HIGHS", False, "")
    assert 0 < decision.solve_s < decision.total_s
    assert bidder.last is decision
    large = CvarBid(scenarios=400).decide(_problem(flexibility=_BATTERY))
    assert large.solver == "interior point"


def test_an_unreachable_end_is_explained_counted_and_answered_by_the_newsvendor(caplog):
    battery = Flexibility(1.0, 1.0, 0.0, 20.0, 2.0, charge_efficiency=0.5, final_kwh=10.0)
    problem = _problem(horizon=4, flexibility=battery)
    for bidder in (CvarBid(), RiskNeutralBid(), DeterministicBid()):
        decision = bidder.decide(problem)
        assert decision.reason == ("final_kwh 10 cannot be reached from 2 kWh in 4 steps at 1 kW: 6 kWh are missing")
        assert (decision.fallback, decision.status, bidder.fallbacks) == (True, "infeasible", 1)
        assert decision.position_kwh == pytest.approx(critical_quantile(problem))
    assert "the newsvendor's bid stands in" in caplog.text


def test_a_failed_solver_is_answered_by_the_newsvendor(monkeypatch):
    failed = StageSolution(np.full(6, np.nan), np.full((20, 6), np.nan), "time limit reached", "HIGHS", 1.0, np.nan)
    monkeypatch.setattr(cvar, "solve_highs", lambda stage: failed)
    bidder = CvarBid(scenarios=20)
    decision = bidder.decide(_problem())
    assert (decision.fallback, decision.reason) == (True, "HIGHS ended time limit reached")
    assert bidder.fallbacks == 1
    assert np.isfinite(decision.position_kwh).all()


def test_highs_takes_over_where_the_own_method_fails(monkeypatch):
    failed = StageSolution(np.empty(0), np.empty(0), "iteration limit reached", "interior point", 1.0, np.nan)
    monkeypatch.setattr(cvar, "solve_interior_point", lambda stage: failed)
    decision = CvarBid(scenarios=400).decide(_problem())
    assert (decision.solver, decision.status, decision.fallback) == ("HIGHS", "optimal", False)
    assert decision.solve_s > 1.0


def test_a_battery_without_room_is_left_to_highs():
    stuck = Flexibility(0.0, 4.0, 0.0, 8.0, 8.0)
    decision = CvarBid(scenarios=400).decide(_problem(flexibility=stuck))
    assert (decision.solver, decision.fallback) == ("HIGHS", False)


def test_a_time_limit_is_told_by_the_status():
    assert solve_highs(_stage(horizon=24, scenarios=60), time_limit_s=0.0).status == "time limit reached"


@pytest.mark.parametrize("bidder", [CvarBid, RiskNeutralBid, DeterministicBid])
def test_same_problem_same_bid_and_nothing_changed(bidder):
    problem = _problem(flexibility=_BATTERY)
    before = problem.quantiles_kwh.copy()
    one, other = (bidder().decide(problem).position_kwh for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert (problem.quantiles_kwh == before).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"scenarios": 0}, "scenarios is 0"),
        ({"level": 1.0}, r"level is 1, expected \[0, 1\)"),
        ({"risk_weight": 1.5}, r"risk_weight is 1.5, expected 0\.\.1"),
    ],
)
def test_bad_settings_are_refused(kwargs, message):
    with pytest.raises(PhysicsError, match=message):
        CvarBid(**kwargs)


def test_price_paths_must_be_one_or_as_many_as_scenarios():
    problem = _problem(horizon=2)
    paths = PricePaths(*(np.ones((7, 2)),) * 3)
    with pytest.raises(PhysicsError, match="there are 7 price paths for 20 scenarios, expected 1 or as many"):
        CvarBid(scenarios=20).decide(replace(problem, prices=paths))


def test_errors_that_last_leave_less_to_the_battery():
    # A battery evens out errors that change sign within the day, and can do little about a day that is all too high.
    tight = Flexibility(4.0, 4.0, 0.0, 6.0, 3.0)
    problem = _problem(horizon=12, flexibility=tight)
    short_lived, lasting = (
        CvarBid(scenarios=100, copula=ExponentialCopula(range_h=hours), risk_weight=1.0).decide(problem)
        for hours in (0.1, 50.0)
    )
    assert conditional_value_at_risk(lasting.cost_eur, 0.9) > conditional_value_at_risk(short_lived.cost_eur, 0.9)


def test_without_flexibility_days_cost_what_the_settlement_says():
    problem = _problem()
    net = np.random.default_rng(1).normal(3, 4, (7, 6))
    position, price = np.arange(6.0), problem.prices.day_ahead_eur_per_kwh[0]
    settled = [two_settlement(position, day, price, short_spread=0.5, long_spread=0.3).total_eur.sum() for day in net]
    assert foreseen_costs(problem, position, net) == pytest.approx(settled)
    assert dispatched_costs(problem, position, net) == pytest.approx(settled)


def test_on_its_own_scenarios_foresight_costs_what_the_bid_expected():
    problem, bidder = _problem(flexibility=_BATTERY), RiskNeutralBid(scenarios=60)
    decision = bidder.decide(problem)
    again = foreseen_costs(problem, decision.position_kwh, bidder.draw(problem))
    assert again.mean() == pytest.approx(decision.cost_eur.mean(), abs=1e-5)


@pytest.mark.parametrize("days", [20, 400])
def test_who_learns_the_day_step_by_step_does_no_better_than_who_knows_it(days):
    # The end is made free of charge for both: what is stored first may be used up, and is worth nothing.
    battery = replace(_BATTERY, final_kwh=1.0)
    problem = _problem(flexibility=battery)
    position = CvarBid(scenarios=60).decide(problem).position_kwh
    net = np.random.default_rng(2).normal(4, 4, (days, 6))
    foreseen, dispatched = (costs(problem, position, net) for costs in (foreseen_costs, dispatched_costs))
    left_value = 11.0 * problem.prices.day_ahead_eur_per_kwh.mean()
    assert (foreseen <= dispatched + left_value + 1e-4).all()
    assert foreseen.mean() < dispatched.mean() + left_value


def test_a_dispatcher_by_hand():
    # Position 0; draws 3 and then -1. Half-full 2 kWh battery, 2 kW, lossless: gives its 1, then takes the 1 back.
    battery = Flexibility(2, 2, 0, 2, 1, charge_efficiency=1.0, discharge_efficiency=1.0)
    prices = PricePaths.of_spreads(np.array([0.1, 0.1]), short_spread=1.0, long_spread=0.5)
    problem = BidProblem(np.zeros((2, 1)), np.array([0.5]), prices, battery)
    assert dispatched_costs(problem, np.zeros(2), np.array([[3.0, -1.0]])) == pytest.approx([2 * 0.2])
    # All-knowing it does no better here: the shortage of 2 kWh at 0.2 stands.
    assert foreseen_costs(problem, np.zeros(2), np.array([[3.0, -1.0]])) == pytest.approx([0.4], abs=1e-6)


def test_an_unreachable_recourse_is_explained():
    battery = Flexibility(1.0, 1.0, 0.0, 20.0, 2.0, charge_efficiency=0.5, final_kwh=10.0)
    with pytest.raises(SolveError, match="final_kwh 10 cannot be reached from 2 kWh in 6 steps"):
        foreseen_costs(_problem(flexibility=battery), np.zeros(6), np.zeros((3, 6)))
