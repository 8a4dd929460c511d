"""What orders traded and paid, by hand: ids in any order, several pairs an order, orders without a trade, and none."""

import numpy as np
import pytest

from vpp_sim.market.accounts import blended_prices, filled, payments_eur, welfare_eur
from vpp_sim.market.clearing import NoTrade
from vpp_sim.market.protocol import Clearing, OrderBook

BOOK = OrderBook(
    buyer=np.array([7, 3, 1]), bid_kwh=np.array([3.0, 2.0, 1.0]), bid_eur_per_kwh=np.array([0.25, 0.20, 0.15]),
    seller=np.array([5, 0]), ask_kwh=np.array([4.0, 2.0]), ask_eur_per_kwh=np.array([0.05, 0.10]),
    retail_eur_per_kwh=0.30, feed_in_eur_per_kwh=0.05,
)  # fmt: skip
TRADES = Clearing(
    buyer=np.array([3, 7, 3]), seller=np.array([5, 5, 0]), energy_kwh=np.array([0.5, 3.0, 1.0]),
    price_eur_per_kwh=np.array([0.10, 0.12, 0.14]), fee_eur_per_kwh=np.array([0.02, 0.0, -0.01]),
    market_eur_per_kwh=np.nan,
)  # fmt: skip
"""Home 7 buys 3 kWh at 0.12; home 3 half a kWh at 0.10 + 0.02 and one at 0.14 - 0.01; home 1 nothing."""


def test_energy_by_order() -> None:
    bought_kwh, sold_kwh = filled(TRADES, BOOK)
    assert bought_kwh.tolist() == [3.0, 1.5, 0.0]
    assert sold_kwh.tolist() == [3.5, 1.0]


def test_money_by_order_with_fees_for_buyers_alone() -> None:
    paid_eur, earned_eur = payments_eur(TRADES, BOOK)
    np.testing.assert_allclose(paid_eur, [0.36, 0.5 * 0.12 + 0.13, 0.0])
    np.testing.assert_allclose(earned_eur, [0.05 + 0.36, 0.14])


def test_mean_prices_with_what_is_left_to_the_retailer() -> None:
    buy, sell = blended_prices(TRADES, BOOK)
    np.testing.assert_allclose(buy, [0.12, (0.19 + 0.5 * 0.30) / 2, 0.30])
    np.testing.assert_allclose(sell, [(0.41 + 0.5 * 0.05) / 4, (0.14 + 0.05) / 2])


def test_gain_by_limits() -> None:
    assert welfare_eur(TRADES, BOOK) == pytest.approx(3 * 0.25 + 1.5 * 0.20 - 3.5 * 0.05 - 0.10)


def test_without_trades_or_orders_there_is_nothing() -> None:
    none = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
    for book, bids, asks in ((BOOK, 3, 2), (OrderBook(*none, *none, 0.3, 0.05), 0, 0)):
        for found in (filled, payments_eur):
            assert [side.tolist() for side in found(NoTrade().clear(book), book)] == [[0.0] * bids, [0.0] * asks]
