"""From data to trained models and their cards: where data, forecasting and storage control meet for learning.

The splits of the homes' year stand here, because they bind every model that is trained on it: what is learned, what
chooses, and what only measures. The week that the default scenario runs lies inside the test split.
"""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim import __version__
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import Task, require_target
from vpp_sim.forecasting.windows import SeriesTable, Split
from vpp_sim.registry import CONTROLLERS, FORECASTERS, HOME_SOURCES, PRICE_SOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.arrays import FloatArray
    from vpp_sim.data.homes import HomesData
    from vpp_sim.ess.episodes import Cases
    from vpp_sim.ess.learning import Kind, LearningSettings
    from vpp_sim.ess.learning import Outcome as StorageOutcome
    from vpp_sim.ess.learning import Progress as StorageProgress
    from vpp_sim.ess.network import ActionNetwork
    from vpp_sim.ess.weights import PolicyCard
    from vpp_sim.forecasting.card import ModelCard
    from vpp_sim.forecasting.model import ForecasterBase
    from vpp_sim.forecasting.protocol import Progress

__all__ = ["SPLITS", "forecast_table", "split_of", "storage_trials", "train_ess", "train_forecaster"]

SPLITS: dict[str, tuple[str, str]] = {
    "train": ("2016-08-01", "2017-04-30"),
    "validation": ("2017-05-01", "2017-06-15"),
    "test": ("2017-06-16", "2017-07-31"),
}
"""First and last local day of each split, both inclusive."""

WEATHER_HORIZON_H = 48
"""Hours that each issue of a weather forecast covers: the longest forecast, and the age of the latest run."""

EVALUATION_STRIDE = 5
"""Steps between the origins that cards measure at; prime to 24, so that every hour of the day issues forecasts."""

_LIMITS = (
    "Learned from one year of thirteen homes of one neighbourhood, so from one weather and no second summer; "
    "hourly steps; forecasts of the weather ahead are observations with a model of forecast errors."
)


def split_of(index: pd.DatetimeIndex, name: str) -> Split:
    """Return the steps of a split on `index`.

    Raises
    ------
    DataError
        If `index` does not cover it.
    """
    first, last = (pd.Timestamp(day, tz=index.tz) for day in SPLITS[name])
    stop = int(index.searchsorted(last + pd.DateOffset(days=1)))
    start = int(index.searchsorted(first))
    if index[0] > first or index[-1] < last:
        raise DataError(f"the data from {index[0]} to {index[-1]} does not cover the {name} split, {first} to {last}")
    return Split(name, start, stop)


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
        versions=_versions(),
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


def _versions(*others: str) -> dict[str, str]:
    """Return the versions of what determines the weights."""
    libraries = {name: version(name) for name in ("torch", "numpy", *others)}
    return {"vpp_sim": __version__, "python": platform.python_version(), **libraries}


STORAGE_HISTORY_DAYS = 7
"""Days before a split that a storage controller's forecasts look back on."""

_STORAGE_LIMITS = (
    "Learned in steps of an hour from one year of thirteen homes of one neighbourhood, with batteries of 3 to 15 kWh "
    "and prices of 0.05 to 0.60 EUR/kWh; it expects this step's net load to be metered, and knows neither grid limits "
    "nor local trades."
)


@dataclass(frozen=True, slots=True)
class _StorageData:
    """What storage policies are trained and measured on, over the whole index."""

    source: str
    prices: str
    homes: HomesData
    net_kw: FloatArray
    own: FloatArray
    spot: FloatArray
    prices_digest: str
    hour: FloatArray

    @property
    def battery(self) -> tuple[float, float, float]:
        """Reference capacity [kWh], power [kW] and round-trip efficiency."""
        return float(self.homes.battery_kwh[0]), float(self.homes.battery_kw[0]), 0.9


def train_ess(
    kind: Kind,
    *,
    seed: int,
    out_dir: Path,
    source: str = "fontana",
    prices: str = "netherlands_day_ahead",
    settings: LearningSettings | None = None,
    progress: StorageProgress | None = None,
) -> PolicyCard:
    """Train a storage policy, measure it, and write weights and card to `out_dir`.

    Parameters
    ----------
    kind : {"dqn", "ppo"}
        Algorithm.
    seed : int
        Same seed, same machine, same versions: the same weights, bit by bit.
    out_dir : path
        Gets ``ess_<kind>.safetensors`` and ``ess_<kind>.json``.
    source, prices : str
        Home source, whose recommended homes are used, and price source.
    settings : LearningSettings, optional
        What the training is made of; those of the algorithm when left out.
    progress : callable, optional
        Called after each round with its number, the number of rounds, and the last validation score (NaN before one).

    Raises
    ------
    UnknownNameError
        If there is no such source.
    DataError
        If the controller has nothing to train, or the data does not cover the splits.
    """
    from vpp_sim.ess.curriculum import training_cases
    from vpp_sim.ess.evaluation import greedy_saving_eur, optimal_saving_eur
    from vpp_sim.ess.learning import SETTINGS, learn

    if kind not in SETTINGS:
        raise DataError(f"the {kind} storage controller has nothing to train; allowed: {', '.join(sorted(SETTINGS))}")
    data, chosen = _storage_data(source, prices), settings or SETTINGS[kind]
    began, began_cpu = time.perf_counter(), time.process_time()
    trial = _trials(data, "validation")
    best_eur = {name: optimal_saving_eur(cases).sum() for name, cases in trial.items()}

    def score(network: ActionNetwork) -> float:
        return float(np.mean([greedy_saving_eur(network, c).sum() / best_eur[name] for name, c in trial.items()]))

    train = split_of(data.homes.index, "train")
    rows = slice(train.start, train.stop)
    rng = np.random.default_rng([seed, 0])
    cases = training_cases(
        data.net_kw[:, rows], data.own[rows], data.spot[rows], data.hour[rows], battery=data.battery, rng=rng
    )
    outcome = learn(kind, cases, score, seed=seed, settings=chosen, progress=progress)
    spent_s = (time.perf_counter() - began, time.process_time() - began_cpu)
    return _policy_saved(kind, seed, data, chosen, outcome, spent_s, out_dir)


