"""From homes and prices to trained storage policies, their cards, and the search of their settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_sim.errors import DataError
from vpp_sim.registry import CONTROLLERS, HOME_SOURCES, PRICE_SOURCES
from vpp_sim.training.splits import SPLITS, split_of, splits_until, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    from vpp_sim.arrays import FloatArray
    from vpp_sim.data.homes import HomesData
    from vpp_sim.ess.episodes import Cases
    from vpp_sim.ess.learning import Outcome, Progress
    from vpp_sim.ess.network import ActionNetwork
    from vpp_sim.ess.search import SearchResult
    from vpp_sim.ess.settings import Kind, LearningSettings
    from vpp_sim.ess.weights import PolicyCard

__all__ = ["STORAGE_HISTORY_DAYS", "search_ess", "storage_trials", "train_ess"]

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
    progress: Progress | None = None,
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
    progress: Progress | None = None,
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
    made_by = versions("stable-baselines3", "gymnasium")
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
    outcome: Outcome,
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
        versions=versions("stable-baselines3", "gymnasium"),
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
