"""What the desks share: how the fleet is expected to behave over coming steps, batteries included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.agents.fleet import Fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import advance
from vpp_sim.ess.protocol import Controller, StorageObservation, horizon_steps
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import Forecast, Tariff
from vpp_sim.pricing.quantiles import aggregate_quantiles

__all__ = ["Planner", "fleet_quantiles_kw"]


@dataclass(frozen=True, slots=True)
class Planner:
    """Rolls the storage controller over the median forecast.

    Attributes
    ----------
    clock, fleet
        Steps and homes.
    controller : Controller
        Who runs the batteries.
    """

    clock: Clock
    fleet: Fleet
    controller: Controller

    def battery_kw(
        self, soc_kwh: FloatArray, forecast: Forecast, tariff: Tariff, step: int, n_steps: int
    ) -> FloatArray:
        """Return the planned battery power from `step` on, charging positive, shape (n, n_steps) [kW].

        Parameters
        ----------
        soc_kwh : ndarray, shape (n,)
            Stored energy as `step` begins [kWh].
        forecast, tariff
            What is foreseen and published at that time.
        step, n_steps : int
            First step and number of steps planned.
        """
        window = horizon_steps(self.clock.step_h)
        net_kw = forecast.median_net_kw(step, n_steps + window)
        columns = tariff.window(step, n_steps + window)
        buy, sell = tariff.buy_eur_per_kwh[columns], tariff.sell_eur_per_kwh[columns]
        hours = self.clock.local_time(step, n_steps).hour
        planned_kw = np.zeros((len(self.fleet), n_steps))
        for i in range(n_steps):
            seen = StorageObservation(
                soc_kwh,
                net_kw[:, i : i + window],
                buy[i : i + window],
                sell[i : i + window],
                hours[i],
                self.clock.step_h,
            )
            charge_kw, discharge_kw = self.controller.act(self.fleet.batteries, seen)
            soc_kwh = advance(self.fleet.batteries, soc_kwh, charge_kw, discharge_kw, self.clock.step_h)
            planned_kw[:, i] = charge_kw - discharge_kw
        return planned_kw


def fleet_quantiles_kw(forecast: Forecast, step: int, n_steps: int) -> FloatArray:
    """Return quantiles of the fleet's load less its solar power, shape (n_steps, Q) [kW].

    Load and sun are taken to err independently.
    """
    levels, leads = np.array(forecast.levels), forecast.leads(step, n_steps)
    both = np.stack([forecast.fleet_demand_kw[leads], -forecast.fleet_solar_kw[leads, ::-1]])
    return aggregate_quantiles(both, levels, rank_correlation=0.0)
