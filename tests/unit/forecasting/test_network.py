"""What the network may know: no scale but its own context's, no other series, and no value below an eternal zero."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.tiny_forecasters import NETWORKS, known, tiny_config, tiny_table, tiny_task
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.network import NetworkConfig, QuantileHead
from vpp_sim.forecasting.neural import NeuralForecaster
from vpp_sim.forecasting.protocol import ForecastInputs, Task
from vpp_sim.registry import FORECASTERS

LOAD, PV, PRICE = (tiny_task(target) for target in ("load", "pv", "price"))


def opened(kind: str, task: Task = LOAD, scale: float = 1.0, **sizes) -> NeuralForecaster:
    """Return a forecaster with weights that nothing was learned by, `scale` times as large as they begin."""
    config = tiny_config(kind, task, **sizes)
    model = FORECASTERS.load(kind)(task, config=config, members=1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = model.build(config)
        for weight in network.parameters():
            # What begins at zero (the cycle, the linear map) would hide what reads it.
            weight.copy_(scale * weight + 0.05 * torch.randn_like(weight))
    model.networks = (network.eval(),)
    return model


@pytest.fixture
def inputs() -> ForecastInputs:
    return known(opened("lstm"), tiny_table("load"))


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("name", ["history", "covariates", "hour", "day_of_week"])
def test_everything_that_is_known_matters(kind: str, name: str, inputs: ForecastInputs) -> None:
    changed = {
        "history": np.roll(inputs.history, 1, axis=1),
        "covariates": inputs.covariates + 0.5,
        "hour": (inputs.hour + 1.0) % 24,
        "day_of_week": (inputs.day_of_week + 1) % 7,
    }
    model = opened(kind)
    moved = model.predict(replace(inputs, **{name: changed[name]}))
    assert not np.allclose(moved, model.predict(inputs), atol=1e-4)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("ahead", [False, True])
def test_covariates_of_past_and_future_matter_each(kind: str, ahead: bool, inputs: ForecastInputs) -> None:
    model, covariates = opened(kind), inputs.covariates.copy()
    covariates[slice(168, None) if ahead else slice(0, 168)] += 1.0
    moved = model.predict(replace(inputs, covariates=covariates))
    assert not np.allclose(moved, model.predict(inputs), atol=1e-4)


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_day_of_the_year_is_not_learned_by_heart(kind: str, inputs: ForecastInputs) -> None:
    later = replace(inputs, day_of_year=inputs.day_of_year + 100)
    np.testing.assert_array_equal(opened(kind).predict(later), opened(kind).predict(inputs))


@pytest.mark.parametrize("task", [LOAD, PRICE], ids=lambda task: task.target)
@pytest.mark.parametrize("kind", NETWORKS)
def test_scale_comes_from_the_context_alone(kind: str, task: Task, inputs: ForecastInputs) -> None:
    model = opened(kind, task)
    larger = model.predict(replace(inputs, history=8.0 * inputs.history))
    np.testing.assert_allclose(larger, 8.0 * model.predict(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_shift_is_carried_through_but_for_what_the_level_itself_says(
    kind: str, inputs: ForecastInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened(kind, PRICE)
    shifted = replace(inputs, history=inputs.history - 40.0)
    seen = model.predict(shifted) + 40.0
    assert not np.allclose(seen, model.predict(inputs), atol=1e-3)
    monkeypatch.setattr(torch, "asinh", torch.zeros_like)  # how the network is told the level
    np.testing.assert_allclose(model.predict(shifted) + 40.0, model.predict(inputs), atol=1e-3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_series_do_not_see_each_other(kind: str, inputs: ForecastInputs) -> None:
    model, others = opened(kind), inputs.history.copy()
    others[[0, 2, 3]] *= 50.0
    alone = model.predict(replace(inputs, history=inputs.history[1:2]))[0]
    among = model.predict(replace(inputs, history=others))[1]
    np.testing.assert_allclose(alone, model.predict(inputs)[1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(among, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_hours_that_were_always_zero_stay_zero_where_nothing_is_negative(kind: str) -> None:
    day = np.zeros(24)
    day[6:19] = 0.5
    steps = np.arange(198)
    inputs = ForecastInputs(
        np.tile(day, 7)[None], np.zeros((198, 2)), (steps % 24) * 1.0, steps // 24 % 7, 1 + steps // 24
    )
    night = np.r_[0:5, 20:24]  # an hour beside the day may wake up
    quantiles = opened(kind, PV).predict(inputs)[0]
    np.testing.assert_allclose(quantiles[night], 0.0, atol=1e-6)
    assert quantiles[12].max() > 0.1
    assert np.abs(opened(kind, PRICE).predict(inputs)[0][night]).min(axis=1).max() > 1e-3


@pytest.mark.parametrize("kind", NETWORKS)
def test_without_covariates_the_calendar_and_the_past_are_enough(kind: str) -> None:
    task, table = tiny_task("load", covariates=()), tiny_table("load")
    bare = replace(
        table,
        covariates=np.zeros((len(table.values), 0)),
        issued=IssuedForecasts(np.array([0]), np.zeros((1, len(table.values), 0)), ()),
    )
    model = opened(kind, task)
    quantiles = model.predict(known(model, bare))
    assert quantiles.shape == (4, 30, 3)
    assert np.isfinite(quantiles).all()


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("horizon", [1, 23, 24, 49])
def test_any_horizon_is_served(kind: str, horizon: int) -> None:
    model = opened(kind, tiny_task("load", horizon_steps=horizon))
    assert model.predict(known(model, tiny_table("load"))).shape == (4, horizon, 3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_weights_that_are_wild_give_no_crossing(kind: str, inputs: ForecastInputs) -> None:
    for task in (LOAD, PRICE):
        quantiles = opened(kind, task, scale=30.0).predict(inputs)
        assert np.isfinite(quantiles).all()
        assert (np.diff(quantiles, axis=-1) >= 0.0).all()


def test_the_head_gives_the_median_and_steps_and_shares_away_from_it() -> None:
    head = QuantileHead(4, 5, 8, (0.1, 0.4, 0.5, 0.9))
    with torch.no_grad():
        head.out.weight.zero_()
        # Steps, the median, a step, and no shares of the way to the least or to that of the hour.
        head.out.bias.copy_(torch.tensor([1.5, 1.5, 4.0, 1.0, -1e4, -1e4, -1e4, -1e4]))
        flat = torch.zeros(2, 3)
        out = head(torch.zeros(2, 3, 4), torch.zeros(2, 5), flat + 3.0, flat[:, :1] - 1.0, flat + 5.0)
    # softplus(1.5 - 1.5) = softplus(1 - 1) = log 2: two steps below a median of 3 + 4, one step above it.
    step = float(np.log(2.0))
    expected = torch.tensor([7.0 - 2 * step, 7.0 - step, 7.0, 7.0 + step]).expand(2, 3, 4)
    torch.testing.assert_close(out, expected)


def test_low_quantiles_go_shares_of_the_way_to_what_was_least() -> None:
    head = QuantileHead(4, 5, 8, (0.1, 0.4, 0.5, 0.9))
    with torch.no_grad():
        head.out.weight.zero_()
        # No steps down; sigmoid(3 - 3) = half of the way to the least, sigmoid(1 - 1) = half of that to the hour's.
        head.out.bias.copy_(torch.tensor([-1e4, -1e4, 0.0, 1.0, 3.0, 3.0, 1.0, -1e4]))
        flat = torch.zeros(1, 1)
        out = head(torch.zeros(1, 1, 4), torch.zeros(1, 5), flat + 8.0, flat, flat + 6.0)[0, 0, :3]
        beneath = head(torch.zeros(1, 1, 4), torch.zeros(1, 5), flat - 8.0, flat, flat)[0, 0, :3]
    # From 8: half of 8 to the least and half of 2 to the hour's, so 3; from 3: half of 3, and the hour's lies above.
    assert out.tolist() == [1.5, 3.0, 8.0]
    assert beneath.tolist() == [-8.0, -8.0, -8.0]


def test_predicting_leaves_the_threads_of_torch_alone(inputs: ForecastInputs) -> None:
    before = torch.get_num_threads()
    opened("lstm").predict(inputs)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history": np.full((1, 168), -1.0)}, "history is negative"),
        ({"history": np.full((1, 168), np.nan)}, "history has 168 values that are not finite"),
        ({"covariates": np.full((198, 2), np.nan)}, "covariates has 396 values that are not finite"),
        ({"covariates": np.zeros((168, 2))}, r"covariates has shape \(168, 2\), expected \(198, 2\)"),
        ({"hour": np.full(198, 24.0)}, r"hour must lie in \[0, 24\)"),
        ({"hour": np.full(198, -1.0)}, r"hour must lie in \[0, 24\)"),
        ({"day_of_week": np.full(198, 7)}, r"day_of_week must lie in 0\.\.6"),
        ({"day_of_year": np.ones(168, dtype=np.int64)}, r"day_of_year has shape \(168,\), expected \(198,\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: ForecastInputs, change: dict, message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        opened("lstm").predict(replace(inputs, **change))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"context_steps": 180}, "context_steps = 180 must be whole days of 24, 7 or more"),
        ({"context_steps": 144}, "context_steps = 144 must be whole days of 24, 7 or more"),
        ({"levels": (0.5, 0.1)}, "must increase"),
        ({"levels": (0.1, 0.9)}, r"contain 0\.5"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        NetworkConfig(core="lstm", **sizes)
    with pytest.raises(DataError, match=message):
        FORECASTERS.load("lstm")(tiny_task("load", **sizes))


def test_days_count_the_tokens() -> None:
    config = NetworkConfig(core="lstm", context_steps=336, horizon_steps=36)
    assert (config.past_days, config.future_days) == (14, 2)
