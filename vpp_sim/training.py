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
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    from vpp_sim.arrays import FloatArray
    from vpp_sim.data.homes import HomesData
    from vpp_sim.ess.episodes import Cases
    from vpp_sim.ess.learning import Outcome as StorageOutcome
    from vpp_sim.ess.learning import Progress as StorageProgress
    from vpp_sim.ess.network import ActionNetwork
    from vpp_sim.ess.search import SearchResult
    from vpp_sim.ess.settings import Kind, LearningSettings
    from vpp_sim.ess.weights import PolicyCard
    from vpp_sim.forecasting.card import ModelCard
    from vpp_sim.forecasting.model import ForecasterBase
    from vpp_sim.forecasting.protocol import Progress

__all__ = [
    "SPLITS",
    "forecast_table",
    "search_ess",
    "split_of",
    "splits_until",
    "storage_trials",
    "train_ess",
    "train_forecaster",
]

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


def split_of(index: pd.DatetimeIndex, name: str, splits: Mapping[str, tuple[str, str]] = SPLITS) -> Split:
    """Return the steps of a split on `index`.

    Raises
    ------
    DataError
        If `index` does not cover it.
    """
    first, last = (pd.Timestamp(day, tz=index.tz) for day in splits[name])
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
    cloned: bool = True,
    settings: LearningSettings | None = None,
    settings_file: Path | None = None,
    train_until: date | None = None,
    validate_until: date | None = None,
    replacement_eur_per_kwh: float = 0.0,
    log_dir: Path | None = None,
    progress: StorageProgress | None = None,
) -> PolicyCard:
    """Train a storage policy, measure it, and write weights and card to `out_dir`.

    A training that was cut off goes on from the checkpoint that it left in `out_dir`, and ends in the same weights.

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
    cloned : bool
        Whether hindsight is cloned first; without, the algorithm learns from nothing.
    settings : LearningSettings, optional
        What the training is made of; those of the algorithm, cloned or not, when left out.
    settings_file : path, optional
        Where the settings came from, for the command on the card.
    train_until, validate_until : date, optional
        Last local day of learning and of choosing; those of :data:`SPLITS` when left out. Days after the second one
        decide nothing; the card says how the policy does on them.
    replacement_eur_per_kwh : float
        Price of a new battery [EUR/kWh]; rewards and scores are then less what each kWh that is taken out wears, by
        :func:`vpp_sim.devices.ageing.wear_eur_per_kwh` for cycles of the whole window. With 0 nothing wears.
    log_dir : path, optional
        Gets scalars for TensorBoard.
    progress : callable, optional
        Called after each round with its number, the number of rounds, and the last validation score (NaN before one).

    Raises
    ------
    UnknownNameError
        If there is no such source.
    DataError
        If the controller has nothing to train, the data does not cover the splits, the days leave too little to learn
        or to choose by, the checkpoint is of another training, or TensorBoard is missing for `log_dir`.
    """
    from vpp_sim.ess.checkpoint import Checkpoint
    from vpp_sim.ess.learning import learn

    chosen = settings or _settings_of(kind, cloned)
    splits = splits_until(train_until, validate_until)
    data = _storage_data(source, prices)
    began, began_cpu = time.perf_counter(), time.process_time()
    lesson = _lesson(data, splits, seed, replacement_eur_per_kwh)
    checkpoint = Checkpoint(out_dir / f"ess_{kind}.checkpoint", lesson.key)
    outcome = learn(
        kind,
        lesson.cases,
        lesson.score,
        seed=seed,
        settings=chosen,
        progress=progress,
        checkpoint=checkpoint,
        log_dir=log_dir,
    )
    spent_s = (time.perf_counter() - began, time.process_time() - began_cpu)
    command = (
        f"vpp-sim train ess --kind {kind} --seed {seed}"
        + ("" if cloned else " --no-clone")
        + ("" if settings_file is None else f" --settings {settings_file.name}")
        + ("" if train_until is None else f" --train-until {train_until}")
        + ("" if validate_until is None else f" --validate-until {validate_until}")
        + ("" if not replacement_eur_per_kwh else f" --replacement-eur-per-kwh {replacement_eur_per_kwh:g}")
    )
    card = _policy_saved(kind, seed, data, chosen, outcome, spent_s, out_dir, splits=splits, command=command)
    checkpoint.remove()
    return card


