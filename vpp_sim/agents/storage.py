"""The storage agent: lets a controller run all batteries, within their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from vpp_sim.agents.fleet import Fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import advance, project
from vpp_sim.ess.protocol import LEAST_CUT_KW, AskingController, Controller, StorageObservation, horizon_steps
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Storage
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World

__all__ = ["StorageAgent"]


class StorageAgent:
    """Writes battery powers and states of charge.

    Parameters
    ----------
    world, clock, fleet
        Where it acts.
    controller : Controller
        Who decides.
    acts : {"after_meter", "before_meter"}
        Whether the controller knows this step's metered net load, or only its forecast.

    Notes
    -----
    A controller that can say what it wants before limits cut it (:class:`~vpp_sim.ess.protocol.AskingController`) is
    asked for that, so that every cut is seen: a step in which a battery did not get what was asked for counts once.
    """

    name = "storage"

    def __init__(
        self,
        world: World,
        clock: Clock,
        fleet: Fleet,
        *,
        controller: Controller,
        acts: Literal["after_meter", "before_meter"],
    ) -> None:
        self._world, self._clock, self._fleet = world, clock, fleet
        self._controller, self._sees_meter = controller, acts == "after_meter"
        self._ask = controller.ask if isinstance(controller, AskingController) else controller.act
        self._soc_kwh = fleet.initial_soc_kwh
        self._window = horizon_steps(clock.step_h)
        self._hour = clock.local_time(0, clock.n_steps).hour
        self.counts = {"battery actions projected onto their limits": 0}
        self._write = world.storage.claim(self.name)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in STORE."""
        return {Phase.STORE: self._store}

    def _store(self, step: int) -> None:
        batteries, step_h = self._fleet.batteries, self._clock.step_h
        pv_kw = self._world.metered.read().pv_kw
        asked = self._ask(batteries, self._observation(step))
        charge_kw, discharge_kw = project(batteries, self._soc_kwh, *asked, step_h, pv_kw=pv_kw)
        cut_kw = np.abs((asked[0] - asked[1]) - (charge_kw - discharge_kw))
        cut_kw = np.where(cut_kw > LEAST_CUT_KW, cut_kw, 0.0)
        self.counts["battery actions projected onto their limits"] += int((cut_kw > 0).sum())
        self._soc_kwh = advance(batteries, self._soc_kwh, charge_kw, discharge_kw, step_h, pv_kw=pv_kw)
        self._write(Storage(charge_kw, discharge_kw, self._soc_kwh, cut_kw))

    def _observation(self, step: int) -> StorageObservation:
        tariff = self._world.tariff.read()
        columns = tariff.window(step, self._window)
        return StorageObservation(
            soc_kwh=self._soc_kwh,
            net_kw=self._net_kw(step),
            buy_eur_per_kwh=tariff.buy_eur_per_kwh[columns],
            sell_eur_per_kwh=tariff.sell_eur_per_kwh[columns],
            hour=float(self._hour[step]),
            step_h=self._clock.step_h,
        )

    def _net_kw(self, step: int) -> FloatArray:
        if self._controller.needs_truth:
            net_kw = self._fleet.true_net_kw(step, self._window, 24 * self._clock.steps_per_hour)
        else:
            net_kw = self._world.forecast.read().median_net_kw(step, self._window)
        if self._sees_meter or self._controller.needs_truth:
            net_kw[:, 0] = self._world.flexible.read().load_kw - self._world.metered.read().pv_kw
        return net_kw
