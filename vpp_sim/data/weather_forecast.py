"""Weather forecasts as they were known: the protocol of their sources, their runs, and the truth as a bound.

A source makes :class:`~vpp_sim.data.issued.IssuedForecasts` of temperature and irradiance for a stretch of
:class:`~vpp_sim.data.weather.ObservedWeather`. There are three, by name in
:data:`vpp_sim.registry.WEATHER_FORECASTS`: ``error_model`` adds errors to the observation
(:mod:`~vpp_sim.data.weather_error`, with its calibration), ``file`` reads archived forecasts
(:mod:`~vpp_sim.data.weather_file`), and ``perfect`` gives the observation itself.

A *run* starts from the state of the atmosphere at its *run time* (every 6 h, on whole multiples in UTC) and is known
a *delay* later, when it has been computed and sent. ECMWF, for one, sends the first 90 h of each of its four daily
runs from 5:45 to 6:12 h after the run time (dissemination schedule, https://confluence.ecmwf.int/display/DAC); hence
6 h here. The lead of a forecast counts from the run time, so a later delivery is a larger error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import WEATHER_NAMES
from vpp_sim.errors import DataError
from vpp_sim.registry import WEATHER_FORECASTS

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.arrays import FloatArray, IntArray
    from vpp_sim.data.weather import ObservedWeather

__all__ = [
    "PerfectWeather",
    "Runs",
    "WeatherForecastOptions",
    "WeatherForecastSource",
    "issue_weather",
    "on_runs",
    "refuse_path",
    "runs_for",
]

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class WeatherForecastOptions:
    """What every source of weather forecasts is made from.

    Attributes
    ----------
    seed : int
        Seed of a source that draws; the same seed, the same forecasts.
    every_s : int
        From one run to the next [s]; not for a file, which has its own runs.
    delay_s : int
        From the run time until a run is known [s].
    path : Path or None
        The file, for a source that reads one; the others take none.

    Raises
    ------
    DataError
        If a duration does not fit.
    """

    seed: int = 0
    every_s: int = 6 * _HOUR_S
    delay_s: int = 6 * _HOUR_S
    path: Path | None = None

    def __post_init__(self) -> None:
        if self.every_s < 1 or self.delay_s < 0:
            raise DataError(
                f"weather is forecast every {self.every_s} s and known {self.delay_s} s later; "
                "expected at least 1 s and 0 s"
            )


@runtime_checkable
class WeatherForecastSource(Protocol):
    """A source of weather forecasts, made from :class:`WeatherForecastOptions`; it holds no other state."""

    def issue(self, observed: ObservedWeather, horizon_steps: int) -> IssuedForecasts:
        """Return the forecasts for the steps of `observed`, `horizon_steps` from each issue on.

        The series are :data:`~vpp_sim.data.weather.WEATHER_NAMES`. Steps are those of `observed`; of steps outside it
        nothing need be said.

        Raises
        ------
        DataError
            If the source has nothing to say, or its options or data do not fit.
        """
        ...


def issue_weather(
    kind: str, observed: ObservedWeather, horizon_steps: int, options: WeatherForecastOptions | None = None
) -> IssuedForecasts:
    """Return the forecasts of the source named `kind`; the one entry point for callers.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    DataError
        If its options or data do not fit.
    """
    source: WeatherForecastSource = WEATHER_FORECASTS.load(kind)(options or WeatherForecastOptions())
    return source.issue(observed, horizon_steps)


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The runs of K issues on the steps of a series.

    Attributes
    ----------
    run_s : ndarray, shape (K,)
        Run times, in seconds since 1970 in UTC.
    issued_at : ndarray, shape (K,)
        First step whose start is not before the run is known.
    every_steps : int
        Steps from one run to the next.
    first_lead : int
        Steps from the run time to the start of the first step forecast, rounded down.
    phase_s : int
        What that rounding leaves [s], the same for every run.
    """

    run_s: IntArray
    issued_at: IntArray
    every_steps: int
    first_lead: int
    phase_s: int


def runs_for(observed: ObservedWeather, options: WeatherForecastOptions) -> Runs:
    """Return the runs of which something is known during `observed`, from the latest known at its first step on.

    Run times are whole multiples of the cadence since 1970 in UTC, whatever the first step is.

    Raises
    ------
    DataError
        If the cadence is not a whole number of steps.
    """
    step_s, every_s = observed.step_s, options.every_s
    if every_s % step_s:
        raise DataError(f"runs every {every_s} s do not fit steps of {step_s} s: expected a whole number of steps")
    start_s, end_s = observed.start_s, observed.start_s + len(observed.index) * step_s
    first = (start_s - options.delay_s) // every_s
    run_s = np.arange(first * every_s, end_s - options.delay_s, every_s, dtype=np.int64)
    issued_at = -((start_s - options.delay_s - run_s) // step_s)
    keep = issued_at < len(observed.index)
    lead_s = start_s + int(issued_at[0]) * step_s - int(run_s[0])
    return Runs(run_s[keep], issued_at[keep], every_s // step_s, lead_s // step_s, lead_s % step_s)


def on_runs(values: FloatArray, issued_at: IntArray, horizon_steps: int) -> FloatArray:
    """Return `values` as each issue would have them: entry [k, j] is of step ``issued_at[k] + j``.

    Parameters
    ----------
    values : ndarray, shape (T, C)
        Values by step.
    issued_at : ndarray, shape (K,)
        Step of each issue.
    horizon_steps : int
        Steps of each issue, S.

    Returns
    -------
    ndarray, shape (K, S, C)
        NaN where the step lies outside `values`.

    Raises
    ------
    DataError
        If there is no step to forecast.
    """
    if horizon_steps < 1:
        raise DataError(f"a forecast needs at least one step; got {horizon_steps}")
    steps = issued_at[:, None] + np.arange(horizon_steps)
    inside = (steps >= 0) & (steps < len(values))
    found: FloatArray = np.where(inside[:, :, None], values[np.clip(steps, 0, len(values) - 1)], np.nan)
    return found


class PerfectWeather:
    """The observation as its own forecast: a bound on what weather forecasts can be worth, never an honest result.

    Parameters
    ----------
    options : WeatherForecastOptions
        Cadence and delay place the issues as those of ``error_model``; the values do not depend on them.

    Raises
    ------
    DataError
        If the options name a file.
    """

    note = "perfect: the observed weather itself, a bound and no forecast"

    def __init__(self, options: WeatherForecastOptions) -> None:
        refuse_path("perfect", options)
        self._options = options

    def issue(self, observed: ObservedWeather, horizon_steps: int) -> IssuedForecasts:
        """Return the observation at every issue; see :class:`WeatherForecastSource`."""
        runs = runs_for(observed, self._options)
        values = on_runs(observed.values, runs.issued_at, horizon_steps)
        return IssuedForecasts(runs.issued_at, values, WEATHER_NAMES, self.note)


def refuse_path(kind: str, options: WeatherForecastOptions) -> None:
    """Raise `DataError` if the options of a source that reads no file name one."""
    if options.path is not None:
        raise DataError(f"the weather forecast {kind!r} reads no file, but {options.path} is named; use 'file'")
