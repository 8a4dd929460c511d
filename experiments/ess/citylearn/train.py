"""Train policies for CityLearn's homes, each on the days that it is not scored on, and write them as plain NumPy."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import agents
import numpy as np
import replica

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.episodes import WARM_UP_DAYS, Cases
from vpp_sim.ess.learning import Kind, LearningSettings, learn
from vpp_sim.ess.network import ActionNetwork

Array = agents.Array
DAY = 24
HOMES = [home for home in range(17) if home not in (11, 14)]
BLOCK_DAYS = 40
VALIDATION_DAYS = 40
EFFICIENCY = 0.84
LIKELY = 6

STEEPNESS = 0.2
"""Price of the district's mean net load [1/kW]: what peaks and ramps weigh beside cost and emissions."""

POWER_KW = 2.0
"""What policies use of the batteries' 5 kW: smooth schedules need no more, and their shares of it are finer."""

SETTINGS: dict[str, LearningSettings] = {
    "ppo": LearningSettings(
        clone_steps=2500, clone_batch=512, tune_steps=100_000, tune_rate=3e-5, rollout_steps=256, evaluations=4
    ),
    "dqn": LearningSettings(clone_steps=2500, clone_batch=512, tune_steps=30_000, tune_rate=3e-6, evaluations=4),
}
HEATS = {"ppo": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0), "dqn": (0.0, 0.002, 0.005, 0.01, 0.02, 0.04)}
CALMS = (0.0, 0.2, 0.3, 0.4, 0.5)
"""What is chosen on validation days: at which heat actions are mixed, and which share of ramps is taken off."""


@dataclass(frozen=True, eq=False)
class Series:
    """Seventeen homes over a year: load and PV, shape (17, T) [kW]; tariff, carbon and hour of day, shape (T,)."""

    load_kw: Array
    sun_kw: Array
    price: Array
    carbon: Array
    hour: Array

    @classmethod
    def open(cls, path: Path) -> Series:
        """Return what ``judge.py series`` wrote."""
        with np.load(path) as given:
            return cls(*(given[name].astype(np.float64) for name in ("load_kw", "sun_kw", "price", "carbon", "hour")))

    def during(self, hours: slice) -> Series:
        """Return a stretch."""
        at = (Ellipsis, hours)
        return Series(self.load_kw[at], self.sun_kw[at], self.price[hours], self.carbon[hours], self.hour[hours])


def spans(phase: str) -> tuple[list[slice], slice]:
    """Return the stretches to learn from and the one to choose on, all outside the phase by a day or more."""
    _, first, last = replica.PHASES[phase]
    free = [(begin, end) for begin, end in ((0, first - 1), (last + 1, 365)) if end - begin > VALIDATION_DAYS]
    begin, end = free[-1] if first == 0 else free[0]
    chosen = (end - VALIDATION_DAYS, end)
    learn_on = [(b, e) if (b, e) != (begin, end) else (b, chosen[0] - 1) for b, e in free]
    return [slice(b * DAY, e * DAY) for b, e in learn_on], slice(chosen[0] * DAY, chosen[1] * DAY)


def usual_days(parts: list[Series]) -> dict[str, Array]:
    """Return each home's mean day and its hourly cost and emissions without control."""
    load, sun, carbon, price, hour = (
        np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in ("load_kw", "sun_kw", "carbon", "price", "hour")
    )
    at = [hour == h for h in range(DAY)]
    bought = np.maximum(load - sun, 0.0)
    return {
        "usual_load": np.stack([load[:, rows].mean(axis=1) for rows in at], axis=1),
        "usual_sun": np.stack([sun[:, rows].mean(axis=1) for rows in at], axis=1),
        "usual_carbon": np.array([carbon[rows].mean() for rows in at]),
        "money": (bought * price).mean(axis=1),
        "emissions": (bought * carbon).mean(axis=1),
    }


def walk(series: Series, given: dict[str, Array]) -> Iterator[agents.Memory]:
    """Yield what agents remember at the eve of every hour of a stretch that begins without a history."""
    memory = agents.Memory.usual(given["usual_load"], given["usual_sun"], given["usual_carbon"], int(series.hour[0]))
    for t in range(len(series.hour)):
        yield memory
        memory.learn(series.load_kw[:, t], series.sun_kw[:, t], float(series.carbon[t]))


