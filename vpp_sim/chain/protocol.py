"""What a chain backend is: it queues transactions, mines blocks when told to, and answers calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.wallet import Wallet

__all__ = [
    "Block",
    "CallRevertedError",
    "Chain",
    "Fees",
    "Log",
    "NodeDownError",
    "Receipt",
    "Transaction",
    "TransactionRefusedError",
]


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
    value_wei : int, default 0
        Native currency that goes with it [wei].
    """

    sender: str
    to: str | None
    data: bytes
    gas_limit: int
    value_wei: int = 0


@dataclass(frozen=True, slots=True)
class Fees:
    """What a sender pays for gas, by EIP-1559: the block's base fee and a tip, together never more than a maximum.

    Attributes
    ----------
    max_wei : int
        The most that is paid altogether [wei per gas].
    priority_wei : int
        The tip [wei per gas].
    """

    max_wei: int
    priority_wei: int


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
    timestamp_s : int
        Time of that block, as Unix time [s].
    gas_used : int
        Gas it used alone [gas].
    gas_price_wei : int
        What each unit of it cost its sender, tip included [wei per gas].
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
    timestamp_s: int
    gas_used: int
    gas_price_wei: int
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
    parent_hash : str
        Hash of the block before.
    timestamp_s : int
        Its time, as Unix time [s].
    base_fee_wei : int
        What each unit of gas in it costs before tips [wei per gas].
    gas_used : int
        Gas of all its transactions [gas].
    receipts : tuple of Receipt
        One a transaction, in order.
    """

    number: int
    hash: str
    parent_hash: str
    timestamp_s: int
    base_fee_wei: int
    gas_used: int
    receipts: tuple[Receipt, ...]


class TransactionRefusedError(ChainError):
    """A transaction that did not get as far as the queue, and costs nothing.

    Parameters
    ----------
    transaction : str
        Its hash.
    reason : str
        What is wrong with it.
    """

    def __init__(self, transaction: str, reason: str) -> None:
        self.transaction, self.reason = transaction, reason
        super().__init__(transaction, reason)

    def __str__(self) -> str:
        """Return the message."""
        return f"transaction {self.transaction} refused: {self.reason}"


class NodeDownError(ChainError):
    """A node that does not answer now, and may later; nothing that it was asked to do is known to be done."""


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

    A backend that runs inside the process is constructed as ``Backend(accounts=n, seed=7, genesis_timestamp_s=0)``. Its
    `accounts` derive from the seed, hold enough native currency to pay for gas, and exist for development only. The
    same constructor arguments and the same later calls give the same addresses, hashes and gas. A backend that speaks
    to a node is constructed with its address and a wallet (:class:`~vpp_sim.chain.rpc.RpcChain`).

    A transaction takes one of two ways. :meth:`submit` signs with the next nonce and sends: this is what a contract
    client uses. :meth:`sign` and :meth:`send` are its halves, for who must keep the signed bytes: they can be sent
    again after a crash, or signed again with the same nonce and higher fees.
    """

    @property
    def accounts(self) -> tuple[str, ...]:
        """Addresses that it signs for."""
        ...

    @property
    def wallet(self) -> Wallet:
        """The keys of `accounts`, for what is signed beside transactions."""
        ...

    @property
    def chain_id(self) -> int:
        """Number of the chain, which every signature is bound to (EIP-155)."""
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
    def base_fee_wei(self) -> int:
        """Base fee of the next block [wei per gas]."""
        ...

    @property
    def pending(self) -> int:
        """Number of transactions that wait for a block."""
        ...

    def nonce(self, account: str) -> int:
        """Return the nonce of the account's next transaction, counting those that wait."""
        ...

    def native_balance_wei(self, account: str) -> int:
        """Return what an account owns of the chain's own currency in the newest block [wei]."""
        ...

    def suggested_fees(self) -> Fees:
        """Return fees with which a transaction is sure to be mined soon at today's prices."""
        ...

    def sign(
        self, transaction: Transaction, *, nonce: int | None = None, fees: Fees | None = None
    ) -> SignedTransaction:
        """Sign a transaction without sending it.

        Parameters
        ----------
        transaction : Transaction
            From one of `accounts`.
        nonce : int, optional
            By default the next of its sender. Signing does not count as use of a nonce; sending does.
        fees : Fees, optional
            By default what :meth:`suggested_fees` returns.

        Raises
        ------
        ChainError
            If the sender is none of `accounts`.
        """
        ...

    def send(self, raw: bytes) -> str:
        """Queue a signed transaction, from whomever, and return its hash.

        One that waits already is not queued twice. One with sender and nonce of a waiting one takes its place if both
        of its fees are higher by a tenth.

        Raises
        ------
        TransactionRefusedError
            If it is malformed, its signature is invalid, it is for another chain, its nonce is not the next, its sender
            cannot pay for it, or its gas limit is too low to begin or exceeds that of a block.
        """
        ...

    def submit(self, transaction: Transaction) -> str:
        """Sign a transaction with the next nonce, send it, and return its hash.

        Raises
        ------
        ChainError
            If the sender is none of `accounts`, or the chain refuses the transaction.
        """
        ...

    def mine(self, timestamp_s: int) -> Block:
        """Mine the queued transactions, as many as are sure to fit and in their order, into one block.

        One whose fees are under the block's base fee waits, and with it what its sender sent later. A node keeps the
        order of each sender's transactions, and may mix senders.

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

    def receipt(self, transaction: str) -> Receipt | None:
        """Return the receipt of a mined transaction, or None if it was not mined in the newest blocks.

        A backend inside the process remembers the receipts of its newest 256 blocks, so that memory stays flat.
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

        As long as the token is kept, the state can be restored, as often as wanted.

        Raises
        ------
        ChainError
            If a transaction is pending, or the node cannot.
        """
        ...

    def restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`; later blocks, their snapshots and pending transactions are gone."""
        ...
