"""The wholesale desk: what the VPP buys and sells day ahead, bid at gate closure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vpp_sim.agents.planning import Planner, fleet_quantiles_kw
from vpp_sim.arrays import FloatArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import DayAhead, repeated
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World
from vpp_sim.pricing.bids import BidProblem, PricePaths, ScenarioBidder
from vpp_sim.pricing.quantiles import quantile_at
from vpp_sim.scenario.sections.trading import WholesaleMarketSpec

__all__ = ["BiddingDesk", "gate_steps"]


def gate_steps(clock: Clock, gate_closure: str) -> list[int]:
    """Return, for each day of the run, the step in which its bids are due: on the day before, often below zero."""
    hour = int(gate_closure[:2])
    return [clock.step_at(day - 1, hour) for day in range(clock.n_days)]


class BiddingDesk:
    """Writes the day-ahead position of a day when its gate closes.

    The bid is made on the fleet's net energy as forecast at the gate, with what its batteries are planned to do. It is
    made before prices are known: a bidder that asks for one is given the same hour's of the day before.

    Parameters
    ----------
    world, clock
        Where it acts.
    planner : Planner
        How batteries are expected to run.
    bidder : ScenarioBidder
        How much to buy.
    wholesale_eur_per_kwh : ndarray, shape (day + T,)
        Day-ahead prices, from 24 hours before the start on [EUR/kWh].
    market : WholesaleMarketSpec
        Gate closure and imbalance spreads.
    """

    name = "bidding_desk"

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        planner: Planner,
        bidder: ScenarioBidder,
        wholesale_eur_per_kwh: FloatArray,
        market: WholesaleMarketSpec,
    ) -> None:
        self._world, self._clock, self._planner, self._bidder = world, clock, planner, bidder
        self._price, self._market = wholesale_eur_per_kwh, market
        self._gates = {step: day for day, step in enumerate(gate_steps(clock, market.gate_closure))}
        self.counts = {"wholesale bids": 0, "wholesale bids that fell back to the newsvendor's": 0}
        self.solve_s = 0.0
        self._write = world.day_ahead.claim(self.name)
        known = DayAhead(np.full(clock.n_steps, np.nan), np.full((3, clock.n_steps), np.nan))
        for step, day in self._gates.items():
            if step < 0:
                known = self._with_bid(known, planner.fleet.initial_soc_kwh, step, day)
        self._write.initial(known)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in BID."""
        return {Phase.BID: self._bid}

    def _bid(self, step: int) -> None:
        if step not in self._gates:
            return
        storage = self._world.storage.previous()
        soc_kwh = storage.soc_kwh if storage else self._planner.fleet.initial_soc_kwh
        self._write(self._with_bid(self._world.day_ahead.read(), soc_kwh, step, self._gates[step]))

    def _with_bid(self, known: DayAhead, soc_kwh: FloatArray, gate: int, day: int) -> DayAhead:
        forecast, tariff = self._world.forecast.read(), self._world.tariff.read()
        steps = self._clock.day_steps(day)
        rows = slice(steps.start, steps.stop)
        planned = self._planner.battery_kw(soc_kwh, forecast, tariff, gate, steps.stop - gate)
        battery_kw = planned[:, steps.start - gate :].sum(axis=0)
        net_kw = fleet_quantiles_kw(forecast, steps.start, len(steps))
        levels = np.array(forecast.levels)
        position, foreseen = known.position_kwh.copy(), known.forecast_kw.copy()
        prices = PricePaths.of_spreads(
            self._expected_eur_per_kwh(steps),
            short_spread=self._market.short_spread,
            long_spread=self._market.long_spread,
        )
        position[rows] = self._decided((net_kw + battery_kw[:, None]) * self._clock.step_h, levels, prices)
        foreseen[:, rows] = [quantile_at(net_kw, levels, level) for level in (0.1, 0.5, 0.9)]
        return DayAhead(position, foreseen)

    def _decided(self, quantiles_kwh: FloatArray, levels: FloatArray, prices: PricePaths) -> FloatArray:
        """Return the bidder's position; batteries are planned already, so there is nothing left to shift."""
        decision = self._bidder.decide(BidProblem(quantiles_kwh, levels, prices))
        self.counts["wholesale bids"] += 1
        if decision.fallback:
            self.counts["wholesale bids that fell back to the newsvendor's"] += 1
            why = f"fell back because {decision.reason}"
            self.counts[why] = self.counts.get(why, 0) + 1
        self.solve_s += decision.solve_s
        return decision.position_kwh

    def _expected_eur_per_kwh(self, steps: range) -> FloatArray:
        """Return the prices of the same hours of the day before, all of them public when bids for `steps` are due."""
        lead = 24 * self._clock.steps_per_hour
        known = repeated(np.arange(steps.start + lead, steps.stop + lead), steps.start + lead, lead)
        expected: FloatArray = self._price[known]
        return expected
