"""Public main networks, where a mistake costs real money; nothing is sent to one unless it is asked for twice."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAIN_NETWORKS", "MAIN_NETWORK_VARIABLE", "require_test_network"]

MAIN_NETWORK_VARIABLE = "VPP_SIM_CHAIN_MAIN_NETWORK"
"""Environment variable that must hold the chain id of a main network before anything is sent to it."""

MAIN_NETWORKS: Mapping[int, str] = MappingProxyType(
    {
        1: "Ethereum",
        10: "OP Mainnet",
        14: "Flare",
        25: "Cronos",
        30: "Rootstock",
        56: "BNB Smart Chain",
        61: "Ethereum Classic",
        100: "Gnosis",
        122: "Fuse",
        130: "Unichain",
        137: "Polygon",
        146: "Sonic",
        169: "Manta Pacific",
        196: "X Layer",
        204: "opBNB",
        246: "Energy Web Chain",
        250: "Fantom",
        252: "Fraxtal",
        288: "Boba",
        324: "zkSync Era",
        480: "World Chain",
        1030: "Conflux eSpace",
        1088: "Metis",
        1101: "Polygon zkEVM",
        1116: "Core",
        1284: "Moonbeam",
        1329: "Sei",
        2020: "Ronin",
        5000: "Mantle",
        7777777: "Zora",
        8217: "Kaia",
        8453: "Base",
        34443: "Mode",
        42161: "Arbitrum One",
        42170: "Arbitrum Nova",
        42220: "Celo",
        43114: "Avalanche C-Chain",
        57073: "Ink",
        59144: "Linea",
        80094: "Berachain",
        81457: "Blast",
        167000: "Taiko",
        534352: "Scroll",
        1313161554: "Aurora",
    }
)
"""Chain id to name, of main networks whose currency has a price (ids as registered at https://chainid.network)."""


def require_test_network(chain_id: int, *, allowed: bool, confirmed: str | None) -> None:
    """Refuse a main network unless both switches are set: one where the run is described, one where it is started.

    Parameters
    ----------
    chain_id : int
        Of the node.
    allowed : bool
        The first switch: ``chain.allow_main_network`` of the scenario.
    confirmed : str or None
        The second: what the environment variable :data:`MAIN_NETWORK_VARIABLE` holds.

    Raises
    ------
    ChainError
        If the chain is a main network and a switch is missing; the message names both.

    Examples
    --------
    >>> require_test_network(11_155_111, allowed=False, confirmed=None)  # Sepolia
    >>> require_test_network(8453, allowed=True, confirmed=None)
    Traceback (most recent call last):
    vpp_sim.errors.ChainError: the node is on Base (chain id 8453), a main network where gas costs real money; to use
    it all the same, set allow_main_network: true in the scenario's chain section and VPP_SIM_CHAIN_MAIN_NETWORK=8453
    in the environment; missing: the environment variable
    """
    if chain_id not in MAIN_NETWORKS:
        return
    switches = {"the scenario's switch": allowed, "the environment variable": confirmed == str(chain_id)}
    missing = [name for name, there in switches.items() if not there]
    if missing:
        raise ChainError(
            f"the node is on {MAIN_NETWORKS[chain_id]} (chain id {chain_id}), a main network where gas costs real"
            " money; to use it all the same, set allow_main_network: true in the scenario's chain section and"
            f" {MAIN_NETWORK_VARIABLE}={chain_id} in the environment; missing: {' and '.join(missing)}"
        )
