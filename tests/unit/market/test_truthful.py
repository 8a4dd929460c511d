"""McAfee, trade reduction and Huang's auction, cleared by hand from the papers' definitions."""

import numpy as np
import pytest

from vpp_sim.market.accounts import filled, welfare_eur
from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.truthful import HuangMultiUnit, McAfee, TradeReduction, in_equal_parts

REDUCING = [McAfee(), TradeReduction(), HuangMultiUnit()]


def _book(bids, asks):
    """Build a book from (kWh, EUR/kWh) pairs; ids count bids first."""
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 2) for orders in (bids, asks))
    ids = np.arange(len(bids) + len(asks))
    return OrderBook(ids[: len(bids)], *bids.T, ids[len(bids) :], *asks.T, 110.0, 0.0)


def _units(bids, asks):
    return _book([(1, price) for price in bids], [(1, price) for price in asks])


UNITS = _units((100, 90, 80, 70, 60), (80, 85, 95, 100, 110))


def test_mcafee_prices_all_trades_by_the_next_orders():
    clearing = McAfee().clear(UNITS)
    assert (clearing.traded_kwh, clearing.market_eur_per_kwh, clearing.surplus_eur) == (2.0, 87.5, 0.0)
    assert welfare_eur(clearing, UNITS) == 25.0


@pytest.mark.parametrize("mechanism", [TradeReduction(), HuangMultiUnit()])
def test_trade_reduction_gives_the_last_trade_up(mechanism):
    clearing = mechanism.clear(UNITS)
    assert (clearing.buyer.tolist(), clearing.seller.tolist()) == ([0], [5])
    assert clearing.paid_eur_per_kwh.tolist() == [90.0]
    assert clearing.price_eur_per_kwh.tolist() == [85.0]
    assert clearing.surplus_eur == 5.0
    assert welfare_eur(clearing, UNITS) == 20.0


@pytest.mark.parametrize(
    ("bids", "asks", "traded", "pay", "get"),
    [
        # The next orders, 10 and 90, price at 50, between 45 and 60: all trade.
        ((80, 60, 10), (20, 45, 90), 2.0, 50.0, 50.0),
        # 40 and 90 price at 65, which the bid of 60 refuses.
        ((80, 60, 40), (20, 45, 90), 1.0, 60.0, 45.0),
        # 10 and 70 price at 40, which the ask of 45 refuses.
        ((80, 60, 10), (20, 45, 70), 1.0, 60.0, 45.0),
        # The bounds themselves are accepted: 30 and 90 price at 60, 20 and 70 at 45.
        ((80, 60, 30), (20, 45, 90), 2.0, 60.0, 60.0),
        ((80, 60, 20), (20, 45, 70), 2.0, 45.0, 45.0),
        # Without a next order on a side there is no price.
        ((80, 60), (20, 45, 90), 1.0, 60.0, 45.0),
        ((80, 60, 10), (20, 45), 1.0, 60.0, 45.0),
    ],
)
def test_mcafee_reduces_where_the_next_orders_cannot_price(bids, asks, traded, pay, get):
    clearing = McAfee().clear(_units(bids, asks))
    assert clearing.traded_kwh == traded
    assert set(clearing.paid_eur_per_kwh) == {pay}
    assert set(clearing.price_eur_per_kwh) == {get}


def test_an_order_without_energy_does_not_price():
    book = _book([(1, 80), (1, 60), (0, 40), (1, 10)], [(1, 20), (1, 45), (0, 46), (1, 90)])
    assert McAfee().clear(book).market_eur_per_kwh == 50.0


