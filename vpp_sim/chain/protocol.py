"""What a chain backend is: it queues transactions, mines blocks when told to, and answers calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vpp_sim.errors import ChainError

__all__ = ["Block", "CallRevertedError", "Chain", "Log", "Receipt", "Transaction"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a sender wants done.

    Attributes
    ----------
    sender : str
        Address of one of the backend's accounts; the backend signs and counts nonces.
    to : str or None
        Address of the contract to call; None creates a contract.
    data : bytes
        Encoded call, or creation code with its arguments.
    gas_limit : int
        The most gas that it may use [gas].
    """

    sender: str
    to: str | None
    data: bytes
    gas_limit: int


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the EVM stores it.

    Attributes
    ----------
    address : str
        The contract that emitted it.
    topics : tuple of bytes
        Up to four words of 32 bytes; the first is the hash of the event's signature.
    data : bytes
        ABI-encoded arguments that are not indexed.
    """

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction.

    Attributes
    ----------
    transaction : str
        Hash of the transaction, ``0x`` and 64 hexadecimal digits.
    block_number : int
        The block it was mined in.
    gas_used : int
        Gas it used alone [gas].
    succeeded : bool
        False if it reverted or ran out of gas; its effects are then undone.
    contract : str or None
        Address of the contract that it created.
    logs : tuple of Log
        Events in order.
    revert_data : bytes
        What a failed transaction returned: selector and arguments of an error, or nothing.
    """

    transaction: str
    block_number: int
    gas_used: int
    succeeded: bool
    contract: str | None
    logs: tuple[Log, ...]
    revert_data: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """One mined block.

    Attributes
    ----------
    number : int
        Height; the genesis is 0.
    hash : str
        Hash of its header.
    timestamp_s : int
        Its time, as Unix time [s].
    gas_used : int
        Gas of all its transactions [gas].
    receipts : tuple of Receipt
        One a transaction, in order.
    """

    number: int
    hash: str
    timestamp_s: int
    gas_used: int
    receipts: tuple[Receipt, ...]


class CallRevertedError(ChainError):
    """A read-only call that reverted.

    Parameters
    ----------
    data : bytes
        What the call returned: selector and arguments of an error, or nothing.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        super().__init__(data)

    def __str__(self) -> str:
        """Return the message."""
        return f"call reverted with 0x{self.data.hex()}"


@runtime_checkable
class Chain(Protocol):
    """An EVM chain whose blocks are mined on demand.

    A backend is constructed as ``Backend(accounts=n, seed=7, genesis_timestamp_s=0)``. Its `accounts` derive from the
    seed, hold enough native currency to pay for gas, and exist for development only. The same constructor arguments and
    the same later calls give the same addresses, hashes and gas.
    """

    @property
    def accounts(self) -> tuple[str, ...]:
        """Addresses that it signs for."""
        ...

    @property
    def block_number(self) -> int:
        """Height of the newest block."""
        ...

    @property
    def timestamp_s(self) -> int:
        """Time of the newest block [s]."""
        ...

    @property
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""
        ...

    @property
    def pending(self) -> int:
        """Number of transactions that wait for a block."""
        ...

    def submit(self, transaction: Transaction) -> str:
        """Sign a transaction, queue it, and return its hash.

        Raises
        ------
        ChainError
            If the sender is none of `accounts`, or the gas limit exceeds that of a block.
        """
        ...

    def mine(self, timestamp_s: int) -> Block:
        """Mine the queued transactions, as many as are sure to fit and in their order, into one block.

        Parameters
        ----------
        timestamp_s : int
            Time of the block, later than that of the newest block [s].

        Raises
        ------
        ChainError
            If the time is not later.
        """
        ...

    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data` in the state of the newest block, without changing it.

        The call comes from the zero address.

        Raises
        ------
        CallRevertedError
            If the contract reverts.
        """
        ...

    def snapshot(self) -> object:
        """Return a token of the present state, with nothing pending.

        Raises
        ------
        ChainError
            If a transaction is pending.
        """
        ...

    def restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`; later blocks and pending transactions are gone."""
        ...
