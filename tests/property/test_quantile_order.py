"""Quantiles never cross and never fall below zero, whatever the history and the weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vpp_sim.forecasting.baselines import Persistence, PersistenceEnsemble, SeasonalNaive
from vpp_sim.forecasting.lstm import LstmForecaster, lstm_network
from vpp_sim.forecasting.network import NetworkConfig, QuantileHead
from vpp_sim.forecasting.protocol import ForecastInputs
from vpp_sim.forecasting.transformer import TransformerForecaster, transformer_network

HISTORIES = hnp.arrays(
    np.float64, (2, 168), elements=st.one_of(st.just(0.0), st.floats(0.0, 1e6, allow_subnormal=False))
)
WEATHER = hnp.arrays(np.float64, (168, 2), elements=st.floats(-50.0, 1400.0))


def known(history: np.ndarray, weather: np.ndarray, first_hour: int) -> ForecastInputs:
    steps = first_hour + np.arange(204)
    return ForecastInputs(history, weather, (steps % 24) * 1.0, steps // 24 % 7, 1 + steps // 24)


def wild(build, core: str, seed: int):
    """Return an untrained network whose weights are far larger than training makes them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(NetworkConfig(core=core, width=16, heads=2, layers=1))
        with torch.no_grad():
            for weight in network.parameters():
                weight.normal_(0.0, 1.0)
    return network


MODELS = [
    Persistence(),
    SeasonalNaive(),
    PersistenceEnsemble(),
    LstmForecaster(wild(lstm_network, "lstm", 3)),
    TransformerForecaster(wild(transformer_network, "transformer", 4)),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@settings(max_examples=40, deadline=None)
@given(history=HISTORIES, weather=WEATHER, first_hour=st.integers(0, 167))
def test_quantiles_never_cross(model, history, weather, first_hour) -> None:
    quantiles = model.predict(known(history, weather, first_hour))
    assert quantiles.shape == (2, 36, 7)
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0.0).all()
    assert quantiles.min() >= 0.0


@settings(max_examples=60, deadline=None)
@given(features=hnp.arrays(np.float32, (5, 8), elements=st.floats(-1e4, 1e4, width=32)), seed=st.integers(0, 2**31 - 1))
def test_the_head_alone_cannot_cross(features, seed) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = QuantileHead(8, 16, 9)
    with torch.inference_mode():
        out = head(torch.from_numpy(features)).numpy()
    assert (np.diff(out, axis=-1) >= 0.0).all()
