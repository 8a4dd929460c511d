"""Gradient-boosted trees over all series, by LightGBM [1]_: what practitioners would use, tuned as well as we can.

One ensemble for each quantile level, on the features of :mod:`~vpp_sim.forecasting.tabular`. The size of the trees is
chosen on the validation split by the loss of the median; each level stops by its own loss there.

LightGBM is an extra: ``pip install 'vpp-sim[gbm]'``. It runs on one thread, and the same seed gives the same trees.

References
----------
.. [1] G. Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017.
   https://papers.nips.cc/paper/6907-lightgbm-a-highly-efficient-gradient-boosting-decision-tree
"""

from __future__ import annotations

import bz2
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import FitReport, Progress, Task
from vpp_sim.forecasting.rowwise import RowForecaster, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightgbm import Booster, Dataset
    from numpy.typing import NDArray

    from vpp_sim.forecasting.tabular import Features

__all__ = ["CANDIDATES", "GbmForecaster"]

CANDIDATES: tuple[dict[str, float], ...] = (
    {"num_leaves": 8, "learning_rate": 0.1, "min_data_in_leaf": 500, "feature_fraction": 0.25},
    {"num_leaves": 16, "learning_rate": 0.1, "min_data_in_leaf": 500, "feature_fraction": 0.25},
    {"num_leaves": 31, "learning_rate": 0.07, "min_data_in_leaf": 500, "feature_fraction": 0.25},
)
"""What is chosen from. Larger trees, more rounds at a lower rate and randomised splits gained nothing on homes."""

FIXED: dict[str, object] = {
    "objective": "quantile",
    "metric": "quantile",
    "lambda_l2": 1.0,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "verbose": -1,
}
PATIENCE = 20


class GbmForecaster(RowForecaster):
    """Ensembles of trees, one for each level.

    Raises
    ------
    DataError
        When it is fitted or read from a file without LightGBM installed.
    """

    kind = "gbm"
    row_limit = 200_000
    most_rounds: ClassVar[int] = 200
    candidates: ClassVar[tuple[dict[str, float], ...]] = CANDIDATES

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.chosen = self.candidates[0]
        self.rounds: tuple[int, ...] = (1,) * len(task.levels)
        self.ensembles: tuple[Booster, ...] = ()

    def choose(self, taught: Sample, checked: Sample, seed: int, progress: Progress | None) -> FitReport:
        """Choose the trees by the median's loss, and the rounds of each level; see :class:`RowForecaster`.

        What is learned from both splits takes more rounds in proportion to its rows.
        """
        data = _dataset(taught), _dataset(checked)
        tried, total = [], len(self.candidates) + len(self.task.levels)
        for candidate in self.candidates:
            tried.append(_stopped(*data, self._settings(candidate, 0.5, seed), self.most_rounds))
            if progress is not None:
                progress(len(tried), total, min(tried[-1][1]))
        best = int(np.argmin([min(losses) for _, losses in tried]))
        self.chosen, (median, losses) = self.candidates[best], tried[best]
        found = []
        for level in self.task.levels:
            again = (
                median
                if level == 0.5
                else _stopped(*data, self._settings(self.chosen, level, seed), self.most_rounds)[0]
            )
            found.append(again)
            if progress is not None:
                progress(len(tried) + len(found), total, min(losses))
        self.ensembles = tuple(_kept(each) for each in found)
        best_rounds = [int(each.best_iteration) for each in found]
        more = 1.0 + len(checked.target) / len(taught.target)
        self.rounds = tuple(round(more * rounds) for rounds in best_rounds)
        settings: dict[str, object] = {**self.chosen, "rounds": self.rounds}
        leaves = int(self.chosen["num_leaves"]) * sum(self.rounds)
        return FitReport(tuple(map(float, losses)), best_rounds[self.task.median], leaves, settings)

    def learn(self, sample: Sample, seed: int) -> None:
        """Grow the trees chosen, for the rounds chosen."""
        lightgbm, data = _lightgbm(), _dataset(sample)
        self.ensembles = tuple(
            _kept(lightgbm.train(self._settings(self.chosen, level, seed), data, rounds))
            for level, rounds in zip(self.task.levels, self.rounds, strict=True)
        )

    def deviations(self, features: Features, hour: IntArray) -> FloatArray:
        """Return quantiles (N, Q), put in order; see :class:`RowForecaster`."""
        found = np.stack([each.predict(features, num_threads=1) for each in self.ensembles], axis=1)
        ordered: FloatArray = np.sort(found.astype(np.float64), axis=1)
        return ordered

    def state(self) -> tuple[Mapping[str, Any], Mapping[str, NDArray[Any]]]:
        """Return what was chosen, and the trees as compressed text."""
        sizes, arrays = super().state()
        text = "".join(each.model_to_string(num_iteration=-1) + _BETWEEN for each in self.ensembles)
        packed = np.frombuffer(bz2.compress(text.encode()), dtype=np.uint8)
        return {**sizes, "chosen": self.chosen, "rounds": self.rounds}, {**arrays, "trees": packed}

    @classmethod
    def restore(cls, task: Task, sizes: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Return the forecaster of a state."""
        model = super().restore(task, sizes, arrays)
        lightgbm = _lightgbm()
        texts = bz2.decompress(arrays["trees"].tobytes()).decode().split(_BETWEEN)[:-1]
        model.chosen, model.rounds = dict(sizes["chosen"]), tuple(sizes["rounds"])
        model.ensembles = tuple(lightgbm.Booster(model_str=text) for text in texts)
        return model

    def _settings(self, candidate: Mapping[str, float], level: float, seed: int) -> dict[str, Any]:
        return {**FIXED, **candidate, "alpha": level, "seed": seed}


_BETWEEN = "\f"


def _lightgbm() -> Any:
    """Return the LightGBM module."""
    try:
        import lightgbm
    except ImportError as error:
        raise DataError("the gbm forecaster needs LightGBM: pip install 'vpp-sim[gbm]'") from error
    return lightgbm


def _dataset(sample: Sample) -> Dataset:
    data: Dataset = _lightgbm().Dataset(sample.features, sample.target, free_raw_data=False, params=FIXED)
    return data


def _stopped(taught: Dataset, checked: Dataset, settings: dict[str, Any], rounds: int) -> tuple[Booster, list[float]]:
    """Return an ensemble that stopped by `checked`, and its losses there by round."""
    lightgbm = _lightgbm()
    losses: dict[str, dict[str, list[float]]] = {}
    watch = [lightgbm.early_stopping(PATIENCE, verbose=False), lightgbm.record_evaluation(losses)]
    grown = lightgbm.train(settings, taught, rounds, valid_sets=[checked], valid_names=["check"], callbacks=watch)
    return grown, losses["check"]["quantile"]


def _kept(grown: Booster) -> Booster:
    """Return the ensemble as it will be read from a file, without its data."""
    kept: Booster = _lightgbm().Booster(model_str=grown.model_to_string())
    return kept
