"""The fast backend: revm, the Rust EVM, in this process, with blocks, receipts and signatures around it.

pyrevm runs messages; this module makes a chain of it. Signatures, nonces and balances are checked in the queue; fees
are taken here as EIP-1559 says; each transaction runs cold (:mod:`~vpp_sim.chain.revm_state`), so its gas is py-evm's
to the unit, with the floor under call data (EIP-7623), which this revm does not know yet, put under it. Instructions
are those of Cancun, to which Prague adds none.

Three things differ from a real chain. There is no state root, so the hash of a block is a digest of its content and not
of an Ethereum header. The ``BASEFEE`` instruction answers 0 and ``BLOCKHASH`` something arbitrary, since pyrevm lets
neither be set; no contract here uses them. And Prague's new precompiles (BLS12-381) are missing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from pyrevm import EVM, BlockEnv, CfgEnv, Env

from vpp_sim.chain.addresses import checksum_address, created_address
from vpp_sim.chain.gas_rules import floor_gas, next_base_fee_wei
from vpp_sim.chain.local import (
    GENESIS_BASE_FEE_WEI,
    NATIVE_BALANCE_WEI,
    LocalChain,
)
from vpp_sim.chain.protocol import Block, CallRevertedError, Log, Receipt
from vpp_sim.chain.revm_state import Account, Checkpoint, State, read_changes
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from pyrevm import Log as RevmLog

    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.local import NextBlock
    from vpp_sim.chain.wallet import Wallet

__all__ = ["RevmChain"]

_SPEC = "Cancun"
_BLOCK_GAS_LIMIT = 30_029_122
"""As eth-tester's [gas]."""
_CALL_GAS = 30_000_000
_NOBODY = "0x" + "00" * 20
_REVERT = re.compile(r"Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}")


@dataclass(frozen=True, slots=True)
class _Outcome:
    succeeded: bool
    gas_used: int
    output: bytes
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    head: Block
    prevrandao: bytes
    checkpoint: Checkpoint


