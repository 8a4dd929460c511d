"""The arithmetic of the study of settlement intervals, by hand, and a small ledger settled by each kind."""

import numpy as np
import pytest

from tests.support.studies import program
from vpp_sim.chain.statements import TRADE_LINE


@pytest.fixture(scope="module")
def intervals():
    return program("settlement", "intervals")


@pytest.fixture
def week(intervals):
    """Eight quarter hours: home 0 pays the plant 1 EUR in each and sells home 1 a kWh for 0.2 EUR in the first."""
    amount = np.tile(np.array([10**6, 0, -(10**6)]), (8, 1))
    traded = np.zeros((8, 3), dtype=np.int64)
    amount[0] += [-200_000, 200_000, 0]
    traded[0] = [-1_000, 1_000, 0]
    trades = np.array([(1, 0, 1_000, 200_000)], dtype=TRADE_LINE)
    return intervals.Week(2, amount, traded, trades, np.array([0]), np.full(8, 2.0))


def test_netted_money_waits_for_the_period_a_block_and_three_more(intervals, week):
    row = intervals.settle(week, intervals.Case(3_600, "netted", 12))
    assert row["periods"] == 2
    assert row["latency_s"] == 1_800 + 4 * 12
    assert row["escrow_eur"] == 3.80 + 0.20  # as an hour ends; it is final before the next quarter hour does


def test_proven_money_waits_for_the_window_too(intervals, week):
    row = intervals.settle(week, intervals.Case(3_600, "proof", 12))
    assert row["latency_s"] >= 1_800 + 3_600 + 4 * 12
    assert row["escrow_eur"] == 8.00  # at the end nothing is final


def test_a_direct_trade_waits_for_two_blocks_and_three_more(intervals, week):
    row = intervals.trade_directly(week, intervals.Case(3_600, "direct", 12), 255_696)
    assert row["latency_s"] == 3_600 - 450 + 5 * 12
    assert row["escrow_eur"] == 0.20
    assert row["gas_eur_per_kwh_at_1_gwei"] == pytest.approx(255_696e-9 * 2_500 / 16, rel=1e-3)
