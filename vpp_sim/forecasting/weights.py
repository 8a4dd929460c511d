"""Model cards, and weights that are refused when they differ from their card.

A model is two files side by side: ``<target>_<kind>.safetensors`` holds tensors and nothing that could run, and
``<target>_<kind>.json`` says what they are, what made them, and how well they do.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from vpp_sim.errors import DataError
from vpp_sim.forecasting.network import NetworkConfig
from vpp_sim.forecasting.protocol import require_target

__all__ = ["PRETRAINED", "ModelCard", "load_weights", "pack_weights", "read_card", "round_weights", "save_model"]

logger = logging.getLogger(__name__)

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""Where the shipped models lie."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a trained forecaster is, what made it, and how well it does.

    Attributes
    ----------
    kind, target : str
        Registry name of the forecaster, and what it forecasts.
    command : str
        What makes these weights again.
    seed : int
        Seed of the training.
    source, data_digest : str
        Home source, and the digest of its data.
    homes : tuple of str
        Homes trained and measured on.
    splits : mapping of str to list of str
        Name to first and last day (inclusive) of the targets.
    network, fitting : mapping
        Sizes, and how it was trained.
    best_epoch : int
        Round kept.
    validation_losses : list of float
        Validation loss after each round.
    metrics : mapping
        Split, then group (``homes``: mean over homes; ``portfolio``: their sum), then model, then measure.
    training_s : float
        Wall time of the fitting [s].
    training_cpu_s : float
        Processor time of the fitting, on one thread [s].
    versions : mapping of str to str
        Of the libraries that made it.
    parameters : int
        Count of weights.
    weights_sha256 : str
        Digest of the weights file.
    limits : str
        What the model was not made for.
    """

    kind: str
    target: str
    command: str
    seed: int
    source: str
    data_digest: str
    homes: tuple[str, ...]
    splits: Mapping[str, list[str]]
    network: Mapping[str, Any]
    fitting: Mapping[str, Any]
    best_epoch: int
    validation_losses: list[float]
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
        return f"{self.target}_{self.kind}"


def round_weights(network: torch.nn.Module) -> None:
    """Round weights to half precision in place, as they are stored, so that what is measured is what is shipped."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())


def pack_weights(network: torch.nn.Module) -> bytes:
    """Return the weights as safetensors in half precision; equal weights give equal bytes."""
    state = {name: tensor.detach().half().contiguous() for name, tensor in network.state_dict().items()}
    packed: bytes = save(state)
    return packed


def save_model(packed: bytes, card: ModelCard, folder: Path) -> None:
    """Write weights and card side by side into `folder`, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{card.stem}.safetensors").write_bytes(packed)
    (folder / f"{card.stem}.json").write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    logger.info("wrote %s to %s", card.stem, folder)


def read_card(kind: str, target: str, folder: Path = PRETRAINED) -> ModelCard:
    """Return the card of a model.

    Raises
    ------
    DataError
        If there is no such card, or its fields are not those of a card.
    """
    require_target(target)
    path = folder / f"{target}_{kind}.json"
    if not path.is_file():
        raise DataError(f"no trained {kind} for {target!r}: {path} does not exist")
    content = json.loads(path.read_text(encoding="utf-8"))
    expected, found = {field.name for field in fields(ModelCard)}, set(content)
    if expected != found:
        raise DataError(f"{path} is no model card; fields that differ: {', '.join(sorted(expected ^ found))}")
    return ModelCard(**{**content, "homes": tuple(content["homes"])})


def load_weights(kind: str, target: str, folder: Path = PRETRAINED) -> tuple[NetworkConfig, dict[str, Tensor]]:
    """Return config and weights of a model, in single precision.

    Raises
    ------
    DataError
        If a file is missing, or the digest of the weights is not the card's.
    """
    card = read_card(kind, target, folder)
    path = folder / f"{card.stem}.safetensors"
    if not path.is_file():
        raise DataError(f"no trained {kind} for {target!r}: {path} does not exist")
    packed = path.read_bytes()
    digest = hashlib.sha256(packed).hexdigest()
    if digest != card.weights_sha256:
        raise DataError(f"{path} has digest {digest[:12]}, its card says {card.weights_sha256[:12]}")
    config = NetworkConfig(**{**card.network, "levels": tuple(card.network["levels"])})
    return config, {name: tensor.float() for name, tensor in load(packed).items()}
