"""Days as steps: when forecasts are issued, and when those that learn are fitted anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.backtesting.cases import PORTFOLIO
from vpp_sim.backtesting.request import CONTEXT_DAYS
from vpp_sim.errors import DataError
from vpp_sim.forecasting.backtest import Refit, refit_plan
from vpp_sim.units import SECONDS_PER_HOUR, format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import IntArray
    from vpp_sim.backtesting.cases import Case
    from vpp_sim.backtesting.request import BacktestRequest

__all__ = ["LEAST_TRAINING_DAYS", "described_plan", "fit_starts", "issue_steps", "plan_of"]

LEAST_TRAINING_DAYS = 14
"""Days of targets that a forecaster must have to learn from, beside their contexts and the validation."""

_DAY_S = 24 * SECONDS_PER_HOUR


def issue_steps(case: Case, request: BacktestRequest, *, learns: bool) -> IntArray:
    """Return the steps at which forecasts are issued, increasing.

    Parameters
    ----------
    case : Case
        The series.
    request : BacktestRequest
        Days, hour and stride.
    learns : bool
        Whether there must be something to learn from before the first.

    Returns
    -------
    ndarray of int, shape (N,)
        First target step of each forecast.

    Raises
    ------
    DataError
        If the days lie outside what the data allows, or there are too few issues; the message names what there is.
    """
    step_s, total = case.step_s, len(case.index)
    day_steps = _DAY_S // step_s
    back_days = CONTEXT_DAYS + (request.validation_days + LEAST_TRAINING_DAYS if learns else 1)
    room = (back_days * day_steps, total - request.horizon_s // step_s)
    each_day = _issues_of_days(case.index, request.issue_hour)
    allowed = each_day[(each_day >= room[0]) & (each_day <= room[1])]
    covered = f"{case.index[0]} to {case.index[-1]}"
    if not allowed.size:
        raise DataError(
            f"the data of {_named(case.series)}, {covered}, has no room for a forecast: {back_days} days before it "
            f"and {format_duration(request.horizon_s)} after it"
        )
    dates = np.array(case.index[allowed].date)
    _require_days(request, dates, f"{covered}; {back_days} days before the first forecast", case.series)
    first, last = request.first, request.last or dates[-1]
    until = allowed[dates <= last]
    start = allowed[0] if first is None else allowed[dates >= first][0]
    if request.every_s % _DAY_S:
        found = np.arange(start, until[-1] + day_steps, request.every_s // step_s, dtype=np.int64)
        found = found[(found <= room[1]) & (np.array(case.index[np.minimum(found, total - 1)].date) <= last)]
    else:
        stride = request.every_s // _DAY_S
        days = until[until >= start]
        # Without a first day the latest issues are taken, so the stride counts back from the last.
        found = days[::stride] if first is not None else days[::-1][::stride][::-1]
    if len(found) < request.least_origins:
        raise DataError(
            f"{len(found)} forecasts of {_named(case.series)} from {case.index[found[0]].date()} to "
            f"{case.index[found[-1]].date()} are too few to judge by; expected {request.least_origins} or more, every "
            f"{format_duration(request.every_s)}, in {covered}"
        )
    return found if first is not None else found[-request.least_origins :]


def fit_starts(index: pd.DatetimeIndex, at: IntArray, request: BacktestRequest) -> list[int]:
    """Return the steps before which each fit may look: the first issue, and then as the request says."""
    first, last = int(at[0]), int(at[-1])
    if request.refit == "monthly":
        months = index.year * 12 + index.month
        begins = 1 + np.flatnonzero(np.diff(np.asarray(months)))
        return [first, *(int(step) for step in begins if first < step <= last)]
    if request.refit_days is None:
        return [first]
    day_steps = _DAY_S // int((index[1] - index[0]).total_seconds())
    return list(range(first, last + 1, request.refit_days * day_steps))


def plan_of(case: Case, request: BacktestRequest, at: IntArray, *, learns: bool) -> list[Refit]:
    """Return the fits and the issues that each serves; a forecaster that learns nothing has one fit, of nothing."""
    if not learns:
        return refit_plan(at, [int(at[0])], first=0, validation_steps=0)
    validation_steps = request.validation_days * _DAY_S // case.step_s
    return refit_plan(at, fit_starts(case.index, at, request), first=0, validation_steps=validation_steps)


def described_plan(case: Case, plan: Sequence[Refit]) -> dict[str, Any]:
    """Return the plan of a case in days, as JSON holds it; a fit of nothing is none."""

    def span(first: int, stop: int) -> list[str]:
        return [case.index[first].isoformat(), case.index[stop - 1].isoformat()]

    origins = np.concatenate([refit.origins for refit in plan])
    return {
        "series": list(case.series),
        "learned_from": list(case.learned_from),
        "origins": len(origins),
        "first_origin": case.index[origins[0]].isoformat(),
        "last_origin": case.index[origins[-1]].isoformat(),
        "fits": [
            {
                "train": span(refit.train.start, refit.train.stop),
                "validation": span(refit.validation.start, refit.validation.stop),
                "origins": len(refit.origins),
            }
            for refit in plan
            if refit.validation.stop > refit.validation.start
        ],
    }


def _issues_of_days(index: pd.DatetimeIndex, hour: int) -> IntArray:
    """Return the first step of each local day that begins at or after `hour`; clocks may skip that very hour."""
    after = np.flatnonzero(np.asarray(index.hour) >= hour)
    _, which = np.unique(np.asarray(index.normalize()[after]), return_index=True)
    steps: IntArray = after[which].astype(np.int64)
    return steps


def _require_days(request: BacktestRequest, dates: Any, why: str, series: tuple[str, ...]) -> None:
    for what, day in (("first", request.first), ("last", request.last)):
        if day is not None and not dates[0] <= day <= dates[-1]:
            raise DataError(
                f"the {what} day to forecast {_named(series)} on cannot be {day}; expected {dates[0]} to {dates[-1]} "
                f"(the data covers {why} and {format_duration(request.horizon_s)} after the last are needed)"
            )


def _named(series: tuple[str, ...]) -> str:
    series = tuple(name for name in series if name != PORTFOLIO)
    return ", ".join(series[:3]) + (f" and {len(series) - 3} more" if len(series) > 3 else "")
