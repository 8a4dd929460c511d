"""Check the peers' script on made-up homes: shapes, sanity, and that nothing after an origin reaches a forecast."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from contenders import Settings, Trained, crossings, predict_origins, train
from exchange import Exchange, load, save, synthetic
from peers import run

SHORT = Settings("standard", 3e-3, 24, windows=16, check_every=12)


def smoke(scratch: Path, names: list[str]) -> dict[str, Any]:
    """Run every check for the named models and return their figures; a failed check stops the run.

    Raises
    ------
    AssertionError
        If any check fails.
    """
    save(synthetic(), scratch)
    exchange = load(scratch)
    _same(exchange, synthetic())
    count = crossings(np.array([[1.0, 2.0, 1.5], [0.0, 1.0, 2.0]]))
    assert (count["pairs"], count["step_share"], count["deepest"]) == (1, 0.5, 0.5), count
    timings = run(exchange, scratch, names, dict.fromkeys(names, (SHORT,)), count=50)
    before = (scratch / "timings.json").stat().st_mtime_ns
    assert run(exchange, scratch, names, dict.fromkeys(names, (SHORT,)), count=50) == timings
    assert (scratch / "timings.json").stat().st_mtime_ns == before, "a finished run was run again"
    found = {name: _check_model(name, exchange, scratch) for name in names}
    left = sorted(path.name for path in scratch.iterdir())
    expected = {"origins.json", "series.parquet", "timings.json", *(f"forecasts_{name}.npz" for name in names)}
    assert set(left) == expected, left
    return {name: figures | {"train_s": timings["models"][name]["train_wall_s"]} for name, figures in found.items()}


def _same(one: Exchange, other: Exchange) -> None:
    assert one.unique_ids == other.unique_ids
    assert one.fits == other.fits
    assert one.covariate_names == other.covariate_names
    np.testing.assert_array_equal(one.y, other.y)
    np.testing.assert_array_equal(one.covariates, other.covariates)


def _check_model(name: str, exchange: Exchange, scratch: Path) -> dict[str, Any]:
    with np.load(scratch / f"forecasts_{name}.npz") as saved:
        quantiles, origins = saved["quantiles"], saved["origins"]
    n, levels = len(exchange.unique_ids), len(exchange.levels)
    assert quantiles.shape == (4, n, exchange.horizon, levels), quantiles.shape
    assert np.isfinite(quantiles).all()
    truth, yesterday, last = _around(exchange, origins)
    median = quantiles[..., exchange.levels.index(0.5)]
    error, flat = np.abs(median - truth).mean(), np.abs(last - truth).mean()
    assert error < 0.7 * flat, f"{name}: error {error:.3f} is not below 0.7 of the last value's {flat:.3f}"
    _check_no_leak(name, exchange, quantiles)
    return {"mae": float(error), "mae_yesterday": float(np.abs(yesterday - truth).mean()), "mae_last": float(flat)}


def _around(exchange: Exchange, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at = ((origins - exchange.ds[0].to_datetime64()) / np.timedelta64(1, "h")).astype(int)
    ahead = at[:, None] + np.arange(exchange.horizon)
    parts = (exchange.y[:, ahead], exchange.y[:, ahead - 24], exchange.y[:, at - 1][..., None])
    return tuple(part.swapaxes(0, 1) for part in parts)  # type: ignore[return-value]


def _check_no_leak(name: str, exchange: Exchange, quantiles: np.ndarray) -> None:
    """Spoil all that comes after the first origin, train again, and expect the very same forecast."""
    fit = exchange.fits[0]
    first = exchange.position(fit.origins[0])
    y, covariates = exchange.y.copy(), exchange.covariates.copy()
    y[:, first:] = 1e4
    covariates[:, first + exchange.horizon :] = -1e4
    spoilt = replace(exchange, y=y, covariates=covariates)
    trained = train(name, spoilt, fit, SHORT, exchange.seed)
    again = predict_origins(trained, spoilt, fit)
    np.testing.assert_array_equal(again[0].astype(np.float32), quantiles[0], err_msg=f"{name} saw the future")
    assert not np.allclose(again[1], quantiles[1]), f"{name}: spoiling the past of the second origin changed nothing"
    _check_whole_history(trained, exchange, fit.origins[1], quantiles[1])


def _check_whole_history(trained: Trained, exchange: Exchange, origin: pd.Timestamp, expected: np.ndarray) -> None:
    """Give the library the whole history up to an origin, as its documentation does, and expect the same."""
    rows, at = np.arange(len(exchange.unique_ids)), exchange.position(origin)
    history = exchange.frame(rows, np.zeros_like(rows), at, target=True)
    future = exchange.frame(rows, np.full_like(rows, at), exchange.horizon, target=False)
    answer = trained.forecast.predict(df=history, futr_df=future).iloc[:, 2:].to_numpy()
    np.testing.assert_allclose(answer.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
