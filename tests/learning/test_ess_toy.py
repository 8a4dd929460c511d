"""A market whose best profit is known by hand, learnt by both algorithms, with cloning and without."""

from __future__ import annotations

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.arbitrage import best_trading
from vpp_sim.ess.environment import StorageEnv
from vpp_sim.ess.episodes import Cases
from vpp_sim.ess.learning import Kind, LearningSettings, learn
from vpp_sim.ess.network import ActionNetwork

PROFIT_EUR = 122.0
"""1 MW, 2 MWh, 0.9 each way, prices of 20, 20, 100, 100 EUR/MWh: 2 MWh bought for 40 EUR store 1.8, of which 1.62 MWh
are sold for 162 EUR. In the day's other hours nothing pays: what costs 120 EUR/MWh sells for 100 at most, and what
sells for 10 costs 20 at least."""

CLONED = LearningSettings(
    clone_steps=700, clone_batch=128, tune_steps=1024, lanes=16, episode_steps=24, rollout_steps=32, evaluations=2
)
PLAIN = LearningSettings(
    clone_steps=0,
    shaped=False,
    tune_steps=24_000,
    tune_rate=1e-3,
    lanes=16,
    episode_steps=24,
    rollout_steps=64,
    evaluations=6,
    discount=1.0,
    clip=0.2,
)


def market() -> Cases:
    """Return twelve equal days, in EUR/kWh."""
    hour = np.arange(24.0 * 12) % 24
    buy = np.select([hour < 2, hour < 4], [0.02, 0.1], 0.12)[None]
    sell = np.select([hour < 2, hour < 4], [0.02, 0.1], 0.01)[None]
    fleet, nothing = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.81), np.zeros_like(buy)
    return Cases(fleet, nothing, nothing, buy, sell, np.zeros(1, dtype=np.bool_), hour)


def profit_eur(network: ActionNetwork, cases: Cases) -> float:
    """Return what a day earns that starts empty."""
    env = StorageEnv(cases, episode_steps=24)
    seen, _ = env.reset(seed=0, options={"case": 0, "start": cases.first_step, "soc_kwh": 0.0})
    total = 0.0
    for _ in range(24):
        seen, _, _, _, info = env.step(np.int64(network.actions(seen[None])[0]))
        total += info["saving_eur"]
    return total


def test_hindsight_earns_what_the_hand_says() -> None:
    cases, empty = market(), np.zeros(1)
    days = (cases.last_step - cases.first_step) // 24
    best = best_trading(cases, start_kwh=empty, end_kwh=empty)
    assert -best.cost_eur[0] == pytest.approx(days * PROFIT_EUR, rel=1e-9)


@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_it_is_cloned_and_not_unlearnt(kind: Kind) -> None:
    cases = market()
    found = learn(kind, cases, lambda network: profit_eur(network, cases), seed=0, settings=CLONED)
    assert found.cloned_score == pytest.approx(PROFIT_EUR, rel=1e-9)
    assert found.scores[-1] == pytest.approx(PROFIT_EUR, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ppo", "dqn"])
def test_it_is_learnt_from_nothing(kind: Kind) -> None:
    cases = market()
    found = learn(kind, cases, lambda network: profit_eur(network, cases), seed=0, settings=PLAIN)
    assert found.scores[0] < 0.0
    assert profit_eur(found.network, cases) == pytest.approx(PROFIT_EUR, rel=1e-9)