def test_huang_on_the_data_of_pymarket():
    # Matched: 4 against 1 and 2, 3 against 2. The bid of 3 and the ask of 2 are shut out and set the prices; the bid of
    # 4 wants 2, the ask of 1 has 1.
    book = _book([(1, 3), (2, 4), (5, 1)], [(4, 2), (1, 1), (5, 6)])
    clearing = HuangMultiUnit().clear(book)
    assert (clearing.buyer.tolist(), clearing.seller.tolist(), clearing.traded_kwh) == ([1], [4], 1.0)
    assert (clearing.paid_eur_per_kwh.tolist(), clearing.price_eur_per_kwh.tolist()) == ([3.0], [2.0])


@pytest.mark.parametrize(
    ("mechanism", "bought"),
    [
        # The bids of 6, 3 and 1 kWh face 7 kWh: in proportion each gets 0.7 of it, in equal parts each gives up 1.
        (TradeReduction(), [4.2, 2.1, 0.7, 0.0]),
        (HuangMultiUnit(), [5.0, 2.0, 0.0, 0.0]),
    ],
)
def test_the_longer_side_is_cut_by_energy_and_not_by_price(mechanism, bought):
    book = _book([(6, 9), (3, 8), (1, 7), (2, 6)], [(7, 1), (5, 2)])
    clearing = mechanism.clear(book)
    bought_kwh, sold_kwh = filled(clearing, book)
    assert bought_kwh == pytest.approx(bought)
    assert sold_kwh == pytest.approx([7.0, 0.0])
    assert set(clearing.paid_eur_per_kwh) == {6.0}
    assert set(clearing.price_eur_per_kwh) == {2.0}


def test_the_longer_side_may_be_that_of_the_sellers():
    book = _book([(4, 9), (5, 8)], [(3, 1), (3, 2), (9, 3)])
    bought_kwh, sold_kwh = filled(HuangMultiUnit().clear(book), book)
    assert bought_kwh == pytest.approx([4.0, 0.0])
    assert sold_kwh == pytest.approx([2.0, 2.0, 0.0])


@pytest.mark.parametrize(
    ("wanted", "offered", "bought", "sold"),
    [
        ([5, 3, 0.5], [4.5], [3.25, 1.25, 0], [4.5]),
        ([1, 1, 1], [6, 2], [1, 1, 1], [3, 0]),
        ([2, 2], [4], [2, 2], [4]),
        ([2, 2], [], [0, 0], []),
        ([], [3], [], [0]),
        ([], [], [], []),
        ([0, 0], [0], [0, 0], [0]),
    ],
)
def test_equal_parts(wanted, offered, bought, sold):
    found = in_equal_parts(np.array(wanted, dtype=float), np.array(offered, dtype=float))
    assert found[0] == pytest.approx(bought)
    assert found[1] == pytest.approx(sold)


def test_all_is_given_up_to_an_empty_side_whatever_the_rounding():
    # Their sum differs from their running sum in the last digit.
    wanted = np.array([0.27, 0.041, 0.017, 0.813, 0.913, 0.607, 0.729, 0.544, 0.935, 0.816]) / 3
    for scale in np.linspace(1.0, 2.0, 50):
        assert in_equal_parts(scale * wanted, np.empty(0))[0] == pytest.approx(np.zeros(10), abs=1e-12)


def test_equal_parts_of_very_unequal_sides_do_not_lose_the_smaller():
    bids, asks = [(1e4 * (1 + place / 7), 9.0) for place in range(9)], [(1e-6, 1.0)]
    clearing = HuangMultiUnit().clear(_book([*bids, (1e6, 8.0)], [*asks, (1e6, 2.0)]))
    assert clearing.traded_kwh == pytest.approx(1e-6, rel=1e-3)


@pytest.mark.parametrize("mechanism", REDUCING, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize(("bids", "asks"), [([], []), ([5], []), ([], [5]), ([5], [1]), ([1], [5]), ([5, 4], [1])])
def test_nothing_is_left_of_a_single_trade(mechanism, bids, asks):
    clearing = mechanism.clear(_units(bids, asks))
    assert clearing.energy_kwh.size == 0
    assert np.isnan(clearing.market_eur_per_kwh)
