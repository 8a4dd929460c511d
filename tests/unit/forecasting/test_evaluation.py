"""Tables of measures: baselines against themselves, perfect forecasts, and the portfolio as a sum."""

import numpy as np
import pytest

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.forecasting.baselines import Perfect, Persistence, SeasonalNaive
from vpp_sim.forecasting.evaluation import compare, forecasts_at, portfolio, with_portfolio
from vpp_sim.forecasting.metrics import seasonal_scale
from vpp_sim.forecasting.protocol import Task
from vpp_sim.forecasting.windows import SeriesTable, Split

TASK = Task("load", covariates=())
TRAIN, TEST = Split("train", 0, 400), Split("test", 400, 600)
BASELINES = {"persistence": Persistence(TASK), "seasonal_naive": SeasonalNaive(TASK)}


def table_of(values: np.ndarray, day_steps: int = 24) -> SeriesTable:
    step = np.arange(len(values))
    return SeriesTable(
        values=values,
        covariates=np.zeros((len(values), 0)),
        issued=IssuedForecasts(np.array([0]), np.zeros((1, len(values), 0)), ()),
        hour=step % day_steps * 24.0 / day_steps,
        day_of_week=step // day_steps % 7,
        day_of_year=1 + step // day_steps,
    )


@pytest.fixture
def table() -> SeriesTable:
    return table_of(np.random.default_rng(1).gamma(2.0, 1.0, (600, 3)))


def test_ratios_of_a_baseline_to_itself_are_one(table: SeriesTable) -> None:
    found = compare(BASELINES, table, TEST, train=TRAIN, stride=5)
    for group in ("homes", "portfolio"):
        assert found[group]["persistence"]["mase_ratio_to_persistence"] == 1.0
        assert found[group]["seasonal_naive"]["wql_ratio_to_seasonal_naive"] == 1.0
        own, other = found[group]["persistence"], found[group]["seasonal_naive"]
        assert own["mase_ratio_to_seasonal_naive"] == pytest.approx(own["mase"] / other["mase"], abs=1e-4)


def test_each_series_is_listed_and_the_homes_are_their_mean(table: SeriesTable) -> None:
    found = compare(BASELINES, table, TEST, train=TRAIN, stride=5)
    for name in BASELINES:
        each = found["each"][name]
        assert set(each) == {m for m in found["homes"][name] if "ratio" not in m}
        assert all(len(values) == 3 for values in each.values())
        for measure, values in each.items():
            assert found["homes"][name][measure] == pytest.approx(np.mean(values), abs=2e-5)


def test_measures_are_those_of_hand_arithmetic() -> None:
    """Flat days at 1 and 3 kW in turn: yesterday is wrong by 2 everywhere, and the scale of MASE is 2."""
    values = np.repeat(np.tile([1.0, 3.0], 13), 24)[:600, None]
    task = Task("load", horizon_steps=24, covariates=())
    found = compare({"persistence": Persistence(task)}, table_of(values), TEST, train=TRAIN, stride=24)
    own = found["homes"]["persistence"]
    assert (own["mae"], own["rmse"], own["mase"]) == (2.0, 2.0, 1.0)
    # Step 400 is 16 h into a day at 1 kW. Four of eight forecasts are 8 h at 1 and 16 h at 3, four the reverse.
    assert own["wape"] == pytest.approx(1.0, abs=1e-5)
    assert own["nrmse"] == pytest.approx(1.0, abs=1e-5)


def test_a_weekly_cycle_is_perfect_for_last_week_and_not_for_yesterday() -> None:
    week = np.random.default_rng(1).gamma(2.0, 1.0, 168)
    table = table_of(np.tile(week, 4)[:600, None])
    found = compare(BASELINES, table, TEST, train=TRAIN, stride=5)["homes"]
    assert found["seasonal_naive"]["mae"] == pytest.approx(0.0, abs=1e-9)
    assert "mase_ratio_to_seasonal_naive" not in found["persistence"]  # a baseline without error has no ratio
    # What yesterday is wrong by in test is what the scale of MASE measures in training, but for the second day.
    assert found["persistence"]["mase"] == pytest.approx(1.0, abs=0.15)


def test_a_bound_is_told_the_truth(table: SeriesTable) -> None:
    found = compare({"perfect": Perfect(TASK)}, table, TEST, train=TRAIN, stride=5)
    for group in ("homes", "portfolio"):
        assert (found[group]["perfect"]["mae"], found[group]["perfect"]["crps"]) == (0.0, 0.0)


def test_independent_noise_is_covered_as_the_levels_say(table: SeriesTable) -> None:
    found = compare({"persistence": Persistence(TASK)}, table, TEST, train=TRAIN, stride=5)["homes"]["persistence"]
    assert found["coverage_90"] == pytest.approx(0.9, abs=0.05)
    assert found["coverage_50"] == pytest.approx(0.5, abs=0.05)


def test_the_scale_of_finer_steps_is_that_of_yesterday() -> None:
    """The error of the seasonal naive is that of a day before, whatever the length of a step."""
    values = np.random.default_rng(2).gamma(2.0, 1.0, (1400, 1))
    task = Task("load", step_s=1800, context_steps=336, horizon_steps=48, covariates=())
    found = compare({"persistence": Persistence(task)}, table_of(values, 48), Split("test", 900, 1400),
                    train=Split("train", 0, 900), stride=5)["homes"]["persistence"]  # fmt: skip
    assert found["mase"] == pytest.approx(found["mae"] / seasonal_scale(values[:900, 0], 48), abs=1e-5)


def test_portfolio_is_the_sum_of_the_homes(table: SeriesTable) -> None:
    whole = portfolio(table)
    assert whole.values.shape == (600, 1)
    at = np.array([400, 405])
    np.testing.assert_allclose(
        forecasts_at(Persistence(TASK), whole, at)[:, 0, :, 3],
        forecasts_at(Persistence(TASK), table, at)[..., 3].sum(axis=1),
    )
    both = with_portfolio(table)
    assert both.values.shape == (600, 4)
    np.testing.assert_array_equal(both.values[:, :3], table.values)
    np.testing.assert_array_equal(both.values[:, 3:], whole.values)
