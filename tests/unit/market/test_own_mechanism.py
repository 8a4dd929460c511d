"""A mechanism of one's own, against the protocol alone: the supply-demand ratio.

Formula and figures: N. Liu et al., "Energy-sharing model with price-based demand response for microgrids of
peer-to-peer prosumers", IEEE Transactions on Power Systems 32 (2017) 3569-3583; figures by hand arithmetic.
"""

import numpy as np
import pytest

from vpp_sim.market.accounts import blended_prices
from vpp_sim.market.pairing import pro_rata
from vpp_sim.market.protocol import Clearing, ClearingMechanism, OrderBook


class SupplyDemandRatio:
    """The more sun there is for the demand, the closer the price comes to the feed-in price."""

    keeps_limits = True

    def clear(self, book: OrderBook) -> Clearing:
        supply_kwh, demand_kwh = book.ask_kwh.sum(), book.bid_kwh.sum()
        b, s = book.retail_eur_per_kwh, book.feed_in_eur_per_kwh
        if supply_kwh > demand_kwh:
            return pro_rata(book, s)
        ratio = supply_kwh / demand_kwh if demand_kwh else 0.0
        return pro_rata(book, s * b / ((b - s) * ratio + s))


@pytest.mark.parametrize(("supply", "buy", "sell"), [(60.0, 0.144118, 0.073529), (150.0, 0.05, 0.05)])
def test_supply_demand_ratio_in_a_few_lines(supply, buy, sell):
    book = OrderBook(
        buyer=np.array([0, 1]), bid_kwh=np.array([30.0, 70.0]), bid_eur_per_kwh=np.array([0.25, 0.25]),
        seller=np.array([2, 3]), ask_kwh=np.array([supply / 3, supply * 2 / 3]), ask_eur_per_kwh=np.array([0.05, 0.05]),
        retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    )  # fmt: skip
    mechanism: ClearingMechanism = SupplyDemandRatio()
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(mechanism.clear(book), book)
    assert buy_eur_per_kwh == pytest.approx([buy, buy], abs=1e-6)
    assert sell_eur_per_kwh == pytest.approx([sell, sell], abs=1e-6)
