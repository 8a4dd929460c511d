"""Homes and files as cases: a table to learn from, a table to forecast, and the calendar of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.series_file import read_series
from vpp_sim.errors import DataError
from vpp_sim.forecasting.evaluation import with_portfolio
from vpp_sim.forecasting.protocol import TARGETS, Task
from vpp_sim.forecasting.windows import SeriesTable
from vpp_sim.registry import HOME_SOURCES
from vpp_sim.training.forecasters import forecast_table
from vpp_sim.units import SECONDS_PER_HOUR, format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from vpp_sim.backtesting.request import BacktestRequest
    from vpp_sim.data.series_file import SeriesColumns, SeriesData

__all__ = ["PORTFOLIO", "Case", "Source", "cases_of_file", "cases_of_homes"]

PORTFOLIO = "portfolio"
"""Name of the sum of all series."""

OLDEST_RUN_H = 12
"""Age that a weather forecast may have when it is used [h]: six-hourly runs, known six hours later."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Series that are learned from and forecast together.

    Attributes
    ----------
    name : str
        Short, for folders.
    series : tuple of str
        Names of the series forecast; the last is :data:`PORTFOLIO` if there is one.
    learned_from : tuple of str
        Names of the series learned from.
    index : DatetimeIndex, length T
        Start of each step, in local time.
    learned, forecast : SeriesTable
        Tables of both, on the same steps.
    """

    name: str
    series: tuple[str, ...]
    learned_from: tuple[str, ...]
    index: pd.DatetimeIndex
    learned: SeriesTable
    forecast: SeriesTable

    @property
    def step_s(self) -> int:
        """Length of a step [s]."""
        return int((self.index[1] - self.index[0]).total_seconds())

    def task(self, request: BacktestRequest) -> Task:
        """Return what is forecast; its context is a week.

        Raises
        ------
        DataError
            If the horizon, or the time between issues, is no whole number of steps.
        """
        for what, seconds in (("horizon", request.horizon_s), ("time between issues", request.every_s)):
            if seconds % self.step_s:
                raise DataError(
                    f"a {what} of {format_duration(seconds)} is no whole number of steps of "
                    f"{format_duration(self.step_s)}"
                )
        return Task(
            request.target,
            self.step_s,
            context_steps=7 * 24 * SECONDS_PER_HOUR // self.step_s,
            horizon_steps=request.horizon_s // self.step_s,
            covariates=self.forecast.issued.names,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where the series come from, for the record.

    Attributes
    ----------
    described : dict
        What was asked of the source; together with the request it makes a back-test what it is.
    digest : str
        SHA-256 of the data.
    unit : str
        Unit of the values.
    known_ahead : str
        What is known beside the target, and since when.
    cases : tuple of Case
        The series.
    """

    described: dict[str, object]
    digest: str
    unit: str
    known_ahead: str
    cases: tuple[Case, ...]


def cases_of_homes(
    request: BacktestRequest,
    *,
    source: str = "fontana",
    homes: Sequence[str] = (),
    leave_out: Sequence[str] = (),
    weather: str = "error_model",
    weather_file: Path | None = None,
) -> Source:
    """Return the case of a source of homes.

    Parameters
    ----------
    request : BacktestRequest
        What is asked.
    source : str
        Name of the source.
    homes : sequence of str
        Homes to learn from and to forecast; the recommended ones when empty.
    leave_out : sequence of str
        Homes that are forecast and never learned from; then only these are forecast.
    weather : str
        Name of the weather forecasts.
    weather_file : path, optional
        Where they stand, for ``"file"``.

    Raises
    ------
    UnknownNameError
        If there is no such source, home or weather forecast.
    DataError
        If the homes have no such series, or nothing is left to learn from.
    """
    found = HOME_SOURCES.load(source)()
    names = tuple(homes) or found.default_homes
    learned_from = tuple(name for name in names if name not in leave_out)
    if not learned_from:
        raise DataError("every home is left out; expected one or more to learn from")
    forecast = tuple(leave_out) or names
    everything = found.load()
    for part in (names, forecast):
        everything.select(part)  # refuses what is unknown or named twice
    data = everything.select(tuple(dict.fromkeys((*learned_from, *forecast))))
    hours = request.horizon_s // SECONDS_PER_HOUR + OLDEST_RUN_H
    table = forecast_table(data, request.target, weather=weather, weather_file=weather_file, least_weather_h=hours)
    learned, ahead = (table.series([data.names.index(name) for name in part]) for part in (learned_from, forecast))
    case = Case("homes", forecast, learned_from, data.index, learned, ahead)
    return Source(
        described={
            "source": source,
            "homes": list(names),
            "leave_out": list(leave_out),
            "weather": weather,
            "weather_file": None if weather_file is None else str(weather_file),
        },
        digest=data.digest,
        unit=TARGETS[request.target],
        known_ahead=f"weather as it was forecast at each issue; {table.issued.note}",
        cases=(_summed(case) if request.sums(1) else case,),
    )


