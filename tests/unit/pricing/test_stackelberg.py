"""The Stackelberg prices against brute force over all prices and all answers, and against hand arithmetic."""

import itertools

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.explain import Explainer
from vpp_sim.pricing.followers import Followers, best_answer_kwh, group_homes, leader_profit_eur
from vpp_sim.pricing.limits import Limits
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.pricing.stackelberg import (
    GameSolution,
    OptimisticStackelberg,
    PessimisticStackelberg,
    Stackelberg,
    solve_game,
)

_TIES = ("optimistic", "pessimistic")


def _problem(demand, wholesale, default=0.30, **rest):
    demand = np.atleast_2d(np.array(demand, dtype=float))
    horizon = demand.shape[1]
    return RetailProblem(
        demand_kwh=demand,
        wholesale_eur_per_kwh=np.array(wholesale, dtype=float),
        default_eur_per_kwh=np.full(horizon, float(default)),
        levies_eur_per_kwh=0.0,
        feed_in_eur_per_kwh=np.zeros(horizon),
        **rest,
    )


def _followers(demand, share, discomfort, room=None, window=None):
    demand = np.array(demand, dtype=float)
    most = share * demand.max(axis=1, keepdims=True) if room is None else room
    return Followers(
        demand,
        share * demand,
        np.broadcast_to(most, demand.shape).copy(),
        np.array(discomfort, dtype=float),
        np.zeros(demand.shape[1], dtype=np.int64) if window is None else np.array(window),
    )


def _corners(movable, room, window):
    """Return all corners of what one type may add and take, shape (corners, 2, H): all but one number at a bound."""
    bound = np.concatenate([room, movable])
    windows = np.unique(window)
    parts = []
    for one in windows:
        here = np.flatnonzero(np.tile(window == one, 2))
        sign = np.where(here < room.size, 1.0, -1.0)
        found = set()
        for free in range(here.size):
            rest = np.delete(np.arange(here.size), free)
            for ends in itertools.product((0, 1), repeat=rest.size):
                value = np.zeros(here.size)
                value[rest] = np.array(ends) * bound[here][rest]
                value[free] = -(sign @ value) * sign[free]
                if -1e-12 <= value[free] <= bound[here][free] + 1e-12:
                    found.add(tuple(np.clip(value, 0, None).round(12)))
        parts.append((here, sorted(found)))
    corners = []
    for chosen in itertools.product(*(found for _, found in parts)):
        corner = np.zeros(bound.size)
        for (here, _), value in zip(parts, chosen, strict=True):
            corner[here] = value
        corners.append(corner)
    return np.array(corners).reshape(len(corners), 2, -1)


def _brute_force(problem, followers, tie, grid, allowed=None):
    """Return the best profit over all prices of a grid, each customer's answer found among all corners."""
    prices = np.array(list(itertools.product(grid, repeat=followers.window.size)))
    if allowed is not None:
        prices = prices[allowed(prices)]
    cost = problem.wholesale_eur_per_kwh
    profit = (prices - cost) @ followers.demand_kwh.sum(axis=0)
    for kind, discomfort in enumerate(followers.discomfort_eur_per_kwh):
        corners = _corners(followers.movable_kwh[kind], followers.room_kwh[kind], followers.window)
        net, moved = corners[:, 0] - corners[:, 1], corners[:, 0].sum(axis=1)
        paid = prices @ net.T + discomfort * moved
        earned = (prices - cost) @ net.T
        least = paid.min(axis=1, keepdims=True)
        if tie == "optimistic":
            profit += np.where(paid <= least + 1e-9, earned, -np.inf).max(axis=1)
        else:
            profit += np.where(paid <= least + 1e-9, earned, np.inf).min(axis=1)
    return float(profit.max())