def search_ess(
    kind: Kind,
    *,
    trials: int,
    seed: int,
    out_dir: Path,
    source: str = "fontana",
    prices: str = "netherlands_day_ahead",
    cloned: bool = True,
    settings: LearningSettings | None = None,
    train_until: date | None = None,
    validate_until: date | None = None,
    progress: StorageProgress | None = None,
) -> SearchResult:
    """Search settings for :func:`train_ess` by what policies save on the validation days, and no others.

    A search that was cut off goes on from ``ess_<kind>_search.sqlite3`` and the checkpoint in `out_dir`, and tries what
    it would have tried. Asked for more trials than before, it adds them.

    Parameters
    ----------
    kind, seed, out_dir, source, prices, cloned, train_until, validate_until
        As for :func:`train_ess`; every trial learns with the same seed, which also decides what is tried.
    trials : int
        How many trials the study shall hold.
    settings : LearningSettings, optional
        What the first trial learns with, and every one where nothing is searched.
    progress : callable, optional
        Called with the trials done, their number, and the best score so far.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    DataError
        As for :func:`train_ess`, and if Optuna is missing or the study in `out_dir` is of another search.
    """
    from vpp_sim.ess.checkpoint import Checkpoint
    from vpp_sim.ess.learning import learn
    from vpp_sim.ess.search import require_optuna, search

    require_optuna()
    base = settings or _settings_of(kind, cloned)
    lesson = _lesson(_storage_data(source, prices), splits_until(train_until, validate_until), seed)

    def attempt(tried: LearningSettings, number: int) -> float:
        checkpoint = Checkpoint(out_dir / f"ess_{kind}_trial.checkpoint", f"trial {number}; {lesson.key}")
        found = learn(kind, lesson.cases, lesson.score, seed=seed, settings=tried, checkpoint=checkpoint)
        checkpoint.remove()
        return max(found.scores)

    study, key = out_dir / f"ess_{kind}_search.sqlite3", f"seed {seed}; {base.as_plain()}; {lesson.key}"
    return search(kind, attempt, base=base, trials=trials, study=study, key=key, seed=seed, told=progress)


def splits_until(train_until: date | None = None, validate_until: date | None = None) -> dict[str, tuple[str, str]]:
    """Return the splits of the homes' year with other last days of training and validation.

    Raises
    ------
    DataError
        If too little is left to learn from or to choose by.

    Examples
    --------
    >>> from datetime import date
    >>> splits_until(date(2017, 3, 31), date(2017, 4, 27))["validation"]
    ('2017-04-01', '2017-04-27')
    """
    first, last = (pd.Timestamp(day) for day in (SPLITS["train"][0], SPLITS["test"][1]))
    trained = pd.Timestamp(train_until or SPLITS["train"][1])
    validated = pd.Timestamp(validate_until or SPLITS["validation"][1])
    day = pd.Timedelta(days=1)
    if not (trained - first >= 27 * day and validated - trained >= 7 * day and last >= validated):
        raise DataError(
            f"training until {trained.date()} and validation until {validated.date()} cannot be; expected 28 days of "
            f"training at least, from {first.date()} on, then 7 of validation at least, until {last.date()} at most"
        )
    begins = {"train": first, "validation": trained + day, "test": validated + day}
    ends = {"train": trained, "validation": validated, "test": last}
    return {name: (str(begins[name].date()), str(ends[name].date())) for name in SPLITS if begins[name] < ends[name]}


def _settings_of(kind: str, cloned: bool) -> LearningSettings:
    from vpp_sim.ess.settings import PLAIN_SETTINGS, SETTINGS

    if kind not in SETTINGS:
        raise DataError(f"the {kind} storage controller has nothing to train; allowed: {', '.join(sorted(SETTINGS))}")
    return (SETTINGS if cloned else PLAIN_SETTINGS)[kind]


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """What a policy learns from, how it is scored, and what tells both apart from others."""

    cases: Cases
    score: Callable[[ActionNetwork], float]
    key: str


