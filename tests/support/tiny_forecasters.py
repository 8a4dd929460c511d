"""Every forecaster of the registry at a size that is fitted in a moment, and the table that it is fitted on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tests.support.forecast_tables import made_table
from vpp_sim.forecasting.fitting import FitSettings
from vpp_sim.forecasting.gbm import CANDIDATES, GbmForecaster
from vpp_sim.forecasting.linear import LinearForecaster
from vpp_sim.forecasting.model import ForecasterBase
from vpp_sim.forecasting.network import NetworkConfig
from vpp_sim.forecasting.protocol import WEATHER, ForecastInputs, Task
from vpp_sim.forecasting.windows import SeriesTable, Split, inputs_at
from vpp_sim.registry import FORECASTERS

COVARIATES = {"load": WEATHER, "pv": WEATHER, "price": ("load_mw", "wind_mw")}
DAYS, ORIGIN = 32, 700
TRAIN, VALIDATION = Split("train", 192, 480), Split("validation", 480, 600)
"""Context of the first target reaches back to step 24: what lies before it is nobody's business."""

TINY = FitSettings(
    epochs=2, windows=128, batch=64, learning_rate=1e-2, patience=2, average=0.9, validation_stride=12, refit=True
)
NETWORKS = ("lstm", "transformer")
TRAINED = ("linear", "gbm", *NETWORKS)


class SmallLinear(LinearForecaster):
    """The linear forecaster on few rows."""

    row_limit = 1_500


class SmallGbm(GbmForecaster):
    """Boosted trees: few, and of one size."""

    row_limit, most_rounds = 1_500, 8
    candidates = ({**CANDIDATES[0], "min_data_in_leaf": 20},)


def tiny_task(target: str, **changes: Any) -> Task:
    """Return a task of a week and 30 hours with three levels."""
    whole = {"horizon_steps": 30, "levels": (0.1, 0.5, 0.9), "covariates": COVARIATES[target], **changes}
    return Task(target, **whole)


def tiny_config(kind: str, task: Task, **changes: Any) -> NetworkConfig:
    """Return the sizes of a small network for `task`."""
    usual = FORECASTERS.load(kind)(task).config
    return replace(usual, **{"width": 16, "layers": 1, "heads": 2, "head_width": 16, "dropout": 0.1, **changes})


def untrained(kind: str, task: Task, **settings: Any) -> ForecasterBase:
    """Return a forecaster that is quick to fit; `settings` change those of a network's fit."""
    if kind in NETWORKS:
        chosen = replace(TINY, **settings)
        made: ForecasterBase = FORECASTERS.load(kind)(task, config=tiny_config(kind, task), settings=chosen, members=1)
        return made
    small = {"linear": SmallLinear, "gbm": SmallGbm}.get(kind)
    return (small or FORECASTERS.load(kind))(task)


@cache
def tiny_table(target: str) -> SeriesTable:
    """Return a month of hours of four series: load around 6, solar output that is zero by night, negative prices."""
    table = made_table(DAYS, 4, covariates=COVARIATES[target], level={"load": 6.0, "pv": 0.0, "price": -3.0}[target])
    return replace(table, values=np.maximum(table.values, 0.0)) if target == "pv" else table


def learnt(kind: str, target: str, table: SeriesTable | None = None, seed: int = 0) -> ForecasterBase:
    """Return the forecaster fitted anew."""
    model = untrained(kind, tiny_task(target))
    model.fit(tiny_table(target) if table is None else table, train=TRAIN, validation=VALIDATION, seed=seed)
    return model


@cache
def fitted(kind: str, target: str) -> ForecasterBase:
    """Return the forecaster fitted on its table."""
    return learnt(kind, target)


def known(model: ForecasterBase, table: SeriesTable, origin: int = ORIGIN) -> ForecastInputs:
    """Return what `model` may know at `origin`."""
    return inputs_at(table, origin, model.task, truth=model.needs_truth)


def spoilt(table: SeriesTable, before: int, after: int, value: float = 1e4) -> SeriesTable:
    """Return the table with everything before step `before`, and at or after step `after`, replaced by `value`."""
    steps = np.arange(len(table.values))
    out = (steps < before) | (steps >= after)
    values, covariates, known_then = table.values.copy(), table.covariates.copy(), table.issued.values.copy()
    values[out], covariates[out] = value, value
    ahead = table.issued.issued_at[:, None] + np.arange(table.issued.horizon_steps)
    known_then[(ahead < before) | (ahead >= after)] = value
    return replace(table, values=values, covariates=covariates, issued=replace(table.issued, values=known_then))
