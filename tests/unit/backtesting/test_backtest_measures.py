"""Measures of a back-test: hand arithmetic, and what has no value."""

import numpy as np
import pytest

from vpp_sim.backtesting.measures import measures_of, ratios, scales_of, spread_of
from vpp_sim.forecasting import metrics

LEVELS = (0.1, 0.5, 0.9)


def test_the_measures_of_one_series() -> None:
    """Errors 1 and 3 over outcomes 2 and 6: MAE 2, RMSE sqrt 5, both by the mean 4; scales 2 and 6 give (1/2+3/6)/2."""
    actual = np.array([[2.0], [6.0]])
    quantiles = np.array([[[0.0, 1.0, 4.0]], [[1.0, 3.0, 5.0]]])
    found = measures_of(actual, quantiles, LEVELS, np.array([2.0, 6.0]))
    assert {name: found[name] for name in ("mae", "nrmse", "wape", "mase", "coverage_80", "sharpness_80")} == {
        "mae": 2.0, "nrmse": pytest.approx(5**0.5 / 4), "wape": 0.5, "mase": 0.5, "coverage_80": 0.5,
        "sharpness_80": 4.0,
    }  # fmt: skip
    assert found["wql"] == metrics.weighted_quantile_loss(actual, quantiles, LEVELS)
    assert found["crps"] == metrics.crps(actual, quantiles, LEVELS)


def test_what_has_no_value_is_said_to_have_none() -> None:
    found = measures_of(np.zeros((2, 1)), np.zeros((2, 1, 3)), LEVELS, None)
    assert [name for name, value in found.items() if value is None] == ["nrmse", "wape", "mase", "wql"]
    assert ratios(found, {"persistence": found})["mase_ratio_to_persistence"] is None
    assert scales_of(np.ones(50), np.array([30]), 24) is None


def test_one_seed_has_no_spread() -> None:
    assert spread_of([{"mae": 1.0}]) == {"mae": None}
