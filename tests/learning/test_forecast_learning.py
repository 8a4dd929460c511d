"""Networks on toys with a known answer: a pure cycle is learned exactly, noise of known spread is learned as spread."""

import numpy as np
import pytest
import torch

from vpp_sim.errors import DataError
from vpp_sim.forecasting.fitting import FitResult, FitSettings, fit
from vpp_sim.forecasting.lstm import LstmForecaster, lstm_network
from vpp_sim.forecasting.network import NetworkConfig
from vpp_sim.forecasting.transformer import TransformerForecaster, transformer_network
from vpp_sim.forecasting.weights import pack_weights
from vpp_sim.forecasting.windows import SeriesTable, Split, inputs_at, targets_at

KINDS = {"lstm": (lstm_network, LstmForecaster), "transformer": (transformer_network, TransformerForecaster)}
DAYS = 60
TRAIN, VALIDATION, TEST = Split("train", 0, 960), Split("validation", 960, 1200), Split("test", 1200, 24 * DAYS)
TINY = {
    "context_steps": 72,
    "horizon_steps": 24,
    "patch_steps": 12,
    "width": 16,
    "layers": 1,
    "heads": 2,
    "dropout": 0.0,
}


def toy(values: np.ndarray) -> SeriesTable:
    step = np.arange(len(values))
    return SeriesTable(values, np.zeros((len(values), 2)), (step % 24) * 1.0, step // 24 % 7, 1 + step // 24)


def sine() -> SeriesTable:
    step = np.arange(24 * DAYS)[:, None]
    return toy(2.0 + np.sin(2 * np.pi * (step % 24 - np.array([6, 9])) / 24) * np.array([1.0, 0.5]))


def noisy(seed: int) -> SeriesTable:
    """Return load at 10 kW whose noise is uniform, +-0.5 kW by night and +-4 kW from 12 to 24 h."""
    rng = np.random.default_rng(seed)
    spread = np.where(np.arange(24 * DAYS) % 24 < 12, 0.5, 4.0)[:, None]
    return toy(10.0 + spread * rng.uniform(-1.0, 1.0, (24 * DAYS, 20)))


def learn(kind: str, table: SeriesTable, seed: int = 1, **settings: float) -> FitResult:
    chosen = FitSettings(**{"epochs": 5, "windows": 768, "batch": 32, "learning_rate": 1e-2, "average": 0.9} | settings)
    config = NetworkConfig(core=kind, **TINY)
    return fit(KINDS[kind][0], config, table, train=TRAIN, validation=VALIDATION, seed=seed, settings=chosen)


def forecast(kind: str, result: FitResult, table: SeriesTable, at: range) -> tuple[np.ndarray, np.ndarray]:
    model = KINDS[kind][1](result.network)
    quantiles = [model.predict(inputs_at(table, o, context_steps=72, horizon_steps=24)) for o in at]
    return np.stack(quantiles), targets_at(table, at, horizon_steps=24)


@pytest.mark.parametrize("kind", KINDS)
def test_a_noiseless_cycle_is_forecast_to_near_zero_error(kind: str) -> None:
    table = sine()
    quantiles, actual = forecast(kind, learn(kind, table, epochs=3), table, range(1200, 1400, 7))
    assert np.abs(quantiles[..., 3] - actual).mean() < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_noise_whose_spread_depends_on_the_hour_is_learned_as_quantiles(kind: str) -> None:
    table = noisy(8)
    quantiles, actual = forecast(kind, learn(kind, table), table, range(1200, 1416, 12))
    inside = ((actual >= quantiles[..., 1]) & (actual <= quantiles[..., -2])).mean()
    assert inside == pytest.approx(0.8, abs=0.05)
    # Uniform noise: the 10 % and 90 % quantiles lie 0.8 of the half-width from the centre, 0.8 and 6.4 kW apart.
    hour = np.arange(24)
    from_midnight, from_noon = quantiles[::2], quantiles[1::2]
    for block, night in ((from_midnight, hour < 12), (from_noon, hour >= 12)):
        spread = (block[..., -2] - block[..., 1]).mean(axis=(0, 1))
        assert spread[night].mean() == pytest.approx(0.8, abs=0.4)
        assert spread[~night].mean() == pytest.approx(6.4, rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_repeatable_to_the_bit(kind: str) -> None:
    table, short = noisy(8), {"epochs": 2, "windows": 256}
    first = learn(kind, table, **short)
    torch.rand(3)  # whatever else drew from the global stream in between
    before = torch.random.get_rng_state()
    again = learn(kind, table, **short)
    other = learn(kind, table, seed=2, **short)
    assert pack_weights(first.network) == pack_weights(again.network)
    assert first.losses == again.losses
    assert pack_weights(first.network) != pack_weights(other.network)
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_reads_nothing_beyond_its_splits() -> None:
    table = noisy(8)
    changed = toy(table.values_kw.copy())
    changed.values_kw[VALIDATION.stop :] = 1e4
    short = {"epochs": 1, "windows": 256}
    assert pack_weights(learn("lstm", table, **short).network) == pack_weights(learn("lstm", changed, **short).network)


def test_training_stops_when_validation_no_longer_gets_better() -> None:
    rounds: list[tuple[int, int, float]] = []
    config = NetworkConfig(core="lstm", **TINY)
    settings = FitSettings(epochs=30, windows=64, batch=64, learning_rate=0.0, patience=2, average=0.0)
    result = fit(
        lstm_network,
        config,
        sine(),
        train=TRAIN,
        validation=VALIDATION,
        seed=1,
        settings=settings,
        progress=lambda *at: rounds.append(at),
    )
    assert len(rounds) < 30
    assert result.losses == tuple(loss for _, _, loss in rounds)
    assert result.losses[result.best_epoch - 1] == min(result.losses)


def test_overlapping_splits_are_refused() -> None:
    with pytest.raises(DataError, match="splits 'train' and 'validation' overlap"):
        fit(
            lstm_network,
            NetworkConfig(core="lstm", **TINY),
            sine(),
            train=Split("train", 0, 1000),
            validation=VALIDATION,
            seed=1,
        )
