"""Three rules of imbalance under one law, by hand arithmetic, and what may be planned on."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.balancing import BalancingLaw

_PRICE, _SHORT = np.array([0.10, 0.10, -0.10]), np.array([True, False, True])
_SIDES = {"short_spread": 0.5, "long_spread": 0.2}
# At 0.10 the balancing price is 0.15 if the system is short and 0.08 if it is long; at -0.10 it is -0.05 if short.


@pytest.mark.parametrize(
    ("rule", "short", "long"),
    [
        ("both_sides", [0.15, 0.15, -0.05], [0.08, 0.08, -0.12]),
        ("two_prices", [0.15, 0.10, -0.05], [0.10, 0.08, -0.10]),
        ("one_price", [0.15, 0.08, -0.05], [0.15, 0.08, -0.05]),
    ],
)
def test_the_prices_of_each_rule(rule, short, long):
    prices = BalancingLaw(rule, **_SIDES).prices(_PRICE, _SHORT)
    assert prices.short_eur_per_kwh == pytest.approx(short, abs=1e-15)
    assert prices.long_eur_per_kwh == pytest.approx(long, abs=1e-15)


def test_what_an_imbalance_costs_beyond_the_day_ahead_price():
    """1 kWh each way at 0.10: leaning with the system costs 5 or 2 cents; against it nothing, or it earns as much."""
    price, short = np.full(4, 0.10), np.array([True, True, False, False])
    imbalance = np.array([1.0, -1.0, 1.0, -1.0])
    extra = {
        rule: (BalancingLaw(rule, **_SIDES).prices(price, short).cost_eur(imbalance) - imbalance * price).round(12)
        for rule in ("both_sides", "two_prices", "one_price")
    }
    assert extra["both_sides"].tolist() == [0.05, 0.02, 0.05, 0.02]
    assert extra["two_prices"].tolist() == [0.05, 0.0, 0.0, 0.02]
    assert extra["one_price"].tolist() == [0.05, -0.05, -0.02, 0.02]


@pytest.mark.parametrize("rule", ["both_sides", "two_prices", "one_price"])
def test_paths_and_their_mean_follow_the_law(rule):
    law = BalancingLaw(rule, **_SIDES, system_short_share=0.25)
    expected, rng = law.expected(_PRICE), np.random.default_rng(0)
    drawn = law.paths(_PRICE, paths=200, steps_per_hour=1, rng=rng)
    assert drawn.short_eur_per_kwh.shape == ((1 if rule == "both_sides" else 200), 3)
    assert drawn.short_eur_per_kwh.mean(axis=0) == pytest.approx(expected.short_eur_per_kwh, abs=1e-12)
    assert drawn.long_eur_per_kwh.mean(axis=0) == pytest.approx(expected.long_eur_per_kwh, abs=1e-12)
    states = law.states(20_000, np.random.default_rng(1))
    realised = law.prices(np.full(20_000, 0.10), states)
    assert states.mean() == pytest.approx(0.25, abs=0.01)
    assert realised.short_eur_per_kwh.mean() == pytest.approx(expected.short_eur_per_kwh[0], abs=5e-4)


def test_one_path_is_the_mean_and_draws_nothing():
    rng = np.random.default_rng(0)
    one = BalancingLaw("one_price", **_SIDES).paths(_PRICE, paths=1, steps_per_hour=1, rng=rng)
    assert one.short_eur_per_kwh[0] == pytest.approx([0.115, 0.115, -0.085], abs=1e-15)
    np.testing.assert_array_equal(one.short_eur_per_kwh, one.long_eur_per_kwh)
    assert rng.uniform() == np.random.default_rng(0).uniform()


def test_a_state_holds_for_its_hour():
    law = BalancingLaw("one_price", **_SIDES)
    drawn = law.paths(np.full(12, 0.10), paths=10, steps_per_hour=4, rng=np.random.default_rng(0))
    hours = drawn.short_eur_per_kwh.reshape(10, 3, 4)
    assert (hours == hours[:, :, :1]).all()
    assert len({path.tobytes() for path in drawn.short_eur_per_kwh}) > 2


def test_a_longer_run_begins_in_the_same_states():
    law = BalancingLaw("one_price")
    week, day = (law.states(hours, np.random.default_rng(5)) for hours in (168, 24))
    assert week[:24].tolist() == day.tolist()
    assert 0 < day.sum() < 24


def test_shares_of_zero_and_one_are_certain():
    never, always = (BalancingLaw("one_price", system_short_share=share) for share in (0.0, 1.0))
    assert not never.states(100, np.random.default_rng(0)).any()
    assert always.states(100, np.random.default_rng(0)).all()
    assert always.balanced_states(7, 3, np.random.default_rng(0)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BalancingLaw(short_spread=-0.1), "spreads must be finite and non-negative"),
        (lambda: BalancingLaw(system_short_share=1.1), r"system_short_share is 1.1, expected 0..1"),
        (lambda: BalancingLaw().prices(np.ones(2), np.ones(3, dtype=bool)), r"system_short has shape \(3,\)"),
    ],
)
def test_a_bad_law_is_refused(make, message):
    with pytest.raises(PhysicsError, match=message):
        make()
