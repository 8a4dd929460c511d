"""The same scenario ends in the same balances, gas and times on every chain backend."""

import os
from contextlib import nullcontext

import pandas as pd
import pytest

from tests.support.nodes import running
from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.chain.settlement import SettlementClient
from vpp_sim.errors import ChainError

LONG_AGO_S = 1_400_000_000
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Of anvil's first account; everybody knows it."""


def settle(tmp_path, monkeypatch, backend, node=None, settlement="netted"):
    """Run a day on a backend; return final balances, traded energy, and the table of batches."""
    clients = []

    class Remembered(SettlementClient):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            clients.append(self)

    monkeypatch.setattr("vpp_sim.agents.settling.SettlementClient", Remembered)
    with running(node, LONG_AGO_S) if node else nullcontext() as url:
        chain = {"backend": backend, "every": "4h", "settlement": settlement}
        chain |= {"url": url, "keys": "development"} if node else {}
        simulate_in(tmp_path / (node or backend), light_scenario(chain=chain))
        (client,) = clients
        found = client.balances().tolist(), client.traded_wh().tolist()
    return *found, pd.read_parquet(tmp_path / (node or backend) / "chain.parquet")


@pytest.fixture
def expected(tmp_path, monkeypatch):
    return settle(tmp_path, monkeypatch, "eth_tester")


def test_revm_ends_as_py_evm_does(tmp_path, monkeypatch, expected):
    balances, traded_wh, table = settle(tmp_path, monkeypatch, "revm")
    assert (balances, traded_wh) == expected[:2]
    assert len(set(balances)) > 2  # something moved
    pd.testing.assert_frame_equal(table, expected[2])  # hashes of transactions and gas too


def test_homes_that_trade_directly_end_as_others_do(tmp_path, monkeypatch, expected):
    """Who pays whom by contract changes nothing about what everybody owns in the end."""
    tables = {}
    for backend in ("eth_tester", "revm"):
        *ends, tables[backend] = settle(tmp_path / "direct", monkeypatch, backend, settlement="direct")
        assert tuple(ends) == expected[:2]
    pd.testing.assert_frame_equal(tables["revm"], tables["eth_tester"])
    assert tables["revm"]["transactions"].sum() > len(tables["revm"]) + 4


@pytest.mark.slow
def test_anvil_ends_as_py_evm_does(tmp_path, monkeypatch, expected):
    balances, traded_wh, table = settle(tmp_path, monkeypatch, "rpc", "anvil")
    assert (balances, traded_wh) == expected[:2]
    same = ["period", "first_step", "last_step", "submitted_s", "mined_s", "confirmed_s", "accounts"]
    pd.testing.assert_frame_equal(table[same], expected[2][same])
    # the oracle's signatures are bound to the chain's id, so they differ; a zero byte among them costs 12 gas less
    gas = table["gas_used"] - expected[2]["gas_used"]
    assert (gas % 12 == 0).all()
    assert gas.abs().max() <= 36


@pytest.mark.slow
def test_homes_trade_directly_on_anvil(tmp_path, monkeypatch, expected):
    balances, traded_wh, table = settle(tmp_path, monkeypatch, "rpc", "anvil", "direct")
    assert (balances, traded_wh) == expected[:2]
    assert table["transactions"].sum() > len(table) + 4


@pytest.mark.slow
def test_ganache_is_refused_since_its_evm_is_too_old(tmp_path, monkeypatch):
    """ganache 7.9.2 ends with Shanghai; the contracts guard themselves by Cancun's transient storage."""
    with pytest.raises(ChainError, match=r"the node \(Ganache/v7.9.2.*\) runs an EVM from before Cancun"):
        settle(tmp_path, monkeypatch, "rpc", "ganache")


@pytest.mark.slow
def test_a_node_whose_clock_is_late_is_told_how_to_start(tmp_path):
    with running("anvil", 1_900_000_000) as url:
        chain = {"backend": "rpc", "url": url, "keys": "development"}
        with pytest.raises(ChainError, match=r"is of 2030-03-17 .* start a new node .* anvil --timestamp 1499\d+"):
            simulate_in(tmp_path, light_scenario(chain=chain))


@pytest.mark.slow
def test_a_key_from_the_environment_pays_and_signs(tmp_path, monkeypatch):
    """The operator is anvil's first account; the members' keys derive from it."""
    monkeypatch.setitem(os.environ, "VPP_SIM_CHAIN_KEY", KEY)
    with running("anvil", LONG_AGO_S) as url:
        monkeypatch.setitem(os.environ, "VPP_SIM_CHAIN_URL", url)
        simulate_in(tmp_path, light_scenario(chain={"backend": "rpc", "every": "24h"}))
    assert len(pd.read_parquet(tmp_path / "chain.parquet")) == 1


@pytest.mark.slow
def test_a_main_network_is_refused_before_anything_is_sent(tmp_path):
    with running("anvil", LONG_AGO_S, "--chain-id", "137") as url:
        chain = {"backend": "rpc", "url": url, "keys": "development"}
        with pytest.raises(ChainError, match=r"the node is on Polygon \(chain id 137\), a main network"):
            simulate_in(tmp_path, light_scenario(chain=chain))
