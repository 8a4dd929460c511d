"""What all forecasters share: checked inputs, quantiles that are in order, and one file that holds everything.

A stored forecaster is one ``.safetensors`` file: arrays, which cannot run, and a header with the kind, the task and the
sizes. Beside it may stand its model card; then the file must be the one that the card describes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import FitReport, Forecaster, ForecastInputs, Progress, Task, require_inputs
from vpp_sim.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vpp_sim.forecasting.windows import SeriesTable, Split

__all__ = ["PRETRAINED", "ForecasterBase", "file_digest", "model_path"]

logger = logging.getLogger(__name__)

PRETRAINED = Path(__file__).parents[1] / "pretrained"
"""Where the shipped models lie."""


class ForecasterBase(Forecaster):
    """A forecaster that learns nothing until a subclass says so.

    Subclasses give :meth:`quantiles`; those that learn also :meth:`fit`, :meth:`state` and :meth:`restore`.

    Parameters
    ----------
    task : Task
        What is forecast.
    """

    kind: ClassVar[str]
    needs_truth = False
    trained: ClassVar[bool] = False
    """Whether there is something to learn, so that it cannot be used before it was fitted."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @classmethod
    def open(cls, target: str, step_s: int = SECONDS_PER_HOUR, folder: Path = PRETRAINED) -> Self:
        """Return a forecaster of `target` that is ready to use; one that learns is read from `folder`.

        Raises
        ------
        DataError
            If the target is unknown, nothing trained for it lies in `folder`, or that is for steps of another length.
        """
        if not cls.trained:
            hours = SECONDS_PER_HOUR // step_s if step_s > 0 else 0
            return cls(Task(target, step_s, context_steps=168 * hours or 1, horizon_steps=36 * hours or 1))
        Task(target)
        model = cls.load(model_path(folder, target, cls.kind))
        if model.task.step_s != step_s:
            raise DataError(f"the {cls.kind} forecaster is trained on steps of {model.task.step_s} s, not {step_s} s")
        return model

    def fit(
        self,
        table: SeriesTable,
        *,
        train: Split,
        validation: Split,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> FitReport:
        """Learn nothing; see :class:`~vpp_sim.forecasting.protocol.Forecaster`."""
        return FitReport()

    def predict(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles (n, H, Q) [unit of the target]; see :class:`~vpp_sim.forecasting.protocol.Forecaster`."""
        require_inputs(inputs, self.task)
        quantiles = self.quantiles(inputs)
        return np.maximum(quantiles, 0.0, out=quantiles) if self.task.non_negative else quantiles

    def quantiles(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles (n, H, Q) of inputs that fit, in order, not yet floored at zero."""
        raise DataError(f"{type(self).__name__} forecasts nothing")

    def state(self) -> tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]]:
        """Return sizes (JSON) and arrays from which :meth:`restore` makes this forecaster again."""
        return {}, {}

    @classmethod
    def restore(cls, task: Task, sizes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the forecaster that `sizes` and `arrays` of :meth:`state` came from."""
        return cls(task)

    def save(self, path: Path) -> str:
        """Write the file `path`, and return its SHA-256; equal forecasters give equal bytes."""
        sizes, arrays = self.state()
        header = {"kind": self.kind, "task": asdict(self.task), "sizes": sizes}
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save(contiguous, {"vpp_sim": json.dumps(header, sort_keys=True)}))
        logger.info("wrote %s", path)
        return file_digest(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the forecaster in the file `path`, which must be the one that a card beside it describes.

        Raises
        ------
        DataError
            If there is no such file, it is no forecaster of this kind, or differs from its card.
        """
        if not path.is_file():
            raise DataError(f"no trained {cls.kind} forecaster at {path}; vpp-sim train forecaster makes one")
        _require_card(path)
        header, arrays = _read(path)
        if header.get("kind") != cls.kind:
            raise DataError(f"{path} holds a forecaster of kind {header.get('kind')!r}, not {cls.kind!r}")
        task = header["task"]
        lists = {name: tuple(task[name]) for name in ("levels", "covariates")}
        return cls.restore(Task(**{**task, **lists}), header["sizes"], arrays)


def model_path(folder: Path, target: str, kind: str) -> Path:
    """Return where the forecaster `kind` of `target` lies in `folder`; its card has the ending ``.json``."""
    return folder / f"{target}_{kind}.safetensors"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _require_card(path: Path) -> None:
    card = path.with_suffix(".json")
    if not card.is_file():
        return
    stated = json.loads(card.read_text(encoding="utf-8"))["weights_sha256"]
    if (found := file_digest(path)) != stated:
        raise DataError(f"{path} has digest {found[:12]}, its card says {stated[:12]}")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("vpp_sim", "{}"))
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DataError(f"{path} is no stored forecaster: {error}") from error