def _lesson(
    data: _StorageData, splits: Mapping[str, tuple[str, str]], seed: int, replacement_eur_per_kwh: float = 0.0
) -> _Lesson:
    from vpp_sim.ess.curriculum import training_cases, worn
    from vpp_sim.ess.evaluation import greedy_saving_eur, optimal_saving_eur

    plain = _trials(data, "validation", splits)
    best_eur = {name: optimal_saving_eur(cases).sum() for name, cases in plain.items()}
    trial = {name: worn(cases, replacement_eur_per_kwh) for name, cases in plain.items()}

    def score(network: ActionNetwork) -> float:
        return float(np.mean([greedy_saving_eur(network, c).sum() / best_eur[name] for name, c in trial.items()]))

    train = split_of(data.homes.index, "train", splits)
    rows = slice(train.start, train.stop)
    rng = np.random.default_rng([seed, 0])
    cases = training_cases(
        data.net_kw[:, rows], data.own[rows], data.spot[rows], data.hour[rows], battery=data.battery, rng=rng
    )
    made_by = _versions("stable-baselines3", "gymnasium")
    key = f"{data.homes.digest}, {data.prices_digest}, {dict(splits)}, {made_by}, {replacement_eur_per_kwh:g}"
    return _Lesson(worn(cases, replacement_eur_per_kwh), score, key)


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


def _trials(data: _StorageData, split: str, splits: Mapping[str, tuple[str, str]] = SPLITS) -> dict[str, Cases]:
    from vpp_sim.ess.curriculum import reference_cases
    from vpp_sim.ess.tariffs import wholesale_shaped

    span = split_of(data.homes.index, split, splits)
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
    *,
    splits: Mapping[str, tuple[str, str]],
    command: str,
) -> PolicyCard:
    from vpp_sim.ess.weights import PolicyCard, pack_policy, save_policy

    packed = pack_policy(outcome.network)
    capacity_kwh, power_kw, efficiency = data.battery
    card = PolicyCard(
        kind=kind,
        command=command,
        seed=seed,
        source=data.source,
        data_digest=data.homes.digest,
        prices=data.prices,
        prices_digest=data.prices_digest,
        homes=data.homes.names,
        battery={"capacity_kwh": capacity_kwh, "power_kw": power_kw, "round_trip_efficiency": efficiency},
        splits={name: list(days) for name, days in splits.items()},
        learning=settings.as_plain(),
        validation_scores=[round(score, 5) for score in outcome.scores],
        metrics={
            name: _storage_metrics(kind, data, outcome.network, name, splits) for name in splits if name != "train"
        },
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


def _storage_metrics(
    kind: str, data: _StorageData, network: ActionNetwork, split: str, splits: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """Return by tariff what hindsight saves a home [EUR], and what share of it each controller saves."""
    from vpp_sim.ess.evaluation import closed_loop_saving_eur, optimal_saving_eur
    from vpp_sim.ess.policy import PolicyController

    controllers = {name: CONTROLLERS.load(name).open(data.homes.step_s) for name in ("idle", "self_consumption")}
    controllers[kind] = PolicyController(network)
    rows: dict[str, Any] = {}
    for tariff, cases in _trials(data, split, splits).items():
        best_eur = optimal_saving_eur(cases)
        rows[tariff] = {"best_saving_eur_per_home": round(float(best_eur.mean()), 2)}
        for acts in ("after_meter", "before_meter"):
            saved_eur = {name: closed_loop_saving_eur(c, cases, acts=acts).sum() for name, c in controllers.items()}
            shares = {name: round(float(saved / best_eur.sum()), 4) for name, saved in saved_eur.items()}
            rows[tariff]["share_of_best" if acts == "after_meter" else "share_of_best_before_meter"] = shares
    return rows
