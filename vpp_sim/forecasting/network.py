"""The network that the LSTM and the Transformer share; they differ in the core that turns tokens into tokens.

A window goes through five stages:

1. *Reversible instance normalisation* [1]_: each series is shifted and scaled by mean and deviation of its own context,
   and the forecast is scaled back. No statistic is fitted on a split, so none can leak from it.
2. *Weekly cycle* [2]_: a learnable value for each hour of the week is taken off, and put back at the end.
3. *Tokens*: `patch_steps` steps make one token [3]_, of the past (values, weather, calendar) and of the future
   (calendar, and what the context says about the same hour of the day).
4. *Core*: tokens to tokens, the future after the past.
5. *Quantile head*: the lowest quantile, then non-negative increments, so that quantiles cannot cross.

References
----------
.. [1] T. Kim et al., "Reversible Instance Normalization for Accurate Time-Series Forecasting against Distribution
   Shift", ICLR 2022. https://openreview.net/forum?id=cGDAkQo1C0p
.. [2] S. Lin et al., "CycleNet: Enhancing Time Series Forecasting through Modeling Periodic Patterns", NeurIPS 2024.
   https://doi.org/10.48550/arXiv.2409.18479
.. [3] Y. Nie et al., "A Time Series is Worth 64 Words: Long-term Forecasting with Transformers", ICLR 2023.
   https://doi.org/10.48550/arXiv.2211.14730
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import DEFAULT_LEVELS, require_levels

__all__ = ["NetworkConfig", "QuantileHead", "QuantileNetwork", "WindowBatch"]

HOURS_A_DAY, HOURS_A_WEEK = 24, 168
SMALLEST_SCALE_KW = 1e-3
"""Deviation below which a context counts as constant [kW]."""

CALENDAR_CHANNELS = 8
ANCHOR_CHANNELS = 9
TEMPERATURE_C, IRRADIANCE_W_M2 = (18.0, 8.0), (220.0, 300.0)
"""Fixed centre and spread of the weather channels; physical constants of this model, fitted to nothing."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes of a network, as its model card records them.

    Attributes
    ----------
    core : str
        ``"lstm"`` or ``"transformer"``.
    context_steps, horizon_steps : int
        Past and future steps, multiples of `patch_steps`; the context is whole days.
    patch_steps : int
        Steps a token.
    width : int
        Features of a token.
    layers : int
        Layers of the core.
    heads : int
        Attention heads; unused by the LSTM.
    dropout : float
        Share of features dropped while training.
    levels : tuple of float
        Quantile levels.

    Raises
    ------
    DataError
        If steps are not whole patches, or the context is not whole days.
    """

    core: str
    context_steps: int = 168
    horizon_steps: int = 36
    patch_steps: int = 12
    width: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.3
    levels: tuple[float, ...] = DEFAULT_LEVELS

    def __post_init__(self) -> None:
        if self.context_steps % self.patch_steps or self.horizon_steps % self.patch_steps:
            raise DataError(f"context and horizon must be multiples of patch_steps = {self.patch_steps}")
        if self.context_steps % HOURS_A_DAY or self.context_steps < max(2 * HOURS_A_DAY, self.horizon_steps):
            raise DataError(
                f"context_steps = {self.context_steps} must be whole days of {HOURS_A_DAY} steps, two or more, "
                f"and no shorter than the horizon of {self.horizon_steps}"
            )
        require_levels(self.levels)


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Windows as tensors, B of them.

    Attributes
    ----------
    history : Tensor, shape (B, L)
        Past values [kW].
    weather : Tensor, shape (B, L, 2)
        Past temperature [degC] and irradiance [W/m2].
    hour, day_of_week : Tensor, shape (B, L + H)
        Local hour of day [h], and day of the week as integers.
    """

    history: Tensor
    weather: Tensor
    hour: Tensor
    day_of_week: Tensor


class QuantileHead(nn.Module):
    """Turn features into quantiles that cannot cross: a lowest value and non-negative steps up from it.

    Parameters
    ----------
    features : int
        Input features.
    hidden : int
        Hidden features.
    count : int
        Quantiles Q.
    """

    def __init__(self, features: int, hidden: int, count: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, count))

    def forward(self, features: Tensor) -> Tensor:
        """Return shape (..., Q), non-decreasing along Q, of features (..., F)."""
        raw: Tensor = self.body(features)
        steps = functional.softplus(raw[..., 1:] - 1.0)
        return torch.cumsum(torch.cat([raw[..., :1] - 1.0, steps], dim=-1), dim=-1)


