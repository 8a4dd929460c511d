"""The prosumers: their meters, and how their load answers to prices."""

from __future__ import annotations

from collections.abc import Mapping

from vpp_sim.agents.fleet import Fleet
from vpp_sim.demand_response.responses import DemandResponse
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Flexible, Metered
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World

__all__ = ["Prosumers"]


class Prosumers:
    """Writes base load and available sun of all homes, and later in the tick their load after demand response."""

    name = "prosumers"

    def __init__(self, world: World, clock: Clock, fleet: Fleet, response: DemandResponse) -> None:
        self._world, self._clock, self._fleet, self._response = world, clock, fleet, response
        self._write_metered = world.metered.claim(self.name)
        self._write_flexible = world.flexible.claim(self.name)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in METER and RESPOND."""
        return {Phase.METER: self._meter, Phase.RESPOND: self._respond}

    def _meter(self, step: int) -> None:
        row = self._fleet.row(step)
        self._write_metered(Metered(self._fleet.load_kw[row], self._fleet.pv_kw[row]))

    def _respond(self, step: int) -> None:
        today = self._clock.day_steps(self._clock.day_of(step))
        tariff = self._world.tariff.read()
        prices = tariff.buy_eur_per_kwh[tariff.window(today.start, len(today))]
        load_kw = self._response.respond(
            self._world.metered.read().base_load_kw, prices, step - today.start, self._clock.step_h
        )
        self._write_flexible(Flexible(load_kw))
