"""Keccak-256 of many messages of one length at once, for the leaves and levels of large trees.

numpy runs the rounds of all messages side by side, so one hash costs some microseconds and needs no further library.
For few messages ``eth_utils.crypto.keccak`` is faster, and used. The function is that of FIPS 202 [1]_ with the padding
of the original submission (a byte 1 instead of 6), as Ethereum uses it.

References
----------
.. [1] NIST, "SHA-3 Standard: Permutation-Based Hash and Extendable-Output Functions", FIPS 202, 2015.
   https://doi.org/10.6028/NIST.FIPS.202
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from eth_hash.auto import keccak

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Words = NDArray[np.uint64]

__all__ = ["keccak_rows"]

_RATE_BYTES, _HASH_BYTES, _ROUNDS, _SIDE = 136, 32, 24, 5
_ROWS_AT_ONCE = 1024
"""Messages whose states fit a processor's cache."""
_FEW = 32
"""Up to so many messages are faster one by one."""


def _round_constants() -> list[np.uint64]:
    """Return the constants of step iota, from the shift register of FIPS 202, algorithm 5."""
    constants, register = [], 1
    for _ in range(_ROUNDS):
        constant = 0
        for j in range(7):
            constant |= (register & 1) << (2**j - 1)
            register <<= 1
            if register & 0x100:
                register ^= 0x171
        constants.append(np.uint64(constant))
    return constants


def _rotations() -> tuple[Words, NDArray[np.intp]]:
    """Return by how much each lane turns left in step rho, and which lane step pi puts where; lanes are y * 5 + x."""
    turns, source = np.zeros(_SIDE**2, dtype=np.uint64), np.zeros(_SIDE**2, dtype=np.intp)
    x, y = 1, 0
    for t in range(24):
        turns[_SIDE * y + x] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % _SIDE
    for y in range(_SIDE):
        for x in range(_SIDE):
            source[_SIDE * y + x] = _SIDE * x + (x + 3 * y) % _SIDE
    return turns[:, None], source


_CONSTANTS = _round_constants()
_LEFT, _SOURCE = _rotations()
_RIGHT = (np.uint64(64) - _LEFT) % np.uint64(64)
_NEXT, _AFTER = np.roll(np.arange(_SIDE), -1), np.roll(np.arange(_SIDE), -2)
_ONE, _REST = np.uint64(1), np.uint64(63)


def keccak_rows(messages: Bytes) -> Bytes:
    """Return the hash of each row.

    Parameters
    ----------
    messages : ndarray of uint8, shape (n, k)
        n messages of k bytes.

    Returns
    -------
    ndarray of uint8, shape (n, 32)
        Their hashes.

    Examples
    --------
    >>> rows = np.frombuffer(b"abcxyz", dtype=np.uint8).reshape(2, 3)
    >>> keccak_rows(rows)[0].tobytes().hex()  # Keccak-256 of "abc"
    '4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45'
    """
    n, length = messages.shape
    if n <= _FEW:
        return np.frombuffer(b"".join(keccak(row.tobytes()) for row in messages), dtype=np.uint8).reshape(
            n, _HASH_BYTES
        )
    blocks = length // _RATE_BYTES + 1
    padded = np.zeros((n, blocks * _RATE_BYTES), dtype=np.uint8)
    padded[:, :length] = messages
    padded[:, length] ^= 0x01
    padded[:, -1] ^= 0x80
    lanes = padded.view("<u8").astype(np.uint64, copy=False).reshape(n, blocks, _RATE_BYTES // 8)
    hashes = np.empty((n, _HASH_BYTES // 8), dtype="<u8")
    for first in range(0, n, _ROWS_AT_ONCE):
        some = lanes[first : first + _ROWS_AT_ONCE]
        state = np.zeros((_SIDE**2, len(some)), dtype=np.uint64)
        for block in range(blocks):
            state[: _RATE_BYTES // 8] ^= some[:, block].T
            state = _permuted(state)
        hashes[first : first + _ROWS_AT_ONCE] = state[: _HASH_BYTES // 8].T
    return hashes.view(np.uint8)


def _permuted(state: Words) -> Words:
    """Return Keccak-f[1600] of each column, shape (25, n)."""
    planes = state.reshape(_SIDE, _SIDE, -1)
    for constant in _CONSTANTS:
        parity = np.bitwise_xor.reduce(planes, axis=0)
        turned = np.roll(parity, -1, axis=0)
        planes ^= np.roll(parity, 1, axis=0) ^ (turned << _ONE | turned >> _REST)
        flat = planes.reshape(_SIDE**2, -1)
        moved = (flat << _LEFT | flat >> _RIGHT)[_SOURCE].reshape(planes.shape)
        planes = moved ^ (~moved[:, _NEXT] & moved[:, _AFTER])
        planes[0, 0] ^= constant
    return planes.reshape(_SIDE**2, -1)
