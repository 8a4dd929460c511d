"""A market on a journaled chain that settles made-up periods, and the run's folder that tells of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from tests.support.run_tables import run_data, write_run
from vpp_sim.chain.batch import pack_entries
from vpp_sim.chain.event_log import EventLog, write_journal
from vpp_sim.chain.journal import JournaledChain
from vpp_sim.chain.market import Market, Terms, deploy_market, fund
from vpp_sim.chain.merkle import MerkleTree
from vpp_sim.chain.proofs import Booked
from vpp_sim.chain.protocol import Chain
from vpp_sim.chain.record import BlockRow, ChainRecord, EventRow, TransactionRow, rows_from
from vpp_sim.chain.statements import TRADE_LINE
from vpp_sim.chain.typed_data import Batch, balance_leaves, digest, trade_leaves
from vpp_sim.registry import CHAIN_BACKENDS
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.frames import write_frame
from vpp_sim.runs.tables import TABLES

GENESIS_S, START_S, PERIOD_S, STEP_S, WINDOW_S = 1_499_996_400, 1_500_000_000, 3_600, 900, 1_200
SEED, DEPOSIT, BLOCK_S = 7, 10_000_000, 12
NAMES = ("homes/home_1", "homes/home_2", "vpp", "wholesale")
CALL_GAS = 1_000_000
ROWS = {"blocks": BlockRow, "transactions": TransactionRow, "events": EventRow}


@dataclass
class SettledRun:
    """What a run wrote about its chain, in memory; rows may be tampered with."""

    journal: JournaledChain
    market: Market
    backend: str
    columns: dict[str, dict[str, list]] = field(default_factory=lambda: {name: {} for name in ROWS})
    ledger: list[tuple[int, int, int]] = field(default_factory=list)
    trades: list[tuple[int, tuple[int, int, int, int]]] = field(default_factory=list)

    def record_rows(self, table: str, columns: dict[str, list]) -> None:
        for name, values in columns.items():
            self.columns[table].setdefault(name, []).extend(values)

    def flush(self, before_block: int | None = None, blocks_at_once: int = 1) -> None:
        log = EventLog(self.market.addresses(), NAMES)
        write_journal(self.journal, log, self.record_rows, before_block=before_block, blocks_at_once=blocks_at_once)

    def rows(self) -> list[list]:
        return [rows_from(kind, self.columns[name]) for name, kind in ROWS.items()]

    def record(self) -> ChainRecord:
        return ChainRecord.of(
            self.journal, backend=self.backend, seed=SEED, genesis_timestamp_s=GENESIS_S, step_s=STEP_S,
            contracts=self.market.addresses(), names=NAMES,
        )  # fmt: skip

    def booked(self) -> Booked:
        step, account, amount = np.array(self.ledger, dtype=np.int64).reshape(-1, 3).T
        return Booked(step, account, amount, self._trade_steps(), self._trades(), self._trades()["energy_wh"])

    def _trade_steps(self) -> np.ndarray:
        return np.array([step for step, _ in self.trades], dtype=np.int64)

    def _trades(self) -> np.ndarray:
        return np.array([line for _, line in self.trades], dtype=TRADE_LINE)

    # -- what happens

    def mine_at(self, time_s: int):
        """Mine one block and require that all in it succeeded."""
        block = self.journal.mine(time_s)
        assert all(receipt.succeeded for receipt in block.receipts), block.receipts
        return block

    def book(self, period: int, rng: np.random.Generator, trades: int = 3) -> None:
        """Book some amounts and trades of made-up size in the four ticks of a period."""
        first = period * PERIOD_S // STEP_S
        for step in range(first, first + PERIOD_S // STEP_S):
            amounts = rng.integers(-9_000, 9_000, len(NAMES))
            amounts[-1] -= amounts.sum()
            self.ledger += [(step, account, int(amount)) for account, amount in enumerate(amounts)]
        for step in sorted(rng.integers(first, first + PERIOD_S // STEP_S, trades).tolist()):
            self.trades.append((step, (0, 1, int(rng.integers(1, 900)), 250_000 + step)))

    def lines(self, period: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return members, amounts and traded energy of a period."""
        first, amount, traded = period * PERIOD_S // STEP_S, *np.zeros((2, len(NAMES)), dtype=np.int64)
        steps = range(first, first + PERIOD_S // STEP_S)
        for step, account, value in self.ledger:
            if step in steps:
                amount[account] += value
        for step, (buyer, seller, energy, _) in self.trades:
            if step in steps:
                traded[buyer] += energy
                traded[seller] -= energy
        members = np.flatnonzero((amount != 0) | (traded != 0))
        return members, amount[members], traded[members]

    def settle_netted(self, period: int) -> None:
        market, entries = self.market, pack_entries(*self.lines(period))
        hashed = digest(Batch(period, entries), chain_id=self.journal.chain_id, contract=market.market.address)
        assert market.terms.end_s(period) <= self.journal.timestamp_s + BLOCK_S
        signature = self.journal.wallet.sign_digest(market.oracle, hashed)
        market.market.submit(market.operator, CALL_GAS, "settleNetted", period, entries, market.oracle, signature)
        self.mine_at(self.journal.timestamp_s + BLOCK_S)

    def settle_proof(self, period: int) -> None:
        market, lines = self.market, self.lines(period)
        members, amount, traded = (column[np.argsort(lines[1] <= 0, kind="stable")] for column in lines)
        first = period * PERIOD_S // STEP_S
        mine = [line for step, line in self.trades if first <= step < first + PERIOD_S // STEP_S]
        leaves = balance_leaves(period, members, amount, traded)
        leaves += trade_leaves(period, np.array(mine, dtype=TRADE_LINE))
        tree = MerkleTree(leaves)
        market.market.submit(market.operator, CALL_GAS, "postRoot", period, tree.root)
        settled_s = self.mine_at(self.journal.timestamp_s + BLOCK_S).timestamp_s
        order, proof, flags = tree.multipath(range(members.size))
        lines = [(int(members[i]), int(amount[i]), int(traded[i])) for i in order]
        settlement = (period, tree.root, settled_s)
        market.market.submit(market.operator, CALL_GAS, "claimMany", settlement, lines, list(proof), list(flags))
        self.mine_at(settled_s + WINDOW_S)

    def sleep_until_end_of(self, period: int) -> None:
        end_s = self.market.terms.end_s(period)
        if self.journal.timestamp_s < end_s:
            self.mine_at(end_s)


def open_run(backend: str = "revm", chain: Chain | None = None) -> SettledRun:
    """Return a run whose market is deployed and funded, with nothing settled yet."""
    if chain is None:
        chain = CHAIN_BACKENDS.load(backend)(accounts=2 + len(NAMES), seed=SEED, genesis_timestamp_s=GENESIS_S)
    journal = JournaledChain(chain)
    market = deploy_market(journal, Terms(START_S, PERIOD_S, WINDOW_S, 1_000_000, 1_000))
    fund(market, np.full(len(NAMES), DEPOSIT, dtype=np.int64))
    return SettledRun(journal, market, backend)


def settled_run(backend: str = "revm", chain: Chain | None = None, kinds: str = "nnpp") -> SettledRun:
    """Return a run that settled a period a letter of `kinds` (netted or proof), some blocks recorded on the way."""
    run, rng = open_run(backend, chain), np.random.default_rng(3)
    for period, kind in enumerate(kinds):
        run.book(period, rng)
        run.sleep_until_end_of(period)
        (run.settle_netted if kind == "n" else run.settle_proof)(period)
        run.flush(run.journal.block_number - 2)
    run.flush()
    return run


def write_chain_run(results: Path, run: SettledRun) -> RunFolder:
    """Write a run with these chain tables below `results` and return its folder."""
    data = run_data(homes=2, days=1)
    folder = write_run(results, data)
    write_chain(folder.path, run)
    return folder


def write_chain(path: Path, run: SettledRun) -> None:
    """Write tables and record of a chain into a run's folder, with the ledger and the trades behind it."""
    for name in ROWS:
        write_frame(pd.DataFrame(run.columns[name]), path, name)
    step, account, amount = zip(*run.ledger, strict=True)
    names = [NAMES[i] for i in account]
    ledger = pd.DataFrame({"step": step, "item": "levies", "account": names, "amount_micro_eur": amount})
    write_frame(ledger, path, "ledger")
    trades = pd.DataFrame(
        [
            (step, NAMES[buyer], NAMES[seller], energy / 1_000, energy / 1_000, price / 1e6)
            for step, (buyer, seller, energy, price) in run.trades
        ],
        columns=["step", "buyer", "seller", "energy_kwh", "delivered_kwh", "price_eur_per_kwh"],
    )
    trades["time"] = pd.to_datetime(START_S + STEP_S * trades["step"], unit="s", utc=True).dt.as_unit("ms")
    trades["fee_eur_per_kwh"] = 0.0
    trades["amount_eur"] = trades["delivered_kwh"] * trades["price_eur_per_kwh"]
    write_frame(trades, path, "trades")
    write_frame(pd.DataFrame(chain_rows(run)), path, "chain")
    (path / "chain.json").write_text(run.record().to_json(), encoding="utf-8")


def chain_rows(run: SettledRun) -> list[dict[str, object]]:
    """Return the rows of the table of periods."""
    sent = {row.hash: row for row in run.rows()[1]}
    found = {}
    for event in run.rows()[2]:
        if event.event in {"PeriodSettled", "LineClaimed"}:
            found[event.period] = next(
                row for row in sent.values() if (row.block, row.position) == (event.block, event.position)
            )
    return [
        dict.fromkeys(TABLES["chain"].names, 0)
        | {"period": period, "block": row.block, "tx_hash": row.hash, "gas_used": row.gas_used}
        for period, row in sorted(found.items())
    ]


__all__ = ["NAMES", "SettledRun", "open_run", "settled_run", "write_chain", "write_chain_run"]
