"""What the scenario's ``chain`` section says is what its chain does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in

START_S = 1_499_065_200
"""2017-07-03 in Fontana."""


def settled(folder: Path, **chain: Any) -> pd.DataFrame:
    simulate_in(folder, light_scenario(chain={"backend": "revm", "every": "4h"} | chain))
    return pd.read_parquet(folder / "chain.parquet")


def test_gas_costs_what_the_scenario_says(tmp_path: Path) -> None:
    table = settled(tmp_path, gas_price_gwei=2.5, native_eur=1_000)
    assert table["gas_cost_eur"].tolist() == pytest.approx((table["gas_used"] * 2.5e-9 * 1_000).tolist())


def test_a_lost_transaction_is_sent_again_after_the_time_that_the_scenario_says(tmp_path: Path) -> None:
    table = settled(tmp_path, every="1h", resend_after="10min", faults={"dropped_share": 0.6})
    wait_s = table["mined_s"] - table["submitted_s"]
    assert set(wait_s.unique()) > {12}
    assert wait_s[wait_s > 12].min() > 600  # and so on, every 10 minutes and a block
    assert (wait_s[wait_s > 12] % 600 <= 12 * (wait_s[wait_s > 12] // 600 + 1)).all()


def test_blocks_at_random_times(tmp_path: Path) -> None:
    table = settled(tmp_path, block_times="exponential")
    assert (table["mined_s"] % 12 != 0).any()


def test_a_proof_waits_for_the_challenge_window(tmp_path: Path) -> None:
    table = settled(tmp_path, settlement="proof", challenge_window="2h")
    wait_s = table["mined_s"] - table["submitted_s"]
    assert wait_s.between(7_200, 7_200 + 3 * 12).all()
    assert (table["transactions"] == 2).all()


def test_homes_trade_directly_and_what_they_do_not_is_netted(tmp_path: Path) -> None:
    """A trade is two transactions, to open and to pay it; those of a period that are paid together share the latter."""
    table = settled(tmp_path, settlement="direct", challenge_window="30min")
    wait_s = table["mined_s"] - table["submitted_s"]
    assert wait_s.between(1_800, 1_800 + 3 * 12).all()
    trades = pd.read_parquet(tmp_path / "trades.parquet")
    per_period = (trades["step"] // 4).value_counts().reindex(table["period"], fill_value=0).to_numpy()
    assert per_period.sum() >= 5
    assert table["transactions"].tolist() == (1 + per_period + (per_period > 0)).tolist()
    events = pd.read_parquet(tmp_path / "events.parquet")
    opened = [json.loads(text)["trade"] for text in events.loc[events["event"] == "TradeOpened", "arguments"]]
    energy_wh, price = zip(*((trade[5], trade[7]) for trade in opened), strict=True)
    assert list(energy_wh) == (trades["energy_kwh"] * 1_000).round().astype(int).tolist()
    assert list(price) == (trades["price_eur_per_kwh"] * 1e6).round().astype(int).tolist()
    blocks = pd.read_parquet(tmp_path / "blocks.parquet").set_index("number")["timestamp_s"]
    opened_s = blocks[events.loc[events["event"] == "TradeOpened", "block"]].to_numpy()
    assert (opened_s - START_S - trades["step"].to_numpy() * 3_600 == 12).all()  # the block after each was agreed


def test_meters_count_what_was_fed_in_and_nothing_that_was_drawn(tmp_path: Path) -> None:
    settled(tmp_path, settlement="direct")
    homes = pd.read_parquet(tmp_path / "prosumers.parquet")
    events = pd.read_parquet(tmp_path / "events.parquet")
    read = events[events["event"] == "ReadingRecorded"]
    assert len(read) >= 2
    names = sorted(homes["home"].unique())
    for period, text in zip(read["period"], read["arguments"], strict=True):
        said = json.loads(text)
        home = names[int(said["meter"], 16) - 1]
        some = homes[(homes["home"] == home) & (homes["step"] // 4 == period)]
        fed_in_wh = (some["net_kw"].clip(upper=0) * 1_000).round().astype(int)
        assert int(said["energy"]) == fed_in_wh.sum() < 0


def test_a_chain_too_slow_for_the_last_trades_nets_them(tmp_path: Path) -> None:
    """Blocks are on the hour, as periods end, so that no trade of a period's last hour is on the chain in time."""
    table = settled(tmp_path, settlement="direct", block_time="1h", confirmations=1)
    trades = pd.read_parquet(tmp_path / "trades.parquet")
    late = trades["step"] % 4 == 3
    assert 0 < late.sum() < len(trades)
    events = pd.read_parquet(tmp_path / "events.parquet")["event"]
    assert (events == "TradeOpened").sum() == (events == "TradeSettled").sum() == (~late).sum()
    assert table["period"].tolist() == list(range(6))


def test_homes_see_what_is_final_and_nothing_else(tmp_path: Path) -> None:
    """A period ends with its hour and is final 48 s later, so in each hour all but it and the one before are paid."""
    settled(tmp_path, every="1h")
    homes = pd.read_parquet(tmp_path / "prosumers.parquet")
    owed_eur = homes.pivot_table(index="step", columns="home", values="cost_eur", observed=True).cumsum()
    paid_eur = homes.pivot_table(index="step", columns="home", values="paid_eur", observed=True)
    np.testing.assert_allclose(paid_eur[2:], owed_eur[:-2], atol=1e-9)
    assert (paid_eur[:2] == 0).all(axis=None)


def test_off_chain_nothing_is_known_to_be_paid(tmp_path: Path) -> None:
    simulate_in(tmp_path, light_scenario())
    assert pd.read_parquet(tmp_path / "prosumers.parquet")["paid_eur"].isna().all()


@pytest.mark.parametrize(
    ("settlement", "down"), [("netted", ["4h", "12h"]), ("proof", ["4h", "12h"]), ("direct", ["5h", "13h"])]
)
def test_a_chain_that_misbehaves_moves_the_same_money(tmp_path: Path, settlement: str, down: list[str]) -> None:
    """The node is down twice, when a period is to be paid, which with direct trades is an hour after its end."""
    faults = {
        "dropped_share": 0.2,
        "delayed_share": 0.2,
        "fee_spikes": {"per_day": 10, "factor": 300},
        "outages": {"at": down, "lasts": "1h"},
        "reorganisations": {"per_day": 2_000, "at": ["8h"], "depth": 5},
    }
    tables = [
        settled(tmp_path / name, settlement=settlement, **options)
        for name, options in (("calm", {}), ("rough", {"faults": faults, "block_times": "exponential"}))
    ]
    same = ["period", "accounts", "moved_micro_eur"]
    pd.testing.assert_frame_equal(tables[1][same], tables[0][same])
    assert tables[1]["confirmed_s"].sum() > tables[0]["confirmed_s"].sum() + 2 * 3_600 - 1  # two hours of outage
