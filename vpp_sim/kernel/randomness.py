"""Random streams by name: one for each agent and one for each prosumer, whoever else takes part.

A stream depends on the scenario's seed and its own name alone, so a new neighbour changes nobody else's numbers.
Agents draw from a NumPy generator. Prosumers draw by counter: the number for a step is a hash of the prosumer's key
and the step, so a fleet of any size draws in one vectorised call and keeps no state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vpp_sim.arrays import FloatArray

__all__ = ["MemberStreams", "Streams"]


def _key(seed: int, name: str, n_bytes: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:n_bytes], "little")


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 on each word [1]_.

    References
    ----------
    .. [1] G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
       https://doi.org/10.1145/2660193.2660195
    """
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


class MemberStreams:
    """Streams of uniform numbers, one a prosumer, addressed by step.

    Parameters
    ----------
    seed : int
        Seed of the scenario.
    purpose : str
        What the numbers are for; another purpose gives independent numbers.
    names : sequence of str
        Names of the prosumers.

    Examples
    --------
    >>> two = MemberStreams(1, "limit_price", ["anna", "ben"]).uniform(5)
    >>> three = MemberStreams(1, "limit_price", ["zoe", "anna", "ben"]).uniform(5)
    >>> bool((two == three[1:]).all())
    True
    """

    _GOLDEN = 0x9E3779B97F4A7C15

    def __init__(self, seed: int, purpose: str, names: Sequence[str]) -> None:
        self._keys = np.array([_key(seed, f"{purpose}/{name}", 8) for name in names], dtype=np.uint64)

    def uniform(self, step: int) -> FloatArray:
        """Return one number in [0, 1) for each prosumer, shape (n,); the same for the same step."""
        counter = np.uint64((step + 1) * self._GOLDEN % 2**64)
        return (_mixed(self._keys + counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Streams:
    """All random streams of a run.

    Parameters
    ----------
    seed : int
        Seed of the scenario.

    Examples
    --------
    >>> Streams(7).generator("weather").integers(10) == Streams(7).generator("weather").integers(10)
    np.True_
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def generator(self, name: str) -> np.random.Generator:
        """Return a new generator at the beginning of the stream `name`."""
        return np.random.Generator(np.random.PCG64(_key(self.seed, name, 16)))

    def members(self, purpose: str, names: Sequence[str]) -> MemberStreams:
        """Return the prosumers' streams for `purpose`."""
        return MemberStreams(self.seed, purpose, names)
