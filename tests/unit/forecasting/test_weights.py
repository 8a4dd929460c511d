"""Weights travel with their card, and are refused without it."""

import json
from dataclasses import asdict, replace
from hashlib import sha256

import pytest
import torch

from vpp_sim.errors import DataError
from vpp_sim.forecasting.lstm import LstmForecaster, lstm_network
from vpp_sim.forecasting.network import NetworkConfig
from vpp_sim.forecasting.weights import ModelCard, load_weights, pack_weights, read_card, round_weights, save_model

CONFIG = NetworkConfig(core="lstm", width=8, layers=1)


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        made = lstm_network(CONFIG)
    round_weights(made)
    return made


@pytest.fixture
def saved(network, tmp_path):
    packed = pack_weights(network)
    card = ModelCard(
        kind="lstm",
        target="load",
        command="none",
        seed=2,
        source="none",
        data_digest="0" * 64,
        homes=("home_1",),
        splits={},
        network=asdict(CONFIG),
        fitting={},
        best_epoch=1,
        validation_losses=[0.5],
        metrics={},
        training_s=0.0,
        training_cpu_s=0.0,
        versions={},
        parameters=sum(weight.numel() for weight in network.parameters()),
        weights_sha256=sha256(packed).hexdigest(),
        limits="none",
    )
    save_model(packed, card, tmp_path)
    return tmp_path, card


def test_card_and_weights_come_back_as_they_went(saved, network) -> None:
    folder, card = saved
    assert read_card("lstm", "load", folder) == replace(card, network=json.loads(json.dumps(card.network)))
    config, state = load_weights("lstm", "load", folder)
    assert config == CONFIG
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert LstmForecaster.from_pretrained("load", folder).levels == CONFIG.levels


def test_weights_with_a_flipped_bit_are_refused(saved) -> None:
    folder, card = saved
    path = folder / "load_lstm.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(bytes(damaged))
    with pytest.raises(DataError, match=f"has digest .*, its card says {card.weights_sha256[:12]}"):
        load_weights("lstm", "load", folder)


def test_a_model_that_was_never_trained_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match=r"no trained lstm for 'pv': .*pv_lstm\.json does not exist"):
        read_card("lstm", "pv", tmp_path)


def test_weights_that_are_missing_beside_their_card_are_named(saved) -> None:
    folder, _ = saved
    (folder / "load_lstm.safetensors").unlink()
    with pytest.raises(DataError, match=r"load_lstm\.safetensors does not exist"):
        load_weights("lstm", "load", folder)


def test_a_card_with_other_fields_is_refused(saved) -> None:
    folder, _ = saved
    path = folder / "load_lstm.json"
    content = json.loads(path.read_text())
    content["colour"] = content.pop("seed")
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="is no model card; fields that differ: colour, seed"):
        read_card("lstm", "load", folder)


def test_other_steps_than_hours_are_refused() -> None:
    with pytest.raises(DataError, match="trained on steps of 3600 s, not 900 s"):
        LstmForecaster.open("load", step_s=900)
