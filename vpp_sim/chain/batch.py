"""Settlement batches, packed as the contract reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from vpp_sim.arrays import IntArray

__all__ = ["ENTRY", "pack_entries"]

ENTRY = np.dtype([("member", ">u4"), ("amount_micro_eur", ">i8"), ("traded_wh", ">i8")])
"""Layout of one packed entry, 20 bytes big-endian, as ``SettlementEntries.sol`` reads it."""


def pack_entries(member_index: IntArray, amount_micro_eur: IntArray, traded_wh: IntArray) -> bytes:
    """Return a batch as the contract reads it: 20 bytes an entry, ascending by member.

    Parameters
    ----------
    member_index : ndarray of int, shape (m,)
        Accounts, each at most once, in any order.
    amount_micro_eur : ndarray of int64, shape (m,)
        What each pays [micro-euro].
    traded_wh : ndarray of int64, shape (m,)
        What each bought [Wh].

    Raises
    ------
    ChainError
        If shapes differ, there is no entry, a value is not an integer, or an account is named twice or is negative.

    Examples
    --------
    >>> pack_entries(np.array([1, 0]), np.array([-5, 5]), np.array([0, 0])).hex(" ", 4)
    '00000000 00000000 00000005 00000000 00000000 00000001 ffffffff fffffffb 00000000 00000000'
    """
    arrays = (member_index, amount_micro_eur, traded_wh)
    if any(array.ndim != 1 or array.shape != member_index.shape for array in arrays) or member_index.size == 0:
        raise ChainError(f"a batch needs three equal, non-empty lists, not shapes {[array.shape for array in arrays]}")
    if any(array.dtype.kind != "i" for array in arrays):
        raise ChainError(f"a batch holds signed integers, not {[str(array.dtype) for array in arrays]}")
    order = np.argsort(member_index, kind="stable")
    members = member_index[order]
    if members[0] < 0 or (np.diff(members) == 0).any():
        raise ChainError(f"a batch names each account once, by a non-negative index: {members.tolist()}")
    entries = np.empty(members.size, dtype=ENTRY)
    entries["member"] = members
    entries["amount_micro_eur"] = amount_micro_eur[order]
    entries["traded_wh"] = traded_wh[order]
    return entries.tobytes()
