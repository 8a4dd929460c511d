"""Orders from net energy and prices, and ties that do not always go to the same homes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.worlds import OpenWorld
from vpp_sim.agents.feeder_model import SolvedFeeder
from vpp_sim.agents.local_market import LocalMarket
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import Flexible, Forecast, LocalTrades, Metered, Storage, Tariff
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.randomness import MemberStreams
from vpp_sim.market.bidding import BiddingStep, Truthful
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.protocol import OrderBook
from vpp_sim.network.cigre_lv import cigre_lv_residential
from vpp_sim.network.feeder import Limits
from vpp_sim.registry import BIDDING_STRATEGIES, CLEARINGS

NAMES = ["a", "b", "c", "d"]
LOAD_KW = np.array([2.0, 2.0, 2.0, 0.5])
"""Three homes that want 2 kWh each, and one with 1.5 kWh of sun to spare."""
PV_KW = np.array([0.0, 0.0, 0.0, 2.0])


FEEDER = cigre_lv_residential()
LEVELS = (0.1, 0.5, 0.9)


def made(
    bidding: str, clock: Clock, kind: str = "uniform_price", minimum_kwh: float = 0.0
) -> tuple[OpenWorld, LocalMarket]:
    world = OpenWorld()
    market = LocalMarket(
        world,
        clock,
        mechanism=CLEARINGS.load(kind)(),
        strategy=BIDDING_STRATEGIES.load(bidding).of(homes=4, rng=np.random.default_rng(3)),
        minimum_kwh=minimum_kwh,
        bus_of_home=np.arange(4),
        limits=MemberStreams(1, "limit_price", NAMES),
        arrivals=MemberStreams(1, "arrival", NAMES),
        levies_eur_per_kwh=np.full(clock.n_steps, 0.13),
    )
    return world, market


def trade(
    world: OpenWorld, market: LocalMarket, step: int, load_kw: np.ndarray, pv_kw: np.ndarray, buy: float = 0.22
) -> LocalTrades:
    """Trade one step, of which all was foreseen."""
    world.put(step, tariff=Tariff(step, np.full(48, buy), np.full(48, 0.03), np.full(48, 0.22), 24))
    world.put(step, metered=Metered(load_kw, pv_kw), flexible=Flexible(load_kw))
    net_kw = np.repeat((load_kw - pv_kw)[:, None], 24, axis=1)
    fleet_kw = np.array([0.5, 1.0, 2.0]) * np.array([load_kw.sum(), pv_kw.sum()])[:, None]
    forecast = Forecast(step, 24, LEVELS, net_kw, net_kw, *(np.repeat(row[None], 24, axis=0) for row in fleet_kw))
    world.put(step, forecast=forecast)
    world.put(step, storage=Storage(*np.zeros((4, 4))))
    world.enter(step, Phase.TRADE)
    market.actions()[Phase.TRADE](step)
    return world.trades.read()


def traded(
    bidding: str,
    steps: int = 200,
    buy: float = 0.22,
    net_sign: float = 1.0,
    kind: str = "uniform_price",
    **options: float,
) -> list[LocalTrades]:
    clock = Clock.of_days("2017-07-03", days=steps // 24 + 1, step_s=3600, timezone="UTC")
    world, market = made(bidding, clock, kind, **options)
    load_kw, pv_kw = (LOAD_KW, PV_KW) if net_sign > 0 else (PV_KW, LOAD_KW)
    return [trade(world, market, step, load_kw, pv_kw, buy) for step in range(steps)]


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


def test_bids_by_forecast_lie_where_supply_and_demand_are_expected() -> None:
    """6 kWh wanted and 1.5 offered, each as uncertain as half to twice: the covered share is 1/4, or 1/8, 1/2, 1/16, 1.

    The levels stand for 0.3, 0.4 and 0.3. Shares in order, with their chances: 1/16 .09, 1/8 .24, 1/4 .34, 1/2 .24,
    1 .09. A tenth and a half lie at 1/8 and 1/4; so at a confidence of 0.8 the shares are 1/8 and 1/2: buyers name
    0.09 - 0.06/8 = 0.0825, sellers 0.09 - 0.06/2 = 0.06.
    """
    (trade,) = traded("forecast_based", steps=1)
    np.testing.assert_allclose(trade.bid_eur_per_kwh, 0.0825)
    np.testing.assert_allclose(trade.ask_eur_per_kwh, 0.06)


def test_learners_come_to_trade_at_most_times() -> None:
    trades = traded("adaptive", steps=400)
    filled = [trade.energy_kwh.sum() for trade in trades[200:]]
    assert np.mean(np.array(filled) > 0) > 0.9
    limits = np.concatenate([trade.bid_eur_per_kwh for trade in trades])
    assert limits.max() <= 0.22 - 0.13
    assert np.ptp(limits) > 0.005


def test_fees_and_unkept_limits_are_told() -> None:
    (vcg,) = traded("truthful", steps=1, kind="vcg")
    assert (vcg.fee_eur_per_kwh < 0).all()  # sellers are paid more than buyers pay
    assert vcg.limits_bind
    (shared,) = traded("truthful", steps=1, kind="bill_sharing")
    assert (shared.price_eur_per_kwh == 0).all()
    assert not shared.limits_bind


def test_small_orders_stay_outside() -> None:
    assert not traded("truthful", steps=1, minimum_kwh=1.6)[0].energy_kwh.size
    assert traded("truthful", steps=1, minimum_kwh=1.5)[0].energy_kwh.tolist() == [1.5]


def test_strategies_are_told_which_home_stands_behind_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fourth home sells, the others buy, in whatever order they arrive."""
    told = []

    def observe(self: object, clearing: object, book: OrderBook, home_of: np.ndarray) -> None:
        told.append((sorted(home_of[book.buyer]), home_of[book.seller].tolist()))

    monkeypatch.setattr(Truthful, "observe", observe)
    traded("truthful", steps=20)
    assert told == [([0, 1, 2], [3])] * 20


