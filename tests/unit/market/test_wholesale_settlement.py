"""Two settlements, by hand arithmetic."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.imbalance import ImbalancePrices
from vpp_sim.market.wholesale import two_settlement


def test_short_pays_more_and_long_is_paid_less():
    # Buys 10 at 0.10; draws 12 (2 short at 0.13), 10, and 7 (3 long at 0.08).
    cost = two_settlement(
        np.full(3, 10.0), np.array([12.0, 10.0, 7.0]), np.full(3, 0.10), short_spread=0.3, long_spread=0.2
    )
    assert cost.day_ahead_eur == pytest.approx([1.0, 1.0, 1.0])
    assert cost.imbalance_eur == pytest.approx([0.26, 0.0, -0.24])
    assert cost.total_eur == pytest.approx([1.26, 1.0, 0.76])


def test_a_seller_who_delivers_too_little_is_short():
    # Sells 40 at 50; delivers 30: the 10 missing cost 80 each.
    cost = two_settlement(np.array([-40.0]), np.array([-30.0]), np.array([50.0]), short_spread=0.6, long_spread=0.4)
    assert cost.total_eur.tolist() == [-40 * 50 + 10 * 80]


def test_negative_prices_still_punish_both_sides():
    prices = ImbalancePrices.of_spreads(np.array([-0.10]), short_spread=0.5, long_spread=0.2)
    assert prices.short_eur_per_kwh == pytest.approx([-0.05])
    assert prices.long_eur_per_kwh == pytest.approx([-0.12])


def test_without_spreads_every_position_costs_the_same():
    metered, price = np.array([5.0, -3.0]), np.array([0.1, -0.2])
    costs = [
        two_settlement(np.array(x), metered, price, short_spread=0.0, long_spread=0.0).total_eur
        for x in ([0.0, 0.0], [9.0, -9.0])
    ]
    assert costs[0] == pytest.approx(costs[1])
    assert costs[0] == pytest.approx(metered * price)


@pytest.mark.parametrize("spreads", [(-0.1, 0.0), (0.0, -0.1), (np.nan, 0.0)])
def test_bad_spreads_are_refused(spreads):
    with pytest.raises(PhysicsError, match="spreads must be finite and non-negative"):
        ImbalancePrices.of_spreads(np.array([0.1]), short_spread=spreads[0], long_spread=spreads[1])


def test_shapes_must_agree():
    with pytest.raises(PhysicsError, match=r"metered_kwh has shape \(1,\), expected \(2,\)"):
        two_settlement(np.zeros(2), np.zeros(1), np.zeros(2), short_spread=0.1, long_spread=0.1)
