"""The largest welfare of a book: hand-computed cases, and books without a trade."""

import numpy as np
import pytest

from vpp_sim.market.optimum import optimum
from vpp_sim.market.protocol import OrderBook


def book(bids, asks) -> OrderBook:
    """Orders as (energy, limit), bids first."""
    bid, ask = (np.array(side, dtype=float).reshape(-1, 2).T for side in (bids, asks))
    ids = np.arange(bid.shape[1] + ask.shape[1])
    return OrderBook(ids[: bid.shape[1]], *bid, ids[bid.shape[1] :], *ask, 10.0, 0.0)


def test_the_published_example_of_three_bids_and_asks() -> None:
    """pymarket's first data set: bids (1, 3), (2, 4), (5, 1), asks (4, 2), (1, 1), (5, 6); its welfare is 6.

    By hand: the 2 kWh at 4 and the 1 kWh at 3 are served from 1 kWh at 1 and 2 kWh at 2: 8 + 3 - 1 - 4 = 6.
    """
    best = optimum(book([(1, 3), (2, 4), (5, 1)], [(4, 2), (1, 1), (5, 6)]))
    assert best.welfare_eur == pytest.approx(6.0)
    np.testing.assert_allclose(best.bought_kwh, [1, 2, 0], atol=1e-9)
    np.testing.assert_allclose(best.sold_kwh, [2, 1, 0], atol=1e-9)
    assert best.price_eur_per_kwh == pytest.approx(2.0)  # the half-filled ask sets the price


def test_unit_orders() -> None:
    """Bids 100, 90, 80, 70, 60, asks 80, 85, 95, 100, 110: pairs gain 20 and 5."""
    best = optimum(book([(1, p) for p in (100, 90, 80, 70, 60)], [(1, p) for p in (80, 85, 95, 100, 110)]))
    assert best.welfare_eur == pytest.approx(25.0)
    assert 85 <= best.price_eur_per_kwh <= 90


def test_a_loss_is_left_alone_and_negative_prices_count() -> None:
    assert optimum(book([(1, 1)], [(1, 2)])).welfare_eur == 0.0
    assert optimum(book([(2, -1)], [(3, -4)])).welfare_eur == pytest.approx(6.0)


def test_one_side_only() -> None:
    best = optimum(book([(1, 1)], []))
    assert (best.welfare_eur, best.bought_kwh.tolist(), best.sold_kwh.size) == (0.0, [0.0], 0)
    assert np.isnan(best.price_eur_per_kwh)


@pytest.mark.parametrize("size_kwh", [1e-7, 1.0, 1e7])
def test_the_size_of_orders_does_not_matter(size_kwh: float) -> None:
    """Bids of 1 and 2 at 3 and 4, an offer of 2.5 at 1: all of it is sold, 2 x 3 + 0.5 x 2 = 7 units of welfare."""
    book = OrderBook(
        buyer=np.array([0, 1]),
        bid_kwh=size_kwh * np.array([1.0, 2.0]),
        bid_eur_per_kwh=np.array([3.0, 4.0]),
        seller=np.array([2]),
        ask_kwh=size_kwh * np.array([2.5]),
        ask_eur_per_kwh=np.array([1.0]),
        retail_eur_per_kwh=4.0,
        feed_in_eur_per_kwh=0.0,
    )
    best = optimum(book)
    assert best.welfare_eur == pytest.approx(7 * size_kwh, rel=1e-9)
    assert best.bought_kwh == pytest.approx(size_kwh * np.array([0.5, 2.0]), rel=1e-9)
