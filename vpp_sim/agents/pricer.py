"""The retail desk: what homes pay tomorrow, set when the day-ahead auction's prices are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from vpp_sim.agents.planning import Planner
from vpp_sim.agents.school import School
from vpp_sim.arrays import FloatArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Tariff
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.recorder import Recorder
from vpp_sim.kernel.world import World
from vpp_sim.pricing.explain import Explainer
from vpp_sim.pricing.protocol import RetailOptions, RetailPricer, RetailPrices, RetailProblem

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
        Gives the pricer for a number of steps and options; days with a change of clocks are shorter or longer.
    options : RetailOptions
        What the pricer is told.
    school : School or None
        Learns the elasticity of demand and explores; None believes the options'.
    explains : bool
        Whether prices are taken apart.
    recorder : Recorder
        Takes a row a step that is priced.
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
        make_pricer: Callable[[int, RetailOptions], RetailPricer],
        options: RetailOptions,
        school: School | None,
        explains: bool,
        recorder: Recorder,
        publications: Mapping[int, int],
        wholesale_eur_per_kwh: FloatArray,
        default_eur_per_kwh: FloatArray,
        levies_eur_per_kwh: FloatArray,
        feed_in_eur_per_kwh: float,
    ) -> None:
        self._world, self._clock, self._planner = world, clock, planner
        self._make_pricer, self._publications, self._options = make_pricer, publications, options
        self._school, self._recorder = school, recorder
        self._explainers: dict[int, Explainer] | None = {} if explains else None
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
        if self._school is not None:
            self._school.attend(step)
            self.counts["steps that could not teach an elasticity"] = self._school.skipped
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
        """Return the prices of a day, moved a little if the desk explores, and record how they came about."""
        steps = self._clock.day_steps(day)
        problem = self._problem(steps, soc_kwh)
        if self._school is not None:
            problem = self._school.taught(problem, steps)
        horizon = problem.default_eur_per_kwh.size
        if horizon not in self._pricers:
            self._pricers[horizon] = self._make_pricer(horizon, self._options)
        prices = self._pricers[horizon].price(problem)
        self._count(prices)
        moved = prices
        if self._school is not None and not prices.fallback:
            moved = replace(prices, buy_eur_per_kwh=self._school.explored(problem, prices.buy_eur_per_kwh))
        self._record(steps, problem, prices, moved.buy_eur_per_kwh)
        return moved

    def _count(self, prices: RetailPrices) -> None:
        self.counts["retail price solves"] += 1
        if prices.fallback:
            self.counts["retail price solves that fell back to the default tariff"] += 1
            why = f"fell back because {prices.reason}"
            self.counts[why] = self.counts.get(why, 0) + 1
        for note in prices.notes:
            self.counts[note] = self.counts.get(note, 0) + 1
        self.solve_s += prices.solve_s

    def _record(self, steps: range, problem: RetailProblem, prices: RetailPrices, buy_eur_per_kwh: FloatArray) -> None:
        if self._explainers is None:
            return
        horizon = len(steps)
        if horizon not in self._explainers:
            self._explainers[horizon] = Explainer(partial(self._make_pricer, horizon), self._options)
        explained = self._explainers[horizon].explain(problem, prices)
        believed = self._school.believed if self._school is not None else (self._options.elasticity, 0.0)
        if "elasticity" not in self._pricers[horizon].heeds:
            believed = (np.nan, np.nan)
        self._recorder.record(
            "prices",
            {
                "step": np.arange(steps.start, steps.stop),
                "time": list(self._clock.stamps(steps.start, horizon)),
                "buy_eur_per_kwh": buy_eur_per_kwh,
                **{f"{name}_eur_per_kwh": part for name, part in explained.parts().items()},
                "exploration_eur_per_kwh": buy_eur_per_kwh - prices.buy_eur_per_kwh,
                "limit": list(explained.limit),
                "elasticity": np.full(horizon, believed[0]),
                "elasticity_sd": np.full(horizon, believed[1]),
            },
        )

    def _problem(self, steps: range, soc_kwh: FloatArray) -> RetailProblem:
        forecast, tariff = self._world.forecast.read(), self._world.tariff.read()
        now = max(self._world.cursor.step, forecast.issue_step)
        battery_kw = self._planner.battery_kw(soc_kwh, forecast, tariff, now, steps.stop - now)
        net_kw = forecast.median_net_kw(steps.start, len(steps)) + battery_kw[:, steps.start - now :]
        load_kw = forecast.load_kw[:, forecast.leads(steps.start, len(steps))]
        rows = slice(steps.start + self._lead, steps.stop + self._lead)
        return RetailProblem(
            demand_kwh=np.maximum(net_kw, 0.0) * self._clock.step_h,
            wholesale_eur_per_kwh=self._wholesale[rows],
            default_eur_per_kwh=self._default[rows],
            levies_eur_per_kwh=self._levies[rows],
            feed_in_eur_per_kwh=np.full(len(steps), self._feed_in),
            responsive_kwh=np.where(net_kw > 0, load_kw, 0.0).sum(axis=0) * self._clock.step_h,
            export_kwh=np.maximum(-net_kw, 0.0).sum(axis=0) * self._clock.step_h,
            before_eur_per_kwh=float(tariff.buy_eur_per_kwh[steps.start - 1 - tariff.first_step]),
            home_names=self._planner.fleet.names,
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
