"""The wholesale desk: what the VPP buys and sells day ahead, bid at gate closure, and what it trades afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time

import numpy as np

from vpp_sim.agents.intraday_desk import IntradayDesk
from vpp_sim.agents.planning import Planner, fleet_quantiles_kw
from vpp_sim.arrays import FloatArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import DayAhead, Intraday, repeated
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World
from vpp_sim.market.balancing import BalancingLaw
from vpp_sim.market.day_ahead import AuctionRules, BidSteps, admit, price_taker_fills
from vpp_sim.market.gates import AuctionGate
from vpp_sim.pricing.bids import BidProblem, PricePaths, ScenarioBidder
from vpp_sim.pricing.quantiles import quantile_at
from vpp_sim.units import WH_PER_KWH

__all__ = ["BiddingDesk", "gate_steps"]


def gate_steps(clock: Clock, gate_closure: str) -> list[int]:
    """Return, for each day of the run, the step in which its bids are due: on the day before, often below zero.

    It is the first that starts when the gate closes or later; the bid is made as it starts, on what is known by then.
    """
    gate = AuctionGate(at=time.fromisoformat(gate_closure), timezone=clock.timezone)
    return [clock.step_from(gate.closes(clock.date_of(day))) for day in range(clock.n_days)]


class BiddingDesk:
    """Writes the day-ahead position of a day when its gate closes, and what is traded after the auction.

    The bid is made on the fleet's net energy as forecast at the gate, with what its batteries are planned to do. It is
    made before prices are known: a bidder that asks for one is given the same hour's of the day before, and prices of
    imbalance by the public law. Of the system's states that come true it knows nothing.

    The bid takes any price, so it is filled unless the exchange refuses it, rounds it or clears beyond its price
    limits. The position is written with the bid, an hour before the auction is published; nobody reads it until then.

    Where one price of imbalance is expected to be the day-ahead price, any position is expected to cost the same. All
    bidders but one that minds risk then bid the median; that one takes positions against the dear days of its sample,
    which the luck of the draw moves far within its limits, the outermost quantiles of the forecast.

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
    gates : mapping of int to int
        Step of each gate closure to the day it is for; those below zero are before the start.
    rules : AuctionRules
        What the exchange takes.
    law : BalancingLaw
        Rule of imbalance, and how its prices are drawn.
    paths : int
        How many paths of imbalance prices the bidder plans on.
    rng : Generator
        Draws those paths.
    intraday : IntradayDesk or None
        Who trades on after the auction; None: nobody.
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
        gates: Mapping[int, int],
        rules: AuctionRules,
        law: BalancingLaw,
        paths: int,
        rng: np.random.Generator,
        intraday: IntradayDesk | None,
    ) -> None:
        self._world, self._clock, self._planner, self._bidder = world, clock, planner, bidder
        self._price, self._gates, self._rules = wholesale_eur_per_kwh, gates, rules
        self._law, self._paths, self._rng, self._intraday = law, paths, rng, intraday
        self.counts = {
            "wholesale bids": 0,
            "wholesale bids that fell back to the newsvendor's": 0,
            "steps of wholesale bids refused as too small": 0,
            "steps of wholesale bids beyond the price limits": 0,
            "Wh of wholesale bids refused or not filled": 0,
            "Wh of wholesale bids rounded": 0,
        } | ({} if intraday is None else intraday.counts)
        self.solve_s = 0.0
        self._write = world.day_ahead.claim(self.name)
        self._write_intraday = world.intraday.claim(self.name)
        self._write_intraday.initial(Intraday(np.zeros(clock.n_steps), np.zeros(clock.n_steps)))
        known = DayAhead(np.full(clock.n_steps, np.nan), np.full((3, clock.n_steps), np.nan))
        for step, day in self._gates.items():
            if step < 0:
                known = self._with_bid(known, planner.fleet.initial_soc_kwh, step, day)
        self._write.initial(known)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in BID."""
        return {Phase.BID: self._bid}

    def _bid(self, step: int) -> None:
        storage = self._world.storage.previous()
        soc_kwh = storage.soc_kwh if storage else self._planner.fleet.initial_soc_kwh
        if step in self._gates:
            self._write(self._with_bid(self._world.day_ahead.read(), soc_kwh, step, self._gates[step]))
        if self._intraday is not None:
            traded = self._intraday.trade(step, soc_kwh)
            self.counts |= self._intraday.counts
            if traded is not None:
                self._write_intraday(traded)

    def _with_bid(self, known: DayAhead, soc_kwh: FloatArray, gate: int, day: int) -> DayAhead:
        forecast, tariff = self._world.forecast.read(), self._world.tariff.read()
        steps = self._clock.day_steps(day)
        rows = slice(steps.start, steps.stop)
        planned = self._planner.battery_kw(soc_kwh, forecast, tariff, gate, steps.stop - gate)
        battery_kw = planned[:, steps.start - gate :].sum(axis=0)
        net_kw = fleet_quantiles_kw(forecast, steps.start, len(steps))
        levels = np.array(forecast.levels)
        position, foreseen = known.position_kwh.copy(), known.forecast_kw.copy()
        wanted = self._decided((net_kw + battery_kw[:, None]) * self._clock.step_h, levels, self._expected(steps))
        position[rows] = self._filled(wanted, steps)
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

    def _filled(self, wanted_kwh: FloatArray, steps: range) -> FloatArray:
        """Return what the auction fills of a position for `steps`, and count what it does not, shape (H,) [kWh]."""
        lead = 24 * self._clock.steps_per_hour
        bids = BidSteps.at_any_price(wanted_kwh, self._rules)
        taken = admit(bids, self._rules)
        filled = price_taker_fills(taken.bids, self._price[steps.start + lead : steps.stop + lead])
        beyond = (filled == 0) & ~taken.refused
        lost_kwh = np.abs(bids.energy_kwh[taken.refused | beyond]).sum()
        rounded_kwh = np.abs(taken.bids.energy_kwh - bids.energy_kwh)[~taken.refused & ~beyond].sum()
        self.counts["steps of wholesale bids refused as too small"] += taken.below_least_size
        self.counts["steps of wholesale bids beyond the price limits"] += int(beyond.sum()) + taken.price_out_of_range
        self.counts["Wh of wholesale bids refused or not filled"] += round(lost_kwh * WH_PER_KWH)
        self.counts["Wh of wholesale bids rounded"] += round(rounded_kwh * WH_PER_KWH)
        position_kwh = np.zeros(len(steps))
        position_kwh[bids.step] = filled
        return position_kwh

    def _expected(self, steps: range) -> PricePaths:
        """Return the prices to plan on: those of the same hours of the day before, all of them public when bids for
        `steps` are due, with imbalance by the law.
        """
        per_hour = self._clock.steps_per_hour
        lead = 24 * per_hour
        known = repeated(np.arange(steps.start + lead, steps.stop + lead), steps.start + lead, lead)
        price: FloatArray = self._price[known]
        drawn = self._law.paths(price, paths=self._paths, steps_per_hour=per_hour, rng=self._rng)
        short, long = drawn.short_eur_per_kwh, drawn.long_eur_per_kwh
        return PricePaths(np.broadcast_to(price, short.shape), short, long)
