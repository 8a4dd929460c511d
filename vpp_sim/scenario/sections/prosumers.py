"""``prosumers``: who takes part, and what stands in their homes."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from vpp_sim.registry import HOME_SOURCES
from vpp_sim.scenario.sections.spec import RefusalError, Spec, registered
from vpp_sim.units import EnergyKwh, Fraction, PowerKw, PriceEurPerKwh, TemperatureC

__all__ = ["BatterySpec", "HomeDataSpec", "ProsumerGroupSpec"]


_ShareBelowOne: TypeAlias = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, json_schema_extra={"unit": "1"})]


class BatterySpec(Spec):
    """A home battery, measured at its grid side."""

    capacity_kwh: EnergyKwh = 6.4
    """Energy between empty and full; 0 means no battery."""
    power_kw: PowerKw = 5.0
    """Greatest charging and discharging power."""
    efficiency: Annotated[Fraction, Field(gt=0)] = 0.9
    """Round-trip efficiency; its square root holds for each direction."""
    min_soc: Fraction = 0.0
    """Lowest state of charge, as a share of the capacity."""
    max_soc: Fraction = 1.0
    """Highest state of charge, as a share of the capacity."""
    initial_soc: Fraction = 0.5
    """State of charge at the start, as a share of the capacity."""
    self_discharge_per_month: _ShareBelowOne = 0.0
    """Share of the stored energy that a battery at rest loses in a month of 730 h."""
    inverter_kw: PowerKw | None = None
    """Greatest power of the inverter at its grid side; without it, none but that of the battery."""
    inverter: Literal["own", "hybrid"] = "own"
    """Whether the battery has an inverter of its own or shares one with the home's PV, whose power then counts too."""
    replacement_eur_per_kwh: Annotated[PriceEurPerKwh, Field(ge=0)] | None = None
    """Price of a new battery per kWh of capacity, which ageing is valued at; without it, ageing is not valued."""
    temperature_c: TemperatureC = 25.0
    """Temperature of the cells, on which their ageing depends."""

    @model_validator(mode="after")
    def _window(self) -> BatterySpec:
        if not self.min_soc <= self.initial_soc <= self.max_soc:
            raise RefusalError(
                f"expected min_soc ({self.min_soc}) <= initial_soc ({self.initial_soc}) <= max_soc ({self.max_soc})",
                keys=("initial_soc", "min_soc", "max_soc"),
            )
        return self

    @model_validator(mode="after")
    def _hybrid(self) -> BatterySpec:
        if self.inverter == "hybrid" and self.inverter_kw is None:
            raise RefusalError(
                "expected inverter_kw beside it, the power that battery and PV share", keys=("inverter", "inverter_kw")
            )
        return self


class HomeDataSpec(Spec):
    """Where the homes' load and sun come from."""

    kind: Annotated[str, *registered(HOME_SOURCES)]
    """Name of the data source."""
    homes: tuple[Annotated[int, Field(ge=1, json_schema_extra={"unit": "1"})], ...] | None = None
    """Numbers of the homes taken; without it, the source's recommended ones."""

    @field_validator("homes")
    @classmethod
    def _distinct(cls, homes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if homes is not None and (not homes or len(set(homes)) != len(homes)):
            raise ValueError("expected at least one home, each once")
        return homes


class ProsumerGroupSpec(Spec):
    """Homes that share a source of data and a kind of equipment."""

    group: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """Name of the group; its homes are called ``<group>/home_<number>``."""
    data: HomeDataSpec
    """Load, sun and weather of the homes."""
    pv_capacity_kw: PowerKw | None = None
    """Nameplate power of each home's PV array; without it, as in the data."""
    battery: BatterySpec = BatterySpec()
    """The battery of each home."""
