"""Every tariff over a year: prices set the day before, homes that answer as they truly do, and who gains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from homes import TRUTHS, Truth, outcome, planted, summary, true_elasticity
from statistics_of import spread
from year import FIRST_DAY, HOURS, PRICE_YEARS, Year, load

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.elasticity import ElasticityLearner, ElasticityPrior, explored_prices, literature_prior
from vpp_sim.pricing.protocol import RetailOptions, RetailPricer, RetailPrices
from vpp_sim.pricing.retail import DefaultTariff, ElasticQp, Flat

SEEDS = (0, 1, 2, 3, 4)
QUICK_DAYS = 8
CAP = 2.5
DITHER, TAUGHT_DAYS = 0.1, 60

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


def _sized(kind: Callable[..., RetailPricer], year: Year, **more: Any) -> RetailPricer:
    return kind(homes=year.homes, horizon_steps=HOURS, options=options(year, **more))


def _tariff(kind: Callable[..., RetailPricer], *, promised: bool, learns: bool = False, **more: Any) -> Tariff:
    return Tariff(partial(_sized, kind, **more), promised, learns)


TARIFFS: Mapping[str, Tariff] = {
    "flat": _tariff(Flat, promised=True),
    "profit": _tariff(ElasticQp, promised=True),
    "profit_learning": _tariff(ElasticQp, promised=True, learns=True),
    "welfare": _tariff(ElasticQp, promised=True, objective="welfare", least_profit_share=1.0),
    "peak": _tariff(ElasticQp, promised=True, objective="peak"),
}
"""The tariffs compared; all but those that learn set the same prices whoever the homes are."""


FORESIGHT: Mapping[str, Tariff] = {
    "profit": _tariff(ElasticQp, promised=True),
    "welfare": _tariff(ElasticQp, promised=True, objective="welfare"),
}
"""What is best for profit, and for profit and consumer surplus together, under the promise, if all were known."""


@dataclass(frozen=True, slots=True)
class Job:
    """One tariff over one price year, for homes of one truth and some seeds."""

    name: str
    price_year: str
    truth: Truth
    seeds: tuple[int, ...]
    days: tuple[int, ...]
    foresight: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Prices of shape (D, 24), and how the solves went."""

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
    prior = literature_prior()
    learner = ElasticityLearner(
        ElasticityPrior(own=prior.own, own_sd=0.1, cross=0.0, cross_sd=0.1), forgetting=1.0, groups=HOURS
    )
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
    learner.update(metered[day], expected, price, year.default, group=np.arange(HOURS))


def matrix_of(learner: ElasticityLearner) -> FloatArray:
    """Return what was learnt as a matrix: the own term, and the cross term spread over the other hours."""
    own, cross = (float(term) for term in learner.posterior.mean)
    return spread_out(min(own, 0.0), max(cross, 0.0), HOURS)


def matrix_of_prior(steps: int) -> FloatArray:
    """Return the literature's own elasticity, and as much again that moves evenly to all other steps."""
    own = literature_prior().own
    return spread_out(2 * own, -own, steps)


def spread_out(own: float, cross: float, steps: int) -> FloatArray:
    """Return a matrix with one own elasticity, and a cross elasticity to the mean of the others, shape (steps, steps)."""
    matrix = np.full((steps, steps), cross / (steps - 1))
    np.fill_diagonal(matrix, own)
    return matrix


def run_job(job: Job) -> dict[str, Any]:
    """Return what a tariff brought, one summary a seed, and how its solves went."""
    year, tariff = load(job.price_year), (FORESIGHT if job.foresight else TARIFFS)[job.name]
    each_its_own = job.foresight or tariff.learns
    found, made, learnt = [], None, []
    for seed in job.seeds:
        if made is None or each_its_own:
            pricer = tariff.make(year)
            if job.foresight:
                made = set_with_foresight(year, job.days, pricer, seed, job.truth)
            elif tariff.learns:
                made, learner = set_while_learning(year, job.days, pricer, seed, job.truth)
                learnt.append([float(term) for term in learner.posterior.mean])
            else:
                made = set_prices(year, job.days, pricer)
        customers = planted(year.homes, seed, job.truth)
        found.append(summary(outcome(year, job.days, made.prices, customers), promised=tariff.promised))
    assert made is not None
    return {
        "outcomes": found,
        "learnt": learnt,
        "price_sd_eur_per_kwh": float((made.prices - made.prices.mean(axis=1, keepdims=True)).std()),
        "fallbacks": sum(each.fallback for each in made.solved),
        "reasons": sorted({each.reason for each in made.solved if each.fallback})[:3],
        "total_ms": [1e3 * each.total_s for each in made.solved],
        "solve_ms": [1e3 * each.solve_s for each in made.solved],
    }


def jobs_of(*, quick: bool) -> list[Job]:
    """Return every tariff with every price year and truth, dearest first."""
    seeds = SEEDS[:1] if quick else SEEDS
    days = range(FIRST_DAY, load().days)
    chosen = tuple(days[:: len(days) // QUICK_DAYS] if quick else days)
    cases = [(price_year, truth) for price_year in PRICE_YEARS for truth in TRUTHS]
    best = [Job(name, *case, seeds, chosen, foresight=True) for case in cases for name in FORESIGHT]
    return best + [Job(name, *case, seeds, chosen) for name in reversed(TARIFFS) for case in cases]


def study(pool: Any, *, quick: bool) -> dict[str, Any]:
    """Return by price year and truth what each tariff brought, and what it fell short of foresight."""
    jobs = jobs_of(quick=quick)
    rows = dict(zip(jobs, pool.map(run_job, jobs), strict=True))
    return {
        price_year: {truth: _case(rows, price_year, truth) for truth in TRUTHS} for price_year in PRICE_YEARS
    }


def _case(rows: Mapping[Job, dict[str, Any]], price_year: str, truth: Truth) -> dict[str, Any]:
    here = {(job.name, job.foresight): row for job, row in rows.items() if (job.price_year, job.truth) == (price_year, truth)}
    best = {name: here[name, True]["outcomes"] for name in FORESIGHT}
    found = {}
    for name in TARIFFS:
        row = here[name, False]
        keys = row["outcomes"][0]
        own = {key: spread([each[key] for each in row["outcomes"]]) for key in keys}
        profit = [ideal["profit_eur"] - each["profit_eur"] for ideal, each in zip(best["profit"], row["outcomes"], strict=True)]
        welfare = [_welfare(ideal) - _welfare(each) for ideal, each in zip(best["welfare"], row["outcomes"], strict=True)]
        found[name] = own | {
            "profit_regret_eur": spread(profit),
            "welfare_regret_eur": spread(welfare),
            "price_sd_eur_per_kwh": round(row["price_sd_eur_per_kwh"], 5),
            "fallbacks": row["fallbacks"],
            "learnt": [[round(term, 4) for term in each] for each in row["learnt"]],
        }
    ideal = {name: {key: spread([each[key] for each in best[name]]) for key in best[name][0]} for name in best}
    return {"tariffs": found, "foresight": ideal}


def _welfare(found: Mapping[str, float]) -> float:
    return found["profit_eur"] + found["consumer_surplus_eur"]
