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
    assert MerkleTree(LEAVES).root == both(both(b, c), both(a, LEAVES[6]))


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


def proves(root: bytes, leaves: list[bytes], proof: tuple[bytes, ...], flags: tuple[bool, ...]) -> bool:
    """Do what OpenZeppelin's ``processMultiProof`` documents: take leaves, then what came of them, in their order."""
    waiting, steps = list(leaves), list(proof)
    for flag in flags:
        node = waiting.pop(0)
        waiting.append(both(node, waiting.pop(0) if flag else steps.pop(0)))
    return waiting == [root] and not steps


@given(st.integers(1, 200), st.data())
def test_several_leaves_are_proven_at_once_and_a_changed_one_is_not(n: int, data: st.DataObject) -> None:
    leaves = [keccak(k.to_bytes(4, "big")) for k in range(n)]
    tree = MerkleTree(leaves)
    wanted = data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    order, proof, flags = tree.multipath(wanted)
    assert order == tuple(sorted(wanted))
    assert proves(tree.root, [leaves[k] for k in order], proof, flags)
    assert len(flags) == len(order) + len(proof) - 1  # as the verifier demands
    changed = [leaves[k] for k in order]
    changed[-1] = keccak(changed[-1])
    assert not proves(tree.root, changed, proof, flags)


def test_the_root_of_many_leaves_is_that_of_a_plain_loop() -> None:
    leaves = [keccak(k.to_bytes(4, "big")) for k in range(1_501)]
    nodes = leaves[::-1]
    while len(nodes) > 1:  # a complete tree: the last two of the waiting line make the node before the first
        nodes = [both(nodes[-2], nodes[-1]), *nodes[:-2]]
    assert MerkleTree(leaves).root == nodes[0]


def test_what_no_tree_is_made_of_is_refused() -> None:
    with pytest.raises(ChainError, match="a tree needs a leaf"):
        MerkleTree([])
    with pytest.raises(ChainError, match="leaf 1 has 31 bytes, expected 32"):
        MerkleTree([LEAVES[0], LEAVES[1][:31]])
    with pytest.raises(ChainError, match="no leaf 7 in a tree of 7"):
        MerkleTree(LEAVES).path(7)
    with pytest.raises(ChainError, match=r"names at least one, each once: \[2, 2\]"):
        MerkleTree(LEAVES).multipath([2, 2])
