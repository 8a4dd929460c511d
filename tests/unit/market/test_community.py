"""Supply-demand ratio and bill sharing; all figures by hand arithmetic on the published formulas."""

import numpy as np
import pytest

from vpp_sim.market.accounts import blended_prices
from vpp_sim.market.community import BillSharing, SupplyDemandRatio
from vpp_sim.market.protocol import OrderBook


def _book(supply, demand, retail=0.25, feed_in=0.05, bid=0.25, ask=0.05):
    return OrderBook(
        buyer=np.array([0, 1]), bid_kwh=demand * np.array([0.3, 0.7]), bid_eur_per_kwh=np.full(2, bid),
        seller=np.array([2, 3]), ask_kwh=supply * np.array([0.6, 0.4]), ask_eur_per_kwh=np.full(2, ask),
        retail_eur_per_kwh=retail, feed_in_eur_per_kwh=feed_in,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("supply", "buy", "sell"),
    [
        # 0.05 x 0.25 / (0.20 x 0.6 + 0.05) = 0.0735294; 0.0735294 x 0.6 + 0.25 x 0.4 = 0.1441176.
        (60.0, 0.14411765, 0.07352941),
        (100.0, 0.05, 0.05),
        (150.0, 0.05, 0.05),
        (1e-9, 0.25, 0.25),
    ],
)
def test_supply_demand_ratio_gives_both_sides_the_published_prices(supply, buy, sell):
    book = _book(supply, 100.0)
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(SupplyDemandRatio().clear(book), book)
    assert buy_eur_per_kwh == pytest.approx([buy, buy], abs=1e-8)
    assert sell_eur_per_kwh == pytest.approx([sell, sell], abs=1e-8)


@pytest.mark.parametrize(
    ("retail", "feed_in", "price"),
    [
        (0.25, 0.0, 0.0),  # the limit of s b / ((b - s) r + s) for s to 0
        (0.25, -0.05, -0.05),  # the formula would divide by -0.05 + 0.3 x 0.6 = 0.13, and by 0 at r = 1/6
        (-0.02, -0.05, -0.05),
        (0.0, -0.05, -0.05),
        # A feed-in price above retail: 0.25 x 0.05 / (-0.2 x 0.6 + 0.25) = 0.0961538.
        (0.05, 0.25, 0.09615385),
    ],
)
def test_supply_demand_ratio_with_unusual_prices(retail, feed_in, price):
    clearing = SupplyDemandRatio().clear(_book(60.0, 100.0, retail, feed_in, bid=1.0, ask=-1.0))
    assert clearing.market_eur_per_kwh == pytest.approx(price, abs=1e-8)
    assert clearing.traded_kwh == pytest.approx(60.0)


def test_the_ratio_counts_all_orders_but_does_not_force_them():
    # r = 60 / 100 as before; the buyers' limit of 0.07 refuses 0.0735.
    assert SupplyDemandRatio().clear(_book(60.0, 100.0, bid=0.07)).traded_kwh == 0.0
    assert SupplyDemandRatio().clear(_book(60.0, 100.0, bid=0.0736)).traded_kwh == pytest.approx(60.0)


def test_as_much_sun_as_demand_trades_at_the_feed_in_price_and_not_below():
    # The formula gives 0.33 x 0.22 / (0.33 - 0.22 + 0.22) = 0.21999999999999997, which sellers at 0.22 would refuse.
    clearing = SupplyDemandRatio().clear(_book(100.0, 100.0, retail=0.33, feed_in=0.22, bid=0.33, ask=0.22))
    assert clearing.traded_kwh == pytest.approx(100.0)
    assert clearing.market_eur_per_kwh == 0.22


@pytest.mark.parametrize(
    ("supply", "buy", "sell"),
    [
        # Bill 0.25 x 40 over 100 kWh; income 0.05 x 50 over 150 kWh.
        (60.0, 0.10, 0.0),
        (150.0, 0.0, 2.5 / 150),
        (100.0, 0.0, 0.0),
    ],
)
def test_bill_sharing_shares_what_the_community_pays_or_earns(supply, buy, sell):
    book = _book(supply, 100.0)
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(BillSharing().clear(book), book)
    assert buy_eur_per_kwh == pytest.approx([buy, buy], abs=1e-12)
    assert sell_eur_per_kwh == pytest.approx([sell, sell], abs=1e-12)


def test_bill_sharing_does_not_ask_for_limits():
    clearing = BillSharing().clear(_book(60.0, 100.0, bid=-1.0, ask=1.0))
    assert clearing.traded_kwh == pytest.approx(60.0)
    assert clearing.market_eur_per_kwh == 0.0
