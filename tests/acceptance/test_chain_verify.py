"""A run's own chain is replayed and proven again, whatever settled it and whatever went wrong on the way."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.nodes import running
from vpp_sim.cli import main
from vpp_sim.runs.catalogue import Catalogue
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.frames import write_frame

BASE = Path(__file__).parents[2] / "scenarios" / "base" / "california.yaml"
SCENARIO = f"""\
name: toy
extends: {BASE}
clock: {{start: 2017-07-03, days: 1}}
prosumers:
  - group: homes
    data: {{kind: fontana, homes: [1, 2, 3, 4, 5]}}
forecasting: {{demand: {{kind: seasonal_naive}}, solar: {{kind: seasonal_naive}}}}
ess: {{kind: self_consumption}}
chain: {{every: 2h, confirmations: 2}}
"""
FAULTS = """\
chain.faults={dropped_share: 0.2, delayed_share: 0.2, outages: {at: [4h]}, fee_spikes: {at: [7h]},
reorganisations: {at: [2h, 5h, 9h], depth: 3}}"""
CASES = {
    "netted on py-evm": ("chain.settlement=netted", "chain.backend=eth_tester"),
    "direct with faults": ("chain.settlement=direct", "chain.backend=revm", FAULTS.replace("\n", " ")),
    "proof with faults": ("chain.settlement=proof", "chain.backend=revm", FAULTS.replace("\n", " ")),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run each case once."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "toy.yaml").write_text(SCENARIO)
    for settings in CASES.values():
        options = [text for setting in settings for text in ("--set", setting)]
        assert main(["run", str(folder / "toy.yaml"), "--no-report", "-q", "--results", str(folder), *options]) == 0
    return folder


@pytest.fixture
def runs(results: Path) -> dict[str, RunFolder]:
    records = sorted(Catalogue(results).list(), key=lambda record: record.path.stat().st_mtime_ns)
    return {case: RunFolder.open(record.path) for case, record in zip(CASES, records, strict=True)}


def verify(folder: RunFolder, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    status = main(["chain", "verify", str(folder.path), "--results", str(folder.path.parents[1]), *options])
    out, err = capsys.readouterr()
    assert err == ""
    return status, [" ".join(line.split()) for line in out.splitlines() if line.strip()]


@pytest.mark.parametrize("case", CASES)
def test_a_finished_run_is_verified(runs: dict[str, RunFolder], case: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = runs[case]
    status, lines = verify(folder, capsys)
    assert (status, lines[-1]) == (0, "verified")
    periods = len(folder.table("chain"))
    assert periods == 12
    netted, roots = (0, periods) if "proof" in case else (periods, 0)
    assert f"netted periods proven {netted}" in lines
    assert f"Merkle roots proven {roots}" in lines
    assert "accounts reconciled 8 of 8" in lines
    trades = folder.table("trades")
    assert f"trades under them {0 if netted else (trades['delivered_kwh'] >= 0.001).sum()}" in lines
    events = folder.table("events")["event"]
    assert f"direct trades proven {(events == 'TradeSettled').sum()}" in lines
    assert (events == "TradeOpened").any() == ("direct" in case)
    blocks = folder.table("blocks")
    assert blocks["canonical"].all() == ("faults" not in case)
    assert f"blocks replayed {blocks['canonical'].sum()}" in lines


def test_the_event_log_tells_what_every_account_was_paid(runs: dict[str, RunFolder]) -> None:
    folder = runs["proof with faults"]
    events = folder.table("events")
    claims = events[events["event"] == "LineClaimed"]
    paid = claims["arguments"].map(lambda text: json.loads(text)["amount"]).astype("int64")
    claimed = paid.groupby(claims["account"].astype(str)).sum()
    booked = folder.table("ledger").groupby("account", observed=True)["amount_micro_eur"].sum()
    assert claimed.to_dict() == booked[booked != 0].to_dict()


def test_a_payment_that_is_changed_afterwards_is_named(
    runs: dict[str, RunFolder], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    original = runs["netted on py-evm"]
    changed = RunFolder(Path(shutil.copytree(original.path, tmp_path / "toy" / original.path.name)))
    ledger = changed.table("ledger")
    ledger.loc[0, "amount_micro_eur"] += 1
    write_frame(ledger, changed.path, "ledger")
    status, lines = verify(changed, capsys)
    account = ledger.loc[0, "account"]
    assert status == 1
    assert any(line.startswith(f"period 0, {account}: the amount in the batch [micro-euro] is ") for line in lines)
    assert any(line.startswith(f"{account}: its balance on chain [micro-euro] is ") for line in lines)
    assert "verified" not in lines


def test_a_run_is_verified_on_the_other_evm(runs: dict[str, RunFolder], capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = verify(runs["netted on py-evm"], capsys, "--backend", "revm")
    assert (status, lines[-1]) == (0, "verified (block hashes are not comparable on this backend)")


@pytest.mark.slow
@pytest.mark.parametrize("settlement", ["netted", "proof", "direct"])
def test_a_run_on_a_node_is_verified_on_revm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settlement: str
) -> None:
    (tmp_path / "toy.yaml").write_text(SCENARIO)
    with running("anvil", 1_499_000_000) as url:
        chain = f"chain={{backend: rpc, url: {url}, keys: development, settlement: {settlement}}}"
        options = ("--no-report", "-q", "--results", str(tmp_path), "--set", chain)
        assert main(["run", str(tmp_path / "toy.yaml"), *options]) == 0
    capsys.readouterr()
    (record,) = Catalogue(tmp_path).list()
    folder = RunFolder.open(record.path)
    status, lines = verify(folder, capsys)
    assert (status, lines[-1]) == (0, "verified (block hashes are not comparable on this backend)")
    transactions = folder.table("transactions")
    transactions["gas_used"] += 1
    write_frame(transactions, folder.path, "transactions")
    status, lines = verify(folder, capsys)
    assert status == 1
    assert any("its gas is" in line for line in lines)
