"""``network`` and ``chain``: the feeder that carries the energy, and the chain that settles the money."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from vpp_sim.registry import CHAIN_BACKENDS, FEEDERS
from vpp_sim.scenario.sections.spec import Spec, registered
from vpp_sim.units import SECONDS_PER_HOUR, Count, DurationS, Fraction

__all__ = ["ChainSpec", "NetworkSpec"]


class NetworkSpec(Spec):
    """The feeder that the homes are connected to."""

    kind: Annotated[str, *registered(FEEDERS)] = "cigre_lv"
    """Name of the feeder."""
    power_factor: Annotated[Fraction, Field(gt=0)] = 0.95
    """Power factor of the homes' load, lagging; PV and batteries run at unity."""


class ChainSpec(Spec):
    """The chain on which the ledger's accounts are settled."""

    backend: Annotated[str, *registered(CHAIN_BACKENDS)] = "eth_tester"
    """Name of the backend."""
    settlement: Literal["netted"] = "netted"
    """``netted``: one transaction a period moves every account's net amount."""
    every: DurationS = SECONDS_PER_HOUR
    """Length of a settlement period; a multiple of the clock's step."""
    block_time: DurationS = 12
    """Time between two blocks."""
    confirmations: Count = 3
    """Blocks on top of a batch before its payments count as final."""
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
