"""A stored forecaster is one file: what it holds, what it refuses, and what stands beside it."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.support.tiny_forecasters import NETWORKS, TRAINED, fitted, known, tiny_table
from vpp_sim.errors import DataError
from vpp_sim.forecasting.model import ForecasterBase, file_digest, model_path
from vpp_sim.forecasting.protocol import Task
from vpp_sim.registry import FORECASTERS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = model_path(tmp_path, "load", "lstm")
    fitted("lstm", "load").save(found)
    return found


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.safetensors"
    digest = fitted("linear", "load").save(path)
    assert digest == sha256(path.read_bytes()).hexdigest() == file_digest(path)


@pytest.mark.parametrize("kind", TRAINED)
def test_a_model_is_opened_by_target_and_kind(kind: str, tmp_path: Path) -> None:
    model, inputs = fitted(kind, "pv"), known(fitted(kind, "pv"), tiny_table("pv"))
    model.save(model_path(tmp_path, "pv", kind))
    opened = FORECASTERS.load(kind).open("pv", folder=tmp_path)
    assert opened.predict(inputs).tobytes() == model.predict(inputs).tobytes()


@pytest.mark.parametrize("kind", NETWORKS)
def test_weights_are_stored_in_half_precision_and_scalers_are_not(kind: str, tmp_path: Path) -> None:
    fitted(kind, "load").save(tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", framework="numpy") as file:
        kinds = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["vpp_sim"])
    assert {str(dtype) for name, dtype in kinds.items() if name.endswith((".centre", ".spread"))} == {"float32"}
    assert {str(dtype) for name, dtype in kinds.items() if not name.endswith((".centre", ".spread"))} == {"float16"}
    assert (header["kind"], header["task"]["target"]) == (kind, "load")
    # What is forecast with is what is stored: rounding again changes nothing.
    for weight in fitted(kind, "load").networks[0].parameters():
        assert bool((weight.half().float() == weight).all())


def test_a_card_beside_it_must_be_its_own(path: Path) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps({"weights_sha256": file_digest(path)}), encoding="utf-8")
    FORECASTERS.load("lstm").load(path)
    stated = file_digest(path)
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(DataError, match=f"has digest .*, its card says {stated[:12]}"):
        FORECASTERS.load("lstm").load(path)


def test_a_file_that_is_cut_short_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match=r"load_lstm\.safetensors is no stored forecaster"):
        FORECASTERS.load("lstm").load(path)


def test_tensors_of_something_else_are_refused(path: Path) -> None:
    save_file({"weights": np.zeros(3)}, path)
    with pytest.raises(DataError, match="holds a forecaster of kind None, not 'lstm'"):
        FORECASTERS.load("lstm").load(path)


def test_steps_of_another_length_are_refused(path: Path) -> None:
    with pytest.raises(DataError, match="the lstm forecaster is trained on steps of 3600 s, not 900 s"):
        FORECASTERS.load("lstm").open("load", step_s=900, folder=path.parent)
    with pytest.raises(DataError, match="trained on steps of 3600 s, not 900 s"):
        FORECASTERS.load("lstm").open("load", step_s=900)


def test_a_forecaster_without_quantiles_says_so() -> None:
    class Bare(ForecasterBase):
        kind = "bare"

    table, task = tiny_table("load"), Task("load", horizon_steps=30)
    with pytest.raises(DataError, match="Bare forecasts nothing"):
        Bare(task).predict(known(Bare(task), table))


def test_what_floors_at_zero_is_the_target_and_not_the_model() -> None:
    class Minus(ForecasterBase):
        kind = "minus"

        def quantiles(self, inputs):
            return np.full((len(inputs.history), self.task.horizon_steps, len(self.task.levels)), -1.0)

    table = tiny_table("load")
    for target, expected in (("load", 0.0), ("pv", 0.0), ("price", -1.0)):
        model = Minus(replace(Task("load", horizon_steps=30), target=target))
        assert (model.predict(known(model, table)) == expected).all()
