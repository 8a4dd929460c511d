"""``vpp-sim train ess`` and ``vpp-sim tune ess`` as a user calls them, on one home and for a moment."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vpp_sim.cli import main
from vpp_sim.data.fontana import Fontana
from vpp_sim.errors import DataError
from vpp_sim.ess.checkpoint import Checkpoint
from vpp_sim.ess.settings import PLAIN_SETTINGS, changed_settings
from vpp_sim.ess.weights import PolicyCard, read_policy_card
from vpp_sim.training.splits import SPLITS, splits_until
from vpp_sim.training.storage import search_ess, train_ess

TINY = {"clone_steps": 10, "clone_batch": 32, "tune_steps": 1024, "lanes": 8, "rollout_steps": 64, "evaluations": 2}
PLAIN = {**TINY, "clone_steps": 0}
SHORT = {
    "train": ("2016-08-01", "2016-09-20"),
    "validation": ("2016-09-21", "2016-09-30"),
    "test": ("2016-10-01", "2016-10-07"),
}


@pytest.fixture
def _shortly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the year be ten weeks, and the neighbourhood one home."""
    monkeypatch.setattr(Fontana, "default_homes", ("home_1",))
    for name, days in SHORT.items():
        monkeypatch.setitem(SPLITS, name, days)
    monkeypatch.chdir(tmp_path)
    Path("tiny.json").write_text(json.dumps(TINY))
    Path("plain.json").write_text(json.dumps(PLAIN))


def trained(*more: str, out: str = "models", kind: str = "ppo", status: int = 0) -> PolicyCard:
    assert main(["train", "ess", "--kind", kind, "--seed", "3", *more, "--out", out]) == status
    return read_policy_card(kind, Path(out))


def test_splits_end_where_they_are_told() -> None:
    assert splits_until() == SPLITS
    assert splits_until(date(2017, 3, 31), date(2017, 4, 26)) == {
        "train": ("2016-08-01", "2017-03-31"),
        "validation": ("2017-04-01", "2017-04-26"),
        "test": ("2017-04-27", "2017-07-31"),
    }
    assert splits_until(validate_until=date(2017, 7, 31)) == {
        "train": ("2016-08-01", "2017-04-30"),
        "validation": ("2017-05-01", "2017-07-31"),
    }


@pytest.mark.parametrize(
    ("train", "validate"),
    [("2016-08-27", "2017-06-15"), ("2017-04-30", "2017-05-06"), ("2017-04-30", "2017-08-01")],
)
def test_splits_that_leave_too_little(train: str, validate: str) -> None:
    with pytest.raises(DataError) as caught:
        splits_until(date.fromisoformat(train), date.fromisoformat(validate))
    assert str(caught.value) == (
        f"training until {train} and validation until {validate} cannot be; expected 28 days of training at least, "
        "from 2016-08-01 on, then 7 of validation at least, until 2017-07-31 at most"
    )
    splits_until(date(2016, 8, 28), date(2016, 9, 4))


def test_a_controller_that_does_not_learn(tmp_path: Path) -> None:
    for call in (train_ess, lambda kind, **rest: search_ess(kind, trials=1, **rest)):
        with pytest.raises(DataError, match=r"^the mpc storage controller has nothing to train; allowed: dqn, ppo$"):
            call("mpc", seed=0, out_dir=tmp_path)  # type: ignore[operator]


@pytest.mark.usefixtures("_shortly")
def test_plain_learning_says_so_on_its_card_and_writes_scalars() -> None:
    card = trained("--no-clone", "--settings", "plain.json", "--log-dir", "logs")
    assert card.command == "vpp-sim train ess --kind ppo --seed 3 --no-clone --settings plain.json"
    assert card.learning == changed_settings(PLAIN_SETTINGS["ppo"], PLAIN).as_plain()
    assert card.splits == {name: list(days) for name, days in SHORT.items()}
    assert sorted(path.name for path in Path("models").iterdir()) == ["ess_ppo.json", "ess_ppo.safetensors"]
    logged = EventAccumulator("logs")
    logged.Reload()
    scores = [(event.step, round(event.value, 5)) for event in logged.Scalars("validation/score")]
    assert scores == list(zip((0, 512, 1024), card.validation_scores, strict=True))
    tags = set(logged.Tags()["scalars"])
    assert {"rollout/reward", "train/policy_gradient_loss", "train/value_loss"} <= tags
    assert not {tag for tag in tags if tag.startswith("clone/")}


@pytest.mark.usefixtures("_shortly")
def test_scalars_without_tensorboard(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert main(["train", "ess", "--kind", "ppo", "--settings", "tiny.json", "--log-dir", "logs"]) == 2
    assert "error: logs of scalars need TensorBoard: pip install 'vpp-sim[train]'" in capsys.readouterr().err
    assert not Path("logs").exists()
    assert not Path("results").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("_shortly")
@pytest.mark.parametrize("kind", ["ppo", "dqn"])
@pytest.mark.parametrize("count", [7, 12])
def test_a_training_that_is_cut_off_ends_in_the_same_bytes(
    kind: str, count: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--settings", "tiny.json", "--train-until", "2016-09-10", "--validate-until", "2016-09-20")
    card = trained(*asked, "--log-dir", "logs", out="whole", kind=kind)
    assert card.command == f"vpp-sim train ess --kind {kind} --seed 3 {' '.join(asked)}"
    assert card.splits["test"] == ["2016-09-21", "2016-10-07"]
    assert set(card.metrics) == {"validation", "test"}
    logged = EventAccumulator("logs")
    logged.Reload()
    assert [event.step for event in logged.Scalars("clone/validation_score")] == list(range(1, 11))
    keep, kept = Checkpoint.keep, 0

    def keep_and_stop(self: Checkpoint, state: dict[str, object]) -> None:
        nonlocal kept
        keep(self, state)
        kept += 1
        if kept == count:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "keep", keep_and_stop)
        assert main(["train", "ess", "--kind", kind, "--seed", "3", *asked, "--out", "cut"]) == 130
    assert [path.name for path in Path("cut").iterdir()] == [f"ess_{kind}.checkpoint"]
    assert main(["train", "ess", "--kind", kind, "--seed", "4", *asked, "--out", "cut"]) == 2
    assert "is the checkpoint of another training; remove it or choose another folder" in capsys.readouterr().err
    again = trained(*asked, out="cut", kind=kind)
    assert sorted(path.name for path in Path("cut").iterdir()) == [f"ess_{kind}.json", f"ess_{kind}.safetensors"]
    assert again.weights_sha256 == card.weights_sha256
    assert again.validation_scores == card.validation_scores
    name = f"ess_{kind}.safetensors"
    assert (Path("cut") / name).read_bytes() == (Path("whole") / name).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("_shortly")
def test_a_search_finds_settings_that_a_training_takes(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tune", "ess", "--kind", "ppo", "--settings", "tiny.json", "--out", "found", "--trials"]
    assert main([*command, "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(Path("found", "ess_ppo_settings.json"))
    assert sorted(path.name for path in Path("found").iterdir()) == ["ess_ppo_search.sqlite3", "ess_ppo_settings.json"]
    best = json.loads(Path(lines[-1]).read_text())
    assert best["clone_steps"] == TINY["clone_steps"]
    assert main([*command, "3", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines() == [lines[-1]]
    best = json.loads(Path(lines[-1]).read_text())
    card = trained("--settings", lines[-1])
    assert card.learning == best
    assert main([*command, "3", "--train-until", "2016-09-10"]) == 2
    assert "ess_ppo_search.sqlite3 is the study of another search" in capsys.readouterr().err
