"""The wholesale desk in whole runs: every rule of imbalance, with and without intraday trades, and what it may know."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents.bidder import BiddingDesk
from vpp_sim.agents.disclosure import information
from vpp_sim.agents.inputs import Inputs, load_inputs, open_models
from vpp_sim.errors import ConservationError
from vpp_sim.market.balancing import BalancingLaw
from vpp_sim.simulation import Outcome

RULES = ("both_sides", "two_prices", "one_price")
INTRADAY = {"lead": "1h", "half_spread_eur_per_kwh": 0.001, "fee_eur_per_kwh": 0.0001}
PLAIN = {"pricing__retail__kind": "default", "pricing__wholesale__kind": "newsvendor"}
"""Solves nothing, which is what takes the time of a light run."""

REFUSED, BEYOND = "steps of wholesale bids refused as too small", "steps of wholesale bids beyond the price limits"


def as_it_is(inputs: Inputs) -> Inputs:
    return inputs


def run(
    folder: Path, change: Callable[[Inputs], Inputs] = as_it_is, **market: object
) -> tuple[pd.DataFrame, pd.DataFrame, Outcome]:
    """Return fleet and ledger of a light run whose wholesale market is changed; other keys are dotted by ``__``."""
    keys = {key if "__" in key else f"market__wholesale__{key}": value for key, value in market.items()}
    outcome = simulate_in(folder, light_scenario(**PLAIN | keys), change)
    return pd.read_parquet(folder / "timeseries.parquet"), pd.read_parquet(folder / "ledger.parquet"), outcome


def booked_eur(ledger: pd.DataFrame, item: str) -> np.ndarray:
    mine = ledger[(ledger["account"] == "vpp") & (ledger["item"] == item)]
    return mine.set_index("step")["amount_micro_eur"].reindex(range(24), fill_value=0).to_numpy() / 1e6


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], tuple[pd.DataFrame, pd.DataFrame]]:
    folder = tmp_path_factory.mktemp("rules")
    return {
        (rule, trades): run(folder / f"{rule}-{trades}", imbalance=rule, intraday=INTRADAY if trades else None)[:2]
        for rule in RULES
        for trades in (False, True)
    }


@pytest.mark.parametrize("trades", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_energy_and_money_of_every_rule(runs: dict[Any, Any], rule: str, trades: bool) -> None:
    """The auditor stopped none of them; their tables say the same by arithmetic of their own."""
    fleet, ledger = runs[rule, trades]
    price, imbalance = fleet["day_ahead_eur_per_kwh"], fleet["imbalance_kwh"]
    np.testing.assert_allclose(
        fleet["position_kwh"] + fleet["intraday_kwh"] + imbalance, fleet["net_kw"], rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(booked_eur(ledger, "day_ahead"), fleet["position_kwh"] * price, rtol=0, atol=1e-6)
    met = np.where(imbalance > 0, fleet["short_eur_per_kwh"], fleet["long_eur_per_kwh"])
    np.testing.assert_allclose(booked_eur(ledger, "imbalance"), imbalance * met, rtol=0, atol=1e-6)
    short, long = (fleet[f"{side}_eur_per_kwh"] / price for side in ("short", "long"))
    allowed = {
        "both_sides": {(1.25, 0.75)},
        "two_prices": {(1.25, 1.0), (1.0, 0.75)},
        "one_price": {(1.25, 1.25), (0.75, 0.75)},
    }[rule]
    assert set(zip(short.round(9), long.round(9), strict=True)) == allowed
    assert (ledger.groupby(["step", "item"])["amount_micro_eur"].sum() == 0).all()
    assert (fleet["intraday_kwh"] != 0).any() == (trades and rule != "one_price")


@pytest.mark.parametrize("rule", ["both_sides", "two_prices"])
def test_intraday_trades_cost_what_they_must_and_save_imbalance(runs: dict[Any, Any], rule: str) -> None:
    """Who waits trades a step once: at the day-ahead price, the half spread of 0.001 and the fee of 0.0001 EUR/kWh."""
    fleet, ledger = runs[rule, True]
    net, price = fleet["intraday_kwh"].to_numpy(), fleet["day_ahead_eur_per_kwh"].to_numpy()
    beyond = booked_eur(ledger, "intraday") - net * price
    np.testing.assert_allclose(beyond, np.abs(net) * 0.0011, rtol=0, atol=1e-6)
    assert fleet["imbalance_kwh"].abs().sum() < runs[rule, False][0]["imbalance_kwh"].abs().sum()


def test_who_expects_nothing_of_one_price_trades_nothing(runs: dict[Any, Any]) -> None:
    """As often short as long by the same spread: imbalance is expected to cost what energy costs day ahead."""
    pd.testing.assert_frame_equal(runs["one_price", True][0], runs["one_price", False][0])


def test_without_draws_a_run_is_as_before_the_rule_had_a_name(runs: dict[Any, Any]) -> None:
    fleet, _ = runs["both_sides", False]
    np.testing.assert_allclose(fleet["short_eur_per_kwh"], 1.25 * fleet["day_ahead_eur_per_kwh"], rtol=1e-12)
    np.testing.assert_allclose(fleet["long_eur_per_kwh"], 0.75 * fleet["day_ahead_eur_per_kwh"], rtol=1e-12)


@pytest.mark.parametrize("rule", ["two_prices", "one_price"])
def test_the_desk_does_not_see_which_states_come_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """The same homes under opposite states: the same bids and trades, and another bill for imbalance."""
    changes: dict[str, Any] = {"imbalance": rule, "system_short_share": 0.6, "intraday": INTRADAY}
    changes |= {"pricing__wholesale__kind": "cvar"}
    first, paid, _ = run(tmp_path / "one", **changes)
    sound = BalancingLaw.states
    monkeypatch.setattr(BalancingLaw, "states", lambda self, hours, rng: ~sound(self, hours, rng))
    second, other, _ = run(tmp_path / "other", **changes)
    for column in ("position_kwh", "intraday_kwh", "net_kw"):
        np.testing.assert_array_equal(first[column], second[column])
    assert (first["short_eur_per_kwh"] != second["short_eur_per_kwh"]).any()
    assert booked_eur(paid, "imbalance").sum() != booked_eur(other, "imbalance").sum()


@pytest.mark.parametrize("kind", ["newsvendor", "deterministic", "risk_neutral", "cvar"])
def test_every_bidder_plans_on_one_price_within_its_limits(tmp_path: Path, runs: dict[Any, Any], kind: str) -> None:
    """Without a gain to expect, all but the one that minds risk bid the median of what they foresee."""
    median = runs["one_price", False][0]["position_kwh"]  # of a newsvendor, whose quantile is the half
    keys = {"imbalance": "one_price", "pricing__wholesale__kind": kind, "pricing__wholesale__scenarios": 50}
    if kind != "cvar":
        np.testing.assert_allclose(run(tmp_path / "even", **keys)[0]["position_kwh"], median, atol=1e-9)
    fleet, _, outcome = run(tmp_path / "short", system_short_share=0.9, **keys)  # expected 20 % above the day ahead
    assert outcome.counts["wholesale bids that fell back to the newsvendor's"] == 0
    gain = fleet["position_kwh"] - median
    assert (gain.sum() > 1.0) == (kind != "deterministic")
    assert gain.max() < 10.0  # the outermost quantiles of four homes


def test_the_median_is_what_one_price_leaves_of_the_newsvendor(tmp_path: Path, runs: dict[Any, Any]) -> None:
    fleet, _, _ = run(tmp_path, pricing__wholesale__kind="median")
    np.testing.assert_allclose(fleet["position_kwh"], runs["one_price", False][0]["position_kwh"], atol=1e-12)


def test_bids_that_an_exchange_would_not_take_are_counted_and_left_to_imbalance(
    tmp_path: Path, runs: dict[Any, Any]
) -> None:
    fleet, ledger, outcome = run(tmp_path, least_kw=100, tick_kw=100, intraday=INTRADAY)
    assert not fleet["position_kwh"].any()
    assert not fleet["intraday_kwh"].any()
    assert set(ledger["item"]) & {"day_ahead", "intraday"} == set()
    np.testing.assert_array_equal(fleet["imbalance_kwh"], fleet["net_kw"])
    plain = runs["both_sides", False][0]
    assert (outcome.counts[REFUSED], outcome.counts[BEYOND]) == ((plain["position_kwh"] != 0).sum(), 0)
    wanted_wh = 1000 * plain["position_kwh"].abs().sum()
    assert outcome.counts["Wh of wholesale bids refused or not filled"] == pytest.approx(wanted_wh, abs=1)


def test_sizes_are_rounded_to_the_exchange_s_ticks(tmp_path: Path, runs: dict[Any, Any]) -> None:
    plain = runs["both_sides", False][0]
    fleet, _, outcome = run(tmp_path / "tick", tick_kw=0.5, least_kw=1.0)
    wanted = plain["position_kwh"].to_numpy()
    lots = np.rint(wanted / 0.5) * 0.5
    np.testing.assert_allclose(fleet["position_kwh"], np.where(np.abs(lots) >= 1.0, lots, 0.0), atol=1e-9)
    taken = np.abs(lots) >= 1.0
    assert outcome.counts[REFUSED] == (~taken & (wanted != 0)).sum()
    rounded_wh = 1000 * np.abs(lots - wanted)[taken].sum()
    assert outcome.counts["Wh of wholesale bids rounded"] == pytest.approx(rounded_wh, abs=1)


def test_beyond_its_price_limits_the_auction_fills_nobody(tmp_path: Path, runs: dict[Any, Any]) -> None:
    plain = runs["both_sides", False][0]
    cap = float(plain["day_ahead_eur_per_kwh"].median())
    fleet, _, outcome = run(tmp_path / "cap", highest_eur_per_kwh=cap)
    buys, dear = plain["position_kwh"] > 0, plain["day_ahead_eur_per_kwh"] > cap
    assert (buys & dear).sum() == outcome.counts[BEYOND] > 0
    np.testing.assert_array_equal(fleet["position_kwh"], plain["position_kwh"].where(~(buys & dear), 0.0))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Keep what had been traded for each step of the run, tick by tick."""
    seen: list[np.ndarray] = []
    sound = BiddingDesk._bid

    def watching(self: BiddingDesk, step: int) -> None:
        sound(self, step)
        if step == 0:
            seen.clear()
        seen.append(self._world.intraday.read().traded_kwh.copy())

    monkeypatch.setattr(BiddingDesk, "_bid", watching)
    return seen


