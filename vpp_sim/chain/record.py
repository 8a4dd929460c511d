"""What a run writes down about its chain, so that it can be replayed: rows of tables, and the facts before block 1."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vpp_sim.chain.journal import JournaledChain

__all__ = ["BlockRow", "ChainRecord", "EventRow", "TransactionRow", "rows_from", "to_columns"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A block.

    Attributes
    ----------
    number : int
        Height.
    timestamp_s : int
        Its time, as Unix time [s].
    hash, parent_hash : str
        Its hash, and that of the block before.
    base_fee_wei : int
        Base fee [wei per gas].
    gas_used : int
        Gas of all its transactions [gas].
    transactions : int
        How many of its transactions are recorded.
    canonical : bool
        False if a reorganisation undid it.
    """

    number: int
    timestamp_s: int
    hash: str
    parent_hash: str
    base_fee_wei: int
    gas_used: int
    transactions: int
    canonical: bool


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """A transaction in a block.

    Attributes
    ----------
    block, position : int
        Number of its block, and its place among the block's transactions, from 0.
    hash, sender : str
        Its hash, and who signed it.
    nonce : int
        Its number among its sender's.
    to : str
        Whom it calls; empty if it creates a contract.
    gas_used : int
        Gas that it used [gas].
    succeeded : bool
        False if it reverted.
    contract : str
        Address of the contract that it created, or empty.
    raw : str
        The signed bytes, hexadecimal without ``0x``.
    canonical : bool
        False if a reorganisation undid its block.
    """

    block: int
    position: int
    hash: str
    sender: str
    nonce: int
    to: str
    gas_used: int
    succeeded: bool
    contract: str
    raw: str
    canonical: bool


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event of a canonical block.

    Attributes
    ----------
    block, position, log : int
        Number of the block, place of the transaction in it, and place of the event in the transaction, from 0.
    contract, event : str
        Names of the contract and of the event; the address, and empty, where they are not known.
    account : str
        Name of the account that it is about, or empty.
    period : int
        Settlement period that it is about, or -1.
    arguments : str
        JSON object of its arguments; bytes are hexadecimal, whole numbers beyond 2^53 are text.
    """

    block: int
    position: int
    log: int
    contract: str
    event: str
    account: str
    period: int
    arguments: str


Row = TypeVar("Row", BlockRow, TransactionRow, EventRow)


def to_columns(kind: type[Row], rows: Iterable[Row]) -> dict[str, list[Any]]:
    """Return rows as the columns of their table.

    Examples
    --------
    >>> to_columns(BlockRow, [BlockRow(1, 12, "0xb", "0xa", 7, 0, 0, True)])["base_fee_wei"]
    [7]
    """
    rows = tuple(rows)
    return {field.name: [getattr(row, field.name) for row in rows] for field in fields(kind)}


def rows_from(kind: type[Row], columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Return the rows of a table; :func:`to_columns` is the way back.

    Parameters
    ----------
    kind : type
        `BlockRow`, `TransactionRow` or `EventRow`.
    columns : mapping of str to sequence
        At least the columns that are its attributes.
    """
    return [kind(*values) for values in zip(*(columns[field.name] for field in fields(kind)), strict=True)]


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """What a replay must know beside the tables.

    Attributes
    ----------
    backend : str
        Name of the chain backend.
    seed, accounts : int
        What its development keys derive from, and how many there are.
    genesis_timestamp_s : int
        Time of the block before the first [s].
    chain_id : int
        Number of the chain.
    first_block, last_block : int
        Numbers of the first and of the last block that are recorded.
    last_hash : str
        Hash of the last block.
    step_s : int
        Length of a tick [s].
    contracts : dict of str to str
        As :meth:`~vpp_sim.chain.market.Market.addresses` returned them.
    names : tuple of str
        Names of the accounts, as the ledger has them; member i is ``names[i]``.
    """

    backend: str
    seed: int
    accounts: int
    genesis_timestamp_s: int
    chain_id: int
    first_block: int
    last_block: int
    last_hash: str
    step_s: int
    contracts: dict[str, str]
    names: tuple[str, ...]

    @classmethod
    def of(
        cls,
        journal: JournaledChain,
        *,
        backend: str,
        seed: int,
        genesis_timestamp_s: int,
        step_s: int,
        contracts: Mapping[str, str],
        names: Sequence[str],
    ) -> Self:
        """Return the record of a chain that ends with its newest block; arguments are the attributes of that name."""
        return cls(
            backend=backend,
            seed=seed,
            accounts=len(journal.accounts),
            genesis_timestamp_s=genesis_timestamp_s,
            chain_id=journal.chain_id,
            first_block=journal.first_block,
            last_block=journal.block_number,
            last_hash=journal.last_hash,
            step_s=step_s,
            contracts=dict(contracts),
            names=tuple(names),
        )

    def to_json(self) -> str:
        """Return it as a JSON object."""
        return json.dumps({"version": _VERSION, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the record that :meth:`to_json` wrote.

        Raises
        ------
        DataError
            If it is none, or of another version; the message says why.
        """
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"not a record of a chain: {error}") from error
        if not isinstance(found, dict) or found.pop("version", None) != _VERSION:
            raise DataError(f"not a record of a chain of version {_VERSION}")
        differing = sorted({field.name for field in fields(cls)} ^ set(found))
        if differing:
            raise DataError(f"not a record of a chain: keys differ by {', '.join(differing)}")
        return cls(**{**found, "names": tuple(found["names"])})
