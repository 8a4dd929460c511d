"""Exchange ADMM: hand-made problems, the central optimum by CVXPY as its oracle, and the market that is built on it."""

import logging

import cvxpy as cp
import numpy as np
import pytest

from vpp_sim.errors import PhysicsError, SolveError
from vpp_sim.market.accounts import filled, welfare_eur
from vpp_sim.market.admm import Decentralised, ExchangeProblem, solve_exchange
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.protocol import OrderBook


def _problem(slope, curvature, lower, upper):
    return ExchangeProblem(*(np.array(values, dtype=float) for values in (slope, curvature, lower, upper)))


def _community(seed, prosumers):
    """Draw buyers, sellers, and some who may do either, with curvatures over three powers of ten."""
    rng = np.random.default_rng(seed)
    kind = rng.choice([-1, 0, 1], prosumers, p=[0.4, 0.2, 0.4])
    kind[:2] = [-1, 1]
    size = rng.gamma(2.0, 0.5, prosumers)
    slope = -rng.uniform(0.02, 0.35, prosumers)
    return ExchangeProblem(
        slope, 10 ** rng.uniform(-3, 0, prosumers), np.where(kind > 0, 0.0, -size), np.where(kind < 0, 0.0, size)
    )


class _Central:
    """The same problem with a centre that knows everything, compiled once a size."""

    def __init__(self, prosumers):
        self.x = cp.Variable(prosumers)
        self.slope, self.lower, self.upper = (cp.Parameter(prosumers) for _ in range(3))
        self.root = cp.Parameter(prosumers, nonneg=True)
        self.even = cp.sum(self.x) == 0
        cost = self.slope @ self.x + cp.sum_squares(cp.multiply(self.root, self.x)) / 2
        self.problem = cp.Problem(cp.Minimize(cost), [self.even, self.x >= self.lower, self.x <= self.upper])

    def solve(self, problem):
        self.slope.value, self.root.value = problem.slope_eur_per_kwh, np.sqrt(problem.curvature_eur_per_kwh2)
        self.lower.value, self.upper.value = problem.lower_kwh, problem.upper_kwh
        self.problem.solve(solver=cp.CLARABEL)
        assert self.problem.status == "optimal"
        return self.problem.value, float(self.even.dual_value)


@pytest.mark.parametrize(("prosumers", "cases"), [(13, 40), (100, 40), (1000, 40)])
def test_within_a_thousandth_of_the_central_optimum(prosumers, cases, capsys):
    central, rounds, gaps, misses = _Central(prosumers), [], [], []
    for seed in range(cases):
        problem = _community(seed, prosumers)
        result = solve_exchange(problem)
        best_eur, price = central.solve(problem)
        assert result.converged
        assert abs(result.energy_kwh.sum()) < 1e-9
        assert (result.energy_kwh >= problem.lower_kwh - 1e-12).all()
        assert (result.energy_kwh <= problem.upper_kwh + 1e-12).all()
        rounds.append(result.iterations)
        gaps.append(problem.cost_eur(result.energy_kwh) / best_eur - 1)
        misses.append(abs(result.price_eur_per_kwh - price))
    with capsys.disabled():
        print(
            f"\nADMM, {prosumers} prosumers, {cases} cases: {np.median(rounds):.0f} rounds in the median, "
            f"{max(rounds)} at most; cost within {max(np.abs(gaps)):.1e} of the optimum, "
            f"price within {max(misses):.1e} EUR/kWh"
        )
    assert max(np.abs(gaps)) < 1e-3
    assert max(misses) < 1e-3


def test_two_prosumers_by_hand():
    # Marginal utilities 3 - x and 1 - x: even at x = 1 and -1, where both are 2.
    result = solve_exchange(_problem([-3, -1], [1, 1], [-5, -5], [5, 5]), tolerance=1e-10)
    assert result.energy_kwh == pytest.approx([1.0, -1.0], abs=1e-8)
    assert result.price_eur_per_kwh == pytest.approx(2.0, abs=1e-8)


