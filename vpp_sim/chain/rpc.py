"""The backend for any node that speaks Ethereum's JSON-RPC: a test node, a test network, a consortium's chain.

Two kinds of node mine differently. anvil, ganache and hardhat mine on demand: here blocks are mined when the caller
says so and carry the caller's times, as on the chains inside the process, provided that the node's clock was started
early enough. Any other node has a clock and a block producer of its own: :meth:`RpcChain.mine` then waits for its next
block and returns that, whatever its time. Blocks are looked at one after the other, and calls are answered in the state
of the last that was, so a block that nobody looked at yet changes no answer.

The queue of waiting transactions is kept here too, with the same checks as on every chain, so that what is wrong is
told in the same words; the node checks again. What an earlier process sent and the node still holds is not in it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from vpp_sim.chain.addresses import checksum_address
from vpp_sim.chain.envelope import decode_transaction
from vpp_sim.chain.gas_rules import next_base_fee_wei
from vpp_sim.chain.json_rpc import JsonRpc, RpcError
from vpp_sim.chain.mempool import Mempool
from vpp_sim.chain.networks import require_test_network
from vpp_sim.chain.protocol import Block, CallRevertedError, Fees, Log, Receipt, TransactionRefusedError
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.protocol import Transaction
    from vpp_sim.chain.wallet import Wallet

__all__ = ["RpcChain"]

_LOG = logging.getLogger(__name__)

_CALL_GAS = 30_000_000
_NOBODY = "0x" + "00" * 20
_GWEI = 10**9
_POLL_S = 0.2
_KNOWN = ("already known", "already imported", "known transaction")
_TRANSIENT_STORAGE = "0x5f5c5f5260205ff3"
"""Creation code that reads transient storage, which came with Cancun, and returns 32 zeros."""


@dataclass(slots=True, eq=False)
class _Snapshot:
    """A node's snapshot; going back to one uses it up, so a new one takes its number."""

    token: str
    head: dict[str, Any]


