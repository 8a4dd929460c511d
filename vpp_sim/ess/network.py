"""A trained network as NumPy sees it: a few matrix products from features to the score of every action.

Rows are worked in blocks of one fixed size, so that the sums inside a matrix product are the same whatever else is in
the batch: a fourteenth home changes nobody's action.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vpp_sim.arrays import IntArray
from vpp_sim.errors import DataError
from vpp_sim.ess.actions import ACTION_COUNT
from vpp_sim.ess.features import FEATURE_COUNT, Float32Array

__all__ = ["ActionNetwork"]

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
