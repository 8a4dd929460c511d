"""The journal: what it keeps of a chain, what a reorganisation does to it, and the rows that are made of it."""

import json
from dataclasses import fields

import pytest

from tests.support.chain_runs import DEPOSIT, NAMES, open_run, settled_run
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.event_log import EventLog
from vpp_sim.chain.journal import JournaledChain
from vpp_sim.chain.protocol import Chain, Fees, Log, Receipt, Transaction, TransactionRefusedError
from vpp_sim.chain.record import BlockRow, ChainRecord, EventRow, TransactionRow, rows_from, to_columns
from vpp_sim.chain.revm import RevmChain
from vpp_sim.errors import ChainError, DataError
from vpp_sim.runs.tables import TABLES

GENESIS_S = 1_000


@pytest.fixture(params=[RevmChain, EthTesterChain])
def chain(request: pytest.FixtureRequest) -> JournaledChain:
    return JournaledChain(request.param(accounts=2, seed=7, genesis_timestamp_s=GENESIS_S))


def payment(chain: Chain, value_wei: int = 1) -> Transaction:
    return Transaction(chain.accounts[0], chain.accounts[1], b"", 21_000, value_wei)


def numbers(journal: JournaledChain, before: int | None = None) -> list[tuple[int, bool]]:
    return [(mined.block.number, mined.canonical) for mined in journal.take(before)]


def test_it_is_a_chain_and_changes_nothing(chain: JournaledChain) -> None:
    assert isinstance(chain, Chain)
    bare = type(chain.inner)(accounts=2, seed=7, genesis_timestamp_s=GENESIS_S)
    for each in (chain, bare):
        each.submit(payment(each))
        each.send(each.sign(payment(each, 5)).raw)
    assert chain.pending == bare.pending == 2
    block = bare.mine(1_012)
    assert chain.mine(1_012) == block
    assert chain.receipt(block.receipts[1].transaction) == block.receipts[1]
    assert (chain.nonce(chain.accounts[0]), chain.native_balance_wei(chain.accounts[1])) == (2, 10**24 + 6)
    assert (chain.block_number, chain.timestamp_s, chain.base_fee_wei) == (1, 1_012, bare.base_fee_wei)
    assert (chain.accounts, chain.chain_id, chain.block_gas_limit) == (
        bare.accounts,
        bare.chain_id,
        bare.block_gas_limit,
    )
    assert chain.wallet.addresses == bare.accounts
    assert chain.suggested_fees() == bare.suggested_fees()


def test_it_keeps_the_signed_bytes_of_what_was_mined(chain: JournaledChain) -> None:
    first = chain.sign(payment(chain))
    chain.send(first.raw)
    chain.mine(1_012)
    stranger = type(chain.inner)(accounts=2, seed=7, genesis_timestamp_s=GENESIS_S)
    foreign = stranger.sign(payment(chain, 9), nonce=1)  # signed elsewhere, as by an earlier process
    chain.send(foreign.raw)
    chain.mine(1_024)
    chain.mine(1_036)
    one, two, three = chain.take()
    assert [position for position, _ in one.transactions] == [0]
    assert one.transactions[0][1].raw == first.raw
    assert two.transactions[0][1] == foreign
    assert three.transactions == ()
    assert (len(chain), chain.last_hash) == (0, three.block.hash)


def test_of_a_transaction_and_its_replacement_the_mined_one_is_kept(chain: JournaledChain) -> None:
    chain.send(chain.sign(payment(chain), nonce=0, fees=Fees(10**10, 10)).raw)
    dearer = chain.sign(payment(chain), nonce=0, fees=Fees(2 * 10**10, 20))
    chain.send(dearer.raw)
    chain.mine(1_012)
    (mined,) = chain.take()
    assert [signed.raw for _, signed in mined.transactions] == [dearer.raw]


def test_a_refused_transaction_is_not_kept(chain: JournaledChain) -> None:
    with pytest.raises(TransactionRefusedError, match=r"nonce 5 .* is too high"):
        chain.send(chain.sign(payment(chain), nonce=5).raw)
    chain.mine(1_012)
    assert chain.take()[0].transactions == ()


