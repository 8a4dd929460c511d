"""Imbalance at one price and two, and the settlement of all three markets."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.imbalance import ImbalancePrices, settle_wholesale
from vpp_sim.market.intraday import IntradayRules, adjust_position
from vpp_sim.market.wholesale import two_settlement


def test_one_price_rewards_who_leans_against_the_system():
    # The system is short and pays 0.20 on a day-ahead price of 0.10: being long by 10 earns 1 more than selling it.
    prices = ImbalancePrices.one_price(np.array([0.20, 0.20]))
    assert prices.cost_eur(np.array([10.0, -10.0])) == pytest.approx([2.0, -2.0])


def test_two_prices_reward_nobody():
    day_ahead, balancing = np.full(4, 0.10), np.array([0.20, 0.20, 0.02, 0.02])
    prices = ImbalancePrices.two_prices(day_ahead, balancing, np.array([1.0, 1.0, -1.0, -1.0]))
    imbalance = np.array([10.0, -10.0, 10.0, -10.0])
    assert prices.cost_eur(imbalance) == pytest.approx([2.0, -1.0, 1.0, -0.2])
    assert (prices.cost_eur(imbalance) >= imbalance * day_ahead - 1e-12).all()


def test_a_balancing_price_on_the_wrong_side_does_not_reward():
    prices = ImbalancePrices.two_prices(np.array([0.10, 0.10]), np.array([0.05, 0.15]), np.array([1.0, -1.0]))
    assert prices.short_eur_per_kwh.tolist() == [0.10, 0.10]
    assert prices.long_eur_per_kwh.tolist() == [0.10, 0.10]


def test_the_system_operator_takes_what_the_parties_pay():
    # With one price the parties' payments are the price times the system's imbalance.
    parties = np.random.default_rng(0).normal(size=(50, 24))
    price = np.random.default_rng(1).normal(0.1, 0.1, 24)
    paid = sum(ImbalancePrices.one_price(price).cost_eur(row) for row in parties)
    assert paid == pytest.approx(price * parties.sum(axis=0), abs=1e-9)


def test_three_markets_by_hand():
    # Buys 1000 at 0.05; sells 200 of it at 0.06 - 0.01; draws 900, so 100 short at 0.08.
    trades = adjust_position(
        np.array([1000.0]), np.array([800.0]), np.array([0.06]), is_open=np.array([True]),
        rules=IntradayRules(half_spread_eur_per_kwh=0.01),
    )  # fmt: skip
    settled = settle_wholesale(
        np.array([1000.0]), np.array([900.0]), np.array([0.05]),
        ImbalancePrices(np.array([0.08]), np.array([0.03])), intraday=trades,
    )  # fmt: skip
    assert (settled.day_ahead_eur, settled.intraday_eur, settled.imbalance_eur) == pytest.approx((50.0, -10.0, 8.0))
    assert settled.total_eur == pytest.approx([48.0])
    assert settled.metered_kwh == pytest.approx([900.0], abs=1e-9)


def test_without_intraday_it_is_the_two_settlement_of_the_spreads():
    rng = np.random.default_rng(0)
    position, metered, price = rng.normal(size=24), rng.normal(size=24), rng.normal(0.1, 0.1, 24)
    settled = two_settlement(position, metered, price, short_spread=0.4, long_spread=0.2)
    short, long = np.maximum(metered - position, 0), np.maximum(position - metered, 0)
    by_hand = position * price + short * (price + 0.4 * abs(price)) - long * (price - 0.2 * abs(price))
    assert settled.total_eur == pytest.approx(by_hand, abs=1e-12)
    assert not settled.intraday_kwh.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ImbalancePrices(np.array([0.1, 0.1]), np.array([0.1, 0.3])),
            "at step 1 surplus is paid 0.2 EUR/kWh more than shortage costs",
        ),
        (lambda: ImbalancePrices(np.ones(2), np.ones(3)), r"long_eur_per_kwh has shape \(3,\), expected \(2,\)"),
        (lambda: ImbalancePrices.one_price(np.ones(2)).cost_eur(np.ones(3)), "imbalance_kwh has shape"),
        (
            lambda: settle_wholesale(
                np.ones(2), np.array([1, np.nan]), np.ones(2), ImbalancePrices.one_price(np.ones(2))
            ),
            "metered_kwh has 1 values that are not finite",
        ),
    ],
)
def test_bad_settlements_are_refused(make, message):
    with pytest.raises(PhysicsError, match=message):
        make()