def _cases():
    rng = np.random.default_rng(5)
    for number in range(6):
        types = 1 + number % 2
        demand = rng.integers(0, 5, (types, 3)).astype(float) + 1.0 * (np.arange(3) == number % 3)
        window = [0, 0, 0] if number % 3 else [0, 0, 1]
        discomfort = [0.05, 0.03][:types] if number < 4 else [0.04] * types
        room = None if number != 3 else 1.5
        yield (
            _problem(demand, rng.integers(2, 25, 3) / 100, default=0.9),
            _followers(demand, 0.5, discomfort, room, window),
        )


@pytest.mark.parametrize(("problem", "followers"), list(_cases()))
@pytest.mark.parametrize("tie", _TIES)
def test_brute_force_finds_the_same_within_a_thousandth(problem, followers, tie):
    # Cap, floor and discomforts are whole cents, so the optimistic optimum, a corner where customers tie, is one of the
    # prices in whole cents; the pessimistic one lies beside one, a hundredth of a cent off.
    limits = Limits.of(problem, RetailOptions(cap_eur_per_kwh=0.40, floor_eur_per_kwh=0.28))
    found = solve_game(problem, followers, limits, tie=tie, strictness_eur_per_kwh=1e-5, gap=1e-6)
    cents = np.arange(28, 41) / 100
    beside = np.unique(np.clip(np.concatenate([cents, cents - 1e-5, cents + 1e-5]), 0.28, 0.40))
    best = _brute_force(problem, followers, tie, cents if tie == "optimistic" else beside)
    assert found.status == "optimal"
    assert found.profit_eur == pytest.approx(best, rel=1e-3)
    assert leader_profit_eur(problem, followers, found.price_eur_per_kwh, tie) == pytest.approx(best, rel=1e-3)


def test_ties_of_unlike_customers_part_the_two_solutions():
    demand = [[2.0, 0.0, 0.5], [0.0, 0.5, 2.0]]
    problem = _problem(demand, [0.25, 0.05, 0.02], default=0.9)
    followers = _followers(demand, 1.0, [0.05, 0.05])
    limits = Limits.of(problem, RetailOptions(cap_eur_per_kwh=0.35, floor_eur_per_kwh=0.30))
    cents = np.arange(30, 36) / 100
    beside = np.unique(np.clip(np.concatenate([cents, cents - 1e-5, cents + 1e-5]), 0.30, 0.35))
    # The range of prices is the discomfort itself: at best customers are indifferent, and only goodwill moves them.
    values = {}
    for tie, grid in (("optimistic", cents), ("pessimistic", beside)):
        values[tie] = solve_game(problem, followers, limits, tie=tie, strictness_eur_per_kwh=1e-5, gap=1e-6).profit_eur
        assert values[tie] == pytest.approx(_brute_force(problem, followers, tie, grid), rel=1e-3)
    assert values["optimistic"] > 1.05 * values["pessimistic"]
    # Nobody moves: 5 kWh at .35, less 2 * .25 + .5 * .05 + 2.5 * .02.
    assert values["pessimistic"] == pytest.approx(1.75 - 0.575, rel=1e-3)


def test_goodwill_is_worth_what_the_move_saves_less_the_discount():
    # One kWh of two may move from a cost of .2 to one of .05. Paid .30 and .25, the move saves the retailer .15 and
    # costs .05: .2 + .1. Unwilling customers have to be given a little more than .05.
    problem = _problem([[2.0, 0.0]], [0.2, 0.05])
    followers = _followers([[2.0, 0.0]], 0.5, [0.05])
    limits = Limits.of(problem, RetailOptions())
    willing, unwilling = (solve_game(problem, followers, limits, tie=tie) for tie in _TIES)
    assert willing.price_eur_per_kwh == pytest.approx([0.30, 0.25], abs=1e-6)
    assert willing.profit_eur == pytest.approx(0.3, abs=1e-6)
    assert leader_profit_eur(problem, followers, willing.price_eur_per_kwh, "pessimistic") == pytest.approx(
        0.2, abs=1e-5
    )
    assert unwilling.price_eur_per_kwh == pytest.approx([0.30, 0.2499], abs=1e-6)
    assert unwilling.profit_eur == pytest.approx(0.2999, abs=1e-6)
    assert leader_profit_eur(problem, followers, unwilling.price_eur_per_kwh, "pessimistic") == pytest.approx(
        0.2999, abs=1e-5
    )


