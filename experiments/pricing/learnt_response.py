"""A plant that learns the homes' response from meters, and what its days could have taught with other knowledge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from charged_days import ChargedDay, elastic_change
from planted_homes import true_elasticity
from priced_years import HOURS, LAG_DAYS, Year

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.customers import Customers
from vpp_sim.pricing.elasticity import ElasticityLearner, ElasticityPrior, explored_prices, literature_prior
from vpp_sim.pricing.protocol import RetailPricer, RetailPrices, RetailProblem

DITHER, TAUGHT_DAYS, CROSS_SD, LEAST_ELASTICITY = 0.05, 60, 0.05, 0.02
INDEPENDENT_SHARE = 0.1
"""Errors of an hour and the next correlate by about 0.8: where prices do too, ten hours tell what one would alone."""

PRIOR = replace(literature_prior(), cross_sd=CROSS_SD)
NO_PRIOR = replace(PRIOR, own_sd=10.0)
"""So wide that the data speak alone, of the own elasticity."""


def learner_of(prior: ElasticityPrior) -> ElasticityLearner:
    """Return a learner with an intercept for each hour that forgets nothing."""
    return ElasticityLearner(prior, forgetting=1.0, groups=HOURS)


def precision_of(forecast: FloatArray) -> FloatArray:
    """Return how precise the forecasts of the hours are: the sun leaves little to draw at noon, and that is uncertain.

    The forecast is of all homes together, shape (24,) [kWh]. The mean is 1: who learns takes so many hours as seen.
    """
    precision = forecast**2
    scaled: FloatArray = precision / precision.mean()
    return scaled


def teach(learner: ElasticityLearner, charged: ChargedDay, forecast: FloatArray, *, independent_share: float) -> None:
    """Let a learner learn from a charged day and what was forecast for it at the default prices, shape (24,) [kWh]."""
    learner.update(
        charged.answer.demand_kwh.sum(axis=0),
        forecast,
        charged.price_eur_per_kwh,
        charged.problem.default_eur_per_kwh,
        group=np.arange(HOURS),
        weight=precision_of(forecast),
        independent_share=independent_share,
    )


def share_of(row: int) -> float:
    """Return how many independent hours an hour of the day in a row is worth.

    While prices are moved at random, each hour by itself, it does not matter how alike the errors of hours are.
    """
    return 1.0 if row < TAUGHT_DAYS else INDEPENDENT_SHARE


class Learning:
    """A plant that learns the response day by day, and moves its prices at random on the first days."""

    def __init__(self, pricer: RetailPricer, highest_eur_per_kwh: float, seed: int) -> None:
        self.learner = learner_of(PRIOR)
        self._pricer, self._highest, self._rng = pricer, highest_eur_per_kwh, np.random.default_rng((11, seed))

    def ask(self, problem: RetailProblem, past: Sequence[ChargedDay]) -> tuple[RetailPrices, FloatArray]:
        """Return the solve by what was learnt up to the day before yesterday, and its prices or those moved."""
        if len(past) >= LAG_DAYS:
            row = len(past) - LAG_DAYS
            forecast = past[row].problem.demand_kwh.sum(axis=0)
            teach(self.learner, past[row], forecast, independent_share=share_of(row))
        solved = self._pricer.price(replace(problem, elasticity=matrix_of(self.learner)))
        if len(past) >= TAUGHT_DAYS:
            return solved, solved.buy_eur_per_kwh
        return solved, moved(solved.buy_eur_per_kwh, problem, self._highest, DITHER, self._rng)

    def change(self, problem: RetailProblem, price: FloatArray) -> FloatArray:
        """Return the change that it expects by what it has learnt."""
        return elastic_change(problem, price, matrix_of(self.learner))


def moved(
    price: FloatArray, problem: RetailProblem, highest_eur_per_kwh: float, dither: float, rng: np.random.Generator
) -> FloatArray:
    """Return prices moved at random with the promise kept for the demand expected."""
    return explored_prices(
        price,
        problem.demand_kwh,
        problem.default_eur_per_kwh,
        dither=dither,
        lowest_eur_per_kwh=problem.feed_in_eur_per_kwh,
        highest_eur_per_kwh=np.full(price.size, highest_eur_per_kwh),
        rng=rng,
    )


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


def taught_by(
    year: Year, charged: Sequence[ChargedDay], believed: ElasticityLearner, customers: Customers
) -> dict[str, Any]:
    """Return what the plant believes; what its data say without a prior; and what they would if demand were known.

    The last stands for a perfect control group: it knows what the homes would have drawn at the default prices. The
    truth beside them is of the smooth part, over the hours as they are weighed in learning.
    """
    alone, controlled = learner_of(NO_PRIOR), learner_of(NO_PRIOR)
    true, weights = np.zeros(HOURS), np.zeros(HOURS)
    for row, each in enumerate(charged[:-LAG_DAYS]):
        share, base = share_of(row), year.import_kwh[each.day]
        teach(alone, each, each.problem.demand_kwh.sum(axis=0), independent_share=share)
        teach(controlled, each, base.sum(axis=0), independent_share=share)
        weight = share * precision_of(base.sum(axis=0))
        true, weights = true + weight * np.diag(true_elasticity(customers, base, year.default)), weights + weight
    named = {"": believed, "alone_": alone, "controlled_": controlled}
    found = {f"{name}{key}": value for name, learner in named.items() for key, value in told(learner).items()}
    return found | {"true_own": float(true.sum() / weights.sum()), "prior_precision": 1 / PRIOR.own_sd**2}


def told(learner: ElasticityLearner) -> dict[str, float]:
    """Return a learner's elasticities, the 90 % interval and the precision of its own one, and the noise it sees."""
    posterior = learner.posterior
    low, high = posterior.interval(0.9)
    own, cross = (float(term) for term in posterior.mean)
    precision = 1 / posterior.own_sd**2
    return {
        "own": own, "own_low": low, "own_high": high, "cross": cross, "precision": precision, "noise": posterior.noise,
    }  # fmt: skip
