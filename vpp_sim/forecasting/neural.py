"""Trained networks behind the forecaster protocol: arrays in, quantiles out, the same bits every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.fitting import single_thread
from vpp_sim.forecasting.network import NetworkConfig, QuantileNetwork, WindowBatch
from vpp_sim.forecasting.protocol import ForecastInputs, require_inputs
from vpp_sim.forecasting.weights import PRETRAINED, ModelCard, load_weights, read_card
from vpp_sim.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NeuralForecaster"]

ROWS_AT_ONCE = 4096
"""Series in one pass, which bounds memory for large fleets."""


class NeuralForecaster:
    """A quantile network as a forecaster; :mod:`lstm` and :mod:`transformer` name the core.

    Parameters
    ----------
    network : QuantileNetwork
        Trained; it is put into evaluation mode.
    card : ModelCard, optional
        How it was trained.
    """

    kind: ClassVar[str]
    step_s: int = SECONDS_PER_HOUR

    def __init__(self, network: QuantileNetwork, card: ModelCard | None = None) -> None:
        self.network, self.card = network.eval(), card
        self.context_steps = network.config.context_steps
        self.horizon_steps = network.config.horizon_steps
        self.levels = network.config.levels

    @staticmethod
    def build(config: NetworkConfig) -> QuantileNetwork:
        """Return an untrained network; each kind has its own core."""
        raise DataError(f"no core for {config.core!r}")

    @classmethod
    def open(cls, target: str, step_s: int = SECONDS_PER_HOUR) -> Self:
        """Return the shipped model for `target`.

        Raises
        ------
        DataError
            If the target is unknown, steps are not hours, or the weights differ from their card.
        """
        if step_s != SECONDS_PER_HOUR:
            raise DataError(f"the {cls.kind} forecaster is trained on steps of {SECONDS_PER_HOUR} s, not {step_s} s")
        return cls.from_pretrained(target)

    @classmethod
    def from_pretrained(cls, target: str, folder: Path = PRETRAINED) -> Self:
        """Return the model that `folder` holds for `target`, checked against its card."""
        config, state = load_weights(cls.kind, target, folder)
        network = cls.build(config)
        network.load_state_dict(state)
        return cls(network, read_card(cls.kind, target, folder))

    def predict(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles (n, H, Q) [unit of the history]; see :class:`~vpp_sim.forecasting.protocol.Forecaster`."""
        require_inputs(inputs, context_steps=self.context_steps, horizon_steps=self.horizon_steps)
        history = _tensor(inputs.history_kw)
        shape = (len(history), self.horizon_steps, len(self.levels))
        out: FloatArray = np.empty(shape, dtype=np.float64)
        with single_thread(), torch.inference_mode():
            for first in range(0, len(history), ROWS_AT_ONCE):
                rows = slice(first, first + ROWS_AT_ONCE)
                out[rows] = self.network(_batch(history[rows], inputs)).numpy()
        return np.maximum(out, 0.0, out=out)


def _tensor(values: FloatArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _batch(history: Tensor, inputs: ForecastInputs) -> WindowBatch:
    """Return the batch of some rows; weather and calendar are common to them."""
    rows = len(history)
    return WindowBatch(
        history=history,
        weather=_tensor(inputs.weather).expand(rows, -1, -1),
        hour=_tensor(inputs.hour).expand(rows, -1),
        day_of_week=torch.from_numpy(np.array(inputs.day_of_week, dtype=np.int64)).expand(rows, -1),
    )
