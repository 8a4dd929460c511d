"""Gas, exact to the unit; a wanted change of the contracts writes new figures to ``gas.json`` and the README."""

import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.chain.eth_tester import EthTesterChain
from vpp_sim.chain.settlement import SettlementClient

EXPECTED = json.loads((Path(__file__).parent / "gas.json").read_text(encoding="utf-8"))
README = Path(__file__).parents[2] / "contracts" / "README.md"


def settled_gas(n):
    """Return the gas of the second and third batch among n accounts, whose storage the first has written."""
    chain = EthTesterChain(accounts=n + 1, seed=7, genesis_timestamp_s=1_500_000_000)
    start = np.full(n, 10**9, dtype=np.int64)
    client = SettlementClient(chain, names=[f"home_{i}" for i in range(n)], initial_micro_eur=start, confirmations=0)
    amounts = np.arange(n, dtype=np.int64) * 123_457 - 500_000
    traded = np.arange(n, dtype=np.int64) * 321 - 2_000
    amounts[-1] -= amounts.sum()
    traded[-1] -= traded.sum()
    for period in range(3):
        client.submit_batch(period, np.arange(n), amounts, traded)
        client.mine_block(chain.timestamp_s + 12)
    return [batch.gas_used for batch in client.confirmed()][1:]


@pytest.mark.parametrize("n", [13, 100])
def test_a_batch_costs_what_is_written(n):
    second, third = settled_gas(n)
    assert second == third == EXPECTED[f"settle_{n}"]


def test_the_readme_shows_the_same_figures():
    text = README.read_text(encoding="utf-8")
    for n in (13, 100):
        gas = EXPECTED[f"settle_{n}"]
        assert f"| {n} | {gas:,} | {gas / n:,.0f} |" in text
