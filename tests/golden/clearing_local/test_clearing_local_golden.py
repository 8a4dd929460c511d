"""Local clearing against known answers; README.md names the oracles."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.market.accounts import blended_prices, welfare_eur
from vpp_sim.market.protocol import OrderBook

FOLDER = Path(__file__).parent
INPUT = json.loads((FOLDER / "input.json").read_text())
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


def _book(case) -> OrderBook:
    bids, asks = np.array(case["bids"], dtype=float), np.array(case["asks"], dtype=float)
    return OrderBook(
        buyer=np.arange(len(bids)),
        bid_kwh=bids[:, 0],
        bid_eur_per_kwh=bids[:, 1],
        seller=len(bids) + np.arange(len(asks)),
        ask_kwh=asks[:, 0],
        ask_eur_per_kwh=asks[:, 1],
        retail_eur_per_kwh=case["retail"],
        feed_in_eur_per_kwh=case["feed_in"],
    )


@pytest.mark.parametrize("name", INPUT)
def test_known_answer(name):
    book, expected = _book(INPUT[name]), EXPECTED[name]
    module, mechanism = INPUT[name]["mechanism"].split(":")
    clearing = getattr(import_module(f"vpp_sim.market.{module}"), mechanism)().clear(book)
    buy_eur_per_kwh, sell_eur_per_kwh = blended_prices(clearing, book)
    found = {
        "buy": np.average(buy_eur_per_kwh, weights=book.bid_kwh),
        "sell": np.average(sell_eur_per_kwh, weights=book.ask_kwh),
        "traded": clearing.traded_kwh,
        "market": clearing.market_eur_per_kwh,
        "welfare": welfare_eur(clearing, book),
        "paid": np.average(clearing.paid_eur_per_kwh, weights=clearing.energy_kwh)
        if clearing.energy_kwh.size
        else None,
        "surplus": clearing.surplus_eur,
    }
    fixed = {key: value for key, value in expected.items() if value is not None}
    assert {key: found[key] for key in fixed} == pytest.approx(fixed, abs=1e-6)
