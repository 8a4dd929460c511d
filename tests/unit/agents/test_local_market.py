"""Orders from net energy and prices, and ties that do not always go to the same homes."""

import numpy as np
import pytest

from tests.support.worlds import OpenWorld
from vpp_sim.agents.local_market import LocalMarket
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import Flexible, LocalTrades, Metered, Storage, Tariff
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.randomness import MemberStreams
from vpp_sim.market.clearing import UniformPrice

NAMES = ["a", "b", "c", "d"]
LOAD_KW = np.array([2.0, 2.0, 2.0, 0.5])
"""Three homes that want 2 kWh each, and one with 1.5 kWh of sun to spare."""
PV_KW = np.array([0.0, 0.0, 0.0, 2.0])


def traded(bidding: str, steps: int = 200, buy: float = 0.22, net_sign: float = 1.0) -> list[LocalTrades]:
    world, clock = OpenWorld(), Clock.of_days("2017-07-03", days=steps // 24 + 1, step_s=3600, timezone="UTC")
    market = LocalMarket(
        world,
        clock,
        mechanism=UniformPrice(),
        bidding=bidding,  # type: ignore[arg-type]
        limits=MemberStreams(1, "limit_price", NAMES),
        arrivals=MemberStreams(1, "arrival", NAMES),
        levies_eur_per_kwh=np.full(clock.n_steps, 0.13),
    )
    trades = []
    for step in range(steps):
        world.put(step, tariff=Tariff(step, np.full(48, buy), np.full(48, 0.03), np.full(48, 0.22), 24))
        load_kw, pv_kw = (LOAD_KW, PV_KW) if net_sign > 0 else (PV_KW, LOAD_KW)
        world.put(step, metered=Metered(load_kw, pv_kw), flexible=Flexible(load_kw))
        world.put(step, storage=Storage(*np.zeros((4, 4))))
        world.enter(step, Phase.TRADE)
        market.actions()[Phase.TRADE](step)
        trades.append(world.trades.read())
    return trades


def test_truthful_orders_trade_all_there_is_at_the_middle_of_the_outside_options() -> None:
    for trade in traded("truthful", steps=5):
        assert trade.energy_kwh.sum() == pytest.approx(1.5)
        assert trade.seller.tolist() == [3] * trade.seller.size
        np.testing.assert_allclose(trade.price_eur_per_kwh, (0.09 + 0.03) / 2)  # 0.22 less levies of 0.13
        assert (trade.bid_eur_per_kwh == 0.22 - 0.13).all()
        assert (trade.ask_eur_per_kwh == 0.03).all()


def test_homes_that_bid_alike_win_alike() -> None:
    """Each of three equal buyers should win a third of 600 steps; five standard errors of a binomial share."""
    winners = np.concatenate([trade.buyer for trade in traded("truthful", steps=600)])
    share = np.bincount(winners, minlength=4)[:3] / winners.size
    assert np.abs(share - 1 / 3).max() < 5 * np.sqrt(1 / 3 * 2 / 3 / 600)


def test_equal_sellers_win_alike_too() -> None:
    """The signs turned round: three homes feed 2 kWh in, one wants 1.5 kWh."""
    winners = np.concatenate([trade.seller for trade in traded("truthful", steps=600, net_sign=-1.0)])
    share = np.bincount(winners, minlength=4)[:3] / winners.size
    assert np.abs(share - 1 / 3).max() < 5 * np.sqrt(1 / 3 * 2 / 3 / 600)


def test_random_limits_lie_between_the_outside_options() -> None:
    trades = [trade for trade in traded("zero_intelligence") if trade.buyer.size]
    assert trades
    for trade in trades:
        assert (trade.price_eur_per_kwh <= trade.bid_eur_per_kwh + 1e-12).all()
        assert (trade.price_eur_per_kwh >= trade.ask_eur_per_kwh - 1e-12).all()
        assert ((trade.price_eur_per_kwh > 0.03) & (trade.price_eur_per_kwh < 0.09)).all()


def test_nobody_trades_when_energy_costs_less_than_feed_in_pays() -> None:
    assert all(trade.buyer.size == 0 for trade in traded("truthful", steps=3, buy=0.14))
