"""The forecasting desk: load and sun of every home, for the coming day and a half, from what was known at issue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vpp_sim.agents.fleet import HISTORY_H, Fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.errors import SimulationError
from vpp_sim.forecasting.protocol import Forecaster, ForecastInputs
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Forecast
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["ForecastDesk"]

_NO_PV_KWP = 1e-9
"""Stands for the nameplate power of a home without PV, whose solar power is zero in any unit."""


class ForecastDesk:
    """Writes the forecast at its cadence, and whenever bids are due.

    Models see hourly means; on a finer clock each hour's forecast holds for its steps. The history ends before the
    step of issue.

    Parameters
    ----------
    world, clock, fleet
        Where it acts.
    demand, solar : Forecaster
        Hourly models of load [kW] and of sun [kW per kWp].
    every_s : int
        Cadence [s]; whole hours.
    gate_steps : frozenset of int
        Steps in which bids are due; those below zero are before the start.
    """

    name = "forecast_desk"

    def __init__(
        self,
        world: World,
        clock: Clock,
        fleet: Fleet,
        *,
        demand: Forecaster,
        solar: Forecaster,
        every_s: int,
        gate_steps: frozenset[int],
    ) -> None:
        for task in (demand.task, solar.task):
            if task.step_s != SECONDS_PER_HOUR or task.context_steps + 25 > HISTORY_H:
                raise SimulationError("forecasters must work on hourly steps and fit the history that is loaded")
        if demand.task.levels != solar.task.levels:
            raise SimulationError("forecasters of load and sun must give the same quantile levels")
        self._clock, self._fleet, self._demand, self._solar = clock, fleet, demand, solar
        self._every_steps, self._gates = every_s // clock.step_s, gate_steps
        self._write = world.forecast.claim(self.name)
        self._write.initial(self.issue(max(gate for gate in gate_steps if gate < 0)))

    def actions(self) -> Mapping[Phase, Action]:
        """Act in FORECAST."""
        return {Phase.FORECAST: self._forecast}

    def issue(self, step: int) -> Forecast:
        """Return the forecast that is issued as `step` begins; nothing from `step` on is read."""
        fleet, per_hour = self._fleet, self._clock.steps_per_hour
        kwp, all_kwp = np.maximum(fleet.pv_kwp, _NO_PV_KWP), max(float(fleet.pv_kwp.sum()), _NO_PV_KWP)
        demand_kw = self._predict(self._demand, fleet.load_kw, np.ones(len(fleet)), 1.0, step)
        solar_kw = self._predict(self._solar, fleet.pv_kw, kwp, all_kwp, step)
        middle = self._demand.task.levels.index(0.5)
        return Forecast(
            issue_step=step,
            steps_per_day=24 * per_hour,
            levels=self._demand.task.levels,
            net_kw=np.repeat(demand_kw[:-1, :, middle] - solar_kw[:-1, :, middle], per_hour, axis=1),
            fleet_demand_kw=np.repeat(demand_kw[-1], per_hour, axis=0),
            fleet_solar_kw=np.repeat(solar_kw[-1], per_hour, axis=0),
        )

    def _forecast(self, step: int) -> None:
        if step % self._every_steps == 0 or step in self._gates:
            self._write(self.issue(step))

    def _predict(
        self, model: Forecaster, series: FloatArray, unit: FloatArray, fleet_unit: float, step: int
    ) -> FloatArray:
        """Return quantiles of each home and, last, of the fleet, shape (n + 1, H, Q) [kW].

        The model sees each series in multiples of its `unit` (a solar array in that of its nameplate power).
        """
        context, per_hour = model.context_steps, self._clock.steps_per_hour
        first = step - context * per_hour
        calendar = Clock(self._clock.start, SECONDS_PER_HOUR, 0).local_time(
            first // per_hour, context + model.horizon_steps
        )
        past_kw = self._fleet.hourly_before(series, step, context, per_hour)
        units = np.append(unit, fleet_unit)
        inputs = ForecastInputs(
            history_kw=np.column_stack([past_kw, past_kw.sum(axis=1)]).T / units[:, None],
            weather=self._fleet.hourly_before(self._fleet.weather, step, context, per_hour),
            hour=calendar.hour,
            day_of_week=calendar.day_of_week,
            day_of_year=calendar.day_of_year,
        )
        quantiles_kw: FloatArray = model.predict(inputs) * units[:, None, None]
        return quantiles_kw
