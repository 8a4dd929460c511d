"""Every tariff over a year: prices set the day before, homes that answer as they truly do, and who gains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from planted_homes import (
    BELIEVED_DISCOMFORT,
    BELIEVED_SHARE,
    TRUTHS,
    WINDOW_H,
    Truth,
    outcome,
    planted,
    summary,
    true_elasticity,
)
from priced_years import FEED_IN_EUR_PER_KWH, FIRST_DAY, HOURS, LEVIES_EUR_PER_KWH, PRICE_YEARS, Year, load
from seed_spread import spread

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.elasticity import ElasticityLearner, explored_prices, literature_prior
from vpp_sim.pricing.protocol import RetailOptions, RetailPricer, RetailPrices
from vpp_sim.pricing.retail import ElasticQp, Flat
from vpp_sim.pricing.stackelberg import OptimisticStackelberg, PessimisticStackelberg
from vpp_sim.pricing.tariffs import CriticalPeak, PassThrough, TimeOfUse

SEEDS = (0, 1, 2, 3, 4)
QUICK_DAYS = 3
CAP = 2.5
DITHER, TAUGHT_DAYS, CROSS_SD, LEAST_ELASTICITY = 0.05, 60, 0.05, 0.02
INDEPENDENT_SHARE = 0.1
"""Errors of an hour and the next correlate by about 0.8: ten hours tell what one independent hour would."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """A tariff by name: how its pricer is made, and whether it promises that nobody pays more than by default."""

    make: Callable[[Year], RetailPricer]
    promised: bool
    learns: bool = False


def options(year: Year, **more: Any) -> RetailOptions:
    """Return what every pricer is told: the middle of the literature, and a cap far above the default."""
    cap = CAP * year.default_eur_per_kwh
    return RetailOptions(cap_eur_per_kwh=cap, elasticity=literature_prior().own, **more)


def _sized(
    kind: Callable[..., RetailPricer], year: Year, told: Mapping[str, Any], made: Mapping[str, Any]
) -> RetailPricer:
    return kind(homes=year.homes, horizon_steps=HOURS, options=options(year, **told), **made)


def _rule(kind: Callable[..., RetailPricer], *, promised: bool, **made: Any) -> Tariff:
    return Tariff(partial(_sized, kind, told={}, made=made), promised)


def _optimised(*, learns: bool = False, **told: Any) -> Tariff:
    return Tariff(partial(_sized, ElasticQp, told=told, made={}), promised=True, learns=learns)


GAME = {
    "types": 1,
    "flexible_share": BELIEVED_SHARE,
    "discomfort_eur_per_kwh": BELIEVED_DISCOMFORT,
    "window_steps": WINDOW_H,
    "gap": 2e-3,
    "most_nodes": 2_000,
}

TARIFFS: Mapping[str, Tariff] = {
    "flat": _rule(Flat, promised=True),
    "time_of_use": _rule(TimeOfUse, promised=False, promise=False),
    "critical_peak": _rule(CriticalPeak, promised=False, promise=False),
    "pass_through": _rule(PassThrough, promised=False, promise=False),
    "pass_through_promised": _rule(PassThrough, promised=True),
    "profit": _optimised(),
    "profit_learning": _optimised(learns=True),
    "welfare": _optimised(objective="welfare", least_profit_share=1.0),
    "peak": _optimised(objective="peak"),
    "stackelberg_optimistic": _rule(OptimisticStackelberg, promised=True, **GAME),
    "stackelberg_pessimistic": _rule(PessimisticStackelberg, promised=True, **GAME),
}
"""The tariffs compared; all but those that learn set the same prices whoever the homes are."""

FORESIGHT = _optimised()
"""What is best for profit under the promise if the day's demand and the homes' elasticities were known."""


@dataclass(frozen=True, slots=True)
class Job:
    """One tariff over one price year; homes of each truth and seed answer it."""

    name: str
    price_year: str
    truths: tuple[Truth, ...]
    seeds: tuple[int, ...]
    days: tuple[int, ...]
    foresight: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Prices of shape (D, 24) as they were charged, and the solves behind them."""

    prices: FloatArray
    solved: list[RetailPrices]


def set_prices(year: Year, days: tuple[int, ...], pricer: RetailPricer) -> Made:
    """Return the prices of each day, set on what is known the day before."""
    solved = [pricer.price(year.problem(day)) for day in days]
    return Made(np.array([each.buy_eur_per_kwh for each in solved]), solved)


