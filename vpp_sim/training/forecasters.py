"""From homes' data to trained forecasters and their cards."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import Task, require_target
from vpp_sim.forecasting.windows import SeriesTable
from vpp_sim.registry import FORECASTERS, HOME_SOURCES
from vpp_sim.training.splits import SPLITS, split_of, versions

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.data.homes import HomesData
    from vpp_sim.forecasting.card import ModelCard
    from vpp_sim.forecasting.model import ForecasterBase
    from vpp_sim.forecasting.protocol import Progress

__all__ = ["forecast_table", "train_forecaster"]

WEATHER_HORIZON_H = 48
"""Hours that each issue of a weather forecast covers: the longest forecast, and the age of the latest run."""

EVALUATION_STRIDE = 5
"""Steps between the origins that cards measure at; prime to 24, so that every hour of the day issues forecasts."""

_LIMITS = (
    "Learned from one year of thirteen homes of one neighbourhood, so from one weather and no second summer; "
    "hourly steps; forecasts of the weather ahead are observations with a model of forecast errors."
)


def forecast_table(
    homes: HomesData,
    target: str,
    *,
    weather: str = "error_model",
    weather_file: Path | None = None,
    least_weather_h: int = WEATHER_HORIZON_H,
) -> SeriesTable:
    """Return the series of one target with weather, its forecasts, and the local calendar.

    Parameters
    ----------
    homes : HomesData
        Homes of any number.
    target : str
        ``"load"`` [kW] or ``"pv"`` [kW per kWp].
    weather : str
        Name of the weather forecasts: what was known of the weather ahead at each step.
    weather_file : path, optional
        Where they stand, for ``"file"``.
    least_weather_h : int
        Hours that each issue covers, 48 at least [h].

    Raises
    ------
    DataError
        If the target is unknown, the homes have no such series, or the weather forecasts cannot be read.
    UnknownNameError
        If there are no such weather forecasts.
    """
    from vpp_sim.data.weather import FONTANA, ObservedWeather
    from vpp_sim.data.weather_forecast import WeatherForecastOptions, issue_weather

    require_target(target)
    series = {"load": homes.load_kw, "pv": homes.pv_kw_per_kwp}
    if target not in series:
        raise DataError(f"homes have no series of {target!r}; allowed: {', '.join(series)}")
    index = homes.index
    observed = ObservedWeather.of_homes(homes, FONTANA)
    weather_steps = max(WEATHER_HORIZON_H, least_weather_h) * 3600 // homes.step_s
    return SeriesTable(
        values=series[target],
        covariates=np.column_stack([homes.temperature_c, homes.ghi_w_m2]),
        issued=issue_weather(weather, observed, weather_steps, WeatherForecastOptions(path=weather_file)),
        hour=np.asarray(index.hour + index.minute / 60.0, dtype=np.float64),
        day_of_week=np.asarray(index.dayofweek, dtype=np.int64),
        day_of_year=np.asarray(index.dayofyear, dtype=np.int64),
    )


def train_forecaster(
    kind: str,
    target: str,
    *,
    seed: int,
    out_dir: Path,
    source: str = "fontana",
    weather: str = "error_model",
    weather_file: Path | None = None,
    progress: Progress | None = None,
) -> ModelCard:
    """Train a forecaster, measure it, and write weights and card to `out_dir`.

    A training that was cut off goes on from the checkpoint that it left in `out_dir`, and ends in the same weights.

    Parameters
    ----------
    kind : str
        Name of a forecaster that learns, such as ``"lstm"``.
    target : str
        ``"load"`` or ``"pv"``.
    seed : int
        Same seed, same machine, same versions: the same weights, bit by bit.
    out_dir : path
        Gets ``<target>_<kind>.safetensors`` and ``<target>_<kind>.json``.
    source : str, default "fontana"
        Home source; its recommended homes are used.
    weather : str, default "error_model"
        Weather forecasts that are known at each issue.
    weather_file : path, optional
        Where they stand, for ``"file"``.
    progress : callable, optional
        Called after each round with its number, the number of rounds, and the validation loss.

    Raises
    ------
    UnknownNameError
        If there is no such forecaster, source or weather forecast.
    DataError
        If the forecaster has nothing to train, the target is unknown, or the data does not cover the splits.
    """
    from vpp_sim.forecasting.card import ModelCard, write_card
    from vpp_sim.forecasting.model import model_path

    model = _untrained(kind, Task(target))
    found = HOME_SOURCES.load(source)()
    homes = found.load().select(found.default_homes)
    table, index = forecast_table(homes, target, weather=weather, weather_file=weather_file), homes.index
    path = model_path(out_dir, target, kind)
    began, began_cpu = time.perf_counter(), time.process_time()
    report = model.fit(
        table,
        train=split_of(index, "train"),
        validation=split_of(index, "validation"),
        seed=seed,
        progress=progress,
        checkpoint=path.with_suffix(".checkpoint"),
    )
    spent_s = (time.perf_counter() - began, time.process_time() - began_cpu)
    card = ModelCard(
        kind=kind,
        target=target,
        command=f"vpp-sim train forecaster --kind {kind} --target {target} --seed {seed}"
        + ("" if source == "fontana" else f" --source {source}")
        + ("" if weather == "error_model" else f" --weather {weather}")
        + ("" if weather_file is None else f" --weather-file {weather_file.name}"),
        seed=seed,
        source=source,
        data_digest=homes.digest,
        series=homes.names,
        weather=table.issued.note,
        splits={name: list(days) for name, days in SPLITS.items()},
        task=asdict(model.task),
        fitting=dict(report.settings or {}),
        best_round=report.best_round,
        validation_losses=[round(loss, 6) for loss in report.losses],
        metrics=_metrics(model, table, index),
        training_s=round(spent_s[0], 1),
        training_cpu_s=round(spent_s[1], 1),
        versions=versions(),
        parameters=report.parameters,
        weights_sha256=model.save(path),
        limits=_LIMITS,
    )
    write_card(card, out_dir)
    return card


def _untrained(kind: str, task: Task) -> ForecasterBase:
    """Return an unfitted forecaster, which must be one that learns."""
    found = FORECASTERS.load(kind)
    if not found.trained:
        raise DataError(f"the {kind} forecaster has nothing to train")
    made: ForecasterBase = found(task)
    return made


def _metrics(model: ForecasterBase, table: SeriesTable, index: pd.DatetimeIndex) -> dict[str, Any]:
    """Return measures on validation and test, of the model and of the baselines at the same origins."""
    from vpp_sim.forecasting.evaluation import compare

    baselines = ("persistence", "seasonal_naive", "persistence_ensemble")
    models = {model.kind: model, **{name: FORECASTERS.load(name)(model.task) for name in baselines}}
    train = split_of(index, "train")
    return {
        name: compare(models, table, split_of(index, name), train=train, stride=EVALUATION_STRIDE)
        for name in ("validation", "test")
    }
