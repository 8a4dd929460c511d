"""When a chain misbehaves: outages, fee spikes and reorganisations of a whole run, drawn before it begins.

What comes at a moment is settled in advance, so that a run can be asked what it will meet; what happens to single
transactions (lost, delayed) is drawn as they are sent, by shares that stand here. Times are Unix times, like a block's.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.errors import ChainError
from vpp_sim.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CALM", "FaultSchedule", "Interval", "Occasions", "Reorganisation"]

_DAY_S = 24 * SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Occasions:
    """How often something happens: at random, at given times, or both.

    Attributes
    ----------
    per_day : float
        Mean number a day of those that come at random, independent of one another (a Poisson process).
    at_s : tuple of int
        Those that come for sure, as offsets from the start of the run [s].

    Raises
    ------
    ChainError
        If the rate or an offset is negative.
    """

    per_day: float = 0.0
    at_s: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.per_day < float("inf") or any(at_s < 0 for at_s in self.at_s):
            raise ChainError(f"occasions have a rate and offsets that are not negative: {self.per_day}, {self.at_s}")

    def draw(self, rng: np.random.Generator, start_s: int, duration_s: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the Unix times within a run of those at random and of those at given times, each ascending [s]."""
        number = rng.poisson(self.per_day * duration_s / _DAY_S)
        drawn = sorted(rng.integers(0, duration_s, number).tolist()) if number else []
        given = sorted(at_s for at_s in self.at_s if at_s < duration_s)
        return tuple(start_s + at_s for at_s in drawn), tuple(start_s + at_s for at_s in given)


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time, its start included and its end not.

    Attributes
    ----------
    start_s, end_s : int
        Unix times [s].
    """

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Reorganisation:
    """The newest blocks are replaced by others.

    Attributes
    ----------
    time_s : int
        Before the first block at or after this Unix time [s].
    depth : int
        How many blocks are undone, at least one.
    waits : bool
        Whether it waits for a block that has `depth` blocks under it which are recent enough to be undone. One that
        does not wait undoes as many as there are then, or none: on a chain that sleeps while nothing is under way,
        most random ones strike only empty blocks, which are not even simulated.
    """

    time_s: int
    depth: int
    waits: bool = False


@dataclass(frozen=True, slots=True)
class FaultSchedule:
    """What goes wrong in a run, and when.

    Attributes
    ----------
    start_s : int
        Start of the run, Unix time; only what is sent later is lost or delayed [s].
    dropped_share : float
        Share of sent transactions that are accepted and then lost.
    delayed_share : float
        Share of those not lost that reach the block producers late.
    delay_s : float
        Mean of the exponentially distributed delay [s].
    spike_factor : float
        What the price of gas is multiplied by in a fee spike.
    fee_spikes, outages : tuple of Interval
        When gas is dear, and when the node does not answer; ascending, disjoint.
    reorganisations : tuple of Reorganisation
        Ascending in time.
    undone_again_share, undone_lost_share : float
        Share of undone transactions that the replacing blocks may hold again at once, and share that is lost. The rest
        comes later.
    after_end : int
        How many were asked for at times after the end of the run, and do not come.

    Raises
    ------
    ChainError
        If a share is not between 0 and 1, or something lies out of order.
    """

    start_s: int
    dropped_share: float = 0.0
    delayed_share: float = 0.0
    delay_s: float = 0.0
    spike_factor: float = 1.0
    fee_spikes: tuple[Interval, ...] = ()
    outages: tuple[Interval, ...] = ()
    reorganisations: tuple[Reorganisation, ...] = ()
    undone_again_share: float = 0.7
    undone_lost_share: float = 0.1
    after_end: int = 0

    def __post_init__(self) -> None:
        """Check that it is a schedule."""
        again_or_lost = self.undone_again_share + self.undone_lost_share
        shares = (
            self.dropped_share,
            self.delayed_share,
            self.undone_again_share,
            self.undone_lost_share,
            again_or_lost,
        )
        if not all(0 <= share <= 1 for share in shares):
            raise ChainError(f"a schedule's shares are between 0 and 1: {shares}")
        if self.delay_s < 0 or self.spike_factor < 1:
            raise ChainError(f"delay {self.delay_s} s is negative, or spike factor {self.spike_factor} is below 1")
        for intervals in (self.fee_spikes, self.outages):
            if any(one.end_s <= one.start_s for one in intervals) or any(
                later.start_s < one.end_s for one, later in pairwise(intervals)
            ):
                raise ChainError(f"intervals are not ascending and disjoint: {intervals}")
        times = [found.time_s for found in self.reorganisations]
        if times != sorted(times) or any(found.depth < 1 for found in self.reorganisations):
            raise ChainError(f"reorganisations are not ascending, or undo nothing: {self.reorganisations}")

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        *,
        start_s: int,
        duration_s: int,
        dropped_share: float = 0.0,
        delayed_share: float = 0.0,
        delay_s: float = 0.0,
        fee_spikes: Occasions | None = None,
        spike_s: int = 0,
        spike_factor: float = 1.0,
        outages: Occasions | None = None,
        outage_s: int = 0,
        reorganisations: Occasions | None = None,
        depth: int = 1,
    ) -> FaultSchedule:
        """Draw the schedule of a run; how often one kind of fault comes changes nothing about the others.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the random times.
        start_s, duration_s : int
            The run: start as Unix time, and length [s].
        dropped_share, delayed_share, delay_s, spike_factor : float
            See the attributes.
        fee_spikes, outages, reorganisations : Occasions, optional
            How often each comes; reorganisations at given times wait for blocks to undo, random ones do not.
        spike_s, outage_s : int
            How long each fee spike and each outage lasts; where two overlap, they are one [s].
        depth : int
            How many blocks each reorganisation undoes.

        Examples
        --------
        >>> rng, once = np.random.default_rng(7), Occasions(at_s=(3_600,))
        >>> schedule = FaultSchedule.draw(rng, start_s=1_000, duration_s=86_400, outages=once, outage_s=60)
        >>> schedule.outages, schedule.node_is_down(4_600), schedule.node_is_down(4_660)
        ((Interval(start_s=4600, end_s=4660),), True, False)
        """
        kinds = [kind or Occasions() for kind in (fee_spikes, outages, reorganisations)]
        drawn = [kind.draw(own, start_s, duration_s) for kind, own in zip(kinds, rng.spawn(3), strict=True)]
        (spikes, downs), (random, given) = (_ascending(a, b) for a, b in drawn[:2]), drawn[2]
        undoings = [Reorganisation(time_s, depth) for time_s in random]
        undoings += [Reorganisation(time_s, depth, waits=True) for time_s in given]
        return cls(
            start_s=start_s,
            dropped_share=dropped_share,
            delayed_share=delayed_share,
            delay_s=delay_s,
            spike_factor=spike_factor,
            fee_spikes=_merged(spikes, spike_s),
            outages=_merged(downs, outage_s),
            reorganisations=tuple(sorted(undoings, key=lambda found: found.time_s)),
            after_end=sum(at_s >= duration_s for kind in kinds for at_s in kind.at_s),
        )

    @property
    def deepest(self) -> int:
        """Most blocks that one reorganisation undoes; 0 if there is none."""
        return max((found.depth for found in self.reorganisations), default=0)

    def node_is_down(self, time_s: int) -> bool:
        """Return whether the node does not answer at a Unix time."""
        return _within(self.outages, time_s)

    def gas_is_dear(self, time_s: int) -> bool:
        """Return whether there is a fee spike at a Unix time."""
        return _within(self.fee_spikes, time_s)

    def fee_factor(self, time_s: int) -> float:
        """Return what the price of gas is multiplied by at a Unix time."""
        return self.spike_factor if self.gas_is_dear(time_s) else 1.0

    def outages_until(self, time_s: int) -> int:
        """Return how many outages began at a Unix time or before."""
        return bisect_right(self.outages, time_s, key=lambda found: found.start_s)


CALM = FaultSchedule(start_s=0)
"""The schedule of a chain without faults."""


def _ascending(*times: Iterable[int]) -> list[int]:
    return sorted(time_s for some in times for time_s in some)


def _merged(starts: Iterable[int], length_s: int) -> tuple[Interval, ...]:
    """Return intervals of one length that begin at ascending times, those that touch as one."""
    found: list[Interval] = []
    for start_s in starts:
        if length_s <= 0:
            raise ChainError(f"what comes for {length_s} s has no length")
        if found and start_s <= found[-1].end_s:
            found[-1] = Interval(found[-1].start_s, start_s + length_s)
        else:
            found.append(Interval(start_s, start_s + length_s))
    return tuple(found)


def _within(intervals: tuple[Interval, ...], time_s: int) -> bool:
    before = bisect_right(intervals, time_s, key=lambda found: found.start_s)
    return before > 0 and time_s < intervals[before - 1].end_s
