"""A training that was cut off after a round goes on from its checkpoint, and ends in the same bytes."""

from pathlib import Path

import pytest

from vpp_sim.cli import main
from vpp_sim.forecasting import fitting
from vpp_sim.forecasting.fitting import FitSettings
from vpp_sim.registry import FORECASTERS
from vpp_sim.training import forecasters as training

TINY = FitSettings(epochs=2, windows=64, batch=32, validation_stride=97)


def test_help_names_every_forecaster_that_learns(capsys: pytest.CaptureFixture[str]) -> None:
    learn = [name for name in FORECASTERS.names if FORECASTERS.load(name).trained]
    assert main(["train", "forecaster", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(name in said for name in learn), learn
    assert main(["train", "forecaster", "--kind", "persistence", "--target", "load"]) == 2
    assert f"unknown forecaster to train 'persistence'; allowed: {', '.join(sorted(learn))}" in capsys.readouterr().err


def test_a_training_that_is_cut_off_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(fitting.SETTINGS, "load", TINY)
    monkeypatch.setattr(training, "EVALUATION_STRIDE", 211)
    command = ["train", "forecaster", "--kind", "lstm", "--target", "load", "--seed", "3", "--out"]
    assert main([*command, str(tmp_path / "whole")]) == 0
    keep, kept = fitting._Fit.keep, 0

    def keep_and_stop(self: fitting._Fit, checkpoint: Path) -> None:
        nonlocal kept
        keep(self, checkpoint)
        kept += 1
        if kept == 5:  # the first round of the second network: the first has two rounds and its refit
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting._Fit, "keep", keep_and_stop)
    assert main([*command, str(tmp_path / "cut")]) == 130
    left = sorted(path.name for path in (tmp_path / "cut").iterdir())
    assert left
    assert all(".checkpoint." in name for name in left), left
    monkeypatch.setattr(fitting._Fit, "keep", keep)
    assert main([*command, str(tmp_path / "cut")]) == 0
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["load_lstm.json", "load_lstm.safetensors"]
    name = "load_lstm.safetensors"
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    capsys.readouterr()
