"""The models that a scenario names: shipped, from a folder of one's own, or not there; and what their cards expect."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.scenarios import light_scenario
from vpp_sim.agents.inputs import open_models
from vpp_sim.errors import DataError
from vpp_sim.forecasting.model import PRETRAINED


def folder_of(tmp_path: Path, kind: str = "lstm", target: str = "load") -> Path:
    """Return a folder with a copy of a shipped model."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for ending in ("json", "safetensors"):
        shutil.copy(PRETRAINED / f"{target}_{kind}.{ending}", folder)
    return folder


def test_a_model_of_ones_own_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    card = json.loads((folder / "load_lstm.json").read_text())
    (folder / "load_lstm.json").write_text(json.dumps({**card, "command": "made at home"}))
    models = open_models(light_scenario(forecasting__demand={"kind": "lstm", "model": str(folder)}))
    assert models.cards["demand"]["command"] == "made at home"
    assert set(models.cards) == {"demand"}
    assert "each" not in models.cards["demand"]["metrics"]["test"]


@pytest.mark.parametrize("role", ["demand", "solar"])
def test_a_folder_without_the_model_says_how_to_make_one(tmp_path: Path, role: str) -> None:
    target = {"demand": "load", "solar": "pv"}[role]
    scenario = light_scenario(**{f"forecasting__{role}": {"kind": "transformer", "model": str(folder_of(tmp_path))}})
    expected = (
        f"forecasting.{role}.model = {tmp_path}/mine holds no trained transformer for {target}; make one with "
        f"'vpp-sim train forecaster --kind transformer --target {target} --out FOLDER' and name the folder in "
        f"forecasting.{role}.model"
    )
    with pytest.raises(DataError, match=f"^{re.escape(expected)}$"):
        open_models(scenario)


def test_a_kind_that_does_not_ship_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("vpp_sim.agents.inputs.PRETRAINED", tmp_path)
    with pytest.raises(DataError, match=r"^there ships no trained lstm for load; make one with 'vpp-sim train"):
        open_models(light_scenario(forecasting__demand__kind="lstm"))


def test_weights_without_their_card_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    (folder / "load_lstm.json").unlink()
    with pytest.raises(DataError, match=r"load_lstm\.json does not exist"):
        open_models(light_scenario(forecasting__demand={"kind": "lstm", "model": str(folder)}))


def test_what_learns_nothing_takes_no_model(tmp_path: Path) -> None:
    scenario = light_scenario(forecasting__demand={"kind": "persistence", "model": str(tmp_path)})
    with pytest.raises(DataError, match=rf"model = {tmp_path}: persistence takes no trained model"):
        open_models(scenario)


def test_expected_errors_are_those_of_the_card() -> None:
    models = open_models(light_scenario(forecasting__demand__kind="lstm", forecasting__solar__kind="lstm"))
    stated = json.loads((PRETRAINED / "load_lstm.json").read_text())
    each = stated["metrics"]["test"]["each"]["lstm"]["mae"]
    found = models.reference_errors("demand", ("homes/home_2", "homes/home_99"))
    np.testing.assert_array_equal(found, [each[stated["series"].index("home_2")], np.nan, np.nan])
    all_homes = tuple(f"flats/{name}" for name in reversed(stated["series"]))
    found = models.reference_errors("demand", all_homes)
    assert found is not None
    np.testing.assert_array_equal(found, [*reversed(each), stated["metrics"]["test"]["portfolio"]["lstm"]["mae"]])
    sun = models.reference_errors("solar", all_homes)
    assert sun is not None
    assert np.isnan(sun).tolist() == [False] * 13 + [True]  # its fleet is a sum of kW per kWp
    naive = open_models(light_scenario())
    assert naive.reference_errors("demand", all_homes) is None
