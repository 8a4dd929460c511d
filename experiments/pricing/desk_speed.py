"""How long a retail solve and a CVaR bid take at a quarter of an hour, in the solver and around it."""

from __future__ import annotations

from time import perf_counter, process_time
from typing import Any

import numpy as np
from bid_outlook import FIRST_BID, LEVELS, outlook
from bidding_year import LEVEL, SCENARIOS, fleet, paths
from priced_years import HOURS, load
from retail_year import matrix_of_prior, options

from vpp_sim.pricing.bids import BidProblem
from vpp_sim.pricing.cvar import CvarBid
from vpp_sim.pricing.protocol import RetailProblem
from vpp_sim.pricing.retail import ElasticQp

PARTS = 4
STEPS = PARTS * HOURS
SOLVES, BIDS = 40, 5
"""How many are timed, after one that compiles."""


def retail_problem(day: int, *, crossed: bool) -> RetailProblem:
    """Return the retail problem of a day in quarters of an hour."""
    year = load()
    hourly = year.problem(day)
    fine = {name: np.repeat(getattr(hourly, name), PARTS, axis=-1) for name in ("demand_kwh", "wholesale_eur_per_kwh")}
    return RetailProblem(
        demand_kwh=fine["demand_kwh"] / PARTS,
        wholesale_eur_per_kwh=fine["wholesale_eur_per_kwh"],
        default_eur_per_kwh=np.full(STEPS, year.default_eur_per_kwh),
        levies_eur_per_kwh=hourly.levies_eur_per_kwh,
        feed_in_eur_per_kwh=np.repeat(hourly.feed_in_eur_per_kwh, PARTS),
        elasticity=matrix_of_prior(STEPS) if crossed else None,
    )


def retail(*, crossed: bool, quick: bool) -> dict[str, float]:
    """Return the medians of solves of days that the pricer never met, after one that compiles [ms]."""
    year = load()
    pricer = ElasticQp(homes=year.homes, horizon_steps=STEPS, options=options(year, step_h=1 / PARTS))
    begun = perf_counter()
    pricer.price(retail_problem(FIRST_BID, crossed=crossed))
    first_ms = 1e3 * (perf_counter() - begun)
    days = range(FIRST_BID + 1, FIRST_BID + 1 + (3 if quick else SOLVES))
    solved, spent = [], []
    for day in days:
        given, begun = retail_problem(day, crossed=crossed), process_time()
        solved.append(pricer.price(given))
        spent.append(1e3 * (process_time() - begun))
    total = float(np.median([1e3 * each.total_s for each in solved]))
    solver = float(np.median([1e3 * each.solve_s for each in solved]))
    return {
        "in_all_ms": round(total, 2),
        "solver_ms": round(solver, 2),
        "around_ms": round(total - solver, 2),
        "processor_ms": round(float(np.median(spent)), 2),
        "first_ms": round(first_ms, 1),
        "fallbacks": sum(each.fallback for each in solved),
    }


def bid(*, battery: bool, quick: bool) -> dict[str, float]:
    """Return the medians of bids of 200 scenarios and 96 steps [s]."""
    year = load()
    total, solver, spent = [], [], []
    for day in range(FIRST_BID, FIRST_BID + (1 if quick else BIDS)):
        known, rng = outlook(year, day), np.random.default_rng(day)
        price = np.repeat(known.price_eur_per_kwh, PARTS)
        short, long = (0.3 * np.exp(rng.standard_normal((SCENARIOS, STEPS))), np.full((SCENARIOS, STEPS), 0.3))
        given = BidProblem(
            np.repeat(known.quantiles_kwh, PARTS, axis=0) / PARTS,
            LEVELS,
            paths(np.tile(price, (SCENARIOS, 1)), short, long),
            flexibility=fleet(step_h=1 / PARTS) if battery else None,
        )
        begun = process_time()
        made = CvarBid(scenarios=SCENARIOS, level=LEVEL).decide(given)
        spent.append(process_time() - begun)
        total.append(made.total_s)
        solver.append(made.solve_s)
    medians = {"in_all_s": total, "solver_s": solver, "processor_s": spent}
    return {name: round(float(np.median(values)), 3) for name, values in medians.items()}


def study(*, quick: bool) -> dict[str, Any]:
    """Return the speeds; nothing else should run meanwhile."""
    kinds = {"one number": False, "a matrix": True}
    return {
        "retail": {name: retail(crossed=crossed, quick=quick) for name, crossed in kinds.items()},
        "bid": {"no battery": bid(battery=False, quick=quick)}
        | ({} if quick else {"battery": bid(battery=True, quick=quick)}),
    }
