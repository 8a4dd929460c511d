"""What the network may know: nothing after the issue, and no scale but its own context's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.lstm import LstmForecaster, lstm_network
from vpp_sim.forecasting.network import NetworkConfig
from vpp_sim.forecasting.protocol import ForecastInputs, require_levels
from vpp_sim.forecasting.transformer import TransformerForecaster, transformer_network
from vpp_sim.forecasting.windows import SeriesTable, inputs_at

MODELS = {"lstm": (lstm_network, LstmForecaster), "transformer": (transformer_network, TransformerForecaster)}


def opened(kind: str):
    build, forecaster = MODELS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return forecaster(build(NetworkConfig(core=kind, width=16, heads=2)))


@pytest.fixture
def table() -> SeriesTable:
    rng, step = np.random.default_rng(0), np.arange(400)
    return SeriesTable(
        values_kw=rng.gamma(2.0, 1.0, (400, 3)),
        weather=rng.uniform(0.0, 30.0, (400, 2)),
        hour=(step % 24) * 1.0,
        day_of_week=step // 24 % 7,
        day_of_year=1 + step // 24,
    )


@pytest.mark.parametrize("kind", MODELS)
def test_what_happens_after_the_issue_changes_no_prediction(kind: str, table: SeriesTable) -> None:
    later = replace(table, values_kw=table.values_kw.copy(), weather=table.weather.copy())
    later.values_kw[200:], later.weather[200:] = 1e5, 1e3
    here, there = (opened(kind).predict(inputs_at(t, 200, context_steps=168, horizon_steps=36)) for t in (table, later))
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("kind", MODELS)
def test_what_happened_before_the_issue_does_change_it(kind: str, table: SeriesTable) -> None:
    inputs = inputs_at(table, 200, context_steps=168, horizon_steps=36)
    warmer = replace(inputs, weather=inputs.weather + 5.0)
    busier = replace(inputs, history_kw=np.roll(inputs.history_kw, 1, axis=1))
    model = opened(kind)
    assert not np.array_equal(model.predict(inputs), model.predict(warmer))
    assert not np.array_equal(model.predict(inputs), model.predict(busier))


@pytest.mark.parametrize("kind", MODELS)
def test_scale_comes_from_the_context_alone(kind: str, table: SeriesTable) -> None:
    inputs = inputs_at(table, 200, context_steps=168, horizon_steps=36)
    model = opened(kind)
    larger = model.predict(replace(inputs, history_kw=8.0 * inputs.history_kw))
    np.testing.assert_allclose(larger, 8.0 * model.predict(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_series_do_not_see_each_other(kind: str, table: SeriesTable) -> None:
    inputs = inputs_at(table, 200, context_steps=168, horizon_steps=36)
    model = opened(kind)
    alone = model.predict(replace(inputs, history_kw=inputs.history_kw[1:2]))
    np.testing.assert_allclose(alone[0], model.predict(inputs)[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_hours_that_were_always_zero_stay_zero(kind: str) -> None:
    day = np.zeros(24)
    day[6:19] = 0.5
    inputs = ForecastInputs(
        np.tile(day, 7)[None],
        np.zeros((168, 2)),
        (np.arange(204) % 24) * 1.0,
        np.arange(204) // 24 % 7,
        np.ones(204, dtype=np.int64),
    )
    quantiles = opened(kind).predict(inputs)[0]
    night = np.r_[0:5, 20:24]
    np.testing.assert_allclose(quantiles[night], 0.0, atol=1e-6)
    assert quantiles[12].max() > 0.1


def test_no_series_give_no_forecast(table: SeriesTable) -> None:
    inputs = inputs_at(table, 200, context_steps=168, horizon_steps=36)
    empty = replace(inputs, history_kw=inputs.history_kw[:0])
    assert opened("lstm").predict(empty).shape == (0, 36, 7)


def test_predicting_leaves_the_threads_of_torch_alone(table: SeriesTable) -> None:
    before = torch.get_num_threads()
    opened("lstm").predict(inputs_at(table, 200, context_steps=168, horizon_steps=36))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history_kw": np.full((1, 168), -1.0)}, "history_kw is negative"),
        ({"history_kw": np.full((1, 168), np.nan)}, "not finite"),
        ({"weather": np.full((168, 2), np.nan)}, "weather has 336 values that are not finite"),
        ({"weather": np.zeros((204, 2))}, r"weather has shape \(204, 2\), expected \(168, 2\)"),
        ({"hour": np.full(204, 24.0)}, r"hour must lie in \[0, 24\)"),
        ({"day_of_week": np.full(204, 7)}, "day_of_week must lie in 0..6"),
        ({"day_of_year": np.ones(168, dtype=np.int64)}, r"day_of_year has shape \(168,\), expected \(204,\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(table: SeriesTable, change: dict, message: str) -> None:
    inputs = inputs_at(table, 200, context_steps=168, horizon_steps=36)
    with pytest.raises(PhysicsError, match=message):
        opened("lstm").predict(replace(inputs, **change))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"patch_steps": 10}, "multiples of patch_steps = 10"),
        ({"context_steps": 36}, "context_steps = 36 must be whole days"),
        ({"context_steps": 24, "horizon_steps": 24}, "two or more"),
        ({"levels": (0.5, 0.1)}, "must increase"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        NetworkConfig(core="lstm", **sizes)


def test_levels_need_the_median() -> None:
    with pytest.raises(DataError, match=r"contain 0\.5"):
        require_levels((0.1, 0.9))
