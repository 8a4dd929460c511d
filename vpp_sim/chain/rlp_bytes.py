"""Recursive Length Prefix, the encoding of Ethereum's transactions: of bytes and of nested lists of bytes.

The `rlp` package infers a schema for every field of every item, which takes longer than to hash and sign a transaction.

References
----------
Ethereum Yellow Paper, appendix B. https://ethereum.github.io/yellowpaper/paper.pdf
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Item", "encode_integer", "encode_rlp"]

Item: TypeAlias = Union[bytes, "Sequence[Item]"]
"""What can be encoded."""

_SHORT = 55
_BYTES, _LIST = 0x80, 0xC0


def encode_rlp(item: Item) -> bytes:
    """Return the encoding of bytes, or of a list of what can be encoded.

    Examples
    --------
    >>> encode_rlp(b"dog").hex(), encode_rlp([b"cat", b"dog"]).hex(), encode_rlp([[], [[]]]).hex()
    ('83646f67', 'c88363617483646f67', 'c3c0c1c0')
    """
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < _BYTES:
            return item
        return _prefix(len(item), _BYTES) + item
    content = b"".join([encode_rlp(part) for part in item])
    return _prefix(len(content), _LIST) + content


def encode_integer(number: int) -> bytes:
    """Return a non-negative integer as the format holds it: big-endian, without leading zeros.

    Examples
    --------
    >>> encode_integer(0), encode_integer(1_024)
    (b'', b'\\x04\\x00')
    """
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _prefix(length: int, kind: int) -> bytes:
    if length <= _SHORT:
        return bytes([kind + length])
    size = encode_integer(length)
    return bytes([kind + _SHORT + len(size)]) + size
