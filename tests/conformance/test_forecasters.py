"""What every forecaster of the registry must keep, whatever it is made of."""

from dataclasses import fields

import numpy as np
import pytest

from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.protocol import TARGETS, ForecastInputs
from vpp_sim.registry import FORECASTERS


@pytest.fixture(
    scope="module", params=[(name, target) for name in FORECASTERS.names for target in TARGETS], ids="-".join
)
def model(request):
    name, target = request.param
    return FORECASTERS.load(name).open(target=target, step_s=3600)


def known(model, homes: int = 5, seed: int = 11) -> ForecastInputs:
    rng, past = np.random.default_rng(seed), model.context_steps
    steps = 7 + np.arange(past + model.horizon_steps)
    daily = 1.0 + np.sin(2 * np.pi * steps[:past] / 24)
    return ForecastInputs(
        history_kw=rng.gamma(2.0, 0.3, (homes, past)) * daily,
        weather=np.stack([rng.normal(20.0, 5.0, past), 300.0 * daily], axis=1),
        hour=(steps % 24) * 1.0,
        day_of_week=steps // 24 % 7,
        day_of_year=200 + steps // 24,
    )


class TestForecaster:
    def test_names_its_shape(self, model) -> None:
        assert model.step_s == 3600
        assert model.horizon_steps >= 36
        assert model.context_steps >= 24
        assert 0.5 in model.levels
        assert list(model.levels) == sorted(set(model.levels))

    def test_gives_finite_ordered_quantiles(self, model) -> None:
        quantiles = model.predict(known(model))
        assert quantiles.shape == (5, model.horizon_steps, len(model.levels))
        assert quantiles.dtype == np.float64
        assert np.isfinite(quantiles).all()
        assert (np.diff(quantiles, axis=-1) >= 0.0).all()
        assert quantiles.min() >= 0.0

    def test_leaves_its_inputs_alone(self, model) -> None:
        inputs, copy = known(model), known(model)
        for field in fields(inputs):
            getattr(inputs, field.name).flags.writeable = False
        model.predict(inputs)
        for field in fields(inputs):
            np.testing.assert_array_equal(getattr(inputs, field.name), getattr(copy, field.name))

    def test_gives_the_same_bits_again(self, model) -> None:
        inputs = known(model)
        first = model.predict(inputs)
        model.predict(known(model, seed=12))
        assert first.tobytes() == model.predict(inputs).tobytes()

    def test_gives_the_order_of_homes_that_it_was_given(self, model) -> None:
        inputs = known(model)
        turned = ForecastInputs(
            inputs.history_kw[::-1], inputs.weather, *(getattr(inputs, f.name) for f in fields(inputs)[2:])
        )
        np.testing.assert_allclose(model.predict(turned)[::-1], model.predict(inputs), rtol=1e-5, atol=1e-5)

    def test_serves_one_home_and_many(self, model) -> None:
        assert model.predict(known(model, homes=1)).shape[0] == 1
        assert model.predict(known(model, homes=300)).shape[0] == 300

    def test_forecasts_nothing_for_a_home_that_draws_nothing(self, model) -> None:
        inputs = known(model)
        inputs.history_kw[2] = 0.0
        np.testing.assert_allclose(model.predict(inputs)[2], 0.0, atol=1e-9)

    def test_refuses_a_wrong_context(self, model) -> None:
        inputs = known(model)
        short = ForecastInputs(
            inputs.history_kw[:, 1:], inputs.weather, inputs.hour, inputs.day_of_week, inputs.day_of_year
        )
        with pytest.raises(PhysicsError, match="history_kw has shape"):
            model.predict(short)

    def test_refuses_an_unknown_target(self, model) -> None:
        with pytest.raises(DataError, match="unknown forecast target 'wind'"):
            type(model).open(target="wind", step_s=3600)
