"""Arbitrage in Houston: every controller over a year of day-ahead prices, and policies trained on the year before."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vpp_sim.arrays import FloatArray
from vpp_sim.data.prices import ERCOT_USD_PER_EUR, ErcotHoustonDayAhead
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.arbitrage import Foresight, Trading, best_trading, market_cases, trade
from vpp_sim.ess.curriculum import market_training_cases
from vpp_sim.ess.episodes import WARM_UP_DAYS, Cases
from vpp_sim.ess.learning import SETTINGS, Kind, LearningSettings, learn
from vpp_sim.ess.network import ActionNetwork
from vpp_sim.ess.outlook import CUT, KNOWLEDGE, SHRINKAGE, WEEKDAY_DAYS, Knowledge, PriceOutlook, carried_mean
from vpp_sim.ess.policy import PolicyController
from vpp_sim.ess.protocol import Controller
from vpp_sim.registry import CONTROLLERS

BATTERY = CAPACITY_KWH, POWER_KW, ROUND_TRIP = 2000.0, 1000.0, 0.85
HALF = np.array([CAPACITY_KWH / 2])
HISTORY_H, LEARNED_DAYS, YEAR_DAYS = WARM_UP_DAYS * 24, 304, 365
TEST_YEAR = 2022
SEEDS = (0, 1, 2, 3, 4)
KINDS: tuple[Kind, ...] = ("ppo", "dqn")
RULES = ("idle", "price_rule", "mpc", "dp")

MADE_FOR_MARKETS: dict[Kind, LearningSettings] = {
    kind: replace(
        SETTINGS[kind],
        hidden=(192, 192, 192),
        clone_from="plan",
        clone_steps=16_000,
        clone_batch=512,
        clone_rate=4e-3,
        tune_steps=tune_steps,
    )
    for kind, tune_steps in (("ppo", 100_000), ("dqn", 60_000))
}
"""What policies are trained with here; chosen on the last two months of 2021."""

TINY = {"clone_steps": 20, "tune_steps": 0, "hidden": (8,)}


@dataclass(frozen=True, slots=True)
class Job:
    """One training: algorithm, knowledge, seed, settings, days learned from and days that choose."""

    kind: Kind
    knows: Knowledge
    seed: int
    settings: LearningSettings
    learned_days: int
    chosen_days: int

    @property
    def name(self) -> str:
        """Return what tells this training from all others."""
        digest = sha256(
            json.dumps({**asdict(self), "outlook": [CUT, SHRINKAGE, WEEKDAY_DAYS]}, sort_keys=True).encode()
        ).hexdigest()[:8]
        return f"{self.kind}_{self.knows}_{self.seed}_{digest}"


FORESEEN = ("fitted", "carried_mean", "seven_day_mean")
"""What coming prices are told from: the joint distribution of three days, or the mean of seven, with or without what
lately deviated from it."""


@cache
def prices() -> tuple[FloatArray, FloatArray, pd.DatetimeIndex]:
    """Return prices of both years [EUR/kWh], the local hour of day, and local time."""
    series = ErcotHoustonDayAhead().load()
    local = series.index.tz_convert(series.time_zone)
    return series.price_eur_per_kwh, np.asarray(local.hour, dtype=np.float64), local


@cache
def outlook() -> PriceOutlook:
    """Return what the days that policies learn from tell of prices."""
    price, hour, local = prices()
    stop = LEARNED_DAYS * 24
    return PriceOutlook.fit(price[:stop], hour[:stop], np.asarray(local.dayofweek[:stop], dtype=np.int64))


def foresight(rows: slice, knows: Knowledge, foreseen: str = "fitted") -> Foresight:
    """Return how prices are foreseen in a stretch of hours, by a name of :data:`FORESEEN`."""
    _, hours, local = prices()
    hour, weekday = hours[rows], np.asarray(local.dayofweek[rows], dtype=np.int64)
    if foreseen == "fitted":
        return lambda price: outlook().foresee(price, hour, weekday, knows=knows)
    if foreseen == "carried_mean":
        return lambda price: carried_mean(price, hour, knows=knows)
    return lambda price: carried_mean(price, hour, knows=knows, carry_h=0.0)


def battery_in(first: int, last: int, knows: Knowledge, foreseen: str = "fitted") -> Cases:
    """Return the battery over the steps from `first` to `last`."""
    price, hour, _ = prices()
    rows = slice(first - HISTORY_H, last)
    fleet, told = BatteryFleet.uniform(1, *BATTERY), foresight(rows, knows, foreseen)
    return market_cases(fleet, price[rows], hour[rows], knows=knows, foresight=told)


def year_of_test(knows: Knowledge, days: int, foreseen: str = "fitted") -> Cases:
    """Return the battery over the first days of the test year."""
    first = int(np.flatnonzero(prices()[2].year == TEST_YEAR)[0])
    return battery_in(first, first + days * 24, knows, foreseen)


def traded(controller: Controller, cases: Cases) -> Trading:
    """Return what a controller does from half full to half full."""
    return trade(controller, cases, start_kwh=HALF, end_kwh=HALF)


def train(job: Job, scratch: Path) -> None:
    """Train a policy on the first days of 2021, choose on those that follow, and keep it in `scratch`."""
    kept = scratch / f"{job.name}.npz"
    if kept.is_file():
        return
    price, hour, _ = prices()
    stop = job.learned_days * 24
    rng = np.random.default_rng([job.seed, 0])
    told = foresight(slice(0, stop), job.knows)
    cases = market_training_cases(price[:stop], hour[:stop], battery=BATTERY, knows=job.knows, rng=rng, foresight=told)
    chosen_on = battery_in(stop, stop + job.chosen_days * 24, job.knows)
    best_eur = -float(best_trading(chosen_on, start_kwh=HALF, end_kwh=HALF).cost_eur[0])

    def score(network: ActionNetwork) -> float:
        return float(traded(PolicyController(network), chosen_on).profit_eur.sum()) / best_eur

    began, began_cpu = time.perf_counter(), time.process_time()
    made = learn(job.kind, cases, score, seed=job.seed, settings=job.settings)
    spent = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - began_cpu}
    facts = {**asdict(job), **spent, "scores": made.scores}
    layers = {f"weight_{i}": weight for i, weight in enumerate(made.network.weights)}
    layers |= {f"bias_{i}": bias for i, bias in enumerate(made.network.biases)}
    scratch.mkdir(parents=True, exist_ok=True)
    kept.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    part = kept.with_suffix(".part.npz")
    np.savez(part, **layers)
    part.replace(kept)
    print(f"{job.name}: {max(made.scores):.4f} on the days that choose, {spent['cpu_s']:.0f} CPU s", file=sys.stderr)


def policy(job: Job, scratch: Path) -> PolicyController:
    """Return a policy that was trained."""
    with np.load(scratch / f"{job.name}.npz") as found:
        layers = range(len(found.files) // 2)
        network = ActionNetwork(tuple(found[f"weight_{i}"] for i in layers), tuple(found[f"bias_{i}"] for i in layers))
    return PolicyController(network)


def arbitrage(scratch: Path, *, jobs: int, quick: bool) -> dict[str, Any]:
    """Return the best profit, and by controller and knowledge its share, dollars and cycles."""
    days, seeds, kinds = (7, SEEDS[:1], KINDS[:1]) if quick else (YEAR_DAYS, SEEDS, KINDS)
    learned, chosen = (28, 7) if quick else (LEARNED_DAYS, YEAR_DAYS - LEARNED_DAYS)

    def job(kind: Kind, knows: Knowledge, seed: int) -> Job:
        settings = MADE_FOR_MARKETS[kind]
        return Job(kind, knows, seed, replace(settings, **TINY) if quick else settings, learned, chosen)

    work = {(kind, knows): [job(kind, knows, seed) for seed in seeds] for kind in kinds for knows in KNOWLEDGE}
    everything = [one for found in work.values() for one in found]
    if jobs > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            list(pool.map(train, everything, [scratch] * len(everything)))
    for one in everything:
        train(one, scratch)
    entrants: dict[str, Callable[[Knowledge], Sequence[Controller]]] = {
        **{name: _registered(name) for name in RULES},
        **{kind: lambda knows, kind=kind: [policy(one, scratch) for one in work[kind, knows]] for kind in kinds},
    }
    figures = _measured(entrants, days)
    facts = [json.loads((scratch / f"{one.name}.json").read_text(encoding="utf-8")) for one in everything]
    figures["ercot_train_cpu_s"] = {
        kind: round(float(np.mean([fact["cpu_s"] for fact in facts if fact["kind"] == kind])), 1) for kind in kinds
    }
    figures["ercot_scores"] = {
        kind: {
            knows: [
                [round(s, 4) for s in fact["scores"]]
                for fact in facts
                if (fact["kind"], fact["knows"]) == (kind, knows)
            ]
            for knows in KNOWLEDGE
        }
        for kind in kinds
    }
    return figures


def _registered(name: str) -> Callable[[Knowledge], Sequence[Controller]]:
    """Return a maker of the one controller that a name stands for, whatever is known."""
    return lambda knows: [CONTROLLERS.load(name).open(3600)]


def _measured(entrants: dict[str, Callable[[Knowledge], Sequence[Controller]]], days: int) -> dict[str, Any]:
    best = best_trading(year_of_test("da_known", days), start_kwh=HALF, end_kwh=HALF)
    best_usd = -float(best.cost_eur[0]) * ERCOT_USD_PER_EUR
    share: dict[str, Any] = {}
    usd: dict[str, Any] = {}
    cycles: dict[str, Any] = {}

    def enter(name: str, knows: Knowledge, done: Sequence[Trading]) -> None:
        profits = [float(one.profit_eur.sum()) * ERCOT_USD_PER_EUR for one in done]
        turned = [float(one.discharge_kw.sum()) / CAPACITY_KWH for one in done]
        share.setdefault(name, {})[knows] = over_seeds([profit / best_usd for profit in profits], 4)
        usd.setdefault(name, {})[knows] = round(float(np.mean(profits)))
        cycles.setdefault(name, {})[knows] = round(float(np.mean(turned)))
        print(f"{name}, {knows}: {share[name][knows]['mean']:.4f}", file=sys.stderr)

    for name, make in entrants.items():
        for knows in KNOWLEDGE:
            enter(name, knows, [traded(one, year_of_test(knows, days)) for one in make(knows)])
    for knows in KNOWLEDGE:
        for foreseen in FORESEEN[1:]:
            plain = traded(CONTROLLERS.load("mpc").open(3600), year_of_test(knows, days, foreseen))
            enter(f"mpc_{foreseen}", knows, [plain])
    whole = {"mean": 1.0, "spread": 0.0, "seeds": 1}
    share["perfect_foresight"] = dict.fromkeys(KNOWLEDGE, whole)
    usd["perfect_foresight"] = dict.fromkeys(KNOWLEDGE, round(best_usd))
    cycles["perfect_foresight"] = dict.fromkeys(KNOWLEDGE, round(float(best.discharge_kw.sum()) / CAPACITY_KWH))
    return {"ercot_pf_share": share, "ercot_usd": usd, "ercot_cycles": cycles, "ercot_best_usd": round(best_usd, 2)}


def over_seeds(values: Sequence[float], digits: int) -> dict[str, float | int]:
    """Return mean and spread (standard deviation) of a figure over seeds, and their number."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": round(float(np.mean(values)), digits) + 0.0, "spread": round(spread, digits), "seeds": len(values)}