def test_answers_are_those_of_the_corners():
    followers = _followers([[3.0, 1.0, 2.0]], 0.5, [0.02], room=1.0)
    added, taken = best_answer_kwh(followers, np.array([0.30, 0.20, 0.29]), np.zeros(3), "optimistic")
    # A kWh of room at step 1 goes to the dearest step first; step 2 keeps its own.
    assert (added.tolist(), taken.tolist()) == ([[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])


def test_energy_stays_within_its_window():
    followers = _followers([[1.0, 1.0, 1.0, 1.0]], 0.5, [0.02], window=[0, 0, 1, 1])
    added, taken = best_answer_kwh(followers, np.array([0.4, 0.3, 0.2, 0.1]), np.zeros(4), "optimistic")
    assert (added - taken).tolist() == [[-0.5, 0.5, -0.5, 0.5]]


@pytest.mark.parametrize(("tie", "moved"), [("optimistic", 1.0), ("pessimistic", 0.0)])
def test_a_tie_goes_for_or_against_the_retailer(tie, moved):
    followers = _followers([[2.0, 0.0]], 0.5, [0.05])
    added, _ = best_answer_kwh(followers, np.array([0.30, 0.25]), np.array([0.2, 0.05]), tie)
    assert added[0, 1] == pytest.approx(moved, abs=1e-5)


@pytest.mark.parametrize(("ramp", "moved"), [(0.02, 1.0), (0.01, 0.0)])
def test_a_ramp_decides_whether_a_spread_can_be_built_up(ramp, moved):
    # Over two steps a ramp of .02 leaves room for the spread of .03 that moves a kWh to step 2, one of .01 does not.
    problem = _problem([[2.0, 0.0, 0.0]], [0.25, 0.24, 0.02])
    followers = _followers([[2.0, 0.0, 0.0]], 0.5, [0.03])
    limits = Limits.of(problem, RetailOptions(ramp_eur_per_kwh=ramp))
    price = solve_game(problem, followers, limits, tie="pessimistic").price_eur_per_kwh
    assert np.abs(np.diff(price)).max() <= ramp + 1e-9
    added, _ = best_answer_kwh(followers, price, problem.wholesale_eur_per_kwh, "pessimistic")
    assert added[0, 2] == pytest.approx(moved, abs=1e-9)


def test_revenue_cap_and_feeder_limit_hold():
    rng = np.random.default_rng(2)
    problem = _problem(rng.gamma(2.0, 1.0, (3, 6)), rng.uniform(0.02, 0.25, 6))
    options = RetailOptions(revenue_cap_eur_per_kwh=0.27, feeder_limit_kw=37.6, step_h=0.25)
    rest = {"types": 2, "flexible_share": 0.4, "discomfort_eur_per_kwh": 0.01, "gap": 0.02}
    pricer = Stackelberg(homes=3, horizon_steps=6, options=options, tie="pessimistic", **rest)
    prices = pricer.price(problem)
    assert (prices.status, prices.solver, prices.fallback, prices.notes) == ("optimal", "HIGHS", False, ())
    total = problem.demand_kwh.sum(axis=0)
    assert prices.buy_eur_per_kwh @ total / total.sum() <= 0.27 + 1e-6
    followers = pricer.followers(problem)
    added, taken = best_answer_kwh(followers, prices.buy_eur_per_kwh, problem.wholesale_eur_per_kwh, "pessimistic")
    assert total.max() > 9.45
    assert (total + (added - taken).sum(axis=0)).max() <= 9.4 + 1e-4


def test_limits_that_tie_customers_for_good_leave_no_pessimistic_price():
    # Feed-in prices and promise leave .30 and .25 alone, and a discomfort of .05 makes the move a tie.
    default = np.array([0.30, 0.25])
    problem = RetailProblem(np.full((1, 2), 2.0), np.array([0.2, 0.1]), default, 0.0, default)
    rest = {"homes": 1, "horizon_steps": 2, "types": 1, "discomfort_eur_per_kwh": 0.05}
    willing, unwilling = (Stackelberg(tie=tie, **rest).price(problem) for tie in _TIES)
    assert willing.buy_eur_per_kwh == pytest.approx(default, abs=1e-6)
    assert not willing.fallback
    assert unwilling.reason == "no prices within the limits leave every customer a single answer"


def test_what_cannot_be_kept_is_named():
    def solve(problem, **options):
        return Stackelberg(homes=1, horizon_steps=2, options=RetailOptions(**options)).price(problem)

    full = solve(_problem([[2.0, 2.0]], [0.2, 0.05]), feeder_limit_kw=1.0)
    assert (full.fallback, full.status, full.reason) == (
        True,
        "infeasible",
        "no shift of demand keeps the feeder limit",
    )
    assert full.buy_eur_per_kwh.tolist() == [0.3, 0.3]
    steep = RetailProblem(np.ones((1, 2)), np.full(2, 0.1), np.full(2, 0.6), 0.0, np.array([0.0, 0.5]))
    assert not solve(steep, ramp_eur_per_kwh=0.02).fallback
    low = RetailProblem(np.array([[9.0, 1.0]]), np.full(2, 0.1), np.array([0.1, 0.6]), 0.0, np.array([0.0, 0.5]))
    reason = solve(low, ramp_eur_per_kwh=0.02).reason
    # Bill 1.5 = 9 p + (p + .02): .168 at step 1, where .5 is the least. The ramp would have to give by more.
    assert reason == "feed-in price at step 1 would have to give by 0.332 EUR/kWh"


@pytest.mark.parametrize(("price", "fallback"), [([0.31, 0.28], False), ([np.nan, np.nan], True)])
def test_a_search_that_is_cut_off_says_so(monkeypatch, price, fallback):
    ended = GameSolution(np.array(price), 0.2, "user_limit", 0.1)
    monkeypatch.setattr("vpp_sim.pricing.stackelberg.solve_game", lambda *_, **__: ended)
    prices = Stackelberg(homes=1, horizon_steps=2, most_nodes=7).price(_problem([[2.0, 1.0]], [0.2, 0.05]))
    assert (prices.status, prices.fallback) == ("user_limit", fallback)
    if fallback:
        assert prices.reason == "the solver ended with 'user_limit'"
    else:
        assert prices.notes == ("the search was cut off after 7 nodes",)
        assert prices.buy_eur_per_kwh.tolist() == price


def test_the_named_classes_fix_the_tie():
    assert OptimisticStackelberg(homes=1, horizon_steps=2, types=1).tie == "optimistic"
    assert PessimisticStackelberg(homes=1, horizon_steps=2).tie == "pessimistic"
    assert Stackelberg(homes=1, horizon_steps=2).tie == "pessimistic"


def test_homes_are_grouped_by_how_dear_their_hours_are():
    problem = _problem([[0.0, 4.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [0.1, 0.2])
    found = group_homes(problem, types=2, flexible_share=0.25, discomfort_eur_per_kwh=0.05, window_steps=1)
    assert found.demand_kwh.tolist() == [[1.0, 0.0], [1.0, 5.0]]
    assert found.movable_kwh.tolist() == [[0.25, 0.0], [0.25, 1.25]]
    assert found.room_kwh.tolist() == [[0.25, 0.25], [1.25, 1.25]]
    assert found.window.tolist() == [0, 1]
    few = group_homes(problem, types=9, flexible_share=0.25, discomfort_eur_per_kwh=0.05)
    assert few.demand_kwh.shape == (4, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"movable_kwh": np.full((1, 2), 3.0)}, "movable_kwh exceeds demand_kwh"),
        ({"discomfort_eur_per_kwh": np.zeros(1)}, "discomfort is 0 EUR/kWh, expected above 0"),
        ({"window": np.zeros(3, dtype=np.int64)}, r"window has shape \(3,\), expected \(2,\)"),
        ({"room_kwh": np.full((1, 2), -1.0)}, "room_kwh is negative"),
        ({"demand_kwh": np.ones(2)}, r"demand_kwh has shape \(2,\), expected \(K, H\)"),
    ],
)
def test_bad_followers_are_refused(changes, message):
    good = _followers([[2.0, 1.0]], 0.5, [0.05])
    fields = {name: getattr(good, name) for name in Followers.__dataclass_fields__}
    with pytest.raises(PhysicsError, match=message):
        Followers(**{**fields, **changes})


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ({"tie": "hopeful"}, "tie is 'hopeful', expected one of optimistic, pessimistic"),
        ({"flexible_share": 1.2}, "flexible_share is 1.2 and types 2, expected 0..1 and 1 or above"),
        ({"options": RetailOptions(objective="peak")}, "a Stackelberg pricer maximises profit, not 'peak'"),
    ],
)
def test_bad_games_are_refused(rest, message):
    with pytest.raises(PhysicsError, match=message):
        Stackelberg(homes=1, horizon_steps=2, **rest)