def test_what_was_never_mined_is_forgotten_some_day(monkeypatch: pytest.MonkeyPatch, chain: JournaledChain) -> None:
    monkeypatch.setattr("vpp_sim.chain.journal._REMEMBERED_TRANSACTIONS", 3)
    for value_wei in range(10):
        chain.sign(payment(chain, value_wei))
    assert len(chain._known) == 3


def test_a_reorganisation_marks_what_it_undid(chain: JournaledChain) -> None:
    chain.mine(1_012)
    token = chain.snapshot()
    sent = chain.sign(payment(chain))
    chain.send(sent.raw)
    for time_s in (1_024, 1_036):
        chain.mine(time_s)
    undone = chain.last_hash
    chain.restore(token)
    chain.send(sent.raw)
    for time_s in (1_025, 1_037):
        chain.mine(time_s)
    assert chain.orphaned == 2
    assert chain.last_hash not in {undone, ""}
    mined = chain.take()
    assert [(found.block.number, found.canonical) for found in mined] == [
        (1, True), (2, False), (3, False), (2, True), (3, True),
    ]  # fmt: skip
    assert mined[1].transactions[0][1] == mined[3].transactions[0][1] == sent
    assert mined[1].block.hash != mined[3].block.hash


def test_what_was_handed_out_cannot_be_undone(chain: JournaledChain) -> None:
    tokens = []
    for time_s in (1_012, 1_024, 1_036, 1_048):
        tokens.append(chain.snapshot())
        chain.mine(time_s)
    assert numbers(chain, 3) == [(1, True), (2, True)]
    assert numbers(chain, 3) == []
    with pytest.raises(ChainError, match="cannot go back to block 1: block 2 was recorded already"):
        chain.restore(tokens[1])
    chain.restore(tokens[2])
    assert numbers(chain) == [(3, False), (4, False)]
    with pytest.raises(ChainError, match="not a snapshot of this chain"):
        chain.restore("token")


def test_blocks_are_handed_out_by_their_number_whatever_was_undone(chain: JournaledChain) -> None:
    token = chain.snapshot()
    chain.mine(1_012)
    chain.mine(1_024)
    chain.restore(token)
    for time_s in (1_013, 1_025):
        chain.mine(time_s)
    assert numbers(chain, 2) == [(1, False), (1, True)]
    assert numbers(chain, 3) == [(2, False), (2, True)]


def test_a_snapshot_lives_as_long_as_its_token(chain: JournaledChain) -> None:
    token = chain.snapshot()
    chain.submit(payment(chain))
    chain.mine(1_012)
    for _ in range(2):
        chain.restore(token)
        assert (chain.block_number, chain.native_balance_wei(chain.accounts[1])) == (0, 10**24)
        chain.mine(1_013)


@pytest.mark.parametrize(
    ("kind", "table"), [(BlockRow, "blocks"), (TransactionRow, "transactions"), (EventRow, "events")]
)
def test_rows_have_the_columns_of_their_table(kind: type, table: str) -> None:
    assert [field.name for field in fields(kind)] == TABLES[table].names


def test_rows_become_columns_and_come_back() -> None:
    rows = [BlockRow(n, 12 * n, f"0x{n}", f"0x{n - 1}", 7, 0, 0, n > 1) for n in (1, 2)]
    columns = to_columns(BlockRow, rows)
    assert (columns["number"], columns["canonical"]) == ([1, 2], [False, True])
    assert rows_from(BlockRow, columns) == rows


