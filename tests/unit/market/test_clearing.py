"""Mechanisms one by one: prices, partial fills, ties and empty sides.

The figures of the mid-market rate are hand arithmetic on its formula, those of the auctions are cleared by hand.
"""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.accounts import blended_prices, filled, welfare_eur
from vpp_sim.market.clearing import MidMarketRate, NoTrade, UniformPrice
from vpp_sim.market.protocol import OrderBook


def _book(bids, asks, retail=0.25, feed_in=0.05):
    """Build a book from (id, kWh, EUR/kWh) triples."""
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 3) for orders in (bids, asks))
    return OrderBook(
        bids[:, 0].astype(np.int64), bids[:, 1], bids[:, 2],
        asks[:, 0].astype(np.int64), asks[:, 1], asks[:, 2],
        retail, feed_in,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("supply", "demand", "buy", "sell"),
    [(60.0, 100.0, 0.19, 0.15), (150.0, 100.0, 0.15, 0.35 / 3), (80.0, 80.0, 0.15, 0.15)],
)
def test_mid_market_rate_blends_to_the_textbook_prices(supply, demand, buy, sell):
    book = _book([(0, 0.3 * demand, 0.25), (1, 0.7 * demand, 0.25)], [(2, 0.6 * supply, 0.05), (3, 0.4 * supply, 0.05)])
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(MidMarketRate().clear(book), book)
    assert buy_eur_per_kwh == pytest.approx([buy, buy], abs=1e-12)
    assert sell_eur_per_kwh == pytest.approx([sell, sell], abs=1e-12)


def test_mid_market_rate_leaves_out_whom_it_would_hurt():
    book = _book([(0, 4.0, 0.25), (1, 4.0, 0.14)], [(2, 3.0, 0.05), (3, 3.0, 0.16)])
    clearing = MidMarketRate().clear(book)
    assert (clearing.buyer.tolist(), clearing.seller.tolist(), clearing.energy_kwh.tolist()) == ([0], [2], [3.0])
    assert clearing.market_eur_per_kwh == pytest.approx(0.15)


def test_mid_market_rate_does_not_trade_where_feeding_in_pays_more_than_retail():
    book = _book([(0, 4.0, 0.05)], [(1, 4.0, 0.25)], retail=0.05, feed_in=0.25)
    assert MidMarketRate().clear(book).traded_kwh == 0.0


def test_unit_auction():
    # By hand: 100/80 and 90/85 gain, 80/95 does not; the marginal pair is 90/85.
    bids = [(place, 1.0, price) for place, price in enumerate((100, 90, 80, 70, 60))]
    asks = [(place + 5, 1.0, price) for place, price in enumerate((80, 85, 95, 100, 110))]
    book = _book(bids, asks)
    clearing = UniformPrice().clear(book)
    assert (clearing.buyer.tolist(), clearing.seller.tolist()) == ([0, 1], [5, 6])
    assert clearing.market_eur_per_kwh == 87.5
    assert welfare_eur(clearing, book) == 25.0


@pytest.mark.parametrize(("k", "price"), [(0.0, 85.0), (0.25, 86.25), (1.0, 90.0)])
def test_k_divides_the_marginal_gain(k, price):
    book = _book([(0, 1.0, 90.0), (1, 1.0, 80.0)], [(2, 1.0, 85.0), (3, 1.0, 95.0)])
    assert UniformPrice(k=k).clear(book).market_eur_per_kwh == price


@pytest.mark.parametrize("k", [-0.1, 1.1, np.nan])
def test_k_outside_its_range_is_refused(k):
    with pytest.raises(PhysicsError, match=r"k is .*, expected 0\.\.1"):
        UniformPrice(k=k)


def test_the_last_order_is_filled_in_part():
    book = _book([(0, 1.0, 3.0), (1, 2.0, 4.0), (2, 5.0, 1.0)], [(3, 4.0, 2.0), (4, 1.0, 1.0), (5, 5.0, 6.0)])
    clearing = UniformPrice().clear(book)
    bought_kwh, sold_kwh = filled(clearing, book)
    assert (bought_kwh.tolist(), sold_kwh.tolist()) == ([1.0, 2.0, 0.0], [2.0, 1.0, 0.0])
    assert clearing.market_eur_per_kwh == 2.5
    assert welfare_eur(clearing, book) == 6.0


def test_ties_go_to_the_lower_id_whatever_the_order_of_the_book():
    bids = [(7, 1.0, 0.2), (3, 1.0, 0.2), (5, 1.0, 0.2)]
    clearing = UniformPrice().clear(_book(bids, [(9, 1.0, 0.1), (8, 1.0, 0.1)]))
    assert (clearing.buyer.tolist(), clearing.seller.tolist()) == ([3, 5], [8, 9])


def test_a_bid_equal_to_the_ask_trades():
    clearing = UniformPrice().clear(_book([(0, 2.0, 0.1)], [(1, 1.0, 0.1)]))
    assert (clearing.traded_kwh, clearing.market_eur_per_kwh) == (1.0, 0.1)


def test_zero_and_negative_prices_clear_like_any_other():
    clearing = UniformPrice().clear(_book([(0, 2.0, 0.0), (1, 1.0, -0.3)], [(2, 1.0, -0.2), (3, 2.0, -0.1)]))
    assert clearing.buyer.tolist() == [0, 0]
    assert clearing.seller.tolist() == [2, 3]
    assert clearing.market_eur_per_kwh == pytest.approx(-0.05)


@pytest.mark.parametrize("mechanism", [NoTrade(), MidMarketRate(), UniformPrice()])
@pytest.mark.parametrize(
    ("bids", "asks"), [([], []), ([(0, 1.0, 0.25)], []), ([], [(0, 1.0, 0.05)]), ([(0, 0.0, 0.25)], [(1, 1.0, 0.05)])]
)
def test_one_side_alone_does_not_trade(mechanism, bids, asks):
    book = _book(bids, asks)
    clearing = mechanism.clear(book)
    assert clearing.energy_kwh.size == 0
    assert np.isnan(clearing.market_eur_per_kwh)
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(clearing, book)
    assert (buy_eur_per_kwh == 0.25).all()
    assert (sell_eur_per_kwh == 0.05).all()


def test_nobody_trades_without_a_market():
    assert NoTrade().clear(_book([(0, 1.0, 0.25)], [(1, 1.0, 0.05)])).traded_kwh == 0.0
