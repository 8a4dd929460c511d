"""Naive forecasts against what they are defined to be."""

import numpy as np
import pytest

from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.baselines import Persistence, PersistenceEnsemble, SeasonalNaive
from vpp_sim.forecasting.protocol import ForecastInputs


def known(history: np.ndarray, horizon: int = 36) -> ForecastInputs:
    past = history.shape[1]
    steps = np.arange(past + horizon)
    return ForecastInputs(history, np.zeros((past, 2)), (steps % 24) * 1.0, steps // 24 % 7, 1 + steps // 24)


@pytest.fixture
def history(rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(2.0, 1.0, (3, 168))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_persistence_repeats_the_latest_day(history: np.ndarray) -> None:
    median = Persistence().predict(known(history))[..., 3]
    np.testing.assert_allclose(median[:, :24], history[:, -24:])
    np.testing.assert_allclose(median[:, 24:], history[:, -24:-12])


def test_seasonal_naive_repeats_the_week_before(history: np.ndarray) -> None:
    np.testing.assert_allclose(SeasonalNaive().predict(known(history))[..., 3], history[:, :36])


def test_ensemble_is_the_mean_day(history: np.ndarray) -> None:
    median = PersistenceEnsemble().predict(known(history))[..., 3]
    np.testing.assert_allclose(median[:, 5], history[:, 5::24].mean(axis=1))
    np.testing.assert_allclose(median[:, 29], median[:, 5])


def test_a_series_that_repeats_daily_has_no_spread() -> None:
    day = np.tile(np.linspace(1.0, 2.0, 24), 7)[None]
    for model in (Persistence(), SeasonalNaive(), PersistenceEnsemble()):
        quantiles = model.predict(known(day))
        steep = np.abs(quantiles[0, :, -1] - quantiles[0, :, 0])
        np.testing.assert_allclose(steep, 0.0, atol=1e-12)


def test_quantiles_come_from_the_differences_between_days() -> None:
    # Flat days at 10, 11, 10, 11, ...: a day differs from the one before by exactly one, up or down.
    days = np.repeat([10.0, 11.0, 10.0, 11.0, 10.0, 11.0, 10.0], 24)[None]
    quantiles = Persistence().predict(known(days))
    np.testing.assert_allclose(quantiles[0, 3], [9.0, 9.0, 9.0, 10.0, 11.0, 11.0, 11.0])
    # Two days apart they are equal, which is what the second day ahead rests on.
    np.testing.assert_allclose(quantiles[0, 30], 10.0)


def test_quantiles_never_fall_below_zero(rng: np.random.Generator) -> None:
    history = rng.gamma(0.2, 1.0, (4, 168))
    quantiles = Persistence().predict(known(history))
    assert quantiles.min() == 0.0


def test_finer_steps_keep_the_hours(rng: np.random.Generator) -> None:
    model = Persistence.open("load", step_s=900)
    assert (model.context_steps, model.horizon_steps) == (672, 144)
    history = rng.gamma(2.0, 1.0, (1, 672))
    np.testing.assert_allclose(model.predict(known(history, 144))[0, :96, 3], history[0, -96:])


def test_steps_must_divide_an_hour() -> None:
    with pytest.raises(DataError, match="step_s = 1000 must divide an hour"):
        Persistence(1000)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(DataError, match="unknown forecast target 'wind'; allowed: load, pv"):
        Persistence.open("wind")


def test_a_wrong_context_is_refused(history: np.ndarray) -> None:
    with pytest.raises(PhysicsError, match=r"history_kw has shape \(3, 100\), expected \(3, 168\)"):
        Persistence().predict(known(history[:, :100]))