def test_prices_that_are_no_number_have_no_answer():
    followers = _followers([[2.0, 1.0]], 0.5, [0.05])
    with pytest.raises(PhysicsError, match="buy_eur_per_kwh has 1 values that are not finite"):
        best_answer_kwh(followers, np.array([np.nan, 0.1]), np.zeros(2), "optimistic")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_step_without_demand_is_not_priced_below_cost(share):
    # Nobody draws anything at step 1, so that any price would do there; the default is 0.5, and a kWh costs 0.4.
    problem = RetailProblem(
        demand_kwh=np.array([[2.0, 0.0, 1.0]]),
        wholesale_eur_per_kwh=np.array([0.05, 0.05, 0.05]),
        levies_eur_per_kwh=np.array([0.1, 0.35, 0.1]),
        default_eur_per_kwh=np.array([0.2, 0.5, 0.2]),
        feed_in_eur_per_kwh=np.zeros(3),
    )
    told = {"types": 1, "flexible_share": share, "discomfort_eur_per_kwh": 0.05}
    for tie in _TIES:
        price = Stackelberg(homes=1, horizon_steps=3, tie=tie, **told).price(problem).buy_eur_per_kwh
        assert price[1] >= 0.4 - 1e-9


def test_prices_of_the_game_are_taken_apart_within_cap_and_floor():
    problem = RetailProblem(
        demand_kwh=np.array([[2.0, 0.0, 1.0]]),
        wholesale_eur_per_kwh=np.array([0.2, 0.05, 0.1]),
        levies_eur_per_kwh=0.05,
        default_eur_per_kwh=np.full(3, 0.3),
        feed_in_eur_per_kwh=np.full(3, 0.28),
    )
    options = RetailOptions(cap_eur_per_kwh=0.4, floor_eur_per_kwh=0.1)

    def make(told):
        return OptimisticStackelberg(homes=1, horizon_steps=3, options=told)

    explained = Explainer(make, options).explain(problem, make(options).price(problem))
    parts = np.array(list(explained.parts().values()))
    np.testing.assert_allclose(parts.sum(axis=0), explained.price_eur_per_kwh, atol=1e-12)
    assert np.abs(explained.limits_eur_per_kwh).max() < 1e-9
    assert np.abs(parts[1:]).max() <= 0.4  # no part is larger than the range of prices
