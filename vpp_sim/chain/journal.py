"""A chain that remembers what it mined: every block with the signed bytes of its transactions, ready to be recorded.

It stands right above a backend, below whatever makes a chain misbehave, and changes nothing. What a reorganisation
undoes is kept too, marked as no longer canonical, so that one can see afterwards what it undid. Memory stays flat if
blocks that no reorganisation can reach any more are taken out now and then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from vpp_sim.chain.envelope import decode_transaction
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.protocol import Block, Chain, Fees, Receipt, Transaction
    from vpp_sim.chain.wallet import Wallet

__all__ = ["JournaledChain", "MinedBlock"]

_REMEMBERED_TRANSACTIONS = 4096
"""How many transactions that were signed or sent, and not mined, are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class MinedBlock:
    """A block, and the signed transactions in it.

    Attributes
    ----------
    block : Block
        As the backend returned it.
    transactions : tuple of (int, SignedTransaction)
        Those that were sent through here, each with its position among the block's receipts. On a node that others use
        too there are more receipts than that.
    canonical : bool
        False if a reorganisation undid it.
    """

    block: Block
    transactions: tuple[tuple[int, SignedTransaction], ...]
    canonical: bool = True


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class _Snapshot:
    number: int
    inner: object


class JournaledChain:
    """A chain that keeps a journal of what it mined; see :class:`~vpp_sim.chain.protocol.Chain`.

    Parameters
    ----------
    chain : Chain
        The backend; from now on it is used through here only.

    Attributes
    ----------
    first_block : int
        Number of the first block that the journal can hold.
    orphaned : int
        How many blocks reorganisations undid.

    Examples
    --------
    >>> from vpp_sim.chain.revm import RevmChain
    >>> chain = JournaledChain(RevmChain(accounts=1, seed=7, genesis_timestamp_s=1_000))
    >>> for time_s in (1_012, 1_024, 1_036):
    ...     block = chain.mine(time_s)
    >>> [found.block.number for found in chain.take(3)], len(chain)
    ([1, 2], 1)
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.first_block = chain.block_number + 1
        self.orphaned = 0
        self._known: dict[str, SignedTransaction] = {}
        self._mined: list[MinedBlock] = []
        self._taken = chain.block_number
        self._last_hash = ""

    # -- the journal

    @property
    def inner(self) -> Chain:
        """The backend."""
        return self._chain

    @property
    def last_hash(self) -> str:
        """Hash of the newest block that was mined through here and not undone; empty if there is none."""
        canonical = (mined.block.hash for mined in reversed(self._mined) if mined.canonical)
        return next(canonical, self._last_hash)

    def __len__(self) -> int:
        """Return how many blocks the journal holds."""
        return len(self._mined)

    def held_before(self, block: int) -> int:
        """Return how many blocks below this number the journal holds, undone ones not counted."""
        return max(block - 1 - self._taken, 0)

    def take(self, before_block: int | None = None) -> tuple[MinedBlock, ...]:
        """Hand out and forget blocks, in the order in which they were mined.

        Parameters
        ----------
        before_block : int, optional
            Only blocks below this number; by default all. A block that was handed out cannot be undone any more, so
            leave as many as the deepest reorganisation undoes.
        """
        taken: list[MinedBlock] = []
        kept: list[MinedBlock] = []
        for mined in self._mined:
            (taken if before_block is None or mined.block.number < before_block else kept).append(mined)
        canonical = [mined.block for mined in taken if mined.canonical]
        if canonical:
            self._taken, self._last_hash = canonical[-1].number, canonical[-1].hash
        self._mined = kept
        return tuple(taken)

    # -- what changes the chain

    def sign(
        self, transaction: Transaction, *, nonce: int | None = None, fees: Fees | None = None
    ) -> SignedTransaction:
        """Sign a transaction without sending it; see :meth:`Chain.sign`."""
        signed = self._chain.sign(transaction, nonce=nonce, fees=fees)
        self._remember(signed)
        return signed

    def send(self, raw: bytes) -> str:
        """Queue a signed transaction and return its hash; see :meth:`Chain.send`."""
        key = f"0x{keccak(raw).hex()}"
        known = self._known.get(key) or decode_transaction(raw)
        self._remember(known)  # before it leaves: a node that breaks off may have taken it
        return self._chain.send(raw)

    def submit(self, transaction: Transaction) -> str:
        """Sign a transaction with the next nonce, send it, and return its hash; see :meth:`Chain.submit`."""
        return self.send(self.sign(transaction).raw)

    def mine(self, timestamp_s: int) -> Block:
        """Mine the queued transactions into one block; see :meth:`Chain.mine`."""
        block = self._chain.mine(timestamp_s)
        found = [
            (position, signed)
            for position, receipt in enumerate(block.receipts)
            if (signed := self._known.pop(receipt.transaction, None)) is not None
        ]
        self._mined.append(MinedBlock(block, tuple(found)))
        return block

    def snapshot(self) -> object:
        """Return a token of the present state; see :meth:`Chain.snapshot`."""
        return _Snapshot(self.block_number, self._chain.snapshot())

    def restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`, and mark what came later as undone; see :meth:`Chain.restore`.

        Raises
        ------
        ChainError
            If it is no snapshot of this chain, or a block that it undoes was handed out.
        """
        if not isinstance(snapshot, _Snapshot):
            raise ChainError(f"not a snapshot of this chain: {snapshot!r}")
        if snapshot.number < self._taken:
            raise ChainError(f"cannot go back to block {snapshot.number}: block {self._taken} was recorded already")
        self._chain.restore(snapshot.inner)
        for at, mined in enumerate(self._mined):
            if mined.canonical and mined.block.number > snapshot.number:
                self._mined[at] = replace(mined, canonical=False)
                self.orphaned += 1
                for _, signed in mined.transactions:
                    self._remember(signed)  # it may be sent again

    def _remember(self, signed: SignedTransaction) -> None:
        self._known.pop(signed.hash, None)
        self._known[signed.hash] = signed
        if len(self._known) > _REMEMBERED_TRANSACTIONS:
            del self._known[next(iter(self._known))]

    # -- what only looks at it

    @property
    def accounts(self) -> tuple[str, ...]:
        """Addresses that it signs for."""
        return self._chain.accounts

    @property
    def wallet(self) -> Wallet:
        """The keys of `accounts`."""
        return self._chain.wallet

    @property
    def chain_id(self) -> int:
        """Number of the chain."""
        return self._chain.chain_id

    @property
    def block_number(self) -> int:
        """Height of the newest block."""
        return self._chain.block_number

    @property
    def timestamp_s(self) -> int:
        """Time of the newest block [s]."""
        return self._chain.timestamp_s

    @property
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""
        return self._chain.block_gas_limit

    @property
    def base_fee_wei(self) -> int:
        """Base fee of the next block [wei per gas]."""
        return self._chain.base_fee_wei

    @property
    def pending(self) -> int:
        """Number of transactions that wait for a block."""
        return self._chain.pending

    def nonce(self, account: str) -> int:
        """Return the nonce of the account's next transaction; see :meth:`Chain.nonce`."""
        return self._chain.nonce(account)

    def native_balance_wei(self, account: str) -> int:
        """Return what an account owns of the chain's own currency [wei]."""
        return self._chain.native_balance_wei(account)

    def suggested_fees(self) -> Fees:
        """Return fees with which a transaction is sure to be mined soon; see :meth:`Chain.suggested_fees`."""
        return self._chain.suggested_fees()

    def receipt(self, transaction: str) -> Receipt | None:
        """Return the receipt of a mined transaction; see :meth:`Chain.receipt`."""
        return self._chain.receipt(transaction)

    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data`; see :meth:`Chain.call`."""
        return self._chain.call(to, data)