def fit_forecasts(parts: list[Series], given: dict[str, Array]) -> dict[str, Array]:
    """Return the coefficients of the four forecasts: ridge regressions over all homes and hours."""
    rows: dict[str, list[Array]] = {name: [] for name in ("now_load", "now_sun", "next_load", "next_sun")}
    truth: dict[str, list[Array]] = {"load": [], "sun": []}
    for part in parts:
        for t, memory in enumerate(walk(part, given)):
            usual = given["usual_load"]
            ahead = (inputs[:, 0] for inputs in agents.foreseen_inputs(memory, usual))
            for name, found in zip(rows, (*agents.now_inputs(memory, usual), *ahead), strict=True):
                rows[name].append(found[HOMES])
            truth["load"].append(part.load_kw[HOMES, t])
            truth["sun"].append(part.sun_kw[HOMES, t])
    fitted = {}
    for name, found in rows.items():
        x, y = np.concatenate(found), np.concatenate(truth[name.split("_")[1]])
        fitted[name] = np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T @ y)
    return fitted


def foresights(series: Series, given: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Return load and PV as expected at the eve of each hour, and net load and carbon as foreseen a day before."""
    loads, suns, foreseen, carbon = [], [], [], []
    usual = given["usual_load"]
    for memory in walk(series, given):
        load, sun = agents.now_inputs(memory, usual)
        loads.append(np.maximum(load @ given["now_load"], 0.0))
        suns.append(np.maximum(sun @ given["now_sun"], 0.0))
        load, sun = (inputs[:, 0] for inputs in agents.foreseen_inputs(memory, usual))
        foreseen.append(np.maximum(load @ given["next_load"], 0.0) - np.maximum(sun @ given["next_sun"], 0.0))
        carbon.append(memory.carbon[-DAY])
    return np.stack(loads, axis=1), np.stack(suns, axis=1), np.stack(foreseen, axis=1), np.array(carbon)


def load_ratios(parts: list[Series], given: dict[str, Array]) -> Array:
    """Return six equally likely ratios of load to what was expected of it, by home and hour of day, (17, 24, 6)."""
    expected = np.concatenate([foresights(part, given)[0] for part in parts], axis=1)
    load, hour = (np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in ("load_kw", "hour"))
    ratio = load / np.maximum(expected, 0.05)
    found = np.empty((len(load), DAY, LIKELY))
    for h in range(DAY):
        near = np.sort(ratio[:, np.isin(hour, [(h - 1) % DAY, h, (h + 1) % DAY])], axis=1)
        found[:, h] = np.stack([part.mean(axis=1) for part in np.array_split(near, LIKELY, axis=1)], axis=1)
    return found


def districts(phase: str, rng: np.random.Generator) -> list[list[int]]:
    """Return groups of homes that share a district, as many as in the phase's and others."""
    fives = [HOMES[:5]]
    for _ in range(2):
        order = rng.permutation(HOMES).tolist()
        fives += [order[k : k + 5] for k in range(0, 15, 5)]
    return [HOMES, *fives[:4]] if phase == "phase_3" else fives


def split(series: Series, phase: str) -> tuple[list[Series], Series]:
    """Return the stretches to learn from and the one to choose on."""
    learn_on, choose_on = spans(phase)
    return [series.during(hours) for hours in learn_on], series.during(choose_on)


def forecasts_for(series: Series, phase: str) -> dict[str, Array]:
    """Return usual days and forecasts of a phase's homes, fitted on the stretches to learn from alone."""
    parts, _ = split(series, phase)
    given = usual_days(parts)
    given |= fit_forecasts(parts, given)
    return given | {"ratios": load_ratios(parts, given)}


def cases_of(parts: list[Series], given: dict[str, Array], groups: list[list[int]]) -> Cases:
    """Return every home of every group and block of days as a case."""
    steepness = float(given["steepness"])
    columns: dict[str, list[Array]] = {name: [] for name in ("net", "likely", "seen", "buy", "sell", "f_buy", "f_sell")}
    length, stride = (BLOCK_DAYS + WARM_UP_DAYS + 1) * DAY, BLOCK_DAYS * DAY
    for part in parts:
        load, sun, seen, f_carbon = foresights(part, given)
        now = load - sun
        likely = load[:, :, None] * given["ratios"][:, part.hour.astype(int)] - sun[:, :, None]
        own, f_own = (agents.composite_price(given, list(range(17)), part.price, c) for c in (part.carbon, f_carbon))
        steps = len(part.hour)
        starts = sorted({*range(0, steps - length + 1, stride), steps - length})
        for group in groups:
            slope, f_slope = steepness * now[group].mean(axis=0), steepness * seen[group].mean(axis=0)
            found = (now, likely, seen, own + slope, np.broadcast_to(slope, own.shape), f_own + f_slope)
            for start in starts:
                at = slice(start, start + length)
                for name, values in zip(columns, (*found, np.broadcast_to(f_slope, own.shape)), strict=True):
                    columns[name].append(values[group, at])
    made = {name: np.concatenate(found) for name, found in columns.items()}
    m = len(made["net"])
    return Cases(
        fleet=BatteryFleet.uniform(m, *given["battery"]),
        net_kw=made["net"],
        foreseen_kw=made["seen"],
        buy_eur_per_kwh=made["buy"],
        sell_eur_per_kwh=made["sell"],
        set_daily=np.zeros(m, dtype=np.bool_),
        hour=parts[0].hour[:length].astype(np.float64),
        unpublished=np.ones(m, dtype=np.bool_),
        foreseen_buy_eur_per_kwh=made["f_buy"],
        foreseen_sell_eur_per_kwh=made["f_sell"],
        possible_kw=made["likely"],
        haste_eur_per_kw2h=np.full(m, steepness),
    )


class Trial:
    """The validation days of a phase's homes, with everything that agents foresee there, ready to be acted on."""

    def __init__(self, part: Series, given: dict[str, Array], homes: list[int]) -> None:
        self.part, self.given, self.homes = part, given, homes
        acting = agents.Agents(given, homes, part.price, int(part.hour[0]))
        self.battery = acting.battery
        self.windows = []
        for t in range(len(part.hour)):
            self.windows.append(acting.foresee())
            acting.learn(part.load_kw[homes, t], part.sun_kw[homes, t], float(part.carbon[t]))

    def score(self, network: ActionNetwork, mix: tuple[float, float]) -> dict[str, float]:
        """Return the score of a policy at a heat and a calm."""
        layers, part = list(zip(network.weights, network.biases, strict=True)), self.part

        def ask(hour: int, soc_kwh: Array, total_kw: float) -> Array:
            at = int(part.hour[hour])
            return agents.decide(layers, self.windows[hour], soc_kwh, total_kw, at, self.battery, mix)

        net_kw = (part.load_kw - part.sun_kw)[self.homes]
        return replica.score(replica.simulate(net_kw, ask), net_kw, part.price, part.carbon)

    def best(self, network: ActionNetwork, mixes: list[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
        """Return the best score of a policy, and at which heat and calm."""
        return min((self.score(network, mix)["score"], mix) for mix in mixes)


def train(series: Series, phase: str, kind: Kind, seed: int) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return a policy for a phase, as it is to be written, and how its training went."""
    begun, begun_cpu = time.perf_counter(), time.process_time()
    given = forecasts_for(series, phase)
    given |= {"steepness": np.array(STEEPNESS), "battery": np.array([6.4, POWER_KW, EFFICIENCY])}
    parts, choose_on = split(series, phase)
    cases = cases_of(parts, given, districts(phase, np.random.default_rng(0)))
    trial = Trial(choose_on, given, replica.PHASES[phase][0])
    heats = HEATS[kind]
    few = [(heat, CALMS[1]) for heat in heats[1::2]]
    outcome = learn(kind, cases, lambda network: -trial.best(network, few)[0], seed=seed, settings=SETTINGS[kind])
    _, (heat, _) = trial.best(outcome.network, [(heat, CALMS[1]) for heat in heats])
    score, mix = trial.best(outcome.network, [(heat, calm) for calm in CALMS])
    given |= {f"weight_{i}": weight for i, weight in enumerate(outcome.network.weights)}
    given |= {f"bias_{i}": bias for i, bias in enumerate(outcome.network.biases)}
    given |= {"heat": np.array(mix[0]), "calm": np.array(mix[1])}
    return given, {
        "validation_score": round(score, 4),
        "cloned_score": round(-outcome.cloned_score, 4),
        "tuned_score": round(-outcome.tuned_score, 4),
        "heat": mix[0],
        "calm": mix[1],
        "cases": len(cases.fleet),
        "train_s": round(time.perf_counter() - begun, 1),
        "train_cpu_s": round(time.process_time() - begun_cpu, 1),
    }


def main() -> None:
    """Train every kind for every phase and seed; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path, help="what judge.py series wrote")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kinds", nargs="+", default=["ppo", "dqn"])
    parser.add_argument("--phases", nargs="+", default=list(replica.PHASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    series = Series.open(asked.series)
    asked.folder.mkdir(parents=True, exist_ok=True)
    cards = {}
    for seed, kind, phase in product(asked.seeds, asked.kinds, asked.phases):
        name = f"policy_{kind}_{phase}_{seed}"
        if (asked.folder / f"{name}.npz").exists():
            continue
        given, cards[name] = train(series, phase, kind, seed)
        np.savez(asked.folder / f"{name}.npz", **given)
        (asked.folder / f"{name}.json").write_text(json.dumps(cards[name], indent=2) + "\n", encoding="utf-8")
        print(name, cards[name], file=sys.stderr, flush=True)
    print(json.dumps(cards))


if __name__ == "__main__":
    main()
