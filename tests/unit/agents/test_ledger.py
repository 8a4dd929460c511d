"""The ledger's entries against hand arithmetic, for two homes and one tick of an hour.

Home 0 draws 4 kWh, home 1 feeds 3 kWh in. They agreed on a trade of 2 kWh at 0.06 EUR/kWh. Retail 0.22 EUR/kWh with
levies of 0.13, feed-in 0.03, day-ahead price 0.05; the VPP bought 0.6 kWh day ahead and sold 0.2 of them again, at
0.05 - 0.002, so it is 0.6 kWh short and pays 0.05 * 1.25 for it; the feeder loses 0.1 kWh.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.worlds import OpenWorld
from vpp_sim.agents.ledger import Ledger
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import DayAhead, Flow, Intraday, LocalTrades, Tariff
from vpp_sim.kernel.phases import Phase
from vpp_sim.market.imbalance import ImbalancePrices

TRADE = LocalTrades(
    buyer=np.array([0]),
    seller=np.array([1]),
    energy_kwh=np.array([2.0]),
    price_eur_per_kwh=np.array([0.06]),
    fee_eur_per_kwh=np.array([0.01]),
    bid_eur_per_kwh=np.array([0.09]),
    ask_eur_per_kwh=np.array([0.03]),
)


def flow(net_kw: list[float]) -> Flow:
    two = np.zeros(2)
    return Flow(np.array(net_kw), two, two + 1, 1.0, 1.0, 0.0, 0.0, loss_kw=0.1, slack_kw=sum(net_kw) + 0.1)


def ledger(steps: int = 2, buy: float = 0.22) -> tuple[OpenWorld, Ledger]:
    world, clock = OpenWorld(), Clock.of_days("2017-07-03", days=1, step_s=3600, timezone="UTC")
    clock = replace(clock, n_steps=steps)
    price = np.full(steps, 0.05)
    books = Ledger(
        world,
        clock,
        _TwoHomes(),
        day_ahead_eur_per_kwh=price,
        levies_eur_per_kwh=np.full(steps, 0.13),
        imbalance=ImbalancePrices.of_spreads(price, short_spread=0.25, long_spread=0.25),
        guarantees=True,
    )
    world.put(0, tariff=Tariff(0, np.full(48, buy), np.full(48, 0.03), np.full(48, 0.22), 24))
    world.put(0, day_ahead=DayAhead(np.full(steps, 0.6), np.zeros((3, steps))))
    world.put(0, intraday=Intraday(np.full(steps, -0.2), np.full(steps, -0.0096)))
    return world, books


class _TwoHomes:
    names = ("a", "b")

    def __len__(self) -> int:
        return 2


def settle(world: OpenWorld, books: Ledger, step: int, net_kw: list[float], trade: LocalTrades = TRADE) -> None:
    world.put(step, trades=trade, flow=flow(net_kw))
    world.enter(step, Phase.SETTLE)
    books.actions()[Phase.SETTLE](step)


def test_every_item_by_hand() -> None:
    world, books = ledger()
    settle(world, books, 0, [4.0, -3.0])
    assert books.accounts == ("a", "b", "vpp", "wholesale", "grid_operator")
    entries = {item: entry.tolist() for item, entry in world.settlement.read().entries_micro_eur.items()}
    assert entries == {
        "retail_energy": [180_000, 0, -180_000, 0, 0],  # 2 kWh left at 0.22 - 0.13
        "levies": [520_000, 0, 0, 0, -520_000],  # all 4 kWh drawn
        "feed_in": [0, -30_000, 30_000, 0, 0],  # 1 kWh left at 0.03
        "local_trade": [120_000, -120_000, 0, 0, 0],  # 2 kWh at 0.06
        "market_fee": [20_000, 0, -20_000, 0, 0],  # and 0.01 a kWh to the VPP, who runs the market
        "day_ahead": [0, 0, 30_000, -30_000, 0],  # 0.6 kWh at 0.05
        "intraday": [0, 0, -9_600, 9_600, 0],  # 0.2 kWh sold at 0.048
        "imbalance": [0, 0, 37_500, -37_500, 0],  # 0.6 kWh short at 0.0625
        "losses": [0, 0, 0, -5_000, 5_000],  # 0.1 kWh at 0.05
    }
    assert world.settlement.read().imbalance_kwh == pytest.approx(0.6, abs=1e-12)
    assert world.settlement.read().traded_wh.tolist() == [2000, -2000, 0, 0, 0]


def test_a_curtailed_seller_is_paid_for_what_she_delivered() -> None:
    """The feeder lets only 1 kWh of the 2 kWh sold through: the buyer turns to the VPP for the other."""
    world, books = ledger()
    settle(world, books, 0, [4.0, -1.0])
    settlement = world.settlement.read()
    assert settlement.delivered_kwh.tolist() == [1.0]
    assert settlement.entries_micro_eur["local_trade"].tolist() == [60_000, -60_000, 0, 0, 0]
    assert settlement.entries_micro_eur["market_fee"].tolist() == [10_000, 0, -10_000, 0, 0]
    assert settlement.entries_micro_eur["retail_energy"].tolist() == [270_000, 0, -270_000, 0, 0]
    assert settlement.entries_micro_eur["feed_in"].tolist() == [0, 0, 0, 0, 0]


def test_balances_run_on_and_sum_to_zero() -> None:
    world, books = ledger(steps=3)
    settle(world, books, 0, [4.0, -3.0])
    first = world.settlement.read().balance_micro_eur
    settle(world, books, 1, [4.0, -3.0])
    second = world.settlement.read().balance_micro_eur
    assert (second == 2 * first).all()
    assert second.sum() == 0


def test_the_guarantee_refunds_what_exceeds_the_default_bill() -> None:
    """At a retail price of 0.30 home 0 pays 0.17 * 2 + 0.13 * 4 + 0.07 * 2 = 1.00 EUR; by default 0.22 * 4 = 0.88."""
    world, books = ledger(steps=1, buy=0.30)
    settle(world, books, 0, [4.0, -3.0])
    settlement = world.settlement.read()
    assert settlement.entries_micro_eur["guarantee"].tolist() == [-120_000, 0, 120_000, 0, 0]
    assert settlement.balance_micro_eur[0] == 880_000


def test_no_guarantee_is_paid_before_the_end() -> None:
    world, books = ledger(steps=2, buy=0.30)
    settle(world, books, 0, [4.0, -3.0])
    assert "guarantee" not in world.settlement.read().entries_micro_eur
