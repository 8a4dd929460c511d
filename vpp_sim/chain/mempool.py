"""The queue of a chain inside the process: which signed transactions it takes, and which of them go into a block."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vpp_sim.chain.gas_rules import LARGEST_CREATION_CODE_BYTES, floor_gas, intrinsic_gas
from vpp_sim.chain.protocol import TransactionRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vpp_sim.chain.envelope import SignedTransaction

__all__ = ["Mempool"]


class Mempool:
    """Signed transactions in the order of their arrival, each of them sure to be valid when its turn comes.

    Parameters
    ----------
    chain_id : int
        The chain whose transactions it takes.
    block_gas_limit : int
        The most gas that a block holds [gas].
    state : callable
        Nonce and native balance [wei] of an address in the newest block.
    """

    def __init__(self, chain_id: int, block_gas_limit: int, state: Callable[[str], tuple[int, int]]) -> None:
        self._chain_id, self._block_gas_limit, self._state = chain_id, block_gas_limit, state
        self._waiting: dict[tuple[str, int], SignedTransaction] = {}
        self._hashes: dict[str, SignedTransaction] = {}
        self._count: Counter[str] = Counter()
        self._most_wei: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many transactions wait."""
        return len(self._waiting)

    def clear(self) -> None:
        """Forget every transaction."""
        for signed in tuple(self._waiting.values()):
            self._remove(signed)

    def nonce(self, account: str) -> int:
        """Return the nonce of the account's next transaction."""
        return self._state(account)[0] + self._count[account]

    def holds(self, transaction: str) -> bool:
        """Return whether a transaction of this hash waits."""
        return transaction in self._hashes

    def add(self, signed: SignedTransaction) -> Callable[[], None]:
        """Check a transaction whose signature is known to be good, and queue it unless it waits already.

        Returns
        -------
        callable
            Undoes it, and brings back the transaction whose place it took; to be called before anything else is.

        Raises
        ------
        TransactionRefusedError
            If anything about it is wrong.
        """
        if signed.hash in self._hashes:
            return lambda: None
        rival = self._waiting.get((signed.sender, signed.nonce))
        reason = self._gas_fault(signed) or self._place_fault(signed, rival)
        if reason:
            raise TransactionRefusedError(signed.hash, reason)
        if rival is not None:
            self._forget(rival)
        self._put(signed)
        return lambda: self._undo(signed, rival)

    def drop(self, transactions: Iterable[str]) -> None:
        """Forget transactions that a node has mined."""
        for transaction in transactions:
            signed = self._hashes.get(transaction)
            if signed is not None:
                self._remove(signed)

    def take(self, base_fee_wei: int) -> tuple[SignedTransaction, ...]:
        """Remove and return the transactions of the next block: those that are sure to fit, in their order."""
        taken: list[SignedTransaction] = []
        held: set[str] = set()
        gas = 0
        for signed in self._waiting.values():
            if gas + signed.gas_limit > self._block_gas_limit:
                break
            if signed.sender in held or signed.max_fee_wei < base_fee_wei:
                held.add(signed.sender)
                continue
            gas += signed.gas_limit
            taken.append(signed)
        for signed in taken:
            self._remove(signed)
        return tuple(taken)

    def _put(self, signed: SignedTransaction) -> None:
        self._waiting[signed.sender, signed.nonce] = signed  # the place of one that it replaces is kept
        self._hashes[signed.hash] = signed
        self._count[signed.sender] += 1
        self._most_wei[signed.sender] += signed.most_wei

    def _undo(self, signed: SignedTransaction, rival: SignedTransaction | None) -> None:
        if rival is None:
            self._remove(signed)
        else:
            self._forget(signed)
            self._put(rival)

    def _remove(self, signed: SignedTransaction) -> None:
        del self._waiting[signed.sender, signed.nonce]
        self._forget(signed)

    def _forget(self, signed: SignedTransaction) -> None:
        del self._hashes[signed.hash]
        self._count[signed.sender] -= 1
        self._most_wei[signed.sender] -= signed.most_wei

    def _gas_fault(self, signed: SignedTransaction) -> str:
        if signed.chain_id != self._chain_id:
            return f"it is for chain {signed.chain_id}, this is chain {self._chain_id}"
        if signed.gas_limit > self._block_gas_limit:
            return f"gas limit {signed.gas_limit} exceeds a block's {self._block_gas_limit}"
        if signed.to is None and len(signed.data) > LARGEST_CREATION_CODE_BYTES:
            return f"creation code of {len(signed.data)} bytes exceeds {LARGEST_CREATION_CODE_BYTES} (EIP-3860)"
        needed = max(intrinsic_gas(signed.data, creates=signed.to is None), floor_gas(signed.data))
        if signed.gas_limit < needed:
            return f"gas limit {signed.gas_limit} is less than the {needed} that it needs to begin"
        return ""

    def _place_fault(self, signed: SignedTransaction, rival: SignedTransaction | None) -> str:
        """Return why it cannot take its place among its sender's transactions."""
        nonce, balance_wei = self._state(signed.sender)
        following = nonce + self._count[signed.sender]
        if not nonce <= signed.nonce <= following:
            low_or_high = "too low" if signed.nonce < nonce else "too high"
            return f"nonce {signed.nonce} of {signed.sender} is {low_or_high}, the next is {following}"
        if rival is not None and not _outbids(signed, rival):
            return (
                f"nonce {signed.nonce} of {signed.sender} is taken by {rival.hash}; to replace it, raise both of its"
                f" fees, {rival.max_fee_wei} and {rival.priority_fee_wei} wei, by a tenth"
            )
        needed_wei = signed.most_wei + self._most_wei[signed.sender] - (rival.most_wei if rival else 0)
        if needed_wei > balance_wei:
            return f"insufficient funds: {signed.sender} has {balance_wei} wei and needs {needed_wei}"
        return ""


def _outbids(signed: SignedTransaction, rival: SignedTransaction) -> bool:
    """Return whether both fees are higher by a tenth, as geth asks for."""
    return all(
        10 * mine >= 11 * theirs and (mine > theirs or theirs == 0)
        for mine, theirs in (
            (signed.max_fee_wei, rival.max_fee_wei),
            (signed.priority_fee_wei, rival.priority_fee_wei),
        )
    )
