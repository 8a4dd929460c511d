"""How well forecasters do over a split: each home, and the portfolio as one series, beside the baselines.

Forecasts are issued at origins all over the split, at all hours of the day. The portfolio is the sum of the homes,
forecast as one more series. Ratios are of means over homes, each home scaled by its own error in the training split, so
that they read as in the literature: below one is better than the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.forecasting import metrics
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.forecasting.windows import SeriesTable, Split, inputs_at, origins, targets_at

__all__ = ["Scores", "Truth", "compare", "forecasts_at", "portfolio", "score"]

Scores: TypeAlias = Mapping[str, float]
"""Measure to value; those that end in ``_kw`` have the unit of the target."""

DAY_STEPS = 24


@dataclass(frozen=True, slots=True)
class Truth:
    """What happened, and the scales of MASE.

    Attributes
    ----------
    actual : ndarray, shape (N, n, H)
        What happened after each origin.
    scales : ndarray, shape (n,)
        In-sample error of the seasonal naive of each series.
    """

    actual: FloatArray
    scales: FloatArray


def portfolio(table: SeriesTable) -> SeriesTable:
    """Return the table of one series, the sum of all."""
    return replace(table, values_kw=table.values_kw.sum(axis=1, keepdims=True))


def forecasts_at(model: Forecaster, table: SeriesTable, at: IntArray) -> FloatArray:
    """Return quantiles (N, n, H, Q) of forecasts issued at each origin."""
    reach = {"context_steps": model.context_steps, "horizon_steps": model.horizon_steps}
    return np.stack([model.predict(inputs_at(table, int(origin), **reach)) for origin in at])


def score(truth: Truth, quantiles: FloatArray, levels: tuple[float, ...]) -> Scores:
    """Return the measures of one model, each the mean over series of the measure of a series."""
    rows = [
        _score_series(truth.actual[:, i], quantiles[:, i], levels, float(truth.scales[i]))
        for i in range(truth.actual.shape[1])
    ]
    return {name: round(float(np.mean([row[name] for row in rows])), 5) for name in rows[0]}


def _score_series(actual: FloatArray, quantiles: FloatArray, levels: tuple[float, ...], scale: float) -> Scores:
    median = quantiles[..., levels.index(0.5)]
    return {
        "mae_kw": metrics.mae(actual, median),
        "rmse_kw": metrics.rmse(actual, median),
        "nrmse": metrics.nrmse(actual, median),
        "mase": metrics.mase(actual, median, scale),
        "wql": metrics.weighted_quantile_loss(actual, quantiles, levels),
        **{f"coverage_{name}": value for name, value in _coverages(actual, quantiles, levels).items()},
    }


def _coverages(actual: FloatArray, quantiles: FloatArray, levels: tuple[float, ...]) -> Mapping[str, float]:
    """Return the coverage of each central interval, by its nominal share in percent."""
    half = len(levels) // 2
    return {
        f"{100 * (levels[-1 - i] - levels[i]):.0f}": metrics.coverage(actual, quantiles[..., i], quantiles[..., -1 - i])
        for i in range(half)
    }


def compare(
    models: Mapping[str, Forecaster], table: SeriesTable, split: Split, *, train: Split, stride: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Return measures by group (``homes``, ``portfolio``) and model, with ratios to the baselines among the models.

    Parameters
    ----------
    models : mapping of str to Forecaster
        All of one horizon.
    table : SeriesTable
        Series of the homes.
    split : Split
        Targets to measure on.
    train : Split
        Where the errors are taken that scale those of MASE.
    stride : int
        Steps between origins; prime to 24, so that all hours of issue occur.

    Returns
    -------
    dict
        ``result[group][model][measure]``; ``mase_ratio_to_<baseline>`` and ``wql_ratio_to_<baseline>`` for each of
        `persistence`, `seasonal_naive` and `persistence_ensemble` that is there.
    """
    horizon = next(iter(models.values())).horizon_steps
    longest = max(model.context_steps for model in models.values())
    at = origins(split, context_steps=longest, horizon_steps=horizon, stride=stride)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for group, series in (("homes", table), ("portfolio", portfolio(table))):
        scales = [metrics.seasonal_scale(row, DAY_STEPS) for row in series.values_kw[train.start : train.stop].T]
        truth = Truth(targets_at(series, at, horizon_steps=horizon), np.array(scales))
        scores = {name: score(truth, forecasts_at(model, series, at), model.levels) for name, model in models.items()}
        result[group] = {name: {**own, **_ratios(own, scores)} for name, own in scores.items()}
    return result


def _ratios(own: Scores, scores: Mapping[str, Scores]) -> dict[str, float]:
    """Return ratios to the baselines; a baseline without error has no ratio."""
    return {
        f"{measure}_ratio_to_{name}": round(own[measure] / scores[name][measure], 4)
        for name in ("persistence", "seasonal_naive", "persistence_ensemble")
        if name in scores
        for measure in ("mase", "wql")
        if scores[name][measure] > 0.0
    }
