"""The queue by itself: order, places, replacements, and what it adds up. Refusals stand in the conformance tests."""

import pytest

from vpp_sim.chain.mempool import Mempool
from vpp_sim.chain.protocol import Fees, Transaction, TransactionRefusedError
from vpp_sim.chain.wallet import Wallet

WALLET = Wallet.of_seed(7, accounts=2)
A, B = WALLET.addresses
LIMIT = 1_000_000


@pytest.fixture
def pool():
    return Mempool(1_337, LIMIT, lambda account: (5, 10**12))


def signed(sender=A, nonce=5, gas_limit=100_000, max_wei=1_000, priority_wei=0):
    transaction = Transaction(sender, sender, b"", gas_limit)
    return WALLET.sign(transaction, chain_id=1_337, nonce=nonce, fees=Fees(max_wei, priority_wei))


def hashes(transactions):
    return [transaction.hash for transaction in transactions]


def test_what_waits_is_counted_once(pool):
    one = signed()
    pool.add(one)
    pool.add(one)
    assert (len(pool), pool.nonce(A), pool.nonce(B), pool.holds(one.hash)) == (1, 6, 5, True)
    pool.clear()
    assert (len(pool), pool.nonce(A), pool.holds(one.hash)) == (0, 5, False)


def test_a_replacement_keeps_the_place_and_can_be_undone(pool):
    first, second, third = signed(A), signed(B), signed(A, nonce=6)
    for one in (first, second, third):
        pool.add(one)
    better = signed(A, max_wei=1_100)
    undo = pool.add(better)
    assert (len(pool), pool.nonce(A), pool.holds(first.hash)) == (3, 7, False)
    undo()
    assert (len(pool), pool.nonce(A), pool.holds(first.hash), pool.holds(better.hash)) == (3, 7, True, False)
    pool.add(better)
    assert hashes(pool.take(0))[0] == better.hash


@pytest.mark.parametrize(("max_wei", "priority_wei"), [(1_099, 11), (1_100, 10), (1_000, 11)])
def test_a_replacement_outbids_by_a_tenth_in_both_fees(pool, max_wei, priority_wei):
    pool.add(signed(priority_wei=10))
    with pytest.raises(TransactionRefusedError, match="raise both of its fees, 1000 and 10 wei, by a tenth"):
        pool.add(signed(max_wei=max_wei, priority_wei=priority_wei))
    pool.add(signed(max_wei=1_100, priority_wei=11))


def test_what_a_sender_can_owe_altogether_is_bounded_by_what_she_has():
    pool = Mempool(1_337, LIMIT, lambda account: (5, 250_000_000))
    pool.add(signed(nonce=5))
    pool.add(signed(nonce=6))
    with pytest.raises(TransactionRefusedError, match="has 250000000 wei and needs 300000000"):
        pool.add(signed(nonce=7))
    pool.take(0)
    pool.add(signed(nonce=5))


def test_a_block_takes_what_is_sure_to_fit_in_order(pool):
    waiting = [signed(A, 5, 400_000), signed(B, 5, 500_000), signed(A, 6, 200_000), signed(B, 6, 21_000)]
    for one in waiting:
        pool.add(one)
    assert hashes(pool.take(0)) == hashes(waiting[:2])  # the third does not fit, and nobody overtakes it
    assert hashes(pool.take(0)) == hashes(waiting[2:])


def test_too_low_fees_wait_and_hold_back_only_their_sender(pool):
    waiting = [signed(A, 5, max_wei=10), signed(B, 5), signed(A, 6)]
    for one in waiting:
        pool.add(one)
    assert hashes(pool.take(11)) == hashes(waiting[1:2])
    assert hashes(pool.take(10)) == [waiting[0].hash, waiting[2].hash]


def test_what_a_node_has_mined_is_dropped_and_strangers_are_ignored(pool):
    one = signed()
    pool.add(one)
    pool.drop(["0xabc", one.hash])
    assert (len(pool), pool.nonce(A)) == (0, 5)