def test_blocks_transactions_and_events_of_a_market_as_rows() -> None:
    run = settled_run(kinds="np")
    blocks, transactions, events = run.rows()
    assert [block.number for block in blocks] == list(range(1, len(blocks) + 1))
    assert sum(block.transactions for block in blocks) == len(transactions)
    assert sum(block.gas_used for block in blocks) == sum(row.gas_used for row in transactions)
    assert [row.contract for row in transactions[:3]] == [
        run.market.currency.address, run.market.registry.address, run.market.market.address,
    ]  # fmt: skip
    assert {row.to for row in transactions[:3]} == {""}
    (deposit, *_) = [row for row in events if row.event == "Deposited"]
    assert (deposit.contract, deposit.account, deposit.period) == ("EnergyMarket", NAMES[0], -1)
    assert json.loads(deposit.arguments) == {"member": 0, "payer": run.market.operator, "amount": DEPOSIT}
    (settled,) = [row for row in events if row.event == "PeriodSettled"]
    assert (settled.account, settled.period) == ("", 0)
    assert json.loads(settled.arguments)["entries"] == len(NAMES)
    claims = [row for row in events if row.event == "LineClaimed"]
    assert {(row.period, row.account) for row in claims} == {(1, name) for name in NAMES}
    (limit, *_) = [row for row in events if row.event == "DebitLimitSet"]
    assert json.loads(limit.arguments)["limit"] == str(2**64 - 1)


def test_events_that_nobody_knows_are_kept_as_they_are() -> None:
    run = open_run()
    log = EventLog(run.market.addresses(), NAMES[:1])
    stranger, market = "0x" + "11" * 20, run.market.market.address
    logs = (Log(stranger, (b"\1" * 32,), b"\2"), Log(market, (), b""))
    receipt = Receipt("0x", 4, 9, 21_000, 7, True, None, logs, b"")
    first, second = log.rows(2, receipt, log.events(receipt))
    assert (first.block, first.position, first.log, first.contract, first.event) == (4, 2, 0, stranger, "")
    assert json.loads(first.arguments) == {"topics": ["0x" + "01" * 32], "data": "0x02"}
    assert (second.contract, second.event, second.log) == ("EnergyMarket", "", 1)


def test_the_events_of_undone_blocks_are_left_out() -> None:
    run = open_run()
    run.flush()
    before = {name: len(next(iter(run.columns[name].values()))) for name in run.columns}
    token = run.journal.snapshot()
    run.market.currency.submit(run.market.operator, 200_000, "mint", run.market.operator, 5)
    run.mine_at(run.journal.timestamp_s + 12)
    run.journal.restore(token)
    run.mine_at(run.journal.timestamp_s + 13)
    run.flush()
    added = {name: len(next(iter(run.columns[name].values()))) - before[name] for name in run.columns}
    assert added == {"blocks": 2, "transactions": 1, "events": 0}
    assert run.columns["transactions"]["canonical"][-1] is False


def test_nothing_is_recorded_where_nothing_is_deep_enough() -> None:
    run = open_run()
    held = len(run.journal)
    run.flush(1)
    run.flush(5, blocks_at_once=5)
    assert run.columns == {"blocks": {}, "transactions": {}, "events": {}}
    run.flush(5, blocks_at_once=4)
    assert run.columns["blocks"]["number"] == [1, 2, 3, 4]
    assert len(run.journal) == held - 4
    run.flush()
    run.flush()
    assert run.columns["blocks"]["number"] == list(range(1, held + 1))


def test_a_record_of_a_chain_is_json_and_comes_back() -> None:
    record = settled_run(kinds="n").record()
    assert ChainRecord.from_json(record.to_json()) == record
    assert json.loads(record.to_json())["version"] == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda found: "{", "not a record of a chain: "),
        (lambda found: "[]", "not a record of a chain of version 1"),
        (lambda found: json.dumps(found | {"version": 2}), "not a record of a chain of version 1"),
        (lambda found: json.dumps(found | {"colour": 1}), "not a record of a chain: keys differ by colour"),
    ],
)
def test_what_is_no_record_is_refused(change, complaint: str) -> None:  # type: ignore[no-untyped-def]
    text = change(json.loads(settled_run(kinds="").record().to_json()))
    with pytest.raises(DataError, match=complaint):
        ChainRecord.from_json(text)
