"""Merkle trees: one root stands for a period's statements, and each statement is proven by a path to it.

Pairs are hashed in ascending order (R. Merkle, CRYPTO 1987, and the convention of OpenZeppelin's ``MerkleProof``), so a
path needs no directions. A node without a partner rises as it is. What a statement's leaf is, and that it cannot be
mistaken for an inner node, is for the contract to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils.crypto import keccak

from vpp_sim.errors import ChainError

__all__ = ["MerkleTree", "climb"]

_WORD_BYTES = 32


class MerkleTree:
    """A tree over n leaves.

    Parameters
    ----------
    leaves : sequence of bytes
        Hashes of 32 bytes, at least one, in any order.

    Raises
    ------
    ChainError
        If there is no leaf, or one has another size.

    Examples
    --------
    >>> leaves = [bytes([k]) * 32 for k in range(5)]
    >>> tree = MerkleTree(leaves)
    >>> climb(leaves[4], tree.path(4)) == tree.root, len(tree.path(4)), len(tree.path(0))
    (True, 1, 3)
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        wrong = [i for i, leaf in enumerate(leaves) if len(leaf) != _WORD_BYTES]
        if not leaves or wrong:
            raise ChainError(
                f"leaf {wrong[0]} has {len(leaves[wrong[0]])} bytes, expected 32" if wrong else "a tree needs a leaf"
            )
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            self._levels.append(_parents(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """The hash that stands for all leaves."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the partners of a leaf and of its ancestors, from the bottom.

        Raises
        ------
        ChainError
            If there is no leaf of that index.
        """
        if not 0 <= index < len(self._levels[0]):
            raise ChainError(f"no leaf {index} in a tree of {len(self._levels[0])}")
        partners = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                partners.append(level[index ^ 1])
            index //= 2
        return tuple(partners)


def climb(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that a leaf and a path lead to."""
    node = leaf
    for partner in path:
        node = _pair(node, partner)
    return node


def _parents(level: list[bytes]) -> list[bytes]:
    found = [_pair(a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
    return found if len(level) % 2 == 0 else [*found, level[-1]]


def _pair(a: bytes, b: bytes) -> bytes:
    return bytes(keccak(a + b if a < b else b + a))
