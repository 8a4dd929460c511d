"""The continuous double auction by hand: price, then time, at the price of the order that came first."""

import numpy as np
import pytest

from vpp_sim.market.accounts import welfare_eur
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.continuous import ContinuousDoubleAuction
from vpp_sim.market.protocol import OrderBook


def _book(bids, asks):
    """Build a book from (id, kWh, EUR/kWh) triples."""
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 3) for orders in (bids, asks))
    return OrderBook(
        bids[:, 0].astype(np.int64),
        bids[:, 1],
        bids[:, 2],
        asks[:, 0].astype(np.int64),
        asks[:, 1],
        asks[:, 2],
        9.0,
        0.0,
    )


def _trades(clearing):
    return list(
        zip(
            clearing.buyer.tolist(), clearing.seller.tolist(), clearing.energy_kwh.tolist(),
            clearing.price_eur_per_kwh.tolist(), strict=True,
        )
    )  # fmt: skip


def test_orders_trade_as_they_arrive():
    # 0 asks 5, 1 bids 3 (too little), 2 bids 6 for 2: takes 1 from 0 at 5 and rests. 3 asks 2 for 2: takes the rest of
    # 2 at 6 before 1 at 3.
    clearing = ContinuousDoubleAuction().clear(_book([(1, 1, 3), (2, 2, 6)], [(0, 1, 5), (3, 2, 2)]))
    assert _trades(clearing) == [(2, 0, 1.0, 5.0), (2, 3, 1.0, 6.0), (1, 3, 1.0, 3.0)]
    assert np.isnan(clearing.market_eur_per_kwh)
    assert clearing.surplus_eur == 0.0


@pytest.mark.parametrize(("first", "seller"), [(0.2, 0), (0.1, 0), (0.3, 1)])
def test_price_goes_before_time_and_time_before_nothing(first, seller):
    clearing = ContinuousDoubleAuction().clear(_book([(2, 1, 0.5)], [(0, 1, first), (1, 1, 0.2)]))
    assert clearing.seller.tolist() == [seller]
    assert clearing.market_eur_per_kwh == min(first, 0.2)


def test_equal_bids_are_served_in_the_order_of_arrival_whatever_the_book_says():
    clearing = ContinuousDoubleAuction().clear(_book([(2, 1, 4), (0, 1, 4), (1, 1, 4)], [(9, 2, -1)]))
    assert _trades(clearing) == [(0, 9, 1.0, 4.0), (1, 9, 1.0, 4.0)]


def test_who_comes_early_may_take_what_is_worth_more_to_one_who_comes_late():
    book = _book([(1, 1, 2), (2, 1, 8)], [(0, 1, 1)])
    assert welfare_eur(ContinuousDoubleAuction().clear(book), book) == 1.0
    assert welfare_eur(UniformPrice().clear(book), book) == 7.0


def test_rounding_leaves_no_slivers():
    # Three asks of 0.1 fill a bid of 0.3 but for 5e-17: the fourth must not sell that.
    clearing = ContinuousDoubleAuction().clear(_book([(4, 0.3, 1)], [(place, 0.1, 0) for place in range(4)]))
    assert clearing.seller.tolist() == [0, 1, 2]
    # Ten of 0.1 fill a bid of 1 that rests but for 1e-16: the eleventh must not.
    clearing = ContinuousDoubleAuction().clear(_book([(0, 1, 1)], [(place, 0.1, 0) for place in range(1, 12)]))
    assert clearing.seller.tolist() == list(range(1, 11))


@pytest.mark.parametrize(
    ("bids", "asks"),
    [([], []), ([(0, 1, 5)], []), ([], [(0, 1, 5)]), ([(0, 0, 5)], [(1, 1, 1)]), ([(0, 1, 1)], [(1, 1, 5)])],
)
def test_nothing_suits(bids, asks):
    clearing = ContinuousDoubleAuction().clear(_book(bids, asks))
    assert clearing.energy_kwh.size == 0
    assert clearing.buyer.dtype == clearing.seller.dtype == np.int64
    assert np.isnan(clearing.market_eur_per_kwh)
