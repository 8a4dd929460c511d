"""What a bid problem refuses, and the limits it implies."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.bids import BidProblem, Flexibility, PricePaths

_PRICES = PricePaths.of_spreads(np.array([0.1, 0.2]), short_spread=0.1, long_spread=0.1)
_BATTERY = {"charge_kw": 2.0, "discharge_kw": 3.0, "min_kwh": 0.0, "max_kwh": 8.0, "initial_kwh": 4.0}


def test_limits_are_the_outermost_quantiles_widened_by_the_battery():
    quantiles = np.array([[0.0, 1.0], [2.0, 5.0]])
    problem = BidProblem(quantiles, np.array([0.1, 0.9]), _PRICES, Flexibility(**_BATTERY, step_h=0.5))
    lowest, highest = problem.position_limits_kwh
    assert (lowest.tolist(), highest.tolist()) == ([-1.5, 0.5], [2.0, 6.0])


def test_imbalance_prices_punish_either_side_at_negative_prices_too():
    paths = PricePaths.of_spreads(np.array([-0.1]), short_spread=0.5, long_spread=0.2)
    assert (paths.short_eur_per_kwh.item(), paths.long_eur_per_kwh.item()) == pytest.approx((-0.05, -0.12))


def test_a_shortfall_is_what_charging_cannot_bring():
    battery = Flexibility(**_BATTERY, final_kwh=8.0, charge_efficiency=0.5)
    assert battery.shortfall_kwh(2) == pytest.approx(2.0)
    assert battery.shortfall_kwh(4) == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"charge_kw": -1.0}, "flexibility must be finite and non-negative"),
        ({"charge_efficiency": 0.0}, r"efficiencies are 0 and 0.95, expected \(0, 1\]"),
        ({"initial_kwh": 9.0}, r"initial_kwh is 9, outside 0\.\.8 kWh"),
        ({"final_kwh": 9.0}, r"final_kwh is 9, outside 0\.\.8 kWh"),
    ],
)
def test_bad_flexibility_is_refused(change, message):
    with pytest.raises(PhysicsError, match=message):
        Flexibility(**(_BATTERY | change))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BidProblem(np.zeros((3, 2)), np.array([0.1, 0.9]), _PRICES), r"quantiles_kwh has shape \(3, 2\)"),
        (lambda: BidProblem(np.array([[1.0, 0], [0, 0]]), np.array([0.1, 0.9]), _PRICES), "the quantiles cross"),
        (
            lambda: BidProblem(np.zeros((2, 2)), np.array([0.1, 0.9]), _PRICES, lowest_kwh=np.array([0.0, 2.0])),
            "position limits cross at step 1: 2 > 0 kWh",
        ),
        (lambda: PricePaths(np.ones((1, 2)), np.ones((1, 2)), 2 * np.ones((1, 2))), "a pump without end"),
        (lambda: PricePaths(np.ones(2), np.ones(2), np.ones(2)), r"expected \(K, H\)"),
        (lambda: PricePaths.of_spreads(np.ones(2), short_spread=-1.0, long_spread=0.0), "spreads must be finite"),
    ],
)
def test_bad_problems_are_refused(make, message):
    with pytest.raises(PhysicsError, match=message):
        make()
