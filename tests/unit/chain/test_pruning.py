"""The py-evm chain forgets old blocks and states, and nothing that is still needed."""

import gc

import numpy as np
import pytest

from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.errors import ChainError

EVERY, REMEMBERED = 8, 16


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr("vpp_sim.chain.pruning._EVERY_BLOCKS", EVERY)
    monkeypatch.setattr("vpp_sim.chain.pruning.REMEMBERED_BLOCKS", REMEMBERED)
    chain = EthTesterChain(accounts=4, seed=7, genesis_timestamp_s=1_500_000_000)
    start = np.full(3, 10**9, dtype=np.int64)
    return SettlementClient(chain, names=["a", "b", "c"], initial_micro_eur=start, confirmations=0)


def store(client):
    return client.chain._chain.chaindb.db.wrapped_db.kv_store


def settle(client, period):
    amounts = np.array([period + 1, -period, -1], dtype=np.int64)
    client.submit_batch(period, np.arange(3), amounts, np.zeros(3, dtype=np.int64))
    client.mine_block(client.chain.timestamp_s + 12)


def to_next_sweep(client):
    while True:
        client.mine_block(client.chain.timestamp_s + 12)
        if client.chain.block_number % EVERY == 0:
            return


def test_what_is_kept_does_not_grow(client):
    sizes = []
    for period in range(40):
        settle(client, period)
        if period % 10 == 9:
            for _ in range(4):
                to_next_sweep(client)
            sizes.append(len(store(client)))
    assert max(sizes[1:]) - min(sizes[1:]) < 30  # ten more settled periods leave a few storage nodes
    total = sum(period + 1 for period in range(40))
    assert client.balances().tolist()[0] == 10**9 - total


def test_a_living_snapshot_is_kept_and_a_dead_one_is_not(client):
    settle(client, 0)
    balances = client.balances().tolist()
    snapshot = client.chain.snapshot()
    settle(client, 1)
    for _ in range(4):
        to_next_sweep(client)
    root = snapshot.header.state_root
    assert root != client.chain._head.state_root
    assert root in store(client)
    client.chain.restore(snapshot)
    assert client.balances().tolist() == balances
    settle(client, 1)
    del snapshot
    gc.collect()
    for _ in range(4):
        to_next_sweep(client)
    assert root not in store(client)
    assert client.balances().tolist() != balances


def test_a_snapshot_is_restored_as_often_as_wanted_and_blocks_after_it_repeat(client):
    snapshot = client.chain.snapshot()
    hashes = []
    for _ in range(2):
        settle(client, 0)
        hashes.append(client.chain.mine(client.chain.timestamp_s + 12).hash)
        client.chain.restore(snapshot)
    assert hashes[0] == hashes[1]
    with pytest.raises(ChainError, match="not a snapshot of this chain"):
        client.chain.restore(object())
