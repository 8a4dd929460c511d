"""Merkle trees: one root stands for a period's statements, and each statement is proven by a path to it.

Pairs are hashed in ascending order (R. Merkle, CRYPTO 1987, and the convention of OpenZeppelin's ``MerkleProof``), so a
path needs no directions. The tree is complete: of n leaves, the 2n - 1 nodes stand in one array, node i above 2i + 1
and 2i + 2, and the leaves from the end backwards. A verifier that takes leaves first and then inner nodes, in their
order, then meets siblings together, which is what one proof of many leaves needs; a tree whose odd node rises as it is
has no such order. What a statement's leaf is, and that it cannot be mistaken for an inner node, is for the contract to
say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from eth_hash.auto import keccak

from vpp_sim.chain.keccak import keccak_rows
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    (True, 2, 3)
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        wrong = [i for i, leaf in enumerate(leaves) if len(leaf) != _WORD_BYTES]
        if not leaves or wrong:
            raise ChainError(
                f"leaf {wrong[0]} has {len(leaves[wrong[0]])} bytes, expected 32" if wrong else "a tree needs a leaf"
            )
        self._size = len(leaves)
        nodes = np.empty((2 * self._size - 1, _WORD_BYTES), dtype=np.uint8)
        nodes[self._size - 1 :] = np.frombuffer(b"".join(leaves), dtype=np.uint8).reshape(-1, _WORD_BYTES)[::-1]
        end = self._size - 1  # of the inner nodes that are still to be found
        while end:
            first = end // 2  # all children of the nodes from here on are known
            nodes[first:end] = _parents(nodes[2 * first + 1 : 2 * end + 1])
            end = first
        self._nodes = nodes

    @property
    def root(self) -> bytes:
        """The hash that stands for all leaves."""
        return bytes(self._nodes[0])

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the partners of a leaf and of its ancestors, from the bottom.

        Raises
        ------
        ChainError
            If there is no leaf of that index.
        """
        at, partners = self._place(index), []
        while at:
            partners.append(self._node(_sibling(at)))
            at = (at - 1) // 2
        return tuple(partners)

    def multipath(self, indices: Iterable[int]) -> tuple[tuple[int, ...], tuple[bytes, ...], tuple[bool, ...]]:
        """Return the proof of several leaves at once, for OpenZeppelin's ``MerkleProof.multiProofVerify``.

        Returns
        -------
        indices : tuple of int
            The leaves in the order in which the verifier must be given them.
        proof : tuple of bytes
            The nodes that do not follow from these leaves.
        flags : tuple of bool
            For each step, whether the partner follows from the leaves, else it is the next of `proof`.

        Raises
        ------
        ChainError
            If there is no leaf of an index, or one is named twice.

        Examples
        --------
        >>> MerkleTree([bytes([k]) * 32 for k in range(4)]).multipath([3, 2])[::2]
        ((2, 3), (True, False))
        """
        ordered = sorted(indices)
        places = [self._place(index) for index in ordered]
        if not places or len(set(places)) < len(places):
            raise ChainError(f"a proof of several leaves names at least one, each once: {ordered}")
        queue, proof, flags = deque(places), [], []
        while queue[0]:
            at = queue.popleft()
            together = bool(queue) and queue[0] == _sibling(at)
            if together:
                queue.popleft()
            else:
                proof.append(self._node(_sibling(at)))
            flags.append(together)
            queue.append((at - 1) // 2)
        return tuple(ordered), tuple(proof), tuple(flags)

    def _place(self, index: int) -> int:
        """Return where a leaf stands among the nodes: the first is the last."""
        if not 0 <= index < self._size:
            raise ChainError(f"no leaf {index} in a tree of {self._size}")
        return 2 * self._size - 2 - index

    def _node(self, at: int) -> bytes:
        return bytes(self._nodes[at])


def climb(leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that a leaf and a path lead to."""
    node = leaf
    for partner in path:
        node = bytes(keccak(node + partner if node < partner else partner + node))
    return node


def _sibling(at: int) -> int:
    return at + 1 if at % 2 else at - 1


def _parents(children: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the hash of each two rows that follow one another, the smaller first."""
    pairs = children.reshape(-1, 2, _WORD_BYTES)
    words = pairs.view(">u8")
    differs = (words[:, 0] != words[:, 1]).argmax(axis=1)
    rows = np.arange(len(pairs))
    swap = words[rows, 0, differs] > words[rows, 1, differs]
    ordered = np.where(swap[:, None, None], pairs[:, ::-1], pairs)
    return keccak_rows(ordered.reshape(-1, 2 * _WORD_BYTES))
