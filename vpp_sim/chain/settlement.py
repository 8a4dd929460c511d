"""The settlement client: deploys the contracts, settles netted batches, and reconciles balances with the ledger.

Signs are the ledger's: an amount is positive when its account pays, traded energy is positive when its account bought.
A balance is what an account owns, so a positive amount lowers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from eth_utils.crypto import keccak

from vpp_sim.chain.batch import PendingBatch, SettledBatch, pack_entries
from vpp_sim.chain.deployment import deploy, fund, require_success
from vpp_sim.chain.protocol import Transaction
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.protocol import Block, Chain, Receipt

__all__ = ["SettlementClient"]

_BATCH_GAS_FIXED, _BATCH_GAS_ENTRY = 120_000, 30_000
"""Gas limit of a batch, generous: the first entry of an account writes a fresh storage slot."""


class SettlementClient:
    """The operator's side of the settlement contract.

    Deploys both contracts, registers one member an account, mints each account's initial balance and puts it in escrow.
    Account i acts from ``chain.accounts[i + 1]``; the operator from ``chain.accounts[0]``. The blocks of this set-up
    are mined one second apart, right after the newest block.

    Parameters
    ----------
    chain : Chain
        A backend with at least ``len(names) + 1`` accounts.
    names : sequence of str
        Names of the accounts, as messages call them.
    initial_micro_eur : ndarray of int64, shape (n,)
        What each account starts with, non-negative [micro-euro].
    confirmations : int
        How many blocks must follow a batch's block before it counts as settled.

    Raises
    ------
    ChainError
        If arguments do not fit together, or a transaction of the set-up fails.
    """

    def __init__(self, chain: Chain, *, names: Sequence[str], initial_micro_eur: IntArray, confirmations: int) -> None:
        _check_accounts(chain, names, initial_micro_eur, confirmations)
        self.chain = chain
        self.names = tuple(names)
        self.confirmations = confirmations
        self.operator = chain.accounts[0]
        self._pending: dict[str, PendingBatch] = {}
        self._unconfirmed: list[SettledBatch] = []
        self._confirmed: list[SettledBatch] = []
        self.currency, self.contract = deploy(chain, self.operator)
        fund(self.currency, self.contract, self.operator, initial_micro_eur)

    @property
    def needs_block(self) -> bool:
        """Whether a batch waits to be mined or confirmed."""
        return bool(self._pending or self._unconfirmed or self.chain.pending)

    @property
    def unconfirmed(self) -> tuple[int, ...]:
        """Periods that are submitted or mined but not confirmed, in order."""
        mined = [batch.period for batch in self._unconfirmed]
        return (*mined, *(batch.period for batch in self._pending.values()))

    def submit_batch(
        self, period: int, member_index: IntArray, amount_micro_eur: IntArray, traded_wh: IntArray
    ) -> PendingBatch:
        """Queue the netted batch of a settlement period; the contract checks it when it is mined.

        Parameters
        ----------
        period : int
            The settlement period, non-negative; each settles once.
        member_index : ndarray of int, shape (m,)
            Accounts, each at most once.
        amount_micro_eur : ndarray of int64, shape (m,)
            What each pays; sums to zero [micro-euro].
        traded_wh : ndarray of int64, shape (m,)
            What each bought from the others; sums to zero [Wh].

        Raises
        ------
        ChainError
            If the lists do not form a batch, or it is too large for a block.
        """
        packed = pack_entries(member_index, amount_micro_eur, traded_wh)
        if (member_index >= len(self.names)).any():
            raise ChainError(f"period {period} names account {member_index.max()}, there are {len(self.names)}")
        gas_limit = _BATCH_GAS_FIXED + _BATCH_GAS_ENTRY * member_index.size
        data = self.contract.abi.encode("settle", period, packed)
        transaction = self.chain.submit(Transaction(self.operator, self.contract.address, data, gas_limit))
        amounts = np.zeros(len(self.names), dtype=np.int64)
        amounts[member_index] = amount_micro_eur
        batch = PendingBatch(period, transaction, bytes(keccak(packed)), amounts, len(data))
        self._pending[transaction] = batch
        return batch

    def mine_block(self, timestamp_s: int) -> Block:
        """Mine one block, check the receipt of every batch in it, and count confirmations.

        Parameters
        ----------
        timestamp_s : int
            Time of the block, later than that of the newest one [s].

        Raises
        ------
        RevertedError
            If the contract refused a batch, with the name of its error.
        ChainError
            If a receipt does not show the batch that was submitted.
        """
        block = self.chain.mine(timestamp_s)
        refused: list[ChainError] = []
        for receipt in block.receipts:
            batch = self._pending.pop(receipt.transaction, None)
            if batch is None:
                continue
            try:
                self._unconfirmed.append(self._settled(batch, receipt, block))
            except ChainError as error:
                refused.append(error)  # the block's other batches are booked first
        deep = block.number - self.confirmations
        self._confirmed += [batch for batch in self._unconfirmed if batch.block_number <= deep]
        self._unconfirmed = [batch for batch in self._unconfirmed if batch.block_number > deep]
        if refused:
            raise refused[0]
        return block

    def confirmed(self) -> tuple[SettledBatch, ...]:
        """Return the batches that were confirmed since this was last asked, in order."""
        batches, self._confirmed = tuple(self._confirmed), []
        return batches

    def balances(self) -> IntArray:
        """Return every account's balance in the newest block [micro-euro], shape (n,)."""
        return self._accounts()[0]

    def traded_wh(self) -> IntArray:
        """Return what every account bought less what it sold, in all mined batches [Wh], shape (n,)."""
        return self._accounts()[1]

    def reconcile(self, ledger_micro_eur: IntArray) -> None:
        """Compare the chain with the ledger, to the last micro-euro.

        Batches that are submitted but not mined are counted as if they were, so this may be called at any time.

        Parameters
        ----------
        ledger_micro_eur : ndarray of int64, shape (n,)
            What each account owns by the ledger [micro-euro].

        Raises
        ------
        ChainError
            If an account differs, naming it and the amount; or if the currency in escrow is not the sum of the
            balances.
        """
        if ledger_micro_eur.shape != (len(self.names),):
            raise ChainError(f"ledger has shape {ledger_micro_eur.shape}, expected ({len(self.names)},)")
        on_chain = self.balances()
        self._check_escrow(int(on_chain.sum()))
        expected = ledger_micro_eur + sum(batch.amount_micro_eur for batch in self._pending.values())
        wrong = np.flatnonzero(on_chain != expected)
        if wrong.size:
            differences = (
                f"{self.names[i]} has {on_chain[i]} micro-euro on chain, {expected[i]} in the ledger"
                f" ({on_chain[i] - expected[i]:+d})"
                for i in wrong
            )
            raise ChainError(f"chain and ledger differ at block {self.chain.block_number}: " + "; ".join(differences))

    def _check_escrow(self, total_micro_eur: int) -> None:
        escrow = self.currency.call("balanceOf", self.contract.address)
        if escrow != total_micro_eur:
            raise ChainError(
                f"escrow holds {escrow} micro-euro, balances sum to {total_micro_eur} ({escrow - total_micro_eur:+d})"
            )

    def _accounts(self) -> tuple[IntArray, IntArray]:
        balances, traded = self.contract.call("accounts")
        return np.array(balances, dtype=np.int64), np.array(traded, dtype=np.int64)

    def _settled(self, batch: PendingBatch, receipt: Receipt, block: Block) -> SettledBatch:
        require_success(self.contract.abi, receipt, f"settlement of period {batch.period}")
        events = [event for event in self.contract.events(receipt) if event.name == "PeriodSettled"]
        if len(events) != 1 or (events[0].arguments["period"], events[0].arguments["digest"]) != (
            batch.period,
            batch.digest,
        ):
            raise ChainError(
                f"receipt {receipt.transaction} does not show the batch of period {batch.period}: {events}"
            )
        found = events[0].arguments
        return SettledBatch(
            period=batch.period,
            transaction=receipt.transaction,
            block_number=block.number,
            timestamp_s=block.timestamp_s,
            gas_used=receipt.gas_used,
            entries=found["entries"],
            turnover_micro_eur=found["turnover"],
            traded_wh=found["traded"],
        )


def _check_accounts(chain: Chain, names: Sequence[str], initial_micro_eur: IntArray, confirmations: int) -> None:
    if not names or initial_micro_eur.shape != (len(names),):
        raise ChainError(f"{len(names)} accounts do not fit initial balances of shape {initial_micro_eur.shape}")
    if initial_micro_eur.dtype != np.int64 or (initial_micro_eur < 0).any():
        raise ChainError("initial balances must be non-negative int64 micro-euro")
    if len(chain.accounts) < len(names) + 1:
        raise ChainError(f"chain has {len(chain.accounts)} accounts, {len(names)} members and an operator need more")
    if confirmations < 0:
        raise ChainError(f"confirmations are negative: {confirmations}")
