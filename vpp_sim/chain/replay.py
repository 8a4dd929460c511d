"""Replay of a recorded chain: the same transactions in the same blocks once more, compared with what was recorded.

A chain inside the process is made anew from its seed, and must come to the same receipts and events; on the backend of
the run, to the same block hashes too. The transactions of a run on a node are replayed on the Rust EVM, under the
node's chain id and base fees, with native currency given to whoever sends. Hashes of blocks are not compared then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from vpp_sim.chain.envelope import decode_transaction
from vpp_sim.chain.event_log import EventLog
from vpp_sim.chain.settlements import Settlements
from vpp_sim.errors import ChainError
from vpp_sim.registry import CHAIN_BACKENDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpp_sim.chain.contract import Event
    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.protocol import Block, Chain, Receipt
    from vpp_sim.chain.record import BlockRow, ChainRecord, EventRow, TransactionRow

__all__ = ["BACKENDS", "Difference", "Replay", "replay"]

BACKENDS = ("eth_tester", "revm")
"""Backends that a chain can be replayed on."""
_MARKET, _DIRECT = "EnergyMarket", "DirectTrades"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was recorded otherwise than it was found.

    Attributes
    ----------
    where : str
        Block, transaction, period or account.
    what : str
        What of it.
    found, recorded : str
        Both sides.
    """

    where: str
    what: str
    found: str
    recorded: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: {self.what} is {self.found}, recorded {self.recorded}"


@dataclass(slots=True, eq=False)
class Replay:
    """A chain that was replayed.

    Attributes
    ----------
    chain : Chain
        The chain as it is in the end.
    settlements : Settlements
        What was settled on it.
    same_evm : bool
        Whether block hashes were compared: it is the backend of the run.
    blocks, transactions, events, gas_used : int
        How much was replayed.
    complete : bool
        Whether it came to the end.
    differences : list of Difference
        What was recorded otherwise.
    """

    chain: Chain
    settlements: Settlements
    same_evm: bool
    blocks: int = 0
    transactions: int = 0
    events: int = 0
    gas_used: int = 0
    complete: bool = False
    differences: list[Difference] = field(default_factory=list)


@runtime_checkable
class _FollowsFees(Protocol):
    """A chain whose base fees are told."""

    def follow(self, base_fee_wei: int) -> None:
        """Take this base fee for the next block [wei per gas]."""
        ...


