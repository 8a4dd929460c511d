"""``forecasting``, ``ess`` and ``demand_response``: what the VPP foresees and moves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vpp_sim.registry import CONTROLLERS, DEMAND_RESPONSES, FORECASTERS
from vpp_sim.scenario.sections.spec import Spec, registered
from vpp_sim.units import SECONDS_PER_HOUR, DurationS, Fraction, PureNumber

__all__ = ["DemandResponseSpec", "ForecasterSpec", "ForecastingSpec", "StorageSpec"]


class ForecasterSpec(Spec):
    """The model behind one forecast series."""

    kind: Annotated[str, *registered(FORECASTERS)]
    """Name of the forecaster."""


class ForecastingSpec(Spec):
    """What is forecast, by which model, how often."""

    demand: ForecasterSpec = ForecasterSpec(kind="transformer")
    """Forecaster of the homes' load."""
    solar: ForecasterSpec = ForecasterSpec(kind="lstm")
    """Forecaster of the homes' PV generation."""
    every: DurationS = SECONDS_PER_HOUR
    """Time between two forecasts; a multiple of the clock's step."""


class StorageSpec(Spec):
    """Who decides when batteries charge and discharge."""

    kind: Annotated[str, *registered(CONTROLLERS)] = "ppo"
    """Name of the controller."""
    acts: Literal["after_meter", "before_meter"] = "after_meter"
    """Whether the controller knows this step's metered net load, as an inverter does, or only its forecast."""


class DemandResponseSpec(Spec):
    """How homes react to prices."""

    kind: Annotated[str, *registered(DEMAND_RESPONSES)] = "self_dr"
    """Name of the response."""
    elasticity: Annotated[PureNumber, Field(le=0)] = -0.08
    """Relative change of load for a relative change of price; not positive."""
    flexible_share: Fraction = 0.2
    """Greatest share of a step's load that can be deferred."""
