"""The parts of the study of forecasters: what is fitted on which days, and how it is scored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.data.fontana import Fontana
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.forecasting import metrics
from vpp_sim.forecasting.backtest import Backtest, backtest, refit_plan
from vpp_sim.forecasting.evaluation import with_portfolio
from vpp_sim.forecasting.protocol import Task
from vpp_sim.forecasting.windows import SeriesTable
from vpp_sim.registry import FORECASTERS
from vpp_sim.training.forecasters import forecast_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vpp_sim.data.homes import HomesData

FIRST_DAY, VALIDATION_DAYS, DAY = "2017-02-01", 28, 24
KINDS = ("persistence", "seasonal_naive", "persistence_ensemble", "linear", "gbm", "lstm", "transformer", "perfect")
UNSEEN = ("home_3", "home_8", "home_13")
"""Homes left out, every fifth of the thirteen, fixed before anything was measured."""

EPF_COLUMNS = ("market", "local_time", "price", "exog1", "exog2")
EPF_WINDOWS, EPF_VALIDATION_DAYS = 20, 91


@dataclass(frozen=True)
class Homes:
    """The homes' year, the midnights that are forecast from, and the first of each month among them."""

    data: HomesData
    midnights: np.ndarray
    months: tuple[int, ...]

    @property
    def values(self) -> np.ndarray:
        """Load of each home and, last, of all, shape (T, n + 1) [kW]."""
        return np.column_stack([self.data.load_kw, self.data.load_kw.sum(axis=1)])


def the_homes(days: int | None = None) -> Homes:
    """Return the default homes and the midnights from the first day on, or only the first `days` of them."""
    source = Fontana()
    data = source.load().select(source.default_homes)
    index = data.index
    first = int(index.searchsorted(pd.Timestamp(FIRST_DAY, tz=index.tz)))
    at = np.array([i for i in np.flatnonzero(index.hour == 0) if first <= i <= len(index) - DAY][:days])
    return Homes(data, at, tuple(int(i) for i in at if index[i].day == 1))


def fontana(
    homes: Homes,
    kind: str,
    seed: int,
    folder: Path,
    *,
    weather: str = "perfect",
    left_out: Sequence[str] = (),
    starts: Sequence[int] | None = None,
    make: Callable[[Task], Any] | None = None,
) -> Backtest:
    """Forecast every day from midnight with a fit a month, learned from the homes that are not left out."""
    task = Task("load", horizon_steps=DAY)
    table = forecast_table(homes.data, "load", weather=weather)
    taught = [i for i, name in enumerate(homes.data.names) if name not in left_out]
    asked = table.series([homes.data.names.index(name) for name in left_out]) if left_out else with_portfolio(table)
    plan = refit_plan(homes.midnights, starts or homes.months, first=0, validation_steps=VALIDATION_DAYS * DAY)
    build = make or FORECASTERS.load(kind)
    return backtest(lambda: build(task), table.series(taught), asked, plan, seed=seed, folder=folder)


def score(found: Backtest, yesterday: Backtest) -> dict[str, list[float]]:
    """Return measures of each series: ratios to yesterday's values, NRMSE, and what the intervals hold."""
    rows: dict[str, list[float]] = {}
    low, high = {"80": 1, "90": 0}, {"80": -2, "90": -1}
    for i in range(found.actual.shape[1]):
        actual, own, naive = found.actual[:, i], found.quantiles[:, i], yesterday.quantiles[:, i]
        middle = found.levels.index(0.5)
        row = {
            "mase_ratio": metrics.mae(actual, own[..., middle]) / metrics.mae(actual, naive[..., middle]),
            "wql_ratio": metrics.weighted_quantile_loss(actual, own, found.levels)
            / metrics.weighted_quantile_loss(actual, naive, found.levels),
            "nrmse": metrics.nrmse(actual, own[..., middle]),
            **{f"coverage_{n}": metrics.coverage(actual, own[..., low[n]], own[..., high[n]]) for n in low},
        }
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    return rows


def crossings(found: Backtest) -> int:
    """Return how often a quantile lies below the one before it."""
    return int((np.diff(found.quantiles, axis=-1) < 0).sum())


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean, lowest and highest over seeds."""
    return {"mean": round(float(np.mean(values)), 4), "low": round(min(values), 4), "high": round(max(values), 4)}


def epf_tables(path: Path) -> dict[str, SeriesTable]:
    """Return the five markets of the open day-ahead benchmark, each with its two series known a day ahead."""
    frame = pd.read_parquet(path, columns=list(EPF_COLUMNS)).sort_values(["market", "local_time"])
    return {str(market): _market(rows) for market, rows in frame.groupby("market")}


def _market(rows: pd.DataFrame) -> SeriesTable:
    time, known = pd.DatetimeIndex(rows["local_time"]), rows[["exog1", "exog2"]].to_numpy(float)
    midnights = np.arange(0, len(time), DAY)
    steps = midnights[:, None] + np.arange(2 * DAY)
    values = np.where((steps < len(time))[..., None], known[np.minimum(steps, len(time) - 1)], np.nan)
    return SeriesTable(
        values=rows["price"].to_numpy(float)[:, None],
        covariates=known,
        issued=IssuedForecasts(midnights, values, ("exog1", "exog2"), "as published the day before"),
        hour=time.hour.to_numpy(float),
        day_of_week=time.dayofweek.to_numpy(np.int64),
        day_of_year=time.dayofyear.to_numpy(np.int64),
    )


def epf(table: SeriesTable, kind: str, seed: int, folder: Path, *, make: Any = None) -> tuple[float, Backtest]:
    """Return MASE over the last twenty days of a market, and its forecasts; fitted once, on what came before."""
    steps = len(table.values)
    start = steps - EPF_WINDOWS * DAY
    task = Task("price", horizon_steps=DAY, covariates=table.issued.names)
    plan = refit_plan(np.arange(start, steps, DAY), [start], first=0, validation_steps=EPF_VALIDATION_DAYS * DAY)
    build = make or FORECASTERS.load(kind)
    found = backtest(lambda: build(task), table, table, plan, seed=seed, folder=folder)
    scales = metrics.rolling_scales(table.values[:, 0], found.origins, DAY)
    middle = found.levels.index(0.5)
    return metrics.mase_over_windows(found.actual[:, 0], found.quantiles[:, 0, :, middle], scales), found


def last_value(table: SeriesTable) -> float:
    """Return MASE of the naive forecast, which repeats the last hour, on the same windows."""
    values = table.values[:, 0]
    at = np.arange(len(values) - EPF_WINDOWS * DAY, len(values), DAY)
    actual = values[at[:, None] + np.arange(DAY)]
    naive = np.repeat(values[at - 1][:, None], DAY, axis=1)
    return metrics.mase_over_windows(actual, naive, metrics.rolling_scales(values, at, DAY))


def keep(path: Path, content: Any) -> None:
    """Write JSON in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
    part.replace(path)
