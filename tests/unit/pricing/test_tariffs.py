"""Tariffs by rule against hand arithmetic: their shape, their level, and what gives way where limits are in the way."""

import itertools

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.pricing.tariffs import CriticalPeak, PassThrough, TimeOfUse, best_blocks

_TARIFFS = (TimeOfUse, CriticalPeak, PassThrough)


def _problem(demand, wholesale, default=0.30, levies=0.1, feed_in=0.0):
    demand = np.atleast_2d(np.array(demand, dtype=float))
    horizon = demand.shape[1]
    return RetailProblem(
        demand_kwh=demand,
        wholesale_eur_per_kwh=np.array(wholesale, dtype=float),
        default_eur_per_kwh=np.broadcast_to(np.array(default, dtype=float), horizon).copy(),
        levies_eur_per_kwh=levies,
        feed_in_eur_per_kwh=np.full(horizon, float(feed_in)),
    )


def _made(tariff, problem, *, promise=True, rest=None, **options):
    homes, horizon_steps = problem.demand_kwh.shape
    pricer = tariff(
        homes=homes, horizon_steps=horizon_steps, options=RetailOptions(**options), promise=promise, **(rest or {})
    )
    return pricer.price(problem)


@pytest.fixture
def two_homes():
    """Home 0 lives in the dear step, home 1 in the cheap one."""
    return _problem([[1.0, 3.0], [3.0, 1.0]], [0.05, 0.15])


def test_wholesale_is_passed_through_with_the_margin_that_keeps_every_promise(two_homes):
    # Costs .15 and .25; home 0 pays .15 + 3 * .25 = .9 for 4 kWh, .3 less than by default: a margin of .075.
    prices = _made(PassThrough, two_homes)
    assert prices.buy_eur_per_kwh == pytest.approx([0.225, 0.325])
    assert prices.binding == ("promise to home 0",)
    assert (prices.status, prices.fallback, prices.notes) == ("rule", False, ())


def test_without_the_promise_all_homes_together_pay_what_they_would_by_default(two_homes):
    # Together .2 a kWh on average: a margin of .1, at which home 0 pays more, and home 1 as much less.
    prices = _made(PassThrough, two_homes, promise=False)
    assert prices.buy_eur_per_kwh == pytest.approx([0.25, 0.35])
    bills = two_homes.demand_kwh @ (prices.buy_eur_per_kwh - two_homes.default_eur_per_kwh)
    assert bills == pytest.approx([0.1, -0.1])


def test_a_margin_may_be_capped(two_homes):
    prices = _made(PassThrough, two_homes, rest={"margin_eur_per_kwh": 0.02})
    assert prices.buy_eur_per_kwh == pytest.approx([0.17, 0.27])


def test_blocks_are_priced_at_their_mean_cost_weighted_with_demand():
    # Blocks of .02, .04 (demand 1, 3: mean .035) and .20: mean cost (4 * .035 + 1 * .2) / 5 = .068, so .3 - .068 more.
    problem = _problem([[1.0, 3.0, 1.0]], [0.02, 0.04, 0.20], levies=0.0)
    prices = _made(TimeOfUse, problem, rest={"blocks": 2}).buy_eur_per_kwh
    assert prices == pytest.approx([0.267, 0.267, 0.432], abs=1e-6)


def test_a_published_tariff_keeps_its_hours():
    problem = _problem([[1.0, 1.0, 1.0, 1.0]], [0.02, 0.30, 0.04, 0.04], levies=0.0)
    prices = _made(TimeOfUse, problem, rest={"windows": np.array([1, 1, 0, 0])}).buy_eur_per_kwh
    assert prices == pytest.approx([0.36, 0.36, 0.24, 0.24])


def test_a_block_without_demand_has_a_price():
    problem = _problem([[1.0, 1.0, 0.0]], [0.02, 0.10, 0.20])
    prices = _made(TimeOfUse, problem).buy_eur_per_kwh
    assert np.diff(prices) == pytest.approx([0.08, 0.10], abs=1e-6)


