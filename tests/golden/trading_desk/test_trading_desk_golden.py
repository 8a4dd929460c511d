"""Bids, auction and settlement against the hand arithmetic of the README."""

import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.market.day_ahead import AuctionRules, BidSteps, clear_auction
from vpp_sim.market.imbalance import ImbalancePrices, settle_wholesale
from vpp_sim.market.intraday import IntradayRules, adjust_position
from vpp_sim.pricing.bids import BidProblem, Flexibility, PricePaths
from vpp_sim.pricing.cvar import CvarBid, DeterministicBid, conditional_value_at_risk

_HERE = Path(__file__).parent
_INPUT, _EXPECTED = (json.loads((_HERE / name).read_text("utf-8")) for name in ("input.json", "expected.json"))


def test_cvar():
    given = _INPUT["cvar"]
    cost = -np.array(given["profits"], dtype=float)
    found = [-conditional_value_at_risk(cost, level) for level in given["levels"]]
    assert found == pytest.approx(_EXPECTED["cvar"]["profits"], abs=1e-9)


def test_plant():
    given = _INPUT["plant"]
    prices = PricePaths(*(np.array([[given[name]]], dtype=float) for name in ("day_ahead", "short", "long")))
    problem = BidProblem(
        np.array([given["quantiles_kwh"]], dtype=float), np.array(given["levels"], dtype=float), prices
    )
    sold = [
        -CvarBid(scenarios=1000, risk_weight=weight).decide(problem).position_kwh[0] for weight in given["risk_weights"]
    ]
    assert sold[0] == pytest.approx(_EXPECTED["plant"]["sold_kwh"][0], abs=1e-9)
    assert sold == pytest.approx(_EXPECTED["plant"]["sold_kwh"], abs=0.1)


def test_battery():
    given = _INPUT["battery"]
    battery = Flexibility(
        given["power_kw"], given["power_kw"], 0.0, given["capacity_kwh"], 0.0,
        charge_efficiency=given["efficiency"], discharge_efficiency=given["efficiency"],
    )  # fmt: skip
    price = np.array(given["prices"], dtype=float)
    prices = PricePaths.of_spreads(price, short_spread=0.1, long_spread=0.1)
    decision = DeterministicBid().decide(BidProblem(np.zeros((4, 1)), np.array([0.5]), prices, battery))
    assert -decision.cost_eur[0] == pytest.approx(_EXPECTED["battery"]["profit_eur"], abs=1e-9)
    assert -float(decision.position_kwh @ price) == pytest.approx(_EXPECTED["battery"]["profit_eur"], abs=1e-9)


def test_auction():
    bids, asks = _INPUT["auction"]["bids"], _INPUT["auction"]["asks"]
    energy = np.concatenate([np.ones(len(bids)), -np.ones(len(asks))])
    book = BidSteps(np.zeros(energy.size, dtype=np.int64), energy, np.array(bids + asks, dtype=float))
    result = clear_auction(book, steps=1, rules=AuctionRules(highest_eur_per_mwh=1e6))
    expected = _EXPECTED["auction"]
    assert result.price_eur_per_kwh[0] == pytest.approx(expected["price"], abs=1e-9)
    assert result.volume_kwh[0] == pytest.approx(expected["volume_kwh"], abs=1e-9)
    assert result.filled_kwh @ book.limit_eur_per_kwh == pytest.approx(expected["welfare"], abs=1e-9)


def test_settlement():
    given = {name: np.array([value], dtype=float) for name, value in _INPUT["settlement"].items()}
    trades = adjust_position(
        given["day_ahead_kwh"], given["wanted_kwh"], given["middle"], is_open=np.array([True]),
        rules=IntradayRules(half_spread_eur_per_kwh=_INPUT["settlement"]["half_spread"]),
    )  # fmt: skip
    settled = settle_wholesale(
        given["day_ahead_kwh"], given["metered_kwh"], given["day_ahead"],
        ImbalancePrices.one_price(given["imbalance"]), intraday=trades,
    )  # fmt: skip
    for name, value in _EXPECTED["settlement"].items():
        assert getattr(settled, name)[0] == pytest.approx(value, abs=1e-9)
