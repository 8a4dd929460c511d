"""What holds of strategies and indices on every book and fleet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.market.accounts import blended_prices, filled, welfare_eur
from vpp_sim.market.bidding import Adaptive, BiddingStep, ForecastBased, Outlook, Truthful, ZeroIntelligence
from vpp_sim.market.clearing import MidMarketRate, UniformPrice
from vpp_sim.market.community_indices import gini
from vpp_sim.market.indices import budget_residual_eur, member_gains_eur, misreports, rationality
from vpp_sim.market.optimum import optimum
from vpp_sim.market.protocol import OrderBook

_ENERGY = st.one_of(st.integers(0, 5).map(float), st.floats(0.0, 50.0, allow_subnormal=False))
_PRICE = st.one_of(st.integers(-3, 6).map(float), st.floats(-0.5, 1.0, allow_subnormal=False))
_VALUES = st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=1, max_size=20).map(np.array)


@st.composite
def books(draw):
    bids = draw(st.lists(st.tuples(_ENERGY, _PRICE), max_size=8))
    asks = draw(st.lists(st.tuples(_ENERGY, _PRICE), max_size=8))
    ids = np.array(draw(st.permutations(range(len(bids) + len(asks)))), dtype=np.int64)
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 2) for orders in (bids, asks))
    prices = sorted(draw(st.tuples(_PRICE, _PRICE)))
    return OrderBook(ids[: len(bids)], *bids.T, ids[len(bids) :], *asks.T, prices[1], prices[0])


@given(books())
@settings(max_examples=80, deadline=None)
def test_the_optimum_is_feasible_bounds_the_auction_and_is_reached_by_it(book):
    best = optimum(book)
    assert (best.bought_kwh <= book.bid_kwh + 1e-7).all()
    assert (best.sold_kwh <= book.ask_kwh + 1e-7).all()
    assert best.bought_kwh.sum() == pytest.approx(best.sold_kwh.sum(), abs=1e-6)
    assert welfare_eur(UniformPrice().clear(book), book) == pytest.approx(best.welfare_eur, abs=1e-6)
    assert welfare_eur(MidMarketRate().clear(book), book) <= best.welfare_eur + 1e-6


@given(books(), st.sampled_from([MidMarketRate(), UniformPrice()]))
@settings(max_examples=80, deadline=None)
def test_gains_are_what_bills_fall_by_and_no_limit_is_broken(book, mechanism):
    clearing = mechanism.clear(book)
    buyer_eur, seller_eur = member_gains_eur(clearing, book)
    buy, sell = blended_prices(clearing, book)
    np.testing.assert_allclose(buyer_eur, (book.retail_eur_per_kwh - buy) * book.bid_kwh, atol=1e-8)
    np.testing.assert_allclose(seller_eur, (sell - book.feed_in_eur_per_kwh) * book.ask_kwh, atol=1e-8)
    found = rationality(clearing, book)
    assert found.beyond_limit == 0
    spread = book.retail_eur_per_kwh - book.feed_in_eur_per_kwh
    assert found.community_gain_eur + budget_residual_eur(clearing) == pytest.approx(
        spread * filled(clearing, book)[0].sum(), abs=1e-7
    )


@given(books().filter(lambda book: book.buyer.size > 0))
@settings(max_examples=25, deadline=None)
def test_a_lie_never_costs_and_more_lies_never_gain_less(book):
    members, few, many = book.buyer[:2], np.array([0.0, 0.5]), np.array([0.0, 0.25, 0.5, 1.0])
    few_gains, many_gains = (
        misreports(UniformPrice(), book, members, prices_eur_per_kwh=grid, quantity_shares=np.ones(1)).gain_eur
        for grid in (few, many)
    )
    assert (few_gains >= 0).all()
    assert (many_gains >= few_gains).all()


@given(_VALUES, st.floats(0.1, 100.0))
@settings(max_examples=100, deadline=None)
def test_gini_is_a_share_and_knows_no_unit_or_order(values, scale):
    found = gini(values)
    assert -1e-12 <= found <= 1 - 1 / values.size + 1e-9
    assert gini(values * scale) == pytest.approx(found, abs=1e-9)
    assert gini(values[::-1]) == pytest.approx(found, abs=1e-12)
    apart = np.abs(values[:, None] - values[None]).sum()
    assert found * 2 * values.size * np.abs(values).sum() == pytest.approx(apart, rel=1e-9, abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(-0.3, 0.5), st.floats(0.0, 0.5), st.lists(_ENERGY, min_size=3, max_size=3))
@settings(max_examples=60, deadline=None)
def test_no_strategy_bids_beyond_the_outside_options(seed, feed_in, spread, energy):
    rng, retail = np.random.default_rng(seed), feed_in + spread
    outlook = Outlook(np.array([0.1, 0.5, 0.9]), np.array(sorted(energy)), rng.random(3).cumsum())
    for strategy in (Truthful(), ZeroIntelligence(), Adaptive(12, rng), ForecastBased(0.5 + rng.random() / 2)):
        for _ in range(4):
            sides = rng.integers(-1, 2, 12)
            hour = 24 * rng.random()
            limits = strategy.limits(BiddingStep(sides, retail, feed_in, rng.random(12), hour, outlook))
            assert (limits[sides > 0] <= retail).all()
            assert (limits[sides < 0] >= feed_in).all()
            assert ((limits >= feed_in - 1e-12) & (limits <= retail + 1e-12)).all()
            buyer, seller = np.flatnonzero(sides > 0), np.flatnonzero(sides < 0)
            kwh = rng.random(12)
            book = OrderBook(buyer, kwh[buyer], limits[buyer], seller, kwh[seller], limits[seller], retail, feed_in)
            strategy.observe(UniformPrice().clear(book), book)
