"""Policy cards, and weights that are refused when they differ from their card.

A policy is two files side by side: ``ess_<kind>.safetensors`` holds tensors and nothing that could run, and
``ess_<kind>.json`` says what made them, from which data, and how well they do.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from vpp_sim.errors import DataError
from vpp_sim.ess.network import ActionNetwork

__all__ = ["PRETRAINED", "PolicyCard", "load_policy", "pack_policy", "read_policy_card", "save_policy"]

_log = logging.getLogger(__name__)

PRETRAINED = Path(__file__).resolve().parent.parent / "pretrained"
"""Where shipped policies lie."""


@dataclass(frozen=True, slots=True)
class PolicyCard:
    """What a trained policy is, what made it, and how well it does.

    Attributes
    ----------
    kind : str
        Registry name of the controller.
    command : str
        What makes these weights again.
    seed : int
        Seed of the training.
    source, data_digest, prices, prices_digest : str
        Home source and price source, and the digests of their data.
    homes : tuple of str
        Homes trained and measured on.
    battery : mapping
        The reference battery.
    splits : mapping of str to list of str
        Name to first and last day, both inclusive.
    learning : mapping
        How it was trained.
    validation_scores : list of float
        Mean share of the best possible saving over the tariffs: after cloning, then during reinforcement learning.
    metrics : mapping
        Split, then tariff: what hindsight could save [EUR per home], then controller to its share of that.
    training_s, training_cpu_s : float
        Wall and processor time of the training [s].
    versions : mapping of str to str
        Of the libraries that made it.
    parameters : int
        Count of weights.
    weights_sha256 : str
        Digest of the weights file.
    limits : str
        What the policy was not made for.
    """

    kind: str
    command: str
    seed: int
    source: str
    data_digest: str
    prices: str
    prices_digest: str
    homes: tuple[str, ...]
    battery: Mapping[str, float]
    splits: Mapping[str, list[str]]
    learning: Mapping[str, Any]
    validation_scores: list[float]
    metrics: Mapping[str, Any]
    training_s: float
    training_cpu_s: float
    versions: Mapping[str, str]
    parameters: int
    weights_sha256: str
    limits: str

    @property
    def stem(self) -> str:
        """File name without its ending."""
        return f"ess_{self.kind}"


def pack_policy(network: ActionNetwork) -> bytes:
    """Return a network as safetensors; equal weights give equal bytes."""
    tensors = {f"weight_{i}": np.ascontiguousarray(weight) for i, weight in enumerate(network.weights)}
    packed: bytes = save({**tensors, **{f"bias_{i}": bias for i, bias in enumerate(network.biases)}})
    return packed


def save_policy(packed: bytes, card: PolicyCard, folder: Path) -> None:
    """Write weights and card side by side into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{card.stem}.safetensors").write_bytes(packed)
    (folder / f"{card.stem}.json").write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    _log.info("wrote %s to %s", card.stem, folder)


def read_policy_card(kind: str, folder: Path = PRETRAINED) -> PolicyCard:
    """Return the card of a policy.

    Raises
    ------
    DataError
        If there is no such card, or its fields are not those of a card.
    """
    path = folder / f"ess_{kind}.json"
    if not path.is_file():
        raise DataError(f"no trained {kind} storage policy: {path} does not exist")
    content = json.loads(path.read_text(encoding="utf-8"))
    expected, found = {field.name for field in fields(PolicyCard)}, set(content)
    if expected != found:
        raise DataError(f"{path} is no policy card; fields that differ: {', '.join(sorted(expected ^ found))}")
    return PolicyCard(**{**content, "homes": tuple(content["homes"])})


def load_policy(kind: str, folder: Path = PRETRAINED) -> ActionNetwork:
    """Return the network of a policy.

    Raises
    ------
    DataError
        If a file is missing, the digest of the weights is not the card's, or the layers do not fit the observation.
    """
    card = read_policy_card(kind, folder)
    path = folder / f"{card.stem}.safetensors"
    if not path.is_file():
        raise DataError(f"no trained {kind} storage policy: {path} does not exist")
    packed = path.read_bytes()
    digest = sha256(packed).hexdigest()
    if digest != card.weights_sha256:
        raise DataError(f"{path} has digest {digest[:12]}, its card says {card.weights_sha256[:12]}")
    tensors = load(packed)
    layers = range(len(tensors) // 2)
    return ActionNetwork(
        tuple(np.ascontiguousarray(tensors[f"weight_{i}"]) for i in layers),
        tuple(tensors[f"bias_{i}"] for i in layers),
    )
