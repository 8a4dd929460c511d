"""Let CityLearn's own environment score storage agents; runs where CityLearn is, without the product.

``series`` writes CityLearn's data for the training, ``check`` scores no control and CityLearn's own rules, and
``score`` scores what a folder holds: ``plan_<controller>_<phase>.npz``, powers made beforehand, and
``policy_<controller>_<phase>_<seed>.npz``, policies that act on what they observe.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import citylearn.data
import numpy as np
from agents import Agents, Array
from citylearn.agents.rbc import BasicBatteryRBC
from citylearn.citylearn import CityLearnEnv
from replica import COMPONENTS, DAY, PHASES, WEIGHTS

DATASET = "citylearn_challenge_2022_phase_all"
CAPACITY_KWH = 6.4
NAMES = {
    "ramping_average": "ramping",
    "daily_one_minus_load_factor_average": "load_factor",
    "daily_peak_average": "daily_peak",
    "annual_peak_average": "all_time_peak",
    "cost_total": "cost",
    "carbon_emissions_total": "emissions",
}
"""Names of CityLearn's ``evaluate`` and ours."""

citylearn.data.Iterable = Iterable
"""CityLearn asks ``isinstance(..., typing.Iterable)`` hundreds of times a step; the class behind it answers the same,
in half the time."""

Act = Callable[[list[float]], Array]
"""From an observation to what each battery is to take or give in the next hour [kW]."""


def open_phase(phase: str) -> CityLearnEnv:
    """Return the environment of a phase, one agent for all buildings."""
    homes, first, last = PHASES[phase]
    return CityLearnEnv(
        DATASET,
        central_agent=True,
        buildings=[f"Building_{home + 1}" for home in homes],
        simulation_start_time_step=first * DAY,
        simulation_end_time_step=last * DAY - 1,
    )


def play(env: CityLearnEnv, act: Act) -> dict[str, float]:
    """Return the score of a controller over an episode, and its parts."""
    observations = env.reset()
    while not env.done:
        powers = act(observations[0])
        observations, _, _, _ = env.step([(powers / CAPACITY_KWH).tolist()])
    return district(env)


def district(env: CityLearnEnv) -> dict[str, float]:
    """Return what CityLearn evaluates of the district, under our names."""
    table = env.evaluate()
    table = table[table["level"] == "district"].set_index("cost_function")["value"]
    found = {ours: float(table[theirs]) for theirs, ours in NAMES.items()}
    found["grid"] = float(np.mean([found[name] for name in COMPONENTS]))
    found["score"] = (found["cost"] + found["emissions"] + found["grid"]) / 3
    return found


def observing(env: CityLearnEnv, policy: Path, homes: list[int]) -> Act:
    """Return agents that see what CityLearn observes after each hour, and know the tariff."""
    names = env.observation_names[0]
    own = {
        name: [i for i, found in enumerate(names) if found == name]
        for name in ("non_shiftable_load", "solar_generation", "electrical_storage_soc", "net_electricity_consumption")
    }
    carbon, hour = names.index("carbon_intensity"), names.index("hour")
    first = int(env.buildings[0].energy_simulation.hour[0]) % DAY
    agents = Agents.open(policy, homes, np.asarray(env.buildings[0].pricing.electricity_pricing), (first - 1) % DAY)

    def act(observation: list[float]) -> Array:
        seen = np.asarray(observation, dtype=np.float64)
        if int(seen[hour]) % DAY != (agents.memory.hour + 1) % DAY:
            raise RuntimeError(f"observed the hour that ends at {seen[hour]:g}, expected {agents.memory.hour + 1}")
        agents.learn(seen[own["non_shiftable_load"]], seen[own["solar_generation"]], float(seen[carbon]))
        total_kw = float(seen[own["net_electricity_consumption"]].sum())
        return agents.powers(seen[own["electrical_storage_soc"]] * CAPACITY_KWH, total_kw)

    return act


def following(plan: Array) -> Act:
    """Return a controller that follows powers made beforehand, shape (n, T) [kW]; the first hour is never acted on."""
    hours = iter(range(1, plan.shape[1]))
    return lambda observation: plan[:, next(hours)]


def resting(env: CityLearnEnv) -> Act:
    """Return no control."""
    return lambda observation: np.zeros(len(env.buildings))