def traded_at(seen: list[np.ndarray]) -> np.ndarray:
    """Return for each tick (row) which steps of the run it traded (columns)."""
    return np.diff(np.array([np.zeros_like(seen[0]), *seen]), axis=0) != 0


@pytest.mark.parametrize(
    ("start", "step", "lead", "noon", "second_day"),
    [
        ("2017-03-12", "1h", "1h", 11, 23),  # the day has 23 hours, noon is its twelfth
        ("2016-11-06", "15min", "5min", 52, 100),
    ],
)
def test_with_every_forecast_a_step_is_traded_from_its_publication_until_its_gate(
    tmp_path: Path, watched: list[np.ndarray], start: str, step: str, lead: str, noon: int, second_day: int
) -> None:
    keys = {"clock__start": start, "clock__step": step, "clock__days": 2, "pricing__wholesale__scenarios": 20}
    risky = {"pricing__wholesale__kind": "cvar"}  # its bids are no newsvendor's, so that there is something to trade
    trades = INTRADAY | {"lead": lead, "trades": "every_forecast"}
    run(tmp_path, imbalance="two_prices", intraday=trades, **keys, **risky)
    changed, per_hour = traded_at(watched), 4 if step == "15min" else 1
    tick, delivery = np.nonzero(changed)
    closed = {"1h": 1, "5min": 0}[lead]  # at the start of an hour the next one begins in just an hour
    assert (delivery - tick > closed).all()
    assert (delivery - tick == closed + 1).any()
    assert tick[delivery >= second_day].min() == noon + per_hour  # bids at noon, prices an hour later
    assert set(tick % per_hour) == {0}  # forecasts come by the hour
    fleet = pd.read_parquet(tmp_path / "timeseries.parquet")
    dear = (fleet["short_eur_per_kwh"] > fleet["day_ahead_eur_per_kwh"]).to_numpy().reshape(-1, per_hour)
    assert (dear == dear[:, :1]).all()  # the system's state holds for an hour
    assert 0.2 < dear.mean() < 0.8
    assert changed.sum(axis=0).max() > 1


