"""Forecasts of the weather for the hours of a run, with the hour from which each was known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.agents.fleet import HISTORY_H, LOOK_AHEAD_H, Fleet
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import FONTANA, ObservedWeather, clear_sky_w_m2
from vpp_sim.data.weather_forecast import WeatherForecastOptions, issue_weather
from vpp_sim.kernel.clock import Clock
from vpp_sim.scenario.sections.control import WeatherForecastSpec
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["WeatherOutlook", "weather_outlook"]


@dataclass(frozen=True, slots=True)
class WeatherOutlook:
    """What was forecast of the weather, and what had to be made up for it.

    Attributes
    ----------
    issued : IssuedForecasts
        Forecasts by the hour; hour 0 is the first of the fleet's rows.
    repeated_h : int
        Hours beyond the end of the data, whose weather was taken from the same hour of the day before.
    """

    issued: IssuedForecasts
    repeated_h: int


def weather_outlook(spec: WeatherForecastSpec, seed: int, clock: Clock, fleet: Fleet) -> WeatherOutlook:
    """Return the weather forecasts of a run, from its history on to as far as its last forecast looks.

    Parameters
    ----------
    spec : WeatherForecastSpec
        Which source, and its file or delay.
    seed : int
        Seed of a source that draws; an hour's errors depend on the seed and the date, not on where the run begins.
    clock, fleet
        The run, and its observed weather.

    Raises
    ------
    DataError
        If the source cannot be read, or says nothing of these hours.
    """
    observed, repeated_h = _observed(clock, fleet)
    options = WeatherForecastOptions(seed=seed, delay_s=spec.delay, path=spec.path)
    issued = issue_weather(spec.kind, observed, LOOK_AHEAD_H, options)
    return WeatherOutlook(issued, 0 if spec.kind == "file" else repeated_h)


def _observed(clock: Clock, fleet: Fleet) -> tuple[ObservedWeather, int]:
    """Return hourly weather from the fleet's first row to the look-ahead after the end, and how many hours repeat."""
    hours = HISTORY_H + clock.n_steps // clock.steps_per_hour + LOOK_AHEAD_H
    hourly = fleet.weather.reshape(-1, clock.steps_per_hour, fleet.weather.shape[1]).mean(axis=1)
    known = min(len(hourly), hours)
    rows = np.arange(hours)
    rows -= -(-np.maximum(rows - (known - 1), 0) // 24) * 24
    index = Clock(clock.start, SECONDS_PER_HOUR, 0).stamps(-HISTORY_H, hours)
    temperature_c, ghi_w_m2 = hourly[rows].T
    clear_sky = clear_sky_w_m2(index, SECONDS_PER_HOUR, FONTANA)
    return ObservedWeather(index, SECONDS_PER_HOUR, temperature_c, ghi_w_m2, clear_sky), hours - known
