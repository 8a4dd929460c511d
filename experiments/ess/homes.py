"""Thirteen homes over seventy days that no policy has met: every controller, with real and with perfect forecasts."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from vpp_sim.ess.settings import PLAIN_SETTINGS, SETTINGS, Kind, LearningSettings
from vpp_sim.training.storage import train_ess
from vpp_sim.trials.request import TrialRequest
from vpp_sim.trials.run import TrialResult, run_trial

LEARNED_UNTIL, CHOSEN_UNTIL = date(2017, 3, 15), date(2017, 4, 27)
FIRST, LAST = date(2017, 4, 28), date(2017, 7, 6)
QUICK_LAST = date(2017, 4, 30)
KINDS: tuple[Kind, ...] = ("ppo", "dqn")
SEEDS, PLAIN_SEEDS = (0, 1, 2, 3, 4), (0,)
RULES = ("idle", "self_consumption", "price_rule", "mpc", "dp", "perfect_foresight")
TINY_STEPS = 20


@dataclass(frozen=True, slots=True)
class Job:
    """One training."""

    kind: Kind
    seed: int
    cloned: bool
    folder: Path
    settings: LearningSettings


def train(job: Job) -> None:
    """Train a policy on the days before the seventy, unless that was done."""
    if (job.folder / f"ess_{job.kind}.json").is_file():
        return
    card = train_ess(
        job.kind,
        seed=job.seed,
        out_dir=job.folder,
        cloned=job.cloned,
        settings=job.settings,
        train_until=LEARNED_UNTIL,
        validate_until=CHOSEN_UNTIL,
    )
    best = max(card.validation_scores)
    print(f"{job.folder.name} {job.kind}: {best:.4f} on the days that choose, {card.training_cpu_s} s", file=sys.stderr)


def seventy_days(scratch: Path, *, jobs: int, quick: bool) -> dict[str, Any]:
    """Return by controller what it saves of what perfect foresight saves, and how the trainings went."""
    work = [
        Job(kind, seed, cloned, scratch / f"{'cloned' if cloned else 'plain'}_{seed}", _settings(kind, cloned, quick))
        for cloned, seeds in (((False, SEEDS[:1]),) if quick else ((True, SEEDS), (False, PLAIN_SEEDS)))
        for kind in (KINDS[:1] if quick else KINDS)
        for seed in seeds
    ]
    if jobs > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            list(pool.map(train, work))
    for job in work:
        train(job)
    folders = sorted({job.folder for job in work})
    policies = tuple(f"plain={folder}" if folder.name.startswith("plain") else str(folder) for folder in folders)
    real, perfect = (
        run_trial(
            TrialRequest(
                kinds=RULES, policies=policies, first=FIRST, last=QUICK_LAST if quick else LAST, forecast=forecast
            )
        )
        for forecast in ("yesterday", "perfect")
    )
    return {**_figures(real, perfect), **_trainings(work)}


def _settings(kind: Kind, cloned: bool, quick: bool) -> LearningSettings:
    found = (SETTINGS if cloned else PLAIN_SETTINGS)[kind]
    if not quick:
        return found
    return replace(found, clone_steps=TINY_STEPS if cloned else 0, tune_steps=0, hidden=(8,))


def _figures(real: TrialResult, perfect: TrialResult) -> dict[str, Any]:
    with_truth = {row["controller"]: row for row in perfect.rows}
    share = {
        row["controller"]: {
            "real_forecast": _rounded(row["share"]),
            "real_forecast_spread": _rounded(row["spread_over_seeds"]),
            "interval_over_homes": [_rounded(bound) for bound in row["interval_over_homes"] or ()],
            "perfect_forecast": _rounded(with_truth[row["controller"]]["share"]),
            "perfect_forecast_spread": _rounded(with_truth[row["controller"]]["spread_over_seeds"]),
            "homes_ahead_of_rule_and_mpc": row["homes_ahead"],
            "homes_ahead_each_seed": _ahead_each_seed(real, row["controller"]),
            "seeds": len(row["seeds"]),
            "eur_per_home": _rounded(row["saving_eur_per_home"], 2),
            "cycles": _rounded(row["cycles"], 1),
            "projected_share": _rounded(row["projected_share"]),
            "knew": row["knew"],
        }
        for row in real.rows
    }
    each = {row["controller"]: [_rounded(value, 3) for value in row["shares"].values()] for row in real.rows}
    return {"fontana_pf_share": share, "fontana_homes": list(real.homes.names), "fontana_each_home": each}


def _ahead_each_seed(result: TrialResult, name: str) -> list[int]:
    """Return for each seed in how many homes it saves more than the rule and the plan."""
    saved = {n: [one.record.saving_eur.sum(axis=1) for one in result.of(n)] for n in (name, "self_consumption", "mpc")}
    rival = np.maximum(saved["self_consumption"][0], saved["mpc"][0])
    return [int((one > rival).sum()) for one in saved[name]] if name in ("ppo", "dqn", "plain_ppo", "plain_dqn") else []


def _trainings(work: list[Job]) -> dict[str, Any]:
    cards = [(job, json.loads((job.folder / f"ess_{job.kind}.json").read_text(encoding="utf-8"))) for job in work]
    names = {job: job.kind if job.cloned else f"plain_{job.kind}" for job in work}
    spent: dict[str, list[float]] = {}
    scores: dict[str, list[list[float]]] = {}
    for job, card in cards:
        spent.setdefault(names[job], []).append(card["training_cpu_s"])
        scores.setdefault(names[job], []).append([round(score, 4) for score in card["validation_scores"]])
    return {
        "train_s": {name: round(float(np.mean(found)), 1) for name, found in spent.items()},
        "fontana_scores": scores,
    }


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(float(value), digits)
