"""Bids made on scenarios at noon of the day before, and what they cost on the days that came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bid_outlook import FIRST_BID, LEVELS, Outlook, net_kwh, outlook
from priced_years import HOURS, RECENT_DAYS, Year, load
from seed_spread import spread

from vpp_sim.arrays import FloatArray
from vpp_sim.data.fontana import DEFAULT_HOMES, Fontana
from vpp_sim.pricing.bids import BidDecision, BidProblem, Flexibility, PricePaths
from vpp_sim.pricing.copula import EmpiricalCopula
from vpp_sim.pricing.cvar import CvarBid, DeterministicBid, conditional_value_at_risk, critical_quantile

RISK_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
LEVEL, SCENARIOS = 0.9, 200
SHORT_SPREAD, SHORT_SPREAD_LOG, LONG_SPREAD, LONG_SPREAD_LOG, SPREAD_MEMORY = 0.3, 1.0, 0.3, 0.5, 0.8
EFFICIENCY = 0.95
TRUTH_SEEDS, SCENARIO_SEEDS = (0, 1, 2, 3, 4), {False: (0, 1, 2), True: (0, 1)}
QUICK_DAYS, STRIDES = 2, {False: 3, True: 6}
"""Bids are made on every so manieth day, without and with batteries."""


@dataclass(frozen=True, slots=True)
class Job:
    """The bids of one bidder over the year."""

    bidder: str
    risk_weight: float
    battery: bool
    seed: int
    days: tuple[int, ...]


def spreads(rng: np.random.Generator, days: int) -> tuple[FloatArray, FloatArray]:
    """Return random spreads of short and long energy, shapes (days, 24): log-normal, with a memory over hours."""
    normal = rng.standard_normal((2, days, HOURS))
    for hour in range(1, HOURS):
        fresh = np.sqrt(1 - SPREAD_MEMORY**2) * normal[:, :, hour]
        normal[:, :, hour] = SPREAD_MEMORY * normal[:, :, hour - 1] + fresh
    short = SHORT_SPREAD * np.exp(SHORT_SPREAD_LOG * normal[0])
    long = np.minimum(LONG_SPREAD * np.exp(LONG_SPREAD_LOG * normal[1]), 1.0)
    return short, long


def paths(day_ahead: FloatArray, short: FloatArray, long: FloatArray) -> PricePaths:
    """Return price paths, one a row."""
    size = np.abs(day_ahead)
    return PricePaths(day_ahead, day_ahead + short * size, day_ahead - long * size)


def known_paths(year: Year, day: int, known: Outlook, seed: int) -> PricePaths:
    """Return what the bidder thinks prices may be: its past errors, drawn anew, and the law of the spreads."""
    rng = np.random.default_rng((seed, day))
    past = range(RECENT_DAYS, day)
    price = year.wholesale_eur_per_kwh
    errors = np.array([price[each] - price[each - RECENT_DAYS : each].mean(axis=0) for each in past])[-60:]
    day_ahead = known.price_eur_per_kwh + errors[rng.integers(len(errors), size=SCENARIOS)]
    return paths(day_ahead, *spreads(rng, SCENARIOS))


def fleet(step_h: float = 1.0) -> Flexibility:
    """Return the batteries of the homes as one, half full at midnight."""
    homes = Fontana().load().select(DEFAULT_HOMES)
    power, capacity = float(homes.battery_kw.sum()), float(homes.battery_kwh.sum())
    return Flexibility(
        charge_kw=power,
        discharge_kw=power,
        min_kwh=0.0,
        max_kwh=capacity,
        initial_kwh=capacity / 2,
        step_h=step_h,
        charge_efficiency=EFFICIENCY,
        discharge_efficiency=EFFICIENCY,
    )


def problem(year: Year, day: int, known: Outlook, *, battery: bool, seed: int) -> BidProblem:
    """Return what is known when the gate closes."""
    prices = known_paths(year, day, known, seed)
    return BidProblem(known.quantiles_kwh, LEVELS, prices, flexibility=fleet() if battery else None)


def decide(job: Job, year: Year, day: int) -> BidDecision:
    """Return one bid."""
    known = outlook(year, day)
    given = problem(year, day, known, battery=job.battery, seed=job.seed)
    if job.bidder == "deterministic":
        return DeterministicBid().decide(given)
    if job.bidder == "newsvendor":
        return BidDecision(critical_quantile(given), np.empty(0), np.zeros(HOURS), "closed form")
    copula = EmpiricalCopula(known.past_ranks)
    bidder = CvarBid(scenarios=SCENARIOS, level=LEVEL, risk_weight=job.risk_weight, copula=copula, seed=job.seed)
    return bidder.decide(given)


def tracked(position: FloatArray, net: FloatArray, battery: Flexibility) -> tuple[FloatArray, float]:
    """Let the battery follow the position hour by hour, knowing nothing of the hours to come.

    Returns
    -------
    net_kwh : ndarray, shape (24,)
        Net energy with the battery [kWh].
    stored_kwh : float
        What is stored at the end beyond the beginning [kWh].
    """
    stored, metered = battery.initial_kwh, net.copy()
    for hour, wanted in enumerate(position - net):
        room = (battery.max_kwh - stored) / battery.charge_efficiency
        held = (stored - battery.min_kwh) * battery.discharge_efficiency
        moved = float(np.clip(wanted, -min(battery.discharge_kwh, held), min(battery.charge_kwh, room)))
        stored += moved * battery.charge_efficiency if moved > 0 else moved / battery.discharge_efficiency
        metered[hour] += moved
    return metered, stored - battery.initial_kwh


def realised(year: Year, days: Sequence[int], positions: FloatArray, seed: int, *, battery: bool) -> FloatArray:
    """Return what positions of shape (D, 24) cost on the days that came, shape (D,) [EUR].

    What a battery holds at the end of a day beyond its beginning is worth the day's mean price.
    """
    short, long = spreads(np.random.default_rng((7, seed)), year.days)
    net, price, cost = net_kwh(year), year.wholesale_eur_per_kwh, np.zeros(len(days))
    for row, day in enumerate(days):
        metered, kept = tracked(positions[row], net[day], fleet()) if battery else (net[day], 0.0)
        imbalance, size = metered - positions[row], np.abs(price[day])
        settled = np.where(imbalance > 0, price[day] + short[day] * size, price[day] - long[day] * size)
        cost[row] = price[day] @ positions[row] + settled @ imbalance - kept * price[day].mean()
    return cost


def foreseen(year: Year, days: Sequence[int], *, battery: bool) -> FloatArray:
    """Return what a day costs who knows its net energy and prices: no imbalance is left, shape (D,) [EUR]."""
    net, price = net_kwh(year), year.wholesale_eur_per_kwh
    if not battery:
        return np.array([price[day] @ net[day] for day in days])
    return np.array([_best_day(net[day], price[day]) for day in days])


def _best_day(net: FloatArray, price: FloatArray) -> float:
    """Return what a day costs at the best use of the batteries, all known [EUR]."""
    sure = np.tile(net[:, None], (1, 2))
    given = BidProblem(sure, np.array([0.25, 0.75]), paths(price[None], *np.ones((2, 1, HOURS))), flexibility=fleet())
    return float(DeterministicBid().decide(given).cost_eur[0])


def budgeted(year: Year, days: Sequence[int]) -> FloatArray:
    """Return what each day was expected to cost at the gate: the median at expected prices, shape (D,) [EUR]."""
    known = [outlook(year, day) for day in days]
    return np.array([each.price_eur_per_kwh @ each.quantiles_kwh[:, LEVELS.size // 2] for each in known])


def run_job(job: Job) -> dict[str, Any]:
    """Return the positions of one bidder, what its scenarios promised, and how long it took."""
    year = load()
    made = [decide(job, year, day) for day in job.days]
    positions = np.array([each.position_kwh for each in made])
    costs = [realised(year, job.days, positions, seed, battery=job.battery) for seed in TRUTH_SEEDS]
    budget, foresight = budgeted(year, job.days), foreseen(year, job.days, battery=job.battery)
    found = [_risk(cost - budget) | {"regret_eur": float((cost - foresight).mean())} for cost in costs]
    inside = [each.cost_eur - own for each, own in zip(made, budget, strict=True) if each.cost_eur.size > 1]
    promised = _risk(np.concatenate(inside)) if inside else {"mean_eur": None, "cvar_eur": None}
    return {
        "bidder": job.bidder,
        "risk_weight": job.risk_weight,
        "battery": job.battery,
        "seed": job.seed,
        "days": len(job.days),
        "outcomes": found,
        "promised": promised,
        "bought_kwh": float(positions.sum(axis=1).mean()),
        "drawn_kwh": float(net_kwh(year)[list(job.days)].sum(axis=1).mean()),
        "fallbacks": sum(each.fallback for each in made),
        "total_s": [each.total_s for each in made],
        "solve_s": [each.solve_s for each in made],
    }


def _risk(cost: FloatArray) -> dict[str, float]:
    return {"mean_eur": float(cost.mean()), "cvar_eur": conditional_value_at_risk(cost, LEVEL)}


def jobs_of(*, quick: bool) -> list[Job]:
    """Return every bidder with its risk weight and seed, the longest first."""
    last = load().days
    jobs = []
    for battery in (True, False):
        stride = (last - FIRST_BID) // QUICK_DAYS if quick else STRIDES[battery]
        days = tuple(range(FIRST_BID, last, stride))
        seeds = SCENARIO_SEEDS[battery][:1] if quick else SCENARIO_SEEDS[battery]
        weights = RISK_WEIGHTS[:: 4 if quick else 1]
        if battery and quick:
            days, weights = days[:1], weights[:1]
        jobs += [Job("cvar", weight, battery, seed, days) for weight in weights for seed in seeds]
        jobs += [Job("deterministic", 0.0, battery, 0, days)]
        jobs += [] if battery else [Job("newsvendor", 0.0, battery, 0, days)]
    return jobs


def study(pool: Any, *, quick: bool) -> dict[str, Any]:
    """Return the mean cost, CVaR and regret of every bidder, on days that no scenario was made of."""
    return gathered(list(pool.map(run_job, jobs_of(quick=quick))))


def gathered(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures by bidder, those of several scenario seeds together."""
    named: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: bool(row["battery"])):
        name = f"cvar {row['risk_weight']:g}" if row["bidder"] == "cvar" else row["bidder"]
        name = "risk_neutral" if name == "cvar 0" else name
        named.setdefault(name + (" with batteries" if row["battery"] else ""), []).append(row)
    return {name: _over_seeds(found) for name, found in named.items()}


def _over_seeds(rows: list[dict[str, Any]]) -> dict[str, Any]:
    outcomes = [each for row in rows for each in row["outcomes"]]
    found: dict[str, Any] = {key: spread([each[key] for each in outcomes]) for key in outcomes[0]}
    promised = [row["promised"] for row in rows if row["promised"]["mean_eur"] is not None]
    spent = [each for row in rows for each in row["total_s"]]
    return {
        "battery": rows[0]["battery"],
        "risk_weight": rows[0]["risk_weight"] if rows[0]["bidder"] == "cvar" else None,
        **found,
        "promised_mean_eur": _mean([each["mean_eur"] for each in promised]),
        "promised_cvar_eur": _mean([each["cvar_eur"] for each in promised]),
        "bought_kwh": _mean([row["bought_kwh"] for row in rows]),
        "drawn_kwh": _mean([row["drawn_kwh"] for row in rows]),
        "fallbacks": sum(row["fallbacks"] for row in rows),
        "bid_s": round(float(np.median(spent)), 3),
        "days": rows[0]["days"],
        "scenario_seeds": len(rows),
        "truth_seeds": len(rows[0]["outcomes"]),
    }


def _mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None
