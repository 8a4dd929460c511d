"""Break the simulation in one place and see the run stop, naming the tick, the account and the amount."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents import storage
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.demand_response.responses import SelfDemandResponse
from vpp_sim.errors import ChainError, ConservationError
from vpp_sim.kernel.messages import Flow
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.protocol import Clearing


def test_nothing_is_broken_to_begin_with(tmp_path: Path) -> None:
    assert simulate_in(tmp_path, light_scenario()).counts["ticks audited"] == 24


def test_a_battery_that_loses_less_than_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = storage.advance

    def lossless(fleet: Any, *arguments: Any) -> Any:
        return sound(replace(fleet, discharge_efficiency=np.ones(len(fleet))), *arguments)

    monkeypatch.setattr(storage, "advance", lossless)
    with pytest.raises(ConservationError, match=r"tick \d+: battery of homes/home_\d is out of balance by .* kWh") as e:
        simulate_in(tmp_path, light_scenario())
    # discharging P at efficiency 0.9**0.5 instead of 1 leaves too much in the battery
    assert e.value.amount > 0


def test_a_trade_dearer_than_its_buyer_bid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = UniformPrice.clear

    def dear(self: UniformPrice, book: Any) -> Clearing:
        cleared = sound(self, book)
        return replace(cleared, price_eur_per_kwh=cleared.price_eur_per_kwh + 0.5)

    monkeypatch.setattr(UniformPrice, "clear", dear)
    with pytest.raises(ConservationError, match=r"price above the bid of the trade homes/home_\d to homes/home_\d"):
        simulate_in(tmp_path, light_scenario(market__local__bidding="truthful"))


def test_a_trade_booked_at_another_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents.ledger import Ledger

    sound = Ledger._pairs
    monkeypatch.setattr(Ledger, "_pairs", lambda self, trades, amounts: sound(self, trades, amounts * 2))
    with pytest.raises(ConservationError, match=r"tick \d+: local trades of homes/home_\d is out of balance"):
        simulate_in(tmp_path, light_scenario(market__local__bidding="truthful"))


def test_a_token_transfer_that_goes_astray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = SettlementClient.submit_batch

    def astray(self: SettlementClient, period: int, members: Any, amount: Any, traded: Any) -> Any:
        if period == 3:
            amount = amount.copy()
            amount[[0, 1]] += [1, -1]
        return sound(self, period, members, amount, traded)

    monkeypatch.setattr(SettlementClient, "submit_batch", astray)
    with pytest.raises(ChainError, match=r"homes/home_\d has \d+ micro-euro on chain, \d+ in the ledger \(-1\)"):
        simulate_in(tmp_path, light_scenario(chain={"every": "1h"}))


def test_a_response_that_loses_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = SelfDemandResponse.respond
    monkeypatch.setattr(SelfDemandResponse, "respond", lambda self, *a: sound(self, *a) * 0.999)
    with pytest.raises(ConservationError, match=r"tick 23: daily energy under demand response of homes/home_\d"):
        simulate_in(tmp_path, light_scenario())


@pytest.mark.parametrize(
    ("field", "message"),
    [("net_kw", r"tick 0: meter of homes/home_1"), ("loss_kw", r"tick 0: feeder is out of balance by -1 kW")],
)
def test_a_feeder_that_makes_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, message: str) -> None:
    def wrong(**values: Any) -> Flow:
        return Flow(**values | {field: values[field] + 1.0})

    monkeypatch.setattr("vpp_sim.agents.grid.Flow", wrong)
    with pytest.raises(ConservationError, match=message):
        simulate_in(tmp_path, light_scenario())


def test_money_that_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents.ledger import Ledger

    sound = Ledger._homes_with

    def printed(self: Ledger, partner: int, cost_eur: Any) -> Any:
        entry = sound(self, partner, cost_eur)
        entry[0] += 1
        return entry

    monkeypatch.setattr(Ledger, "_homes_with", printed)
    with pytest.raises(ConservationError, match=r"tick 0: ledger item retail_energy is out of balance by 1 micro-EUR"):
        simulate_in(tmp_path, light_scenario())
