"""A chain that misbehaves as nodes and networks do, around one that does not: lost and late transactions, dear gas, a
node that is down, and reorganisations.

The network's queue is kept here, and a block's transactions go into the wrapped chain only as that block is mined, so
between blocks the wrapped chain has nothing pending and can be taken back to an earlier block. Two views are kept
apart. The sender's own node (a :class:`~vpp_sim.chain.mempool.Mempool`) believes that everything it accepted waits; it
refuses what the wrapped chain would, counts nonces, and asks a replacement for a tenth more. The block producers
(:class:`~vpp_sim.chain.gossip.Gossip`) know what reached them. A transaction that was lost is in the first view alone:
sending the same bytes again sends it out again, and it may be lost again.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vpp_sim.chain.envelope import decode_transaction
from vpp_sim.chain.gossip import Gossip, Heard
from vpp_sim.chain.mempool import Mempool
from vpp_sim.chain.protocol import Fees, NodeDownError, TransactionRefusedError
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from vpp_sim.chain.envelope import SignedTransaction
    from vpp_sim.chain.faults import FaultSchedule, Reorganisation
    from vpp_sim.chain.protocol import Block, Chain, Receipt, Transaction
    from vpp_sim.chain.wallet import Wallet

__all__ = ["UnreliableChain"]

_LOG = logging.getLogger(__name__)

_REMEMBERED_BLOCKS = 10_000


@dataclass(frozen=True, slots=True)
class _Recent:
    """A block that a reorganisation may undo: the state before it, its time, and what was in it, in order."""

    before: object
    timestamp_s: int
    heard: tuple[Heard, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Snapshot:
    inner: object


class UnreliableChain:
    """A chain with faults; see :class:`~vpp_sim.chain.protocol.Chain`.

    While the node is down, whatever is asked of it raises :class:`~vpp_sim.chain.protocol.NodeDownError`. Three things
    are no requests and always work: what the sender knows herself (`accounts`, `wallet`, `chain_id`, `block_gas_limit`,
    and :meth:`sign` if nonce and fees are given); `pending`, by which a block producer sees whether there is work; and
    :meth:`mine`, which is the network's doing. Its result is for the producer and for who records the chain. A client
    must learn what became of its transactions from :meth:`receipt`, and ask again until they are deep enough: a block
    that :meth:`mine` returned once may be gone later, and others come in its place without being returned; they are in
    `mined`.

    With an empty schedule and no price of gas it does what the wrapped chain does, hash by hash.

    Parameters
    ----------
    chain : Chain
        What it wraps: one whose blocks are mined on demand, with nothing pending, and from now on driven through here
        alone.
    schedule : FaultSchedule
        What goes wrong, and when.
    rng : numpy.random.Generator
        Draws the fate of single transactions; the same generator and the same later calls give the same blocks.
    block_time_s : int
        Mean time between blocks; a reorganisation of depth k undoes only blocks of the last k block times, since older
        ones have blocks above them, though a simulation may not have mined these [s].
    gas_price_wei : int, default 0
        The market's price of gas outside fee spikes, which receipts then show; 0 leaves it to the wrapped chain's base
        fee [wei per gas].
    now : callable, optional
        The present as Unix time [s]; by default the time of the newest block.

    Raises
    ------
    ChainError
        If transactions are pending on the wrapped chain, or block time or price make no sense.

    Examples
    --------
    >>> import numpy as np
    >>> from vpp_sim.chain.faults import FaultSchedule, Interval
    >>> from vpp_sim.chain.revm import RevmChain
    >>> schedule = FaultSchedule(start_s=1_000, outages=(Interval(1_010, 1_020),))
    >>> inner = RevmChain(accounts=1, seed=7, genesis_timestamp_s=1_000)
    >>> chain = UnreliableChain(inner, schedule, np.random.default_rng(7), block_time_s=12)
    >>> chain.mine(1_012).number
    1
    >>> chain.block_number
    Traceback (most recent call last):
    vpp_sim.chain.protocol.NodeDownError: the node does not answer at 1012 s
    """

    def __init__(
        self,
        chain: Chain,
        schedule: FaultSchedule,
        rng: np.random.Generator,
        *,
        block_time_s: int,
        gas_price_wei: int = 0,
        now: Callable[[], int] | None = None,
    ) -> None:
        if chain.pending:
            raise ChainError(f"cannot wrap a chain on which {chain.pending} transactions are pending")
        if block_time_s < 1 or gas_price_wei < 0:
            raise ChainError(f"block time {block_time_s} s is less than 1 s, or gas price {gas_price_wei} wei negative")
        self._chain, self._schedule = chain, schedule
        self._block_time_s, self._gas_price_wei = block_time_s, gas_price_wei
        self._now = now or (lambda: chain.timestamp_s)
        self._sending, self._undoing = rng.spawn(2)
        self._node = Mempool(chain.chain_id, chain.block_gas_limit, self._state)
        self._waiting: dict[tuple[str, int], str] = {}  # what the node's queue holds
        self._network = Gossip()
        self._to_come = list(schedule.reorganisations)
        self._recent: deque[_Recent] = deque(maxlen=schedule.deepest)
        self._receipts: dict[str, Receipt] = {}
        self._signed: dict[bytes, SignedTransaction] = {}
        self._mined: tuple[Block, ...] = ()
        self._latest_s = 0
        self._counts = dict.fromkeys(
            (
                "transactions dropped",
                "transactions delayed",
                "blocks in fee spikes",
                "requests refused by the node",
                "reorganisations",
                "reorganisations without a recent block",
                "blocks undone",
                "transactions undone",
            ),
            0,
        )

    @property
    def inner(self) -> Chain:
        """The wrapped chain, which does not misbehave: for who judges what became of it."""
        return self._chain

    @property
    def schedule(self) -> FaultSchedule:
        """What goes wrong, and when."""
        return self._schedule

    @property
    def counts(self) -> dict[str, int]:
        """What every kind of fault did until now, by its name."""
        waiting = sum(found.waits and found.time_s <= self._latest_s for found in self._to_come)
        idle = self._counts["reorganisations without a recent block"] + waiting
        outages = self._schedule.outages_until(self._latest_s)
        return {
            **self._counts,
            "reorganisations without a recent block": idle,
            "node outages": outages,
            "faults asked for after the end of the run": self._schedule.after_end,
        }

    @property
    def mined(self) -> tuple[Block, ...]:
        """The blocks of the latest :meth:`mine`: those in place of undone ones first, then the one it returned."""
        return self._mined

    @property
    def accounts(self) -> tuple[str, ...]:
        """Addresses that it signs for."""
        return self._chain.accounts

    @property
    def wallet(self) -> Wallet:
        """The keys of `accounts`, for what is signed beside transactions."""
        return self._chain.wallet

    @property
    def chain_id(self) -> int:
        """Number of the chain."""
        return self._chain.chain_id

    @property
    def block_gas_limit(self) -> int:
        """The most gas that one block holds [gas]."""
        return self._chain.block_gas_limit

    @property
    def block_number(self) -> int:
        """Height of the newest block."""
        return self._asked().block_number

    @property
    def timestamp_s(self) -> int:
        """Time of the newest block [s]."""
        return self._asked().timestamp_s

    @property
    def base_fee_wei(self) -> int:
        """Base fee of the wrapped chain's next block, which knows nothing of the market's price [wei per gas]."""
        return self._asked().base_fee_wei

    @property
    def gas_price_wei(self) -> int:
        """What a transaction must offer to be mined now, as wallets ask their node for it [wei per gas]."""
        self._asked()
        return self.going_price_wei(self._now())

    @property
    def pending(self) -> int:
        """Number of transactions that wait for a block as the node sees it, lost ones among them."""
        return len(self._node)

    def going_price_wei(self, time_s: int) -> int:
        """Return the least that a transaction must offer to be mined at a Unix time [wei per gas]."""
        return max(self._market_wei(time_s), self._chain.base_fee_wei)

    def nonce(self, account: str) -> int:
        """Return the nonce of the account's next transaction as the node sees it, lost ones counted."""
        self._asked()
        return self._node.nonce(account)

    def native_balance_wei(self, account: str) -> int:
        """Return what an account owns of the chain's own currency in the newest block [wei]."""
        return self._asked().native_balance_wei(account)

    def suggested_fees(self) -> Fees:
        """Return those of the wrapped chain; if the market has a price of gas, twice the present one."""
        fees = self._asked().suggested_fees()
        return Fees(2 * self.gas_price_wei, fees.priority_wei) if self._gas_price_wei else fees

    def sign(
        self, transaction: Transaction, *, nonce: int | None = None, fees: Fees | None = None
    ) -> SignedTransaction:
        """Sign a transaction without sending it; see :meth:`Chain.sign`."""
        if nonce is None:
            nonce = self.nonce(transaction.sender)
        signed = self._chain.sign(transaction, nonce=nonce, fees=fees or self.suggested_fees())
        self._signed[signed.raw] = signed
        return signed

    def send(self, raw: bytes) -> str:
        """Send a signed transaction on its way, on which it may be lost; see :meth:`Chain.send`."""
        self._asked()
        signed = self._signed.get(raw)  # by this wallet since the newest block: no need to recover who did
        return self._send(decode_transaction(raw) if signed is None else signed)

    def submit(self, transaction: Transaction) -> str:
        """Sign a transaction, send it on its way, and return its hash; see :meth:`Chain.submit`."""
        signed = self.sign(transaction)
        self._asked()
        return self._send(signed)

    def mine(self, timestamp_s: int) -> Block:
        """Mine one block, and before it what takes the place of undone ones; see :meth:`Chain.mine`.

        The height grows by one also then, so it does not tell. This never raises because the node is down.
        """
        newest_s = self._chain.timestamp_s
        if timestamp_s <= newest_s:
            number = self._chain.block_number
            raise ChainError(f"block time {timestamp_s} s is not after that of block {number}, {newest_s} s")
        self._latest_s = max(self._latest_s, timestamp_s)
        self._signed.clear()
        replaced = [self._build(time_s) for time_s in self._reorganise(timestamp_s)]
        block = self._build(timestamp_s)
        self._mined = (*replaced, block)
        return block

    def receipt(self, transaction: str) -> Receipt | None:
        """Return the receipt of a mined transaction, which may be gone when it is asked for again.

        Those of the newest 10,000 blocks are kept, more than are mined while the node is down for a day.
        """
        chain = self._asked()
        return self._receipts.get(transaction) or chain.receipt(transaction)

    def call(self, to: str, data: bytes) -> bytes:
        """Return what contract `to` answers to `data`; see :meth:`Chain.call`."""
        return self._asked().call(to, data)

    def snapshot(self) -> object:
        """Return a token of the present state of the chain, not of its faults; see :meth:`Chain.snapshot`."""
        if self.pending:
            raise ChainError(f"cannot take a snapshot while {self.pending} transactions are pending")
        return _Snapshot(self._chain.snapshot())

    def restore(self, snapshot: object) -> None:
        """Return to the state of `snapshot`; what happened since cannot be undone again; see :meth:`Chain.restore`."""
        if not isinstance(snapshot, _Snapshot):
            raise ChainError(f"not a snapshot of this chain: {snapshot!r}")
        self._chain.restore(snapshot.inner)
        self._node.clear()
        self._waiting.clear()
        self._network.clear()
        self._recent.clear()
        self._mined = ()
        newest = self._chain.block_number
        self._receipts = {key: found for key, found in self._receipts.items() if found.block_number <= newest}

    def _asked(self) -> Chain:
        """Return the wrapped chain for a request, if the node answers."""
        now_s = self._now()
        self._latest_s = max(self._latest_s, now_s)
        if self._schedule.node_is_down(now_s):
            self._counts["requests refused by the node"] += 1
            raise NodeDownError(f"the node does not answer at {now_s} s")
        return self._chain

    def _state(self, account: str) -> tuple[int, int]:
        return self._chain.nonce(account), self._chain.native_balance_wei(account)

    def _market_wei(self, time_s: int) -> int:
        return round(self._gas_price_wei * self._schedule.fee_factor(time_s))

    def _send(self, signed: SignedTransaction) -> str:
        if self._network.holds(signed):
            return signed.hash
        self._await(signed)
        visible_s = self._arrival_s(self._now())
        if visible_s is not None:
            self._network.tell(signed, visible_s)
        return signed.hash

    def _await(self, signed: SignedTransaction) -> None:
        """Put a transaction into the node's own queue, or raise what is wrong with it."""
        self._node.add(signed)
        self._waiting[signed.sender, signed.nonce] = signed.hash

    def _arrival_s(self, now_s: int) -> int | None:
        """Draw when a transaction that is sent now reaches the producers; None if it never does."""
        schedule = self._schedule
        if now_s <= schedule.start_s:
            return now_s
        lost, late = self._sending.random(2)
        delay_s = round(self._sending.exponential(schedule.delay_s))
        if lost < schedule.dropped_share:
            self._counts["transactions dropped"] += 1
            return None
        if late < schedule.delayed_share:
            self._counts["transactions delayed"] += 1
            return now_s + delay_s
        return now_s

    def _build(self, timestamp_s: int) -> Block:
        """Mine one block of what the producers know."""
        chain = self._chain
        before = chain.snapshot() if self._schedule.deepest else None
        sent = self._hand_over(timestamp_s)
        market_wei = self._market_wei(timestamp_s)
        block = chain.mine(timestamp_s)
        heard = tuple(sent[receipt.transaction] for receipt in block.receipts)
        paid = tuple(
            _priced(receipt, one.signed, market_wei) for receipt, one in zip(block.receipts, heard, strict=True)
        )
        for one in heard:
            self._settle(one)
        self._remember(paid, block.number)
        if timestamp_s > self._schedule.start_s:
            self._recent.append(_Recent(before, timestamp_s, heard))
        self._counts["blocks in fee spikes"] += self._schedule.gas_is_dear(timestamp_s)
        return replace(block, receipts=paid)

    def _hand_over(self, timestamp_s: int) -> dict[str, Heard]:
        """Send the transactions of the next block to the wrapped chain; return them by hash."""
        chain = self._chain
        sent: dict[str, Heard] = {}
        least_wei = self.going_price_wei(timestamp_s)
        for one in self._network.choose(timestamp_s, least_wei, chain.block_gas_limit, chain.nonce):
            try:
                sent[chain.send(one.signed.raw)] = one
            except TransactionRefusedError as error:  # its money comes from one that is late: it waits as well
                _LOG.info("left out of the block at %d s: %s", timestamp_s, error)
        return sent

    def _settle(self, heard: Heard) -> None:
        """Forget that a mined transaction and its rivals waited."""
        self._network.take(*heard.turn)
        waiting = self._waiting.pop(heard.turn, None)
        if waiting is not None:
            self._node.drop((waiting,))

    def _remember(self, receipts: Sequence[Receipt], block_number: int) -> None:
        """Keep the receipts of a new block, and forget those of very old ones; they stand in order."""
        self._receipts |= {receipt.transaction: receipt for receipt in receipts}
        while self._receipts:
            oldest = next(iter(self._receipts.values()))
            if oldest.block_number > block_number - _REMEMBERED_BLOCKS:
                break
            del self._receipts[oldest.transaction]

    def _reorganise(self, timestamp_s: int) -> Iterator[int]:
        """Undo what is due before a block at `timestamp_s`, and yield the time of each block to be mined instead."""
        for found in [one for one in self._to_come if one.time_s <= timestamp_s]:
            depth = self._depth(found, timestamp_s)
            if found.waits and depth < found.depth:
                continue
            self._to_come.remove(found)
            if not depth:
                self._counts["reorganisations without a recent block"] += 1
                continue
            self._counts["reorganisations"] += 1
            undone = [self._recent.pop() for _ in range(depth)][::-1]
            self._undo(undone, timestamp_s)
            later_s = int(undone[-1].timestamp_s + 1 < timestamp_s)  # so that no block is the same again, if it can be
            yield from [block.timestamp_s + later_s for block in undone]

    def _depth(self, found: Reorganisation, timestamp_s: int) -> int:
        """Return how many blocks a reorganisation would undo before a block at `timestamp_s`."""
        oldest_s = timestamp_s - found.depth * self._block_time_s
        return min(found.depth, sum(block.timestamp_s >= oldest_s for block in self._recent))

    def _undo(self, undone: Sequence[_Recent], timestamp_s: int) -> None:
        """Return to the state before the undone blocks, and draw what becomes of their transactions."""
        self._chain.restore(undone[0].before)
        heard = [one for block in undone for one in block.heard]
        self._counts["blocks undone"] += len(undone)
        self._counts["transactions undone"] += len(heard)
        schedule = self._schedule
        for one in heard:
            del self._receipts[one.signed.hash]
            fate, delay_s = self._undoing.random(), round(self._undoing.exponential(schedule.delay_s))
            try:
                self._await(one.signed)
            except TransactionRefusedError as error:  # the money that paid for it came by another that was undone
                _LOG.info("lost in a reorganisation: %s", error)
                continue
            if fate < schedule.undone_again_share:
                self._network.put(one)
            elif fate < 1 - schedule.undone_lost_share:
                self._network.put(replace(one, visible_s=timestamp_s + delay_s))


def _priced(receipt: Receipt, signed: SignedTransaction, market_wei: int) -> Receipt:
    """Return a receipt that says what was paid at the market's price, if there is one."""
    if not market_wei:
        return receipt
    return replace(receipt, gas_price_wei=min(signed.max_fee_wei, market_wei + signed.priority_fee_wei))