@pytest.mark.parametrize(
    ("every", "lead", "ahead"),
    [
        ("1h", "1h", {2}),  # an hour ahead it is too late, so that two hours ahead is the last chance
        ("1h", "30min", {1}),
        ("3h", "1h", {2, 3, 4}),  # the next forecast comes three hours later
    ],
)
def test_who_waits_trades_each_step_once_before_it_closes(
    tmp_path: Path, watched: list[np.ndarray], every: str, lead: str, ahead: set[int]
) -> None:
    run(tmp_path, intraday=INTRADAY | {"lead": lead}, forecasting__every=every, clock__days=2)
    tick, delivery = np.nonzero(traded_at(watched))
    assert set(delivery - tick) == ahead
    assert len(set(delivery)) == len(delivery) > 5


def with_other_prices_from(step: int) -> Callable[[Inputs], Inputs]:
    def change(inputs: Inputs) -> Inputs:
        price = inputs.wholesale_eur_per_kwh.copy()
        price[step + 24 :] = price[step + 24 :][::-1] * 4 - 0.1
        return replace(inputs, wholesale_eur_per_kwh=price)

    return change


def test_trades_know_no_price_before_its_publication(tmp_path: Path, watched: list[np.ndarray]) -> None:
    keys = {"clock__days": 2}
    found = []
    for name, change in (("as it was", as_it_is), ("other", with_other_prices_from(24))):
        run(tmp_path / name, change, intraday=INTRADAY | {"trades": "every_forecast"}, **keys)
        found.append(np.array(watched))
    before, after = found
    np.testing.assert_array_equal(before[:13], after[:13])
    assert (before[13:] != after[13:]).any()


