"""When blocks come: at whole multiples of the block time, or at random with that mean.

Both are memoryless: the next block's time follows from the present alone. So whoever produces blocks may sleep while
nothing is under way, and wake at any time, and what she then mines comes as if she had mined empty blocks all along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["BlockTimes"]


class BlockTimes:
    """Times of blocks.

    Parameters
    ----------
    mean_s : int
        Block time, at least one second [s].
    distribution : {"regular", "exponential"}
        ``regular``: at the multiples of the block time. ``exponential``: at random, each second as likely as any other,
        as miners of proof of work find blocks; in whole seconds this is the geometric distribution, whose mean is the
        block time exactly.
    rng : numpy.random.Generator
        Source of the random times; regular ones draw nothing.

    Raises
    ------
    ChainError
        If the block time is less than a second.

    Examples
    --------
    >>> import numpy as np
    >>> times = BlockTimes(12, "regular", np.random.default_rng(7))
    >>> times.after(0), times.after(11), times.after(12)
    (12, 12, 24)
    """

    def __init__(self, mean_s: int, distribution: Literal["regular", "exponential"], rng: np.random.Generator) -> None:
        if mean_s < 1:
            raise ChainError(f"block time {mean_s} s is less than a second")
        self._mean_s, self._regular, self._rng = mean_s, distribution == "regular", rng

    def after(self, now_s: int) -> int:
        """Return the time of the first block after `now_s`, at least one second later [s]."""
        if self._regular:
            return now_s + self._mean_s - now_s % self._mean_s
        return now_s + int(self._rng.geometric(1 / self._mean_s))