def test_the_first_rounds_by_hand():
    # The same two, from a price of 0 with a penalty of 1. They ask for (0 + 3) / 2 and (0 + 1) / 2, which leaves 1 over
    # in the mean and puts the price at 1; then for (0.5 - 1 + 3) / 2 and (-0.5 - 1 + 1) / 2, which leaves 1/2; and so
    # on: what is left over halves, as does the way to the price of 2.
    result = solve_exchange(
        _problem([-3, -1], [1, 1], [-5, -5], [5, 5]),
        penalty_eur_per_kwh2=1.0, price_eur_per_kwh=0.0, most_iterations=3, adapt_above=np.inf,
    )  # fmt: skip
    assert result.primal_residual_kwh == pytest.approx([1.0, 0.5, 0.25], abs=1e-14)
    assert result.dual_residual_eur_per_kwh == pytest.approx([0.5, 0.25, 0.125], abs=1e-14)
    assert result.price_eur_per_kwh == pytest.approx(1.75, abs=1e-14)


def test_three_prosumers_with_a_bound_by_hand():
    # The seller of marginal cost 1 + x may deliver 1 only. Buyers at 5 - 2 x and 3 - 2 x share it: the first takes all
    # down to a price of 3, where the second comes in; so 1 to the first, at any price from 3 to 3.
    result = solve_exchange(_problem([-5, -3, -1], [2, 2, 1], [0, 0, -1], [9, 9, 0]), tolerance=1e-10)
    assert result.energy_kwh == pytest.approx([1.0, 0.0, -1.0], abs=1e-7)
    assert result.price_eur_per_kwh == pytest.approx(3.0, abs=1e-7)


def test_prices_are_the_marginal_utilities_of_all_inside_their_bounds():
    problem = _community(7, 100)
    result = solve_exchange(problem, tolerance=1e-9, most_iterations=20_000)
    inside = (result.energy_kwh > problem.lower_kwh + 1e-6) & (result.energy_kwh < problem.upper_kwh - 1e-6)
    marginal = -(problem.slope_eur_per_kwh + problem.curvature_eur_per_kwh2 * result.energy_kwh)
    assert inside.sum() > 10
    assert marginal[inside] == pytest.approx(np.full(inside.sum(), result.price_eur_per_kwh), abs=1e-6)
    assert (marginal[result.energy_kwh >= problem.upper_kwh] >= result.price_eur_per_kwh - 1e-6).all()
    assert (marginal[result.energy_kwh <= problem.lower_kwh] <= result.price_eur_per_kwh + 1e-6).all()


