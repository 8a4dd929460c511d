"""Cleared quantities become the shortest list of pairs."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.pairing import at_one_price, match, pairs


def test_pairs_end_where_an_order_ends():
    buyer, seller, energy_kwh = pairs(
        np.array([10, 11, 12]), np.array([3.0, 4.0, 5.0]), np.array([20, 21]), np.array([6.0, 6.0])
    )
    assert buyer.tolist() == [10, 11, 11, 12]
    assert seller.tolist() == [20, 20, 21, 21]
    assert energy_kwh.tolist() == [3.0, 3.0, 1.0, 5.0]


def test_orders_without_energy_make_no_pair():
    buyer, seller, energy_kwh = pairs(
        np.array([0, 1, 2]), np.array([0.0, 2.0, 0.0]), np.array([3, 4]), np.array([0.0, 2.0])
    )
    assert (buyer.tolist(), seller.tolist(), energy_kwh.tolist()) == ([1], [4], [2.0])


def test_rounding_leaves_no_slivers():
    # 0.1 + 0.1 + 0.1 is 0.30000000000000004 in binary: a naive cut makes a fifth pair of 5e-17 kWh.
    _, seller, energy_kwh = pairs(np.arange(4), np.full(4, 0.1), np.array([4, 5]), np.array([0.3, 0.1]))
    assert seller.tolist() == [4, 4, 4, 5]
    assert energy_kwh == pytest.approx(np.full(4, 0.1), abs=1e-15)


def test_the_shorter_queue_ends_the_match():
    bid, ask, energy_kwh = match(np.array([2.0, 5.0, 9.0]), np.array([3.0]))
    assert (bid.tolist(), ask.tolist(), energy_kwh.tolist()) == ([0, 1], [0, 0], [2.0, 1.0])


@pytest.mark.parametrize(("bought", "sold"), [([], []), ([], [1.0]), ([1.0], []), ([0.0], [2.0]), ([0.0], [0.0])])
def test_an_empty_side_matches_nothing(bought, sold):
    bid, ask, energy_kwh = match(np.array(bought, dtype=float), np.array(sold, dtype=float))
    assert bid.size == ask.size == energy_kwh.size == 0
    assert bid.dtype == ask.dtype == np.int64


def test_unequal_sums_are_refused():
    with pytest.raises(PhysicsError, match=r"3 kWh bought cannot be paired with 2 kWh sold"):
        pairs(np.array([0]), np.array([3.0]), np.array([1]), np.array([2.0]))


def test_a_market_without_trades_has_no_price():
    nobody = np.empty(0, dtype=np.int64)
    assert np.isnan(at_one_price(nobody, nobody, np.empty(0), 0.15).market_eur_per_kwh)
    assert at_one_price(np.array([0]), np.array([1]), np.array([1.0]), 0.15).price_eur_per_kwh.tolist() == [0.15]
