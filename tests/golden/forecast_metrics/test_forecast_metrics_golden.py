"""Measures of forecasts against other programs; README.md names them."""

import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.forecasting import metrics

FOLDER = Path(__file__).parent
INPUT = json.loads((FOLDER / "input.json").read_text())
EXPECTED = {name: entry["value"] for name, entry in json.loads((FOLDER / "expected.json").read_text()).items()}
LEVELS, EVEN = INPUT["levels"], INPUT["even_levels"]
SERIES = np.array(INPUT["series"])
ORIGINS = np.array(INPUT["origins"])
QUANTILES = np.array(INPUT["quantiles"])
POINT = QUANTILES[..., LEVELS.index(0.5)]
ACTUAL = np.stack([SERIES[:, origin : origin + 24] for origin in ORIGINS])
SEASON = INPUT["season_steps"]


def _mase_by_series() -> list[float]:
    scales = [metrics.rolling_scales(row, ORIGINS, SEASON) for row in SERIES]
    return [metrics.mase_over_windows(ACTUAL[:, i], POINT[:, i], scales[i]) for i in range(len(SERIES))]


def _mase_first_window() -> list[float]:
    scales = [metrics.seasonal_scale(row[: ORIGINS[0]], SEASON) for row in SERIES]
    return [metrics.mase(ACTUAL[0, i], POINT[0, i], scales[i]) for i in range(len(SERIES))]


def _by_share(values: dict[float, float]) -> dict[str, float]:
    return {str(share): value for share, value in values.items()}


FOUND = {
    "mase_over_windows": lambda: np.mean(_mase_by_series()),
    "mase_first_window": _mase_first_window,
    "wql_by_window": lambda: [metrics.weighted_quantile_loss(ACTUAL[w], QUANTILES[w], LEVELS) for w in range(3)],
    "wape": lambda: metrics.wape(ACTUAL, POINT),
    "mae": lambda: metrics.mae(ACTUAL, POINT),
    "rmse": lambda: metrics.rmse(ACTUAL, POINT),
    "nrmse_first_series": lambda: metrics.nrmse(ACTUAL[:, 0], POINT[:, 0]),
    "pinball": lambda: metrics.pinball_loss(ACTUAL, QUANTILES, LEVELS).tolist(),
    "crps": lambda: metrics.crps(ACTUAL, QUANTILES, LEVELS),
    "crps_even": lambda: metrics.crps(ACTUAL, np.array(INPUT["even_quantiles"]), EVEN),
    "crps_ensemble": lambda: metrics.crps_ensemble(ACTUAL, QUANTILES),
    "coverage": lambda: _by_share(
        {
            share: metrics.coverage(ACTUAL, QUANTILES[..., low], QUANTILES[..., high])
            for share, (low, high) in metrics.interval_shares(LEVELS).items()
        }
    ),
    "observed_shares": lambda: metrics.observed_shares(ACTUAL, QUANTILES).tolist(),
    "sharpness": lambda: _by_share(metrics.sharpness(QUANTILES, LEVELS)),
}


def test_every_entry_is_compared() -> None:
    assert FOUND.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_same_number_as_the_other_program(name: str) -> None:
    assert FOUND[name]() == pytest.approx(EXPECTED[name], rel=1e-12, abs=0.0)
