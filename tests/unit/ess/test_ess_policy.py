"""Networks as matrix products: what stable-baselines3 itself predicts, alike in any batch, refused when altered."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, PPO
from torch import nn

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.ess.environment import two_price_home
from vpp_sim.ess.episodes import subset
from vpp_sim.ess.evaluation import closed_loop_saving_eur, greedy_saving_eur
from vpp_sim.ess.features import FEATURE_COUNT
from vpp_sim.ess.learning import network_of
from vpp_sim.ess.network import ActionNetwork
from vpp_sim.ess.policy import DqnController, PolicyController, PpoController
from vpp_sim.ess.protocol import StorageObservation
from vpp_sim.ess.vector_environment import StorageVecEnv
from vpp_sim.ess.weights import PRETRAINED, load_policy, pack_policy, read_policy_card
from vpp_sim.training.storage import storage_trials


def _random_network(seed: int = 0) -> ActionNetwork:
    rng = np.random.default_rng(seed)
    sizes = [FEATURE_COUNT, 64, 64, 10]
    pairs = list(pairwise(sizes))
    return ActionNetwork(
        tuple(rng.normal(0, a**-0.5, (a, b)).astype(np.float32) for a, b in pairs),
        tuple(rng.normal(0, 0.1, b).astype(np.float32) for _, b in pairs),
    )


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_it_is_what_stable_baselines3_predicts(kind: str) -> None:
    env = StorageVecEnv(two_price_home(), 2)
    arch = {"net_arch": [24, 16], "activation_fn": nn.ReLU}
    make = PPO if kind == "ppo" else DQN
    extra = {"n_steps": 32, "batch_size": 64} if kind == "ppo" else {"buffer_size": 100}
    model = make("MlpPolicy", env, policy_kwargs=arch, seed=3, device="cpu", **extra)
    if kind == "ppo":
        nn.init.normal_(model.policy.action_net.weight)  # its own start is so small that all actions look alike
    features = np.random.default_rng(0).normal(size=(4000, FEATURE_COUNT)).astype(np.float32)
    predicted, _ = model.predict(features, deterministic=True)
    network = network_of("ppo" if kind == "ppo" else "dqn", model)
    assert len(set(predicted.tolist())) > 2
    scores = np.sort(network.scores(features), axis=1)
    clear = scores[:, -1] - scores[:, -2] > 1e-5
    np.testing.assert_array_equal(network.actions(features)[clear], predicted[clear])
    assert clear.mean() > 0.99


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_a_shipped_policy_is_what_stable_baselines3_predicts(kind: str) -> None:
    """Put its weights back into stable-baselines3's own model and let that act in the environment it was made for."""
    network = load_policy(kind)
    env = StorageVecEnv(storage_trials("test")["wholesale"], 200, episode_steps=48, seed=1)
    arch = {"net_arch": [len(bias) for bias in network.biases[:-1]], "activation_fn": nn.ReLU}
    model: PPO | DQN
    if kind == "ppo":
        model = PPO("MlpPolicy", env, policy_kwargs=arch, device="cpu", n_steps=8, batch_size=100)
        layers = [*model.policy.mlp_extractor.policy_net, model.policy.action_net]
    else:
        model = DQN("MlpPolicy", env, policy_kwargs=arch, device="cpu", buffer_size=200)
        layers = list(model.policy.q_net.q_net)
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for layer, weight, bias in zip(linear, network.weights, network.biases, strict=True):
        layer.weight.data, layer.bias.data = torch.from_numpy(weight.T.copy()), torch.from_numpy(bias.copy())
    seen, taken, ties = env.reset(), set(), 0
    for _ in range(100):
        predicted, _ = model.predict(seen, deterministic=True)
        scores = np.sort(network.scores(seen), axis=1)
        clear = scores[:, -1] - scores[:, -2] > 1e-4
        np.testing.assert_array_equal(network.actions(seen)[clear], predicted[clear])
        ties += int((~clear).sum())
        taken |= set(predicted.tolist())
        seen = env.step(predicted)[0]
    assert len(taken) >= 5
    assert ties < 0.01 * 100 * 200


@pytest.mark.parametrize("controller", [PpoController, DqnController])
def test_a_home_gets_the_same_power_in_a_fleet_of_any_size(controller: type[PolicyController]) -> None:
    rng, n = np.random.default_rng(8), 300
    policy, fleet = controller.open(3600), BatteryFleet(
        rng.uniform(3, 15, n), rng.uniform(1, 6, n), np.full(n, 0.95), np.full(n, 0.95), np.zeros(n), np.ones(n)
    )  # fmt: skip
    soc_kwh, net_kw = rng.random(n) * fleet.max_kwh, rng.normal(0.3, 1.5, (n, 24))
    buy = rng.uniform(0.1, 0.5, 24)

    def act(rows: np.ndarray) -> np.ndarray:
        seen = StorageObservation(soc_kwh[rows], net_kw[rows], buy, 0.2 * buy, 9.0, 1.0)
        return np.array(policy.act(subset(fleet, rows), seen))

    whole = act(np.arange(n))
    assert len(np.unique(whole.round(3))) > 50
    for rows in (np.arange(1), np.arange(13), np.arange(65), rng.permutation(n)):
        np.testing.assert_array_equal(act(rows), whole[:, rows])


