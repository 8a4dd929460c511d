"""``chain.faults``: how the chain and the node misbehave."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from vpp_sim.scenario.sections.spec import RefusalError, Spec
from vpp_sim.units import SECONDS_PER_HOUR, Count, DurationS, Fraction

__all__ = ["ChainFaultsSpec", "FeeSpikesSpec", "OutagesSpec", "RecurringSpec", "ReorganisationsSpec"]

_RATE: dict[str, Any] = {"unit": "1/d"}


class RecurringSpec(Spec):
    """What comes now and then: at random, at given times, or both."""

    per_day: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False, json_schema_extra=_RATE)] = 0.0
    """Mean number a day of those that come at random, independent of one another; they follow the scenario's seed."""
    at: tuple[DurationS, ...] = ()
    """When one comes for sure, each as the time since the start of the run, for example ``[10h, 36h]``."""

    @model_validator(mode="after")
    def _comes_at_all(self) -> RecurringSpec:
        if not self.per_day and not self.at:
            raise RefusalError("expected a rate above 0, or times in at, or the section left out", ("per_day", "at"))
        return self


class FeeSpikesSpec(RecurringSpec):
    """Times in which gas is dear; a transaction that offers less waits, unless one that offers more replaces it."""

    lasts: DurationS = SECONDS_PER_HOUR // 2
    """How long each lasts; where two overlap they are one."""
    factor: Annotated[float, Field(gt=1, le=10_000, allow_inf_nan=False, json_schema_extra={"unit": "1"})] = 10.0
    """What the price of gas is multiplied by."""


class OutagesSpec(RecurringSpec):
    """Times in which the node that settles does not answer, while the network goes on without it."""

    lasts: DurationS = SECONDS_PER_HOUR
    """How long each lasts; where two overlap they are one."""


class ReorganisationsSpec(RecurringSpec):
    """Moments at which the newest blocks are replaced; of their transactions most return, some later, some never.

    One at a given time waits for as many recent blocks as it undoes; a random one strikes what is there at its moment,
    which on a chain with nothing to do is nothing.
    """

    depth: Annotated[Count, Field(ge=1, le=256)] = 2
    """Number of blocks replaced; more than the confirmations can undo what counts as final."""


class ChainFaultsSpec(Spec):
    """How the chain and the node misbehave; what is left out does not happen."""

    dropped_share: Annotated[Fraction, Field(le=0.9)] = 0.0
    """Share of sent transactions that are accepted and then lost; the settlement sends them again."""
    delayed_share: Fraction = 0.0
    """Share of the others that reach the block producers late."""
    delay: DurationS = 300
    """Mean of their delay, which is distributed exponentially."""
    fee_spikes: FeeSpikesSpec | None = None
    """Times in which gas is dear."""
    outages: OutagesSpec | None = None
    """Times in which the node does not answer."""
    reorganisations: ReorganisationsSpec | None = None
    """Moments at which the newest blocks are replaced."""
