"""The courier: brings every job of the outbox onto the chain exactly once, whatever chain, node and process do.

What makes it exactly once is the nonce. All transactions that are ever signed for a job carry one nonce, so a chain
mines at most one of them; and each was written down before it left, so whoever starts again sends the same bytes and
not a second payment. A transaction that does not come through is sent again, with higher fees where the price of gas
rose. One that a reorganisation undid is sent again too, also after it was thought final. A job has four states: it
waits; it is sent; it is mined; it is confirmed. Some blocks later it is buried and looked at no more.

A job that expires may fail: what it was to do is then not done, which is as certain as a success once its revert is
confirmed, or once it expired before anything was sent. What was sent must be mined all the same, to no effect, since
all that come after it wait for its nonce.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vpp_sim.chain.protocol import Fees, NodeDownError, TransactionRefusedError
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vpp_sim.chain.outbox import Outbox
    from vpp_sim.chain.outbox_items import Attempt, OpenJob
    from vpp_sim.chain.protocol import Chain, Receipt
    from vpp_sim.chain.statements import Job

__all__ = ["Confirmation", "Courier"]

_BURIED_BLOCKS = 64
"""How many blocks after its confirmation a transaction is looked at no more."""
_MOST_REFUSALS = 8
"""How often a node may refuse a transaction, whose turn it is, before this is an error."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A job that is confirmed.

    Attributes
    ----------
    job : Job
        What was to be done.
    receipt : Receipt
        Of the transaction that did it.
    attempts : int
        How many transactions were signed for it.
    """

    job: Job
    receipt: Receipt
    attempts: int


class Courier:
    """Sends jobs, watches them, and repeats what was lost.

    Parameters
    ----------
    chain : Chain
        Where to.
    outbox : Outbox
        What to send, and what was sent; a courier takes up what an earlier one left in it.
    accounts : int
        How many accounts the jobs' effects are of.
    confirmations : int
        Blocks on top of a job's block before it counts as confirmed.
    patience_s : int
        Seconds after which a transaction that is not mined is sent again.
    require_success : callable
        Raises the decoded error of a failed receipt; returns whether the job is to be tried once more, which one that
        cannot expire always is.
    proceed : callable
        Told of each confirmation; returns the jobs that follow it.
    undone : callable
        Told of each confirmed job that a reorganisation undid; not of those that had failed.
    looked : callable, optional
        Told the time whenever the chain has answered what became of every job, and before anything is sent.

    Attributes
    ----------
    mined_micro_eur, confirmed_micro_eur : ndarray of int64, shape (accounts,)
        What each account has paid by all jobs that are mined, and by those that are confirmed [micro-euro].
    counts : dict of str to int
        How often something went wrong on the way.
    """

    def __init__(
        self,
        chain: Chain,
        outbox: Outbox,
        *,
        accounts: int,
        confirmations: int,
        patience_s: int,
        require_success: Callable[[Job, Receipt], bool],
        proceed: Callable[[Job, Receipt], Iterable[Job]],
        undone: Callable[[Job], None],
        looked: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._chain, self._outbox = chain, outbox
        self._confirmations, self._patience_s = confirmations, patience_s
        self._require_success, self._proceed, self._tell_undone = require_success, proceed, undone
        self._tell_looked = looked
        self._open = {item.job.key: item for item in outbox.open_jobs()}
        self._next_nonce: dict[str, int] = {}
        self.mined_micro_eur = self.confirmed_micro_eur = outbox.confirmed_micro_eur(accounts)
        self.counts = {
            "transactions sent again": 0,
            "transactions sent with higher fees": 0,
            "transactions that reverted and were repeated": 0,
            "payments undone before they were final": 0,
            "payments undone after they were final": 0,
            "transactions that failed for good, as they may": 0,
            "transactions never sent as they had expired": 0,
            "requests that the node did not answer": 0,
        }

    @property
    def unconfirmed(self) -> tuple[OpenJob, ...]:
        """Jobs that wait, are sent, or are mined but not confirmed."""
        return tuple(item for item in self._open.values() if not item.confirmed)

    def put(self, jobs: Iterable[Job], *, follows: str | None = None) -> None:
        """Write jobs into the outbox; one whose key is known changes nothing."""
        self._open |= {item.job.key: item for item in self._outbox.add_jobs(jobs, follows)}

    def advance(self, now_s: int) -> tuple[Confirmation, ...]:
        """Look what became of what was sent, and send what is due.

        Parameters
        ----------
        now_s : int
            The time, as Unix time [s].

        Returns
        -------
        tuple of Confirmation
            What was confirmed just now. None of it is told twice, except after a reorganisation.

        Raises
        ------
        ChainError
            If a transaction cannot be sent, or reverted.
        """
        confirmed: list[Confirmation] = []
        try:
            self._look(confirmed)
            self._tell_looked(now_s)
            self._send_due(now_s)
        except NodeDownError:
            self.counts["requests that the node did not answer"] += 1
        return tuple(confirmed)

    # -- looking

    def _look(self, confirmed: list[Confirmation]) -> None:
        height = self._chain.block_number
        for item in tuple(self._open.values()):
            seen = item.seen  # that the chain hands out the very receipt of the last look is cheap to ask
            if item.confirmed and seen is not None and self._chain.receipt(seen.transaction) is seen:
                pass
            elif item.attempts:
                self._look_at(item, height, confirmed)
            if item.confirmed and item.block_number + self._confirmations + _BURIED_BLOCKS <= height:
                self._outbox.bury(item.job.key)
                del self._open[item.job.key]

    def _look_at(self, item: OpenJob, height: int, confirmed: list[Confirmation]) -> None:
        receipt = self._receipt(item)
        if item.mined is not None and _changed(item, receipt):
            self._undone(item)
        if receipt is None or (not receipt.succeeded and self._repeats(item, receipt, height)):
            return
        if item.mined is None and receipt.succeeded:
            self.mined_micro_eur = self.mined_micro_eur + item.job.effect_micro_eur
        item.mined, item.block_number, item.mined_s = receipt.transaction, receipt.block_number, receipt.timestamp_s
        item.seen, item.failed = receipt, not receipt.succeeded
        if not item.confirmed and receipt.block_number + self._confirmations <= height:
            self._confirm(item, receipt)
            if not item.failed:
                confirmed.append(Confirmation(item.job, receipt, len(item.attempts)))

    def _receipt(self, item: OpenJob) -> Receipt | None:
        """Return the receipt of whichever attempt was mined."""
        found = None if item.mined is None else self._chain.receipt(item.mined)
        if found is None:
            hashes = (attempt.hash for attempt in reversed(item.attempts) if attempt.hash != item.mined)
            found = next((found for key in hashes if (found := self._chain.receipt(key)) is not None), None)
        return found

    def _confirm(self, item: OpenJob, receipt: Receipt) -> None:
        with self._outbox.writing():
            if not item.failed:
                self.put(self._proceed(item.job, receipt), follows=item.job.key)
            item.confirmed = True
            self._outbox.confirm(item.job.key, receipt)
        if item.failed:
            self.counts["transactions that failed for good, as they may"] += 1
            return
        self.confirmed_micro_eur = self.confirmed_micro_eur + item.job.effect_micro_eur

    def _undone(self, item: OpenJob) -> None:
        """A reorganisation took a mined job back: it is sent again, and what follows it waits for it."""
        if not item.failed:
            self._take_back(item)
        with self._outbox.writing():
            for other in [other for other in self._open.values() if other.follows == item.job.key]:
                if other.attempts:
                    raise ChainError(
                        f"a reorganisation undid {item.job.key} after {other.job.key}, which follows it, was sent"
                    )
                self._outbox.remove_job(other.job.key)
                del self._open[other.job.key]
            if item.confirmed:
                if not item.failed:
                    self._tell_undone(item.job)
                self._outbox.undo(item.job.key)
            item.mined, item.confirmed, item.failed = None, False, False
        item.attempts[-1].sent_s = 0  # at once

    def _take_back(self, item: OpenJob) -> None:
        """Take back what a mined job moved."""
        self.mined_micro_eur = self.mined_micro_eur - item.job.effect_micro_eur
        if item.confirmed:
            self.confirmed_micro_eur = self.confirmed_micro_eur - item.job.effect_micro_eur
        when = "after" if item.confirmed else "before"
        self.counts[f"payments undone {when} they were final"] += 1

    def _repeats(self, item: OpenJob, receipt: Receipt, height: int) -> bool:
        """A transaction reverted, and has used up its nonce: raise, or try again with a new one, unless it may fail."""
        if not self._require_success(item.job, receipt):
            return False
        if receipt.block_number + self._confirmations <= height:  # no reorganisation will let it succeed after all
            self._outbox.give_up_attempts(item.job.key)
            item.attempts.clear()
            self.counts["transactions that reverted and were repeated"] += 1
        return True

    # -- sending

    def _send_due(self, now_s: int) -> None:
        for item in tuple(self._open.values()):
            if item.mined is not None:
                continue
            if not item.attempts:
                if item.job.expires_s is not None and item.job.expires_s <= now_s:
                    self._drop(item)
                elif item.job.ready_s <= now_s:
                    self._sign(item, self._nonce(item.job.transaction.sender), self._chain.suggested_fees(), now_s)
            elif item.attempts[-1].sent_s + self._patience_s <= now_s:
                self._send_again(item, now_s)

    def _drop(self, item: OpenJob) -> None:
        """Nothing was sent for it, and nothing that is sent now would be of use."""
        self._outbox.drop(item.job.key)
        del self._open[item.job.key]
        self.counts["transactions never sent as they had expired"] += 1

    def _sign(self, item: OpenJob, nonce: int, fees: Fees, now_s: int) -> None:
        """Sign, write down, and only then send."""
        signed = self._chain.sign(item.job.transaction, nonce=nonce, fees=fees)
        item.attempts.append(self._outbox.add_attempt(item.job.key, signed, now_s))
        self._next_nonce[signed.sender] = max(self._nonce(signed.sender), nonce + 1)
        self._send(item, item.attempts[-1])

    def _send_again(self, item: OpenJob, now_s: int) -> None:
        newest, price = item.attempts[-1], self._chain.suggested_fees()
        if price.max_wei > newest.max_fee_wei:
            raised = Fees(
                max(price.max_wei, _raised(newest.max_fee_wei)),
                max(price.priority_wei, _raised(newest.priority_fee_wei)),
            )
            self.counts["transactions sent with higher fees"] += 1
            self._sign(item, newest.nonce, raised, now_s)
        else:
            self.counts["transactions sent again"] += 1
            newest.sent_s = now_s
            self._send(item, newest)

    def _send(self, item: OpenJob, attempt: Attempt) -> None:
        try:
            self._chain.send(attempt.raw)
            item.refusals = 0
        except TransactionRefusedError:
            # Perhaps it was mined a moment ago, or an earlier nonce was lost: both mend themselves.
            item.refusals += 1
            if item.refusals > _MOST_REFUSALS and self._is_next(item, attempt) and self._receipt(item) is None:
                raise

    def _is_next(self, item: OpenJob, attempt: Attempt) -> bool:
        """Return whether no transaction before this one is under way."""
        sender = item.job.transaction.sender
        return all(
            other.attempts[-1].nonce >= attempt.nonce
            for other in self._open.values()
            if other.attempts and other.mined is None and other.job.transaction.sender == sender
        )

    def _nonce(self, sender: str) -> int:
        """Return the nonce of the next job: after all that were ever used here, and all that the chain knows of."""
        if sender not in self._next_nonce:
            self._next_nonce[sender] = max(self._outbox.next_nonce(sender), self._chain.nonce(sender))
        return self._next_nonce[sender]


def _changed(item: OpenJob, receipt: Receipt | None) -> bool:
    """Return whether a mined job is gone, or fared otherwise; a final one also, whether it is in another block.

    What follows a final one may name its block's time.
    """
    if receipt is None or receipt.succeeded == item.failed:
        return True
    where = receipt.transaction, receipt.block_number, receipt.timestamp_s
    return item.confirmed and (item.mined, item.block_number, item.mined_s) != where


def _raised(fee_wei: int) -> int:
    """Return the fee raised by an eighth, which is more than the tenth that nodes ask for."""
    return -(-9 * fee_wei // 8)
