"""``chain verify`` over folders of runs: what it prints, and how it ends."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.support.chain_runs import settled_run, write_chain_run
from tests.support.run_tables import run_data, write_run
from vpp_sim.cli import main
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.frames import write_frame


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return results with one run that settled two periods netted and two by proof."""
    results = tmp_path_factory.mktemp("finished")
    write_chain_run(results, settled_run())
    return results


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "results"))


def folder_of(results: Path) -> Path:
    (found,) = (path for path in (results / "made_up").iterdir())
    return found


def verify(results: Path, *options: str) -> int:
    return main(["chain", "verify", "latest", "--results", str(results), *options])


def edit(results: Path, table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = folder_of(results)
    write_frame(change(RunFolder.open(path).table(table)), path, table)


def test_a_run_is_verified(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(results) == 0
    out, err = capsys.readouterr()
    rows = [re.split(r"  +", line.strip()) for line in out.splitlines() if line.strip()]
    assert err == ""
    assert rows[-1] == ["verified"]
    gas = RunFolder.open(folder_of(results)).table("blocks")["gas_used"].sum()
    assert rows[2:-2] == [
        ["blocks replayed", "19"], ["transactions", "21"], ["events", "38"], ["gas", str(gas)],
        ["netted periods proven", "2"], ["Merkle roots proven", "2"], ["trades under them", "6"],
        ["direct trades proven", "0"],
        ["accounts reconciled", "4 of 4"],
    ]  # fmt: skip
    assert rows[-2][0] == "seconds"


def test_a_run_is_verified_on_the_other_evm(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(results, "--backend", "eth_tester") == 0
    assert capsys.readouterr().out.splitlines()[-1] == ("verified (block hashes are not comparable on this backend)")


def flip_last_byte(transactions: pd.DataFrame) -> pd.DataFrame:
    raw = transactions["raw"].tolist()
    raw[-1] = raw[-1][:-2] + f"{int(raw[-1][-2:], 16) ^ 1:02x}"
    return transactions.assign(raw=raw)


def pay_one_more(ledger: pd.DataFrame) -> pd.DataFrame:
    amount = ledger["amount_micro_eur"].copy()
    amount.iloc[0] += 1
    return ledger.assign(amount_micro_eur=amount)


def claim_another_amount(events: pd.DataFrame) -> pd.DataFrame:
    texts = events["arguments"].tolist()
    texts[-1] = texts[-1].replace('"amount":', '"amount":1')
    return events.assign(arguments=texts)


@pytest.mark.parametrize(
    ("table", "change", "named"),
    [
        ("transactions", flip_last_byte, "block 19, transaction 0: the hash of its bytes is "),
        ("ledger", pay_one_more, "period 0, homes/home_1: the amount in the batch [micro-euro] is "),
        ("events", claim_another_amount, "block 19, transaction 0, event 3 (LineClaimed): arguments is "),
        ("blocks", lambda blocks: blocks.drop(index=6), "block 7: the next block is missing, recorded as 8"),
        ("chain", lambda chain: chain.assign(block=chain["block"] + 1), "period 0: the block of its transaction 0x"),
        ("trades", lambda trades: trades.iloc[:-1], "period 3: its Merkle root is "),
    ],
)
def test_tampering_is_named_and_exits_1(
    results: Path,
    capsys: pytest.CaptureFixture[str],
    table: str,
    change,
    named: str,  # type: ignore[no-untyped-def]
) -> None:
    edit(results, table, change)
    assert verify(results) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(named) for line in lines), lines
    assert not any(line.startswith("verified") for line in lines)


def test_a_replay_that_stops_proves_nothing_and_says_so(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(results, "transactions", flip_last_byte)
    assert verify(results) == 1
    out = capsys.readouterr().out
    assert out.endswith("the replay did not come to the end, so nothing is proven against the ledger\n")
    assert "accounts reconciled" not in out


def test_of_many_differences_the_first_are_printed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(results, "transactions", lambda rows: rows.assign(gas_used=rows["gas_used"] + 1, sender="0x11"))
    assert verify(results) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("block ") for line in lines if "transaction " in line) == 20
    assert lines[-1] == "and 22 more differences"


def test_a_run_without_a_chain_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path, run_data(homes=2, days=1))
    assert main(["chain", "verify", "latest", "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {folder.path}: this run has no chain to verify (it has no chain.json)\n"
    )


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda path: (path / "blocks.parquet").unlink(), "blocks.parquet: cannot be read as a table of a run: "),
        (lambda path: (path / "chain.json").write_text("{}"), "chain.json: not a record of a chain of version 1"),
        (
            lambda path: (path / "chain.json").write_text(
                (path / "chain.json").read_text().replace("homes/home_1", "homes/home_9")
            ),
            "accounts that the chain does not know: homes/home_1",
        ),
    ],
    ids=["no table", "no record", "other names"],
)
def test_a_folder_that_lacks_something_is_a_mistake(
    results: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], complaint: str
) -> None:
    spoil(folder_of(results))
    assert verify(results) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err


def test_an_unknown_backend_and_an_unknown_run_are_mistakes(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(results, "--backend", "anvil") == 2
    assert capsys.readouterr().err == "error: --backend anvil: expected revm or eth_tester\n"
    assert main(["chain", "verify", "nothing", "--results", str(results)]) == 2
    assert "nothing" in capsys.readouterr().err


def test_a_run_on_a_node_is_replayed_on_revm_alone(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder_of(results) / "chain.json"
    path.write_text(path.read_text().replace('"backend": "revm"', '"backend": "rpc"'))
    assert verify(results, "--backend", "eth_tester") == 2
    assert capsys.readouterr().err == (
        "error: this run was on a node, and is replayed on revm alone, not on eth_tester\n"
    )
    assert verify(results) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "verified (block hashes are not comparable on this backend)"