class QuantileNetwork(nn.Module):
    """Normalise, take off the weekly cycle, run the core over tokens, and give quantiles.

    Parameters
    ----------
    config : NetworkConfig
        Sizes.
    core : Module
        Maps tokens (B, P, width) to tokens of that shape; the last ``horizon_steps / patch_steps`` are the future.
    """

    def __init__(self, config: NetworkConfig, core: nn.Module) -> None:
        super().__init__()
        self.config = config
        patch, width = config.patch_steps, config.width
        past, future = config.context_steps // patch, config.horizon_steps // patch
        self.cycle = nn.Parameter(torch.zeros(HOURS_A_WEEK))
        self.days = nn.Embedding(7, 4)
        self.embed_past = nn.Linear(patch * (3 + CALENDAR_CHANNELS), width)
        self.embed_future = nn.Linear(patch * (ANCHOR_CHANNELS + CALENDAR_CHANNELS), width)
        self.position = nn.Parameter(0.02 * torch.randn(past + future, width))
        self.drop = nn.Dropout(config.dropout)
        self.core = core
        self.unpatch = nn.Linear(width, patch * (width // 2))
        self.head = QuantileHead(width // 2 + ANCHOR_CHANNELS + CALENDAR_CHANNELS, width, len(config.levels))

    def forward(self, batch: WindowBatch) -> Tensor:
        """Return quantiles (B, H, Q) in the unit of the history, not yet floored at zero."""
        mean, scale = self.statistics(batch.history)
        return self.normalised(batch, mean, scale) * scale[..., None] + mean[..., None]

    @staticmethod
    def statistics(history: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of each context, both (B, 1) [kW]."""
        mean = history.mean(dim=1, keepdim=True)
        return mean, history.std(dim=1, keepdim=True, unbiased=False).clamp_min(SMALLEST_SCALE_KW)

    def normalised(self, batch: WindowBatch, mean: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles (B, H, Q) in deviations from the mean of the context."""
        length, rows = self.config.context_steps, batch.history.shape[0]
        week_hour = batch.day_of_week * HOURS_A_DAY + batch.hour.long()
        cycle, calendar = self.cycle[week_hour], self.calendar(batch)
        residual = (batch.history - mean) / scale - cycle[:, :length]
        anchors = self.anchors(residual, mean / scale)
        future = torch.cat([anchors, calendar[:, length:]], dim=-1)
        past = torch.cat([residual[..., None], _scaled_weather(batch.weather), calendar[:, :length]], dim=-1)
        tokens = torch.cat([self.embed_past(self.patched(past)), self.embed_future(self.patched(future))], dim=1)
        out = self.core(self.drop(tokens + self.position))[:, -(self.config.horizon_steps // self.config.patch_steps) :]
        steps = functional.gelu(self.unpatch(out)).reshape(rows, self.config.horizon_steps, -1)
        quantiles: Tensor = self.head(torch.cat([steps, future], dim=-1))
        quantiles = quantiles + (anchors[..., 0] + cycle[:, length:])[..., None]
        return torch.where(self.awake(batch.history)[..., None], quantiles, (-mean / scale)[..., None])

    def awake(self, history: Tensor) -> Tensor:
        """Return (B, H): whether the context saw more than zero at that hour or next to it; if not, it is night."""
        peak = history.reshape(history.shape[0], -1, HOURS_A_DAY).amax(1)
        near = torch.maximum(peak, torch.maximum(peak.roll(1, 1), peak.roll(-1, 1)))
        repeats = -(-self.config.horizon_steps // HOURS_A_DAY)
        return near.repeat(1, repeats)[:, : self.config.horizon_steps] > 0.0

    def patched(self, steps: Tensor) -> Tensor:
        """Return (B, steps / patch, patch * channels) of (B, steps, channels)."""
        return steps.reshape(steps.shape[0], steps.shape[1] // self.config.patch_steps, -1)

    def calendar(self, batch: WindowBatch) -> Tensor:
        """Return (B, L + H, 8): two harmonics of the day, and an embedding of the day of the week."""
        angle = batch.hour * (2.0 * torch.pi / HOURS_A_DAY)
        waves = torch.stack([angle.sin(), angle.cos(), (2 * angle).sin(), (2 * angle).cos()], dim=-1)
        return torch.cat([waves, self.days(batch.day_of_week)], dim=-1)

    def anchors(self, residual: Tensor, level: Tensor) -> Tensor:
        """Return (B, H, 9): what the context says about each future step.

        Mean, deviation, lowest and highest value of the same hour over the days of the context; the latest and the
        second-latest day; the value one context (a week) before; the last observed value; the level over the deviation.
        """
        rows, horizon = residual.shape[0], self.config.horizon_steps
        days = residual.reshape(rows, -1, HOURS_A_DAY)
        by_hour = torch.stack(
            [days.mean(1), days.std(1, unbiased=False), days.amin(1), days.amax(1), days[:, -1], days[:, -2]], dim=-1
        )
        repeats = -(-horizon // HOURS_A_DAY)
        future = by_hour.repeat(1, repeats, 1)[:, :horizon]
        single = torch.stack(
            [residual[:, :horizon], residual[:, -1:].expand(-1, horizon), level.expand(-1, horizon)], dim=-1
        )
        return torch.cat([future, single], dim=-1)


def _scaled_weather(weather: Tensor) -> Tensor:
    centre = weather.new_tensor([TEMPERATURE_C[0], IRRADIANCE_W_M2[0]])
    spread = weather.new_tensor([TEMPERATURE_C[1], IRRADIANCE_W_M2[1]])
    return (weather - centre) / spread
