"""Boosted trees: what happens without LightGBM, what they can learn that lines cannot, and what a fit reports."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.support.forecast_tables import made_table
from vpp_sim.errors import DataError
from vpp_sim.forecasting.gbm import CANDIDATES, GbmForecaster
from vpp_sim.forecasting.protocol import Task
from vpp_sim.forecasting.windows import Split, inputs_at

TASK = Task("load", horizon_steps=24, levels=(0.1, 0.5, 0.9), covariates=("temperature_c",))
SPLITS = {"train": Split("train", 0, 1000), "validation": Split("validation", 1000, 1250)}


class Small(GbmForecaster):
    row_limit, most_rounds = 10_000, 60


def test_an_absent_library_is_named_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(DataError, match=r"needs LightGBM: pip install 'vpp-sim\[gbm\]'"):
        Small(TASK).fit(made_table(), **SPLITS)


def test_names_and_packages_are_had_without_the_library() -> None:
    program = (
        "import json, sys\nimport vpp_sim.forecasting\nfrom vpp_sim.registry import FORECASTERS\n"
        "FORECASTERS.load('gbm')\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert "vpp_sim.forecasting.gbm" in loaded
    assert not [name for name in loaded if name.split(".")[0] == "lightgbm"]


def test_learns_a_threshold_and_tells_how() -> None:
    """Values gain 2 where the covariate is above one: no line shows that."""
    table = made_table(slope=0.0, noise=0.1)
    table = replace(table, values=table.values + 2.0 * (table.covariates > 1.0))
    seen: list[tuple[int, int, float]] = []
    model = Small(TASK)
    report = model.fit(table, **SPLITS, progress=lambda *told: seen.append(told))
    median = np.concatenate([model.predict(inputs_at(table, at, TASK))[..., 1] for at in (1300, 1340, 1380)], axis=1)
    actual = np.concatenate([table.values[at : at + 24].T for at in (1300, 1340, 1380)], axis=1)
    assert np.abs(median - actual).mean() < 0.2
    assert [told[:2] for told in seen] == [(k, len(CANDIDATES) + 3) for k in range(1, len(CANDIDATES) + 4)]
    assert report.losses[report.best_round - 1] == pytest.approx(min(report.losses))
    assert report.settings is not None
    assert {key: report.settings[key] for key in CANDIDATES[0]} in CANDIDATES
    assert report.settings["rounds"] == model.rounds
    assert [len(each.trees_to_dataframe()["tree_index"].unique()) for each in model.ensembles] == list(model.rounds)