def _storage_data(source: str, prices: str) -> _StorageData:
    found = HOME_SOURCES.load(source)()
    homes = found.load().select(found.default_homes)
    series = PRICE_SOURCES.load(prices)().load()
    index = homes.index
    return _StorageData(
        source=source,
        prices=prices,
        homes=homes,
        net_kw=np.ascontiguousarray((homes.load_kw - homes.pv_kw_per_kwp * homes.pv_kwp).T),
        own=homes.tariff_eur_per_kwh,
        spot=series.at(index[0], len(index), homes.step_s),
        prices_digest=series.digest,
        hour=np.asarray(index.hour + index.minute / 60.0, dtype=np.float64),
    )


def storage_trials(split: str, *, source: str = "fontana", prices: str = "netherlands_day_ahead") -> dict[str, Cases]:
    """Return what storage policies are measured on in a split, by tariff.

    ``own`` is the homes' own tariff, known in advance, without pay for feeding in; ``wholesale`` follows the market,
    set day by day. Every home has the battery of the data; forecasts repeat yesterday.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    DataError
        If the data does not cover the split.
    """
    return _trials(_storage_data(source, prices), split)


def _trials(data: _StorageData, split: str) -> dict[str, Cases]:
    from vpp_sim.ess.curriculum import reference_cases
    from vpp_sim.ess.tariffs import wholesale_shaped

    span = split_of(data.homes.index, split)
    rows = slice(span.start - STORAGE_HISTORY_DAYS * 24, span.stop)
    tariffs = {"own": (data.own[rows], np.zeros_like(data.own[rows])), "wholesale": wholesale_shaped(data.spot[rows])}
    return {
        name: reference_cases(
            data.net_kw[:, rows], tariff, data.hour[rows], battery=data.battery, set_daily=name == "wholesale"
        )
        for name, tariff in tariffs.items()
    }


def _policy_saved(
    kind: Kind,
    seed: int,
    data: _StorageData,
    settings: LearningSettings,
    outcome: StorageOutcome,
    spent_s: tuple[float, float],
    out_dir: Path,
) -> PolicyCard:
    from vpp_sim.ess.weights import PolicyCard, pack_policy, save_policy

    packed = pack_policy(outcome.network)
    capacity_kwh, power_kw, efficiency = data.battery
    card = PolicyCard(
        kind=kind,
        command=f"vpp-sim train ess --kind {kind} --seed {seed}",
        seed=seed,
        source=data.source,
        data_digest=data.homes.digest,
        prices=data.prices,
        prices_digest=data.prices_digest,
        homes=data.homes.names,
        battery={"capacity_kwh": capacity_kwh, "power_kw": power_kw, "round_trip_efficiency": efficiency},
        splits={name: list(days) for name, days in SPLITS.items()},
        learning={**asdict(settings), "hidden": list(settings.hidden)},
        validation_scores=[round(score, 5) for score in outcome.scores],
        metrics={name: _storage_metrics(kind, data, outcome.network, name) for name in ("validation", "test")},
        training_s=round(spent_s[0], 1),
        training_cpu_s=round(spent_s[1], 1),
        versions=_versions("stable-baselines3", "gymnasium"),
        parameters=sum(weight.size + bias.size for weight, bias in zip(*_layers(outcome.network), strict=True)),
        weights_sha256=sha256(packed).hexdigest(),
        limits=_STORAGE_LIMITS,
    )
    save_policy(packed, card, out_dir)
    return card


def _layers(network: ActionNetwork) -> tuple[Any, Any]:
    return network.weights, network.biases


def _storage_metrics(kind: str, data: _StorageData, network: ActionNetwork, split: str) -> dict[str, Any]:
    """Return by tariff what hindsight saves a home [EUR], and what share of it each controller saves."""
    from vpp_sim.ess.evaluation import closed_loop_saving_eur, optimal_saving_eur
    from vpp_sim.ess.policy import PolicyController

    controllers = {name: CONTROLLERS.load(name).open(data.homes.step_s) for name in ("idle", "self_consumption")}
    controllers[kind] = PolicyController(network)
    rows: dict[str, Any] = {}
    for tariff, cases in _trials(data, split).items():
        best_eur = optimal_saving_eur(cases)
        rows[tariff] = {"best_saving_eur_per_home": round(float(best_eur.mean()), 2)}
        for acts in ("after_meter", "before_meter"):
            saved_eur = {name: closed_loop_saving_eur(c, cases, acts=acts).sum() for name, c in controllers.items()}
            shares = {name: round(float(saved / best_eur.sum()), 4) for name, saved in saved_eur.items()}
            rows[tariff]["share_of_best" if acts == "after_meter" else "share_of_best_before_meter"] = shares
    return rows