def ruled(env: CityLearnEnv) -> Act:
    """Return CityLearn's own rule-based controller."""
    rules = BasicBatteryRBC(env)
    return lambda observation: np.asarray(rules.predict([observation])[0]) * CAPACITY_KWH


def over_phases(phases: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return weighted score and phases, each with mean and spread over seeds, and the parts' means."""

    def summary(values: list[float]) -> dict[str, float]:
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return {"mean": round(float(np.mean(values)), 4), "spread": round(spread, 4), "seeds": len(values)}

    weighted = [
        sum(WEIGHTS[phase] * run["score"] for phase, run in zip(phases, runs, strict=True))
        for runs in zip(*phases.values(), strict=True)
    ]
    found: dict[str, Any] = {"weighted": summary(weighted)}
    for phase, runs in phases.items():
        parts = {name: round(float(np.mean([run[name] for run in runs])), 4) for name in runs[0] if name != "score"}
        found[phase] = {**summary([run["score"] for run in runs]), **parts}
    return found


def check() -> dict[str, Any]:
    """Return no control and CityLearn's own rules by phase, and those rules over the whole year."""
    found = {}
    for name, make in (("no_control", resting), ("citylearn_rbc", ruled)):
        found[name] = over_phases({phase: [play(env := open_phase(phase), make(env))] for phase in PHASES})
    year = CityLearnEnv(DATASET, central_agent=True, buildings=[f"Building_{i}" for i in range(1, 6)])
    whole = {name: round(value, 4) for name, value in play(year, ruled(year)).items()}
    return {"citylearn_score": found, "citylearn_rbc_year_5_buildings": whole}


def score(folder: Path) -> dict[str, Any]:
    """Return the figures of every plan and policy of a folder."""
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    gaps = {}
    for phase, (homes, _, _) in PHASES.items():
        for path in sorted(folder.glob(f"plan_*_{phase}.npz")):
            name = path.stem.removeprefix("plan_").removesuffix(f"_{phase}")
            with np.load(path) as plan:
                found, expected = play(open_phase(phase), following(plan["power_kw"])), float(plan["score"])
            gaps[path.stem] = abs(found["score"] - expected)
            runs.setdefault(name, {}).setdefault(phase, []).append(found)
            tell(name, phase, found)
        for path in sorted(folder.glob(f"policy_*_{phase}_*.npz")):
            name = path.stem.removeprefix("policy_").split(f"_{phase}_")[0]
            env = open_phase(phase)
            found = play(env, observing(env, path, homes))
            runs.setdefault(name, {}).setdefault(phase, []).append(found)
            tell(path.stem, phase, found)
    figures = {name: over_phases(phases) for name, phases in runs.items() if len(phases) == len(PHASES)}
    return {"citylearn_score": figures, "replica_gap": round(max(gaps.values(), default=0.0), 6)}


def tell(name: str, phase: str, found: dict[str, float]) -> None:
    """Say on the error stream how a controller did."""
    print(name, phase, {key: round(value, 3) for key, value in found.items()}, file=sys.stderr, flush=True)


def write_series(path: Path) -> None:
    """Write load, PV [kW], tariff, carbon intensity and hour of day of all buildings."""
    env = CityLearnEnv(DATASET, central_agent=True)
    first = env.buildings[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        load_kw=np.array([b.energy_simulation.non_shiftable_load for b in env.buildings]),
        sun_kw=np.array([b.pv.get_generation(b.energy_simulation.solar_generation) for b in env.buildings]),
        price=np.asarray(first.pricing.electricity_pricing),
        carbon=np.asarray(first.carbon_intensity.carbon_intensity),
        hour=(np.asarray(first.energy_simulation.hour) - 1) % DAY,
    )


def main() -> None:
    """Do what the command line asks; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["series", "check", "score"])
    parser.add_argument("path", nargs="?", type=Path, help="file or folder")
    parser.add_argument("--out", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    begun = time.perf_counter()
    if asked.task == "series":
        write_series(asked.path)
        return
    figures = check() if asked.task == "check" else score(asked.path)
    figures |= {"seconds": round(time.perf_counter() - begun, 1), "citylearn": version("CityLearn")}
    if asked.out:
        asked.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
