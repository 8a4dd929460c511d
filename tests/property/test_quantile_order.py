"""Quantiles never cross, and never fall below zero where nothing is negative, whatever the past and the weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.tiny_forecasters import NETWORKS, TRAINED, fitted, tiny_config, tiny_task
from vpp_sim.forecasting.model import ForecasterBase
from vpp_sim.forecasting.network import QuantileHead
from vpp_sim.forecasting.protocol import DEFAULT_LEVELS, ForecastInputs
from vpp_sim.registry import FORECASTERS

SIZE = st.floats(0.0, 1e6, allow_subnormal=False)
ANY_PAST = hnp.arrays(np.float64, (2, 168), elements=st.one_of(st.just(0.0), SIZE))
"""Of load and solar output; prices have a sign beside it."""
SIGNS = hnp.arrays(np.int64, (2, 168), elements=st.sampled_from((-1, 1)))
COVARIATES = hnp.arrays(np.float64, (198, 2), elements=st.floats(-50.0, 1400.0))


def known(model: ForecasterBase, history, signs, covariates, first_hour: int) -> ForecastInputs:
    steps = first_hour + np.arange(198)
    past = history if model.task.non_negative else history * signs
    truth = past[:, :30].copy() if model.needs_truth else None
    return ForecastInputs(past, covariates, (steps % 24) * 1.0, steps // 24 % 7, 1 + steps // 24, truth)


def wild(kind: str, target: str) -> ForecasterBase:
    """Return a network whose weights are far larger than training makes them."""
    task = replace(tiny_task(target), levels=DEFAULT_LEVELS)
    config = tiny_config(kind, task)
    model = FORECASTERS.load(kind)(task, config=config, members=2)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        model.networks = tuple(model.build(config).eval() for _ in range(2))
        for weight in (weight for network in model.networks for weight in network.parameters()):
            weight.normal_(0.0, 1.0)
    return model


CASES = {
    **{f"{kind}-{target}": (fitted, kind, target) for kind in FORECASTERS.names for target in ("load", "price")},
    **{f"wild-{kind}-{target}": (wild, kind, target) for kind in NETWORKS for target in ("pv", "price")},
}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def model(request) -> ForecasterBase:
    make, kind, target = request.param
    return make(kind, target)


@settings(max_examples=15, deadline=None)
@given(history=ANY_PAST, signs=SIGNS, covariates=COVARIATES, first_hour=st.integers(0, 167))
def test_quantiles_never_cross(model, history, signs, covariates, first_hour) -> None:
    quantiles = model.predict(known(model, history, signs, covariates, first_hour))
    assert quantiles.shape == (2, 30, len(model.task.levels))
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0.0).all()
    assert quantiles.min() >= 0.0 or not model.task.non_negative


@pytest.mark.parametrize("kind", TRAINED)
def test_prices_may_fall_below_zero(kind: str) -> None:
    """The floor is that of the target: the same forecaster of prices follows them down."""
    rng, steps = np.random.default_rng(0), np.arange(198)
    history = rng.normal(-50.0, 1.0, (2, 168))
    inputs = ForecastInputs(history, np.zeros((198, 2)), (steps % 24) * 1.0, steps // 24 % 7, 1 + steps // 24)
    assert fitted(kind, "price").predict(inputs).max() < -30.0


@settings(max_examples=40, deadline=None)
@given(
    features=hnp.arrays(np.float32, (5, 3, 8), elements=st.floats(-1e4, 1e4, width=32)),
    ends=hnp.arrays(np.float32, (5, 3, 2), elements=st.floats(-1e4, 1e4, width=32)),
    seed=st.integers(0, 2**31 - 1),
    levels=st.sampled_from([DEFAULT_LEVELS, (0.5,), (0.5, 0.6, 0.99), (0.01, 0.5)]),
)
def test_the_head_alone_cannot_cross(features, ends, seed, levels) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = QuantileHead(8, 4, 16, levels)
    base, hour = torch.from_numpy(ends).unbind(-1)
    with torch.inference_mode():
        out = head(torch.from_numpy(features), torch.from_numpy(features[:, 0, :4]), base, hour[:, :1], hour).numpy()
    assert out.shape == (5, 3, len(levels))
    assert (np.diff(out, axis=-1) >= 0.0).all()