def test_residuals_end_below_the_tolerance_and_are_told_round_by_round():
    problem = _community(1, 100)
    result = solve_exchange(problem, tolerance=1e-4)
    for history in (result.primal_residual_kwh, result.dual_residual_eur_per_kwh, result.penalty_eur_per_kwh2):
        assert history.shape == (result.iterations,)
    size_kwh = np.sqrt(np.mean(np.maximum(-problem.lower_kwh, problem.upper_kwh) ** 2))
    at_bounds = [
        problem.slope_eur_per_kwh + problem.curvature_eur_per_kwh2 * bound
        for bound in (problem.lower_kwh, problem.upper_kwh)
    ]
    small = (result.primal_residual_kwh <= 1e-4 * size_kwh) & (
        result.dual_residual_eur_per_kwh <= 1e-4 * np.ptp(at_bounds)
    )
    assert small[-1]
    assert not small[: result.iterations // 2].any()
    assert 100 * result.primal_residual_kwh[-1] < 1e-3 * result.energy_kwh.clip(0).sum()
    assert result.dual_residual_eur_per_kwh[-1] < 1e-2 * result.dual_residual_eur_per_kwh.max()


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_an_adaptive_penalty_mends_a_bad_first_one(factor):
    problem = _community(2, 100)
    good = solve_exchange(problem)
    first = factor * good.penalty_eur_per_kwh2[0]
    adaptive = solve_exchange(problem, penalty_eur_per_kwh2=first)
    fixed = solve_exchange(problem, penalty_eur_per_kwh2=first, adapt_above=np.inf)
    assert adaptive.converged
    assert np.unique(fixed.penalty_eur_per_kwh2).size == 1
    assert fixed.iterations > 5 * adaptive.iterations
    assert problem.cost_eur(adaptive.energy_kwh) == pytest.approx(problem.cost_eur(good.energy_kwh), rel=1e-3)


def test_units_do_not_matter():
    # The same community in watt-hours and cents takes the same rounds.
    problem = _community(3, 50)
    other = ExchangeProblem(
        problem.slope_eur_per_kwh / 10, problem.curvature_eur_per_kwh2 / 1e4,
        problem.lower_kwh * 1e3, problem.upper_kwh * 1e3,
    )  # fmt: skip
    one, two = solve_exchange(problem), solve_exchange(other)
    assert one.iterations == two.iterations
    assert two.energy_kwh == pytest.approx(1e3 * one.energy_kwh, rel=1e-6, abs=1e-9)
    assert two.price_eur_per_kwh == pytest.approx(one.price_eur_per_kwh / 10, rel=1e-6)


def test_too_few_rounds_are_said_and_still_even():
    problem = _community(4, 100)
    result = solve_exchange(problem, most_iterations=3)
    assert (result.converged, result.iterations) == (False, 3)
    assert result.energy_kwh.sum() == pytest.approx(0.0, abs=1e-9)
    assert (result.energy_kwh >= problem.lower_kwh - 1e-12).all()
    assert (result.energy_kwh <= problem.upper_kwh + 1e-12).all()


def test_nobody_and_one_alone():
    assert solve_exchange(_problem([], [], [], [])).energy_kwh.size == 0
    assert solve_exchange(_problem([-1], [1], [0], [2])).energy_kwh == pytest.approx([0.0], abs=1e-12)


@pytest.mark.parametrize(
    ("error", "change", "message"),
    [
        (SolveError, {"lower": [1, 0], "upper": [2, 3]}, "draw at least 1 kWh more than they deliver"),
        (SolveError, {"lower": [-5, -5], "upper": [-2, 0.5]}, r"deliver at least 1\.5 kWh more than they draw"),
        (PhysicsError, {"lower": [2, -1], "upper": [1, 1]}, r"prosumer 0 has bounds 2\.\.1 kWh"),
        (PhysicsError, {"curvature": [1, -1]}, "curvature_eur_per_kwh2 is negative: lowest value -1"),
        (PhysicsError, {"slope": [np.nan, 1]}, "slope_eur_per_kwh has 1 values that are not finite"),
        (PhysicsError, {"upper": [1, 1, 1]}, r"upper_kwh has shape \(3,\), expected \(2,\)"),
    ],
)
def test_problems_without_an_answer_say_why(error, change, message):
    with pytest.raises(error, match=message):
        _problem(**{"slope": [1, 1], "curvature": [1, 1], "lower": [-1, -1], "upper": [1, 1], **change})


@pytest.mark.parametrize(
    "options",
    [{"tolerance": 0.0}, {"most_iterations": 0}, {"adapt_above": 0.5}, {"penalty_eur_per_kwh2": -1.0}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(PhysicsError, match=r"penalty_eur_per_kwh2|tolerance"):
        solve_exchange(_community(0, 5), **options)
    if "tolerance" in options:
        with pytest.raises(PhysicsError, match="steepness"):
            Decentralised(**options)


def _random_book(seed, size, decimals=9):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(size).astype(np.int64)
    bids = int(rng.integers(size // 4, 3 * size // 4 + 1))
    energy, price = rng.gamma(1.0, 1.0, size), rng.uniform(0.05, 0.3, size).round(decimals)
    return OrderBook(ids[:bids], energy[:bids], price[:bids], ids[bids:], energy[bids:], price[bids:], 0.3, 0.05)


@pytest.mark.parametrize("decimals", [2, 9])
@pytest.mark.parametrize("size", [13, 100, 500])
def test_the_market_comes_near_the_uniform_price_auction(size, decimals):
    losses = []
    for seed in range(8):
        book = _random_book(seed, size, decimals)
        clearing = Decentralised().clear(book)
        best_eur = welfare_eur(UniformPrice().clear(book), book)
        losses.append(1 - welfare_eur(clearing, book) / best_eur if best_eur else 0.0)
        bought_kwh, sold_kwh = filled(clearing, book)
        assert (book.bid_eur_per_kwh[bought_kwh > 0] >= clearing.market_eur_per_kwh).all()
        assert (book.ask_eur_per_kwh[sold_kwh > 0] <= clearing.market_eur_per_kwh).all()
        assert (bought_kwh <= book.bid_kwh + 1e-12).all()
        assert (sold_kwh <= book.ask_kwh + 1e-12).all()
    assert min(losses) > -1e-9
    assert np.median(losses) < 5e-4
    assert max(losses) < 2e-3


@pytest.mark.parametrize(("size", "buyers"), [(100, 1), (300, 1), (1000, 3)])
def test_few_buyers_among_many_sellers_are_served(size, buyers):
    # What is left over must be small beside what is traded, not beside the whole fleet.
    rng = np.random.default_rng(27)
    energy_kwh, price, ids = rng.gamma(1.0, 1.0, size), rng.uniform(0.05, 0.3, size), np.arange(size)
    energy_kwh[:buyers] *= 0.1 / energy_kwh[:buyers].sum()
    price[0] = 0.19
    bids, asks = ids[:buyers], ids[buyers:]
    book = OrderBook(bids, energy_kwh[bids], price[bids], asks, energy_kwh[asks], price[asks], 0.3, 0.05)
    best_eur = welfare_eur(UniformPrice().clear(book), book)
    assert welfare_eur(Decentralised().clear(book), book) == pytest.approx(best_eur, rel=2e-3)
    agreed = Decentralised().agree(book)
    assert size * agreed.primal_residual_kwh[-1] < 2e-3 * 0.1


def test_truthful_homes_meet_at_the_price_of_the_longer_side():
    book = OrderBook(
        np.array([0, 1]), np.array([3.0, 1.0]), np.full(2, 0.25), np.array([2]), np.array([2.0]), np.array([0.05]),
        0.25, 0.05,
    )  # fmt: skip
    clearing = Decentralised().clear(book)
    assert (clearing.market_eur_per_kwh, clearing.traded_kwh) == (0.25, pytest.approx(2.0, rel=1e-3))


def test_a_market_that_did_not_agree_says_so_and_hurts_nobody(caplog):
    book = _random_book(0, 100)
    with caplog.at_level(logging.WARNING, logger="vpp_sim.market.admm"):
        clearing = Decentralised(most_iterations=5).clear(book)
    assert caplog.messages == ["prosumers did not agree in 5 rounds"]
    bought_kwh, sold_kwh = filled(clearing, book)
    assert (book.bid_eur_per_kwh[bought_kwh > 0] >= clearing.market_eur_per_kwh).all()
    assert (book.ask_eur_per_kwh[sold_kwh > 0] <= clearing.market_eur_per_kwh).all()


@pytest.mark.parametrize("orders", [([], []), ([2.0], []), ([], [2.0]), ([0.0], [1.0])])
def test_one_side_alone_does_not_trade(orders):
    bid_kwh, ask_kwh = (np.array(side, dtype=float) for side in orders)
    book = OrderBook(
        np.arange(bid_kwh.size), bid_kwh, np.full(bid_kwh.size, 0.25),
        bid_kwh.size + np.arange(ask_kwh.size), ask_kwh, np.full(ask_kwh.size, 0.05), 0.25, 0.05,
    )  # fmt: skip
    clearing = Decentralised().clear(book)
    assert clearing.traded_kwh == 0.0
    assert np.isnan(clearing.market_eur_per_kwh)
