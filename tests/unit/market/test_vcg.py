"""VCG payments by hand: what the others lose by a member's presence."""

import numpy as np
import pytest

from vpp_sim.market.accounts import welfare_eur
from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.vcg import Vcg


def _book(bids, asks):
    """Build a book from (kWh, EUR/kWh) pairs; ids count bids first."""
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 2) for orders in (bids, asks))
    ids = np.arange(len(bids) + len(asks))
    return OrderBook(ids[: len(bids)], *bids.T, ids[len(bids) :], *asks.T, 110.0, 0.0)


def test_unit_book():
    # Without a buyer the ask of 85 need not deliver; without a seller the ask of 95 would cost more than the 90 that
    # its buyer loses.
    book = _book([(1, p) for p in (100, 90, 80, 70, 60)], [(1, p) for p in (80, 85, 95, 100, 110)])
    clearing = Vcg().clear(book)
    assert clearing.paid_eur_per_kwh.tolist() == [85.0, 85.0]
    assert clearing.price_eur_per_kwh.tolist() == [90.0, 90.0]
    assert clearing.surplus_eur == -10.0
    assert clearing.market_eur_per_kwh == 90.0
    assert welfare_eur(clearing, book) == 25.0


def test_orders_of_several_sizes():
    # Matched: A 3 kWh at 9 and B 2 of 4 kWh at 6, from X 4 kWh at 1 and Y 1 of 1 kWh at 2; C 5 kWh at 3 and the ask Z
    # 9 kWh at 8 stay out. W = 27 + 12 - 4 - 2 = 33.
    # Without A: her 3 kWh go to B (2 at 6) and C (1 at 3): 15, 5 a kWh.
    # Without B: his 2 kWh go to C at 3 each (Y would save 2): 6, 3 a kWh.
    # Without X: 4 kWh are taken from B (2 at 6), then bought from Z at 8 rather than taken from A at 9: 28, 7 a kWh.
    # Without Y: 1 kWh is taken from B: 6.
    book = _book([(3, 9), (4, 6), (5, 3)], [(4, 1), (1, 2), (9, 8)])
    clearing = Vcg().clear(book)
    assert clearing.buyer.tolist() == [0, 1, 1]
    assert clearing.seller.tolist() == [3, 3, 4]
    assert clearing.energy_kwh.tolist() == [3.0, 1.0, 1.0]
    assert clearing.paid_eur_per_kwh == pytest.approx([5.0, 3.0, 3.0])
    assert clearing.price_eur_per_kwh == pytest.approx([7.0, 7.0, 6.0])
    # 15 + 6 from buyers, 28 + 6 to sellers.
    assert clearing.surplus_eur == pytest.approx(21.0 - 34.0)


def test_a_lone_pair_pays_the_other_side():
    # Without the buyer the seller saves 2; without the seller the buyer loses 7.
    clearing = Vcg().clear(_book([(1, 7)], [(1, 2)]))
    assert clearing.paid_eur_per_kwh.tolist() == [2.0]
    assert clearing.price_eur_per_kwh.tolist() == [7.0]


def test_the_own_rest_of_the_marginal_order_prices_nothing():
    # The bid of 5 kWh gets 2; without it the ask of 1 saves 1 a kWh: it does not compete with its own rest.
    clearing = Vcg().clear(_book([(5, 9)], [(2, 1)]))
    assert clearing.paid_eur_per_kwh.tolist() == [1.0]
    assert clearing.price_eur_per_kwh.tolist() == [9.0]


@pytest.mark.parametrize(("bids", "asks"), [([], []), ([(1, 5)], []), ([], [(1, 5)]), ([(1, 1)], [(1, 5)])])
def test_nobody_pays_without_a_trade(bids, asks):
    clearing = Vcg().clear(_book(bids, asks))
    assert clearing.energy_kwh.size == 0
    assert clearing.surplus_eur == 0.0
