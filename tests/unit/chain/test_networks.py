"""The guard before public main networks."""

import pytest

from vpp_sim.chain.networks import MAIN_NETWORKS, require_test_network
from vpp_sim.errors import ChainError

TEST_NETWORKS = {11_155_111: "Sepolia", 17_000: "Holesky", 80_002: "Amoy", 31_337: "anvil", 1_337: "ganache"}


@pytest.mark.parametrize("chain_id", TEST_NETWORKS)
def test_test_networks_need_no_switch(chain_id):
    require_test_network(chain_id, allowed=False, confirmed=None)


@pytest.mark.parametrize("chain_id", MAIN_NETWORKS)
def test_main_networks_need_both_switches(chain_id):
    require_test_network(chain_id, allowed=True, confirmed=str(chain_id))
    for allowed, confirmed in ((False, None), (True, None), (False, str(chain_id)), (True, "5"), (True, "yes")):
        with pytest.raises(ChainError) as caught:
            require_test_network(chain_id, allowed=allowed, confirmed=confirmed)
        assert f"the node is on {MAIN_NETWORKS[chain_id]} (chain id {chain_id}), a main network" in str(caught.value)
        missing = str(caught.value).partition("missing: ")[2]
        assert ("the scenario's switch" in missing) == (not allowed)
        assert ("the environment variable" in missing) == (confirmed != str(chain_id))


def test_the_best_known_main_networks_are_known():
    expected = {
        "Ethereum": 1, "OP Mainnet": 10, "BNB Smart Chain": 56, "Gnosis": 100, "Polygon": 137, "Base": 8453,
        "Arbitrum One": 42161, "Avalanche C-Chain": 43114, "Linea": 59144, "zkSync Era": 324, "Scroll": 534352,
        "Energy Web Chain": 246,
    }  # fmt: skip
    found = {name: chain_id for chain_id, name in MAIN_NETWORKS.items()}
    assert {name: found[name] for name in expected} == expected
