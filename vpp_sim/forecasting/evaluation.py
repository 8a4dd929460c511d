"""How well forecasters do over a split: each home, and the portfolio as one series, beside the baselines.

Forecasts are issued at origins all over the split, at all hours of the day. The portfolio is the sum of the homes,
forecast as one more series. Ratios are of means over homes, each home scaled by its own error in the training split, so
that they read as in the literature: below one is better than the baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.forecasting import metrics
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.forecasting.windows import SeriesTable, Split, inputs_at, origins, targets_at

__all__ = [
    "Scores",
    "Truth",
    "compare",
    "forecasts_at",
    "portfolio",
    "score",
    "score_each",
    "score_series",
    "with_portfolio",
]

Scores: TypeAlias = Mapping[str, float]
"""Measure to value; `mae`, `rmse` and `crps` have the unit of the target."""


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
    return replace(table, values=table.values.sum(axis=1, keepdims=True))


def with_portfolio(table: SeriesTable) -> SeriesTable:
    """Return the table with the sum of all series as one more, the last."""
    return replace(table, values=np.column_stack([table.values, table.values.sum(axis=1)]))


def forecasts_at(model: Forecaster, table: SeriesTable, at: IntArray) -> FloatArray:
    """Return quantiles (N, n, H, Q) of forecasts issued at each origin."""
    return np.stack([model.predict(inputs_at(table, int(o), model.task, truth=model.needs_truth)) for o in at])


def score(truth: Truth, quantiles: FloatArray, levels: tuple[float, ...]) -> Scores:
    """Return the measures of one model, each the mean over series of the measure of a series."""
    return _means(score_each(truth, quantiles, levels))


def score_each(truth: Truth, quantiles: FloatArray, levels: tuple[float, ...]) -> list[Scores]:
    """Return the measures of one model for each series."""
    return [
        score_series(truth.actual[:, i], quantiles[:, i], levels, float(truth.scales[i]))
        for i in range(truth.actual.shape[1])
    ]


def score_series(actual: FloatArray, quantiles: FloatArray, levels: tuple[float, ...], scale: float) -> Scores:
    """Return the measures of one model for one series.

    Parameters
    ----------
    actual : ndarray, shape (N, H)
        What happened after each origin [unit of the target].
    quantiles : ndarray, shape (N, H, Q)
        What was forecast.
    levels : tuple of float
        Quantile levels.
    scale : float
        In-sample error of the seasonal naive [unit of the target].
    """
    median = quantiles[..., levels.index(0.5)]
    return {
        "mae": metrics.mae(actual, median),
        "rmse": metrics.rmse(actual, median),
        "nrmse": metrics.nrmse(actual, median),
        "wape": metrics.wape(actual, median),
        "mase": metrics.mase(actual, median, scale),
        "wql": metrics.weighted_quantile_loss(actual, quantiles, levels),
        "crps": metrics.crps(actual, quantiles, levels),
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
) -> dict[str, dict[str, Any]]:
    """Return measures by group and model, with ratios to the baselines among the models.

    Parameters
    ----------
    models : mapping of str to Forecaster
        All of one horizon and length of step.
    table : SeriesTable
        Series of the homes.
    split : Split
        Targets to measure on.
    train : Split
        Where the errors are taken that scale those of MASE.
    stride : int
        Steps between origins; prime to those of a day, so that all hours of issue occur.

    Returns
    -------
    dict
        ``result[group][model][measure]``, where the groups are ``homes``, the mean over series, and ``portfolio``,
        their sum as one series; ``mase_ratio_to_<baseline>`` and ``wql_ratio_to_<baseline>`` for each of `persistence`,
        `seasonal_naive` and `persistence_ensemble` that is there. ``result["each"][model][measure]`` is a list over
        series.
    """
    horizon = next(iter(models.values())).task.horizon_steps
    longest = max(model.task.context_steps for model in models.values())
    at = origins(split, context_steps=longest, horizon_steps=horizon, stride=stride)
    rows = {name: _rows(models, name_table, at, train) for name, name_table in _groups(table).items()}
    result: dict[str, dict[str, Any]] = {}
    for group, found in rows.items():
        scores = {name: _means(each) for name, each in found.items()}
        result[group] = {name: {**own, **_ratios(own, scores)} for name, own in scores.items()}
    result["each"] = {name: _columns(each) for name, each in rows["homes"].items()}
    return result


def _groups(table: SeriesTable) -> dict[str, SeriesTable]:
    return {"homes": table, "portfolio": portfolio(table)}


def _rows(models: Mapping[str, Forecaster], table: SeriesTable, at: IntArray, train: Split) -> dict[str, list[Scores]]:
    """Return the measures of each model for each series."""
    task = next(iter(models.values())).task
    scales = [metrics.seasonal_scale(row, task.day_steps) for row in table.values[train.start : train.stop].T]
    truth = Truth(targets_at(table, at, horizon_steps=task.horizon_steps), np.array(scales))
    return {
        name: score_each(truth, forecasts_at(model, table, at), model.task.levels) for name, model in models.items()
    }


def _means(rows: Sequence[Scores]) -> dict[str, float]:
    return {name: round(float(np.mean([row[name] for row in rows])), 5) for name in rows[0]}


def _columns(rows: Sequence[Scores]) -> dict[str, list[float]]:
    return {name: [round(row[name], 5) for row in rows] for name in rows[0]}


def _ratios(own: Scores, scores: Mapping[str, Scores]) -> dict[str, float]:
    """Return ratios to the baselines; a baseline without error has no ratio."""
    return {
        f"{measure}_ratio_to_{name}": round(own[measure] / scores[name][measure], 4)
        for name in ("persistence", "seasonal_naive", "persistence_ensemble")
        if name in scores
        for measure in ("mase", "wql")
        if scores[name][measure] > 0.0
    }
