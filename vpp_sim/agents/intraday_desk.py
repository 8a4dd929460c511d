"""The intraday desk: what the VPP trades on after the auction, when a new forecast has come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from vpp_sim.agents.planning import Planner, fleet_quantiles_kw
from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import Forecast, Intraday
from vpp_sim.kernel.world import World
from vpp_sim.market.balancing import BalancingLaw
from vpp_sim.market.gates import ContinuousGate
from vpp_sim.market.intraday import IntradayRules, adjust_position
from vpp_sim.pricing.adjustment import no_trade_band
from vpp_sim.pricing.bids import PricePaths
from vpp_sim.units import WH_PER_KWH

__all__ = ["IntradayDesk"]

_TOO_SMALL = "Wh of intraday trades wanted that were too small or rounded, once for each forecast"


class IntradayDesk:
    """Says what is traded in a step; the bidding desk, whose phase it is, asks it and writes it down.

    With each new forecast it looks at the steps of days whose auction is published and whose own gate is still open:
    at all of them, or, if it waits, only at those whose gate closes before the next forecast comes. As the middle price
    is taken to be the day-ahead price at all times, waiting costs nothing, and a forecast that is taken back later is
    not traded to and fro. It wants a position within the band in which a trade costs more than it is expected to save
    (:func:`~vpp_sim.pricing.adjustment.no_trade_band`), by the newest forecast with what the batteries are now planned
    to do, and trades to the nearest end of it at the day-ahead price and half a spread. Like the auction it knows the
    law of imbalance prices, and not which of them will come true.

    Parameters
    ----------
    world, clock
        Where it acts.
    planner : Planner
        How batteries are expected to run.
    day_ahead_eur_per_kwh : ndarray, shape (T,)
        Day-ahead price, the middle price of trades [EUR/kWh].
    publications : mapping of int to int
        Step from which on an auction's prices are known, to the day they are for.
    gate : ContinuousGate
        Until when a step can be traded.
    rules : IntradayRules
        What trading costs, and what the exchange takes.
    law : BalancingLaw
        Rule of imbalance, and how its prices are drawn.
    waits_s : int or None
        Time to the next forecast, if the desk waits for a step's last one [s]; None trades at every forecast.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        planner: Planner,
        day_ahead_eur_per_kwh: FloatArray,
        publications: Mapping[int, int],
        gate: ContinuousGate,
        rules: IntradayRules,
        law: BalancingLaw,
        waits_s: int | None,
    ) -> None:
        self._world, self._clock, self._planner = world, clock, planner
        self._price, self._gate, self._rules, self._law = day_ahead_eur_per_kwh, gate, rules, law
        self._publications, self._waits_s = publications, waits_s
        self.counts = {"intraday trades": 0, "Wh of intraday trades": 0, _TOO_SMALL: 0}

    def trade(self, step: int, soc_kwh: FloatArray) -> Intraday | None:
        """Return all trades so far with those of this step, or None if nothing is traded.

        Parameters
        ----------
        step : int
            The step that begins.
        soc_kwh : ndarray, shape (n,)
            What its batteries hold then [kWh].
        """
        forecast = self._world.forecast.read()
        if forecast.issue_step != step:
            return None
        chances = self._chances(step)
        if not chances.any():
            return None
        known, rows = self._world.intraday.read(), slice(step, step + chances.size)
        position_kwh = self._world.day_ahead.read().position_kwh[rows] + known.traded_kwh[rows]
        lowest_kwh, highest_kwh = self._band(forecast, rows, soc_kwh)
        trades = adjust_position(
            position_kwh,
            np.clip(position_kwh, lowest_kwh, highest_kwh),
            self._price[rows],
            is_open=chances,
            rules=self._rules,
        )
        self.counts["intraday trades"] += int(np.count_nonzero(trades.traded_kwh))
        self.counts["Wh of intraday trades"] += round(float(np.abs(trades.traded_kwh).sum()) * WH_PER_KWH)
        self.counts[_TOO_SMALL] += round(trades.rounded_kwh * WH_PER_KWH)
        if not trades.traded_kwh.any():
            return None
        traded_kwh, cost_eur = known.traded_kwh.copy(), known.cost_eur.copy()
        traded_kwh[rows] += trades.traded_kwh
        cost_eur[rows] += trades.cost_eur
        return Intraday(traded_kwh, cost_eur)

    def _chances(self, step: int) -> BoolArray:
        """Return which of the steps from `step` on are to be traded now, shape (H,), up to the last of them."""
        n_steps = max(self._known_until(step) - step, 0)
        if self._waits_s is not None:  # later steps can wait
            n_steps = min(n_steps, (self._gate.lead_s + self._waits_s) // self._clock.step_s + 1)
        starts = self._clock.stamps(step, n_steps).to_pydatetime().tolist()
        if not starts:
            return np.zeros(0, dtype=np.bool_)
        chances = self._gate.open_steps(starts[0], starts)
        if self._waits_s is not None:
            chances &= ~self._gate.open_steps(starts[0] + timedelta(seconds=self._waits_s), starts)
        return chances[: np.flatnonzero(chances)[-1] + 1] if chances.any() else chances

    def _known_until(self, step: int) -> int:
        """Return where the days end whose auction is published as `step` begins; `step` itself if there is none."""
        days = [day for publication, day in self._publications.items() if publication <= step]
        return min(self._clock.day_steps(max(days)).stop, self._clock.n_steps) if days else step

    def _band(self, forecast: Forecast, rows: slice, soc_kwh: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return between which positions of the steps `rows` no trade pays, each of shape (H,) [kWh]."""
        n_steps, tariff = rows.stop - rows.start, self._world.tariff.read()
        planned_kw = self._planner.battery_kw(soc_kwh, forecast, tariff, rows.start, n_steps)
        net_kw = fleet_quantiles_kw(forecast, rows.start, n_steps) + planned_kw.sum(axis=0)[:, None]
        middle = self._price[None, rows]
        expected = self._law.expected(middle)
        return no_trade_band(
            net_kw * self._clock.step_h,
            np.array(forecast.levels),
            PricePaths(middle, expected.short_eur_per_kwh, expected.long_eur_per_kwh),
            cost_eur_per_kwh=self._rules.half_spread_eur_per_kwh + self._rules.fee_eur_per_kwh,
        )
