"""Fit a quantile network on the training split, and stop by the validation split.

The loss is the mean pinball loss over levels [1]_, in deviations of each window's own context, so that a quiet home
counts as much as a busy one. Beside the homes, the sums of random groups of homes are trained on: a portfolio is one
more series, and its quantiles are not those of its homes added up.

Same arguments, same seed, same machine and versions: the same weights, bit by bit. Torch runs on one thread here, and
its global random state is left as it was.

References
----------
.. [1] R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46(1), 1978. https://doi.org/10.2307/1913643
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.network import NetworkConfig, QuantileNetwork, WindowBatch
from vpp_sim.forecasting.windows import SeriesTable, Split, origins

__all__ = ["SETTINGS", "FitResult", "FitSettings", "Progress", "fit", "pinball", "single_thread"]

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[int, int, float], None]
"""Called after each epoch with its number (from 1), the number of epochs, and the validation loss."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How long and how fast to learn.

    Attributes
    ----------
    epochs : int
        Rounds at most.
    windows : int
        Windows drawn in a round, with a share of group sums among them.
    batch : int
        Windows a gradient step.
    learning_rate : float
        Peak rate of AdamW; it rises over the first round and falls along a cosine.
    weight_decay : float
        Of AdamW.
    patience : int
        Rounds without a better validation loss before stopping.
    group_share : float
        Share of windows taken from sums of random groups of homes; 0 for none.
    average : float
        Decay a step of the moving average of weights that is validated and kept.
    validation_stride : int
        Steps between the origins of validation windows.
    """

    epochs: int = 6
    windows: int = 12_000
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    patience: int = 2
    group_share: float = 0.2
    average: float = 0.99
    validation_stride: int = 5


SETTINGS: dict[str, FitSettings] = {
    "load": FitSettings(epochs=7, windows=16_000, group_share=0.4),
    "pv": FitSettings(epochs=6, windows=12_000),
}
"""Settings of each target, chosen on the validation split."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """A trained network and how it got there.

    Attributes
    ----------
    network : QuantileNetwork
        With the weights of the best round, in evaluation mode.
    losses : tuple of float
        Validation loss after each round.
    best_epoch : int
        The round kept, from 1.
    """

    network: QuantileNetwork
    losses: tuple[float, ...]
    best_epoch: int


@contextmanager
def single_thread() -> Iterator[None]:
    """Run torch on one thread, so that sums have one order, and restore its threads afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pinball(quantiles: Tensor, actual: Tensor, levels: Tensor) -> Tensor:
    """Return the pinball loss of each quantile, of the shape of `quantiles`.

    Parameters
    ----------
    quantiles : Tensor, shape (..., Q)
        Forecast.
    actual : Tensor, shape (...)
        What happened.
    levels : Tensor, shape (Q,)
        Quantile levels.
    """
    miss = actual[..., None] - quantiles
    return torch.maximum(levels * miss, (levels - 1.0) * miss)


class _Windows:
    """Tensors of a table, with rows of series that may be drawn anew, and batches gathered from them."""

    def __init__(self, table: SeriesTable, config: NetworkConfig) -> None:
        self.homes = torch.tensor(table.values_kw.T, dtype=torch.float32)
        self.rows = self.homes
        self.weather = torch.tensor(table.weather, dtype=torch.float32)
        self.hour = torch.tensor(table.hour, dtype=torch.float32)
        self.day_of_week = torch.tensor(table.day_of_week, dtype=torch.int64)
        self.past = torch.arange(-config.context_steps, 0)
        self.future = torch.arange(config.horizon_steps)
        self.both = torch.cat([self.past, self.future])

    def add_groups(self, members: FloatArray) -> None:
        """Append the mean of each group, a row of `members` (G, n) being its weights over homes."""
        groups = torch.tensor(members, dtype=torch.float32) @ self.homes
        self.rows = torch.cat([self.homes, groups])

    def at(self, rows: IntArray, starts: IntArray) -> tuple[WindowBatch, Tensor]:
        """Return the batch and its targets (B, H) for pairs of row and first target step."""
        row, start = torch.from_numpy(rows)[:, None], torch.from_numpy(starts)[:, None]
        past, both = start + self.past, start + self.both
        batch = WindowBatch(self.rows[row, past], self.weather[past], self.hour[both], self.day_of_week[both])
        return batch, self.rows[row, start + self.future]


