"""``forecasting``, ``ess`` and ``demand_response``: what the VPP foresees and moves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from vpp_sim.registry import CONTROLLERS, DEMAND_RESPONSES, FORECASTERS, WEATHER_FORECASTS
from vpp_sim.scenario.sections.spec import RefusalError, Spec, registered
from vpp_sim.units import SECONDS_PER_HOUR, DurationS, Fraction, PureNumber

__all__ = ["DemandResponseSpec", "ForecasterSpec", "ForecastingSpec", "StorageSpec", "WeatherForecastSpec"]


class ForecasterSpec(Spec):
    """The model behind one forecast series."""

    kind: Annotated[str, *registered(FORECASTERS)]
    """Name of the forecaster."""
    model: Path | None = None
    """Folder with a trained model, weights and card as ``vpp-sim train forecaster`` leaves them; without it, the model
    that ships. Relative to the file that it is written in, or, in an option, to where the command is given."""


class WeatherForecastSpec(Spec):
    """What forecasters are told of the weather ahead; random draws follow the scenario's seed."""

    kind: Annotated[str, *registered(WEATHER_FORECASTS)] = "error_model"
    """Name of the source of weather forecasts."""
    path: Path | None = None
    """Parquet or CSV file of archived forecasts, if the source reads one; relative as other paths are."""
    delay: DurationS = 6 * SECONDS_PER_HOUR
    """Time from the start of a weather model's run until its forecast is known."""

    @model_validator(mode="after")
    def _file_where_one_is_read(self) -> WeatherForecastSpec:
        if self.kind == "file" and self.path is None:
            raise RefusalError("expected a path beside it, of the file to read", keys=("kind",))
        if self.kind in {"error_model", "perfect"} and self.path is not None:
            raise RefusalError(f"expected no path, since {self.kind} reads no file", keys=("path", "kind"))
        return self


class ForecastingSpec(Spec):
    """What is forecast, by which model, how often."""

    demand: ForecasterSpec = ForecasterSpec(kind="transformer")
    """Forecaster of the homes' load."""
    solar: ForecasterSpec = ForecasterSpec(kind="lstm")
    """Forecaster of the homes' PV generation."""
    every: DurationS = SECONDS_PER_HOUR
    """Time between two forecasts; a multiple of the clock's step."""
    weather: WeatherForecastSpec = WeatherForecastSpec()
    """Forecasts of the weather, as they were known at each moment."""
    calibration: Literal["none", "conformal"] = "none"
    """``conformal`` widens or narrows the quantiles as meter readings ask for; medians stay."""

    @model_validator(mode="after")
    def _calibrated_by_whole_hours(self) -> ForecastingSpec:
        if self.calibration != "none" and self.every % SECONDS_PER_HOUR:
            raise RefusalError("expected whole hours, since forecasts are calibrated", keys=("every", "calibration"))
        return self


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
