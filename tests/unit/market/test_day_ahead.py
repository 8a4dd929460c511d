"""The day-ahead auction by hand, and what an exchange would not take."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.day_ahead import AuctionRules, BidSteps, admit, clear_auction, price_taker_fills

_RULES = AuctionRules()


def _bids(*entries):
    step, energy, limit = zip(*entries, strict=True)
    return BidSteps(np.array(step, dtype=np.int64), np.array(energy, dtype=float), np.array(limit, dtype=float))


def test_the_marginal_seller_sets_the_price_and_is_filled_in_part():
    # 300 wanted at any price; 200 offered at 0.03 and 200 at 0.05: the second sells 100 and sets the price.
    result = clear_auction(_bids((0, 300, 4.0), (0, -200, 0.03), (0, -200, 0.05)), steps=1, rules=_RULES)
    assert result.price_eur_per_kwh.tolist() == [0.05]
    assert result.filled_kwh.tolist() == [300.0, -200.0, -100.0]
    assert result.volume_kwh.tolist() == [300.0]


def test_bids_at_the_price_share_what_is_left():
    result = clear_auction(
        _bids((0, 100, 0.06), (0, 100, 0.05), (0, 300, 0.05), (0, -200, 0.01)), steps=1, rules=_RULES
    )
    assert result.price_eur_per_kwh.tolist() == [0.05]
    assert result.filled_kwh == pytest.approx([100.0, 25.0, 75.0, -200.0])


def test_where_an_interval_clears_its_midpoint_is_the_price():
    result = clear_auction(_bids((0, 100, 0.09), (0, 50, 0.04), (0, -100, 0.06)), steps=1, rules=_RULES)
    assert result.price_eur_per_kwh == pytest.approx([0.075])
    assert result.filled_kwh.tolist() == [100.0, 0.0, -100.0]


def test_scarcity_clears_at_the_highest_price_and_rations():
    result = clear_auction(_bids((0, 300, 4.0), (0, 100, 4.0), (0, -200, 0.03)), steps=1, rules=_RULES)
    assert result.price_eur_per_kwh.tolist() == [4.0]
    assert result.filled_kwh == pytest.approx([150.0, 50.0, -200.0])


def test_surplus_clears_at_the_lowest_price_and_rations():
    result = clear_auction(_bids((0, 100, 0.02), (0, -300, -0.5), (0, -100, -0.5)), steps=1, rules=_RULES)
    assert result.price_eur_per_kwh.tolist() == [-0.5]
    assert result.filled_kwh == pytest.approx([100.0, -75.0, -25.0])


def test_negative_prices_pay_the_buyer():
    bids = _bids((0, 100, 0.02), (0, -300, -0.03))
    result = clear_auction(bids, steps=1, rules=_RULES)
    assert result.price_eur_per_kwh.tolist() == [-0.03]
    assert result.payments_eur(bids) == pytest.approx([-3.0, 3.0])


def test_bids_that_do_not_cross_trade_nothing():
    result = clear_auction(_bids((0, 100, 0.02), (0, -100, 0.06)), steps=1, rules=_RULES)
    assert result.price_eur_per_kwh == pytest.approx([0.04])
    assert result.volume_kwh.tolist() == [0.0]
    assert result.filled_kwh.tolist() == [0.0, 0.0]


def test_one_side_and_no_side():
    result = clear_auction(_bids((0, 100, 0.02), (1, -100, 0.06), (1, -100, 0.04)), steps=3, rules=_RULES)
    assert result.price_eur_per_kwh[:2].tolist() == [0.02, 0.04]
    assert np.isnan(result.price_eur_per_kwh[2])
    assert result.volume_kwh.tolist() == [0.0] * 3
    assert not result.payments_eur(_bids((0, 100, 0.02), (1, -100, 0.06), (1, -100, 0.04))).any()


def test_steps_clear_by_themselves_whatever_the_order_of_bids():
    rng = np.random.default_rng(0)
    bids = BidSteps(rng.integers(0, 5, 200), rng.normal(0, 100, 200), rng.uniform(0.0, 0.1, 200))
    whole = clear_auction(bids, steps=5, rules=_RULES)
    for step in range(5):
        own = bids.step == step
        alone = clear_auction(
            BidSteps(np.zeros(own.sum(), dtype=np.int64), bids.energy_kwh[own], bids.limit_eur_per_kwh[own]),
            steps=1, rules=_RULES,
        )  # fmt: skip
        assert whole.price_eur_per_kwh[step] == alone.price_eur_per_kwh[0]
        assert whole.filled_kwh[own].tolist() == alone.filled_kwh.tolist()


def test_a_position_is_bid_at_any_price():
    bids = BidSteps.at_any_price(np.array([100.0, 0.0, -50.0]), _RULES)
    assert bids.step.tolist() == [0, 2]
    assert bids.limit_eur_per_kwh.tolist() == [4.0, -0.5]
    assert price_taker_fills(bids, np.array([4.0, 0.0, -0.5])).tolist() == [100.0, -50.0]


def test_a_price_taker_is_filled_at_its_limit_and_not_beyond():
    bids = _bids((0, 5, 0.06), (0, 5, 0.0599), (0, -5, 0.06), (0, -5, 0.0601))
    assert price_taker_fills(bids, np.array([0.06])).tolist() == [5.0, 0.0, -5.0, 0.0]


def test_what_is_refused_or_rounded_is_counted():
    # In order: taken as is; size and price rounded; too small; above the highest price; below the lowest, small too.
    bids = _bids((0, 200, 0.05), (0, -260, 0.05012), (1, 40, 0.05), (1, 500, 4.001), (2, -30, -0.6))
    taken = admit(bids, _RULES)
    assert taken.bids.energy_kwh.tolist() == [200.0, -300.0, 0.0, 0.0, 0.0]
    assert taken.bids.limit_eur_per_kwh[1] == pytest.approx(0.0502)
    assert taken.refused.tolist() == [False, False, True, True, True]
    assert (taken.price_out_of_range, taken.below_least_size) == (2, 1)
    assert (taken.prices_rounded, taken.sizes_rounded) == (1, 1)
    assert taken.refused_kwh == pytest.approx(570.0)
    assert taken.rounded_kwh == pytest.approx(-40.0)


def test_a_price_is_rounded_to_the_bidders_side():
    taken = admit(_bids((0, 100, 0.05018), (0, -100, 0.05012), (0, 100, -0.00012)), _RULES)
    assert taken.bids.limit_eur_per_kwh == pytest.approx([0.0501, 0.0502, -0.0002])


def test_quarter_hours_count_power_not_energy():
    # 0.1 MW over a quarter of an hour is 25 kWh.
    taken = admit(_bids((0, 25, 0.05), (0, 12, 0.05)), AuctionRules(step_h=0.25))
    assert taken.bids.energy_kwh.tolist() == [25.0, 0.0]
    assert taken.below_least_size == 1


def test_limits_themselves_are_taken_and_whole_ticks_are_not_rounded():
    taken = admit(_bids((0, 100, 4.0), (0, -100, -0.5), (0, 300, 0.0701)), _RULES)
    assert not taken.refused.any()
    assert (taken.prices_rounded, taken.sizes_rounded) == (0, 0)
    assert taken.bids.limit_eur_per_kwh.tolist() == [4.0, -0.5, 0.0701]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: clear_auction(_bids((3, 1, 0.0)), steps=3, rules=_RULES), "step 3 is beyond the 3 delivery steps"),
        (lambda: clear_auction(_bids((0, 1, 5.0)), steps=1, rules=_RULES), "admit them first"),
        (lambda: price_taker_fills(_bids((1, 1, 0.0)), np.zeros(1)), "step 1 has no price: there are 1"),
        (lambda: _bids((-1, 1, 0.0)), "step must be 0 or above"),
        (lambda: _bids((0, np.nan, 0.0)), "energy_kwh has 1 values that are not finite"),
        (lambda: AuctionRules(tick_eur_per_mwh=0.0), "ticks positive"),
        (lambda: AuctionRules(tick_mw=-0.1), "no size negative"),
        (lambda: AuctionRules(lowest_eur_per_mwh=5000.0), "lowest price 5000 exceeds highest 4000"),
    ],
)
def test_bad_auctions_are_refused(make, message):
    with pytest.raises(PhysicsError, match=message):
        make()


def test_a_size_step_of_zero_takes_any_size_from_the_least_on():
    # 0.05 MW for an hour is 50 kWh; 50.3 pass as they are, 49.7 are refused.
    any_size = admit(_bids((0, 0.3, 1.0), (1, -1e-6, 0.0)), AuctionRules(least_mw=0.0, tick_mw=0.0))
    assert any_size.bids.energy_kwh.tolist() == [0.3, -1e-6]
    assert (any_size.below_least_size, any_size.sizes_rounded, any_size.rounded_kwh) == (0, 0, 0.0)
    least = admit(_bids((0, 50.3, 1.0), (1, -49.7, 0.0)), AuctionRules(least_mw=0.05, tick_mw=0.0))
    assert least.bids.energy_kwh.tolist() == [50.3, 0.0]
    assert (least.below_least_size, least.refused_kwh) == (1, 49.7)
