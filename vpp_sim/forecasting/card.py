"""Model cards: what a trained forecaster is, what made it, and how well it does.

A card stands beside the weights, ``<target>_<kind>.json`` beside ``<target>_<kind>.safetensors``, and holds their
digest; weights that differ from it are refused when they are loaded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vpp_sim.errors import DataError
from vpp_sim.forecasting.model import PRETRAINED
from vpp_sim.forecasting.protocol import require_target

__all__ = ["ModelCard", "read_card", "write_card"]

logger = logging.getLogger(__name__)


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
        Source of the series, and the digest of its data.
    series : tuple of str
        Series trained and measured on.
    weather : str
        Which weather forecasts it was trained and measured with.
    splits : mapping of str to list of str
        Name to first and last day (inclusive) of the targets.
    task, fitting : mapping
        What is forecast, and how it was learned.
    best_round : int
        Round kept.
    validation_losses : list of float
        Validation loss after each round.
    metrics : mapping
        Split, then group (``homes``: mean over series; ``portfolio``: their sum; ``each``: lists over series), then
        model, then measure.
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
    series: tuple[str, ...]
    weather: str
    splits: Mapping[str, list[str]]
    task: Mapping[str, Any]
    fitting: Mapping[str, Any]
    best_round: int
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


def write_card(card: ModelCard, folder: Path) -> Path:
    """Write `card` into `folder`, and return its path."""
    path = folder / f"{card.stem}.json"
    path.write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    logger.info("wrote %s", path)
    return path


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
    return ModelCard(**{**content, "series": tuple(content["series"])})