def fit(
    network: Callable[[NetworkConfig], QuantileNetwork],
    config: NetworkConfig,
    table: SeriesTable,
    *,
    train: Split,
    validation: Split,
    seed: int,
    settings: FitSettings | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Return a network trained on `train` and stopped by `validation`.

    Parameters
    ----------
    network : callable
        Makes an untrained network of a config.
    config : NetworkConfig
        Its sizes.
    table : SeriesTable
        Series of the target.
    train, validation : Split
        Ranges of target steps; they may not overlap.
    seed : int
        Of initial weights, dropout and the windows drawn.
    settings : FitSettings, optional
        How long and how fast.
    progress : callable, optional
        See :data:`Progress`.

    Raises
    ------
    DataError
        If the splits overlap or are too short for a window.
    """
    if train.start < validation.stop and validation.start < train.stop:
        raise DataError(f"splits {train.name!r} and {validation.name!r} overlap")
    chosen = settings or FitSettings()
    with single_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _Fit(network(config), table, train, validation, np.random.default_rng(seed), chosen).run(progress)


class _Fit:
    """The state of one training: network, its averaged copy, optimiser and data."""

    def __init__(
        self,
        network: QuantileNetwork,
        table: SeriesTable,
        train: Split,
        validation: Split,
        rng: np.random.Generator,
        settings: FitSettings,
    ) -> None:
        self.network, self.averaged = network, copy.deepcopy(network).eval()
        self.rng, self.settings = rng, settings
        config = network.config
        self.levels = torch.tensor(config.levels)
        self.windows = _Windows(table, config)
        reach = {"context_steps": config.context_steps, "horizon_steps": config.horizon_steps}
        self.starts = origins(train, **reach)
        self.checks = origins(validation, **reach, stride=settings.validation_stride)
        self.steps_a_round = -(-settings.windows // settings.batch)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=settings.learning_rate,
            total_steps=settings.epochs * self.steps_a_round,
            pct_start=1.0 / (settings.epochs + 1),
        )

    def run(self, progress: Progress | None) -> FitResult:
        """Train until the rounds or the patience end, and return the best averaged weights."""
        losses: list[float] = []
        best, best_epoch = copy.deepcopy(self.averaged.state_dict()), 0
        for epoch in range(1, self.settings.epochs + 1):
            self.round()
            losses.append(self.validate())
            logger.info("epoch %d of %d: validation loss %.5f", epoch, self.settings.epochs, losses[-1])
            if progress is not None:
                progress(epoch, self.settings.epochs, losses[-1])
            if losses[-1] < min(losses[:-1], default=float("inf")):
                best, best_epoch = copy.deepcopy(self.averaged.state_dict()), epoch
            elif epoch - best_epoch >= self.settings.patience:
                break
        self.averaged.load_state_dict(best)
        return FitResult(self.averaged, tuple(losses), best_epoch)

    def round(self) -> None:
        """Draw groups and windows, and take one gradient step a batch."""
        rows, starts = self.draw()
        self.network.train()
        for first in range(0, len(rows), self.settings.batch):
            piece = slice(first, first + self.settings.batch)
            self.step(*self.windows.at(rows[piece], starts[piece]))

    def draw(self) -> tuple[IntArray, IntArray]:
        """Return rows and first target steps of the windows of a round; redraw the groups behind the group rows."""
        homes = self.windows.homes.shape[0]
        self.windows.add_groups(_random_groups(self.rng, homes))
        count = self.settings.windows
        grouped = self.rng.random(count) < (self.settings.group_share if homes > 1 else 0.0)
        rows = self.rng.integers(0, homes, count) + np.where(grouped, homes, 0)
        return rows, self.rng.choice(self.starts, count)

    def step(self, batch: WindowBatch, actual: Tensor) -> None:
        """Take one gradient step, and move the averaged weights towards the new ones."""
        loss = self.loss(self.network, batch, actual)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        with torch.no_grad():
            for kept, new in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(new, 1.0 - self.settings.average)

    def loss(self, network: QuantileNetwork, batch: WindowBatch, actual: Tensor) -> Tensor:
        """Return the mean pinball loss in deviations of each context."""
        mean, scale = network.statistics(batch.history)
        quantiles = network.normalised(batch, mean, scale)
        return pinball(quantiles, (actual - mean) / scale, self.levels).mean()

    def validate(self) -> float:
        """Return the loss of the averaged weights over all homes and their mean, on the validation split."""
        homes = self.windows.homes.shape[0]
        self.windows.add_groups(np.full((1, homes), 1.0 / homes))
        rows = np.repeat(np.arange(homes + (homes > 1)), len(self.checks))
        starts = np.tile(self.checks, len(rows) // len(self.checks))
        total = 0.0
        with torch.inference_mode():
            for first in range(0, len(rows), 1024):
                piece = slice(first, first + 1024)
                loss = self.loss(self.averaged, *self.windows.at(rows[piece], starts[piece]))
                total += float(loss) * len(rows[piece])
        return total / len(rows)


def _random_groups(rng: np.random.Generator, homes: int) -> FloatArray:
    """Return as many groups as homes, each row the weights of a mean over a random number of homes."""
    size = rng.integers(min(2, homes), homes + 1, homes)
    rank = rng.random((homes, homes)).argsort(axis=1)
    return (rank < size[:, None]) / size[:, None].astype(np.float64)
