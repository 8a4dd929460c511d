"""Orders that would be filled with less than the least energy stay outside; by hand."""

import numpy as np
import pytest

from vpp_sim.market.accounts import filled
from vpp_sim.market.auctions import PayAsBid
from vpp_sim.market.clearing import MidMarketRate, UniformPrice
from vpp_sim.market.community import BillSharing
from vpp_sim.market.continuous import ContinuousDoubleAuction
from vpp_sim.market.merit import efficient_welfare_eur
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import at_one_price, in_proportion, pairs, pro_rata
from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.truthful import HuangMultiUnit, McAfee, TradeReduction
from vpp_sim.market.vcg import Vcg

QUEUES = [UniformPrice(), PayAsBid(), Vcg(), ContinuousDoubleAuction()]


def _book(bids, asks, minimum):
    bids, asks = (np.array(orders, dtype=float).reshape(-1, 2) for orders in (bids, asks))
    ids = np.arange(len(bids) + len(asks))
    return OrderBook(ids[: len(bids)], *bids.T, ids[len(bids) :], *asks.T, 0.5, 0.0, minimum)


def _fills(mechanism, book):
    return [fill.round(12).tolist() for fill in filled(mechanism.clear(book), book)]


@pytest.mark.parametrize("mechanism", QUEUES, ids=lambda m: type(m).__name__)
def test_what_is_left_over_is_too_little_for_all_who_wait(mechanism):
    # The ask of 3 fills the first bid and leaves 1; at least 1.5 an order shuts out the second bid and the third.
    book = _book([(2, 0.4), (2, 0.3), (2, 0.2)], [(3, 0.1)], 1.5)
    assert _fills(mechanism, book) == [[2.0, 0.0, 0.0], [2.0]]


@pytest.mark.parametrize("mechanism", QUEUES, ids=lambda m: type(m).__name__)
def test_shutting_out_may_go_back_and_forth(mechanism):
    # 5 kWh wanted, 4.4 offered: the last bid would get 0.4. Without it the second ask would sell 1.4: enough.
    book = _book([(4, 0.4), (1, 0.3)], [(2.6, 0.1), (1.8, 0.2)], 0.5)
    assert _fills(mechanism, book) == [[4.0, 0.0], [2.6, 1.4]]
    # At least 1.5: again the last bid gets 0.4, and without it the second ask sells 1.4, too little; 2.6 is left.
    book = _book([(4, 0.4), (1.5, 0.3)], [(2.6, 0.1), (1.8, 0.2)], 1.5)
    assert _fills(mechanism, book) == [[2.6, 0.0], [2.6, 0.0]]


@pytest.mark.parametrize("mechanism", [MidMarketRate(), BillSharing()])
def test_a_shared_side_keeps_as_many_as_its_energy_serves(mechanism):
    # Four equal bids share 2 kWh, 0.5 each: at least 0.7 leaves room for two, and the lower ids stay.
    book = _book([(1, 0.5)] * 4, [(2, 0.0)], 0.7)
    assert _fills(mechanism, book) == [[1.0, 1.0, 0.0, 0.0], [2.0]]
    # Unequal bids of 1, 2 and 3 kWh get a third each: 1 kWh is room for one of the two short ones, the larger.
    book = _book([(1, 0.5), (2, 0.5), (3, 0.5)], [(2, 0.0)], 0.7)
    assert _fills(mechanism, book) == [[0.0, 0.8, 1.2], [2.0]]


def test_orders_smaller_than_the_least_never_trade():
    for mechanism in (*QUEUES, MidMarketRate(), BillSharing(), McAfee(), TradeReduction(), HuangMultiUnit()):
        assert mechanism.clear(_book([(0.9, 0.5)] * 3, [(5, 0.0), (5, 0.1)], 1.0)).traded_kwh == 0.0


def test_reducing_auctions_ask_again_with_the_marginal_order():
    # Shut out: the bid at 0.3 and the ask at 0.2. The bids of 3 and 1 share 2 kWh: 1.5 and 0.5. At least 0.6 sends the
    # second away; then all 2 kWh go to the first.
    book = _book([(3, 0.5), (1, 0.4), (2, 0.3)], [(2, 0.1), (3, 0.2)], 0.6)
    assert _fills(TradeReduction(), book) == [[2.0, 0.0, 0.0], [2.0, 0.0]]


def test_a_fill_that_misses_the_least_by_rounding_stays():
    # 3 x 0.3 is 0.8999999999999999, and the third bid gets 0.29999999999999993.
    book = _book([(0.3, 0.5)] * 3, [(3 * 0.3, 0.0)], 0.3)
    assert _fills(UniformPrice(), book) == [[0.3, 0.3, 0.3], [0.9]]


def test_of_equally_filled_orders_the_lower_ids_stay():
    # Running sums give the third bid the most, by rounding.
    book = _book([(4, 0.5)] * 3, [(2, 0.0)], 0.9)
    clearing = clear_by_pairs(book)
    assert clearing.buyer.tolist() == [0, 1]
    assert clearing.energy_kwh.tolist() == [1.0, 1.0]


def clear_by_pairs(book):
    def share(some):
        fills = in_proportion(some.bid_kwh, some.ask_kwh)
        return at_one_price(*pairs(some.buyer, fills[0], some.seller, fills[1]), 0.25)

    return at_least_minimum(book, share)


def test_refused_orders_do_not_count_for_the_share():
    # At 0.1 the last bid refuses; the two others get 1 kWh each.
    book = _book([(2, 0.5), (2, 0.5), (9, 0.0)], [(2, 0.0)], 1.0)
    assert _fills_at(book, 0.1) == [[1.0, 1.0, 0.0], [2.0]]


def _fills_at(book, price):
    return [fill.tolist() for fill in filled(pro_rata(book, price), book)]


def test_the_efficient_welfare_knows_no_least():
    assert efficient_welfare_eur(_book([(1, 0.5)], [(2, 0.25)], 5.0)) == 0.25
