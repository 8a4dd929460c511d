"""From mined blocks to the rows of a run's tables, with the names of contracts, events and accounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eth_utils.address import is_hex_address

from vpp_sim.chain.addresses import checksum_address
from vpp_sim.chain.contract import Abi, Event, load_artifact
from vpp_sim.chain.record import BlockRow, EventRow, TransactionRow, to_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vpp_sim.chain.journal import JournaledChain, MinedBlock
    from vpp_sim.chain.protocol import Log, Receipt

__all__ = ["EventLog", "block_row", "transaction_rows", "write_journal"]

_EXACT_JSON = 2**53
"""Whole numbers up to here are the same in every reader of JSON (RFC 8259, section 6)."""
_MEMBER_ARGUMENTS = ("member", "maker")
_ARTIFACTS = {
    "currency": "SettlementCurrency",
    "registry": "MemberRegistry",
    "market": "EnergyMarket",
    "direct": "DirectTrades",
}
"""Artifacts of the contracts, by what :meth:`~vpp_sim.chain.market.Market.addresses` calls them."""


class EventLog:
    """Reads the events of a market's contracts.

    Parameters
    ----------
    addresses : mapping of str to str
        As :meth:`~vpp_sim.chain.market.Market.addresses` returns them; other keys are passed over.
    names : sequence of str
        Names of the accounts; member i is ``names[i]``.
    """

    def __init__(self, addresses: Mapping[str, str], names: Sequence[str]) -> None:
        self._contracts = {
            addresses[part]: (name, Abi(load_artifact(name).abi))
            for part, name in _ARTIFACTS.items()
            if part in addresses
        }
        self._names = tuple(names)

    def events(self, receipt: Receipt) -> list[tuple[str, Event]]:
        """Return the events of a transaction in order, each with its contract's name.

        Of a contract that is not known the name is its address; an event that is not known has no name, and its topics
        and data as arguments.
        """
        return [self._event(log) for log in receipt.logs]

    def rows(self, position: int, receipt: Receipt, events: Iterable[tuple[str, Event]]) -> list[EventRow]:
        """Return the events of the transaction at `position` of its block as rows."""
        return [
            EventRow(
                block=receipt.block_number,
                position=position,
                log=log,
                contract=contract,
                event=event.name,
                account=self._account(event),
                period=int(event.arguments.get("period", -1)),
                arguments=json.dumps(_plain(event.arguments), separators=(",", ":")),
            )
            for log, (contract, event) in enumerate(events)
        ]

    def _event(self, log: Log) -> tuple[str, Event]:
        name, abi = self._contracts.get(log.address, (log.address, None))
        event = abi.decode_event(log) if abi is not None else None
        return name, event or Event("", {"topics": log.topics, "data": log.data})

    def _account(self, event: Event) -> str:
        member = next((event.arguments[name] for name in _MEMBER_ARGUMENTS if name in event.arguments), None)
        if member is None:
            return ""
        return self._names[member] if member < len(self._names) else f"member {member}"


def block_row(mined: MinedBlock) -> BlockRow:
    """Return a block as a row."""
    block = mined.block
    return BlockRow(
        number=block.number,
        timestamp_s=block.timestamp_s,
        hash=block.hash,
        parent_hash=block.parent_hash,
        base_fee_wei=block.base_fee_wei,
        gas_used=block.gas_used,
        transactions=len(mined.transactions),
        canonical=mined.canonical,
    )


def transaction_rows(mined: MinedBlock) -> list[TransactionRow]:
    """Return the transactions of a block as rows."""
    return [
        TransactionRow(
            block=mined.block.number,
            position=position,
            hash=signed.hash,
            sender=signed.sender,
            nonce=signed.nonce,
            to=signed.to or "",
            gas_used=(receipt := mined.block.receipts[position]).gas_used,
            succeeded=receipt.succeeded,
            contract=receipt.contract or "",
            raw=signed.raw.hex(),
            canonical=mined.canonical,
        )
        for position, signed in mined.transactions
    ]


def write_journal(
    journal: JournaledChain,
    log: EventLog,
    record: Callable[[str, Mapping[str, Any]], None],
    *,
    before_block: int | None = None,
    blocks_at_once: int = 500,
) -> None:
    """Take blocks out of a journal and record them as rows of ``blocks``, ``transactions`` and ``events``.

    Parameters
    ----------
    journal : JournaledChain
        What was mined.
    log : EventLog
        Names of contracts and accounts.
    record : callable
        Takes the name of a table and its columns.
    before_block : int, optional
        Only blocks below this number, which no reorganisation reaches any more; by default all.
    blocks_at_once : int, default 500
        As long as the journal holds fewer blocks below `before_block`, nothing is done: few rows at a time cost more.
    """
    if before_block is not None and journal.held_before(before_block) < blocks_at_once:
        return
    taken = journal.take(before_block)
    transactions = [row for mined in taken for row in transaction_rows(mined)]
    events = [row for mined in taken if mined.canonical for row in _event_rows(log, mined)]
    if taken:
        record("blocks", to_columns(BlockRow, map(block_row, taken)))
    if transactions:
        record("transactions", to_columns(TransactionRow, transactions))
    if events:
        record("events", to_columns(EventRow, events))


def _event_rows(log: EventLog, mined: MinedBlock) -> list[EventRow]:
    receipts = [(position, mined.block.receipts[position]) for position, _ in mined.transactions]
    return [row for position, receipt in receipts for row in log.rows(position, receipt, log.events(receipt))]


def _plain(value: Any) -> Any:
    """Return a decoded argument as JSON holds it."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    if isinstance(value, str) and is_hex_address(value):
        return checksum_address(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT_JSON:
        return str(value)
    return value
