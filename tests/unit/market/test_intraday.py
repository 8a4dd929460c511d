"""Intraday adjustment by hand: the spread is paid, and what cannot be traded is said."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.intraday import IntradayRules, adjust_position

_OPEN = np.ones(2, dtype=bool)


def _trade(position, wanted, price=(0.10, 0.10), rules=None, is_open=_OPEN, depth=None):
    rules = rules or IntradayRules(half_spread_eur_per_kwh=0.01)
    arrays = (np.array(values, dtype=float) for values in (position, wanted, price))
    return adjust_position(*arrays, is_open=is_open, rules=rules, depth_kwh=depth)


def test_buying_pays_and_selling_loses_half_the_spread():
    trades = _trade([0, 500], [300, 100])
    assert trades.traded_kwh.tolist() == [300.0, -400.0]
    assert trades.price_eur_per_kwh == pytest.approx([0.11, 0.09])
    assert trades.cost_eur == pytest.approx([33.0, -36.0])


def test_there_and_back_costs_the_whole_spread_and_two_fees():
    rules = IntradayRules(half_spread_eur_per_kwh=0.01, fee_eur_per_kwh=0.001)
    there, back = _trade([0, 0], [100, 100], rules=rules), _trade([100, 100], [0, 0], rules=rules)
    assert there.cost_eur + back.cost_eur == pytest.approx([100 * (0.02 + 0.002)] * 2)


def test_at_negative_prices_the_buyer_is_paid_less_than_the_middle():
    assert _trade([0, 0], [100, -100], price=[-0.05, -0.05]).cost_eur == pytest.approx([-4.0, 6.0])


def test_what_is_not_traded_is_counted_once_and_adds_up():
    rules = IntradayRules(half_spread_eur_per_kwh=0.0)
    wanted = np.array([250.0, 90.0, -1000.0, 700.0, 60.0])
    trades = adjust_position(
        np.zeros(5), wanted, np.array([0.1, 0.1, 0.1, 11.0, 0.1]), is_open=np.array([True, False, True, True, True]),
        rules=rules, depth_kwh=np.full(5, 400.0),
    )  # fmt: skip
    assert trades.traded_kwh.tolist() == [200.0, 0.0, -400.0, 0.0, 0.0]
    assert (trades.after_gate_kwh, trades.out_of_range_kwh) == (90.0, 700.0)
    assert (trades.beyond_depth_kwh, trades.rounded_kwh) == (600.0, 110.0)
    left = trades.after_gate_kwh + trades.out_of_range_kwh + trades.beyond_depth_kwh + trades.rounded_kwh
    assert left + np.abs(trades.traded_kwh).sum() == pytest.approx(np.abs(wanted).sum())


def test_no_trade_overshoots_and_whole_ticks_are_traded_in_full():
    rules = IntradayRules(tick_mw=0.1, least_mw=0.1, step_h=0.25)  # 25 kWh
    assert _trade([0, 0], [49.9, 75.0], rules=rules).traded_kwh.tolist() == [25.0, 75.0]


def test_a_trade_below_the_least_size_is_left():
    rules = IntradayRules(tick_mw=0.1, least_mw=0.5)
    assert _trade([0, 0], [400, 500], rules=rules).traded_kwh.tolist() == [0.0, 500.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _trade([0, 0], [1, np.nan]), "wanted_kwh has 1 values"),
        (lambda: _trade([0, 0], [1]), r"wanted_kwh has shape \(1,\)"),
        (lambda: _trade([0, 0], [1, 1], is_open=np.ones(3, dtype=bool)), r"is_open has shape \(3,\)"),
        (lambda: _trade([0, 0], [1, 1], depth=-np.ones(2)), "depth_kwh is negative"),
        (lambda: IntradayRules(half_spread_eur_per_kwh=-0.1), "no negative cost or size"),
        (lambda: IntradayRules(tick_mw=np.inf), "intraday rules must be finite"),
    ],
)
def test_bad_trades_are_refused(make, message):
    with pytest.raises(PhysicsError, match=message):
        make()


def test_a_size_step_of_zero_takes_any_size_from_the_least_on():
    position, price, is_open = np.zeros(2), np.full(2, 0.1), np.ones(2, dtype=bool)
    any_size = IntradayRules(least_mw=0.0, tick_mw=0.0)
    assert adjust_position(
        position, np.array([0.3, -1e-6]), price, is_open=is_open, rules=any_size
    ).traded_kwh.tolist() == [0.3, -1e-6]
    least = adjust_position(
        position, np.array([50.3, -49.7]), price, is_open=is_open, rules=IntradayRules(least_mw=0.05, tick_mw=0.0)
    )
    assert (least.traded_kwh.tolist(), least.rounded_kwh) == ([50.3, 0.0], 49.7)
