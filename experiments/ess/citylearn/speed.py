"""Steps a second of our environment, CityLearn's and python-microgrid's, measured in turn on the same machine.

Run with the product's Python; ``--peers`` names that of the environment that CityLearn and python-microgrid are in.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROUNDS = 3
DATASET = "citylearn_challenge_2022_phase_all"


def a_second(step: Any, steps: int) -> float:
    """Return how many calls of `step` fit in a second, after a few that do not count."""
    for _ in range(5):
        step()
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    return steps / (time.perf_counter() - begun)


def ours() -> dict[str, float]:
    """Return the battery-steps a second of the vectorised environment, and the steps a second of the single one."""
    from vpp_sim.ess.environment import StorageEnv, two_price_home
    from vpp_sim.ess.vector_environment import StorageVecEnv

    home, rng, found = two_price_home(60), np.random.default_rng(0), {}
    for lanes, steps in ((1_000, 400), (10_000, 60)):
        env, action = StorageVecEnv(home, lanes, episode_steps=720), rng.integers(10, size=lanes)
        env.reset()
        found[f"ours_{lanes}"] = lanes * a_second(lambda env=env, action=action: env.step(action), steps)
    one = StorageEnv(home, episode_steps=1000)
    one.reset(seed=0, options={"start": one.lanes.cases.first_step})
    found["ours_single"] = a_second(lambda: one.step(np.int64(1)), 900)
    return found


def citylearn() -> dict[str, float]:
    """Return the steps a second of CityLearn's environment with 5 and 17 buildings, one agent for all."""
    from citylearn.citylearn import CityLearnEnv

    found = {}
    for buildings, steps in ((5, 300), (17, 100)):
        env = CityLearnEnv(DATASET, central_agent=True, buildings=[f"Building_{i + 1}" for i in range(buildings)])
        env.reset()
        action = [[0.05] * buildings]
        found[f"citylearn_{buildings}"] = a_second(lambda env=env, action=action: env.step(action), steps)
    return found


def python_microgrid() -> dict[str, float]:
    """Return the steps a second of python-microgrid's first benchmark microgrid under its rule-based control."""
    from pymgrid import Microgrid
    from pymgrid.algos import RuleBasedControl

    rules = RuleBasedControl(Microgrid.from_scenario(microgrid_number=0))
    rules.run(max_steps=5)
    begun = time.perf_counter()
    rules.run(max_steps=300)
    return {"python_microgrid": 300 / (time.perf_counter() - begun)}


MEASURES = {"ours": ours, "citylearn": citylearn, "python_microgrid": python_microgrid}


def side_by_side(peers: str, rounds: int) -> dict[str, Any]:
    """Return the median of rounds in which each is measured in turn, in a process of its own."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name in MEASURES:
            python = sys.executable if name == "ours" else peers
            command = [python, "-W", "ignore", str(Path(__file__).resolve()), "--measure", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for key, value in json.loads(done.stdout.splitlines()[-1]).items():
                found.setdefault(key, []).append(value)
    median = {key: round(float(np.median(values)), 1) for key, values in found.items()}
    return {
        "env_steps_per_s": {
            "ours": median["ours_10000"],
            "citylearn": median["citylearn_5"],
            "python_microgrid": median["python_microgrid"],
        },
        "env_steps_per_s_detail": {
            "ours, 1,000 lanes": {"steps": round(median["ours_1000"] / 1_000, 1), "agent_steps": median["ours_1000"]},
            "ours, 10,000 lanes": {
                "steps": round(median["ours_10000"] / 10_000, 1),
                "agent_steps": median["ours_10000"],
            },
            "ours, single": {"steps": median["ours_single"], "agent_steps": median["ours_single"]},
            "CityLearn 2.1.2, 5 buildings": {
                "steps": median["citylearn_5"],
                "agent_steps": round(5 * median["citylearn_5"], 1),
            },
            "CityLearn 2.1.2, 17 buildings": {
                "steps": median["citylearn_17"],
                "agent_steps": round(17 * median["citylearn_17"], 1),
            },
            "python-microgrid 1.4.1, rules": {
                "steps": median["python_microgrid"],
                "agent_steps": median["python_microgrid"],
            },
        },
    }


def main() -> None:
    """Measure; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="Python of the environment that the peers are in")
    parser.add_argument("--measure", choices=list(MEASURES), help="measure one of them here")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(MEASURES[asked.measure]()))
    elif asked.peers:
        figures = side_by_side(asked.peers, asked.rounds)
        if asked.out:
            asked.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(json.dumps(figures))
    else:
        parser.error("give --peers or --measure")


if __name__ == "__main__":
    main()
