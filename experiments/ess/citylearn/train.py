"""Train policies for CityLearn's homes, each on the days that it is not scored on, and write them as plain NumPy."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.episodes import WARM_UP_DAYS, Cases, stored_value_eur
from vpp_sim.ess.learning import SETTINGS, LearningSettings, learn
from vpp_sim.ess.network import ActionNetwork

sys.path.insert(0, str(Path(__file__).resolve().parent))

import agents  # noqa: E402 - it and the replica lie beside this file, not in the package
import replica  # noqa: E402

Array = agents.Array
DAY = 24
HOMES = [home for home in range(17) if home not in (11, 14)]
BLOCK_DAYS = 40
VALIDATION_DAYS = 40
EFFICIENCY = 0.84
LIKELY = 6


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
            return cls(*(given[name] for name in ("load_kw", "sun_kw", "price", "carbon", "hour")))

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
            now, ahead = agents.now_inputs(memory, usual), agents.foreseen_inputs(memory, usual, 0)
            for name, found in zip(rows, (*now, *ahead), strict=True):
                rows[name].append(found[HOMES])
            truth["load"].append(part.load_kw[HOMES, t])
            truth["sun"].append(part.sun_kw[HOMES, t])
    fitted = {}
    for name, found in rows.items():
        x, y = np.concatenate(found), np.concatenate(truth[name.split("_")[1]])
        fitted[name] = np.linalg.solve(x.T @ x + 1e-3 * len(x) * np.eye(x.shape[1]), x.T @ y)
    return fitted


def foresights(series: Series, given: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Return load and PV as expected at the eve of each hour, net load as foreseen a day before, and foreseen carbon."""
    loads, suns, foreseen, carbon = [], [], [], []
    usual = given["usual_load"]
    for memory in walk(series, given):
        load, sun = agents.now_inputs(memory, usual)
        loads.append(np.maximum(load @ given["now_load"], 0.0))
        suns.append(np.maximum(sun @ given["now_sun"], 0.0))
        load, sun = agents.foreseen_inputs(memory, usual, 0)
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


def cases_of(parts: list[Series], given: dict[str, Array], groups: list[list[int]], power_kw: float) -> Cases:
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
        fleet=BatteryFleet.uniform(m, 6.4, power_kw, EFFICIENCY),
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

    def score(self, layers: list[tuple[Array, Array]], heat: float) -> dict[str, float]:
        """Return the score of a policy that mixes its actions at a heat."""
        part = self.part

        def ask(hour: int, soc_kwh: Array) -> Array:
            net, buy, sell = self.windows[hour]
            seen = agents.features(soc_kwh, net, buy, sell, int(part.hour[hour]), self.battery)
            weight = agents.mixed(agents.scores(layers, seen), heat)
            return agents.asked_kw(soc_kwh, net[:, 0], self.battery, weight)

        net_kw = (part.load_kw - part.sun_kw)[self.homes]
        return replica.score(replica.simulate(net_kw, ask), net_kw, part.price, part.carbon)


HEATS = {"ppo": (0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0), "dqn": (0.0, 0.002, 0.005, 0.01, 0.02, 0.04)}


def best_heat(trial: Trial, kind: str, network: ActionNetwork) -> tuple[float, dict[str, float]]:
    """Return the heat that scores best on validation, and its score."""
    layers = list(zip(network.weights, network.biases, strict=True))
    found = {heat: trial.score(layers, heat) for heat in HEATS[kind]}
    heat = min(found, key=lambda key: found[key]["score"])
    return heat, found[heat]


def train(
    series: Series, phase: str, kind: str, seed: int, *, steepness: float, power_kw: float, settings: LearningSettings
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return a policy for a phase, as it is to be written, and how its training went."""
    begun = time.process_time()
    learn_on, choose_on = spans(phase)
    parts = [series.during(hours) for hours in learn_on]
    given = usual_days(parts)
    given |= fit_forecasts(parts, given)
    given["ratios"] = load_ratios(parts, given)
    given |= {"steepness": np.array(steepness), "battery": np.array([6.4, power_kw, EFFICIENCY])}
    cases = cases_of(parts, given, districts(phase, np.random.default_rng(0)), power_kw)
    trial = Trial(series.during(choose_on), given, replica.PHASES[phase][0])
    outcome = learn(
        kind,  # type: ignore[arg-type]
        cases,
        lambda network: -best_heat(trial, kind, network)[1]["score"],
        seed=seed,
        settings=settings,
    )
    heat, found = best_heat(trial, kind, outcome.network)
    given |= {f"weight_{i}": weight for i, weight in enumerate(outcome.network.weights)}
    given |= {f"bias_{i}": bias for i, bias in enumerate(outcome.network.biases)}
    given["heat"] = np.array(heat)
    card = {
        "validation": {name: round(value, 4) for name, value in found.items()},
        "validation_scores": [round(-value, 4) for value in outcome.scores],
        "heat": heat,
        "cases": len(cases.fleet),
        "cpu_s": round(time.process_time() - begun, 1),
    }
    return given, card
