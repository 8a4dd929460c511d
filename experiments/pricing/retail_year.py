"""Every tariff over a year: prices set the day before, homes that answer as they truly do, and who gains."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dither_trials
import numpy as np
from charged_days import (
    Believing,
    ChargedDay,
    Plant,
    came,
    charge,
    elastic_change,
    no_change,
    shifting_change,
)
from learnt_response import TAUGHT_DAYS, Learning, matrix_of_prior, taught_by
from planted_homes import (
    BELIEVED_DISCOMFORT,
    BELIEVED_SHARE,
    TRUTHS,
    WINDOW_H,
    Truth,
    answer_of,
    outcome,
    planted,
    summary,
    true_elasticity,
)
from priced_years import FEED_IN_EUR_PER_KWH, FIRST_DAY, HOURS, LEVIES_EUR_PER_KWH, PRICE_YEARS, Year, load
from seed_spread import spread

from vpp_sim.pricing.elasticity import literature_prior
from vpp_sim.pricing.protocol import RetailOptions, RetailPricer, RetailPrices
from vpp_sim.pricing.retail import ElasticQp, Flat
from vpp_sim.pricing.stackelberg import OptimisticStackelberg, PessimisticStackelberg
from vpp_sim.pricing.tariffs import CriticalPeak, PassThrough, TimeOfUse

__all__ = ["TARIFFS", "efficient_eur", "jobs_of", "matrix_of_prior", "options", "run_job", "study"]

_LOG = logging.getLogger(__name__)
SEEDS = (0, 1, 2, 3, 4)
FEWER_SEEDS = SEEDS[:3]
QUICK_DAYS = 3
CAP = 2.5


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff by name: how its plant is made for a year and a seed, and what it promises and takes.

    Attributes
    ----------
    make : callable
        Returns the plant.
    promised : bool
        Whether it promises that nobody pays more than by default.
    learns : bool
        Whether it learns the response.
    seeds : tuple of int
        The planted homes that it meets; fewer where a year takes a minute.
    """

    make: Callable[[Year, int], Plant]
    promised: bool
    learns: bool = False
    seeds: tuple[int, ...] = SEEDS


def options(year: Year, **more: Any) -> RetailOptions:
    """Return what every pricer is told: the middle of the literature, and a cap far above the default."""
    cap = CAP * year.default_eur_per_kwh
    return RetailOptions(cap_eur_per_kwh=cap, elasticity=literature_prior().own, **more)


def _sized(kind: Callable[..., RetailPricer], year: Year, *, told: Mapping[str, Any], **made: Any) -> RetailPricer:
    return kind(homes=year.homes, horizon_steps=HOURS, options=options(year, **told), **made)


def _rule(kind: Callable[..., RetailPricer], *, promised: bool, **made: Any) -> Tariff:
    def make(year: Year, seed: int) -> Plant:
        return Believing(_sized(kind, year, told={}, **made), no_change)

    return Tariff(make, promised)


def _optimised(**told: Any) -> Tariff:
    def make(year: Year, seed: int) -> Plant:
        belief = partial(elastic_change, elasticity=literature_prior().own)
        return Believing(_sized(ElasticQp, year, told=told), belief)

    return Tariff(make, promised=True)


def _learning() -> Tariff:
    def make(year: Year, seed: int) -> Plant:
        return Learning(_sized(ElasticQp, year, told={}), CAP * year.default_eur_per_kwh, seed)

    return Tariff(make, promised=True, learns=True)


GAME = {
    "types": 1,
    "flexible_share": BELIEVED_SHARE,
    "discomfort_eur_per_kwh": BELIEVED_DISCOMFORT,
    "window_steps": WINDOW_H,
    "gap": 2e-3,
    "most_nodes": 2_000,
}


def _stackelberg(kind: Callable[..., RetailPricer], tie: str) -> Tariff:
    def make(year: Year, seed: int) -> Plant:
        return Believing(_sized(kind, year, told={}, **GAME), partial(shifting_change, tie=tie))

    return Tariff(make, promised=True, seeds=FEWER_SEEDS)


