"""Merkle trees: roots by hand, every leaf proven, and nothing else."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from vpp_sim.chain.merkle import MerkleTree, climb
from vpp_sim.errors import ChainError

LEAVES = [keccak(bytes([k])) for k in range(7)]


def both(a: bytes, b: bytes) -> bytes:
    return keccak(min(a, b) + max(a, b))


def test_the_root_of_seven_leaves_is_that_by_hand() -> None:
    a, b, c = (both(LEAVES[k], LEAVES[k + 1]) for k in (0, 2, 4))
    assert MerkleTree(LEAVES).root == both(both(a, b), both(c, LEAVES[6]))


def test_one_leaf_is_its_own_root() -> None:
    tree = MerkleTree(LEAVES[:1])
    assert (tree.root, tree.path(0)) == (LEAVES[0], ())


@given(st.integers(1, 70), st.data())
def test_each_leaf_climbs_to_the_root_and_no_other_does(n: int, data: st.DataObject) -> None:
    leaves = [keccak(k.to_bytes(4, "big")) for k in range(n)]
    tree = MerkleTree(leaves)
    index = data.draw(st.integers(0, n - 1))
    path = tree.path(index)
    assert climb(leaves[index], path) == tree.root
    assert len(path) <= (n - 1).bit_length()
    stranger = keccak(leaves[index])
    assert climb(stranger, path) != tree.root
    if path:
        assert climb(leaves[index], path[:-1]) != tree.root
        assert climb(leaves[index], (*path[:-1], stranger)) != tree.root


def test_what_no_tree_is_made_of_is_refused() -> None:
    with pytest.raises(ChainError, match="a tree needs a leaf"):
        MerkleTree([])
    with pytest.raises(ChainError, match="leaf 1 has 31 bytes, expected 32"):
        MerkleTree([LEAVES[0], LEAVES[1][:31]])
    with pytest.raises(ChainError, match="no leaf 7 in a tree of 7"):
        MerkleTree(LEAVES).path(7)
