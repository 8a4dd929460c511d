"""What forecasters that learn from rows have in common: honest inputs and quantiles, files that give them back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.forecast_tables import made_table
from vpp_sim.errors import DataError
from vpp_sim.forecasting.gbm import CANDIDATES, GbmForecaster
from vpp_sim.forecasting.leaks import require_no_leak
from vpp_sim.forecasting.linear import LinearForecaster
from vpp_sim.forecasting.protocol import ForecastInputs, Task
from vpp_sim.forecasting.rowwise import RowForecaster
from vpp_sim.forecasting.tabular import feature_names
from vpp_sim.forecasting.windows import Split, inputs_at, targets_at

TASK = Task("load", horizon_steps=24, levels=(0.1, 0.5, 0.9), covariates=("temperature_c",))
TRAIN, VALIDATION, TEST = Split("train", 0, 1400), Split("validation", 1400, 2000), np.arange(2000, 3336, 37)


class Linear(LinearForecaster):
    row_limit = 8_000


class Gbm(GbmForecaster):
    row_limit, most_rounds, candidates = 10_000, 80, CANDIDATES[:1]


KINDS = [Linear, Gbm]


def fitted(kind: type[RowForecaster], table, task: Task = TASK, seed: int = 0, **more) -> RowForecaster:
    model = kind(task)
    model.fit(table, train=TRAIN, validation=VALIDATION, seed=seed, **more)
    return model


@pytest.fixture(scope="module")
def table():
    return made_table(days=140)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.kind)
def model(request, table) -> RowForecaster:
    return fitted(request.param, table)


def test_nothing_after_the_issue_changes_a_forecast(model, table) -> None:
    for origin in (2000, 2051):
        require_no_leak(model, table, origin)


def test_a_fit_reads_nothing_beyond_its_splits(model, table) -> None:
    stop = VALIDATION.stop
    values, covariates, known = table.values.copy(), table.covariates.copy(), table.issued.values.copy()
    values[stop:], covariates[stop:] = 1e6, -1e6
    steps = table.issued.issued_at[:, None] + np.arange(table.issued.horizon_steps)
    known[steps >= stop] = 1e6
    spoilt = replace(table, values=values, covariates=covariates, issued=replace(table.issued, values=known))
    inputs = inputs_at(table, 2300, TASK)
    assert fitted(type(model), spoilt).predict(inputs).tobytes() == model.predict(inputs).tobytes()


def test_the_seed_decides(model, table) -> None:
    other = fitted(type(model), table, seed=1)
    assert (
        other.predict(inputs_at(table, 2300, TASK)).tobytes() != model.predict(inputs_at(table, 2300, TASK)).tobytes()
    )


def test_a_file_gives_the_same_forecasts_and_the_same_file(model, table, tmp_path: Path) -> None:
    digest = model.save(tmp_path / "a.safetensors")
    again = type(model).load(tmp_path / "a.safetensors")
    inputs = inputs_at(table, 2300, TASK)
    assert again.predict(inputs).tobytes() == model.predict(inputs).tobytes()
    assert again.save(tmp_path / "b.safetensors") == digest
    assert (tmp_path / "a.safetensors").stat().st_size < 1_000_000


def test_quantiles_are_honest_and_in_order(model, table) -> None:
    found = np.stack([model.predict(inputs_at(table, int(at), TASK)) for at in TEST])
    actual = targets_at(table, TEST, horizon_steps=24)
    assert found.shape == (len(TEST), 4, 24, 3)
    assert (np.diff(found, axis=-1) >= 0.0).all()
    share = (actual[..., None] <= found).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(share, TASK.levels, atol=0.05)


def test_what_the_forecast_of_the_covariate_says_is_used(model, table) -> None:
    """Values are 6 + sin + 0.5 covariate + 0.3 noise: the best median misses by 0.3 sqrt(2 / pi) = 0.239 on average.

    Whoever does not know the covariate misses by sqrt(0.5^2 + 0.3^2) sqrt(2 / pi) = 0.465.
    """
    found = np.stack([model.predict(inputs_at(table, int(at), TASK)) for at in TEST])[..., TASK.median]
    missed = np.abs(targets_at(table, TEST, horizon_steps=24) - found).mean()
    assert 0.22 < missed < 0.29


def test_a_sum_of_series_is_one_more_series(model, table) -> None:
    """The mean of four has noise 0.15: an interval of 80 % is 2 x 1.2816 x 0.15 = 0.384 wide, a single one's 0.769."""
    inputs = inputs_at(table, 2300, TASK)
    mean = replace(inputs, history=inputs.history.mean(axis=0, keepdims=True))
    alone, together = (np.mean(q[..., 2] - q[..., 0]) for q in (model.predict(inputs), model.predict(mean)))
    assert alone == pytest.approx(0.769, rel=0.2)
    assert together < 0.85 * alone


def test_a_series_that_was_zero_is_forecast_zero(model, table) -> None:
    inputs = inputs_at(table, 2300, TASK)
    inputs.history[1] = 0.0
    assert not model.predict(inputs)[1].any()


def test_scaled_series_have_scaled_forecasts(model, table) -> None:
    inputs = inputs_at(table, 2300, TASK)
    scaled = model.predict(replace(inputs, history=8.0 * inputs.history))
    np.testing.assert_allclose(scaled, 8.0 * model.predict(inputs), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_prices_may_be_negative_and_series_single(kind) -> None:
    task = Task("price", horizon_steps=24, levels=(0.1, 0.5, 0.9), covariates=("load_mw", "wind_mw"))
    table = made_table(140, 1, covariates=("load_mw", "wind_mw"), level=-3.0)
    found = fitted(kind, table, task).predict(inputs_at(table, 2300, task))
    actual = table.values[2300:2324, 0]
    assert found.max() < 0.0
    assert np.abs(found[0, :, 1] - actual).mean() < 0.33


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_what_was_not_fitted_forecasts_nothing(kind) -> None:
    with pytest.raises(DataError, match=f"the {kind.kind} forecaster was not fitted"):
        kind(TASK).predict(inputs_at(made_table(140), 2300, TASK))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_overlapping_splits_are_refused(kind, table) -> None:
    with pytest.raises(DataError, match="'validation' must begin after 'train' ends"):
        kind(TASK).fit(table, train=TRAIN, validation=Split("validation", 1390, 2000))


def test_the_day_of_the_year_counts_from_two_years_on(model) -> None:
    names = feature_names(TASK)
    left_out = [name for k, name in enumerate(names) if k not in model.columns]
    assert left_out == ["year_sin", "year_cos"]
    long = made_table(days=770, series=1)
    two_years = Linear(TASK)
    two_years.fit(long, train=Split("train", 0, 730 * 24), validation=Split("validation", 730 * 24, 770 * 24))
    assert len(two_years.columns) == len(names)


def test_many_series_are_served_in_their_order(model, table) -> None:
    inputs = inputs_at(table, 2300, TASK)
    known = [getattr(inputs, name) for name in ("covariates", "hour", "day_of_week", "day_of_year")]
    many = model.predict(ForecastInputs(np.tile(inputs.history, (50, 1))[::-1], *known))
    np.testing.assert_allclose(many[::-1][:4], model.predict(inputs), rtol=1e-9)
