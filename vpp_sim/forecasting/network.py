"""The network that the LSTM and the Transformer share; they differ in the core that turns tokens into tokens.

A window goes through five stages:

1. *Reversible instance normalisation* [1]_: each series is shifted and scaled by mean and deviation of its own context,
   and the forecast is scaled back. A home that was never seen has its own level and scale at once.
2. *Weekly cycle* [2]_: a learnable value for each hour of the week is taken off, and put back at the end; beside it
   stand the mean day of the context and a linear map of it [3]_, so that the core learns what is left.
3. *Tokens*: a day makes one token [4]_: of the past its values and covariates, of the future the covariates as
   forecast, what the context says of the same hours, the day of the week by an embedding, and the hour of issue.
4. *Core*: tokens to tokens, the future after the past.
5. *Quantile head*: the median, steps up from it, and down from it shares of the way to what was least, so that
   quantiles cannot cross and a low one knows the base load. It is wide, and most of it is dropped while it learns [5]_.

Covariates are scaled by their mean and deviation in the training split; nothing else is fitted outside the gradient.

References
----------
.. [1] T. Kim et al., "Reversible Instance Normalization for Accurate Time-Series Forecasting against Distribution
   Shift", ICLR 2022. https://openreview.net/forum?id=cGDAkQo1C0p
.. [2] S. Lin et al., "CycleNet: Enhancing Time Series Forecasting through Modeling Periodic Patterns", NeurIPS 2024.
   https://doi.org/10.48550/arXiv.2409.18479
.. [3] A. Zeng et al., "Are Transformers Effective for Time Series Forecasting?", AAAI 2023.
   https://doi.org/10.48550/arXiv.2205.13504
.. [4] Y. Nie et al., "A Time Series is Worth 64 Words: Long-term Forecasting with Transformers", ICLR 2023.
   https://doi.org/10.48550/arXiv.2211.14730
.. [5] N. Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", Journal of Machine
   Learning Research 15, 2014. https://jmlr.org/papers/v15/srivastava14a.html
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import DEFAULT_LEVELS, require_levels

__all__ = ["NetworkConfig", "QuantileHead", "QuantileNetwork", "WindowBatch"]

HOURS_A_WEEK = 168
SMALLEST_SCALE = 1e-3
"""Deviation below which a context counts as constant [unit of the target]."""

SMALLEST_VARIANCE = 1e-6
"""Keeps the slope of the deviation of equal days finite."""

WEEKDAY_FEATURES = 4
LAGS, RECENT_DAYS, FADING = 7, 3, 0.6
"""Days looked back at hour by hour, days that count as recent, and the weight of a day against the one after it."""

ANCHORS, STANDING = 9 + LAGS, 9
"""Features of the context by hour of the day, and of the context as a whole."""

TOKEN_ANCHORS = (0, -1, -LAGS)
"""Anchors that a token of the future holds: the mean, the latest day, and the day a week before."""

STEP_UP, STEP_DOWN, TO_LEAST, TO_LEAST_OF_HOUR = -1.0, -1.5, -3.0, -1.0
"""Where an untrained head begins: steps before a softplus, shares before a sigmoid."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes of a network, as its file records them.

    Attributes
    ----------
    core : str
        ``"lstm"`` or ``"transformer"``.
    context_steps, horizon_steps : int
        Past and future steps; the context is whole days, a week or more.
    day_steps : int
        Steps a day, which make one token.
    covariates : int
        Number C of covariates.
    width : int
        Features of a token.
    layers : int
        Layers of the core.
    heads : int
        Attention heads; unused by the LSTM.
    step_features : int
        Features of a step that the core hands to the head.
    head_width : int
        Hidden features of the head.
    dropout, head_dropout : float
        Share of features dropped while training, of tokens and of the head's hidden features.
    non_negative : bool
        Whether the target cannot be negative; hours that were always zero then stay zero, as a solar night does.
    levels : tuple of float
        Quantile levels.

    Raises
    ------
    DataError
        If the context is not whole days, a week or more.
    """

    core: str
    context_steps: int = 168
    horizon_steps: int = 36
    day_steps: int = 24
    covariates: int = 2
    width: int = 64
    layers: int = 1
    heads: int = 4
    step_features: int = 8
    head_width: int = 128
    dropout: float = 0.3
    head_dropout: float = 0.0
    non_negative: bool = True
    levels: tuple[float, ...] = DEFAULT_LEVELS

    def __post_init__(self) -> None:
        if self.context_steps % self.day_steps or self.context_steps < 7 * self.day_steps:
            raise DataError(f"context_steps = {self.context_steps} must be whole days of {self.day_steps}, 7 or more")
        require_levels(self.levels)

    @property
    def past_days(self) -> int:
        """Tokens of the past."""
        return self.context_steps // self.day_steps

    @property
    def future_days(self) -> int:
        """Tokens of the future; the last may reach beyond the horizon."""
        return -(-self.horizon_steps // self.day_steps)


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Windows as tensors, B of them.

    Attributes
    ----------
    history : Tensor, shape (B, L)
        Past values.
    covariates : Tensor, shape (B, L + H, C)
        Covariates, observed before the issue and as forecast from it on.
    hour, day_of_week : Tensor, shape (B, L + H)
        Local hour of day [h], and day of the week as integers.
    """

    history: Tensor
    covariates: Tensor
    hour: Tensor
    day_of_week: Tensor


