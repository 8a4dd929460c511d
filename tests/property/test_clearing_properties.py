"""What holds for every book: energy and limits are respected, pairs are few, budgets and efficiency are as claimed.

========================  ==================  =====================  ===============================
mechanism                 budget              individually rational  efficient
========================  ==================  =====================  ===============================
uniform price             balanced            yes                    yes
pay-as-bid                balanced or spread  yes                    yes
VCG                       deficit             yes                    yes
McAfee, trade reduction   surplus             yes                    loses at most one trade
Huang                     surplus             yes                    as trade reduction on unit books
continuous                balanced            yes                    no
mid-market rate, SDR      balanced            yes                    no
bill sharing              balanced            as a whole             in bills
========================  ==================  =====================  ===============================

Efficiency is by the reported limits; who reports the truth is the subject of the tests of truthfulness. Its oracle is a
linear program solved by HiGHS through SciPy: choose fills within the orders, as much bought as sold, with the largest
welfare.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vpp_sim.market.accounts import blended_prices, filled, welfare_eur
from vpp_sim.market.auctions import PayAsBid
from vpp_sim.market.clearing import MidMarketRate, UniformPrice
from vpp_sim.market.community import BillSharing, SupplyDemandRatio
from vpp_sim.market.continuous import ContinuousDoubleAuction
from vpp_sim.market.merit import efficient_welfare_eur
from vpp_sim.market.minimum import without
from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.truthful import HuangMultiUnit, McAfee, TradeReduction
from vpp_sim.market.vcg import Vcg

BALANCED = [
    MidMarketRate(), SupplyDemandRatio(), UniformPrice(), UniformPrice(k=0.2), PayAsBid(), PayAsBid(spread="halved"),
    ContinuousDoubleAuction(),
]  # fmt: skip
EFFICIENT = [UniformPrice(), PayAsBid(), PayAsBid(spread="to_market"), Vcg()]
REDUCING = [TradeReduction(), HuangMultiUnit(), McAfee()]
RATIONAL = [*BALANCED, PayAsBid(spread="to_market"), Vcg(), *REDUCING]

# Whole numbers make ties; the floats make everything else.
_ENERGY = st.one_of(st.integers(0, 5).map(float), st.floats(0.0, 50.0, allow_subnormal=False))
_PRICE = st.one_of(st.integers(-3, 6).map(float), st.floats(-0.5, 1.0, allow_subnormal=False))
_NO_MINIMUM = st.just(0.0)


@st.composite
def books(draw, energy=_ENERGY, price=_PRICE, minimum=_NO_MINIMUM):
    bids = draw(st.lists(st.tuples(energy, price), max_size=12))
    asks = draw(st.lists(st.tuples(energy, price), max_size=12))
    ids = np.array(draw(st.permutations(range(len(bids) + len(asks)))), dtype=np.int64)
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 2) for orders in (bids, asks))
    prices = sorted(draw(st.tuples(_PRICE, _PRICE)))
    return OrderBook(ids[: len(bids)], *bids.T, ids[len(bids) :], *asks.T, prices[1], prices[0], draw(minimum))


def _gains_eur(clearing, book):
    """Return what each bid and each ask gained by its own limit."""
    bought_kwh, sold_kwh = filled(clearing, book)
    ids = np.concatenate([book.buyer, book.seller])
    paid = np.bincount(clearing.buyer, clearing.energy_kwh * clearing.paid_eur_per_kwh, ids.size)
    earned = np.bincount(clearing.seller, clearing.energy_kwh * clearing.price_eur_per_kwh, ids.size)
    return (
        book.bid_eur_per_kwh * bought_kwh - paid[book.buyer],
        earned[book.seller] - book.ask_eur_per_kwh * sold_kwh,
    )


def _best_welfare_eur(book):
    bids, asks = book.bid_kwh.size, book.ask_kwh.size
    if not bids or not asks:
        return 0.0
    result = linprog(
        np.concatenate([-book.bid_eur_per_kwh, book.ask_eur_per_kwh]),
        A_eq=np.concatenate([np.ones(bids), -np.ones(asks)])[None],
        b_eq=[0.0],
        bounds=[(0, energy) for energy in (*book.bid_kwh, *book.ask_kwh)],
        method="highs",
    )
    assert result.status == 0
    return -result.fun


@given(books(), st.sampled_from(EFFICIENT))
@settings(max_examples=50, deadline=None)
def test_efficient_auctions_reach_the_largest_welfare(book, mechanism):
    best = _best_welfare_eur(book)
    assert welfare_eur(mechanism.clear(book), book) == pytest.approx(best, abs=1e-6)
    assert efficient_welfare_eur(book) == pytest.approx(best, abs=1e-6)


@given(books(minimum=st.sampled_from([0.0, 0.5, 2.0])), st.sampled_from([*RATIONAL, BillSharing()]))
@settings(max_examples=90, deadline=None)
def test_no_order_is_overfilled_or_filled_with_less_than_the_least(book, mechanism):
    clearing = mechanism.clear(book)
    bought_kwh, sold_kwh = filled(clearing, book)
    assert (bought_kwh <= book.bid_kwh + 1e-9).all()
    assert (sold_kwh <= book.ask_kwh + 1e-9).all()
    assert bought_kwh.sum() == pytest.approx(sold_kwh.sum(), abs=1e-9)
    some = np.concatenate([bought_kwh[bought_kwh > 0], sold_kwh[sold_kwh > 0]])
    assert (some >= book.minimum_kwh * (1 - 1e-6)).all()
    assert (clearing.energy_kwh > 0).all()
    assert clearing.energy_kwh.size <= max(book.bid_kwh.size + book.ask_kwh.size - 1, 0)


@given(books(minimum=st.sampled_from([0.0, 0.5, 2.0])), st.sampled_from(RATIONAL))
@settings(max_examples=90, deadline=None)
def test_nobody_trades_beyond_the_limit(book, mechanism):
    clearing = mechanism.clear(book)
    limit = np.zeros(book.buyer.size + book.seller.size)
    limit[book.buyer], limit[book.seller] = book.bid_eur_per_kwh, book.ask_eur_per_kwh
    assert (clearing.paid_eur_per_kwh <= limit[clearing.buyer] + 1e-12).all()
    assert (clearing.price_eur_per_kwh >= limit[clearing.seller] - 1e-12).all()


@given(books(), st.sampled_from([*BALANCED, BillSharing()]))
@settings(max_examples=40, deadline=None)
def test_balanced_mechanisms_take_no_fee(book, mechanism):
    assert (mechanism.clear(book).fee_eur_per_kwh == 0).all()


@given(books(), st.sampled_from([*REDUCING, PayAsBid(spread="to_market")]))
@settings(max_examples=50, deadline=None)
def test_reducing_auctions_and_the_spread_leave_a_surplus(book, mechanism):
    assert (mechanism.clear(book).fee_eur_per_kwh >= 0).all()


@given(books())
@settings(max_examples=40, deadline=None)
def test_vcg_runs_a_deficit_and_pays_what_the_definition_says(book):
    clearing = Vcg().clear(book)
    assert clearing.surplus_eur <= 1e-9
    best = _best_welfare_eur(book)
    bid_gain, ask_gain = _gains_eur(clearing, book)
    # What a member gains is what she adds to the welfare of all: W - W without her.
    for place in range(book.buyer.size):
        rest = without(book, bids=np.arange(book.buyer.size) == place, asks=np.zeros(book.seller.size, dtype=bool))
        assert bid_gain[place] == pytest.approx(best - efficient_welfare_eur(rest), abs=1e-6)
    for place in range(book.seller.size):
        rest = without(book, bids=np.zeros(book.buyer.size, dtype=bool), asks=np.arange(book.seller.size) == place)
        assert ask_gain[place] == pytest.approx(best - efficient_welfare_eur(rest), abs=1e-6)


@given(books(energy=st.just(1.0)), st.sampled_from(REDUCING))
@settings(max_examples=50, deadline=None)
def test_reducing_auctions_lose_at_most_the_least_valuable_trade_of_unit_books(book, mechanism):
    bids, asks = np.sort(book.bid_eur_per_kwh)[::-1], np.sort(book.ask_eur_per_kwh)
    both = min(bids.size, asks.size)
    gains = (bids[:both] - asks[:both])[bids[:both] >= asks[:both]]
    loss = efficient_welfare_eur(book) - welfare_eur(mechanism.clear(book), book)
    allowed = {0.0, gains[-1]} if gains.size else {0.0}
    if not isinstance(mechanism, McAfee) and gains.size:
        allowed = {gains[-1]}
    assert any(loss == pytest.approx(case, abs=1e-9) for case in allowed)


@given(books(energy=st.just(1.0)))
@settings(max_examples=40, deadline=None)
def test_on_unit_books_huang_is_trade_reduction(book):
    one, other = HuangMultiUnit().clear(book), TradeReduction().clear(book)
    for field in ("buyer", "seller", "energy_kwh", "price_eur_per_kwh", "fee_eur_per_kwh"):
        assert getattr(one, field).tolist() == getattr(other, field).tolist()


@given(books(price=st.floats(0.0, 1.0)), st.sampled_from([MidMarketRate(), SupplyDemandRatio(), BillSharing()]))
@settings(max_examples=40, deadline=None)
def test_a_community_saves_the_margin_between_retail_and_feed_in_on_what_it_trades(book, mechanism):
    clearing = mechanism.clear(book)
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(clearing, book)
    bill = buy_eur_per_kwh @ book.bid_kwh - sell_eur_per_kwh @ book.ask_kwh
    alone = book.retail_eur_per_kwh * book.bid_kwh.sum() - book.feed_in_eur_per_kwh * book.ask_kwh.sum()
    margin = book.retail_eur_per_kwh - book.feed_in_eur_per_kwh
    assert alone - bill == pytest.approx(margin * clearing.traded_kwh, abs=1e-7)
    if isinstance(mechanism, BillSharing):
        assert clearing.traded_kwh == pytest.approx(min(book.bid_kwh.sum(), book.ask_kwh.sum()), abs=1e-9)


@given(books(minimum=st.sampled_from([0.0, 1.0])), st.randoms(use_true_random=False), st.sampled_from(RATIONAL))
@settings(max_examples=50, deadline=None)
def test_the_book_may_stand_in_any_order(book, shuffler, mechanism):
    bids, asks = list(range(book.buyer.size)), list(range(book.seller.size))
    shuffler.shuffle(bids)
    shuffler.shuffle(asks)
    bids, asks = np.array(bids, dtype=int), np.array(asks, dtype=int)
    shuffled = OrderBook(
        book.buyer[bids], book.bid_kwh[bids], book.bid_eur_per_kwh[bids],
        book.seller[asks], book.ask_kwh[asks], book.ask_eur_per_kwh[asks],
        book.retail_eur_per_kwh, book.feed_in_eur_per_kwh, book.minimum_kwh,
    )  # fmt: skip
    one, other = mechanism.clear(book), mechanism.clear(shuffled)
    members = book.buyer.size + book.seller.size
    for owner in ("buyer", "seller"):
        for eur_per_kwh in ("paid_eur_per_kwh", "price_eur_per_kwh"):
            sums = [
                np.bincount(getattr(clearing, owner), clearing.energy_kwh * getattr(clearing, eur_per_kwh), members)
                for clearing in (one, other)
            ]
            assert sums[0] == pytest.approx(sums[1], abs=1e-9)


@given(books())
@settings(max_examples=40, deadline=None)
def test_money_paid_to_the_retailer_and_to_neighbours_is_money_received(book):
    clearing = MidMarketRate().clear(book)
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(clearing, book)
    bought_kwh, sold_kwh = filled(clearing, book)
    paid = buy_eur_per_kwh @ book.bid_kwh - book.retail_eur_per_kwh * (book.bid_kwh - bought_kwh).sum()
    earned = sell_eur_per_kwh @ book.ask_kwh - book.feed_in_eur_per_kwh * (book.ask_kwh - sold_kwh).sum()
    assert paid == pytest.approx(earned, abs=1e-7)
