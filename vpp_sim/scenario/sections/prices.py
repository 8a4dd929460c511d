"""``prices`` and ``tariff``: what energy costs on the wholesale market, and by default at home."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vpp_sim.registry import PRICE_SOURCES
from vpp_sim.scenario.sections.spec import RefusalError, Spec, registered
from vpp_sim.units import PriceEurPerKwh

__all__ = ["PricesSpec", "TariffSpec"]

_NonNegativePrice = Annotated[PriceEurPerKwh, Field(ge=0)]


class PricesSpec(Spec):
    """Source of the wholesale price."""

    kind: Annotated[str, *registered(PRICE_SOURCES)] = "netherlands_day_ahead"
    """Name of the price source."""


class TariffSpec(Spec):
    """The default tariff: what a home pays without the VPP, and the yardstick of its promise."""

    kind: Literal["flat", "data"] = "flat"
    """``flat``: one price at all hours; ``data``: the tariff in the homes' own data."""
    price_eur_per_kwh: Annotated[PriceEurPerKwh, Field(gt=0)] = 0.22
    """Price of a consumed kWh, levies included, when the tariff is flat."""
    energy_eur_per_kwh: _NonNegativePrice = 0.09
    """The supplier's part of the price; the rest is levies (network charges and taxes) for the grid operator."""
    feed_in_eur_per_kwh: _NonNegativePrice = 0.03
    """What a home is paid for a kWh fed in."""

    @model_validator(mode="after")
    def _energy_fits(self) -> TariffSpec:
        if self.kind == "flat" and self.energy_eur_per_kwh > self.price_eur_per_kwh:
            raise RefusalError(
                f"expected energy_eur_per_kwh <= price_eur_per_kwh ({self.price_eur_per_kwh})",
                keys=("energy_eur_per_kwh", "price_eur_per_kwh"),
            )
        return self
