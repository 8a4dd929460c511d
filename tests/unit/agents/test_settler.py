"""The chain's own time line: blocks at whole multiples of the block time, only while something is under way."""

from pathlib import Path

import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, int]]:
    folder: Path = tmp_path_factory.mktemp("settler")
    chain = {"every": "5h", "block_time": "7s", "confirmations": 2}
    outcome = simulate_in(folder, light_scenario(chain=chain))
    return pd.read_parquet(folder / "chain.parquet"), outcome.counts


def test_a_batch_is_submitted_as_its_period_ends(batches: tuple[pd.DataFrame, dict[str, int]]) -> None:
    table = batches[0]
    assert table["submitted_s"].tolist() == [h * 3600 for h in (5, 10, 15, 20, 24)]
    assert table["first_step"].tolist() == [0, 5, 10, 15, 20]
    assert table["last_step"].tolist() == [4, 9, 14, 19, 23]


def test_blocks_come_at_multiples_of_the_block_time(batches: tuple[pd.DataFrame, dict[str, int]]) -> None:
    """18000 s is no multiple of 7 s: the next block is at 18004 s; two more make the batch final at 18018 s."""
    table, counts = batches
    assert (table["mined_s"] % 7 == 0).all()
    assert table.loc[0, ["submitted_s", "mined_s", "confirmed_s"]].tolist() == [18000, 18004, 18018]
    assert counts["blocks mined"] == 3 * 5
    assert counts["settlement periods submitted"] == counts["settlement periods final"] == 5


def test_what_moved_on_chain_is_what_the_ledger_booked(tmp_path: Path) -> None:
    simulate_in(tmp_path, light_scenario(chain={"every": "24h"}))
    ledger = pd.read_parquet(tmp_path / "ledger.parquet").groupby("account")["amount_micro_eur"].sum()
    chain = pd.read_parquet(tmp_path / "chain.parquet")
    assert chain["moved_micro_eur"].tolist() == [ledger[ledger > 0].sum()]
    assert (chain["gas_used"] > 21_000).all()


def test_a_period_in_which_nothing_moved_has_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first two hours the ledger is made to book nothing: the first batch is that of period 2."""
    from vpp_sim.agents.ledger import Ledger

    sound = Ledger._settle

    def idle_at_first(self: Ledger, step: int) -> None:
        sound(self, step)
        if step < 2:
            settlement = self._world.settlement.read()
            for entry in settlement.entries_micro_eur.values():
                entry.setflags(write=True)
                entry[:] = 0
            for running in (settlement.balance_micro_eur, settlement.traded_wh):
                running.setflags(write=True)
                running[:] = 0

    monkeypatch.setattr(Ledger, "_settle", idle_at_first)
    monkeypatch.setattr("vpp_sim.agents.auditor.Auditor.audit", lambda self, step: None)  # it would object
    outcome = simulate_in(tmp_path, light_scenario(chain={"every": "1h"}))
    assert outcome.counts["settlement periods in which nothing moved"] == 2
    assert pd.read_parquet(tmp_path / "chain.parquet")["period"].tolist() == list(range(2, 24))


def test_every_batch_waits_for_a_block_after_its_own_second(tmp_path: Path) -> None:
    """With blocks on the hour, as periods end, each batch is in the block an hour later, the first like the others."""
    simulate_in(tmp_path, light_scenario(chain={"every": "1h", "block_time": "1h", "confirmations": 2}))
    table = pd.read_parquet(tmp_path / "chain.parquet")
    assert (table["mined_s"] - table["submitted_s"]).tolist() == [3600] * 24
    assert (table["confirmed_s"] - table["mined_s"]).tolist() == [7200] * 24
