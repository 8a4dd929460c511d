"""Read what the peers are given and write what they answer; nothing here knows of any library of forecasting."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HOUR = pd.Timedelta(hours=1)
KEYS = ("unique_id", "ds", "y")


@dataclass(frozen=True, slots=True)
class Fit:
    """One training and the forecasts made with it.

    Attributes
    ----------
    train_end : Timestamp
        First hour that training must not see.
    validation_start : Timestamp
        First hour of the validation tail, which ends at ``train_end``.
    origins : tuple of Timestamp
        First hours forecast; a forecast knows the series strictly before its origin.
    """

    train_end: pd.Timestamp
    validation_start: pd.Timestamp
    origins: tuple[pd.Timestamp, ...]

    @property
    def validation_h(self) -> int:
        """Length of the validation tail [h]."""
        return int((self.train_end - self.validation_start) / HOUR)


@dataclass(frozen=True, slots=True)
class Exchange:
    """All that the peers are given.

    Attributes
    ----------
    y : ndarray, shape (n, T)
        The series, hourly, without gaps.
    covariates : ndarray, shape (n, T, F)
        What is known of every hour beforehand.
    """

    unique_ids: tuple[str, ...]
    ds: pd.DatetimeIndex
    y: np.ndarray
    covariates: np.ndarray
    covariate_names: tuple[str, ...]
    horizon: int
    input_size: int
    levels: tuple[float, ...]
    fits: tuple[Fit, ...]
    seed: int

    def digest(self) -> str:
        """Return a hash of the series, the covariates and the plan."""
        plan = (self.unique_ids, self.covariate_names, self.horizon, self.input_size, self.levels, self.fits, self.seed)
        parts = (repr(plan).encode(), self.ds.to_numpy().tobytes(), self.y.tobytes(), self.covariates.tobytes())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def position(self, when: pd.Timestamp) -> int:
        """Return the column of the hour `when`, which may be the hour after the last."""
        return int((when - self.ds[0]) / HOUR)

    def frame(self, rows: np.ndarray, starts: np.ndarray, length: int, *, target: bool) -> pd.DataFrame:
        """Return windows in long format, each under an id of its own: its place among the windows.

        Parameters
        ----------
        rows, starts : ndarray of int, shape (W,)
            Series and first hour of each window.
        length : int
            Hours of a window.
        target : bool
            Whether to give the series itself; the future is given without.
        """
        columns = starts[:, None] + np.arange(length)
        frame = pd.DataFrame(
            {
                "unique_id": np.repeat([f"{k:08d}" for k in range(len(rows))], length),
                "ds": self.ds[columns.ravel()],
            }
        )
        if target:
            frame["y"] = self.y[rows[:, None], columns].ravel()
        for f, name in enumerate(self.covariate_names):
            frame[name] = self.covariates[rows[:, None], columns, f].ravel()
        return frame

    def training_frame(self, fit: Fit) -> pd.DataFrame:
        """Return every series strictly before the end of training, in long format."""
        rows = np.arange(len(self.unique_ids))
        return self.frame(rows, np.zeros_like(rows), self.position(fit.train_end), target=True)


def load(folder: Path) -> Exchange:
    """Read ``series.parquet`` and ``origins.json`` of `folder` and check what would make a forecast wrong.

    Raises
    ------
    SystemExit
        If a series has gaps or missing values, or a date does not fit the data.
    """
    plan: dict[str, Any] = json.loads((folder / "origins.json").read_text())
    table = pd.read_parquet(folder / "series.parquet").sort_values(["unique_id", "ds"])
    names = tuple(plan.get("futr_exog") or [c for c in table.columns if c not in KEYS])
    ids = tuple(str(u) for u in table["unique_id"].unique())
    ds = pd.DatetimeIndex(table["ds"].to_numpy()[: len(table) // len(ids)])
    if ds.tz is not None or (np.diff(ds) != HOUR).any():
        raise SystemExit("series.parquet: ds must be hourly without gaps and without a time zone")
    if len(table) % len(ids) or (table["ds"].to_numpy().reshape(len(ids), -1) != ds.to_numpy()).any():
        raise SystemExit("series.parquet: every series must cover the same hours")
    if table[["y", *names]].isna().to_numpy().any():
        raise SystemExit("series.parquet: y and the covariates must have no missing value")
    shape = (len(ids), len(ds))
    exchange = Exchange(
        unique_ids=ids,
        ds=ds,
        y=table["y"].to_numpy(np.float32).reshape(shape),
        covariates=table[list(names)].to_numpy(np.float32).reshape(*shape, len(names)),
        covariate_names=names,
        horizon=int(plan["horizon"]),
        input_size=int(plan["input_size"]),
        levels=tuple(float(level) for level in plan["levels"]),
        fits=tuple(_fit(entry) for entry in plan["fits"]),
        seed=int(plan["seed"]),
    )
    _check(exchange)
    return exchange


def _fit(entry: dict[str, Any]) -> Fit:
    origins = tuple(pd.Timestamp(origin) for origin in entry["origins"])
    return Fit(pd.Timestamp(entry["train_end"]), pd.Timestamp(entry["validation_start"]), origins)


def _check(exchange: Exchange) -> None:
    if sorted(set(exchange.levels)) != list(exchange.levels):
        raise SystemExit(f"origins.json: levels must rise strictly, got {list(exchange.levels)}")
    for fit in exchange.fits:
        if not exchange.ds[0] < fit.validation_start < fit.train_end:
            raise SystemExit(f"origins.json: validation must lie in the data before train_end {fit.train_end}")
        for origin in fit.origins:
            first = exchange.position(origin) - exchange.input_size
            if origin < fit.train_end:
                raise SystemExit(f"origins.json: origin {origin} lies before train_end {fit.train_end}")
            if first < 0 or exchange.position(origin) + exchange.horizon > len(exchange.ds):
                raise SystemExit(
                    f"origins.json: origin {origin} lacks {exchange.input_size} h before or "
                    f"{exchange.horizon} h after it in the data"
                )


def save_forecasts(path: Path, exchange: Exchange, origins: list[pd.Timestamp], quantiles: np.ndarray) -> None:
    """Write the forecasts of one model: quantiles of shape (N, n, H, Q), as float32."""
    np.savez_compressed(
        path,
        origins=np.array(origins, dtype="datetime64[s]"),
        unique_ids=np.array(exchange.unique_ids),
        levels=np.array(exchange.levels),
        quantiles=quantiles.astype(np.float32),
    )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` so that a run cut off leaves the old file or the new one, never half of one."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def synthetic(n: int = 3, days: int = 30, seed: int = 0) -> Exchange:
    """Return homes made up of a daily and a weekly cycle, weather and noise, with two fits of two origins each."""
    stream = np.random.default_rng(seed)
    ds = pd.date_range("2017-01-01", periods=24 * days, freq="h")
    hour, weekend = ds.hour.to_numpy(), (ds.dayofweek >= 5).astype(float)
    temperature = 12 + 6 * np.sin(2 * np.pi * (hour - 9) / 24) + np.repeat(stream.normal(0, 3, days), 24)
    cycle = 1 + 0.6 * np.sin(2 * np.pi * (hour - 13) / 24) + 0.3 * weekend + 0.02 * (temperature - 12)
    level = np.linspace(0.5, 2.0, n)[:, None]
    y = level * (cycle + 0.1 * stream.standard_normal((n, len(ds))))
    known = np.stack([np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24), weekend, temperature], axis=-1)
    midnights = ds[24 * (days - 8) :: 24]
    fits = tuple(Fit(midnights[k], midnights[k] - 5 * 24 * HOUR, (midnights[k], midnights[k + 1])) for k in (0, 3))
    return Exchange(
        unique_ids=tuple(f"home_{k}" for k in range(n)),
        ds=ds,
        y=y.astype(np.float32),
        covariates=np.broadcast_to(known, (n, *known.shape)).astype(np.float32),
        covariate_names=("hour_sin", "hour_cos", "weekend", "temperature_c"),
        horizon=24,
        input_size=48,
        levels=(0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95),
        fits=fits,
        seed=seed,
    )


def save(exchange: Exchange, folder: Path) -> None:
    """Write `exchange` as the two files that `load` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.arange(len(exchange.unique_ids))
    table = exchange.frame(rows, np.zeros_like(rows), len(exchange.ds), target=True)
    table["unique_id"] = np.repeat(exchange.unique_ids, len(exchange.ds))
    table.to_parquet(folder / "series.parquet", index=False)
    plan = {
        "horizon": exchange.horizon,
        "input_size": exchange.input_size,
        "levels": list(exchange.levels),
        "fits": [
            {
                "train_end": str(fit.train_end),
                "validation_start": str(fit.validation_start),
                "origins": [str(origin) for origin in fit.origins],
            }
            for fit in exchange.fits
        ],
        "seed": exchange.seed,
    }
    write_json(folder / "origins.json", plan)