TARIFFS: Mapping[str, Tariff] = {
    "flat": _rule(Flat, promised=True),
    "time_of_use": _rule(TimeOfUse, promised=False, promise=False),
    "critical_peak": _rule(CriticalPeak, promised=False, promise=False),
    "pass_through": _rule(PassThrough, promised=False, promise=False),
    "pass_through_promised": _rule(PassThrough, promised=True),
    "profit": _optimised(),
    "profit_learning": _learning(),
    "welfare": _optimised(objective="welfare", least_profit_share=1.0),
    "peak": _optimised(objective="peak"),
    "stackelberg_optimistic": _stackelberg(OptimisticStackelberg, "for_seller"),
    "stackelberg_pessimistic": _stackelberg(PessimisticStackelberg, "against_seller"),
}
"""The tariffs compared; each prices on the meters of its own homes."""


@dataclass(frozen=True, slots=True)
class Job:
    """One tariff over one price year; homes of each truth and seed answer it."""

    name: str
    price_year: str
    truths: tuple[Truth, ...]
    seeds: tuple[int, ...]
    days: tuple[int, ...]
    foresight: bool = False


def charge_with_foresight(
    year: Year, days: Sequence[int], pricer: RetailPricer, seed: int, truth: Truth
) -> list[ChargedDay]:
    """Return the days of a pricer that knows each day's demand and how it changes with prices."""
    customers = planted(year.homes, seed, truth)
    charged = []
    for day in days:
        matrix = true_elasticity(customers, year.import_kwh[day], year.default)
        problem = year.problem_with_foresight(day, matrix)
        solved = pricer.price(problem)
        price = solved.buy_eur_per_kwh
        charged.append(ChargedDay(day, problem, solved, price, answer_of(year, day, price, customers)))
    return charged


def run_job(job: Job) -> dict[str, Any]:
    """Return what a tariff brought, by truth one summary a seed, and how its solves went."""
    year, tariff = load(job.price_year), TARIFFS[job.name]
    ideal = _sized(ElasticQp, year, told={}) if job.foresight else None
    found: dict[str, Any] = {"outcomes": {truth: [] for truth in job.truths}, "learnt": {}}
    solved: list[RetailPrices] = []
    for truth in job.truths:
        for seed in job.seeds:
            plant, customers = tariff.make(year, seed), planted(year.homes, seed, truth)
            if ideal is not None:
                charged = charge_with_foresight(year, job.days, ideal, seed, truth)
            else:
                charged = charge(year, job.days, plant, customers)
            if isinstance(plant, Learning) and ideal is None:
                found["learnt"].setdefault(truth, []).append(taught_by(year, charged, plant.learner, customers))
            found["outcomes"][truth].append(_summary(year, charged, promised=tariff.promised))
            solved += [each.solved for each in charged]
    return found | _solves(solved)


def _summary(year: Year, charged: Sequence[ChargedDay], *, promised: bool) -> dict[str, float]:
    found = came(year, charged)
    prices = np.array([each.price_eur_per_kwh for each in charged])
    return summary(found, promised=promised) | {
        "first_days_profit_eur": float(found.profit_eur[:TAUGHT_DAYS].sum()),
        "within_day_eur_per_kwh": float(np.ptp(prices, axis=1).mean()),
    }


def _solves(solved: Sequence[RetailPrices]) -> dict[str, Any]:
    return {
        "fallbacks": sum(each.fallback for each in solved),
        "reasons": sorted({each.reason for each in solved if each.fallback})[:3],
        "solves": len(solved),
    }


def slow_tariffs() -> list[str]:
    """Return the names of the tariffs that meet fewer of the planted homes."""
    return [name for name, tariff in TARIFFS.items() if tariff.seeds == FEWER_SEEDS]


