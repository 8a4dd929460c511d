"""Fit a quantile network on the training split, and stop by the validation split.

The loss is the mean pinball loss over levels [1]_, in deviations of each window's own context, so that a quiet home
counts as much as a busy one. Beside the homes, the means of random groups of homes are trained on: a portfolio is one
more series, and its quantiles are not those of its homes added up.

Same arguments, same seed, same machine and versions: the same weights, bit by bit, also when a fit was cut off and goes
on from its checkpoint. Torch runs on one thread here, and its global random state is left as it was.

References
----------
.. [1] R. Koenker and G. Bassett, "Regression Quantiles", Econometrica 46(1), 1978. https://doi.org/10.2307/1913643
"""

from __future__ import annotations

import copy
import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.network import NetworkConfig, QuantileNetwork, WindowBatch
from vpp_sim.forecasting.protocol import Progress
from vpp_sim.forecasting.windows import SeriesTable, Split, origins, require_splits

__all__ = ["SETTINGS", "FitResult", "FitSettings", "fit", "pinball", "random_groups", "single_thread"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How long and how fast to learn.

    Attributes
    ----------
    epochs : int
        Rounds at most.
    windows : int
        Windows drawn in a round, with a share of group means among them.
    batch : int
        Windows a gradient step.
    learning_rate : float
        Peak rate of AdamW; it rises over the first round and falls along a cosine.
    weight_decay : float
        Of AdamW.
    patience : int
        Rounds without a better validation loss before stopping.
    group_share : float
        Share of windows taken from means of random groups of series; 0 for none.
    average : float
        Decay a step of the moving average of weights that is validated and kept; less in the first steps.
    validation_stride : int
        Steps between the origins of validation windows.
    median_weight : float
        Weight of the median in the loss, against one of every other level.
    head_dropout : float
        Share of the head's hidden features dropped at each step.
    refit : bool
        Whether to learn once more, from training and validation together, for the number of rounds that the validation
        chose: the latest weeks are those that are most like the coming ones.
    """

    epochs: int = 4
    windows: int = 9_600
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    patience: int = 2
    group_share: float = 0.15
    average: float = 0.99
    validation_stride: int = 5
    median_weight: float = 3.0
    head_dropout: float = 0.85
    refit: bool = True


SETTINGS: dict[str, FitSettings] = {
    "load": FitSettings(),
    "pv": FitSettings(head_dropout=0.0),
    "price": FitSettings(
        epochs=5,
        windows=25_600,
        learning_rate=2e-3,
        group_share=0.0,
        average=0.995,
        validation_stride=24,
        head_dropout=0.5,
    ),
}
"""Settings of each target, chosen on validation days."""


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
    """Tensors of a table until `stop`, with rows of series that may be drawn anew, and batches gathered from them.

    Forecasts of covariates are held for origins from `first` on.
    """

    def __init__(self, table: SeriesTable, config: NetworkConfig, first: int, stop: int) -> None:
        context, horizon = config.context_steps, config.horizon_steps
        self.homes = torch.tensor(table.values[:stop].T, dtype=torch.float32)
        self.rows = self.homes
        self.observed = torch.tensor(table.covariates[:stop], dtype=torch.float32)
        self.first = first
        self.foreseen = torch.tensor(_foreseen(table, first, stop - horizon, horizon), dtype=torch.float32)
        self.hour = torch.tensor(table.hour[:stop], dtype=torch.float32)
        self.day_of_week = torch.tensor(table.day_of_week[:stop], dtype=torch.int64)
        self.past = torch.arange(-context, 0)
        self.future = torch.arange(horizon)
        self.both = torch.cat([self.past, self.future])

    def digest(self) -> str:
        """Return the SHA-256 of the series and covariates, by which a checkpoint knows its data again."""
        found = hashlib.sha256()
        for tensor in (self.homes, self.observed, self.foreseen, self.hour, self.day_of_week):
            found.update(np.ascontiguousarray(tensor.numpy()).tobytes())
        return found.hexdigest()

    def add_groups(self, members: FloatArray) -> None:
        """Append the mean of each group, a row of `members` (G, n) being its weights over homes."""
        groups = torch.tensor(members, dtype=torch.float32) @ self.homes
        self.rows = torch.cat([self.homes, groups])

    def at(self, rows: IntArray, starts: IntArray) -> tuple[WindowBatch, Tensor]:
        """Return the batch and its targets (B, H) for pairs of row and first target step."""
        row, start = torch.from_numpy(rows)[:, None], torch.from_numpy(starts)[:, None]
        past, both = start + self.past, start + self.both
        covariates = torch.cat([self.observed[past], self.foreseen[start[:, 0] - self.first]], dim=1)
        batch = WindowBatch(self.rows[row, past], covariates, self.hour[both], self.day_of_week[both])
        return batch, self.rows[row, start + self.future]


def _foreseen(table: SeriesTable, first: int, last: int, horizon: int) -> FloatArray:
    """Return the covariates as forecast at each origin from `first` to `last`, (N, H, C)."""
    steps = np.arange(first, last + 1, dtype=np.int64)
    return table.issued.all_known_at(steps, horizon)


def fit(
    network: Callable[[NetworkConfig], QuantileNetwork],
    config: NetworkConfig,
    table: SeriesTable,
    *,
    train: Split,
    validation: Split,
    seed: int,
    settings: FitSettings,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
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
        Ranges of target steps; the second begins after the first ends.
    seed : int
        Of initial weights, dropout and the windows drawn.
    settings : FitSettings
        How long and how fast.
    progress : callable, optional
        See :data:`~vpp_sim.forecasting.protocol.Progress`.
    checkpoint : path, optional
        File that holds the state after each round; a fit that finds it goes on from there. The caller removes it.

    Raises
    ------
    DataError
        If the splits overlap or are too short for a window, or the checkpoint is of another fit.
    """
    require_splits(train, validation)
    key = repr((config, settings, seed, train, validation))
    both = Split("train and validation", train.start, validation.stop)

    def begun(split: Split) -> _Fit:
        torch.manual_seed(seed)
        made = network(config)
        made.fit_scaler(table.covariates[split.start : split.stop])
        return _Fit(made, table, split, validation, np.random.default_rng(seed), settings, f"{split.name}: {key}")

    with single_thread(), torch.random.fork_rng(devices=[]):
        chosen = begun(train).run(settings.epochs, progress, _beside(checkpoint, "chosen"))
        if not settings.refit:
            return chosen
        again = begun(both).run(chosen.best_epoch, None, _beside(checkpoint, "again"), choose=False)
        return FitResult(again.network, chosen.losses, chosen.best_epoch)


def _beside(checkpoint: Path | None, part: str) -> Path | None:
    return None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}.{part}")


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
        key: str,
    ) -> None:
        self.network, self.averaged = network, copy.deepcopy(network).eval()
        self.rng, self.settings = rng, settings
        config = network.config
        self.levels = torch.tensor(config.levels)
        weights = torch.where(self.levels == 0.5, settings.median_weight, 1.0)
        self.weights = weights / weights.mean()
        reach = {"context_steps": config.context_steps, "horizon_steps": config.horizon_steps}
        self.starts = origins(train, **reach)
        self.checks = origins(validation, **reach, stride=settings.validation_stride)
        self.windows = _Windows(table, config, int(self.starts[0]), validation.stop)
        self.key = f"{key}, {self.windows.digest()}"
        self.steps_a_round = -(-settings.windows // settings.batch)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=settings.learning_rate,
            total_steps=settings.epochs * self.steps_a_round,
            pct_start=1.0 / (settings.epochs + 1),
        )
        self.steps = 0
        self.losses: list[float] = []
        self.best, self.best_epoch = copy.deepcopy(self.averaged.state_dict()), 0

    def run(self, rounds: int, progress: Progress | None, checkpoint: Path | None, *, choose: bool = True) -> FitResult:
        """Train for `rounds`, and return the averaged weights: the best, unless there is nothing to `choose` by."""
        if checkpoint is not None and checkpoint.is_file():
            self.resume(checkpoint)
        while not (self.finished if choose else len(self.losses) == rounds):
            self.round()
            self.losses.append(self.validate() if choose else float("nan"))
            done = len(self.losses)
            logger.info("epoch %d of %d: validation loss %.5f", done, rounds, self.losses[-1])
            if not choose or self.losses[-1] < min(self.losses[:-1], default=float("inf")):
                self.best, self.best_epoch = copy.deepcopy(self.averaged.state_dict()), done
            if checkpoint is not None:
                self.keep(checkpoint)
            if progress is not None:
                progress(done, rounds, self.losses[-1])
        self.averaged.load_state_dict(self.best)
        return FitResult(self.averaged, tuple(self.losses), self.best_epoch)

    @property
    def finished(self) -> bool:
        """Whether the rounds or the patience have ended."""
        done = len(self.losses)
        return done >= self.settings.epochs or (done > 0 and done - self.best_epoch >= self.settings.patience)

    def state(self) -> dict[str, Any]:
        """Return everything that changes from round to round."""
        return {
            "key": self.key,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "losses": self.losses,
            "steps": self.steps,
            "torch": torch.get_rng_state(),
            "numpy": self.rng.bit_generator.state,
        }

    def keep(self, checkpoint: Path) -> None:
        """Write the state to `checkpoint`, in one move, so that a cut leaves the one before."""
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(self.state(), buffer)
        part = checkpoint.with_name(f"{checkpoint.name}.part")
        part.write_bytes(buffer.getvalue())
        part.replace(checkpoint)

    def resume(self, checkpoint: Path) -> None:
        """Read the state of `checkpoint`, which must be of this very fit."""
        found = torch.load(checkpoint, weights_only=True)
        if found["key"] != self.key:
            raise DataError(f"{checkpoint} is the checkpoint of another fit; remove it or choose another folder")
        self.network.load_state_dict(found["network"])
        self.averaged.load_state_dict(found["averaged"])
        self.optimiser.load_state_dict(found["optimiser"])
        self.schedule.load_state_dict(found["schedule"])
        self.best, self.best_epoch, self.losses = found["best"], found["best_epoch"], found["losses"]
        self.steps = found["steps"]
        torch.set_rng_state(found["torch"])
        self.rng.bit_generator.state = found["numpy"]
        logger.info("going on from %s after %d rounds", checkpoint, len(self.losses))

    def round(self) -> None:
        """Draw groups and windows, and take one gradient step a batch."""
        rows, starts = self.draw(self.settings.windows)
        self.network.train()
        for first in range(0, len(rows), self.settings.batch):
            piece = slice(first, first + self.settings.batch)
            self.step(*self.windows.at(rows[piece], starts[piece]))

    def draw(self, count: int) -> tuple[IntArray, IntArray]:
        """Return rows and first target steps of the windows of a round; redraw the groups behind the group rows."""
        homes = self.windows.homes.shape[0]
        self.windows.add_groups(random_groups(self.rng, homes))
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
            new = [weight.detach() for weight in self.network.parameters()]
            self.steps += 1
            decay = min(self.settings.average, self.steps / (9.0 + self.steps))
            torch._foreach_lerp_(list(self.averaged.parameters()), new, 1.0 - decay)

    def loss(self, network: QuantileNetwork, batch: WindowBatch, actual: Tensor) -> Tensor:
        """Return the mean pinball loss in deviations of each context."""
        mean, scale = network.statistics(batch.history)
        quantiles = network.normalised(batch, mean, scale)
        return (self.weights * pinball(quantiles, (actual - mean) / scale, self.levels)).mean()

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


def random_groups(rng: np.random.Generator, homes: int) -> FloatArray:
    """Return as many groups as homes, each row the weights of a mean over a random number of homes, (n, n)."""
    size = rng.integers(min(2, homes), homes + 1, homes)
    rank = rng.random((homes, homes)).argsort(axis=1)
    return (rank < size[:, None]) / size[:, None].astype(np.float64)
