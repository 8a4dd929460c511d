"""What policies of a market learn from: prices made equal by week, days reshuffled, and the worth that a plan tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stable_baselines3 import PPO

from vpp_sim.ess.cloning import Cloning
from vpp_sim.ess.curriculum import market_training_cases
from vpp_sim.ess.dynamic_programming import action_values, planned_action_values, planned_values, state_values
from vpp_sim.ess.episodes import Cases
from vpp_sim.ess.settings import SETTINGS
from vpp_sim.ess.vector_environment import StorageVecEnv

BATTERY = (2000.0, 1000.0, 0.85)
DAYS = 40
HOUR = np.arange(DAYS * 24.0) % 24


def lesson(price: np.ndarray, batteries: int = 4) -> Cases:
    rng = np.random.default_rng(0)
    return market_training_cases(price, HOUR, battery=BATTERY, knows="past_only", rng=rng, batteries=batteries)


def noisy(level: float) -> np.ndarray:
    return level * np.random.default_rng(1).lognormal(0.0, 0.4, DAYS * 24)


def test_the_level_of_prices_teaches_nothing() -> None:
    cheap, dear = (lesson(noisy(level)).buy_eur_per_kwh for level in (0.03, 0.3))
    np.testing.assert_allclose(cheap, dear, rtol=1e-12)
    np.testing.assert_allclose(lesson(np.full(DAYS * 24, 0.08)).buy_eur_per_kwh, 0.03, rtol=1e-12)


def test_scarcity_is_cut_at_eight_times_the_mean_of_the_week_before() -> None:
    price = np.full(DAYS * 24, 0.05)
    price[20 * 24] = 5.0
    price[30 * 24] = 0.2
    path = lesson(price).buy_eur_per_kwh[0]
    assert path[20 * 24] == pytest.approx(8 * 0.03)
    assert path[30 * 24] == pytest.approx(4 * 0.03)


def test_half_of_the_paths_are_real_and_the_others_have_days_of_the_days_around() -> None:
    """Each day has a height of its own, so a reshuffled one says where it comes from."""
    heights = 1.0 + 0.01 * np.arange(DAYS)
    shape = np.where(HOUR < 12, 0.5, 1.5).reshape(DAYS, 24)
    paths = lesson((heights[:, None] * shape).ravel()).buy_eur_per_kwh[:, : DAYS * 24].reshape(4, DAYS, 24)
    np.testing.assert_array_equal(paths[0], paths[1])
    real, moved = paths[0], 0
    for day, found in enumerate(np.concatenate([paths[2], paths[3]])):
        taken = np.flatnonzero((real == found).all(axis=1))
        assert np.abs(taken - day % DAYS).min() <= 10
        moved += int(day % DAYS not in taken)
    assert moved > DAYS


@pytest.mark.parametrize("told_by", ["plan", "hindsight"])
def test_cloning_learns_from_whom_the_settings_name(told_by: str) -> None:
    cases = lesson(noisy(0.05))
    settings = replace(SETTINGS["ppo"], clone_from=told_by)  # type: ignore[arg-type]
    values = state_values(cases, discount=settings.discount)
    model = PPO("MlpPolicy", StorageVecEnv(cases, 4), n_steps=8, batch_size=32, device="cpu")
    cloning = Cloning("ppo", model, cases, values, settings, np.random.default_rng(0))
    case, step, soc = np.arange(4), np.arange(200, 204), np.full(4, 900.0)
    plan = planned_values(cases, discount=settings.discount)
    planned = planned_action_values(cases, plan, case, step, soc, discount=settings.discount)
    known = action_values(cases, values, case, step, soc, discount=settings.discount)
    told = cloning.teacher(case, step, soc)
    expected, other = (planned, known) if told_by == "plan" else (known, planned)
    np.testing.assert_allclose(told - told[:, :1], expected - expected[:, :1], atol=1e-6 * np.abs(expected).max())
    assert np.abs((told - told[:, :1]) - (other - other[:, :1])).max() > 0.1
