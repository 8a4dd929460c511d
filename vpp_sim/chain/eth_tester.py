"""The default backend: eth-tester's py-evm chain (Prague rules), with blocks mined at the caller's times.

eth-tester's own front end validates and converts every field of every answer, runs a transaction twice when automatic
mining is off, and finds a receipt by walking all blocks. This backend takes its chain set-up and drives the chain
beneath: a transaction is signed once, run once, and its receipt is taken from the block as it is mined. eth-tester
draws a random ``mix_hash`` for each block; this backend derives it from the parent's, so that runs repeat.

Memory stays flat: see :mod:`~vpp_sim.chain.pruning`.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from eth.constants import GENESIS_PARENT_HASH
from eth.exceptions import Revert, VMError
from eth.vm.spoof import SpoofTransaction
from eth_tester import EthereumTester, PyEVMBackend

from vpp_sim.chain.addresses import canonical_address, checksum_address
from vpp_sim.chain.local import NATIVE_BALANCE_WEI, LocalChain
from vpp_sim.chain.protocol import Block, CallRevertedError, Log, Receipt
from vpp_sim.chain.pruning import Pruner
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.local import NextBlock
    from vpp_sim.chain.wallet import Wallet

__all__ = ["EthTesterChain"]

_CALL_GAS = 30_000_000
_ABSENT = b""
_NOBODY = bytes(20)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class _Snapshot:
    header: Any


class EthTesterChain(LocalChain):
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

    @property
    def block_number(self) -> int:
        """Height of the newest block."""
        return int(self._chain.header.block_number) - 1

    @property
    def timestamp_s(self) -> int:
        """Time of the newest block [s]."""
        return int(self._head.timestamp)

    @property
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""
        return int(self._chain.header.gas_limit)

    @property
    def base_fee_wei(self) -> int:
        """Base fee of the next block [wei per gas]."""
        return int(self._chain.header.base_fee_per_gas)

    @property
    def tester(self) -> EthereumTester:
        """The same chain behind eth-tester's front end, for a web3 ``EthereumTesterProvider`` that looks on."""
        return EthereumTester(self._backend, auto_mine_transactions=False)

    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data`; see :meth:`Chain.call`."""
        unsigned = self._chain.create_unsigned_transaction(
            nonce=0, gas_price=0, gas=_CALL_GAS, to=canonical_address(to), value=0, data=data
        )
        state = self._state
        untouched = state.snapshot()
        try:
            computation = state.costless_execute_transaction(SpoofTransaction(unsigned, from_=_NOBODY))
            computation.raise_if_error()
        except Revert as error:
            raise CallRevertedError(bytes(error.args[0])) from error
        except VMError as error:
            raise ChainError(f"call to {to} failed: {error}") from error
        finally:
            state.revert(untouched)
        return bytes(computation.output)

    @property
    def _chain(self) -> Any:
        return self._backend.chain

    def _open(self, wallet: Wallet, genesis_timestamp_s: int) -> None:
        account = {"balance": NATIVE_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}
        self._backend: Any = PyEVMBackend(
            genesis_parameters=PyEVMBackend.generate_genesis_params({"timestamp": genesis_timestamp_s}),
            genesis_state={canonical_address(address): account for address in wallet.addresses},
        )
        self._backend.account_keys = wallet.keys  # else its front end spends from accounts of its own
        self._live: WeakSet[_Snapshot] = WeakSet()
        self._looking: ExitStack | None
        self._looked_at: Any
        self._read_head()
        self._pruner = Pruner(self._chain.chaindb.db)

    @property
    def _state(self) -> Any:
        """What the newest block left behind, to look at it and to try calls on; kept until the next block."""
        if self._looking is None:
            self._looking = ExitStack()
            self._looked_at = self._looking.enter_context(self._chain.get_vm(self._head).in_costless_state())
        return self._looked_at

    def _account(self, address: str) -> tuple[int, int]:
        canonical = canonical_address(address)
        return int(self._state.get_nonce(canonical)), int(self._state.get_balance(canonical))

    def _prevrandao(self) -> bytes:
        return bytes(self._head.mix_hash)

    def _mine(self, block: NextBlock, transactions: tuple[SignedTransaction, ...]) -> Block:
        self._chain.header = self._chain.header.copy(timestamp=block.timestamp_s, mix_hash=block.prevrandao)
        builder = self._chain.get_transaction_builder()
        result, receipts, computations = self._chain.mine_all([builder.decode(signed.raw) for signed in transactions])
        self._read_head()
        self._pruner.after_block(self._head, [kept.header for kept in self._live])
        mined = result.imported_block
        return Block(
            number=mined.number,
            hash=_hex(mined.hash),
            parent_hash=_hex(mined.header.parent_hash),
            timestamp_s=mined.header.timestamp,
            base_fee_wei=mined.header.base_fee_per_gas,
            gas_used=mined.header.gas_used,
            receipts=_receipts(mined.header, transactions, receipts, computations),
        )

    def _snapshot(self) -> object:
        snapshot = _Snapshot(self._head)
        self._live.add(snapshot)
        return snapshot

    def _restore(self, snapshot: object) -> None:
        if not isinstance(snapshot, _Snapshot):
            raise ChainError(f"not a snapshot of this chain: {snapshot!r}")
        chaindb = self._chain.chaindb
        chaindb._set_as_canonical_chain_head(chaindb.db, snapshot.header, GENESIS_PARENT_HASH)  # as eth-tester does
        self._chain.header = self._chain.create_header_from_parent(snapshot.header)
        self._read_head()

    def _read_head(self) -> None:
        """Take the header of the newest block; its state is built when somebody asks for an account."""
        self._head: Any = self._chain.get_canonical_head()
        self._looking = self._looked_at = None


def _receipts(
    header: Any,
    transactions: Sequence[SignedTransaction],
    receipts: Sequence[Any],
    computations: Sequence[Any],
) -> tuple[Receipt, ...]:
    converted = []
    gas_before = 0
    for signed, receipt, computation in zip(transactions, receipts, computations, strict=True):
        created = signed.to is None and computation.is_success
        converted.append(
            Receipt(
                transaction=signed.hash,
                block_number=header.block_number,
                timestamp_s=header.timestamp,
                gas_used=receipt.gas_used - gas_before,
                gas_price_wei=min(signed.max_fee_wei, header.base_fee_per_gas + signed.priority_fee_wei),
                succeeded=computation.is_success,
                contract=checksum_address(computation.msg.storage_address) if created else None,
                logs=tuple(_log(log) for log in receipt.logs),
                revert_data=b"" if computation.is_success else bytes(computation.output),
            )
        )
        gas_before = receipt.gas_used
    return tuple(converted)


def _log(log: Any) -> Log:
    topics = tuple(int(topic).to_bytes(32, "big") for topic in log.topics)
    return Log(address=checksum_address(log.address), topics=topics, data=bytes(log.data))


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