def set_with_foresight(year: Year, days: tuple[int, ...], pricer: RetailPricer, seed: int, truth: Truth) -> Made:
    """Return the prices of a pricer that knows the day's demand and how the homes' demand changes with prices."""
    customers, solved = planted(year.homes, seed, truth), []
    for day in days:
        matrix = true_elasticity(customers, year.import_kwh[day], year.default)
        solved.append(pricer.price(year.problem(day, foresight=True, elasticity=matrix)))
    return Made(np.array([each.buy_eur_per_kwh for each in solved]), solved)


def set_while_learning(
    year: Year, days: tuple[int, ...], pricer: RetailPricer, seed: int, truth: Truth
) -> tuple[Made, ElasticityLearner]:
    """Return the prices of a pricer that learns the response from meters, and explores for its first sixty days."""
    customers, rng = planted(year.homes, seed, truth), np.random.default_rng((11, seed))
    prior = replace(literature_prior(), cross_sd=CROSS_SD)
    learner = ElasticityLearner(prior, forgetting=1.0, groups=HOURS, independent_share=INDEPENDENT_SHARE)
    solved, prices = [], np.zeros((len(days), HOURS))
    metered: dict[int, FloatArray] = {}
    for row, day in enumerate(days):
        if row >= 2:
            _teach(learner, year, days[row - 2], prices[row - 2], metered)
        problem = year.problem(day, elasticity=matrix_of(learner))
        solved.append(pricer.price(problem))
        prices[row] = solved[-1].buy_eur_per_kwh
        if row < TAUGHT_DAYS:
            prices[row] = explored_prices(
                prices[row],
                problem.demand_kwh,
                year.default,
                dither=DITHER,
                lowest_eur_per_kwh=problem.feed_in_eur_per_kwh,
                highest_eur_per_kwh=np.full(HOURS, CAP * year.default_eur_per_kwh),
                rng=rng,
            )
        metered[day] = customers.respond(year.import_kwh[day], year.default, prices[row]).demand_kwh.sum(axis=0)
    return Made(prices, solved), learner


def _teach(
    learner: ElasticityLearner, year: Year, day: int, price: FloatArray, metered: Mapping[int, FloatArray]
) -> None:
    expected = year.expected_kwh(day).sum(axis=0)
    precision = (expected / expected.max()) ** 2  # the sun leaves little to draw at noon, and that little is uncertain
    learner.update(metered[day], expected, price, year.default, group=np.arange(HOURS), weight=precision)


def matrix_of(learner: ElasticityLearner) -> FloatArray:
    """Return what was learnt as a matrix, but no less than the weak end of the literature: prices would run wild.

    No more may move elsewhere than leaves a step.
    """
    own, cross = (float(term) for term in learner.posterior.mean)
    own = min(own, -LEAST_ELASTICITY)
    return spread_out(own, float(np.clip(cross, 0.0, -own)), HOURS)


def matrix_of_prior(steps: int) -> FloatArray:
    """Return the literature's own elasticity, and as much again that moves evenly to all other steps."""
    own = literature_prior().own
    return spread_out(2 * own, -own, steps)


def spread_out(own: float, cross: float, steps: int) -> FloatArray:
    """Return a matrix of one own elasticity, and one to the mean of the others, shape (steps, steps)."""
    matrix = np.full((steps, steps), cross / (steps - 1))
    np.fill_diagonal(matrix, own)
    return matrix


def run_job(job: Job) -> dict[str, Any]:
    """Return what a tariff brought, by truth one summary a seed, and how its solves went."""
    year, tariff = load(job.price_year), FORESIGHT if job.foresight else TARIFFS[job.name]
    pricer = tariff.make(year)
    made = None if job.foresight or tariff.learns else set_prices(year, job.days, pricer)
    found: dict[str, Any] = {"outcomes": {truth: [] for truth in job.truths}, "learnt": {}, "solved": []}
    for truth in job.truths:
        for seed in job.seeds:
            here = made
            if job.foresight:
                here = set_with_foresight(year, job.days, pricer, seed, truth)
            elif here is None:
                here, learner = set_while_learning(year, job.days, pricer, seed, truth)
                found["learnt"].setdefault(truth, []).append(_belief(learner))
            answered = outcome(year, job.days, here.prices, planted(year.homes, seed, truth))
            found["outcomes"][truth].append(summary(answered, promised=tariff.promised))
            found["solved"] += here.solved if here is not made or not found["solved"] else []
    return found | _solves(found.pop("solved"))