def test_a_row_scores_alike_in_any_batch() -> None:
    network = _random_network()
    rows = np.random.default_rng(1).normal(size=(700, FEATURE_COUNT)).astype(np.float32)
    whole = network.scores(rows)
    order = np.random.default_rng(2).permutation(700)
    np.testing.assert_array_equal(network.scores(rows[order]), whole[order])
    for size in (1, 13, 14, 65, 300):
        np.testing.assert_array_equal(network.scores(rows[:size]), whole[:size])


def test_scores_are_those_of_the_layers_written_out() -> None:
    network = _random_network(4)
    row = np.random.default_rng(3).normal(size=FEATURE_COUNT)
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        row = row @ weight.astype(float) + bias
        row = np.maximum(row, 0) if i < 2 else row
    rows = np.random.default_rng(3).normal(size=(1, FEATURE_COUNT)).astype(np.float32)
    np.testing.assert_allclose(network.scores(rows)[0], row, rtol=1e-4, atol=1e-5)


def test_a_batch_of_trials_is_the_closed_loop() -> None:
    home, network = two_price_home(), _random_network(5)
    np.testing.assert_allclose(
        greedy_saving_eur(network, home), closed_loop_saving_eur(PolicyController(network), home), rtol=1e-12
    )


def test_layers_that_do_not_fit_are_refused() -> None:
    good = _random_network()
    with pytest.raises(DataError, match=r"do not lead from 79 features to 10 actions"):
        ActionNetwork(good.weights[:2], good.biases[:2])


@pytest.mark.parametrize("controller", [DqnController, PpoController])
class TestShipped:
    """The policies that ship with the package."""

    def test_the_card_tells_what_made_it(self, controller: type[PolicyController]) -> None:
        card = read_policy_card(controller.kind)
        assert card.command == f"vpp-sim train ess --kind {controller.kind} --seed {card.seed}"
        assert card.splits["test"][0] == "2017-06-16"
        assert len(card.homes) == 13
        assert card.parameters == sum(a.size for a in (*load_policy(card.kind).weights, *load_policy(card.kind).biases))
        for tariff in ("own", "wholesale"):
            shares = card.metrics["test"][tariff]["share_of_best"]
            assert shares["idle"] == 0.0
            assert 0.0 < shares["self_consumption"] < 1.0
            assert 0.0 < shares[controller.kind] < 1.0

    def test_it_earns_more_than_self_consumption_on_unseen_weeks(self, controller: type[PolicyController]) -> None:
        shares = read_policy_card(controller.kind).metrics["test"]["own"]["share_of_best"]
        assert shares[controller.kind] > shares["self_consumption"] + 0.05

    def test_packing_gives_the_same_bytes(self, controller: type[PolicyController]) -> None:
        raw = (PRETRAINED / f"ess_{controller.kind}.safetensors").read_bytes()
        assert pack_policy(load_policy(controller.kind)) == raw
        assert len(raw) < 500_000

    def test_altered_weights_are_refused(self, controller: type[PolicyController], tmp_path: Path) -> None:
        for ending in (".json", ".safetensors"):
            shutil.copy(PRETRAINED / f"ess_{controller.kind}{ending}", tmp_path)
        assert controller.open(900, tmp_path).needs_truth is False
        path = tmp_path / f"ess_{controller.kind}.safetensors"
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(raw)
        with pytest.raises(DataError, match="its card says"):
            controller.open(3600, tmp_path)

    def test_what_is_missing_is_named(self, controller: type[PolicyController], tmp_path: Path) -> None:
        with pytest.raises(DataError, match=f"no trained {controller.kind} storage policy"):
            controller.open(3600, tmp_path)
        shutil.copy(PRETRAINED / f"ess_{controller.kind}.json", tmp_path)
        with pytest.raises(DataError, match=r"safetensors does not exist"):
            controller.open(3600, tmp_path)
        content = json.loads((tmp_path / f"ess_{controller.kind}.json").read_text())
        content["more"] = 1
        (tmp_path / f"ess_{controller.kind}.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match="fields that differ: more"):
            controller.open(3600, tmp_path)

    def test_a_step_that_does_not_divide_the_hour_is_refused(self, controller: type[PolicyController]) -> None:
        with pytest.raises(PhysicsError, match="an hour must be a whole number of steps"):
            controller.open(step_s=1000)
