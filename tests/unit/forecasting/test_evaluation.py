"""Tables of measures: baselines against themselves, perfect forecasts, and the portfolio as a sum."""

import numpy as np
import pytest

from vpp_sim.forecasting.baselines import Persistence, SeasonalNaive
from vpp_sim.forecasting.evaluation import compare, forecasts_at, portfolio
from vpp_sim.forecasting.windows import SeriesTable, Split

TRAIN, TEST = Split("train", 0, 400), Split("test", 400, 600)


def table_of(values: np.ndarray) -> SeriesTable:
    step = np.arange(len(values))
    return SeriesTable(values, np.zeros((len(values), 2)), (step % 24) * 1.0, step // 24 % 7, 1 + step // 24)


@pytest.fixture
def table() -> SeriesTable:
    return table_of(np.random.default_rng(1).gamma(2.0, 1.0, (600, 3)))


def test_ratios_of_a_baseline_to_itself_are_one(table: SeriesTable) -> None:
    found = compare(
        {"persistence": Persistence(), "seasonal_naive": SeasonalNaive()}, table, TEST, train=TRAIN, stride=5
    )
    for group in ("homes", "portfolio"):
        assert found[group]["persistence"]["mase_ratio_to_persistence"] == 1.0
        assert found[group]["seasonal_naive"]["wql_ratio_to_seasonal_naive"] == 1.0
        own, other = found[group]["persistence"], found[group]["seasonal_naive"]
        assert own["mase_ratio_to_seasonal_naive"] == pytest.approx(own["mase"] / other["mase"], abs=1e-4)


def test_a_weekly_cycle_is_perfect_for_last_week_and_not_for_yesterday() -> None:
    week = np.random.default_rng(1).gamma(2.0, 1.0, 168)
    found = compare(
        {"persistence": Persistence(), "seasonal_naive": SeasonalNaive()},
        table_of(np.tile(week, 4)[:600, None]),
        TEST,
        train=TRAIN,
        stride=5,
    )["homes"]
    assert found["seasonal_naive"]["mae_kw"] == pytest.approx(0.0, abs=1e-9)
    # What yesterday is wrong by in test is what the scale of MASE measures in training, but for the second day.
    assert found["persistence"]["mase"] == pytest.approx(1.0, abs=0.15)


def test_independent_noise_is_covered_as_the_levels_say(table: SeriesTable) -> None:
    found = compare({"persistence": Persistence()}, table, TEST, train=TRAIN, stride=5)["homes"]["persistence"]
    assert found["coverage_90"] == pytest.approx(0.9, abs=0.05)
    assert found["coverage_50"] == pytest.approx(0.5, abs=0.05)


def test_portfolio_is_the_sum_of_the_homes(table: SeriesTable) -> None:
    whole = portfolio(table)
    assert whole.values_kw.shape == (600, 1)
    at = np.array([400, 405])
    np.testing.assert_allclose(
        forecasts_at(Persistence(), whole, at)[:, 0, :, 3], forecasts_at(Persistence(), table, at)[..., 3].sum(axis=1)
    )
