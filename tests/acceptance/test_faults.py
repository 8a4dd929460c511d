"""Break the simulation in one place and see the run stop, naming the tick, the account and the amount."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents import storage
from vpp_sim.chain.kinds import Netted
from vpp_sim.chain.statements import Statement
from vpp_sim.demand_response.responses import SelfDemandResponse
from vpp_sim.errors import ChainError, ConservationError
from vpp_sim.kernel.messages import Flow
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.protocol import Clearing


def test_nothing_is_broken_to_begin_with(tmp_path: Path) -> None:
    assert simulate_in(tmp_path, light_scenario()).counts["ticks audited"] == 24


def test_a_battery_that_loses_less_than_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = storage.advance

    def lossless(fleet: Any, *arguments: Any, **sun: Any) -> Any:
        return sound(replace(fleet, discharge_efficiency=np.ones(len(fleet))), *arguments, **sun)

    monkeypatch.setattr(storage, "advance", lossless)
    with pytest.raises(ConservationError, match=r"tick \d+: battery of homes/home_\d is out of balance by .* kWh") as e:
        simulate_in(tmp_path, light_scenario())
    # discharging P at efficiency 0.9**0.5 instead of 1 leaves too much in the battery
    assert e.value.amount > 0


@pytest.mark.parametrize("charge", ["price_eur_per_kwh", "fee_eur_per_kwh"])
def test_a_trade_dearer_than_its_buyer_bid(charge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = UniformPrice.clear

    def dear(self: UniformPrice, book: Any) -> Clearing:
        cleared = sound(self, book)
        return replace(cleared, **{charge: getattr(cleared, charge) + 0.5})

    monkeypatch.setattr(UniformPrice, "clear", dear)
    with pytest.raises(ConservationError, match=r"price above the bid of the trade homes/home_\d to homes/home_\d"):
        simulate_in(tmp_path, light_scenario(market__local__bidding="truthful"))


def test_a_trade_booked_at_another_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents.ledger import Ledger

    sound = Ledger._pairs
    monkeypatch.setattr(Ledger, "_pairs", lambda self, trades, amounts: sound(self, trades, amounts * 2))
    with pytest.raises(ConservationError, match=r"tick \d+: local trades of homes/home_\d is out of balance"):
        simulate_in(tmp_path, light_scenario(market__local__bidding="truthful"))


@pytest.mark.parametrize("settlement", ["netted", "direct"])
def test_a_token_transfer_that_goes_astray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settlement: str) -> None:
    sound = Netted.begin

    def astray(self: Netted, statement: Statement, openings: Any = ()) -> Any:
        if statement.period == 3:
            amount = statement.amount_micro_eur.copy()
            amount[[0, 1]] += [1, -1]
            (wrong,) = sound(self, replace(statement, amount_micro_eur=amount))
            (right,) = sound(self, statement)
            return (replace(wrong, effect_micro_eur=right.effect_micro_eur),)
        return sound(self, statement)

    monkeypatch.setattr(Netted, "begin", astray)
    monkeypatch.setattr(Netted, "proceed", lambda *arguments: ())  # which would notice that the batch is another
    with pytest.raises(ChainError, match=r"homes/home_\d has \d+ micro-euro on chain, \d+ by what was mined \(-1\)"):
        simulate_in(tmp_path, light_scenario(chain={"every": "1h", "settlement": settlement}))


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


ONE_SIDED = [
    # who lies, about what, and what the auditor says
    ("levies at half the rate", "levies", lambda entry, n: _halved(entry, n), r"levies of homes/home_\d"),
    ("energy charged twice", "retail_energy", lambda entry, n: entry * 2, r"retail energy of homes/home_\d"),
    ("feed-in paid twice", "feed_in", lambda entry, n: entry * 2, r"feed in of homes/home_\d"),
    ("the position paid twice", "day_ahead", lambda entry, n: entry * 2, r"day ahead of (vpp|wholesale)"),
    ("imbalance for nothing", "imbalance", lambda entry, n: entry * 0, r"imbalance of (vpp|wholesale)"),
    ("losses paid by nobody", "losses", lambda entry, n: entry * 0, r"losses of (wholesale|grid_operator)"),
    ("one home pays for another", "levies", lambda entry, n: _shifted(entry, 0, 1), r"levies of homes/home_[12]"),
    (
        "losses booked to the VPP",
        "losses",
        lambda entry, n: _swapped(entry, n, n + 2),
        r"losses of (vpp|grid_operator)",
    ),
]


def _halved(entry: Any, n: int) -> Any:
    entry = entry // 2
    entry[n + 2] = -entry[:n].sum()
    return entry


def _shifted(entry: Any, payer: int, payee: int) -> Any:
    entry = entry.copy()
    entry[payer] += 500_000
    entry[payee] -= 500_000
    return entry


def _swapped(entry: Any, one: int, other: int) -> Any:
    entry = entry.copy()
    entry[[one, other]] = entry[[other, one]]
    return entry


@pytest.mark.parametrize(("lie", "item", "change", "message"), ONE_SIDED, ids=[row[0] for row in ONE_SIDED])
def test_an_entry_that_balances_and_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str, item: str, change: Any, message: str
) -> None:
    from vpp_sim.agents import ledger

    sound = ledger.Settlement

    def forged(entries: Any, *rest: Any) -> Any:
        wrong = dict(entries)
        wrong[item] = change(entries[item], 4)
        balance = rest[3] + (wrong[item] - entries[item])
        return sound(wrong, *rest[:3], balance, rest[4])

    monkeypatch.setattr(ledger, "Settlement", forged)
    with pytest.raises(ConservationError, match=rf"tick \d+: {message} is out of balance"):
        simulate_in(tmp_path, light_scenario())


def test_a_gift_under_the_name_of_the_guarantee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents.ledger import Ledger

    sound = Ledger._guarantee
    monkeypatch.setattr(Ledger, "_guarantee", lambda self: _shifted(sound(self), 4, 0))
    with pytest.raises(ConservationError, match=r"tick 23: guarantee of (homes/home_1|vpp)"):
        simulate_in(tmp_path, light_scenario())


def test_trades_that_are_not_delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents.ledger import Ledger

    monkeypatch.setattr(Ledger, "_delivered_kwh", lambda self, trades, export: trades.energy_kwh * 0)
    with pytest.raises(ConservationError, match=r"delivery of the trade homes/home_\d to homes/home_\d"):
        simulate_in(tmp_path, light_scenario(market__local__bidding="truthful"))


def test_trades_of_more_than_the_meters_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = UniformPrice.clear

    def tenfold(self: UniformPrice, book: Any) -> Clearing:
        cleared = sound(self, book)
        return replace(cleared, energy_kwh=cleared.energy_kwh * 10)

    from vpp_sim.agents.ledger import Ledger

    monkeypatch.setattr(UniformPrice, "clear", tenfold)
    monkeypatch.setattr(Ledger, "_delivered_kwh", lambda self, trades, export: trades.energy_kwh)
    with pytest.raises(ConservationError, match=r"delivery of the trade homes/home_\d to homes/home_\d"):
        simulate_in(tmp_path, light_scenario(market__local__bidding="truthful"))


def test_a_position_that_changes_after_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents.bidder import BiddingDesk

    def rewritten(self: BiddingDesk, step: int) -> None:
        known = self._world.day_ahead.read()
        if step == 9:
            self._write(replace(known, position_kwh=known.position_kwh + 1.0))

    monkeypatch.setattr(BiddingDesk, "_bid", rewritten)
    with pytest.raises(ConservationError, match=r"tick 9: day-ahead position of step \d+ is out of balance by 1 kWh"):
        simulate_in(tmp_path, light_scenario())


def test_a_price_that_changes_after_its_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents.pricer import PricingDesk

    def rewritten(self: PricingDesk, step: int) -> None:
        known = self._world.tariff.read()
        if step == 9:
            self._write(replace(known, buy_eur_per_kwh=known.buy_eur_per_kwh * 1.02))

    monkeypatch.setattr(PricingDesk, "_price", rewritten)
    with pytest.raises(ConservationError, match=r"tick 9: published price of step \d+ is out of balance"):
        simulate_in(tmp_path, light_scenario())


@pytest.mark.parametrize(
    ("powers", "message"),
    [
        ((50.0, 0.0), r"tick 0: battery power above its limit of homes/home_1"),
        ((2.0, 2.0), r"tick 0: battery in both directions of homes/home_1"),
        ((0.0, 4.9), r"battery outside its window of homes/home_1"),
    ],
)
def test_a_battery_that_does_what_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, powers: tuple[float, float], message: str
) -> None:
    def anything(fleet: Any, soc_kwh: Any, *_: Any, **sun: Any) -> Any:
        return np.full(len(fleet), powers[0]), np.full(len(fleet), powers[1])

    def unchecked(fleet: Any, soc_kwh: Any, charge_kw: Any, discharge_kw: Any, step_h: float, **sun: Any) -> Any:
        gained_kwh = (charge_kw * fleet.charge_efficiency - discharge_kw / fleet.discharge_efficiency) * step_h
        return soc_kwh + gained_kwh

    monkeypatch.setattr(storage, "project", anything)
    monkeypatch.setattr(storage, "advance", unchecked)
    with pytest.raises(ConservationError, match=message):
        simulate_in(tmp_path, light_scenario())


def test_a_meter_that_shows_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents import prosumers

    sound = prosumers.Metered
    monkeypatch.setattr(prosumers, "Metered", lambda load_kw, pv_kw: sound(load_kw / 2, pv_kw))
    with pytest.raises(ConservationError, match=r"tick 0: metered load of homes/home_\d"):
        simulate_in(tmp_path, light_scenario())


def test_traded_energy_that_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_sim.agents import ledger

    monkeypatch.setattr(ledger, "to_wh", lambda energy_kwh: np.zeros(len(energy_kwh), dtype=np.int64))
    with pytest.raises(ConservationError, match=r"traded energy of homes/home_\d is out of balance by -?\d+ Wh"):
        simulate_in(tmp_path, light_scenario(market__local__bidding="truthful"))
