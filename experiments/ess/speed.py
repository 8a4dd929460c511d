"""How long controllers take to act, how fast the environment steps, and whether any action broke a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from vpp_sim.devices.battery import BatteryFleet, advance, project
from vpp_sim.ess.protocol import StorageObservation
from vpp_sim.ess.vector_environment import StorageVecEnv
from vpp_sim.registry import CONTROLLERS
from vpp_sim.training.storage import storage_trials

REPEATS = 30
MILLION = 1_000_000
TOLERANCE = 1e-9


def speeds(*, quick: bool) -> dict[str, Any]:
    """Return least wall times of acting [ms], battery-steps a second, and limits broken by random actions."""
    acting = {name: {str(n): _acting_ms(name, n) for n in (100, 1000)} for name in ("ppo", "dqn", "mpc", "dp")}
    return {
        "act_1000_ms": {name: acting[name]["1000"] for name in ("ppo", "dqn")},
        "mpc_100_ms": acting["mpc"]["100"],
        "acting_ms": acting,
        "env_battery_steps_per_s": {str(n): _steps_per_s(n) for n in ((100,) if quick else (1_000, 10_000))},
        "limits_broken": limits_broken(MILLION // (100 if quick else 1)),
        "random_actions": MILLION // (100 if quick else 1),
    }


def limits_broken(actions: int, seed: int = 0) -> int:
    """Return how many of so many random actions in random states broke a limit or the balance of energy."""
    rng, n, broken = np.random.default_rng(seed), actions // 10, 0
    for _ in range(10):
        low, high = np.sort(rng.random((2, n)), axis=0)
        capacity, power = rng.uniform(0.0, 100.0, n), rng.uniform(0.0, 50.0, n)
        into, out = rng.uniform(0.05, 1.0, (2, n))
        fleet = BatteryFleet(capacity, power, into, out, low, high)
        soc_kwh = fleet.min_kwh + rng.random(n) * (fleet.max_kwh - fleet.min_kwh)
        asked_kw = rng.normal(0.0, 1e3, (2, n)) * rng.choice([0.0, 1e-3, 1.0], (2, n))
        charge_kw, discharge_kw = project(fleet, soc_kwh, *np.maximum(asked_kw, 0.0), 0.25)
        end_kwh = advance(fleet, soc_kwh, charge_kw, discharge_kw, 0.25)
        gained_kwh = 0.25 * (charge_kw * into - discharge_kw / out)
        right = (
            (np.maximum(charge_kw, discharge_kw) <= power)
            & (np.minimum(charge_kw, discharge_kw) == 0.0)
            & (end_kwh >= fleet.min_kwh)
            & (end_kwh <= fleet.max_kwh)
            & (np.abs(end_kwh - soc_kwh - gained_kwh) <= TOLERANCE * (1.0 + capacity))
        )
        broken += int((~right).sum())
    return broken


def _acting_ms(name: str, n: int) -> float:
    rng = np.random.default_rng(0)
    fleet, buy = BatteryFleet.uniform(n, 6.4, 5.0, 0.9), rng.uniform(0.1, 0.5, 24)
    seen = StorageObservation(rng.uniform(0, 6.4, n), rng.normal(0.3, 1.5, (n, 24)), buy, 0.2 * buy, 9.0, 1.0)
    controller = CONTROLLERS.load(name).open(3600)
    return round(1e3 * _least_s(lambda: controller.act(fleet, seen), 3 if name == "dp" else REPEATS), 3)


def _steps_per_s(lanes: int) -> int:
    env = StorageVecEnv(storage_trials("test")["wholesale"], lanes, episode_steps=96, seed=0)
    env.reset()
    actions = np.random.default_rng(0).integers(10, size=(48, lanes))

    def two_days() -> None:
        for action in actions:
            env.step(action)

    return int(len(actions) * lanes / _least_s(two_days, 5))


def _least_s(work: Callable[[], object], repeats: int) -> float:
    spent = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return min(spent[1:])
