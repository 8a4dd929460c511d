"""Opening a chain: which keys are allowed where. Nodes themselves are met in the slow conformance tests."""

import pytest

from vpp_sim.chain.opening import NodeAccess, open_chain
from vpp_sim.chain.revm import RevmChain
from vpp_sim.chain.rpc import RpcChain
from vpp_sim.errors import ChainError


def access(url=None, keys="environment", **environment):
    return NodeAccess(url, keys, allow_main_network=False, environment=environment)


def test_a_chain_inside_needs_no_access():
    chain = open_chain(RevmChain, accounts=2, seed=7, genesis_timestamp_s=1_000, access=access())
    assert (chain.timestamp_s, chain.accounts) == (1_000, RevmChain(accounts=2, seed=7, genesis_timestamp_s=0).accounts)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (access(), "which node[?] set url in the scenario's chain section, or VPP_SIM_CHAIN_URL in the environment"),
        (access("http://127.0.0.1:1"), "set VPP_SIM_CHAIN_KEY to its hexadecimal digits"),
        (access(VPP_SIM_CHAIN_URL="http://127.0.0.1:1"), "set VPP_SIM_CHAIN_KEY to its hexadecimal digits"),
        (access("https://node.example", "development"), "development keys are no secret and only for a test node"),
        (access("http://127.0.0.1:1", "development"), "node 127.0.0.1:1 does not answer"),
    ],
)
def test_what_is_missing_is_told(how, message):
    with pytest.raises(ChainError, match=message):
        open_chain(RpcChain, accounts=2, seed=7, genesis_timestamp_s=1_000, access=how)
