"""``network`` and ``chain``: the feeder that carries the energy, and the chain that settles the money."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from vpp_sim.registry import CHAIN_BACKENDS, FEEDERS
from vpp_sim.scenario.sections.chain_faults import ChainFaultsSpec
from vpp_sim.scenario.sections.spec import RefusalError, Spec, registered
from vpp_sim.units import SECONDS_PER_HOUR, Count, DurationS, Fraction

__all__ = ["ChainSpec", "NetworkSpec"]


_INSIDE_THE_PROCESS = ("eth_tester", "revm")


class NetworkSpec(Spec):
    """The feeder that the homes are connected to."""

    kind: Annotated[str, *registered(FEEDERS)] = "cigre_lv"
    """Name of the feeder."""
    power_factor: Annotated[Fraction, Field(gt=0)] = 0.95
    """Power factor of the homes' load, lagging; PV and batteries run at unity."""


class ChainSpec(Spec):
    """The chain on which the ledger's accounts are settled."""

    backend: Annotated[str, *registered(CHAIN_BACKENDS)] = "eth_tester"
    """Name of the backend: ``eth_tester`` and ``revm`` run inside the process, ``rpc`` speaks to a node."""
    url: str | None = None
    """Address of the node, for ``rpc`` alone; without it the environment variable ``VPP_SIM_CHAIN_URL`` is taken, which
    is where an address with a password belongs."""
    keys: Literal["development", "environment"] | None = None
    """Where the keys that sign come from. ``development``: from the seed, no secret, what a chain inside the process
    always has. ``environment``: the key in ``VPP_SIM_CHAIN_KEY``, or in the keystore of ``VPP_SIM_CHAIN_KEYSTORE`` and
    ``VPP_SIM_CHAIN_PASSWORD``; what ``rpc`` has unless it says otherwise, which it may for a test node on the same
    machine. A scenario never holds a key."""
    allow_main_network: bool = False
    """First of two switches without which ``rpc`` refuses a public main network; the other is the environment variable
    ``VPP_SIM_CHAIN_MAIN_NETWORK`` with the chain id."""
    settlement: Literal["netted", "proof", "direct"] = "netted"
    """``netted``: one transaction a period moves every account's net amount. ``proof``: one Merkle root a period stands
    for all balances and trades, and after the challenge window each account's balance is claimed against it.
    ``direct``: homes trade with each other by contract: each trade is opened by both signatures while its period lasts,
    which locks the buyer's money, and after the challenge window meter readings pay the trades, and one transaction
    moves the net amounts of all else."""
    every: DurationS = SECONDS_PER_HOUR
    """Length of a settlement period; a multiple of the clock's step."""
    challenge_window: DurationS = SECONDS_PER_HOUR
    """How long a period that was settled can be disputed; with ``proof`` and ``direct``, money moves only after it."""
    block_time: DurationS = 12
    """Time between two blocks; their mean if they are not regular."""
    block_times: Literal["regular", "exponential"] = "regular"
    """``regular``: blocks at whole multiples of the block time. ``exponential``: at random, as by proof of work."""
    confirmations: Annotated[Count, Field(le=128)] = 3
    """Blocks on top of a transaction's block before its payments count as final."""
    resend_after: DurationS = 60
    """A transaction that is not mined by then is sent again, with higher fees if the price of gas rose."""
    gas_price_gwei: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, json_schema_extra={"unit": "gwei"})] = 1.0
    """Price of gas on a chain inside the process, in billionths of its own currency; a node has prices of its own."""
    native_eur: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, json_schema_extra={"unit": "EUR"})] = 2_500.0
    """Price of one unit of the chain's own currency, such as ether."""
    faults: ChainFaultsSpec | None = None
    """How chain and node misbehave; without it they do not."""
    deposit_eur: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False, json_schema_extra={"unit": "EUR"})] = (
        10_000.0
    )
    """What each account pays in at the start; a batch that overdraws it is refused."""

    @field_validator("block_time")
    @classmethod
    def _under_an_hour(cls, block_time_s: int) -> int:
        if block_time_s > SECONDS_PER_HOUR:
            raise ValueError("expected a block time of at most 1h")
        return block_time_s

    @field_validator("url")
    @classmethod
    def _of_a_node(cls, url: str | None) -> str | None:
        if url is None:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RefusalError("expected the address of a node, for example http://127.0.0.1:8545")
        if parts.username is not None or parts.password is not None:
            raise RefusalError("expected an address without a password; put this one into VPP_SIM_CHAIN_URL")
        return url

    @model_validator(mode="after")
    def _node_for_rpc_alone(self) -> ChainSpec:
        if self.inside_the_process:
            no_node = f"{self.backend} runs inside the process"
            if self.url is not None:
                raise RefusalError(f"expected no address, since {no_node}; or backend: rpc", ("url",))
            if self.keys == "environment":
                raise RefusalError(f"expected development, since {no_node}; or backend: rpc", ("keys",))
            if self.allow_main_network:
                raise RefusalError(f"expected false, since {no_node}; or backend: rpc", ("allow_main_network",))
        return self

    @property
    def inside_the_process(self) -> bool:
        """Whether the chain lives in this process, and not in a node."""
        return self.backend in _INSIDE_THE_PROCESS

    @property
    def key_source(self) -> Literal["development", "environment"]:
        """Where the keys come from, also where the scenario does not say."""
        return self.keys or ("development" if self.inside_the_process else "environment")
