"""Prices charged day by day: set on what meters have shown by then, answered by the homes, and metered in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from planted_homes import BELIEVED_DISCOMFORT, BELIEVED_SHARE, WINDOW_H, Outcome, answer_of, brought
from priced_years import Year

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.customers import Customers, Response, ShiftingHomes, Tie
from vpp_sim.pricing.protocol import RetailPricer, RetailPrices, RetailProblem

Belief: TypeAlias = Callable[[RetailProblem, FloatArray], FloatArray]
"""The change of each home's demand that a plant expects of prices of shape (24,), shape (n, 24) [kWh]."""


@dataclass(frozen=True, slots=True, eq=False)
class ChargedDay:
    """A day's problem as the plant saw it, the solve, the prices charged and what the homes did."""

    day: int
    problem: RetailProblem
    solved: RetailPrices
    price_eur_per_kwh: FloatArray
    answer: Response


class Plant(Protocol):
    """Sets the prices of a day on its problem and on what the days before brought."""

    def ask(self, problem: RetailProblem, past: Sequence[ChargedDay]) -> tuple[RetailPrices, FloatArray]:
        """Return the solve, and the prices to charge, shape (24,) [EUR/kWh]."""

    def change(self, problem: RetailProblem, price: FloatArray) -> FloatArray:
        """Return the change of each home's demand that it expects of prices, shape (n, 24) [kWh]."""


@dataclass(frozen=True, slots=True)
class Believing:
    """A plant that charges what its pricer says, and goes on believing what it believes."""

    pricer: RetailPricer
    belief: Belief

    def ask(self, problem: RetailProblem, past: Sequence[ChargedDay]) -> tuple[RetailPrices, FloatArray]:
        """Return the solve and its prices."""
        solved = self.pricer.price(problem)
        return solved, solved.buy_eur_per_kwh

    def change(self, problem: RetailProblem, price: FloatArray) -> FloatArray:
        """Return the change that it expects."""
        return self.belief(problem, price)


def charge(year: Year, days: Sequence[int], plant: Plant, customers: Customers) -> list[ChargedDay]:
    """Return days in their order, each priced on the mean of seven days as the plant knows them from meters.

    Until the first of `days` the homes are at the default tariff. Of a day that it priced the plant knows what was
    metered less the change that it expected of its prices: what homes would have drawn at the default tariff if its
    belief is right. What they would have drawn is not known to anyone.
    """
    known = year.import_kwh.copy()
    charged: list[ChargedDay] = []
    for day in days:
        problem = year.problem(day, known)
        solved, price = plant.ask(problem, charged)
        charged.append(ChargedDay(day, problem, solved, price, answer_of(year, day, price, customers)))
        known[day] = charged[-1].answer.demand_kwh - plant.change(problem, price)
    return charged


def came(year: Year, charged: Sequence[ChargedDay]) -> Outcome:
    """Return what the days brought."""
    prices = np.array([each.price_eur_per_kwh for each in charged])
    return brought(year, [each.day for each in charged], prices, [each.answer for each in charged])


def no_change(problem: RetailProblem, price: FloatArray) -> FloatArray:
    """Return the change expected by a plant that has no belief: none."""
    return np.zeros_like(problem.demand_kwh)


def elastic_change(problem: RetailProblem, price: FloatArray, elasticity: float | FloatArray) -> FloatArray:
    """Return the change expected by a plant that believes an elasticity, of every home alike."""
    relative = price / problem.default_eur_per_kwh - 1
    answer = elasticity @ relative if isinstance(elasticity, np.ndarray) else elasticity * relative
    change: FloatArray = problem.demand_kwh * answer
    return change


def shifting_change(problem: RetailProblem, price: FloatArray, tie: Tie) -> FloatArray:
    """Return the change expected by a plant that believes its homes to shift."""
    alike = np.ones(len(problem.demand_kwh))
    homes = ShiftingHomes(BELIEVED_SHARE * alike, BELIEVED_DISCOMFORT * alike, WINDOW_H, tie=tie)
    cost = problem.levies_eur_per_kwh + problem.wholesale_eur_per_kwh
    answer = homes.respond(problem.demand_kwh, problem.default_eur_per_kwh, price, cost_eur_per_kwh=cost)
    return answer.demand_kwh - problem.demand_kwh
