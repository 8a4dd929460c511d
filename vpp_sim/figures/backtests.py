"""The four figures of a back-test: fan chart, error by horizon, error by hour of the day, reliability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vpp_sim.backtesting.cases import PORTFOLIO
from vpp_sim.figures.forecasts import error_by_horizon, error_by_hour, fan_chart, reliability_diagram
from vpp_sim.forecasting.metrics import observed_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from vpp_sim.arrays import FloatArray, IntArray
    from vpp_sim.backtesting.run import BacktestResult, Forecasts

__all__ = ["backtest_figures"]

_FAN_DAYS = 7


def backtest_figures(result: BacktestResult) -> dict[str, Figure]:
    """Return the figures of a back-test by their names.

    The fan chart shows the first forecaster asked for, over the last week of its forecasts that join without a gap: the
    portfolio if there is one, else the first series. The others compare all forecasters, errors as means over series,
    each with its first seed.
    """
    kinds = result.request.all_kinds
    unit = f"[{result.source.unit}]"
    parts = {kind: result.of(kind) for kind in kinds}
    first = parts[kinds[0]][0]
    step_h = first.case.step_s / 3600
    zone = "" if first.case.index.tz is None else str(first.case.index.tz)
    outcomes = sum(len(part.result.origins) for part in parts[kinds[0]])
    what = {"load": "load", "pv": "solar output", "price": "price"}[result.request.target]
    error = f"mean absolute error {unit}"
    return {
        "fan_chart": _fan(first, f"{what} {unit}"),
        "error_by_horizon": error_by_horizon(
            {kind: _mean([_by_horizon(part) for part in found]) for kind, found in parts.items()},
            step_h=step_h,
            label=error,
            title=f"Error of {what} by horizon",
        ),
        "error_by_hour": error_by_hour(
            {kind: _mean([_by_hour(part) for part in found]) for kind, found in parts.items()},
            zone=zone,
            label=error,
            title=f"Error of {what} by hour of the day",
        ),
        "reliability": reliability_diagram(
            {kind: _mean([_shares(part) for part in found]) for kind, found in parts.items()},
            first.result.levels,
            outcomes=outcomes,
            title=f"Reliability of {what}",
        ),
    }


def _fan(part: Forecasts, label: str) -> Figure:
    case, found = part.case, part.result
    number = len(case.series) - 1 if PORTFOLIO in case.series else 0
    horizon = found.actual.shape[2]
    chosen = _joined(found.origins, horizon, _FAN_DAYS * 24 * 3600 // case.step_s)
    steps = (found.origins[chosen][:, None] + np.arange(horizon)).ravel()
    moments = case.index[steps]
    return fan_chart(
        pd.Series(moments),
        found.actual[chosen, number].ravel(),
        found.quantiles[chosen, number].reshape(len(steps), -1),
        found.levels,
        label=label,
        title=f"{case.series[number].replace('_', ' ')}: {part.kind.replace('_', ' ')} and outcome",
        issues=pd.Series(case.index[found.origins[chosen]]),
    )


def _joined(origins: IntArray, horizon: int, most_steps: int) -> IntArray:
    """Return which of the last origins follow each other by a whole horizon, up to some steps in all.

    Examples
    --------
    >>> _joined(np.array([0, 24, 60, 72, 84]), 24, 240).tolist()
    [2, 4]
    """
    position = {int(origin): number for number, origin in enumerate(origins)}
    chosen = [len(origins) - 1]
    while (before := position.get(int(origins[chosen[0]]) - horizon)) is not None:
        if (len(chosen) + 1) * horizon > most_steps:
            break
        chosen.insert(0, before)
    return np.array(chosen, dtype=np.int64)


def _rows(part: Forecasts) -> slice:
    """Return the series without their sum."""
    return slice(0, len(part.case.series) - (PORTFOLIO in part.case.series))


def _errors(part: Forecasts) -> FloatArray:
    """Return absolute errors of the median (N, n, H)."""
    found, rows = part.result, _rows(part)
    median = found.quantiles[:, rows, :, found.levels.index(0.5)]
    errors: FloatArray = np.abs(found.actual[:, rows] - median)
    return errors


def _by_horizon(part: Forecasts) -> FloatArray:
    mean: FloatArray = _errors(part).mean(axis=(0, 1))
    return mean


def _by_hour(part: Forecasts) -> FloatArray:
    """Return the error of each local hour (24,), NaN where none was forecast."""
    found = part.result
    steps = found.origins[:, None] + np.arange(found.actual.shape[2])
    hour = part.case.forecast.hour[steps].astype(np.int64).ravel()
    errors = _errors(part).mean(axis=1).ravel()
    count = np.bincount(hour, minlength=24)
    total = np.bincount(hour, weights=errors, minlength=24)
    mean: FloatArray = np.divide(total, count, out=np.full(24, np.nan), where=count > 0)
    return mean


def _shares(part: Forecasts) -> FloatArray:
    return observed_shares(part.result.actual[:, _rows(part)], part.result.quantiles[:, _rows(part)])


def _mean(rows: Sequence[FloatArray]) -> FloatArray:
    mean: FloatArray = np.mean(rows, axis=0)
    return mean
