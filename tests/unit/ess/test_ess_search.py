"""The search for settings: where it starts, that it goes on as if never cut, and what it refuses."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from vpp_sim.errors import DataError
from vpp_sim.ess.search import SearchResult, search
from vpp_sim.ess.settings import PLAIN_SETTINGS, SETTINGS, LearningSettings


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    optuna.logging.disable_default_handler()
    yield
    optuna.logging.enable_default_handler()


def nearness(settings: LearningSettings, number: int) -> float:
    """Best at a rate of 1e-3 and a discount of 0.96."""
    return -abs(settings.tune_rate - 1e-3) * 1e3 - abs(settings.discount - 0.96)


def found(study: Path, trials: int, *, seed: int = 1, key: str = "a", attempt=nearness, told=None) -> SearchResult:  # type: ignore[no-untyped-def]
    return search("ppo", attempt, base=SETTINGS["ppo"], trials=trials, study=study, key=key, seed=seed, told=told)


def test_the_first_trial_is_what_it_starts_from_and_the_best_is_no_worse(tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    result = found(tmp_path / "made" / "study.sqlite3", 4, told=lambda done, total, best: said.append((done, total)))
    assert said == [(done, 4) for done in range(5)]
    assert [trial.score for trial in result.trials] == [nearness(trial.settings, 0) for trial in result.trials]
    assert result.trials[0].settings == SETTINGS["ppo"]
    assert len({trial.settings for trial in result.trials}) == 4
    assert result.best.score == max(trial.score for trial in result.trials) > result.trials[0].score
    for trial in result.trials:
        searched = {"hidden", "episode_steps", "discount", "tune_rate", "clone_rate", "clip", "entropy"}
        same = replace(trial.settings, **{name: getattr(SETTINGS["ppo"], name) for name in searched})
        assert same == SETTINGS["ppo"]


def test_a_search_that_was_cut_tries_what_it_would_have_tried(tmp_path: Path) -> None:
    whole = found(tmp_path / "whole.sqlite3", 3)
    for cut in (0, 2):

        def stop(settings: LearningSettings, number: int, cut: int = cut) -> float:
            if number == cut:
                raise KeyboardInterrupt
            return nearness(settings, number)

        study = tmp_path / f"cut_{cut}.sqlite3"
        with pytest.raises(KeyboardInterrupt):
            found(study, 3, attempt=stop)
        tried: list[int] = []
        resumed = found(study, 3, attempt=lambda settings, number: (tried.append(number), nearness(settings, 0))[1])  # noqa: B023
        assert resumed == whole
        assert tried == list(range(cut, 3))


def test_more_trials_are_added_and_fewer_are_a_look_back(tmp_path: Path) -> None:
    study = tmp_path / "study.sqlite3"
    two = found(study, 2)
    three = found(study, 3)
    assert three.trials[:2] == two.trials
    assert found(study, 2) == two
    assert found(tmp_path / "other.sqlite3", 2, seed=2).trials[1:] != two.trials[1:]


def test_what_is_searched_depends_on_the_algorithm(tmp_path: Path) -> None:
    base = PLAIN_SETTINGS["dqn"]
    result = search("dqn", nearness, base=base, trials=3, study=tmp_path / "s.sqlite3", key="", seed=0)
    for trial in result.trials:
        untouched = {name: getattr(trial.settings, name) for name in ("clone_rate", "clip", "entropy", "clone_steps")}
        assert untouched == {name: getattr(base, name) for name in untouched}
    with sqlite3.connect(tmp_path / "s.sqlite3") as file:
        names = {row[0] for row in file.execute("select param_name from trial_params")}
    file.close()
    assert names == {"hidden", "episode_steps", "discount", "tune_rate"}


def test_the_study_of_another_search_is_refused(tmp_path: Path) -> None:
    found(tmp_path / "s.sqlite3", 1)
    with pytest.raises(DataError, match=r"s\.sqlite3 is the study of another search; remove it or choose another"):
        found(tmp_path / "s.sqlite3", 1, key="b")


def test_an_absent_library_is_named_with_the_way_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(DataError, match=r"needs Optuna: pip install 'vpp-sim\[train\]'"):
        found(tmp_path / "s.sqlite3", 1)
    assert list(tmp_path.iterdir()) == []