def cases_of_file(
    request: BacktestRequest, path: Path, columns: SeriesColumns, *, zone: str | None = None, unit: str | None = None
) -> Source:
    """Return the cases of a file of series; those of one span and with the same covariates make one case.

    Parameters
    ----------
    request : BacktestRequest
        What is asked.
    path : path
        The file.
    columns : SeriesColumns
        Which columns to read. Covariates count as published before each issue, for its whole horizon.
    zone : str, optional
        Time zone of the calendar; see :func:`~vpp_sim.data.series_file.read_series`.
    unit : str, optional
        Unit of the values; that of the target when left out.

    Raises
    ------
    DataError
        If the file is not as :func:`~vpp_sim.data.series_file.read_series` expects, or a portfolio is asked for and the
        series do not stand in one table.
    """
    found = read_series(path, columns, zone=zone, non_negative=request.target != "price")
    cases = [_case(number, data, request) for number, data in enumerate(found)]
    summed = request.sums(len(cases))
    if summed and len(cases) > 1:
        spans = "; ".join(f"{', '.join(data.names)}: {data.index[0]} to {data.index[-1]}" for data in found)
        raise DataError(
            f"{path}: a portfolio is a sum of series of one span and with the same covariates, but these differ "
            f"({spans}); ask for no portfolio"
        )
    known = ", ".join(columns.known)
    return Source(
        described={
            "data": path.name,
            "columns": {"id": columns.id, "time": columns.time, "value": columns.value, "known": list(columns.known)},
            "zone": zone,
        },
        digest=found[0].digest,
        unit=unit or TARGETS[request.target],
        known_ahead=f"{known}, as published: known at each issue for its whole horizon" if known else "nothing",
        cases=tuple(_summed(case) if summed else case for case in cases),
    )


def _case(number: int, data: SeriesData, request: BacktestRequest) -> Case:
    table = SeriesTable(
        values=data.values,
        covariates=data.covariates,
        issued=_as_published(data, request.horizon_s // data.step_s),
        hour=np.asarray(data.index.hour + data.index.minute / 60.0, dtype=np.float64),
        day_of_week=np.asarray(data.index.dayofweek, dtype=np.int64),
        day_of_year=np.asarray(data.index.dayofyear, dtype=np.int64),
    )
    return Case(f"table_{number}", data.names, data.names, data.index, table, table)


def _as_published(data: SeriesData, horizon_steps: int) -> IssuedForecasts:
    """Return the covariates as if issued every horizon for the next two, so that one is always known from any step."""
    every = max(horizon_steps, 1)
    issued_at = np.arange(0, len(data.index), every, dtype=np.int64)
    steps = issued_at[:, None] + np.arange(2 * every)
    inside = steps < len(data.index)
    values = np.where(inside[..., None], data.covariates[np.where(inside, steps, 0)], np.nan)
    return IssuedForecasts(issued_at, values, data.covariate_names, "as published, for the whole horizon")


def _summed(case: Case) -> Case:
    """Return the case with the sum of its series as one more; a single series is its own sum."""
    if len(case.series) < 2:
        return case
    if PORTFOLIO in case.series:
        raise DataError(
            f"a series is named {PORTFOLIO!r}, as the sum of all would be; rename it or ask for no portfolio"
        )
    return replace(case, series=(*case.series, PORTFOLIO), forecast=with_portfolio(case.forecast))
