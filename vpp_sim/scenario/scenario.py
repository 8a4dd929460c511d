"""The whole scenario: one frozen tree of sections, its digest, and its counterfactual."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from vpp_sim.registry import CONTROLLERS, DEMAND_RESPONSES, FORECASTERS
from vpp_sim.scenario.sections.clock import ClockSpec
from vpp_sim.scenario.sections.control import DemandResponseSpec, ForecasterSpec, ForecastingSpec, StorageSpec
from vpp_sim.scenario.sections.grid import ChainSpec, NetworkSpec
from vpp_sim.scenario.sections.prices import PricesSpec, TariffSpec
from vpp_sim.scenario.sections.prosumers import ProsumerGroupSpec
from vpp_sim.scenario.sections.spec import RefusalError, Spec, registered
from vpp_sim.scenario.sections.trading import BiddingSpec, LocalMarketSpec, MarketSpec, PricingSpec, RetailSpec
from vpp_sim.units import format_duration

__all__ = ["CounterfactualSpec", "Scenario"]


class CounterfactualSpec(Spec):
    """What the same homes would do without the VPP; every run is compared with it."""

    battery: Annotated[str, *registered(CONTROLLERS)] = "self_consumption"
    """Name of the controller that runs batteries without the VPP, at the default tariff."""
    demand_response: Annotated[str, *registered(DEMAND_RESPONSES)] = "none"
    """Name of the response of homes to the default tariff; its elasticity and share are those of the VPP's homes."""
    forecaster: Annotated[str, *registered(FORECASTERS)] = "persistence"
    """Name of the forecaster of load and sun that a plain retailer makes its wholesale bids with."""


class Scenario(Spec):
    """A virtual power plant and the world around it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """Name of the scenario; its runs are written under it."""
    description: str = ""
    """What the scenario is about, shown in the report."""
    seed: Annotated[int, Field(ge=0, json_schema_extra={"unit": "1"})] = 0
    """Seed of all random streams."""
    clock: ClockSpec
    """The time that a run covers."""
    prosumers: Annotated[tuple[ProsumerGroupSpec, ...], Field(json_schema_extra={"minItems": 1})]
    """Groups of homes."""
    prices: PricesSpec = PricesSpec()
    """Source of the wholesale price."""
    tariff: TariffSpec = TariffSpec()
    """The default tariff."""
    forecasting: ForecastingSpec = ForecastingSpec()
    """What is forecast."""
    ess: StorageSpec = StorageSpec()
    """Who runs the batteries."""
    demand_response: DemandResponseSpec = DemandResponseSpec()
    """How homes react to prices."""
    pricing: PricingSpec = PricingSpec()
    """Retail prices and wholesale bids."""
    market: MarketSpec = MarketSpec()
    """Local and wholesale market."""
    network: NetworkSpec = NetworkSpec()
    """The feeder."""
    chain: ChainSpec | None = ChainSpec()
    """The settlement chain; ``null`` keeps the ledger off chain."""
    counterfactual: CounterfactualSpec = CounterfactualSpec()
    """The same homes without the VPP."""

    @field_validator("prosumers")
    @classmethod
    def _distinct_groups(cls, groups: tuple[ProsumerGroupSpec, ...]) -> tuple[ProsumerGroupSpec, ...]:
        if not groups:
            raise ValueError("expected at least one group of prosumers")
        names = [group.group for group in groups]
        if len(set(names)) != len(names):
            raise ValueError("expected each group name once")
        return groups

    @model_validator(mode="after")
    def _cadences_fit_the_step(self) -> Scenario:
        cadences = {"forecasting.every": self.forecasting.every}
        if self.chain is not None:
            cadences["chain.every"] = self.chain.every
        for key, duration_s in cadences.items():
            if duration_s % self.clock.step:
                step = format_duration(self.clock.step)
                raise RefusalError(f"expected a multiple of clock.step ({step})", keys=(key, "clock.step"))
        return self

    @property
    def digest(self) -> str:
        """SHA-256 over the resolved scenario, hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def without_vpp(self) -> Scenario:
        """Return the counterfactual: same homes and weather, default tariff, no local trades, no chain.

        Its plain retailer bids in the same auction and pays imbalance by the same rule, but has no desk that trades on.
        """
        naive = ForecasterSpec(kind=self.counterfactual.forecaster)
        wholesale = self.market.wholesale.model_copy(update={"intraday": None})
        return self.model_copy(
            update={
                "forecasting": self.forecasting.model_copy(
                    update={"demand": naive, "solar": naive, "calibration": "none"}
                ),
                "ess": StorageSpec(kind=self.counterfactual.battery, acts="after_meter"),
                "demand_response": self.demand_response.model_copy(
                    update={"kind": self.counterfactual.demand_response}
                ),
                "pricing": PricingSpec(
                    retail=RetailSpec(kind="default", guarantee=False), wholesale=BiddingSpec(kind="median")
                ),
                "market": MarketSpec(local=LocalMarketSpec(kind="none"), wholesale=wholesale),
                "chain": None,
            }
        )
