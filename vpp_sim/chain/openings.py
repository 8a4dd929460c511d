"""What trades that are opened before their period is over mean for a client: money that is locked, and time to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.chain.outbox import Outbox
    from vpp_sim.chain.statements import Job, Opening, SettlementKind

__all__ = ["Openings"]


class Openings:
    """Which periods lock money for their trades, and which wait until it is certain which trades opened.

    Parameters
    ----------
    kind : SettlementKind
        Says until when a period must wait.
    outbox : Outbox
        Where all of it is written; an earlier process may have left some.
    accounts : int
        How many accounts there are.

    Attributes
    ----------
    counts : dict of str to int
        What became of the trades.
    """

    def __init__(self, kind: SettlementKind, outbox: Outbox, accounts: int) -> None:
        self._kind, self._outbox, self._accounts = kind, outbox, accounts
        self._waiting = set(outbox.to_begin())
        self._locking = set(outbox.periods_not_settled())
        self.counts = {
            "direct trades opened": 0,
            "direct trades not opened in time, and netted": 0,
            "direct trades without cover, and netted": 0,
        }

    @property
    def waiting_s(self) -> list[int]:
        """Until when each period waits at least, as Unix times [s]."""
        return [self._kind.begins_s(period) for period in self._waiting]

    def add(self, period: int, *, submitted: bool = False) -> None:
        """Take note of a period whose trades are being opened, or whose statement is written and waits."""
        self._locking.add(period)
        if submitted:
            self._waiting.add(period)

    def settled(self, period: int) -> None:
        """Take note that nothing is locked for a period any more; :meth:`add` takes it back."""
        self._locking.discard(period)

    def without_locked(self, confirmed_micro_eur: IntArray) -> IntArray:
        """Return what confirmed jobs have moved, without those of periods that still lock money [micro-euro]."""
        for period in self._locking:
            confirmed_micro_eur = confirmed_micro_eur - self._outbox.confirmed_micro_eur(self._accounts, period)
        return confirmed_micro_eur

    def covered(self, jobs: Iterable[Job], free_micro_eur: IntArray) -> list[Job]:
        """Return the jobs whose money is there beside all that may be locked already, each after those before it.

        Parameters
        ----------
        jobs : iterable of Job
            To open trades.
        free_micro_eur : ndarray of int64, shape (n,)
            What each account owns and owes to nobody, locked money included [micro-euro].
        """
        for period in self._locking:
            free_micro_eur = free_micro_eur - self._outbox.promised_micro_eur(self._accounts, period)
        found = []
        for job in jobs:
            left = free_micro_eur - job.effect_micro_eur
            if (left >= 0).all():
                free_micro_eur = left
                found.append(job)
            else:
                self.counts["direct trades without cover, and netted"] += 1
        return found

    def certain(self, now_s: int) -> Iterator[tuple[int, Sequence[Opening]]]:
        """Yield the periods that need not wait any more, each with what became of its trades; once for each."""
        for period in sorted(self._waiting):
            openings = None if now_s < self._kind.begins_s(period) else self._outbox.openings(period)
            if openings is None:
                continue
            yield period, openings
            self._waiting.remove(period)
            opened = sum(opening.opened for opening in openings)
            self.counts["direct trades opened"] += opened
            self.counts["direct trades not opened in time, and netted"] += len(openings) - opened