class QuantileHead(nn.Module):
    """Turn features into quantiles that cannot cross.

    The median is a base and what the features add to it. Each level above is a non-negative step from the one before.
    Each level below goes a share of the way to the least value of all, a share of the way to the least of that hour,
    and a non-negative step: what a home uses at least is known better than the deviation of what it uses.

    Parameters
    ----------
    features, standing : int
        Input features of a step, and of a window whatever the step.
    hidden : int
        Hidden features.
    levels : tuple of float
        Quantile levels Q, 0.5 among them.
    dropout : float
        Share of hidden features dropped while training.
    """

    def __init__(
        self, features: int, standing: int, hidden: int, levels: tuple[float, ...], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.median, higher = levels.index(0.5), len(levels) - levels.index(0.5) - 1
        self.parts = [self.median, 1, higher, self.median, self.median]
        self.of_step, self.of_window = nn.Linear(features, hidden, bias=False), nn.Linear(standing, hidden)
        self.drop, self.out = nn.Dropout(dropout), nn.Linear(hidden, sum(self.parts))

    def forward(self, features: Tensor, standing: Tensor, base: Tensor, least: Tensor, least_of_hour: Tensor) -> Tensor:
        """Return quantiles (B, H, Q), non-decreasing along Q.

        Parameters
        ----------
        features : Tensor, shape (B, H, F)
            What is known of each step.
        standing : Tensor, shape (B, G)
            What is known whatever the step.
        base : Tensor, shape (B, H)
            To which the median adds.
        least, least_of_hour : Tensor, shape (B, 1) and (B, H)
            Towards which the levels below the median go, where they lie lower.
        """
        hidden = self.of_step(features).add_(self.of_window(standing)[:, None]).relu_()
        down, middle, up, to_least, to_hour = torch.split(self.out(self.drop(hidden)), self.parts, dim=-1)
        steps = functional.softplus(down + STEP_DOWN)
        shares = functional.sigmoid(to_least + TO_LEAST), functional.sigmoid(to_hour + TO_LEAST_OF_HOUR)
        quantiles = [middle[..., 0] + base]
        for q in range(self.median):
            above = quantiles[-1]
            near = shares[0][..., q] * functional.relu(above - least)
            near_hour = shares[1][..., q] * functional.relu(above - least_of_hour)
            quantiles.append(above - near - near_hour - steps[..., q])
        higher = quantiles[0][..., None] + functional.softplus(up + STEP_UP).cumsum(dim=-1)
        return torch.cat([torch.stack(quantiles[::-1], dim=-1), higher], dim=-1)


class QuantileNetwork(nn.Module):
    """Normalise, take off the weekly cycle, run the core over days, and give quantiles.

    Parameters
    ----------
    config : NetworkConfig
        Sizes.
    core : Module
        Maps tokens (B, P, width) to as many, or to the last `future_days` alone, which are the future.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, config: NetworkConfig, core: nn.Module) -> None:
        super().__init__()
        self.config = config
        day, count, width = config.day_steps, config.covariates, config.width
        self.register_buffer("centre", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.cycle = nn.Parameter(torch.zeros(HOURS_A_WEEK))
        self.weekday = nn.Embedding(7, WEEKDAY_FEATURES)
        self.embed_past = nn.Linear(day * (1 + count) + WEEKDAY_FEATURES + 2, width)
        self.embed_future = nn.Linear(day * (3 + 2 * count) + WEEKDAY_FEATURES + 3, width)
        self.position = nn.Parameter(0.02 * torch.randn(config.past_days + config.future_days, width))
        self.drop = nn.Dropout(config.dropout)
        self.core = core
        self.unfold = nn.Linear(width, day * config.step_features)
        self.linear = nn.Linear(config.context_steps, day)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        features = config.step_features + ANCHORS + 3 * count + 4 + WEEKDAY_FEATURES
        self.head = QuantileHead(features, 1 + STANDING, config.head_width, config.levels, config.head_dropout)

    def fit_scaler(self, covariates: FloatArray) -> None:
        """Set centre and spread of the covariates from those observed in the training split, shape (T, C)."""
        if covariates.shape[1]:
            self.centre.copy_(torch.tensor(covariates.mean(axis=0), dtype=torch.float32))
            self.spread.copy_(torch.tensor(covariates.std(axis=0), dtype=torch.float32).clamp_min(SMALLEST_SCALE))

    def forward(self, batch: WindowBatch) -> Tensor:
        """Return quantiles (B, H, Q) in the unit of the history, not yet floored at zero."""
        mean, scale = self.statistics(batch.history)
        return self.normalised(batch, mean, scale) * scale[..., None] + mean[..., None]

    @staticmethod
    def statistics(history: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of each context, both (B, 1) [unit of the history]."""
        mean = history.mean(dim=1, keepdim=True)
        off = history - mean
        return mean, (off * off).mean(dim=1, keepdim=True).sqrt().clamp_min(SMALLEST_SCALE)

    def normalised(self, batch: WindowBatch, mean: Tensor, scale: Tensor) -> Tensor:
        """Return quantiles (B, H, Q) in deviations from the mean of the context."""
        config, rows = self.config, batch.history.shape[0]
        cycle = self.cycle[batch.day_of_week * 24 + batch.hour.long()]
        history = (batch.history - mean) / scale
        residual = history - cycle[:, : config.context_steps]
        days = residual.reshape(rows, config.past_days, config.day_steps)
        level = torch.asinh(mean / scale)
        weekday = self.weekday(batch.day_of_week[:, :: config.day_steps])
        anchors, weather = self.anchors(days), self.covariates(batch.covariates)
        tokens = self.tokens(days, anchors, weather, weekday, self.issue(batch.hour, level))
        out = self.core(self.drop(tokens + self.position))[:, -config.future_days :]
        steps = self.unfold(out).reshape(rows, -1, config.step_features)[:, : config.horizon_steps]
        day_ahead = weekday[:, config.past_days :].repeat_interleave(config.day_steps, dim=1)[:, : config.horizon_steps]
        known = [anchors, weather[1], self.waves(batch.hour[:, config.context_steps :]), day_ahead]
        standing = torch.cat([level, self.standing(days)], dim=-1)
        base = self.repeated(days.mean(dim=1) + self.linear(residual)) + cycle[:, config.context_steps :]
        least_of_hour = self.repeated(history.reshape(days.shape).amin(dim=1))
        least = history.amin(dim=1, keepdim=True)
        quantiles: Tensor = self.head(torch.cat([steps, *known], dim=-1), standing, base, least, least_of_hour)
        if not config.non_negative:
            return quantiles
        return torch.where(self.awake(batch.history)[..., None], quantiles, (-mean / scale)[..., None])

    def tokens(
        self, days: Tensor, anchors: Tensor, weather: tuple[Tensor, Tensor], weekday: Tensor, issue: Tensor
    ) -> Tensor:
        """Return the tokens (B, past and future days, width).

        Parameters
        ----------
        days : Tensor, shape (B, D, S)
            Residuals of the past, by day.
        anchors : Tensor, shape (B, H, 16)
            What the context says about each future step.
        weather : tuple of Tensor
            Covariates of the past (B, D, S * C), and of each future step (B, H, 3 C).
        weekday : Tensor, shape (B, past and future days, 4)
            Embedding of the day of the week in which each token begins.
        issue : Tensor, shape (B, 3)
            Hour of issue as sine and cosine, and the level.
        """
        config, count = self.config, self.config.covariates
        of_past, of_future = issue[:, None, :2].expand(-1, config.past_days, -1), issue[:, None]
        past = torch.cat([days, weather[0], weekday[:, : config.past_days], of_past], dim=-1)
        ahead = torch.cat([weather[1][..., : 2 * count], anchors[..., TOKEN_ANCHORS]], dim=-1)
        missing = config.future_days * config.day_steps - config.horizon_steps
        ahead = functional.pad(ahead, (0, 0, 0, missing)).reshape(len(days), config.future_days, -1)
        future = torch.cat(
            [ahead, weekday[:, config.past_days :], of_future.expand(-1, config.future_days, -1)], dim=-1
        )
        return torch.cat([self.embed_past(past), self.embed_future(future)], dim=1)

    def covariates(self, covariates: Tensor) -> tuple[Tensor, Tensor]:
        """Return the covariates of the past by day (B, D, S * C), and of each future step (B, H, 3 C).

        Of a future step: the forecast, and what it exceeds the mean and the latest day of the context by, at its hour.
        """
        config, rows = self.config, len(covariates)
        scaled = (covariates - self.centre) / self.spread
        past, future = scaled[:, : config.context_steps], scaled[:, config.context_steps :]
        days = past.reshape(rows, config.past_days, config.day_steps, config.covariates)
        beyond_mean = future - self.repeated(days.mean(dim=1))
        beyond_latest = future - self.repeated(days[:, -1])
        return days.reshape(rows, config.past_days, -1), torch.cat([future, beyond_mean, beyond_latest], dim=-1)

    def anchors(self, days: Tensor) -> Tensor:
        """Return (B, H, 16): what the context (B, D, S) says about each future step, at its hour of the day.

        Mean, deviation, least and most over the days; the mean of the latest three, and of all with weights
        that fade; the mean and the latest day with the steps beside, the slope of the mean; the latest seven days,
        oldest first.
        """
        mean, latest = days.mean(dim=1), days[:, -1]
        off = days - mean[:, None]
        deviation = ((off * off).mean(dim=1) + SMALLEST_VARIANCE).sqrt()
        extremes = days.amin(dim=1), days.amax(dim=1)
        weights = FADING ** torch.arange(days.shape[1] - 1.0, -1.0, -1.0)
        fading = (days * (weights / weights.sum())[:, None]).sum(dim=1)
        recent = days[:, -RECENT_DAYS:].mean(dim=1)
        slope = mean.roll(-1, 1) - mean.roll(1, 1)
        shapes = recent, fading, _with_beside(mean), _with_beside(latest), slope
        return self.repeated(torch.stack([mean, deviation, *extremes, *shapes, *days[:, -LAGS:].unbind(1)], dim=-1))

    def standing(self, days: Tensor) -> Tensor:
        """Return (B, 9): what the context (B, D, S) says whatever the hour.

        The least value; means of the latest day, of the one before, and of the latest three; deviation of the mean day
        and of the latest; the latest value, the mean of the latest quarter of a day, and by how much the latest eighth
        exceeds the mean day.
        """
        mean, latest, eighth = days.mean(dim=1), days[:, -1], max(self.config.day_steps // 8, 1)
        features = [
            days.amin(dim=(1, 2)),
            *(latest.mean(dim=1), days[:, -2].mean(dim=1), days[:, -RECENT_DAYS:].mean(dim=(1, 2))),
            *(each.var(dim=1, correction=0).add(SMALLEST_VARIANCE).sqrt() for each in (mean, latest)),
            *(latest[:, -1], latest[:, -2 * eighth :].mean(dim=1), (latest - mean)[:, -eighth:].mean(dim=1)),
        ]
        return torch.stack(features, dim=-1)

    def awake(self, history: Tensor) -> Tensor:
        """Return (B, H): whether the context saw more than zero at that hour or next to it; if not, it is night."""
        peak = history.reshape(history.shape[0], -1, self.config.day_steps).amax(1)
        near = torch.maximum(peak, torch.maximum(peak.roll(1, 1), peak.roll(-1, 1)))
        return self.repeated(near) > 0.0

    def repeated(self, day: Tensor) -> Tensor:
        """Return a day (B, S, ...) repeated over the horizon, (B, H, ...)."""
        if self.config.future_days == 1:
            return day[:, : self.config.horizon_steps]
        return torch.cat([day] * self.config.future_days, dim=1)[:, : self.config.horizon_steps]

    @staticmethod
    def waves(hour: Tensor) -> Tensor:
        """Return (B, H, 4): two harmonics of the day."""
        angle = hour * (2.0 * torch.pi / 24)
        return torch.stack([angle.sin(), angle.cos(), (2 * angle).sin(), (2 * angle).cos()], dim=-1)

    @staticmethod
    def issue(hour: Tensor, level: Tensor) -> Tensor:
        """Return (B, 3): the hour of issue as sine and cosine, and the level (B, 1) of the context."""
        angle = hour[:, :1] * (2.0 * torch.pi / 24)
        return torch.cat([angle.sin(), angle.cos(), level], dim=-1)


def _with_beside(day: Tensor) -> Tensor:
    """Return the mean of each step of a day (B, S) and those beside it."""
    return (day + day.roll(1, 1) + day.roll(-1, 1)) / 3.0
