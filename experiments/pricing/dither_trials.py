"""How well prices moved at random would teach: with more homes and larger moves, and how often intervals hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from learnt_response import (
    DITHER,
    INDEPENDENT_SHARE,
    NO_PRIOR,
    PRIOR,
    TAUGHT_DAYS,
    learner_of,
    moved,
    precision_of,
    spread_out,
)
from planted_homes import planted
from priced_years import FIRST_DAY, HOURS, LAG_DAYS, RECENT_DAYS, Year, load

from vpp_sim.arrays import FloatArray

COPIES, MOVES, SEEDS, TRIALS = (1, 4, 16), (DITHER, 0.2), (0, 1, 2, 3, 4), 20
HIGHEST = 2.5
WEEK = 7
INDEPENDENT_SHARES = (1.0, INDEPENDENT_SHARE)


@dataclass(frozen=True, slots=True)
class Setting:
    """So many copies of the homes, moves of such a size, and trials of each planted response."""

    copies: int
    move: float
    seeds: tuple[int, ...] = SEEDS
    trials: int = TRIALS


def settings_of(*, quick: bool) -> list[Setting]:
    """Return all settings; the quick version takes one trial of one planted response."""
    found = [Setting(copies, move) for copies in COPIES for move in MOVES]
    return [replace(each, seeds=SEEDS[:1], trials=1) for each in found] if quick else found


def more_homes(year: Year, copies: int) -> Year:
    """Return a year with copies of the homes, each some weeks away from the last.

    Their errors are then nearly independent, which those of neighbours under one sky are not.
    """

    def rolled(series: FloatArray) -> FloatArray:
        step = WEEK * (year.days // (WEEK * copies))
        return np.concatenate([np.roll(series, step * copy, axis=0) for copy in range(copies)], axis=1)

    return replace(year, import_kwh=rolled(year.import_kwh), export_kwh=rolled(year.export_kwh))


def run_setting(setting: Setting) -> dict[str, Any]:
    """Return how far estimates without a prior are off, how far they say they are, and how often intervals hold."""
    year = more_homes(load(), setting.copies)
    found = [_trials(year, setting, seed) for seed in setting.seeds]
    trials = np.concatenate(found)  # by trial and independent share: own, sd, low, high, truth
    own, sd, low, high, truth = np.moveaxis(trials, -1, 0)
    covered = ((low < truth) & (truth < high)).mean(axis=0)
    return {
        "homes": year.homes,
        "move": setting.move,
        "trials": len(trials),
        "off": round(float(np.sqrt(np.mean((own[:, 0] - truth[:, 0]) ** 2))), 4),
        "said": round(float(sd[:, 0].mean()), 4),
        "covered": {f"{share:g}": float(covered[place]) for place, share in enumerate(INDEPENDENT_SHARES)},
        "precision": round(float((sd[:, 0] ** -2).mean()), 1),
        "days_to_match_the_prior": round(TAUGHT_DAYS / (PRIOR.own_sd**2 * float((sd[:, 0] ** -2).mean()))),
    }


def _trials(year: Year, setting: Setting, seed: int) -> FloatArray:
    """Return own elasticity, its deviation, the interval and the truth, shape (trials, shares, 5)."""
    customers, rng = planted(year.homes, seed, "elastic"), np.random.default_rng((13, seed))
    matrices = np.array([customers.elastic.elasticity(each, year.default) for each in year.import_kwh])
    starts = rng.integers(FIRST_DAY, year.days - TAUGHT_DAYS + 1, setting.trials)
    return np.array([_trial(year, matrices, int(start), setting.move, rng) for start in starts])


def _trial(year: Year, matrices: FloatArray, start: int, move: float, rng: np.random.Generator) -> FloatArray:
    """Return what the days from one on teach where the flat default is moved; elastic homes are linear in prices."""
    learners = [learner_of(NO_PRIOR) for _ in INDEPENDENT_SHARES]
    base = year.import_kwh.sum(axis=1)
    known, believed = base.copy(), spread_out(PRIOR.own, 0.0, HOURS)
    truth, weights = np.zeros(HOURS), np.zeros(HOURS)
    for day in range(start, start + TAUGHT_DAYS):
        forecast = np.maximum(known[day - RECENT_DAYS - LAG_DAYS + 1 : day - LAG_DAYS + 1].mean(axis=0), 0.0)
        price = moved(year.default, year.problem(day), HIGHEST * year.default_eur_per_kwh, move, rng)
        relative = price / year.default - 1
        metered = base[day] * (1 + matrices[day] @ relative)
        known[day] = metered - forecast * (believed @ relative)
        weight = precision_of(forecast)
        truth, weights = truth + weight * np.diag(matrices[day]), weights + weight
        for learner, share in zip(learners, INDEPENDENT_SHARES, strict=True):
            learner.update(
                metered, forecast, price, year.default, group=np.arange(HOURS), weight=weight, independent_share=share
            )  # fmt: skip
    found = [(each.posterior.own, each.posterior.own_sd, *each.posterior.interval(0.9)) for each in learners]
    return np.array([(*row, truth.sum() / weights.sum()) for row in found])
