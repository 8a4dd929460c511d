"""Model cards come back as they went, and are refused when they are none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vpp_sim.errors import DataError
from vpp_sim.forecasting.card import ModelCard, read_card, write_card

CARD = ModelCard(
    kind="lstm",
    target="load",
    command="none",
    seed=2,
    source="none",
    data_digest="0" * 64,
    series=("home_1", "home_2"),
    weather="none",
    splits={"train": ["2016-08-01", "2017-04-30"]},
    task={"target": "load", "levels": [0.1, 0.5, 0.9]},
    fitting={"members": 1},
    best_round=1,
    validation_losses=[0.5, 0.75],
    metrics={"test": {"each": {"lstm": {"mae": [0.5, 0.25]}}}},
    training_s=1.5,
    training_cpu_s=1.25,
    versions={"torch": "2"},
    parameters=7,
    weights_sha256="f" * 64,
    limits="none",
)


def test_a_card_comes_back_as_it_went(tmp_path: Path) -> None:
    path = write_card(CARD, tmp_path)
    assert path == tmp_path / "load_lstm.json"
    assert read_card("lstm", "load", tmp_path) == CARD
    assert path.read_text(encoding="utf-8").endswith("}\n")


def test_each_target_and_kind_has_a_card_of_its_own(tmp_path: Path) -> None:
    for kind, target in (("lstm", "load"), ("lstm", "pv"), ("gbm", "load")):
        write_card(replace(CARD, kind=kind, target=target), tmp_path)
    assert read_card("lstm", "pv", tmp_path).stem == "pv_lstm"
    assert read_card("gbm", "load", tmp_path).kind == "gbm"


def test_a_model_that_was_never_trained_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no trained lstm for 'pv': .*pv_lstm\.json does not exist"):
        read_card("lstm", "pv", tmp_path)
    with pytest.raises(DataError, match="unknown forecast target 'wind'; allowed: load, pv, price"):
        read_card("lstm", "wind", tmp_path)


def test_a_card_with_other_fields_is_refused(tmp_path: Path) -> None:
    path = write_card(CARD, tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["colour"] = content.pop("seed")
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match="is no model card; fields that differ: colour, seed"):
        read_card("lstm", "load", tmp_path)
