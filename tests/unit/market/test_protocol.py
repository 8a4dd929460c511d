"""Order books and clearings refuse what cannot be cleared."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.protocol import Clearing, OrderBook


def _book(**changes):
    fields = {
        "buyer": np.array([0, 1]),
        "bid_kwh": np.array([1.0, 2.0]),
        "bid_eur_per_kwh": np.array([0.25, 0.2]),
        "seller": np.array([2]),
        "ask_kwh": np.array([3.0]),
        "ask_eur_per_kwh": np.array([0.05]),
        "retail_eur_per_kwh": 0.25,
        "feed_in_eur_per_kwh": 0.05,
    }
    return OrderBook(**{**fields, **changes})


def test_a_sound_book_is_accepted():
    assert _book().bid_kwh.sum() == 3.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bid_kwh": np.array([1.0])}, r"bid_kwh has shape \(1,\), expected \(2,\)"),
        ({"ask_eur_per_kwh": np.array([0.1, 0.2])}, r"ask_eur_per_kwh has shape \(2,\), expected \(1,\)"),
        ({"bid_kwh": np.array([1.0, -2.0])}, "bid_kwh is negative: lowest value -2"),
        ({"ask_kwh": np.array([np.nan])}, "ask_kwh has 1 values that are not finite"),
        ({"bid_eur_per_kwh": np.array([np.inf, 0.1])}, "bid_eur_per_kwh has 1 values that are not finite"),
        ({"buyer": np.array([0, 0])}, "prosumer 0 has more than one order"),
        ({"seller": np.array([1])}, "prosumer 1 has more than one order"),
        ({"seller": np.array([-1])}, "prosumer -1 is no index"),
        ({"buyer": np.array([0.0, 1.0])}, r"owners of bids must be a vector of integers, not float64\(2,\)"),
        ({"retail_eur_per_kwh": np.nan}, "retail and feed-in prices must be finite"),
        ({"minimum_kwh": -1.0}, "minimum_kwh is -1, expected 0 or above"),
        ({"connection": np.array([5, 5])}, "prosumer 2 has no connection: there are 2"),
    ],
)
def test_an_unsound_book_is_refused(changes, message):
    with pytest.raises(PhysicsError, match=message):
        _book(**changes)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (([0], [1, 2], [1.0], [0.1], [0.0]), "1 buyers cannot be paired with 2 sellers"),
        (([0], [1], [1.0, 2.0], [0.1], [0.0]), "energy_kwh has shape"),
        (([0], [1], [1.0], [0.1, 0.2], [0.0]), "price_eur_per_kwh has shape"),
        (([0], [1], [-1.0], [0.1], [0.0]), "energy_kwh is negative"),
        (([0], [1], [1.0], [np.nan], [0.0]), "price_eur_per_kwh has 1 values that are not finite"),
        (([0], [1], [1.0], [0.1], [0.0, 0.0]), "fee_eur_per_kwh has shape"),
        (([0], [1], [1.0], [0.1], [np.inf]), "fee_eur_per_kwh has 1 values that are not finite"),
    ],
)
def test_an_unsound_clearing_is_refused(fields, message):
    with pytest.raises(PhysicsError, match=message):
        Clearing(*(np.array(field) for field in fields), market_eur_per_kwh=np.nan)


def test_what_a_buyer_pays_is_price_and_fee():
    """Buyers 85, sellers 90, two trades: the textbook deficit of 10."""
    pair = np.arange(2)
    clearing = Clearing(pair, pair + 2, np.ones(2), np.full(2, 90.0), np.full(2, -5.0), 90.0)
    assert clearing.paid_eur_per_kwh.tolist() == [85.0, 85.0]
    assert clearing.surplus_eur == -10.0
