"""Packing of settlement batches, against bytes written out by hand from the layout in ``SettlementEntries.sol``."""

import numpy as np
import pytest

from vpp_sim.chain.batch import ENTRY, pack_entries
from vpp_sim.errors import ChainError


def integers(*values):
    return np.array(values, dtype=np.int64)


def test_entries_are_twenty_bytes_big_endian_and_ascend_by_member():
    packed = pack_entries(integers(258, 1), integers(-2, 2), integers(256, -256))
    assert packed.hex(" ", 4).split() == [
        *("00000001", "00000000", "00000002", "ffffffff", "ffffff00"),
        *("00000102", "ffffffff", "fffffffe", "00000000", "00000100"),
    ]


def test_packing_round_trips_the_extremes_of_64_bits():
    extremes = integers(-(2**63), 2**63 - 1)
    entries = np.frombuffer(pack_entries(integers(0, 1), extremes, extremes[::-1]), dtype=ENTRY)
    assert entries["amount_micro_eur"].tolist() == extremes.tolist()
    assert entries["traded_wh"].tolist() == extremes[::-1].tolist()


def test_inputs_stay_as_they_were():
    members, amounts, traded = integers(1, 0), integers(5, -5), integers(0, 0)
    pack_entries(members, amounts, traded)
    assert (members.tolist(), amounts.tolist(), traded.tolist()) == ([1, 0], [5, -5], [0, 0])


@pytest.mark.parametrize(
    ("members", "amounts", "traded", "message"),
    [
        (integers(), integers(), integers(), r"three equal, non-empty lists, not shapes \[\(0,\), \(0,\), \(0,\)\]"),
        (integers(0, 1), integers(0), integers(0, 0), r"not shapes \[\(2,\), \(1,\), \(2,\)\]"),
        (integers(0), np.array([0.5]), integers(0), r"signed integers, not \['int64', 'float64', 'int64'\]"),
        (integers(0, 2, 0), integers(0, 0, 0), integers(0, 0, 0), r"each account once.*\[0, 0, 2\]"),
        (integers(-1, 0), integers(0, 0), integers(0, 0), r"non-negative index: \[-1, 0\]"),
    ],
)
def test_what_is_no_batch_is_refused(members, amounts, traded, message):
    with pytest.raises(ChainError, match=message):
        pack_entries(members, amounts, traded)