def test_the_plain_retailer_does_not_trade_on() -> None:
    scenario = light_scenario(market__wholesale__intraday=INTRADAY, market__wholesale__imbalance="one_price")
    market = scenario.without_vpp().market
    assert market.wholesale.intraday is None
    assert market.wholesale.imbalance == "one_price"
    assert market.local.kind == "none"


def forged(change: Callable[[Any], Any], at: int) -> Callable[[BiddingDesk, int], None]:
    def bid(self: BiddingDesk, step: int) -> None:
        if step == at:
            self._write_intraday(change(self._world.intraday.read()))

    return bid


def late(known: Any) -> Any:
    traded = known.traded_kwh.copy()
    traded[6] += 1.0
    return replace(known, traded_kwh=traded)


def free(known: Any) -> Any:
    traded = known.traded_kwh.copy()
    traded[9] += 1.0
    return replace(known, traded_kwh=traded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (late, r"tick 5: intraday trade of step 6, which is closed is out of balance by 1 kWh"),
        (free, r"tick 9: intraday of (vpp|wholesale) is out of balance"),
    ],
)
def test_a_trade_that_is_late_or_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, message: str
) -> None:
    monkeypatch.setattr(BiddingDesk, "_bid", forged(change, 5))
    with pytest.raises(ConservationError, match=message):
        run(tmp_path, intraday=INTRADAY)


def test_a_trade_where_there_is_no_market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BiddingDesk, "_bid", forged(free, 5))
    with pytest.raises(ConservationError, match="tick 5: intraday trade of step 9, which is closed"):
        run(tmp_path, intraday=None)


@pytest.mark.parametrize("rule", RULES)
def test_an_imbalance_settled_by_another_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    sound = BalancingLaw.prices
    other = {"both_sides": "one_price", "two_prices": "both_sides", "one_price": "two_prices"}[rule]
    monkeypatch.setattr(BalancingLaw, "prices", lambda self, *a: sound(replace(self, rule=other), *a))
    with pytest.raises(ConservationError, match=r"imbalance of (vpp|wholesale) is out of balance"):
        run(tmp_path, imbalance=rule)


def test_a_run_says_by_which_rules_it_traded() -> None:
    def said(**market: object) -> dict[str, str]:
        scenario = light_scenario(**{f"market__wholesale__{key}": value for key, value in market.items()})
        return information(scenario, load_inputs(scenario), open_models(scenario))

    plain = said(intraday=None)
    assert plain["imbalance"].startswith("who is short pays the day-ahead price and 25 % of its size")
    assert plain["intraday trades"] == "none: whatever changes after the gate is imbalance"
    rich = said(imbalance="one_price", system_short_share=0.4, short_spread=0.5, intraday=INTRADAY | {"lead": "5min"})
    for part in ("leaning against the system earns", "probability 0.4", "50 % of its size, else 25 %", "no state"):
        assert part in rich["imbalance"], part
    for part in (
        "with the last forecast before a step closes",
        "auction is published",
        "more than 5min later",
        "0.0011 EUR/kWh",
    ):
        assert part in rich["intraday trades"], part
    assert "adds to the system's imbalance" in said(imbalance="two_prices")["imbalance"]