class RpcChain:
    """A chain behind a node's JSON-RPC address; see :class:`~vpp_sim.chain.protocol.Chain`.

    Parameters
    ----------
    url : str
        Address of the node, ``http://`` or ``https://``.
    wallet : Wallet
        Keys that sign; the node never sees one.
    allow_main_network : bool
        First switch of :func:`~vpp_sim.chain.networks.require_test_network`.
    confirmed_network : str or None
        The second.
    priority_fee_wei : int
        Tip of a transaction that names no fees [wei per gas].
    patience_s : float
        How long to wait for an answer, and for a block of a node that mines by itself [s].

    Raises
    ------
    ChainError
        If the node does not answer, is on a main network that was not asked for twice, or is from before EIP-1559.
    """

    def __init__(
        self,
        url: str,
        wallet: Wallet,
        *,
        allow_main_network: bool = False,
        confirmed_network: str | None = None,
        priority_fee_wei: int = _GWEI,
        patience_s: float = 120.0,
    ) -> None:
        self._node, self._wallet = JsonRpc(url, timeout_s=patience_s), wallet
        self._priority_fee_wei, self._patience_s = priority_fee_wei, patience_s
        self._chain_id = int(self._node.call("eth_chainId"), 16)
        require_test_network(self._chain_id, allowed=allow_main_network, confirmed=confirmed_network)
        self._client = str(self._node.call("web3_clientVersion"))
        self._take_control()
        self._head: dict[str, Any] = self._node.call("eth_getBlockByNumber", "latest", False)
        if "baseFeePerGas" not in self._head:
            raise ChainError(f"node {self._node.host} is from before EIP-1559: its blocks have no base fee")
        self._states: dict[str, tuple[int, int]] = {}
        self._mempool = Mempool(self._chain_id, self.block_gas_limit, self._state)

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
        return self._chain_id

    @property
    def client(self) -> str:
        """What the node calls itself."""
        return self._client

    @property
    def mines_on_demand(self) -> bool:
        """Whether blocks come when they are asked for; else the node has a clock of its own."""
        return self._is("anvil", "ganache", "hardhat")

    @property
    def knows_cancun(self) -> bool:
        """Whether the node's EVM has the instructions of Cancun, which the contracts are compiled for."""
        try:
            return bool(
                self._node.call("eth_call", {"from": _NOBODY, "data": _TRANSIENT_STORAGE}, "latest") is not None
            )
        except RpcError:
            return False
        return True

    @property
    def block_number(self) -> int:
        """Height of the newest block that was looked at."""
        return int(self._head["number"], 16)

    @property
    def timestamp_s(self) -> int:
        """Time of that block [s]."""
        return int(self._head["timestamp"], 16)

    @property
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""
        return int(self._head["gasLimit"], 16)

    @property
    def base_fee_wei(self) -> int:
        """Base fee of the next block, by Ethereum's own parameters of EIP-1559 [wei per gas]."""
        head = self._head
        return next_base_fee_wei(int(head["baseFeePerGas"], 16), int(head["gasUsed"], 16), self.block_gas_limit)

    @property
    def pending(self) -> int:
        """Number of transactions that were sent through here and wait for a block."""
        return len(self._mempool)

    def nonce(self, account: str) -> int:
        """Return the nonce of the account's next transaction; see :meth:`Chain.nonce`."""
        return self._mempool.nonce(account)

    def native_balance_wei(self, account: str) -> int:
        """Return what an account owns of the chain's own currency [wei]."""
        return self._state(account)[1]

    def suggested_fees(self) -> Fees:
        """Return twice the base fee and the tip: enough for six full blocks."""
        return Fees(2 * self.base_fee_wei + self._priority_fee_wei, self._priority_fee_wei)

    def sign(
        self, transaction: Transaction, *, nonce: int | None = None, fees: Fees | None = None
    ) -> SignedTransaction:
        """Sign a transaction without sending it; see :meth:`Chain.sign`."""
        if nonce is None:
            nonce = self.nonce(transaction.sender)
        return self._wallet.sign(transaction, chain_id=self._chain_id, nonce=nonce, fees=fees or self.suggested_fees())

    def send(self, raw: bytes) -> str:
        """Send a signed transaction and return its hash; see :meth:`Chain.send`."""
        return self._send(decode_transaction(raw))

    def submit(self, transaction: Transaction) -> str:
        """Sign a transaction, send it, and return its hash; see :meth:`Chain.submit`."""
        return self._send(self.sign(transaction))

    def mine(self, timestamp_s: int) -> Block:
        """Mine a block now, or wait for the node's next; see :meth:`Chain.mine`.

        Raises
        ------
        ChainError
            If the time is not later on a node that mines on demand, or another node's next block does not come.
        """
        following = self.block_number + 1
        if self.mines_on_demand:
            if timestamp_s <= self.timestamp_s:
                raise ChainError(
                    f"block time {timestamp_s} s is not after that of block {self.block_number}, {self.timestamp_s} s"
                )
            self._node.call("evm_mine", timestamp_s)
        head = self._wait_for(following)
        self._states.clear()
        self._head = head
        self._mempool.drop(head["transactions"])
        receipts = self._node.batch(("eth_getTransactionReceipt", (key,)) for key in head["transactions"])
        timestamp_s = int(head["timestamp"], 16)
        return Block(
            number=following,
            hash=head["hash"],
            parent_hash=head["parentHash"],
            timestamp_s=timestamp_s,
            base_fee_wei=int(head["baseFeePerGas"], 16),
            gas_used=int(head["gasUsed"], 16),
            receipts=tuple(self._receipt(receipt, timestamp_s) for receipt in receipts),
        )

    def receipt(self, transaction: str) -> Receipt | None:
        """Return the receipt of a mined transaction as long as the node keeps it; see :meth:`Chain.receipt`."""
        found = self._node.call("eth_getTransactionReceipt", transaction)
        if found is None or int(found["blockNumber"], 16) > self.block_number:
            return None
        block = self._node.call("eth_getBlockByHash", found["blockHash"], False)
        return None if block is None else self._receipt(found, int(block["timestamp"], 16))

    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data`; see :meth:`Chain.call`."""
        message = {"from": _NOBODY, "to": to, "data": f"0x{data.hex()}", "gas": hex(_CALL_GAS)}
        try:
            return _bytes(self._node.call("eth_call", message, self._head["number"]))
        except RpcError as error:
            returned = _revert_data(error)
            if returned is None:
                raise ChainError(f"call to {to} failed: {error.message}") from error
            raise CallRevertedError(returned) from error

    def snapshot(self) -> object:
        """Return a token of the present state, if the node mines on demand; see :meth:`Chain.snapshot`."""
        self._require_control("take a snapshot")
        if self.pending:
            raise ChainError(f"cannot take a snapshot while {self.pending} transactions are pending")
        return _Snapshot(self._node.call("evm_snapshot"), self._head)

    def restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`; see :meth:`Chain.restore`."""
        if not isinstance(snapshot, _Snapshot) or not self._node.call("evm_revert", snapshot.token):
            raise ChainError(f"not a snapshot of this chain: {snapshot!r}")
        self._head = snapshot.head
        if self._is("anvil"):  # it would keep what waits, and the newer base fee
            self._node.call("anvil_dropAllTransactions")
            self._node.call("anvil_setNextBlockBaseFeePerGas", hex(self.base_fee_wei))
        snapshot.token = self._node.call("evm_snapshot")
        self._states.clear()
        self._mempool.clear()

    def endow(self, balance_wei: int) -> None:
        """Give each account native currency out of nothing, which only a test node does.

        Raises
        ------
        ChainError
            If the node is none.
        """
        self._require_control("hand out native currency")
        method = "evm_setAccountBalance" if self._is("ganache") else "hardhat_setBalance"
        self._node.batch((method, (account, hex(balance_wei))) for account in self.accounts)
        self._head = self._node.call("eth_getBlockByNumber", "latest", False)  # ganache mines a block for it
        self._states.clear()

    def close(self) -> None:
        """Close the connection to the node."""
        self._node.close()

    def _is(self, *programs: str) -> bool:
        return self._client.lower().startswith(programs)

    def _take_control(self) -> None:
        """Stop a test node from mining by itself."""
        if self._is("ganache"):
            self._node.call("miner_stop")
        elif self.mines_on_demand:
            self._node.batch([("evm_setAutomine", (False,)), ("evm_setIntervalMining", (0,))])

    def _require_control(self, action: str) -> None:
        if not self.mines_on_demand:
            raise ChainError(f"node {self._node.host} ({self._client}) cannot {action}: it is no test node")

    def _state(self, account: str) -> tuple[int, int]:
        """Return nonce and native balance [wei] of an account, asked for once a block."""
        if account not in self._states:
            nonce, balance = self._node.batch(
                (method, (account, self._head["number"])) for method in ("eth_getTransactionCount", "eth_getBalance")
            )
            self._states[account] = int(nonce, 16), int(balance, 16)
        return self._states[account]

    def _send(self, signed: SignedTransaction) -> str:
        if self._mempool.holds(signed.hash):
            return signed.hash
        undo = self._mempool.add(signed)
        try:
            self._node.call("eth_sendRawTransaction", f"0x{signed.raw.hex()}")
        except RpcError as error:
            if not any(known in error.message.lower() for known in _KNOWN):
                undo()
                raise TransactionRefusedError(signed.hash, f"the node says: {error.message}") from error
        return signed.hash

    def _wait_for(self, number: int) -> dict[str, Any]:
        """Return block `number` once the node has it."""
        give_up_s = monotonic() + self._patience_s
        while True:
            found: dict[str, Any] | None = self._node.call("eth_getBlockByNumber", hex(number), False)
            if found is not None:
                return found
            if monotonic() > give_up_s:
                raise ChainError(f"node {self._node.host} did not bring block {number} in {self._patience_s:g} s")
            sleep(_POLL_S)

    def _receipt(self, found: dict[str, Any], timestamp_s: int) -> Receipt:
        succeeded = int(found["status"], 16) == 1
        contract = found["contractAddress"] if succeeded else None
        return Receipt(
            transaction=found["transactionHash"],
            block_number=int(found["blockNumber"], 16),
            timestamp_s=timestamp_s,
            gas_used=int(found["gasUsed"], 16),
            gas_price_wei=int(found["effectiveGasPrice"], 16),
            succeeded=succeeded,
            contract=None if contract is None else checksum_address(contract),
            logs=tuple(_log(log) for log in found["logs"]),
            revert_data=b"" if succeeded else self._why(found),
        )

    def _why(self, found: dict[str, Any]) -> bytes:
        """Return what a failed transaction returned: from its trace, or else by calling it again on the block before.

        The second way misses what earlier transactions of the same block changed.
        """
        if not self._is("ganache"):  # it knows no tracer but that of every single instruction
            try:
                trace = self._node.call("debug_traceTransaction", found["transactionHash"], {"tracer": "callTracer"})
                return _bytes(trace.get("output", "0x"))
            except RpcError as error:
                _LOG.info("no trace of %s, calling it again: %s", found["transactionHash"], error)
        sent = self._node.call("eth_getTransactionByHash", found["transactionHash"])
        message = {"from": sent["from"], "data": sent["input"], "gas": sent["gas"], "value": sent["value"]}
        if sent["to"] is not None:
            message["to"] = sent["to"]
        try:
            self._node.call("eth_call", message, hex(int(found["blockNumber"], 16) - 1))
        except RpcError as error:
            return _revert_data(error) or b""
        return b""


def _revert_data(error: RpcError) -> bytes | None:
    """Return what a reverted call returned, wherever the node puts it; None if the error is another."""
    data = error.data
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    if isinstance(data, str) and data.startswith("0x"):
        return _bytes(data)
    return b"" if "revert" in error.message.lower() else None


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _log(log: dict[str, Any]) -> Log:
    topics = tuple(_bytes(topic) for topic in log["topics"])
    return Log(address=checksum_address(log["address"]), topics=topics, data=_bytes(log["data"]))