def test_strategies_are_told_the_local_hour_also_when_clocks_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """In Los Angeles 2 o'clock is left out on 12 March 2017; quarters of an hour are fractions."""
    told = []

    def limits(self: object, step: BiddingStep) -> np.ndarray:
        told.append(step.hour)
        return np.full(4, 0.05)

    monkeypatch.setattr(Truthful, "limits", limits)
    clock = Clock.of_days("2017-03-12", days=1, step_s=900, timezone="America/Los_Angeles")
    world, market = made("truthful", clock)
    for step in (0, 7, 8, 9, 91):
        trade(world, market, step, LOAD_KW, PV_KW)
    assert told == [0.0, 1.75, 3.0, 3.25, 23.75]


def feeder_market(limits: Limits = FEEDER.limits, base_kw: float = 0.0) -> tuple[OpenWorld, LocalMarket]:
    """Return a market on the CIGRE feeder: two buyers at R11 and R17, two sellers at R18 and R15."""
    base = np.zeros(len(FEEDER.buses))
    base[FEEDER.bus_indices(FEEDER.customer_buses)] = base_kw
    model = SolvedFeeder(replace(FEEDER, limits=limits), base, 0.0 * base)
    world, clock = OpenWorld(), Clock.of_days("2017-07-03", days=1, step_s=3600, timezone="UTC")
    market = LocalMarket(
        world,
        clock,
        mechanism=NetworkAware(model),
        strategy=Truthful(),
        minimum_kwh=0.0,
        bus_of_home=np.array(FEEDER.bus_indices(("R11", "R17", "R18", "R15"))),
        limits=MemberStreams(1, "limit_price", NAMES),
        arrivals=MemberStreams(1, "arrival", NAMES),
        levies_eur_per_kwh=np.full(clock.n_steps, 0.13),
    )
    return world, market


LIMITED = "steps in which the feeder limited trades"
BEYOND = "steps in which the feeder was beyond its limits without any trade"
CUT = "steps in which all trades were cut to what the feeder carries"


def test_steps_in_which_the_feeder_limits_trades_are_counted() -> None:
    """The line to R18 carries 144 A, 99.8 kVA at 400 V: 60 kW of sun pass, 130 kW do not, and none is no trade."""
    world, market = feeder_market()
    assert not {LIMITED, BEYOND, CUT} & market.counts.keys()
    load_kw = np.array([60.0, 90.0, 0.0, 0.0])
    sold = []
    for step, sun_kw in enumerate((60.0, 130.0, 0.0, 130.0)):
        pairs = trade(world, market, step, load_kw, np.array([0.0, 0.0, sun_kw, min(sun_kw, 30.0)]))
        sold.append(pairs.energy_kwh[pairs.seller == 2].sum())
    assert sold[0] == pytest.approx(60.0)
    assert 99.8 < sold[1] < 99.8 * 1.05
    assert sold[2] == 0.0
    assert {what: market.counts[what] for what in (LIMITED, BEYOND, CUT)} == {LIMITED: 2, BEYOND: 0, CUT: 0}


def test_steps_in_which_the_feeder_is_beyond_its_limits_anyway_are_counted() -> None:
    """30 kW at every customer bus draw R15 below 0.97 pu before any trade; sun at R15 mends, and nothing binds."""
    world, market = feeder_market(Limits(u_min_pu=0.97), base_kw=30.0)
    trade(world, market, 0, np.array([2.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 2.0]))
    assert {what: market.counts[what] for what in (LIMITED, BEYOND, CUT)} == {LIMITED: 0, BEYOND: 1, CUT: 0}


def test_a_mechanism_without_a_feeder_says_nothing_of_one() -> None:
    clock = Clock.of_days("2017-07-03", days=1, step_s=3600, timezone="UTC")
    for kind in ("uniform_price", "network_aware"):
        world, market = made("truthful", clock, kind)
        trade(world, market, 0, LOAD_KW, PV_KW)
        assert market.counts == {"orders": 4, "orders left without any trade": 2}