def jobs_of(*, quick: bool) -> list[Job]:
    """Return every tariff with every price year and truth, the longest first."""
    days = range(FIRST_DAY, load().days)
    chosen = tuple(days[:: len(days) // QUICK_DAYS] if quick else days)
    seeds, fewer = (SEEDS[:1], SEEDS[:1]) if quick else (SEEDS, FEWER_SEEDS)
    slow = slow_tariffs()
    jobs = [Job(name, year, (truth,), fewer, chosen) for year in PRICE_YEARS for name in slow for truth in TRUTHS]
    jobs += [Job("profit", year, TRUTHS, seeds, chosen, foresight=True) for year in PRICE_YEARS]
    return jobs + [
        Job(name, year, TRUTHS, seeds, chosen) for name in reversed(TARIFFS) if name not in slow for year in PRICE_YEARS
    ]


def study(pool: Any, *, quick: bool) -> dict[str, Any]:
    """Return by price year and truth what each tariff brought, and what it fell short of foresight."""
    jobs = jobs_of(quick=quick)
    rows = []
    for job, row in zip(jobs, pool.map(run_job, jobs), strict=True):
        rows.append((job, row))
        _LOG.info("%s%s at prices of %s", job.name, " with foresight" * job.foresight, job.price_year)
    return {
        "cases": {year: {truth: _case(rows, year, truth) for truth in TRUTHS} for year in PRICE_YEARS},
        "learnt": {
            job.price_year: {truth: _learnt(row["learnt"][truth]) for truth in TRUTHS}
            for job, row in rows
            if row["learnt"]
        },
        "dither_trials": list(pool.map(dither_trials.run_setting, dither_trials.settings_of(quick=quick))),
        "fallbacks": sum(row["fallbacks"] for _, row in rows),
        "fallback_reasons": sorted({reason for _, row in rows for reason in row["reasons"]}),
        "solves": sum(row["solves"] for _, row in rows),
        "days": len(jobs[0].days),
        "homes": load().homes,
        "seeds": len(jobs[-1].seeds),
        "fewer_seeds": {"tariffs": slow_tariffs(), "seeds": len(jobs[0].seeds)},
        "default_eur_per_kwh": {year: load(year).default_eur_per_kwh for year in PRICE_YEARS},
        "wholesale_eur_per_kwh": {
            year: round(float(load(year).wholesale_eur_per_kwh.mean()), 4) for year in PRICE_YEARS
        },
        "within_day_wholesale_eur_per_kwh": {
            year: round(float(np.ptp(load(year).wholesale_eur_per_kwh, axis=1).mean()), 4) for year in PRICE_YEARS
        },
        "default_bill_eur": {year: round(_default_bill(load(year), jobs[0].days)) for year in PRICE_YEARS},
    }


def _default_bill(year: Year, days: Sequence[int]) -> float:
    return float(year.import_kwh[list(days)].sum() * year.default_eur_per_kwh)


def _learnt(found: list[dict[str, float]]) -> dict[str, Any]:
    return {key: spread([each[key] for each in found], 4) for key in found[0]}


def _case(rows: list[tuple[Job, dict[str, Any]]], price_year: str, truth: Truth) -> dict[str, Any]:
    here = {(job.name, job.foresight): row for job, row in rows if job.price_year == price_year and truth in job.truths}
    promised = [here[name, False]["outcomes"][truth] for name, tariff in TARIFFS.items() if tariff.promised]
    ideal = here["profit", True]["outcomes"][truth]
    # the best is known of the seeds that every tariff has met: regret is of these
    top = [max(each["profit_eur"] for each in one) for one in zip(ideal, *promised, strict=False)]
    good = [efficient_eur(price_year, truth, seed, rows[-1][0].days) for seed in rows[-1][0].seeds]
    tariffs = {}
    for name in TARIFFS:
        outcomes = here[name, False]["outcomes"][truth]
        tariffs[name] = {key: spread([each[key] for each in outcomes], 4) for key in outcomes[0]} | {
            "profit_regret_eur": spread([most - each["profit_eur"] for most, each in zip(top, outcomes, strict=False)]),
            "welfare_regret_eur": spread([most - _welfare(each) for most, each in zip(good, outcomes, strict=False)]),
        }
    return {
        "tariffs": tariffs,
        "best_profit_eur": spread(top),
        "foresight_of_the_program_eur": spread([each["profit_eur"] for each in ideal]),
        "efficient_eur": spread(good),
    }


def efficient_eur(price_year: str, truth: Truth, seed: int, days: tuple[int, ...]) -> float:
    """Return profit and consumer surplus together at marginal cost: best for both together, whoever the homes are."""
    year = load(price_year)
    prices = np.maximum(year.wholesale_eur_per_kwh[list(days)] + LEVIES_EUR_PER_KWH, FEED_IN_EUR_PER_KWH)
    return _welfare(summary(outcome(year, days, prices, planted(year.homes, seed, truth)), promised=False))


def _welfare(found: Mapping[str, float]) -> float:
    return found["profit_eur"] + found["consumer_surplus_eur"]