@pytest.mark.parametrize(
    ("wholesale", "rest", "dear"),
    [
        ([0.05, 0.05, 0.05, 0.25], {}, 3),  # .25 against a mean of .1
        ([0.05, 0.06, 0.05, 0.08], {}, None),  # .08 against a mean of .06 is not half more
        ([0.05, 0.06, 0.05, 0.08], {"trigger_eur_per_kwh": 0.08}, 3),
        ([0.05, 0.05, 0.05, 0.25], {"trigger_eur_per_kwh": 0.26}, None),
        ([-0.09, -0.05, -0.09, -0.09], {}, None),
        ([0.05, 0.25, 0.05, 0.25], {}, 1),  # the first of equals
        ([0.05, 0.05, 0.05, 0.25], {"dear_share": 0.0}, None),
    ],
)
def test_only_days_of_high_cost_have_dear_hours(wholesale, rest, dear):
    problem = _problem([[1.0, 1.0, 1.0, 1.0]], wholesale)
    prices = _made(CriticalPeak, problem, rest={"dear_share": 0.25, "ratio": 2.0, **rest}).buy_eur_per_kwh
    expected = np.full(4, 0.30 if dear is None else 0.24)  # five times .24 is four times .3
    if dear is not None:
        expected[dear] *= 2
    assert prices == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "share", "expected"),
    [
        # Shape .15 and .25, level .3 - .2 share, so prices .3 -+ .05 share.
        ({"cap_eur_per_kwh": 0.32}, 1.0, [0.22, 0.32]),  # the level may fall: below the default, promise kept
        ({"ramp_eur_per_kwh": 0.04}, 0.4, [0.28, 0.32]),
        ({"floor_eur_per_kwh": 0.28}, 0.4, [0.28, 0.32]),
        ({"floor_eur_per_kwh": 0.28, "cap_eur_per_kwh": 0.31}, 0.3, [0.28, 0.31]),
    ],
)
def test_limits_lower_the_level_and_then_flatten_the_shape(options, share, expected):
    prices = _made(PassThrough, _problem([[1.0, 1.0]], [0.05, 0.15]), **options)
    assert prices.buy_eur_per_kwh == pytest.approx(expected)
    note = f"the tariff is flattened to {share:.3g} of its shape by cap, floor or ramp"
    assert prices.notes == ((note,) if share < 1 else ())


def test_a_revenue_cap_lowers_the_level(two_homes):
    prices = _made(PassThrough, two_homes, promise=False, revenue_cap_eur_per_kwh=0.27)
    assert prices.buy_eur_per_kwh == pytest.approx([0.22, 0.32])
    assert prices.binding == ("revenue cap",)


@pytest.mark.parametrize("tariff", _TARIFFS)
def test_without_demand_prices_stay_about_the_lowest_default(tariff):
    prices = _made(tariff, _problem([[0.0, 0.0]], [0.05, 0.15], default=[0.3, 0.2]))
    assert not prices.fallback
    assert prices.buy_eur_per_kwh.mean() == pytest.approx(0.2)


@pytest.mark.parametrize("tariff", _TARIFFS)
def test_what_cannot_be_kept_falls_back_and_says_why(tariff, two_homes):
    problem = _problem([[1.0, 1.0]], [0.05, 0.15], default=[0.2, 0.6], feed_in=0.45)
    prices = _made(tariff, problem)
    assert (prices.fallback, prices.status) == (True, "infeasible")
    assert prices.reason == "promise to home 0 fails by 0.125 of its default bill even at the lowest prices"
    assert prices.buy_eur_per_kwh.tolist() == [0.2, 0.6]
    stepped = RetailProblem(
        np.ones((1, 2)), np.array([0.05, 0.15]), np.array([0.2, 0.6]), 0.1, feed_in_eur_per_kwh=np.array([0.1, 0.5])
    )
    assert _made(tariff, stepped).reason == "the flat price 0.4 EUR/kWh lies below the lowest allowed by 0.1"


@pytest.mark.parametrize("blocks", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_other_grouping_has_less_spread_within_blocks(blocks, seed):
    rng = np.random.default_rng(seed)
    cost, weight = rng.normal(0.1, 0.05, 7).round(2), rng.uniform(0.5, 2.0, 7)

    def spread(group):
        parts = [(cost[group == block], weight[group == block]) for block in set(group.tolist())]
        return sum(float(w @ (c - w @ c / w.sum()) ** 2) for c, w in parts)

    tried = [spread(np.array(group)) for group in itertools.product(range(blocks), repeat=7)]
    found = best_blocks(cost, weight, blocks)
    assert spread(found) == pytest.approx(min(tried), abs=1e-12)
    assert (np.diff(found[np.argsort(cost, kind="stable")]) >= 0).all()


def test_equal_costs_make_one_block():
    assert best_blocks(np.full(4, 0.1), np.ones(4), 3).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("tariff", "rest", "message"),
    [
        (TimeOfUse, {"blocks": 4}, "blocks is 4, expected 2 or 3"),
        (TimeOfUse, {"windows": np.zeros(3, dtype=int)}, r"windows has shape \(3,\), expected \(2,\)"),
        (CriticalPeak, {"ratio": 0.5}, "dear_share is 0.166667 and ratio 0.5, expected 0..1 and 1 or above"),
        (CriticalPeak, {"dear_share": 1.5}, "dear_share is 1.5 and ratio 3"),
    ],
)
def test_bad_rules_are_refused(tariff, rest, message):
    with pytest.raises(PhysicsError, match=message):
        tariff(homes=1, horizon_steps=2, **rest)
