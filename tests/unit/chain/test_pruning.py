"""The py-evm chain forgets old blocks and states, and nothing that is still needed."""

import gc

import pytest

from tests.support.settling import Settling
from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.errors import ChainError

EVERY, REMEMBERED = 8, 16


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr("vpp_sim.chain.pruning._EVERY_BLOCKS", EVERY)
    monkeypatch.setattr("vpp_sim.chain.pruning.REMEMBERED_BLOCKS", REMEMBERED)
    return Settling([10**9] * 3, backend=EthTesterChain)


def store(world):
    return world.chain._chain.chaindb.db.wrapped_db.kv_store


def settle(world, period):
    world.settle(period, [period + 1, -period, -1])


def to_next_sweep(world):
    while True:
        world.mine()
        if world.chain.block_number % EVERY == 0:
            return


def test_what_is_kept_does_not_grow(world):
    sizes = []
    for period in range(40):
        settle(world, period)
        if period % 10 == 9:
            for _ in range(4):
                to_next_sweep(world)
            sizes.append(len(store(world)))
    assert max(sizes[1:]) - min(sizes[1:]) < 30  # ten more settled periods leave a few storage nodes
    total = sum(period + 1 for period in range(40))
    assert world.client.balances().tolist()[0] == 10**9 - total


def test_a_living_snapshot_is_kept_and_a_dead_one_is_not(world):
    settle(world, 0)
    balances = world.client.balances().tolist()
    snapshot = world.chain.snapshot()
    settle(world, 1)
    for _ in range(4):
        to_next_sweep(world)
    root = snapshot.header.state_root
    assert root != world.chain._head.state_root
    assert root in store(world)
    world.chain.restore(snapshot)
    assert world.client.balances().tolist() == balances
    settle(world, 1)
    del snapshot
    gc.collect()
    for _ in range(4):
        to_next_sweep(world)
    assert root not in store(world)
    assert world.client.balances().tolist() != balances


def test_a_snapshot_is_restored_as_often_as_wanted_and_blocks_after_it_repeat(world):
    snapshot = world.chain.snapshot()
    hashes = []
    for _ in range(2):
        settle(world, 0)
        hashes.append(world.chain.mine(world.chain.timestamp_s + 12).hash)
        world.chain.restore(snapshot)
    assert hashes[0] == hashes[1]
    with pytest.raises(ChainError, match="not a snapshot of this chain"):
        world.chain.restore(object())
