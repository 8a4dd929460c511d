"""What the retail desk learns: how homes respond to its prices, from their meters, day by day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.world import World
from vpp_sim.pricing.demand import Response, believed_elasticity
from vpp_sim.pricing.elasticity import ElasticityLearner, explored_prices
from vpp_sim.pricing.limits import Limits
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem

__all__ = ["School"]


class School:
    """Compares what homes drew with what was foreseen before their prices were known.

    A day is learnt once it is over and its last meter was read. What was foreseen of it is the fleet's load by the
    forecast that its prices were set on; the load before batteries and sun, since these follow the plant's own plans.
    A forecast from meters holds a part of the answer to the prices of earlier days: where prices resemble those, less
    is learnt than homes answer. Prices that are moved at random resemble none.

    Parameters
    ----------
    world, clock
        Where homes are metered.
    learner : ElasticityLearner
        Learns, with a group for each hour of the day: a forecast's bias at an hour is no response to its price.
    options : RetailOptions
        Limits of the prices.
    exploration : float
        Share by which prices are moved at random.
    rng : numpy.random.Generator
        Draws the moves.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        learner: ElasticityLearner,
        options: RetailOptions,
        exploration: float,
        rng: np.random.Generator,
    ) -> None:
        self._world, self._clock, self._learner, self._options = world, clock, learner, options
        self._exploration, self._rng = exploration, rng
        self._load_kwh, self._foreseen_kwh, self._price, self._default = np.full((4, clock.n_steps), np.nan)
        self._lessons = {clock.day_steps(day).stop: day for day in range(clock.n_days)}

    @property
    def believed(self) -> tuple[float, float]:
        """Elasticity that prices are set with, and its standard deviation."""
        posterior = self._learner.posterior
        return posterior.pricing_elasticity(), posterior.own_sd

    @property
    def skipped(self) -> int:
        """Steps without energy or a price above zero, which have no logarithm to learn from."""
        return self._learner.skipped

    def attend(self, step: int) -> None:
        """Take down what the last step drew and cost, and learn from a day that has just ended."""
        past = self._world.flexible.previous()
        if past is None:
            return
        tariff = self._world.tariff.read()
        column = step - 1 - tariff.first_step
        self._load_kwh[step - 1] = past.load_kw.sum() * self._clock.step_h
        self._price[step - 1] = tariff.buy_eur_per_kwh[column]
        self._default[step - 1] = tariff.default_eur_per_kwh[column]
        if step in self._lessons:
            self._learn(self._clock.day_steps(self._lessons[step]))

    def _learn(self, steps: range) -> None:
        rows = slice(steps.start, steps.stop)
        self._learner.update(
            self._load_kwh[rows],
            self._foreseen_kwh[rows],
            self._price[rows],
            self._default[rows],
            group=self._clock.local_time(steps.start, len(steps)).hour.astype(np.int64),
        )

    def taught(self, problem: RetailProblem, steps: range) -> RetailProblem:
        """Return the problem with the elasticity believed now, and remember what is foreseen of its day."""
        forecast = self._world.forecast.read()
        leads, levels = forecast.leads(steps.start, len(steps)), np.array(forecast.levels)
        middle = int(np.argmin(np.abs(levels - 0.5)))
        self._foreseen_kwh[steps.start : steps.stop] = forecast.fleet_demand_kw[leads, middle] * self._clock.step_h
        return replace(problem, elasticity=self.believed[0] * np.eye(len(steps)))

    def explored(self, problem: RetailProblem, buy_eur_per_kwh: FloatArray) -> FloatArray:
        """Return prices moved a little at random, with every home's promise and all limits of prices and demand kept.

        A least profit is not kept: what is learnt is bought with profit.
        """
        if not self._exploration:
            return buy_eur_per_kwh
        elasticity = believed_elasticity(problem, self._options)
        limits = Limits.of(problem, self._options, Response.of(problem, elasticity))
        return explored_prices(
            buy_eur_per_kwh,
            problem.demand_kwh,
            problem.default_eur_per_kwh,
            dither=self._exploration,
            lowest_eur_per_kwh=limits.lower,
            highest_eur_per_kwh=limits.upper,
            rng=self._rng,
            keeps=limits.kept,
        )
