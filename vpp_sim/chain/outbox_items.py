"""What an outbox holds: attempts, jobs that are under way, and what confirmed transactions were and cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vpp_sim.chain.protocol import Receipt
    from vpp_sim.chain.statements import Job

__all__ = ["Attempt", "ConfirmedJob", "OpenJob"]


@dataclass(slots=True)
class Attempt:
    """One signed transaction that was sent, or was about to be, for a job.

    Attributes
    ----------
    hash : str
        Its hash.
    nonce : int
        Its nonce; all attempts of a job that may still be mined share one, so that only one of them can be.
    raw : bytes
        The signed bytes.
    max_fee_wei, priority_fee_wei : int
        Its fees [wei per gas].
    sent_s : int
        When it was sent last [s].
    """

    hash: str
    nonce: int
    raw: bytes
    max_fee_wei: int
    priority_fee_wei: int
    sent_s: int


@dataclass(slots=True, eq=False)
class OpenJob:
    """A job that is not buried under blocks yet.

    Attributes
    ----------
    job : Job
        What is to be done.
    follows : str or None
        Key of the job whose confirmation brought it.
    attempts : list of Attempt
        What was sent, oldest first; empty while it waits.
    mined : str or None
        Hash of the attempt that was mined; written down once it is confirmed, since until then the chain is asked.
    block_number, mined_s : int
        Its block and the time of that; only with `mined`.
    confirmed : bool
        Whether enough blocks follow it.
    failed : bool
        Whether it did nothing, for good as far as is known: it reverted, or expired before anything was sent.
    refusals : int
        How often the node refused to take it, one after the other.
    seen : Receipt or None
        The receipt that was looked at last; a chain that returns the very same object has not changed its mind.
    """

    job: Job
    follows: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    mined: str | None = None
    block_number: int = 0
    mined_s: int = 0
    confirmed: bool = False
    failed: bool = False
    refusals: int = 0
    seen: Receipt | None = None


@dataclass(frozen=True, slots=True)
class ConfirmedJob:
    """What a confirmed transaction was and cost.

    Attributes
    ----------
    key : str
        Of its job.
    transaction : str
        Its hash.
    block_number : int
        Its block.
    mined_s : int
        Time of that block [s].
    gas_used : int
        What it used [gas].
    gas_price_wei : int
        What each unit cost [wei per gas].
    calldata_bytes : int
        Size of its call [B].
    attempts : int
        How many transactions were signed for the job.
    """

    key: str
    transaction: str
    block_number: int
    mined_s: int
    gas_used: int
    gas_price_wei: int
    calldata_bytes: int
    attempts: int
