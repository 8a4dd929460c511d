"""What holds for every book: energy and limits are respected, pairs are few, and the auction is efficient.

The oracle of efficiency is a linear program solved by HiGHS through SciPy: choose fills within the orders, as much
bought as sold, with the largest welfare.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vpp_sim.market.accounts import blended_prices, filled, welfare_eur
from vpp_sim.market.clearing import MidMarketRate, UniformPrice
from vpp_sim.market.protocol import OrderBook

# Whole numbers make ties; the floats make everything else.
_ENERGY = st.one_of(st.integers(0, 5).map(float), st.floats(0.0, 50.0, allow_subnormal=False))
_PRICE = st.one_of(st.integers(-3, 6).map(float), st.floats(-0.5, 1.0, allow_subnormal=False))


@st.composite
def books(draw):
    bids = draw(st.lists(st.tuples(_ENERGY, _PRICE), max_size=12))
    asks = draw(st.lists(st.tuples(_ENERGY, _PRICE), max_size=12))
    ids = np.array(draw(st.permutations(range(len(bids) + len(asks)))), dtype=np.int64)
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 2) for orders in (bids, asks))
    prices = sorted(draw(st.tuples(_PRICE, _PRICE)))
    return OrderBook(ids[: len(bids)], *bids.T, ids[len(bids) :], *asks.T, prices[1], prices[0])


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


@given(books())
@settings(max_examples=150, deadline=None)
def test_the_uniform_price_auction_reaches_the_largest_welfare(book):
    assert welfare_eur(UniformPrice().clear(book), book) == pytest.approx(_best_welfare_eur(book), abs=1e-6)


@given(books(), st.sampled_from([MidMarketRate(), UniformPrice()]))
@settings(max_examples=150, deadline=None)
def test_no_order_is_overfilled_or_hurt(book, mechanism):
    clearing = mechanism.clear(book)
    bought_kwh, sold_kwh = filled(clearing, book)
    assert (bought_kwh <= book.bid_kwh + 1e-9).all()
    assert (sold_kwh <= book.ask_kwh + 1e-9).all()
    assert bought_kwh.sum() == pytest.approx(sold_kwh.sum(), abs=1e-9)
    assert (book.bid_eur_per_kwh[bought_kwh > 0] >= clearing.market_eur_per_kwh - 1e-12).all()
    assert (book.ask_eur_per_kwh[sold_kwh > 0] <= clearing.market_eur_per_kwh + 1e-12).all()
    assert clearing.energy_kwh.size <= max(book.bid_kwh.size + book.ask_kwh.size - 1, 0)


@given(books(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_book_may_stand_in_any_order(book, shuffler):
    bids, asks = list(range(book.buyer.size)), list(range(book.seller.size))
    shuffler.shuffle(bids)
    shuffler.shuffle(asks)
    bids, asks = np.array(bids, dtype=int), np.array(asks, dtype=int)
    shuffled = OrderBook(
        book.buyer[bids], book.bid_kwh[bids], book.bid_eur_per_kwh[bids],
        book.seller[asks], book.ask_kwh[asks], book.ask_eur_per_kwh[asks],
        book.retail_eur_per_kwh, book.feed_in_eur_per_kwh,
    )  # fmt: skip
    one, other = UniformPrice().clear(book), UniformPrice().clear(shuffled)
    assert one.buyer.tolist() == other.buyer.tolist()
    assert one.seller.tolist() == other.seller.tolist()
    assert one.energy_kwh.tolist() == other.energy_kwh.tolist()


@given(books())
@settings(max_examples=60, deadline=None)
def test_money_paid_to_the_retailer_and_to_neighbours_is_money_received(book):
    clearing = MidMarketRate().clear(book)
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(clearing, book)
    bought_kwh, sold_kwh = filled(clearing, book)
    paid = buy_eur_per_kwh @ book.bid_kwh - book.retail_eur_per_kwh * (book.bid_kwh - bought_kwh).sum()
    earned = sell_eur_per_kwh @ book.ask_kwh - book.feed_in_eur_per_kwh * (book.ask_kwh - sold_kwh).sum()
    assert paid == pytest.approx(earned, abs=1e-7)
