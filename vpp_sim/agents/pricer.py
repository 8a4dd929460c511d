"""The retail desk: what homes pay tomorrow, set when the day-ahead auction's prices are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from vpp_sim.agents.planning import Planner
from vpp_sim.arrays import FloatArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Tariff
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World
from vpp_sim.pricing.protocol import RetailPricer, RetailPrices, RetailProblem

__all__ = ["PricingDesk"]


class PricingDesk:
    """Writes the tariff: today's prices, and tomorrow's from their publication on.

    Parameters
    ----------
    world, clock
        Where it acts.
    planner : Planner
        What homes are expected to draw, batteries included.
    make_pricer : callable
        Gives the pricer for a number of steps; days with a change of clocks are shorter or longer.
    publications : mapping of int to int
        Step of publication to the day that is priced; steps below zero are before the start.
    wholesale_eur_per_kwh, default_eur_per_kwh, levies_eur_per_kwh : ndarray, shape (day + T,)
        Day-ahead price, default tariff and the levies within it, from 24 hours before the start on [EUR/kWh].
    feed_in_eur_per_kwh : float
        What homes are paid for feeding in [EUR/kWh].
    """

    name = "pricing_desk"

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        planner: Planner,
        make_pricer: Callable[[int], RetailPricer],
        publications: Mapping[int, int],
        wholesale_eur_per_kwh: FloatArray,
        default_eur_per_kwh: FloatArray,
        levies_eur_per_kwh: FloatArray,
        feed_in_eur_per_kwh: float,
    ) -> None:
        self._world, self._clock, self._planner = world, clock, planner
        self._make_pricer, self._publications = make_pricer, publications
        self._pricers: dict[int, RetailPricer] = {}
        self._wholesale, self._default = wholesale_eur_per_kwh, default_eur_per_kwh
        self._levies, self._feed_in = levies_eur_per_kwh, feed_in_eur_per_kwh
        self._lead = 24 * clock.steps_per_hour
        self.counts = {"retail price solves": 0, "retail price solves that fell back to the default tariff": 0}
        self.solve_s = 0.0
        self._write = world.tariff.claim(self.name)
        self._write.initial(self._message(-self._lead, default_eur_per_kwh[: self._lead]))

    def actions(self) -> Mapping[Phase, Action]:
        """Act in PRICE."""
        return {Phase.PRICE: self._price}

    def publish_first_day(self) -> None:
        """Publish the prices of the first day, before the start."""
        self._write.initial(self._extended(0, -self._lead, self._planner.fleet.initial_soc_kwh))

    def _price(self, step: int) -> None:
        if step not in self._publications:
            return
        storage = self._world.storage.previous()
        soc_kwh = storage.soc_kwh if storage else self._planner.fleet.initial_soc_kwh
        day = self._publications[step]
        self._write(self._extended(day, self._clock.day_steps(day - 1).start, soc_kwh))

    def _extended(self, day: int, first_step: int, soc_kwh: FloatArray) -> Tariff:
        """Return the tariff from `first_step` to the end of `day`, whose prices are new."""
        steps = self._clock.day_steps(day)
        known = self._world.tariff.read()
        today = known.buy_eur_per_kwh[first_step - known.first_step : steps.start - known.first_step]
        return self._message(first_step, np.concatenate([today, self._solved(day, soc_kwh).buy_eur_per_kwh]))

    def _solved(self, day: int, soc_kwh: FloatArray) -> RetailPrices:
        problem = self._problem(self._clock.day_steps(day), soc_kwh)
        horizon = problem.default_eur_per_kwh.size
        if horizon not in self._pricers:
            self._pricers[horizon] = self._make_pricer(horizon)
        prices = self._pricers[horizon].price(problem)
        self.counts["retail price solves"] += 1
        if prices.fallback:
            self.counts["retail price solves that fell back to the default tariff"] += 1
            why = f"fell back because {prices.reason}"
            self.counts[why] = self.counts.get(why, 0) + 1
        self.solve_s += prices.solve_s
        return prices

    def _problem(self, steps: range, soc_kwh: FloatArray) -> RetailProblem:
        forecast, tariff = self._world.forecast.read(), self._world.tariff.read()
        now = max(self._world.cursor.step, forecast.issue_step)
        battery_kw = self._planner.battery_kw(soc_kwh, forecast, tariff, now, steps.stop - now)
        net_kw = forecast.median_net_kw(steps.start, len(steps)) + battery_kw[:, steps.start - now :]
        rows = slice(steps.start + self._lead, steps.stop + self._lead)
        return RetailProblem(
            demand_kwh=np.maximum(net_kw, 0.0) * self._clock.step_h,
            wholesale_eur_per_kwh=self._wholesale[rows],
            default_eur_per_kwh=self._default[rows],
            levies_eur_per_kwh=self._levies[rows],
            feed_in_eur_per_kwh=np.full(len(steps), self._feed_in),
        )

    def _message(self, first_step: int, buy_eur_per_kwh: FloatArray) -> Tariff:
        rows = slice(first_step + self._lead, first_step + self._lead + buy_eur_per_kwh.size)
        return Tariff(
            first_step=first_step,
            buy_eur_per_kwh=buy_eur_per_kwh.copy(),
            sell_eur_per_kwh=np.full(buy_eur_per_kwh.size, self._feed_in),
            default_eur_per_kwh=self._default[rows].copy(),
            steps_per_day=self._lead,
        )
