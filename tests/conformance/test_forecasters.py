"""What every forecaster of the registry must keep, whatever it is made of and whatever it forecasts."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_forecasters import (
    NETWORKS,
    ORIGIN,
    TRAIN,
    TRAINED,
    VALIDATION,
    fitted,
    known,
    learnt,
    spoilt,
    tiny_table,
    tiny_task,
    untrained,
)
from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.leaks import require_no_leak
from vpp_sim.forecasting.protocol import TARGETS, ForecastInputs
from vpp_sim.forecasting.windows import Split
from vpp_sim.registry import FORECASTERS

SHIPPED = [("shipped", kind, target) for kind in NETWORKS for target in ("load", "pv")]
FITTED = [("fitted", kind, target) for kind in FORECASTERS.names for target in TARGETS]


@pytest.fixture(scope="module", params=[*FITTED, *SHIPPED], ids="-".join)
def case(request):
    made, kind, target = request.param
    model = fitted(kind, target) if made == "fitted" else FORECASTERS.load(kind).open(target=target, step_s=3600)
    return model, kind, target


@pytest.fixture
def model(case):
    return case[0]


@pytest.fixture
def table(case):
    return tiny_table(case[2])


@pytest.fixture
def inputs(model, table) -> ForecastInputs:
    return known(model, table)


def rows(inputs: ForecastInputs, order: np.ndarray) -> ForecastInputs:
    truth = None if inputs.truth is None else inputs.truth[order]
    return replace(inputs, history=inputs.history[order], truth=truth)


class TestForecaster:
    def test_names_what_it_forecasts(self, case) -> None:
        model, kind, target = case
        assert (model.task.target, model.task.step_s, type(model).kind) == (target, 3600, kind)
        assert model.needs_truth == (kind == "perfect")
        assert FORECASTERS.load(kind).trained == (kind in TRAINED)

    def test_gives_finite_ordered_quantiles_of_the_right_sign(self, model, table, inputs) -> None:
        quantiles = model.predict(inputs)
        assert quantiles.shape == (4, model.task.horizon_steps, len(model.task.levels))
        assert quantiles.dtype == np.float64
        assert np.isfinite(quantiles).all()
        assert (np.diff(quantiles, axis=-1) >= 0.0).all()
        median = quantiles[..., model.task.median]
        if model.task.target == "price":
            assert median.max() < 0.0  # prices of the table lie around -3
        else:
            assert quantiles.min() >= 0.0
            assert median.mean() == pytest.approx(table.values[ORIGIN : ORIGIN + 30].mean(), rel=0.5)

    def test_leaves_its_inputs_alone(self, model, table, inputs) -> None:
        given = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
        frozen = replace(inputs, **{name: None if a is None else a.copy() for name, a in given.items()})
        for array in (getattr(frozen, name) for name, a in given.items() if a is not None):
            array.flags.writeable = False
        np.testing.assert_array_equal(model.predict(frozen), model.predict(known(model, table)))

    def test_gives_the_same_bits_again(self, model, table, inputs) -> None:
        first = model.predict(inputs)
        model.predict(known(model, table, ORIGIN - 5))
        assert first.tobytes() == model.predict(inputs).tobytes()

    def test_gives_the_order_of_series_that_it_was_given(self, model, inputs) -> None:
        turned = model.predict(rows(inputs, np.array([2, 0, 3, 1])))
        np.testing.assert_allclose(turned, model.predict(inputs)[[2, 0, 3, 1]], rtol=1e-5, atol=1e-5)

    def test_serves_one_series_and_many(self, model, inputs) -> None:
        all_four = model.predict(inputs)
        np.testing.assert_allclose(model.predict(rows(inputs, np.array([1])))[0], all_four[1], rtol=1e-5, atol=1e-5)
        many = model.predict(rows(inputs, np.tile(np.arange(4), 75)))
        np.testing.assert_allclose(many[-4:], all_four, rtol=1e-5, atol=1e-5)

    def test_no_series_have_no_forecast(self, model, inputs) -> None:
        none = model.predict(rows(inputs, np.arange(0)))
        assert none.shape == (0, model.task.horizon_steps, len(model.task.levels))

    def test_forecasts_nothing_for_a_series_that_was_nothing(self, model, inputs) -> None:
        inputs.history[2] = 0.0
        if model.needs_truth:
            inputs.truth[2] = 0.0
        quantiles = model.predict(inputs)[2]
        # A price that was zero promises nothing: only what cannot be negative stays where it always was.
        if model.task.non_negative:
            np.testing.assert_allclose(quantiles, 0.0, atol=1e-9)
        assert np.isfinite(quantiles).all()

    def test_does_not_see_what_comes_after_the_issue(self, model, table) -> None:
        if model.needs_truth:
            with pytest.raises(PhysicsError, match="was not told what will happen"):
                require_no_leak(model, table, ORIGIN)
            return
        for origin in (ORIGIN - 13, ORIGIN):
            require_no_leak(model, table, origin)

    @pytest.mark.parametrize("name", ["history", "covariates", "hour", "day_of_week", "day_of_year"])
    def test_refuses_inputs_of_another_length(self, model, inputs, name) -> None:
        array = getattr(inputs, name)
        short = array[:, 1:] if name == "history" else array[1:]
        with pytest.raises(PhysicsError, match=f"{name} has shape"):
            model.predict(replace(inputs, **{name: short}))

    @pytest.mark.parametrize("name", ["history", "covariates"])
    def test_refuses_values_that_are_not_finite(self, model, inputs, name) -> None:
        array = getattr(inputs, name).copy()
        array[-1, -1] = np.nan
        with pytest.raises(PhysicsError, match=f"{name} has 1 values that are not finite"):
            model.predict(replace(inputs, **{name: array}))

    def test_refuses_a_negative_past_of_what_cannot_be_negative(self, model, inputs) -> None:
        below = replace(inputs, history=inputs.history - 100.0)
        if model.task.target == "price":
            assert model.predict(below).shape[0] == 4
            return
        with pytest.raises(PhysicsError, match="history is negative"):
            model.predict(below)

    def test_refuses_an_unknown_target(self, model) -> None:
        with pytest.raises(DataError, match="unknown forecast target 'wind'; allowed: load, pv, price"):
            type(model).open(target="wind", step_s=3600)

    def test_a_file_gives_it_back_bit_for_bit(self, model, inputs, tmp_path: Path) -> None:
        digest = model.save(tmp_path / "one.safetensors")
        again = type(model).load(tmp_path / "one.safetensors")
        assert again.task == model.task
        assert again.predict(inputs).tobytes() == model.predict(inputs).tobytes()
        assert again.save(tmp_path / "two.safetensors") == digest
        assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


@pytest.mark.parametrize("kind", FORECASTERS.names)
@pytest.mark.parametrize("target", TARGETS)
def test_a_fit_reads_nothing_but_its_splits_and_their_contexts(kind: str, target: str) -> None:
    table, model = tiny_table(target), fitted(kind, target)
    again = learnt(kind, target, spoilt(table, TRAIN.start - model.task.context_steps, VALIDATION.stop))
    assert again.predict(known(model, table)).tobytes() == model.predict(known(model, table)).tobytes()


@pytest.mark.parametrize("kind", TRAINED)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(kind: str) -> None:
    inputs = known(fitted(kind, "load"), tiny_table("load"))
    first, again, other = (m.predict(inputs) for m in (fitted(kind, "load"), learnt(kind, "load"),
                                                       learnt(kind, "load", seed=1)))  # fmt: skip
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("target", TARGETS)
def test_covariates_ahead_are_those_that_were_issued(kind: str, target: str) -> None:
    """Values follow the first covariate: a forecast of more of it raises the forecast, what then came does not."""
    table, model = tiny_table(target), fitted(kind, target)
    issued = replace(table, issued=replace(table.issued, values=table.issued.values + 2.0))
    observed = replace(table, covariates=table.covariates.copy())
    observed.covariates[ORIGIN:] += 2.0
    honest, told, later = (model.predict(known(model, t)) for t in (table, issued, observed))
    assert later.tobytes() == honest.tobytes()
    assert told.tobytes() != honest.tobytes()


@pytest.mark.parametrize("kind", TRAINED)
def test_what_was_not_fitted_says_so(kind: str, tmp_path: Path) -> None:
    model = untrained(kind, tiny_task("load"))
    with pytest.raises(DataError, match=f"the {kind} forecaster .*fitted"):
        model.predict(known(model, tiny_table("load")))
    with pytest.raises(DataError, match=f"the {kind} forecaster .*fitted"):
        model.save(tmp_path / "nothing.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", TRAINED)
def test_what_was_never_trained_says_how_to_train_it(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no trained {kind} forecaster at .*load_{kind}.*vpp-sim train forecaster"):
        FORECASTERS.load(kind).open("load", folder=tmp_path)


@pytest.mark.parametrize("kind", TRAINED)
def test_splits_that_overlap_are_refused(kind: str) -> None:
    with pytest.raises(DataError, match="'validation' must begin after 'train' ends"):
        untrained(kind, tiny_task("load")).fit(
            tiny_table("load"), train=TRAIN, validation=Split("validation", TRAIN.stop - 1, VALIDATION.stop)
        )


@pytest.mark.parametrize("kind", FORECASTERS.names)
def test_a_file_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "a.safetensors", "linear" if kind == "persistence" else "persistence"
    fitted(other, "load").save(path)
    with pytest.raises(DataError, match=f"holds a forecaster of kind '{other}', not '{kind}'"):
        FORECASTERS.load(kind).load(path)
