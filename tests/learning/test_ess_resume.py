"""A training that was cut off anywhere goes on from its checkpoint, and ends in the same bits as one that was not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from vpp_sim.errors import DataError
from vpp_sim.ess.checkpoint import Checkpoint
from vpp_sim.ess.environment import two_price_home
from vpp_sim.ess.learning import Kind, LearningSettings, Outcome, learn
from vpp_sim.ess.network import ActionNetwork

TINY = LearningSettings(
    clone_steps=10,
    clone_batch=32,
    tune_steps=7_000,
    tune_rate=1e-3,
    hidden=(8,),
    lanes=16,
    episode_steps=24,
    rollout_steps=32,
    evaluations=5,
)


class Rising:
    """A score that rises with every look, so that the last network is the best."""

    def __init__(self, first: float = 0.0) -> None:
        self.next = first

    def __call__(self, network: ActionNetwork) -> float:
        self.next += 1.0
        return self.next


@cache
def whole_of(kind: Kind) -> Outcome:
    return learn(kind, two_price_home(), Rising(), seed=3, settings=TINY)


def bits(outcome: Outcome) -> bytes:
    return b"".join(array.tobytes() for array in (*outcome.network.weights, *outcome.network.biases))


def cut_after(monkeypatch: pytest.MonkeyPatch, count: int) -> list[str]:
    """Cut whatever is kept for the `count`-th time, right after it is written; return the phases kept."""
    keep, phases = Checkpoint.keep, list[str]()

    def keep_and_stop(self: Checkpoint, state: dict[str, object]) -> None:
        keep(self, state)
        phases.append(str(state["phase"]))
        if len(phases) == count:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "keep", keep_and_stop)
    return phases


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "count", "phase"),
    [
        ("ppo", 4, "clone"),
        pytest.param("ppo", 11, "tune", marks=SLOW),
        ("ppo", 14, "tune"),
        pytest.param("dqn", 4, "clone", marks=SLOW),
        pytest.param("dqn", 11, "tune", marks=SLOW),
        ("dqn", 15, "tune"),
    ],
)
def test_it_ends_in_the_same_bits(
    kind: Kind, count: int, phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = whole_of(kind)
    checkpoint = Checkpoint(tmp_path / "ess.checkpoint", "a home")
    with monkeypatch.context() as patch:
        phases = cut_after(patch, count)
        with pytest.raises(KeyboardInterrupt):
            learn(kind, two_price_home(), Rising(), seed=3, settings=TINY, checkpoint=checkpoint)
    assert (len(phases), phases[-1]) == (count, phase)
    assert [path.name for path in tmp_path.iterdir()] == ["ess.checkpoint"]
    looks = max(count - 10, 0)
    resumed = learn(kind, two_price_home(), Rising(looks), seed=3, settings=TINY, checkpoint=checkpoint)
    assert resumed.scores == whole.scores == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert bits(resumed) == bits(whole)


@pytest.mark.slow
def test_a_plain_training_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(TINY, clone_steps=0, shaped=False)
    whole = learn("dqn", two_price_home(), Rising(), seed=0, settings=settings)
    checkpoint = Checkpoint(tmp_path / "ess.checkpoint", "a home")
    with monkeypatch.context() as patch:
        phases = cut_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            learn("dqn", two_price_home(), Rising(), seed=0, settings=settings, checkpoint=checkpoint)
    assert phases == ["tune", "tune"]
    assert bits(learn("dqn", two_price_home(), Rising(2), seed=0, settings=settings, checkpoint=checkpoint)) == bits(
        whole
    )


@pytest.mark.parametrize("other", ["seed", "settings", "cases", "score"])
def test_a_checkpoint_of_another_training_is_refused(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "ess.checkpoint", "a home")
    with monkeypatch.context() as patch:
        cut_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            learn("ppo", two_price_home(), Rising(), seed=3, settings=TINY, checkpoint=checkpoint)
    with pytest.raises(DataError, match=r"ess\.checkpoint is the checkpoint of another training; remove it or choose"):
        learn(
            "ppo",
            two_price_home(17 if other == "cases" else 16),
            Rising(),
            seed=4 if other == "seed" else 3,
            settings=replace(TINY, tune_rate=2e-3) if other == "settings" else TINY,
            checkpoint=replace(checkpoint, key="another home") if other == "score" else checkpoint,
        )


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "ess.checkpoint", "a home")
    checkpoint.path.write_bytes(b"half a file")
    checkpoint.path.with_name("ess.checkpoint.part").write_bytes(b"half")
    with pytest.raises(DataError, match=r"ess\.checkpoint is no checkpoint; remove it to begin anew"):
        checkpoint.find()
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.find() is None
    assert list(tmp_path.iterdir()) == []
