"""What the chains inside the process share: accounts, the queue, checked block times, and remembered receipts.

A backend adds an EVM: it runs the transactions of one block, reads accounts, answers calls and goes back to a snapshot.
What a contract sees of its block is alike on each: number, time, chain id, gas limit and ``PREVRANDAO``, which is no
random number here but the hash of the one before, so that runs repeat.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from vpp_sim.chain.envelope import decode_transaction
from vpp_sim.chain.mempool import Mempool
from vpp_sim.chain.protocol import Fees
from vpp_sim.chain.wallet import Wallet
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.protocol import Block, Receipt, Transaction

__all__ = ["CHAIN_ID", "GENESIS_BASE_FEE_WEI", "NATIVE_BALANCE_WEI", "REMEMBERED_BLOCKS", "LocalChain", "NextBlock"]

CHAIN_ID = 131_277_322_940_537
"""Chain id of every chain inside the process; it is eth-tester's, and nobody else's."""
NATIVE_BALANCE_WEI = 10**24
"""What each development account starts with [wei]."""
GENESIS_BASE_FEE_WEI = 10**9
"""Base fee of the genesis block, as EIP-1559 sets it [wei per gas]."""
REMEMBERED_BLOCKS = 256
"""How many blocks back a receipt can be asked for, and a block by the ``BLOCKHASH`` instruction."""

_DEFAULT_FEES = Fees(max_wei=100 * 10**9, priority_wei=0)


@dataclass(frozen=True, slots=True)
class NextBlock:
    """What is settled about a block before it is mined.

    Attributes
    ----------
    timestamp_s : int
        Its time [s].
    prevrandao : bytes
        What the ``PREVRANDAO`` instruction answers, 32 bytes.
    """

    timestamp_s: int
    prevrandao: bytes


class LocalChain(ABC):
    """A chain in this process; see :class:`~vpp_sim.chain.protocol.Chain`.

    Parameters
    ----------
    accounts : int
        How many development accounts to create, at least one.
    seed : int
        What their keys derive from.
    genesis_timestamp_s : int
        Time of block 0, as Unix time; every block is later [s].

    Raises
    ------
    ChainError
        If there is no account, or the time is negative.
    """

    def __init__(self, *, accounts: int, seed: int, genesis_timestamp_s: int) -> None:
        if genesis_timestamp_s < 0:
            raise ChainError(f"genesis time is negative: {genesis_timestamp_s} s")
        self._wallet = Wallet.of_seed(seed, accounts=accounts)
        self._open(self._wallet, genesis_timestamp_s)
        self._mempool = Mempool(self.chain_id, self.block_gas_limit, self._account)
        self._receipts: dict[str, Receipt] = {}
        self._signed: dict[bytes, SignedTransaction] = {}

    @property
    def accounts(self) -> tuple[str, ...]:
        """Addresses that it signs for."""
        return self._wallet.addresses

    @property
    def wallet(self) -> Wallet:
        """The keys of `accounts`, for what is signed beside transactions."""
        return self._wallet

    @property
    def chain_id(self) -> int:
        """Number of the chain."""
        return CHAIN_ID

    @property
    @abstractmethod
    def block_number(self) -> int:
        """Height of the newest block."""

    @property
    @abstractmethod
    def timestamp_s(self) -> int:
        """Time of the newest block [s]."""

    @property
    @abstractmethod
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""

    @property
    @abstractmethod
    def base_fee_wei(self) -> int:
        """Base fee of the next block [wei per gas]."""

    @property
    def pending(self) -> int:
        """Number of transactions that wait for a block."""
        return len(self._mempool)

    def nonce(self, account: str) -> int:
        """Return the nonce of the account's next transaction; see :meth:`Chain.nonce`."""
        return self._mempool.nonce(account)

    def native_balance_wei(self, account: str) -> int:
        """Return what an account owns of the chain's own currency [wei]."""
        return self._account(account)[1]

    def suggested_fees(self) -> Fees:
        """Return fees far above any base fee of a chain whose blocks are never full."""
        return _DEFAULT_FEES

    def sign(
        self, transaction: Transaction, *, nonce: int | None = None, fees: Fees | None = None
    ) -> SignedTransaction:
        """Sign a transaction without sending it; see :meth:`Chain.sign`."""
        if nonce is None:
            nonce = self.nonce(transaction.sender)
        signed = self._wallet.sign(transaction, chain_id=self.chain_id, nonce=nonce, fees=fees or _DEFAULT_FEES)
        self._signed[signed.raw] = signed
        return signed

    def send(self, raw: bytes) -> str:
        """Queue a signed transaction and return its hash; see :meth:`Chain.send`."""
        signed = self._signed.get(raw)  # by this wallet since the newest block: no need to recover who did
        return self._queue(decode_transaction(raw) if signed is None else signed)

    def submit(self, transaction: Transaction) -> str:
        """Sign a transaction, queue it, and return its hash; see :meth:`Chain.submit`."""
        return self._queue(self.sign(transaction))

    def mine(self, timestamp_s: int) -> Block:
        """Mine the queued transactions into one block; see :meth:`Chain.mine`."""
        if timestamp_s <= self.timestamp_s:
            raise ChainError(
                f"block time {timestamp_s} s is not after that of block {self.block_number}, {self.timestamp_s} s"
            )
        prevrandao = sha256(self._prevrandao()).digest()
        block = self._mine(NextBlock(timestamp_s, prevrandao), self._mempool.take(self.base_fee_wei))
        self._signed.clear()
        self._receipts |= {receipt.transaction: receipt for receipt in block.receipts}
        self._forget(block.number - REMEMBERED_BLOCKS)
        return block

    def receipt(self, transaction: str) -> Receipt | None:
        """Return the receipt of a transaction of the newest blocks; see :meth:`Chain.receipt`."""
        return self._receipts.get(transaction)

    @abstractmethod
    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data`; see :meth:`Chain.call`."""

    def snapshot(self) -> object:
        """Return a token of the present state; see :meth:`Chain.snapshot`."""
        if self.pending:
            raise ChainError(f"cannot take a snapshot while {self.pending} transactions are pending")
        return self._snapshot()

    def restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`; see :meth:`Chain.restore`."""
        self._restore(snapshot)
        self._mempool.clear()
        newest = self.block_number
        self._receipts = {key: receipt for key, receipt in self._receipts.items() if receipt.block_number <= newest}

    def _queue(self, signed: SignedTransaction) -> str:
        self._mempool.add(signed)
        return signed.hash

    def _forget(self, block_number: int) -> None:
        """Forget receipts of this block and of those before it; they stand in order."""
        while self._receipts:
            oldest = next(iter(self._receipts.values()))
            if oldest.block_number > block_number:
                break
            del self._receipts[oldest.transaction]

    @abstractmethod
    def _open(self, wallet: Wallet, genesis_timestamp_s: int) -> None:
        """Make the genesis block, in which each account of the wallet owns its native balance."""

    @abstractmethod
    def _account(self, address: str) -> tuple[int, int]:
        """Return nonce and native balance [wei] in the newest block."""

    @abstractmethod
    def _prevrandao(self) -> bytes:
        """Return the newest block's, 32 bytes."""

    @abstractmethod
    def _mine(self, block: NextBlock, transactions: tuple[SignedTransaction, ...]) -> Block:
        """Run transactions that the queue has checked, in a new block."""

    @abstractmethod
    def _snapshot(self) -> object:
        """Return a token of the present state."""

    @abstractmethod
    def _restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`."""
