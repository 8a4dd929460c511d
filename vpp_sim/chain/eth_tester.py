"""The in-process backend: eth-tester's py-evm chain (Prague rules), with blocks mined at the caller's times.

eth-tester's own front end validates and converts every field of every answer, runs a transaction twice when automatic
mining is off, and finds a receipt by walking all blocks. This backend takes its chain set-up and drives the chain
beneath: a transaction is signed once, run once, and its receipt is taken from the block as it is mined. eth-tester
draws a random ``mix_hash`` for each block; this backend derives it from the parent's hash, so that runs repeat.

Memory grows by the state that each block touches; a block is never forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from eth.exceptions import Revert, VMError
from eth.vm.spoof import SpoofTransaction
from eth_keys.datatypes import PrivateKey
from eth_tester import EthereumTester, PyEVMBackend
from eth_utils.address import to_canonical_address, to_checksum_address

from vpp_sim.chain.protocol import Block, CallRevertedError, Log, Receipt, Transaction
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EthTesterChain", "development_key"]

_NATIVE_BALANCE_WEI = 10**24
_MAX_FEE_WEI = 100 * 10**9
_CALL_GAS = 30_000_000
_ABSENT = b""
_NOBODY = bytes(20)


def development_key(seed: int, index: int) -> PrivateKey:
    """Return the private key of development account `index`; never to be used with real money.

    Examples
    --------
    >>> development_key(7, 0).public_key.to_checksum_address()
    '0x...'
    """
    return PrivateKey(sha256(f"vpp_sim development key {seed}/{index}".encode()).digest())


@dataclass(frozen=True, slots=True)
class _Snapshot:
    head_hash: bytes
    nonces: tuple[tuple[str, int], ...]


class EthTesterChain:
    """A py-evm chain in this process; see :class:`~vpp_sim.chain.protocol.Chain`.

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

    Examples
    --------
    >>> chain = EthTesterChain(accounts=1, seed=7, genesis_timestamp_s=1_000)
    >>> chain.mine(1_012).timestamp_s, chain.block_number
    (1012, 1)
    """

    def __init__(self, *, accounts: int, seed: int, genesis_timestamp_s: int) -> None:
        if accounts < 1:
            raise ChainError(f"a chain needs at least one account, not {accounts}")
        if genesis_timestamp_s < 0:
            raise ChainError(f"genesis time is negative: {genesis_timestamp_s} s")
        keys = tuple(development_key(seed, index) for index in range(accounts))
        self._keys: dict[str, PrivateKey] = {key.public_key.to_checksum_address(): key for key in keys}
        self._backend = _new_backend(keys, genesis_timestamp_s)
        self._nonces: dict[str, int] = dict.fromkeys(self._keys, 0)
        self._pending: list[Any] = []

    @property
    def accounts(self) -> tuple[str, ...]:
        """Addresses that it signs for."""
        return tuple(self._keys)

    @property
    def block_number(self) -> int:
        """Height of the newest block."""
        return int(self._chain.header.block_number) - 1

    @property
    def timestamp_s(self) -> int:
        """Time of the newest block [s]."""
        return int(self._head().timestamp)

    @property
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""
        return int(self._chain.header.gas_limit)

    @property
    def pending(self) -> int:
        """Number of transactions that wait for a block."""
        return len(self._pending)

    @property
    def tester(self) -> EthereumTester:
        """The same chain behind eth-tester's front end, for a web3 ``EthereumTesterProvider`` that looks on."""
        return EthereumTester(self._backend, auto_mine_transactions=False)

    def submit(self, transaction: Transaction) -> str:
        """Sign a transaction, queue it, and return its hash; see :meth:`Chain.submit`."""
        key = self._keys.get(transaction.sender)
        if key is None:
            raise ChainError(f"no key for sender {transaction.sender}")
        if transaction.gas_limit > self.block_gas_limit:
            raise ChainError(f"gas limit {transaction.gas_limit} exceeds a block's {self.block_gas_limit}")
        nonce = self._nonces[transaction.sender]
        unsigned = self._chain.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self._chain.chain_id,
            nonce=nonce,
            max_priority_fee_per_gas=0,
            max_fee_per_gas=_MAX_FEE_WEI,
            gas=transaction.gas_limit,
            to=_ABSENT if transaction.to is None else to_canonical_address(transaction.to),
            value=0,
            data=transaction.data,
            access_list=(),
        )
        signed = unsigned.as_signed_transaction(key)
        self._nonces[transaction.sender] = nonce + 1
        self._pending.append(signed)
        return _hex(signed.hash)

    def mine(self, timestamp_s: int) -> Block:
        """Mine the queued transactions into one block; see :meth:`Chain.mine`."""
        head = self._head()
        if timestamp_s <= head.timestamp:
            raise ChainError(
                f"block time {timestamp_s} s is not after that of block {self.block_number}, {head.timestamp} s"
            )
        fitting = self._fitting()
        self._chain.header = self._chain.header.copy(timestamp=timestamp_s, mix_hash=sha256(head.hash).digest())
        result, receipts, computations = self._chain.mine_all(self._pending[:fitting])
        del self._pending[:fitting]
        block = result.imported_block
        return Block(
            number=block.number,
            hash=_hex(block.hash),
            timestamp_s=block.header.timestamp,
            gas_used=block.header.gas_used,
            receipts=_receipts(block, receipts, computations),
        )

    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data`; see :meth:`Chain.call`."""
        unsigned = self._chain.create_unsigned_transaction(
            nonce=0, gas_price=0, gas=_CALL_GAS, to=to_canonical_address(to), value=0, data=data
        )
        spoofed = SpoofTransaction(unsigned, from_=_NOBODY)
        try:
            return bytes(self._chain.get_transaction_result(spoofed, self._head()))
        except Revert as error:
            raise CallRevertedError(bytes(error.args[0])) from error
        except VMError as error:
            raise ChainError(f"call to {to} failed: {error}") from error

    def snapshot(self) -> object:
        """Return a token of the present state; see :meth:`Chain.snapshot`."""
        if self._pending:
            raise ChainError(f"cannot take a snapshot while {self.pending} transactions are pending")
        return _Snapshot(self._backend.take_snapshot(), tuple(self._nonces.items()))

    def restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`; see :meth:`Chain.restore`."""
        if not isinstance(snapshot, _Snapshot):
            raise ChainError(f"not a snapshot of this chain: {snapshot!r}")
        self._backend.revert_to_snapshot(snapshot.head_hash)
        self._nonces = dict(snapshot.nonces)
        self._pending.clear()

    @property
    def _chain(self) -> Any:
        return self._backend.chain

    def _head(self) -> Any:
        return self._chain.get_canonical_head()

    def _fitting(self) -> int:
        """Return how many queued transactions fit into a block even if each uses up its limit."""
        gas = 0
        for count, transaction in enumerate(self._pending):
            gas += transaction.gas
            if gas > self.block_gas_limit:
                return count
        return len(self._pending)


def _new_backend(keys: Sequence[PrivateKey], genesis_timestamp_s: int) -> Any:
    account = {"balance": _NATIVE_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}
    backend = PyEVMBackend(
        genesis_parameters=PyEVMBackend.generate_genesis_params({"timestamp": genesis_timestamp_s}),
        genesis_state={key.public_key.to_canonical_address(): account for key in keys},
    )
    backend.account_keys = tuple(keys)
    return backend


def _receipts(block: Any, receipts: Sequence[Any], computations: Sequence[Any]) -> tuple[Receipt, ...]:
    converted = []
    gas_before = 0
    for transaction, receipt, computation in zip(block.transactions, receipts, computations, strict=True):
        created = transaction.to == _ABSENT and computation.is_success
        converted.append(
            Receipt(
                transaction=_hex(transaction.hash),
                block_number=block.number,
                gas_used=receipt.gas_used - gas_before,
                succeeded=computation.is_success,
                contract=to_checksum_address(computation.msg.storage_address) if created else None,
                logs=tuple(_log(log) for log in receipt.logs),
                revert_data=b"" if computation.is_success else bytes(computation.output),
            )
        )
        gas_before = receipt.gas_used
    return tuple(converted)


def _log(log: Any) -> Log:
    topics = tuple(int(topic).to_bytes(32, "big") for topic in log.topics)
    return Log(address=to_checksum_address(log.address), topics=topics, data=bytes(log.data))


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
