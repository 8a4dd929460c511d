"""Train neuralforecast's models, forecast with them from many origins at once, and time both.

The models keep the sizes that the library publishes as defaults. They are helped where the library's
default would cost them accuracy: the weights of the best validation check are kept (the library keeps
the last), and a few settings are compared on the validation tail of the first fit.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from exchange import Exchange, Fit
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import LSTM, NHITS, VanillaTransformer

CLASSES = {"LSTM": LSTM, "VanillaTransformer": VanillaTransformer, "NHITS": NHITS}
SERIES_A_BATCH = 4096
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 0}


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen on the validation tail, and what bounds the time; all else is the library's default.

    Attributes
    ----------
    windows : int
        Training windows in a step (``windows_batch_size``).
    check_every : int
        Training steps between validation checks; training stops after `patience` checks without gain.
    """

    scaler: str
    learning_rate: float
    max_steps: int
    windows: int
    check_every: int = 50
    patience: int = 4


# Windows a step: the LSTM's default (128); for NHITS 256, one of the values the library's own search tries; the
# Transformer's 1024 would take half a minute a step on one core, so 32, the batch of the paper that the library's
# Transformer follows (Zhou et al. 2021, arXiv:2012.07436).
CANDIDATES: dict[str, tuple[Settings, ...]] = {
    "LSTM": (
        Settings("robust", 1e-3, 500, windows=128),
        Settings("standard", 1e-3, 500, windows=128),
        Settings("standard", 3e-3, 500, windows=128),
    ),
    "VanillaTransformer": (
        Settings("standard", 1e-3, 500, windows=32),
        Settings("standard", 3e-4, 500, windows=32),
    ),
    "NHITS": (
        Settings("robust", 1e-3, 1000, windows=256),
        Settings("standard", 1e-3, 1000, windows=256),
        Settings("standard", 3e-4, 1000, windows=256),
    ),
}


class KeepBest(pl.Callback):
    """Keep the weights of the best validation check in memory and put them back when training ends.

    A check looks at windows `stride_h` apart, the first at the start of the validation tail: the origins of
    the evaluation itself, and a stride-th of the time that the library's every-hour windows would take.
    """

    def __init__(self, stride_h: int) -> None:
        super().__init__()
        self.stride_h = stride_h
        self.best_loss, self.best_step, self.steps = float("inf"), 0, 0
        self.validation_s = 0.0
        self._weights: dict[str, torch.Tensor] = {}
        self._began_s = 0.0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note when a check begins, and widen the stride of its windows."""
        pl_module.step_size = self.stride_h
        self._began_s = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if this check is the best so far; training goes back to windows at every hour."""
        pl_module.step_size = 1
        self.validation_s += time.perf_counter() - self._began_s
        loss = float(trainer.callback_metrics["ptl/val_loss"])
        if loss < self.best_loss:
            self.best_loss, self.best_step = loss, trainer.global_step
            self._weights = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the best weights back."""
        self.steps = trainer.global_step
        if self._weights:
            pl_module.load_state_dict(self._weights)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model with what its training took.

    Attributes
    ----------
    wall_s, cpu_s : float
        Training with its validation checks [s].
    validation_s : float
        The share of `wall_s` spent in validation checks [s].
    loss : float
        Pinball loss on the validation tail, summed over the levels as the library does, in the unit of the series.
    """

    forecast: NeuralForecast
    settings: Settings
    wall_s: float
    cpu_s: float
    validation_s: float
    steps: int
    best_step: int
    loss: float

    def summary(self) -> dict[str, Any]:
        """Return everything but the model, with training seconds per 100 steps without validation."""
        a_step_s = (self.wall_s - self.validation_s) / max(self.steps, 1)
        return {
            **asdict(self.settings),
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "validation_s": self.validation_s,
            "steps": self.steps,
            "best_step": self.best_step,
            "validation_loss": self.loss,
            "wall_s_per_100_steps": 100 * a_step_s,
        }


def quiet() -> None:
    """Keep the library to one thread and silence its chatter."""
    torch.set_num_threads(1)
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")


