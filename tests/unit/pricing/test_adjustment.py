"""The no-trade band against hand arithmetic, and against the cost of every position computed one by one."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.adjustment import no_trade_band
from vpp_sim.pricing.bids import BidProblem, PricePaths
from vpp_sim.pricing.wholesale import NewsvendorBid

_EVEN, _LEVELS = np.array([[0.0, 100.0]]), np.array([0.0, 1.0])  # all energies from 0 to 100 kWh are equally likely


def _band(short: float, long: float, cost: float, quantiles=_EVEN, levels=_LEVELS) -> tuple[float, float]:
    prices = PricePaths(np.array([[50.0]]), np.array([[50.0 + short]]), np.array([[50.0 - long]]))
    return tuple(float(edge[0]) for edge in no_trade_band(quantiles, levels, prices, cost_eur_per_kwh=cost))


@pytest.mark.parametrize(
    ("short", "long", "cost", "band"),
    [
        (10.0, 10.0, 2.0, (40.0, 60.0)),  # (10 - 2) / 20 and (10 + 2) / 20
        (10.0, 10.0, 0.0, (50.0, 50.0)),  # the newsvendor's
        (10.0, 10.0, 10.0, (-np.inf, np.inf)),  # missing energy costs no more than buying it
        (10.0, 0.0, 2.0, (80.0, np.inf)),  # surplus loses nothing: it is never sold
        (0.0, 10.0, 2.0, (-np.inf, 20.0)),
        (0.0, 0.0, 0.0, (-np.inf, np.inf)),  # nothing to gain, nothing is traded
        (5.0, -5.0, 2.0, (100.0, np.inf)),  # one price, expected 5 above the middle: buy all that is foreseen
        (-5.0, 5.0, 2.0, (-np.inf, 0.0)),
        (1.0, -1.0, 2.0, (-np.inf, np.inf)),  # one price, expected less above the middle than a trade costs
    ],
)
def test_by_hand(short, long, cost, band):
    assert _band(short, long, cost) == pytest.approx(band, abs=1e-9)


@pytest.mark.parametrize("held_kwh", [5.0, 45.0, 95.0])
def test_no_other_position_is_expected_to_cost_less(held_kwh):
    energy = (np.arange(1000) + 0.5) / 10
    middle, short, long, cost = 50.0, 12.0, 7.0, 3.0

    def expected(position: float) -> float:
        missing, surplus = np.maximum(energy - position, 0), np.maximum(position - energy, 0)
        return (
            middle * position
            + cost * abs(position - held_kwh)
            + float(((middle + short) * missing - (middle - long) * surplus).mean())
        )

    best = min(np.arange(0, 100.1, 0.1), key=expected)
    lowest, highest = _band(short, long, cost)
    assert np.clip(held_kwh, lowest, highest) == pytest.approx(best, abs=0.11)


def test_it_goes_by_the_mean_of_the_paths():
    paths = PricePaths(np.full((4, 1), 50.0), np.array([[90.0], [50.0], [50.0], [50.0]]), np.full((4, 1), 40.0))
    edges = no_trade_band(_EVEN, _LEVELS, paths, cost_eur_per_kwh=2.0)
    assert [float(edge[0]) for edge in edges] == pytest.approx([40.0, 60.0])


def test_it_never_reaches_beyond_the_outermost_quantiles():
    """The ratios 9.8 / 10.5 and 10.2 / 10.5 lie above the highest level: the highest quantile is both ends."""
    assert _band(10.0, 0.5, 0.2, np.array([[10.0, 20.0, 30.0]]), np.array([0.1, 0.5, 0.9])) == (30.0, 30.0)


@pytest.mark.parametrize(("gain", "bid"), [(5.0, 100.0), (-5.0, 0.0), (0.0, 50.0)])
def test_with_one_price_the_newsvendor_leans_as_far_as_it_may(gain, bid):
    """Its cost is a line in the position: whole limits where the price is expected off, the median where it is not."""
    prices = PricePaths(np.array([[50.0]]), np.array([[50.0 + gain]]), np.array([[50.0 + gain]]))
    assert NewsvendorBid().decide(BidProblem(_EVEN, _LEVELS, prices)).position_kwh == [bid]


def test_a_bad_cost_is_refused():
    with pytest.raises(PhysicsError, match="cost_eur_per_kwh is -1, expected 0 or above"):
        _band(1.0, 1.0, -1.0)
    with pytest.raises(PhysicsError, match=r"quantiles_kwh has shape \(1, 2\), expected \(1, 3\)"):
        _band(1.0, 1.0, 1.0, _EVEN, np.array([0.1, 0.5, 0.9]))
