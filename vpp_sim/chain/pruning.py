"""Memory of the py-evm chain: forget what no later block can need.

py-evm keeps every block and every state that ever was, about 46 KB a block of a settlement. What a simulation needs is
less: the state of the newest block and of living snapshots, and the blocks since the oldest of these, at least the
newest 256, which the ``BLOCKHASH`` instruction and receipts reach back to. The store is content-addressed, so what is
needed is found by walking the tries from their roots (mark), and the rest is dropped (sweep), once in 128 blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rlp
from eth.constants import BLANK_ROOT_HASH
from eth.db.schema import SchemaV1

from vpp_sim.chain.local import REMEMBERED_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Pruner"]

_SCHEMA: Any = SchemaV1  # its types are of a package of its own
_EVERY_BLOCKS = 128
_HASH_BYTES = 32
_BRANCH, _LEAF_FLAG = 17, 0x20
_BLOCK_ROOTS = slice(4, 6)
"""Where a header holds the roots of its transactions and receipts, in every fork."""
_NUMBER_PREFIX, _SCORE_PREFIX, _TRANSACTION_PREFIX = (
    b"block-number-to-hash:",
    b"block-hash-to-score:",
    b"transaction-hash-to-block:",
)


class Pruner:
    """Keeps a py-evm database small.

    Parameters
    ----------
    database : AtomicDB over MemoryDB
        Of the chain.
    """

    def __init__(self, database: Any) -> None:
        self._store: dict[bytes, bytes] = database.wrapped_db.kv_store
        self._genesis_hash = rlp.decode(self._store[_number_key(0)])

    def after_block(self, head: Any, snapshots: Iterable[Any]) -> None:
        """Forget what is not needed any more, if it is time to.

        Parameters
        ----------
        head : BlockHeader
            Of the newest block.
        snapshots : iterable of BlockHeader
            Of the blocks that may be returned to, and which a new branch may then begin from.
        """
        if head.block_number % _EVERY_BLOCKS:
            return
        snapshots = tuple(snapshots)
        oldest = min((kept.block_number for kept in snapshots), default=head.block_number)
        oldest = max(min(oldest, head.block_number - REMEMBERED_BLOCKS), 0)
        blocks = {self._genesis_hash, *self._since(oldest)}
        needed = set(blocks)
        for block_hash in blocks:
            for root in rlp.decode(self._store[block_hash])[_BLOCK_ROOTS]:
                for node, _ in self._walk(root):
                    needed.add(node)
        for state_root in {kept.state_root for kept in (head, *snapshots)}:
            needed |= self._state(state_root)
        self._sweep(needed, blocks, oldest)

    def _since(self, oldest: int) -> Iterator[bytes]:
        """Yield the hash of each block from `oldest` on, also of an undone branch: py-evm looks up whom it replaces."""
        for key, value in self._store.items():
            if key.startswith(_NUMBER_PREFIX) and int(key[len(_NUMBER_PREFIX) :]) >= oldest:
                yield rlp.decode(value)

    def _sweep(self, needed: set[bytes], blocks: set[bytes], oldest: int) -> None:
        needed |= {_SCHEMA.make_block_hash_to_score_lookup_key(block_hash) for block_hash in blocks}
        store = self._store
        for key in [key for key in store if key not in needed and not _keep(key, store[key], blocks, oldest)]:
            del store[key]

    def _state(self, root: bytes) -> set[bytes]:
        """Return every node and code of a state, its accounts' storage included."""
        nodes: set[bytes] = set()
        for node, leaf in self._walk(root):
            nodes.add(node)
            if leaf is not None:
                _, _, storage_root, code_hash = rlp.decode(leaf)
                nodes.add(code_hash)
                nodes.update(found for found, _ in self._walk(storage_root))
        return nodes

    def _walk(self, root: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield the hash of each stored node of a trie; and once for each leaf, with it, the leaf's value."""
        if root == BLANK_ROOT_HASH:
            return
        open_nodes: list[tuple[bytes, Any]] = [(root, rlp.decode(self._store[root]))]
        while open_nodes:
            name, node = open_nodes.pop()
            yield name, None
            if len(node) == _BRANCH:
                children = node[:-1]
            elif node[0][0] & _LEAF_FLAG:
                yield name, node[1]
                continue
            else:
                children = [node[1]]
            for child in children:
                if isinstance(child, list):  # a node under 32 bytes lies inside its parent
                    open_nodes.append((name, child))
                elif len(child) == _HASH_BYTES:
                    open_nodes.append((child, rlp.decode(self._store[child])))


def _number_key(number: int) -> bytes:
    return bytes(_SCHEMA.make_block_number_to_hash_lookup_key(number))


def _keep(key: bytes, value: bytes, blocks: set[bytes], oldest: int) -> bool:
    """Return whether an entry of an index is still needed; nodes, codes and headers are judged by their hash."""
    if key.startswith(_NUMBER_PREFIX):
        return rlp.decode(value) in blocks
    if key.startswith(_TRANSACTION_PREFIX):
        return int.from_bytes(rlp.decode(value)[0], "big") >= oldest
    return len(key) != _HASH_BYTES and not key.startswith(_SCORE_PREFIX)
