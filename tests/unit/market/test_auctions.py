"""Pay-as-bid: the same trades as the uniform price, each settled by its own pair; cleared by hand."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.auctions import PayAsBid
from vpp_sim.market.protocol import OrderBook

BOOK = OrderBook(
    buyer=np.array([0, 1, 2]), bid_kwh=np.array([2.0, 1.0, 1.0]), bid_eur_per_kwh=np.array([0.30, 0.24, 0.02]),
    seller=np.array([3, 4]), ask_kwh=np.array([1.0, 5.0]), ask_eur_per_kwh=np.array([0.06, 0.10]),
    retail_eur_per_kwh=0.3, feed_in_eur_per_kwh=0.05,
)  # fmt: skip


@pytest.mark.parametrize(
    ("spread", "price", "fee", "surplus"),
    [
        ("to_seller", [0.30, 0.30, 0.24], [0.0, 0.0, 0.0], 0.0),
        ("halved", [0.18, 0.20, 0.17], [0.0, 0.0, 0.0], 0.0),
        ("to_market", [0.06, 0.10, 0.10], [0.24, 0.20, 0.14], 0.58),
    ],
)
def test_every_pair_settles_at_its_own_limits(spread, price, fee, surplus):
    clearing = PayAsBid(spread=spread).clear(BOOK)
    assert clearing.buyer.tolist() == [0, 0, 1]
    assert clearing.seller.tolist() == [3, 4, 4]
    assert clearing.energy_kwh.tolist() == [1.0, 1.0, 1.0]
    assert clearing.price_eur_per_kwh == pytest.approx(price)
    assert clearing.fee_eur_per_kwh == pytest.approx(fee)
    assert clearing.surplus_eur == pytest.approx(surplus)
    assert np.isnan(clearing.market_eur_per_kwh)


def test_pairs_of_one_price_have_a_market_price():
    one = OrderBook(
        np.array([0]), np.array([2.0]), np.array([0.3]), np.array([1, 2]), np.ones(2), np.array([0.1, 0.2]), 0.3, 0.0
    )
    assert PayAsBid().clear(one).market_eur_per_kwh == 0.3


def test_another_word_is_refused():
    with pytest.raises(PhysicsError, match="spread is 'none', expected one of to_seller, halved, to_market"):
        PayAsBid(spread="none")
