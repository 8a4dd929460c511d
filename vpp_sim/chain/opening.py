"""Opening a chain by what a run says about it: inside the process, or a node with keys and guards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from vpp_sim.chain.networks import MAIN_NETWORK_VARIABLE
from vpp_sim.chain.wallet import Wallet
from vpp_sim.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpp_sim.chain.protocol import Chain
    from vpp_sim.chain.rpc import RpcChain

__all__ = ["URL_VARIABLE", "NodeAccess", "open_chain"]

URL_VARIABLE = "VPP_SIM_CHAIN_URL"
"""Environment variable with the node's address, for addresses that hold a provider's password."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ENDOWMENT_WEI = 10**24


@dataclass(frozen=True, slots=True)
class NodeAccess:
    """How a node is reached.

    Attributes
    ----------
    url : str or None
        Its address; None takes it from the environment.
    keys : str
        ``"environment"``, or ``"development"`` for a test node on this machine.
    allow_main_network : bool
        First switch of :func:`~vpp_sim.chain.networks.require_test_network`; the environment holds the second.
    environment : mapping of str to str
        The process environment.
    """

    url: str | None
    keys: Literal["environment", "development"]
    allow_main_network: bool
    environment: Mapping[str, str]


def open_chain(backend: type[Any], *, accounts: int, seed: int, genesis_timestamp_s: int, access: NodeAccess) -> Chain:
    """Return a chain whose newest block is of `genesis_timestamp_s`, unless its node has a clock of its own.

    Parameters
    ----------
    backend : type
        As the registry of chain backends loads it. One that takes a wallet (:class:`~vpp_sim.chain.rpc.RpcChain`) is
        connected to a node; another is made inside the process and needs no `access`.
    accounts : int
        How many it signs for.
    seed : int
        What development keys derive from.
    genesis_timestamp_s : int
        Unix time before everything that the run does [s].
    access : NodeAccess
        How a node is reached.

    Raises
    ------
    ChainError
        If the node, its network or the keys will not do; the message says what would.
    """
    from vpp_sim.chain.rpc import RpcChain  # only where a chain is wanted

    if not issubclass(backend, RpcChain):
        chain: Chain = backend(accounts=accounts, seed=seed, genesis_timestamp_s=genesis_timestamp_s)
        return chain
    node = _connect(backend, accounts, seed, access)
    if not node.knows_cancun:
        raise ChainError(
            f"the node ({node.client}) runs an EVM from before Cancun, which the contracts are compiled for;"
            " take a newer node, for example anvil"
        )
    if node.mines_on_demand:
        _set_clock(node, genesis_timestamp_s)
    return node


def _connect(backend: type[RpcChain], accounts: int, seed: int, access: NodeAccess) -> RpcChain:
    url = access.url or access.environment.get(URL_VARIABLE)
    if not url:
        raise ChainError(f"which node? set url in the scenario's chain section, or {URL_VARIABLE} in the environment")
    if access.keys == "environment":
        wallet = Wallet.of_environment(access.environment, accounts=accounts)
    elif urlsplit(url).hostname in _LOOPBACK:
        wallet = Wallet.of_seed(seed, accounts=accounts)
    else:
        raise ChainError(
            "development keys are no secret and only for a test node on this machine; set keys: environment in the"
            " scenario's chain section"
        )
    node = backend(
        url,
        wallet,
        allow_main_network=access.allow_main_network,
        confirmed_network=access.environment.get(MAIN_NETWORK_VARIABLE),
    )
    if access.keys == "development":
        node.endow(_ENDOWMENT_WEI)
    return node


def _set_clock(node: RpcChain, genesis_timestamp_s: int) -> None:
    """Bring a test node's clock to the run's."""
    if node.timestamp_s > genesis_timestamp_s:
        wanted, found = (datetime.fromtimestamp(time_s, UTC) for time_s in (genesis_timestamp_s, node.timestamp_s))
        raise ChainError(
            f"the node's newest block is of {found:%Y-%m-%d %H:%M:%S} UTC, after {wanted:%Y-%m-%d %H:%M:%S} UTC, when"
            f" the run's chain begins; start a new node with an earlier clock: anvil --timestamp {genesis_timestamp_s},"
            f" or ganache --chain.time {wanted:%Y-%m-%dT%H:%M:%SZ}"
        )
    if node.timestamp_s < genesis_timestamp_s:
        node.mine(genesis_timestamp_s)