def _belief(learner: ElasticityLearner) -> dict[str, float]:
    low, high = learner.posterior.interval(0.9)
    own, cross = (float(term) for term in learner.posterior.mean)
    return {"own": own, "own_low": low, "own_high": high, "cross": cross}


def _solves(solved: Sequence[RetailPrices]) -> dict[str, Any]:
    prices = np.array([each.buy_eur_per_kwh for each in solved])
    return {
        "within_day_eur_per_kwh": float(np.ptp(prices, axis=1).mean()),
        "fallbacks": sum(each.fallback for each in solved),
        "reasons": sorted({each.reason for each in solved if each.fallback})[:3],
        "solves": len(solved),
        "total_ms": float(np.median([1e3 * each.total_s for each in solved])),
    }


def jobs_of(*, quick: bool) -> list[Job]:
    """Return every tariff with every price year and truth, the longest first."""
    seeds = SEEDS[:1] if quick else SEEDS
    days = range(FIRST_DAY, load().days)
    chosen = tuple(days[:: len(days) // QUICK_DAYS] if quick else days)
    jobs = [
        Job("profit", price_year, (truth,), seeds, chosen, foresight=True)
        for price_year in PRICE_YEARS
        for truth in TRUTHS
    ]
    rest = [Job(name, each, TRUTHS, seeds, chosen) for name in reversed(TARIFFS) for each in reversed(PRICE_YEARS)]
    return sorted(rest + jobs, key=lambda job: not job.name.startswith("stackelberg"))


def study(pool: Any, *, quick: bool) -> dict[str, Any]:
    """Return by price year and truth what each tariff brought, and what it fell short of foresight."""
    jobs = jobs_of(quick=quick)
    rows = list(zip(jobs, pool.map(run_job, jobs), strict=True))
    return {
        "cases": {year: {truth: _case(rows, year, truth) for truth in TRUTHS} for year in PRICE_YEARS},
        "learnt": {
            job.price_year: {truth: _learnt(row["learnt"][truth]) for truth in TRUTHS}
            for job, row in rows
            if row["learnt"]
        },
        "true_own": {truth: _true_own(truth) for truth in TRUTHS},
        "fallbacks": sum(row["fallbacks"] for _, row in rows),
        "fallback_reasons": sorted({reason for _, row in rows for reason in row["reasons"]}),
        "solves": sum(row["solves"] for _, row in rows),
        "days": len(jobs[0].days),
        "homes": load().homes,
        "seeds": len(jobs[0].seeds),
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


def _true_own(truth: Truth) -> float:
    """Return the own elasticity of all demand, as far as it is smooth: the mean over hours, of the first seed."""
    year = load()
    customers = planted(year.homes, SEEDS[0], truth)
    mean = year.import_kwh.mean(axis=0)
    return round(float(np.diag(true_elasticity(customers, mean, year.default)).mean()), 4)


def _learnt(found: list[dict[str, float]]) -> dict[str, Any]:
    return {key: spread([each[key] for each in found], 4) for key in found[0]}


def _case(rows: list[tuple[Job, dict[str, Any]]], price_year: str, truth: Truth) -> dict[str, Any]:
    here = {(job.name, job.foresight): row for job, row in rows if job.price_year == price_year and truth in job.truths}
    promised = [here[name, False]["outcomes"][truth] for name, tariff in TARIFFS.items() if tariff.promised]
    ideal = here["profit", True]["outcomes"][truth]
    top = [max(each["profit_eur"] for each in one) for one in zip(ideal, *promised, strict=True)]
    good = [efficient_eur(price_year, truth, seed, rows[0][0].days) for seed in rows[0][0].seeds]
    tariffs = {}
    for name in TARIFFS:
        row, outcomes = here[name, False], here[name, False]["outcomes"][truth]
        tariffs[name] = {key: spread([each[key] for each in outcomes]) for key in outcomes[0]} | {
            "profit_regret_eur": spread([most - each["profit_eur"] for most, each in zip(top, outcomes, strict=True)]),
            "welfare_regret_eur": spread([most - _welfare(each) for most, each in zip(good, outcomes, strict=True)]),
            "within_day_eur_per_kwh": round(row["within_day_eur_per_kwh"], 4),
        }
    return {
        "tariffs": tariffs,
        "foresight_profit_eur": spread(top),
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