def train(name: str, exchange: Exchange, fit: Fit, settings: Settings, seed: int) -> Trained:
    """Train one model on the hours before ``fit.train_end``, stopping early on the validation tail."""
    model = CLASSES[name](
        h=exchange.horizon,
        input_size=exchange.input_size,
        futr_exog_list=list(exchange.covariate_names),
        loss=MQLoss(quantiles=list(exchange.levels)),
        scaler_type=settings.scaler,
        learning_rate=settings.learning_rate,
        max_steps=settings.max_steps,
        windows_batch_size=settings.windows,
        val_check_steps=min(settings.check_every, settings.max_steps),
        early_stop_patience_steps=settings.patience,
        inference_windows_batch_size=1024,
        valid_batch_size=SERIES_A_BATCH,
        random_seed=seed,
        accelerator="cpu",
        devices=1,
        callbacks=[KeepBest(exchange.horizon)],
        **QUIET,
    )
    forecast = NeuralForecast(models=[model], freq="h")
    frame = exchange.training_frame(fit)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    forecast.fit(df=frame, val_size=fit.validation_h)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    kept = next(c for c in forecast.models[0].trainer_kwargs["callbacks"] if isinstance(c, KeepBest))
    return Trained(forecast, settings, wall_s, cpu_s, kept.validation_s, kept.steps, kept.best_step, kept.best_loss)


def choose(name: str, exchange: Exchange, candidates: tuple[Settings, ...], seed: int) -> list[Trained]:
    """Train every candidate on the first fit and return them, the best on its validation tail first."""
    tried = []
    for settings in candidates:
        tried.append(train(name, exchange, exchange.fits[0], settings, seed))
        print(f"{name}: {settings} reached {tried[-1].loss:.4f}", file=sys.stderr, flush=True)
    return sorted(tried, key=lambda trained: trained.loss)


def predict(trained: Trained, exchange: Exchange, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Forecast windows that begin at `starts`, giving the model only the hours before each.

    Each window is handed over as a series of its own that ends the hour before `starts`, so no value of
    the series at or after an origin reaches the library, and all origins go through in one call.

    Returns
    -------
    ndarray, shape (W, H, Q)
        Quantiles, as the model gave them.
    """
    history = exchange.frame(rows, starts - exchange.input_size, exchange.input_size, target=True)
    future = exchange.frame(rows, starts, exchange.horizon, target=False)
    answer = trained.forecast.predict(df=history, futr_df=future)
    return answer.iloc[:, 2:].to_numpy().reshape(len(rows), exchange.horizon, len(exchange.levels))


def predict_origins(trained: Trained, exchange: Exchange, fit: Fit) -> np.ndarray:
    """Forecast every series from every origin of `fit`: quantiles of shape (N, n, H, Q)."""
    n = len(exchange.unique_ids)
    starts = np.repeat([exchange.position(origin) for origin in fit.origins], n)
    answer = predict(trained, exchange, np.tile(np.arange(n), len(fit.origins)), starts)
    return answer.reshape(len(fit.origins), n, *answer.shape[1:])


def time_forecasts(trained: Trained, exchange: Exchange, count: int = 1000, repeats: int = 3) -> dict[str, float]:
    """Return the median seconds of `count` forecasts: from frames to frames, and in the network alone."""
    rows = np.arange(count) % len(exchange.unique_ids)
    last = exchange.position(exchange.fits[-1].train_end) - exchange.horizon
    starts = last - np.arange(count) % (last - exchange.input_size)
    history = exchange.frame(rows, starts - exchange.input_size, exchange.input_size, target=True)
    future = exchange.frame(rows, starts, exchange.horizon, target=False)
    model = trained.forecast.models[0].eval()
    columns = starts[:, None] + np.arange(-exchange.input_size, exchange.horizon)
    past = torch.as_tensor(exchange.y[rows[:, None], columns[:, : exchange.input_size]])[..., None]
    known = torch.as_tensor(exchange.covariates[rows[:, None], columns])
    windows = {
        "insample_y": past,
        "insample_mask": torch.ones_like(past),
        "futr_exog": known,
        "hist_exog": None,
        "stat_exog": None,
    }
    with torch.no_grad():
        network_s = [_seconds(lambda: model(windows)) for _ in range(repeats)]
    call_s = [_seconds(lambda: trained.forecast.predict(df=history, futr_df=future)) for _ in range(repeats)]
    return {"call_s": float(np.median(call_s)), "network_s": float(np.median(network_s)), "count": count}


def _seconds(work: Any) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def crossings(quantiles: np.ndarray) -> dict[str, float]:
    """Count where a higher quantile lies below the next lower one.

    Parameters
    ----------
    quantiles : ndarray, shape (..., Q)
        Forecasts by rising level.

    Returns
    -------
    dict
        ``pairs``: neighbours that cross; ``pair_share`` of all neighbours; ``step_share``: share of
        forecast hours with any crossing; ``deepest``: largest depth, in the unit of the series.
    """
    rise = np.diff(quantiles, axis=-1)
    crossed = rise < 0
    return {
        "pairs": int(crossed.sum()),
        "pair_share": float(crossed.mean()),
        "step_share": float(crossed.any(axis=-1).mean()),
        "deepest": float(max(0.0, -rise.min())),
    }