class _Stopped(Exception):  # noqa: N818
    """What was recorded cannot be replayed any further."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


def replay(
    record: ChainRecord,
    blocks: Iterable[BlockRow],
    transactions: Iterable[TransactionRow],
    events: Iterable[EventRow],
    *,
    backend: str | None = None,
) -> Replay:
    """Replay the canonical blocks of a run and compare all that they did.

    Parameters
    ----------
    record : ChainRecord
        What the chain began with.
    blocks, transactions, events : iterable of rows
        What was recorded, in the order in which it was; what is not canonical is passed over.
    backend : str, optional
        One of `BACKENDS`; by default that of the run, or the Rust EVM for a run on a node.

    Returns
    -------
    Replay
        With the differences that were found. The first one that leaves the chain in an unknown state ends the replay.

    Raises
    ------
    ChainError
        If there is no such backend.
    """
    canonical = [row for row in blocks if row.canonical]
    rows = [row for row in transactions if row.canonical]
    chain = _fresh_chain(record, canonical, rows, backend)
    settlements = Settlements({}, {}, np.zeros(len(record.names), dtype=np.int64))
    found = Replay(chain, settlements, same_evm=record.backend == (backend or record.backend) != "rpc")
    player = _Player(record, found, rows, events)
    try:
        player.play(canonical)
    except _Stopped as stopped:
        found.differences.append(stopped.difference)
    return found


class _Player:
    """Plays blocks one after the other."""

    def __init__(
        self,
        record: ChainRecord,
        found: Replay,
        transactions: Iterable[TransactionRow],
        events: Iterable[EventRow],
    ) -> None:
        self._record, self._found = record, found
        self._log = EventLog(record.contracts, record.names)
        self._transactions = _grouped(transactions, lambda row: row.block)
        self._events = _grouped(events, lambda row: (row.block, row.position))
        self._hashes_agree = found.same_evm

    def play(self, blocks: Sequence[BlockRow]) -> None:
        """Play all blocks.

        Raises
        ------
        _Stopped
            If a block cannot be played.
        """
        self._require_all(blocks)
        for expected, row in enumerate(blocks, self._record.first_block):
            if row.number != expected:
                raise _Stopped(Difference(f"block {expected}", "the next block", "missing", f"as {row.number}"))
            self._play(row)
        for block in self._transactions:
            self._differ(f"block {block}", "the block of a transaction", "missing", "one")
        for block, position in self._events:
            self._differ(f"block {block}, transaction {position}", "the transaction of an event", "missing", "one")
        last = blocks[-1]
        if (last.number, last.hash) != (self._record.last_block, self._record.last_hash):
            self._differ("the chain", "the last block", f"{last.number} {last.hash}", self._last())
        else:
            self._found.complete = True

    def _require_all(self, blocks: Sequence[BlockRow]) -> None:
        if not blocks:
            raise _Stopped(Difference("the chain", "the number of blocks", "0", self._last()))

    def _last(self) -> str:
        return f"{self._record.last_block} {self._record.last_hash}"

    def _play(self, row: BlockRow) -> None:
        where = f"block {row.number}"
        recorded = self._transactions.pop(row.number, [])
        if len(recorded) != row.transactions:
            raise _Stopped(
                Difference(where, "the number of its transactions", str(len(recorded)), str(row.transactions))
            )
        signed = [self._send(transaction) for transaction in recorded]
        block = self._mine(row)
        if [receipt.transaction for receipt in block.receipts] != [transaction.hash for transaction in signed]:
            hashes = ", ".join(receipt.transaction for receipt in block.receipts)
            raise _Stopped(Difference(where, "what it holds", hashes or "nothing", f"{len(signed)} transactions"))
        for transaction, sent, receipt in zip(recorded, signed, block.receipts, strict=True):
            self._compare(transaction, sent, receipt)
        self._compare_block(row, block)

    def _send(self, row: TransactionRow) -> SignedTransaction:
        where = f"block {row.block}, transaction {row.position}"
        try:
            signed = decode_transaction(bytes.fromhex(row.raw))
            if signed.hash != row.hash:
                raise _Stopped(Difference(where, "the hash of its bytes", signed.hash, row.hash))
            self._found.chain.send(signed.raw)
        except (ChainError, ValueError) as error:
            raise _Stopped(Difference(where, "what became of it", str(error), "mined")) from error
        for what, found, recorded in (
            ("its sender", signed.sender, row.sender),
            ("its nonce", signed.nonce, row.nonce),
            ("whom it calls", signed.to or "", row.to),
        ):
            if found != recorded:
                self._differ(where, what, found, recorded)
        return signed

    def _mine(self, row: BlockRow) -> Block:
        chain = self._found.chain
        if isinstance(chain, _FollowsFees):
            chain.follow(row.base_fee_wei)
        try:
            return chain.mine(row.timestamp_s)
        except ChainError as error:
            raise _Stopped(Difference(f"block {row.number}", "its time", str(error), f"{row.timestamp_s} s")) from error

    def _compare(self, row: TransactionRow, signed: SignedTransaction, receipt: Receipt) -> None:
        where = f"block {row.block}, transaction {row.position}"
        for what, found, recorded in (
            ("its gas", receipt.gas_used, row.gas_used),
            ("its success", receipt.succeeded, row.succeeded),
            ("the contract it created", receipt.contract or "", row.contract),
        ):
            if found != recorded:
                self._differ(where, what, found, recorded)
        events = self._log.events(receipt)
        self._found.transactions += 1
        self._found.events += len(events)
        for contract, event in events:
            if contract == _MARKET:
                self._found.settlements.note(signed, event)
            elif contract == _DIRECT:
                self._found.settlements.note_direct(event)
        self._compare_events(row, receipt, events)

    def _compare_events(self, row: TransactionRow, receipt: Receipt, events: list[tuple[str, Event]]) -> None:
        recorded = self._events.pop((row.block, row.position), [])
        where = f"block {row.block}, transaction {row.position}"
        if len(events) != len(recorded):
            self._differ(where, "the number of its events", len(events), len(recorded))
            return
        for found, theirs in zip(self._log.rows(row.position, receipt, events), recorded, strict=True):
            for what in ("log", "contract", "event", "account", "period", "arguments"):
                mine = getattr(found, what)
                if mine != getattr(theirs, what):
                    self._differ(f"{where}, event {found.log} ({found.event})", what, mine, getattr(theirs, what))

    def _compare_block(self, row: BlockRow, block: Block) -> None:
        where = f"block {row.number}"
        self._found.blocks += 1
        self._found.gas_used += block.gas_used
        if self._record.backend == "rpc":  # a node's block may hold more than was sent from here
            return
        for what, found, recorded in (
            ("its gas", block.gas_used, row.gas_used),
            ("its base fee", block.base_fee_wei, row.base_fee_wei),
        ):
            if found != recorded:
                self._differ(where, what, found, recorded)
        if self._hashes_agree and (block.parent_hash, block.hash) != (row.parent_hash, row.hash):
            self._hashes_agree = False  # from here on no hash can agree
            what, at = ("the hash before it", "parent_hash") if block.hash == row.hash else ("its hash", "hash")
            self._differ(where, what, getattr(block, at), getattr(row, at))

    def _differ(self, where: str, what: str, found: object, recorded: object) -> None:
        self._found.differences.append(Difference(where, what, str(found), str(recorded)))


def _grouped(rows: Iterable[Any], key: Any) -> dict[Any, list[Any]]:
    return {found: list(some) for found, some in groupby(rows, key)}


def _fresh_chain(
    record: ChainRecord, blocks: Sequence[BlockRow], transactions: Sequence[TransactionRow], backend: str | None
) -> Chain:
    """Return a chain as it was before the first recorded block."""
    wanted = backend or ("revm" if record.backend == "rpc" else record.backend)
    if wanted not in BACKENDS:
        raise ChainError(f"cannot replay on {wanted!r}; there are {', '.join(BACKENDS)}")
    if record.backend == "rpc":
        if wanted != "revm":
            raise ChainError("a run on a node is replayed on revm, which takes on the node's chain id")
        from vpp_sim.chain.stand_in import NodeStandIn  # only the EVM that is wanted

        nonces = {row.sender: row.nonce for row in reversed(transactions)}
        return NodeStandIn(record.chain_id, nonces, genesis_timestamp_s=blocks[0].timestamp_s - 1 if blocks else 0)
    made: Chain = CHAIN_BACKENDS.load(wanted)(
        accounts=record.accounts, seed=record.seed, genesis_timestamp_s=record.genesis_timestamp_s
    )
    return made
