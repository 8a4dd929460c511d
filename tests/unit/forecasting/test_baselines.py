"""Naive forecasts against what they are defined to be."""

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.baselines import Perfect, Persistence, PersistenceEnsemble, SeasonalNaive
from vpp_sim.forecasting.protocol import ForecastInputs, Task

LOAD, PRICE = Task("load", covariates=()), Task("price", covariates=())


def known(history: np.ndarray, horizon: int = 36) -> ForecastInputs:
    past = history.shape[1]
    steps = np.arange(past + horizon)
    return ForecastInputs(history, np.zeros((past + horizon, 0)), (steps % 24) * 1.0, steps // 24 % 7, 1 + steps // 24)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def history(rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(2.0, 1.0, (3, 168))


def test_persistence_repeats_the_latest_day(history: np.ndarray) -> None:
    median = Persistence(LOAD).predict(known(history))[..., 3]
    np.testing.assert_allclose(median[:, :24], history[:, -24:])
    np.testing.assert_allclose(median[:, 24:], history[:, -24:-12])


def test_seasonal_naive_repeats_the_week_before(history: np.ndarray) -> None:
    np.testing.assert_allclose(SeasonalNaive(LOAD).predict(known(history))[..., 3], history[:, :36])


def test_ensemble_is_the_mean_day(history: np.ndarray) -> None:
    median = PersistenceEnsemble(LOAD).predict(known(history))[..., 3]
    np.testing.assert_allclose(median[:, 5], history[:, 5::24].mean(axis=1))
    np.testing.assert_allclose(median[:, 29], median[:, 5])


@pytest.mark.parametrize("kind", [Persistence, SeasonalNaive, PersistenceEnsemble])
def test_of_a_longer_context_the_last_week_counts(kind, history: np.ndarray, rng: np.random.Generator) -> None:
    older = np.concatenate([rng.gamma(9.0, 9.0, (3, 168)), history], axis=1)
    np.testing.assert_array_equal(
        kind(replace(LOAD, context_steps=336)).predict(known(older)), kind(LOAD).predict(known(history))
    )


def test_a_series_that_repeats_daily_has_no_spread() -> None:
    day = np.tile(np.linspace(1.0, 2.0, 24), 7)[None]
    for kind in (Persistence, SeasonalNaive, PersistenceEnsemble):
        quantiles = kind(LOAD).predict(known(day))
        np.testing.assert_allclose(quantiles[0, :, -1] - quantiles[0, :, 0], 0.0, atol=1e-12)


def test_quantiles_come_from_the_differences_between_days() -> None:
    # Flat days at 10, 11, 10, 11, ...: a day differs from the one before by exactly one, up or down.
    days = np.repeat([10.0, 11.0, 10.0, 11.0, 10.0, 11.0, 10.0], 24)[None]
    quantiles = Persistence(LOAD).predict(known(days))
    np.testing.assert_allclose(quantiles[0, 3], [9.0, 9.0, 9.0, 10.0, 11.0, 11.0, 11.0])
    # Two days apart they are equal, which is what the second day ahead rests on.
    np.testing.assert_allclose(quantiles[0, 30], 10.0)


def test_load_is_floored_at_zero_and_prices_are_not(rng: np.random.Generator) -> None:
    history = rng.gamma(0.2, 1.0, (4, 168))
    assert Persistence(LOAD).predict(known(history)).min() == 0.0
    below = Persistence(PRICE).predict(known(history))
    assert below.min() < 0.0
    np.testing.assert_allclose(Persistence(PRICE).predict(known(history - 5.0)), below - 5.0)


def test_finer_steps_keep_the_hours(rng: np.random.Generator) -> None:
    model = Persistence.open("load", step_s=900)
    assert (model.task.context_steps, model.task.horizon_steps, model.task.step_s) == (672, 144, 900)
    history, steps = rng.gamma(2.0, 1.0, (1, 672)), np.arange(816)
    inputs = ForecastInputs(history, np.zeros((816, 2)), steps % 96 / 4.0, steps // 96 % 7, 1 + steps // 96)
    np.testing.assert_allclose(model.predict(inputs)[0, :96, 3], history[0, -96:])


@pytest.mark.parametrize("step_s", [1000, 0])
def test_steps_must_divide_an_hour(step_s: int) -> None:
    with pytest.raises(DataError, match=f"step_s = {step_s} must divide an hour"):
        Persistence.open("load", step_s)


def test_less_than_a_week_is_refused() -> None:
    with pytest.raises(DataError, match="the seasonal_naive forecaster needs 7 days of context, not 100 steps"):
        SeasonalNaive(replace(LOAD, context_steps=100))


def test_the_bound_is_the_truth_at_every_level(history: np.ndarray) -> None:
    truth = history[:, 20:56]
    quantiles = Perfect(LOAD).predict(replace(known(history), truth=truth))
    assert quantiles.shape == (3, 36, 7)
    np.testing.assert_array_equal(quantiles, np.repeat(truth[..., None], 7, axis=-1))


def test_the_bound_must_be_told_the_whole_truth(history: np.ndarray) -> None:
    with pytest.raises(PhysicsError, match="the perfect forecaster was not told what will happen"):
        Perfect(LOAD).predict(known(history))
    with pytest.raises(PhysicsError, match=r"truth has shape \(3, 35\), expected \(3, 36\)"):
        Perfect(LOAD).predict(replace(known(history), truth=history[:, :35]))
