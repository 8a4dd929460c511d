"""What the scenario's ``chain`` section says is what its chain does."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in


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


@pytest.mark.parametrize("settlement", ["netted", "proof"])
def test_a_chain_that_misbehaves_moves_the_same_money(tmp_path: Path, settlement: str) -> None:
    faults = {
        "dropped_share": 0.2,
        "delayed_share": 0.2,
        "fee_spikes": {"per_day": 10, "factor": 300},
        "outages": {"at": ["4h", "12h"], "lasts": "1h"},
        "reorganisations": {"per_day": 2_000, "at": ["8h"], "depth": 5},
    }
    tables = [
        settled(tmp_path / name, settlement=settlement, **options)
        for name, options in (("calm", {}), ("rough", {"faults": faults, "block_times": "exponential"}))
    ]
    same = ["period", "accounts", "moved_micro_eur"]
    pd.testing.assert_frame_equal(tables[1][same], tables[0][same])
    assert tables[1]["confirmed_s"].sum() > tables[0]["confirmed_s"].sum() + 2 * 3_600 - 1  # two hours of outage