class RevmChain(LocalChain):
    """A chain on the Rust EVM in this process; see :class:`~vpp_sim.chain.protocol.Chain`.

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
    >>> chain = RevmChain(accounts=1, seed=7, genesis_timestamp_s=1_000)
    >>> chain.mine(1_012).timestamp_s, chain.block_number
    (1012, 1)
    """

    @property
    def block_number(self) -> int:
        """Height of the newest block."""
        return self._head.number

    @property
    def timestamp_s(self) -> int:
        """Time of the newest block [s]."""
        return self._head.timestamp_s

    @property
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""
        return _BLOCK_GAS_LIMIT

    @property
    def base_fee_wei(self) -> int:
        """Base fee of the next block [wei per gas]."""
        return next_base_fee_wei(self._head.base_fee_wei, self._head.gas_used, _BLOCK_GAS_LIMIT)

    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data`; see :meth:`Chain.call`."""
        checkpoint = self._evm.snapshot()
        try:
            return self._evm.message_call(_NOBODY, to, calldata=data, gas=_CALL_GAS)
        except RuntimeError as error:
            reverted = _REVERT.fullmatch(str(error))
            if reverted is None:
                raise ChainError(f"call to {to} failed: {error}") from error
            raise CallRevertedError(bytes.fromhex(reverted[1])) from error
        finally:
            self._evm.revert(checkpoint)

    def storage(self, contract: str, slot: int) -> int:
        """Return a storage slot of a contract in the newest block."""
        checkpoint = self._evm.snapshot()
        try:
            return self._evm.storage(contract, slot)
        finally:
            self._evm.revert(checkpoint)

    def _open(self, wallet: Wallet, genesis_timestamp_s: int) -> None:
        self._random = bytes(32)
        self._evm = EVM(
            env=Env(cfg=CfgEnv(chain_id=self.chain_id), block=_environment(0, genesis_timestamp_s, self._random)),
            gas_limit=_BLOCK_GAS_LIMIT,
            spec_id=_SPEC,
        )
        self._state = State(self._evm)
        for address in wallet.addresses:
            self._state.put(address, Account(balance_wei=NATIVE_BALANCE_WEI))
        self._head = _sealed(
            Block(
                number=0,
                hash="",
                parent_hash="0x" + "00" * 32,
                timestamp_s=genesis_timestamp_s,
                base_fee_wei=GENESIS_BASE_FEE_WEI,
                gas_used=0,
                receipts=(),
            ),
            "".join(wallet.addresses).encode(),
        )

    def _account(self, address: str) -> tuple[int, int]:
        account = self._state.account(address)
        return account.nonce, account.balance_wei

    def _prevrandao(self) -> bytes:
        return self._random

    def _mine(self, block: NextBlock, transactions: tuple[SignedTransaction, ...]) -> Block:
        number, base_fee_wei = self._head.number + 1, self.base_fee_wei
        self._evm.set_block_env(_environment(number, block.timestamp_s, block.prevrandao))
        receipts = tuple(self._run(signed, number, block.timestamp_s, base_fee_wei) for signed in transactions)
        self._random = block.prevrandao
        self._state.forget()
        self._head = _sealed(
            Block(
                number=number,
                hash="",
                parent_hash=self._head.hash,
                timestamp_s=block.timestamp_s,
                base_fee_wei=base_fee_wei,
                gas_used=sum(receipt.gas_used for receipt in receipts),
                receipts=receipts,
            ),
            block.prevrandao,
        )
        return self._head

    def _run(self, signed: SignedTransaction, number: int, timestamp_s: int, base_fee_wei: int) -> Receipt:
        """Run one transaction: take the gas in advance, run it, give back what it did not use."""
        price_wei = min(signed.max_fee_wei, base_fee_wei + signed.priority_fee_wei)
        sender = self._state.account(signed.sender)
        creates = signed.to is None
        paid = replace(
            sender,
            balance_wei=sender.balance_wei - signed.gas_limit * price_wei,
            nonce=sender.nonce if creates else sender.nonce + 1,  # revm itself counts up for a creation
        )
        self._state.put(signed.sender, paid)
        outcome = self._execute(signed, price_wei)
        after = self._state.account(signed.sender)
        self._state.put(
            signed.sender,
            replace(
                after,
                balance_wei=after.balance_wei + (signed.gas_limit - outcome.gas_used) * price_wei,
                nonce=signed.nonce + 1,
            ),
        )
        self._tip(outcome.gas_used * (price_wei - base_fee_wei))
        return Receipt(
            transaction=signed.hash,
            block_number=number,
            timestamp_s=timestamp_s,
            gas_used=outcome.gas_used,
            gas_price_wei=price_wei,
            succeeded=outcome.succeeded,
            contract=created_address(signed.sender, signed.nonce) if creates and outcome.succeeded else None,
            logs=outcome.logs,
            revert_data=b"" if outcome.succeeded else outcome.output,
        )

    def _execute(self, signed: SignedTransaction, price_wei: int) -> _Outcome:
        """Run a transaction's message cold, and write what it changed into the database."""
        evm = self._evm
        checkpoint = evm.snapshot()
        try:
            output = self._message(signed, price_wei)
        except RuntimeError as error:
            reverted = _REVERT.fullmatch(str(error))
            output = bytes.fromhex(reverted[1]) if reverted else b""
        result = evm.result
        if result is None:
            raise ChainError(f"revm cannot run transaction {signed.hash}")
        changes = read_changes(evm.journal_str, self._state.account) if result.is_success else []
        logs = tuple(_log(log) for log in result.logs) if result.is_success else ()
        evm.revert(checkpoint)
        self._state.apply(changes)
        return _Outcome(result.is_success, max(result.gas_used, floor_gas(signed.data)), output, logs)

    def _message(self, signed: SignedTransaction, price_wei: int) -> bytes:
        if signed.to is None:
            self._evm.deploy(signed.sender, signed.data, value=signed.value_wei, gas=signed.gas_limit)
            return b""
        return self._evm.message_call(
            signed.sender,
            signed.to,
            calldata=signed.data,
            value=signed.value_wei,
            gas=signed.gas_limit,
            gas_price=price_wei,
        )

    def _tip(self, tip_wei: int) -> None:
        """Pay the tip to the block's beneficiary, the zero address."""
        if tip_wei:
            account = self._state.account(_NOBODY)
            self._state.put(_NOBODY, replace(account, balance_wei=account.balance_wei + tip_wei))

    def _snapshot(self) -> object:
        return _Snapshot(self._head, self._random, self._state.checkpoint())

    def _restore(self, snapshot: object) -> None:
        if not isinstance(snapshot, _Snapshot) or not self._state.knows(snapshot.checkpoint):
            raise ChainError(f"not a snapshot of this chain: {snapshot!r}")
        self._state.undo_to(snapshot.checkpoint)
        self._head, self._random = snapshot.head, snapshot.prevrandao
        self._evm.set_block_env(_environment(self._head.number, self._head.timestamp_s, self._random))


def _environment(number: int, timestamp_s: int, prevrandao: bytes) -> BlockEnv:
    return BlockEnv(
        number=number,
        coinbase=_NOBODY,
        timestamp=timestamp_s,
        prevrandao=prevrandao,
        gas_limit=_BLOCK_GAS_LIMIT,
    )


def _sealed(block: Block, extra: bytes) -> Block:
    """Return the block with its hash: SHA-256 of all that it says, and of `extra`, as Python writes it down.

    There is no header with a state root whose hash it could be; a cheap one that depends on everything is enough.
    """
    receipts = [
        (
            receipt.transaction,
            receipt.gas_used,
            receipt.succeeded,
            receipt.revert_data,
            [(log.address, log.topics, log.data) for log in receipt.logs],
        )
        for receipt in block.receipts
    ]
    numbers = (block.number, block.timestamp_s, block.base_fee_wei, block.gas_used)
    content = repr((block.parent_hash, numbers, extra, receipts))
    return replace(block, hash=f"0x{sha256(content.encode()).hexdigest()}")


def _log(log: RevmLog) -> Log:
    _, data = log.data
    return Log(
        address=checksum_address(log.address),
        topics=tuple(bytes.fromhex(topic.removeprefix("0x")) for topic in log.topics),
        data=bytes(data),
    )
