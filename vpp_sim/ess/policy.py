"""Trained policies in action: features, a few matrix products, an action for every battery.

Neither torch nor stable-baselines3 is needed to act. Rows are worked in blocks of one fixed size, so that the sums
inside a matrix product are the same whatever else is in the batch: a fourteenth home changes nobody's action.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import DataError
from vpp_sim.ess.actions import ACTION_COUNT, powers
from vpp_sim.ess.features import FEATURE_COUNT, Float32Array, storage_features
from vpp_sim.ess.protocol import StorageObservation, horizon_steps, require_observation

__all__ = ["PRETRAINED", "ActionNetwork", "DqnController", "PolicyController", "PpoController", "load_network"]

PRETRAINED = Path(__file__).resolve().parent.parent / "pretrained"
"""Where shipped policies lie."""

_BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class ActionNetwork:
    """A multilayer perceptron with rectifiers, whose greatest output names the action.

    Attributes
    ----------
    weights : tuple of ndarray of float32
        One a layer, shape (inputs, outputs).
    biases : tuple of ndarray of float32
        One a layer, shape (outputs,).

    Raises
    ------
    DataError
        If the layers do not lead from features to actions.
    """

    weights: tuple[Float32Array, ...]
    biases: tuple[Float32Array, ...]

    def __post_init__(self) -> None:
        sizes = [FEATURE_COUNT, *(len(bias) for bias in self.biases)]
        shapes = [weight.shape for weight in self.weights]
        if shapes != list(pairwise(sizes)) or sizes[-1] != ACTION_COUNT:
            raise DataError(f"layers {shapes} do not lead from {FEATURE_COUNT} features to {ACTION_COUNT} actions")

    def scores(self, features: Float32Array) -> Float32Array:
        """Return the score of every action, shape (n, 10), the same for a row in any batch."""
        n = len(features)
        blocks = -(-n // _BLOCK)
        padded = np.zeros((blocks * _BLOCK, FEATURE_COUNT), dtype=np.float32)
        padded[:n] = features
        signal = padded.reshape(blocks, _BLOCK, FEATURE_COUNT)
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            signal = signal @ weight
            signal += bias
            if i + 1 < len(self.weights):
                np.maximum(signal, 0.0, out=signal)
        return signal.reshape(blocks * _BLOCK, ACTION_COUNT)[:n]

    def actions(self, features: Float32Array) -> IntArray:
        """Return the best action of each row, shape (n,); the first of equals."""
        best: IntArray = np.argmax(self.scores(features), axis=1)
        return best


def load_network(path: Path) -> ActionNetwork:
    """Return the network in a safetensors file, checked against the card beside it.

    Raises
    ------
    DataError
        If a file is missing, or the weights are not those that the card describes.
    """
    from safetensors.numpy import load

    card_path = path.with_suffix(".json")
    for wanted in (path, card_path):
        if not wanted.is_file():
            raise DataError(f"there is no policy file {wanted}; train one with: vpp-sim train ess")
    raw = path.read_bytes()
    promised = json.loads(card_path.read_text(encoding="utf-8")).get("weights_sha256")
    if sha256(raw).hexdigest() != promised:
        raise DataError(f"{path} does not hold the weights that {card_path.name} describes")
    tensors = load(raw)
    layers = range(len(tensors) // 2)
    return ActionNetwork(
        tuple(np.ascontiguousarray(tensors[f"weight_{i}"]) for i in layers),
        tuple(tensors[f"bias_{i}"] for i in layers),
    )


class PolicyController:
    """Acts by a network on all batteries in one batch.

    Parameters
    ----------
    network : ActionNetwork
        The trained network.
    """

    needs_truth = False
    file_name: ClassVar[str]

    def __init__(self, network: ActionNetwork) -> None:
        self.network = network

    @classmethod
    def open(cls, step_s: int, path: Path | None = None) -> Self:
        """Return the shipped policy, or the one at `path`, for steps of `step_s` seconds.

        Raises
        ------
        PhysicsError
            If an hour is no whole number of steps.
        DataError
            If the policy is missing or is not what its card describes.
        """
        horizon_steps(step_s / 3600)
        return cls(load_network(path or PRETRAINED / cls.file_name))

    def act(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return the powers of the best action of each battery, each of shape (n,) [kW].

        Raises
        ------
        PhysicsError
            If the observation does not fit the fleet or is not finite.
        """
        require_observation(fleet, observation)
        seen = storage_features(
            fleet,
            observation.soc_kwh,
            observation.net_kw,
            observation.buy_eur_per_kwh,
            observation.sell_eur_per_kwh,
            observation.hour,
            observation.step_h,
        )
        action = self.network.actions(seen)
        return powers(fleet, observation.soc_kwh, observation.net_kw[:, 0], action, observation.step_h)


class DqnController(PolicyController):
    """A deep Q-network (V. Mnih et al., Nature 518:529, 2015, https://doi.org/10.1038/nature14236)."""

    file_name = "ess_dqn.safetensors"


class PpoController(PolicyController):
    """Proximal policy optimisation (J. Schulman et al., 2017, https://arxiv.org/abs/1707.06347), acting greedily."""

    file_name = "ess_ppo.safetensors"
