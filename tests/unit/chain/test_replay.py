"""Replay and proof: what was recorded is found again, and whatever is changed afterwards is named."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.chain_runs import GENESIS_S, NAMES, SettledRun, open_run, settled_run
from vpp_sim.chain.journal import JournaledChain
from vpp_sim.chain.proofs import Proven, prove
from vpp_sim.chain.protocol import Block, Transaction
from vpp_sim.chain.replay import Replay, replay
from vpp_sim.chain.stand_in import NodeStandIn
from vpp_sim.chain.wallet import Wallet
from vpp_sim.errors import ChainError


@pytest.fixture(scope="module")
def settled() -> SettledRun:
    return settled_run()


@pytest.fixture
def run(settled: SettledRun) -> SettledRun:
    return replace(
        settled, columns=copy.deepcopy(settled.columns), ledger=list(settled.ledger), trades=list(settled.trades)
    )


def replayed(run: SettledRun, **options: str) -> Replay:
    return replay(run.record(), *run.rows(), **options)


def proven(run: SettledRun) -> Proven:
    found = replayed(run)
    assert found.complete, found.differences
    assert not found.differences
    return prove(found, run.record(), run.booked())


def said(found: Replay | Proven) -> list[str]:
    return [str(difference) for difference in found.differences]


@pytest.mark.parametrize("made_on", ["revm", "eth_tester"])
@pytest.mark.parametrize("played_on", ["revm", "eth_tester"])
def test_a_run_is_found_again_on_either_evm(made_on: str, played_on: str) -> None:
    run = settled_run(made_on, kinds="np")
    found = replayed(run, backend=played_on)
    assert said(found) == []
    assert found.complete
    assert found.same_evm == (made_on == played_on)
    assert found.blocks == run.journal.block_number
    assert found.transactions == len(run.columns["transactions"]["hash"])
    assert found.events == len(run.columns["events"]["log"])
    assert found.gas_used == sum(run.columns["blocks"]["gas_used"])
    proofs = prove(found, run.record(), run.booked())
    assert (proofs.netted, proofs.proof, proofs.trades, proofs.accounts) == (1, 1, 3, len(NAMES))
    assert proofs.differences == ()


def test_what_a_reorganisation_undid_is_passed_over() -> None:
    run = open_run()
    run.book(0, np.random.default_rng(5))
    run.sleep_until_end_of(0)
    token = run.journal.snapshot()
    run.settle_netted(0)
    run.journal.restore(token)
    run.journal.mine(run.journal.timestamp_s + 7)
    run.settle_netted(0)
    run.flush()
    assert run.columns["blocks"]["canonical"].count(False) == 1
    found = replayed(run)
    assert (said(found), found.complete) == ([], True)
    assert prove(found, run.record(), run.booked()).netted == 1


def test_a_failed_transaction_is_replayed_too() -> None:
    run = open_run()
    run.market.market.submit(run.market.operator, 100_000, "withdraw", 5)  # the operator is no member
    assert not run.journal.mine(run.journal.timestamp_s + 12).receipts[0].succeeded
    run.flush()
    found = replayed(run)
    assert (said(found), found.complete, run.columns["transactions"]["succeeded"][-1]) == ([], True, False)


class Node(NodeStandIn):
    """Plays a node: another chain id, base fees of its own, and accounts that have sent before."""

    def __init__(self) -> None:
        wallet = Wallet.of_seed(7, accounts=6)
        super().__init__(31_337, dict.fromkeys(wallet.addresses, 17), genesis_timestamp_s=GENESIS_S)
        self._wallet = wallet

    def mine(self, timestamp_s: int) -> Block:
        self.follow(5_000_000_000 - 1_000 * self.block_number)
        return super().mine(timestamp_s)


def test_a_run_on_a_node_is_replayed_on_revm() -> None:
    run = settled_run("rpc", Node(), kinds="np")
    assert run.columns["transactions"]["nonce"][0] == 17
    found = replayed(run)
    assert (said(found), found.complete, found.same_evm) == ([], True, False)
    assert found.chain.chain_id == 31_337
    proofs = prove(found, run.record(), run.booked())
    assert (proofs.netted, proofs.proof, proofs.accounts, said(proofs)) == (1, 1, len(NAMES), [])
    run.columns["transactions"]["gas_used"][-1] += 1
    assert "its gas is" in said(replayed(run))[0]
    with pytest.raises(ChainError, match="a run on a node is replayed on revm"):
        replayed(run, backend="eth_tester")


def test_an_unknown_backend_is_refused(run: SettledRun) -> None:
    with pytest.raises(ChainError, match="cannot replay on 'rpc'; there are eth_tester, revm"):
        replayed(run, backend="rpc")


def flip(text: str, at: int) -> str:
    """Return hexadecimal digits with one bit of one byte turned over."""
    raw = bytearray(bytes.fromhex(text))
    raw[at] ^= 1
    return raw.hex()


def change(table: str, column: str, at: int, value: Callable[[object], object]) -> Callable[[SettledRun], None]:
    def tamper(run: SettledRun) -> None:
        values = run.columns[table][column]
        values[at] = value(values[at])

    return tamper


def drop(table: str, at: int) -> Callable[[SettledRun], None]:
    def tamper(run: SettledRun) -> None:
        for values in run.columns[table].values():
            del values[at]

    return tamper


LAST = "block 19, transaction 0"
CLAIM = rf"{LAST}, event 3 \(LineClaimed\)"
IN_TRANSACTIONS = {
    "hash": (3, lambda _: "0x00", r"block 4, transaction 0: the hash of its bytes is 0x.*, recorded 0x00"),
    "gas_used": (-1, lambda gas: gas + 1, rf"{LAST}: its gas is \d+, recorded \d+"),
    "succeeded": (-1, lambda _: False, f"{LAST}: its success is True, recorded False"),
    "sender": (0, lambda _: "0x11", "block 1, transaction 0: its sender is 0x.*, recorded 0x11"),
    "nonce": (0, lambda _: 5, "block 1, transaction 0: its nonce is 0, recorded 5"),
    "to": (0, lambda _: "0x11", "block 1, transaction 0: whom it calls is , recorded 0x11"),
    "contract": (0, lambda _: "0x11", "block 1, transaction 0: the contract it created is 0x.*, recorded 0x11"),
    "block": (-1, lambda _: 77, "block 19: the number of its transactions is 0, recorded 1"),
    "position": (-1, lambda _: 1, "block 19, transaction 1: the number of its events is 4, recorded 0"),
    "canonical": (-1, lambda _: False, "block 19: the number of its transactions is 0, recorded 1"),
}
IN_BLOCKS = {
    "hash": (9, lambda _: "0x00", "block 10: its hash is 0x.*, recorded 0x00"),
    "parent_hash": (9, lambda _: "0x00", "block 10: the hash before it is 0x.*, recorded 0x00"),
    "gas_used": (9, lambda gas: gas + 1, r"block 10: its gas is \d+, recorded \d+"),
    "base_fee_wei": (9, lambda fee: fee + 1, r"block 10: its base fee is \d+, recorded \d+"),
    "timestamp_s": (-1, lambda time_s: time_s + 1, "block 19: its hash is"),
    "canonical": (4, lambda _: False, "block 5: the next block is missing, recorded as 6"),
    "number": (4, lambda _: 9, "block 5: the next block is missing, recorded as 9"),
    "transactions": (0, lambda _: 2, "block 1: the number of its transactions is 1, recorded 2"),
}
IN_EVENTS = {
    "arguments": (-1, lambda text: text.replace(":3", ":2", 1), f"{CLAIM}: arguments is"),
    "account": (-1, lambda _: "vpp", f"{CLAIM}: account is wholesale, recorded vpp"),
    "period": (-1, lambda _: 2, f"{CLAIM}: period is 3, recorded 2"),
    "event": (-1, lambda _: "Withdrawn", f"{CLAIM}: event is LineClaimed, recorded Withdrawn"),
    "contract": (-1, lambda _: "X", f"{CLAIM}: contract is EnergyMarket, recorded X"),
    "log": (-1, lambda _: 7, f"{CLAIM}: log is 3, recorded 7"),
    "block": (-1, lambda _: 99, "block 99, transaction 0: the transaction of an event is missing"),
    "position": (-1, lambda _: 9, "block 19, transaction 9: the transaction of an event is missing"),
}
CHANGES = {
    f"{table}.{column}": (change(table, column, at, value), named)
    for table, columns in (("transactions", IN_TRANSACTIONS), ("blocks", IN_BLOCKS), ("events", IN_EVENTS))
    for column, (at, value, named) in columns.items()
}
RAW = {
    "last byte": (change("transactions", "raw", -1, lambda raw: flip(raw, -1)), f"{LAST}: the hash of its bytes is"),
    "first byte": (
        change("transactions", "raw", -1, lambda raw: flip(raw, 0)),
        f"{LAST}: what became of it is .*type 2",
    ),
    "no bytes": (change("transactions", "raw", 5, lambda raw: raw[1:]), "what became of it is non-hexadecimal"),
    "time": (change("blocks", "timestamp_s", 10, lambda time_s: time_s - 10**6), "block 11: its time is block time"),
    "no transaction": (drop("transactions", 4), "block 4: the number of its transactions is 1, recorded 2"),
    "no block": (drop("blocks", 6), "block 7: the next block is missing, recorded as 8"),
    "no first block": (drop("blocks", 0), "block 1: the next block is missing, recorded as 2"),
    "no last block": (drop("blocks", -1), "block 19: the block of a transaction is missing"),
    "no event": (drop("events", -1), f"{LAST}: the number of its events is 4, recorded 3"),
}


def test_each_column_is_compared(run: SettledRun) -> None:
    assert set(CHANGES) | {"transactions.raw"} == {
        f"{table}.{column}" for table, columns in run.columns.items() for column in columns
    }


@pytest.mark.parametrize(("tamper", "named"), (CHANGES | RAW).values(), ids=CHANGES | RAW)
def test_whatever_is_changed_in_the_tables_is_named(
    run: SettledRun, tamper: Callable[[SettledRun], None], named: str
) -> None:
    tamper(run)
    found = replayed(run)
    assert any(re.search(named, line) for line in said(found)), said(found)


def test_a_record_that_is_changed_is_named(run: SettledRun) -> None:
    record = run.record()
    for changed in (replace(record, last_block=99), replace(record, last_hash="0x00")):
        found = replay(changed, *run.rows())
        assert not found.complete
        assert said(found)[-1].startswith(f"the chain: the last block is 19 {record.last_hash}, recorded ")
    found = replay(record, [], [], [])
    assert said(found) == [f"the chain: the number of blocks is 0, recorded 19 {record.last_hash}"]
    other_keys = replay(replace(record, seed=8), *run.rows())
    assert "insufficient funds" in said(other_keys)[0]


def book(change_of: int, at: int = 5) -> Callable[[SettledRun], None]:
    def tamper(run: SettledRun) -> None:
        step, account, amount = run.ledger[at]
        run.ledger[at] = (step, account, amount + change_of)

    return tamper


def trade(at: int, column: int) -> Callable[[SettledRun], None]:
    def tamper(run: SettledRun) -> None:
        step, line = run.trades[at]
        run.trades[at] = (step, tuple(value + (k == column) for k, value in enumerate(line)))

    return tamper


BOOKED = {
    "netted amount": (
        book(1),
        [r"period 0, homes/home_2: the amount in the batch \[micro-euro\] is -?\d+, recorded -?\d+ in the ledger",
         r"homes/home_2: its balance on chain \[micro-euro\] is \d+, recorded \d+ in the ledger"],
    ),
    "proven amount": (
        book(-1, at=-1),
        ["period 3: its Merkle root is [0-9a-f]{64}, recorded [0-9a-f]{64} by the ledger", "wholesale: its balance"],
    ),
    "netted energy": (
        trade(0, 2),
        [r"period 0, homes/home_1: the traded energy in the batch \[Wh\]", "period 0, homes/home_2: the traded energy",
         r"homes/home_1: its traded energy on chain", "homes/home_2: its traded energy on chain"],
    ),
    "price": (trade(-1, 3), ["period 3: its Merkle root is"]),
    "no trade": (
        lambda run: run.trades.pop(),
        ["period 3: its Merkle root is", "homes/home_1: its traded energy", "homes/home_2: its traded energy"],
    ),
    "another period": (
        lambda run: run.ledger.append((16, 0, 7)),
        ["period 4: its settlement is missing, recorded amounts in the ledger", "homes/home_1: its balance on chain"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "named"), BOOKED.values(), ids=BOOKED)
def test_whatever_is_changed_in_the_ledger_is_named(
    run: SettledRun, tamper: Callable[[SettledRun], object], named: list[str]
) -> None:
    tamper(run)
    lines = said(proven(run))
    assert len(lines) == len(named), lines
    assert all(re.match(pattern, line) for pattern, line in zip(sorted(named), sorted(lines), strict=True)), lines


def test_the_unchanged_run_is_proven(run: SettledRun) -> None:
    found = proven(run)
    assert (found.netted, found.proof, found.trades, found.accounts, found.differences) == (2, 2, 6, len(NAMES), ())


def test_currency_that_nobody_owns_is_named() -> None:
    run = settled_run(kinds="n")
    run.market.currency.submit(run.market.operator, 200_000, "mint", run.market.market.address, 9)
    run.mine_at(run.journal.timestamp_s + 12)
    run.flush()
    (line,) = said(proven(run))
    assert line.startswith("the escrow: the currency that it holds [micro-euro] is 41000009, recorded 41000000 as what")


def test_a_voided_root_does_not_count_and_the_period_may_settle_again() -> None:
    run = open_run()
    market, operator = run.market.market, run.market.operator
    run.book(0, np.random.default_rng(5))
    run.sleep_until_end_of(0)
    market.submit(operator, 1_000_000, "postRoot", 0, b"\1" * 32)
    run.mine_at(run.journal.timestamp_s + 12)
    run.flush()
    found = replayed(run)
    assert found.settlements.roots == {0: b"\1" * 32}
    lines = said(prove(found, run.record(), run.booked()))
    assert lines[0].startswith(f"period 0: its Merkle root is {'01' * 32}, recorded ")


def test_a_market_must_be_where_the_record_says() -> None:
    run = settled_run(kinds="n")
    record = run.record()
    record = replace(record, contracts=record.contracts | {"market": run.market.operator})
    with pytest.raises(ChainError, match="no energy market at"):
        prove(replay(record, *run.rows()), record, run.booked())


def test_periods_are_whole_ticks() -> None:
    run = settled_run(kinds="n")
    record = replace(run.record(), step_s=700)
    with pytest.raises(ChainError, match="periods of 3600 s are no multiple of ticks of 700 s"):
        prove(replay(record, *run.rows()), record, run.booked())


def test_the_stand_in_keeps_the_nodes_number_and_nonces() -> None:
    chain = NodeStandIn(5, {"0x" + "22" * 20: 9}, genesis_timestamp_s=100)
    assert (chain.chain_id, chain.nonce("0x" + "22" * 20), chain.nonce(chain.accounts[0])) == (5, 9, 0)
    chain.follow(17)
    assert (chain.base_fee_wei, chain.mine(101).base_fee_wei, chain.base_fee_wei) == (17, 17, 17)
    assert isinstance(JournaledChain(chain).sign(Transaction(chain.accounts[0], None, b"", 60_000)).chain_id, int)
