"""A search for settings to learn with, by Optuna [1]_, which goes on where it was cut off.

Optuna is an extra: ``pip install 'vpp-sim[train]'``. The study is an SQLite file, which Optuna's own tools open too.
The first trial has the settings that the search starts from, so what it finds is never worse on what it scores. What a
trial tries depends only on the seed and on the trials before it; so a search that was cut off tries the same as one
that was not.

References
----------
.. [1] T. Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework", KDD 2019.
   https://doi.org/10.1145/3292500.3330701
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vpp_sim.errors import DataError
from vpp_sim.ess.settings import Kind, LearningSettings, changed_settings

__all__ = ["SearchResult", "Trial", "require_optuna", "search"]

_log = logging.getLogger(__name__)

_LAYERS = ("32", "64", "32x32", "64x64", "128x128", "64x64x64")
_EPISODES = (48, 96, 168)

Attempt: TypeAlias = Callable[[LearningSettings, int], float]
"""Trains with settings, given which trial this is, and returns the validation score; higher is better."""

Told: TypeAlias = Callable[[int, int, float], None]
"""Told how many trials are done, of how many, and the best score."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that were tried.

    Attributes
    ----------
    settings : LearningSettings
        What was learned with.
    score : float
        What it came to on validation.
    """

    settings: LearningSettings
    score: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search tried.

    Attributes
    ----------
    trials : tuple of Trial
        In the order they were tried; the first has the settings that the search started from.
    """

    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial of the highest score, the first of equals."""
        return max(self.trials, key=lambda trial: trial.score)


def require_optuna() -> Any:
    """Return the module.

    Raises
    ------
    DataError
        If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise DataError("a search for settings needs Optuna: pip install 'vpp-sim[train]'") from error
    return optuna


def search(
    kind: Kind,
    attempt: Attempt,
    *,
    base: LearningSettings,
    trials: int,
    study: Path,
    key: str,
    seed: int,
    told: Told | None = None,
) -> SearchResult:
    """Return the first `trials` trials of a study, after trying those that it does not hold yet.

    Parameters
    ----------
    kind : {"dqn", "ppo"}
        Algorithm; decides which settings are searched.
    attempt : callable
        Trains and scores.
    base : LearningSettings
        Settings of the first trial; what is not searched stays as it is there.
    trials : int
        How many trials the study shall hold.
    study : path
        SQLite file, made if missing.
    key : str
        What the search is of; a study with another key is refused.
    seed : int
        Of what is tried.
    told : callable, optional
        Called before the first trial and after each.

    Raises
    ------
    DataError
        If Optuna is missing, or the study is of another search.
    """
    optuna = require_optuna()
    study.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{study}")
    try:
        opened = optuna.create_study(study_name=kind, storage=storage, direction="maximize", load_if_exists=True)
        _require_key(opened, key, study)
        _give_up_what_was_cut(optuna, opened)
        while True:
            done = _finished(optuna, opened)
            if told is not None:
                told(min(len(done), trials), trials, max((trial.value for trial in done), default=float("nan")))
            if len(done) >= trials:
                return SearchResult(tuple(Trial(_settings(base, t.params), t.value) for t in done[:trials]))
            _try_one(optuna, opened, kind, base, attempt, len(done), seed)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _require_key(opened: Any, key: str, study: Path) -> None:
    known = opened.user_attrs.get("key")
    if known is None:
        opened.set_user_attr("key", key)
    elif known != key:
        raise DataError(f"{study} is the study of another search; remove it or choose another folder")


def _give_up_what_was_cut(optuna: Any, opened: Any) -> None:
    """Close the trials that an earlier process began; what they tried is tried anew."""
    states = optuna.trial.TrialState
    for trial in opened.get_trials(deepcopy=False, states=(states.RUNNING,)):
        opened.tell(trial.number, state=states.FAIL)


def _finished(optuna: Any, opened: Any) -> list[Any]:
    found: list[Any] = opened.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return found


def _try_one(
    optuna: Any, opened: Any, kind: Kind, base: LearningSettings, attempt: Attempt, number: int, seed: int
) -> None:
    draws = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    opened.sampler = optuna.samplers.TPESampler(seed=draws)
    if number == 0 and not opened.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
        opened.enqueue_trial(_parameters(base))
    trial = opened.ask()
    settings = _settings(base, _suggested(trial, kind, cloned=base.clone_steps > 0))
    score = attempt(settings, number)
    opened.tell(trial, score)
    _log.info("trial %d of %s: %.4f with %s", number + 1, kind, score, trial.params)


def _suggested(trial: Any, kind: Kind, *, cloned: bool) -> dict[str, Any]:
    trial.suggest_categorical("hidden", _LAYERS)
    trial.suggest_categorical("episode_steps", _EPISODES)
    trial.suggest_float("discount", 0.95, 1.0)
    trial.suggest_float("tune_rate", 1e-6, 3e-3, log=True)
    if cloned:
        trial.suggest_float("clone_rate", 3e-4, 1e-2, log=True)
    if kind == "ppo":
        trial.suggest_float("clip", 0.02, 0.4)
        trial.suggest_float("entropy", 0.0, 0.01)
    found: dict[str, Any] = trial.params
    return found


def _parameters(settings: LearningSettings) -> dict[str, Any]:
    """Return settings as the parameters of a trial."""
    searched = ("episode_steps", "discount", "tune_rate", "clone_rate", "clip", "entropy")
    layers = "x".join(str(width) for width in settings.hidden)
    return {"hidden": layers, **{name: getattr(settings, name) for name in searched}}


def _settings(base: LearningSettings, parameters: dict[str, Any]) -> LearningSettings:
    layers = [int(width) for width in parameters["hidden"].split("x")]
    return changed_settings(base, {**parameters, "hidden": layers})
