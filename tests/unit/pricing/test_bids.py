"""Day-ahead bids: known answers, and Monte Carlo against every other position."""

import numpy as np
import pytest

from tests.support.bids import position_kwh
from vpp_sim.errors import PhysicsError
from vpp_sim.market.wholesale import two_settlement
from vpp_sim.pricing.wholesale import MedianBid, NewsvendorBid

_LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def test_newsvendor_of_a_plant_with_uniform_output():
    # Day ahead 50, surplus paid 30, shortage costs 80, output uniform on 0..100: sell the 0.4 quantile, 40 (textbook).
    levels = np.linspace(0.0, 1.0, 5)
    drawn_kwh = -100.0 + 100.0 * levels[None]
    bid = position_kwh(NewsvendorBid(), drawn_kwh, levels, np.array([50.0]), short_spread=30 / 50, long_spread=20 / 50)
    assert bid == pytest.approx([-40.0])
    assert position_kwh(MedianBid(), drawn_kwh, levels, np.array([50.0]), short_spread=0.6, long_spread=0.4) == [-50.0]


@pytest.mark.parametrize("spreads", [(0.6, 0.4), (0.1, 0.5), (0.3, 0.3)])
@pytest.mark.parametrize("price", [0.08, -0.02])
def test_no_other_position_costs_less_on_samples(spreads, price):
    short, long = spreads
    rng = np.random.default_rng(11)
    drawn_kwh = rng.gamma(4.0, 2.0, 20_000) - 6.0
    levels = np.linspace(0.01, 0.99, 99)
    quantiles = np.quantile(drawn_kwh, levels)[None]

    def mean_cost(position):
        positions, prices = np.full(drawn_kwh.shape, position), np.full(drawn_kwh.shape, price)
        return two_settlement(positions, drawn_kwh, prices, short_spread=short, long_spread=long).total_eur.mean()

    bid = position_kwh(NewsvendorBid(), quantiles, levels, np.array([price]), short_spread=short, long_spread=long)[0]
    others = [mean_cost(position) for position in np.linspace(-6.0, 20.0, 261)]
    assert mean_cost(bid) <= min(others) + 1e-5
    assert mean_cost(bid) < mean_cost(bid + 1.0)
    assert mean_cost(bid) < mean_cost(bid - 1.0)


def test_a_dearer_shortage_buys_more():
    quantiles = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]])
    bids = [
        position_kwh(NewsvendorBid(), quantiles, _LEVELS, np.array([0.1]), short_spread=short, long_spread=0.3)[0]
        for short in (0.1, 0.3, 0.9)
    ]
    assert bids == pytest.approx([2.0, 4.0, 8.0])


def test_ratios_beyond_the_levels_bid_the_outermost():
    quantiles, price = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), np.array([0.1])
    assert position_kwh(NewsvendorBid(), quantiles, _LEVELS, price, short_spread=0.5, long_spread=0.0) == [16.0]
    assert position_kwh(NewsvendorBid(), quantiles, _LEVELS, price, short_spread=0.0, long_spread=0.5) == [1.0]


def test_without_penalties_the_median_is_bid():
    quantiles, price = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), np.array([0.1])
    assert position_kwh(NewsvendorBid(), quantiles, _LEVELS, price, short_spread=0.0, long_spread=0.0) == [4.0]


@pytest.mark.parametrize("bidder", [MedianBid(), NewsvendorBid()])
@pytest.mark.parametrize(
    ("quantiles", "spreads", "message"),
    [
        (np.zeros((2, 5)), (0.1, 0.1), r"quantiles_kwh has shape \(2, 5\), expected \(1, 5\)"),
        (np.zeros((1, 4)), (0.1, 0.1), r"quantiles_kwh has shape \(1, 4\), expected \(1, 5\)"),
        (np.full((1, 5), np.nan), (0.1, 0.1), "quantiles_kwh has 5 values that are not finite"),
        (np.zeros((1, 5)), (-0.1, 0.1), "spreads must be finite and non-negative, not -0.1 and 0.1"),
    ],
)
def test_bad_forecasts_are_refused(bidder, quantiles, spreads, message):
    with pytest.raises(PhysicsError, match=message):
        position_kwh(bidder, quantiles, _LEVELS, np.array([0.1]), short_spread=spreads[0], long_spread=spreads[1])
