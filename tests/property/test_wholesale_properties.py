"""What holds for every auction and every settlement, whatever the bids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vpp_sim.market.balancing import BalancingLaw
from vpp_sim.market.day_ahead import AuctionRules, BidSteps, admit, clear_auction, price_taker_fills
from vpp_sim.market.imbalance import ImbalancePrices, settle_wholesale
from vpp_sim.market.intraday import IntradayRules, adjust_position

_RULES = AuctionRules()


@st.composite
def books(draw, steps=2):
    size = draw(st.integers(0, 14))
    lots = st.lists(st.integers(-6, 6), min_size=size, max_size=size)
    # Few distinct prices, so that ties at the margin are common; the limits themselves among them.
    prices = st.lists(st.sampled_from([-500.0, -20.0, 0.0, 30.0, 30.1, 75.5, 4000.0]), min_size=size, max_size=size)
    step = draw(st.lists(st.integers(0, steps - 1), min_size=size, max_size=size))
    return BidSteps(
        np.array(step, dtype=np.int64), 100.0 * np.array(draw(lots), dtype=float),
        np.array(draw(prices), dtype=float) / 1000.0,
    )  # fmt: skip


@given(books())
@settings(max_examples=200, deadline=None)
def test_energy_and_money_add_up_and_nobody_trades_beyond_their_limit(bids):
    result = clear_auction(bids, steps=2, rules=_RULES)
    filled = result.filled_kwh
    for step in range(2):
        own = bids.step == step
        assert filled[own].sum() == pytest.approx(0.0, abs=1e-9)
        assert np.abs(filled[own]).sum() == pytest.approx(2 * result.volume_kwh[step], abs=1e-9)
    assert result.payments_eur(bids).sum() == pytest.approx(0.0, abs=1e-9)
    assert (filled * np.sign(bids.energy_kwh) >= 0).all()
    assert (np.abs(filled) <= np.abs(bids.energy_kwh) + 1e-9).all()
    traded = np.abs(filled) > 1e-9
    surplus = np.sign(bids.energy_kwh) * (bids.limit_eur_per_kwh - result.price_eur_per_kwh[bids.step])
    assert (surplus[traded] >= -1e-12).all()
    # Whoever would gain from more is filled in full: the price clears the market.
    assert filled[surplus > 1e-12] == pytest.approx(bids.energy_kwh[surplus > 1e-12])


@given(books(steps=1))
@settings(max_examples=80, deadline=None)
def test_welfare_is_that_of_the_linear_program(bids):
    filled = clear_auction(bids, steps=1, rules=_RULES).filled_kwh
    welfare = float((filled * bids.limit_eur_per_kwh).sum())
    if not bids.step.size:
        assert welfare == 0.0
        return
    sign = np.sign(bids.energy_kwh)
    best = linprog(
        -sign * bids.limit_eur_per_kwh, A_eq=sign[None], b_eq=[0.0],
        bounds=list(zip(np.zeros(sign.size), np.abs(bids.energy_kwh), strict=True)),
    )  # fmt: skip
    assert welfare == pytest.approx(-best.fun, abs=1e-7)


@given(books())
@settings(max_examples=60, deadline=None)
def test_the_order_of_bids_changes_nothing(bids):
    back = BidSteps(bids.step[::-1], bids.energy_kwh[::-1], bids.limit_eur_per_kwh[::-1])
    one, other = (clear_auction(book, steps=2, rules=_RULES) for book in (bids, back))
    np.testing.assert_array_equal(one.price_eur_per_kwh, other.price_eur_per_kwh)
    assert one.filled_kwh == pytest.approx(other.filled_kwh[::-1])


@given(books(), st.floats(-0.5, 4.0))
@settings(max_examples=60, deadline=None)
def test_a_price_taker_never_regrets_a_fill(bids, price):
    filled = price_taker_fills(bids, np.full(2, price))
    assert (filled * (bids.limit_eur_per_kwh - price) >= 0).all()


@given(
    st.lists(st.tuples(st.floats(-5e3, 5e3), st.floats(-0.7, 4.5)), min_size=1, max_size=20),
    st.sampled_from([0.25, 1.0]),
)
@settings(max_examples=120, deadline=None)
def test_what_is_admitted_is_whole_ticks_within_limits_and_adds_up(entries, step_h):
    energy, limit = np.array(entries).T
    rules = AuctionRules(step_h=step_h)
    taken = admit(BidSteps(np.zeros(energy.size, dtype=np.int64), energy, limit), rules)
    lots = taken.bids.energy_kwh / (100.0 * step_h)
    assert lots == pytest.approx(np.rint(lots))
    kept = ~taken.refused
    ticks = taken.bids.limit_eur_per_kwh[kept] * 10_000
    assert ticks == pytest.approx(np.rint(ticks), abs=1e-6)
    assert taken.price_out_of_range + taken.below_least_size == taken.refused.sum()
    assert taken.bids.energy_kwh.sum() == pytest.approx(energy[kept].sum() + taken.rounded_kwh, abs=1e-6)
    worse = np.sign(energy[kept]) * (taken.bids.limit_eur_per_kwh[kept] - limit[kept])
    assert (worse <= 1e-9).all()
    again = admit(taken.bids, rules)
    assert (again.prices_rounded, again.sizes_rounded) == (0, 0)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_markets_add_up_to_the_meter_and_imbalance_at_two_prices_never_pays(seed):
    rng = np.random.default_rng(seed)
    position, wanted, metered = rng.normal(0, 800, (3, 12))
    day_ahead, middle, balancing = rng.normal(0.08, 0.1, (3, 12))
    trades = adjust_position(position, wanted, middle, is_open=rng.uniform(size=12) < 0.7, rules=IntradayRules())
    prices = ImbalancePrices.two_prices(day_ahead, balancing, rng.normal(size=12))
    settled = settle_wholesale(position, metered, day_ahead, prices, intraday=trades)
    assert settled.metered_kwh == pytest.approx(metered, abs=1e-9)
    parts = settled.day_ahead_eur + settled.intraday_eur + settled.imbalance_eur
    assert settled.total_eur == pytest.approx(parts, abs=1e-9)
    assert (settled.imbalance_eur >= settled.imbalance_kwh * day_ahead - 1e-9).all()
    assert (trades.traded_kwh * (wanted - position) >= 0).all()
    assert (np.abs(trades.traded_kwh) <= np.abs(wanted - position) + 1e-6).all()


@given(
    st.lists(st.tuples(st.floats(-0.5, 4.0), st.floats(-50, 50), st.booleans()), min_size=1, max_size=20),
    st.floats(0, 1),
    st.floats(0, 1),
)
@settings(max_examples=100, deadline=None)
def test_each_rule_costs_no_more_than_the_one_before(entries, short_spread, long_spread):
    """Spreads on both sides, two prices, one price: each takes back a penalty from who leans against the system."""
    price, imbalance, short = (np.array(column) for column in zip(*entries, strict=True))
    both, two, one = (
        BalancingLaw(rule, short_spread, long_spread).prices(price, short).cost_eur(imbalance)
        for rule in ("both_sides", "two_prices", "one_price")
    )
    slack = 1e-9
    assert (both >= two - slack).all()
    assert (two >= one - slack).all()
    assert (two >= imbalance * price - slack).all()
    adds = (imbalance > 0) == short
    assert both[adds] == pytest.approx(one[adds], abs=slack)


@given(st.lists(st.floats(-0.5, 4.0), min_size=1, max_size=12), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_prices_expected_of_a_law_are_between_those_of_its_states(price, short_spread, long_spread, share):
    day_ahead = np.array(price)
    for rule in ("both_sides", "two_prices", "one_price"):
        law = BalancingLaw(rule, short_spread, long_spread, share)
        expected = law.expected(day_ahead)
        states = [law.prices(day_ahead, np.full(day_ahead.shape, short)) for short in (True, False)]
        for side in ("short_eur_per_kwh", "long_eur_per_kwh"):
            one, other = (getattr(prices, side) for prices in states)
            assert (getattr(expected, side) <= np.maximum(one, other) + 1e-9).all()
            assert (getattr(expected, side) >= np.minimum(one, other) - 1e-9).all()
