"""The weather agent: what the homes' station shows in each step."""

from __future__ import annotations

from collections.abc import Mapping

from vpp_sim.agents.fleet import Fleet
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Weather
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World

__all__ = ["Station"]


class Station:
    """Writes the weather of this step, and the carbon intensity of the grid."""

    name = "station"

    def __init__(self, world: World, fleet: Fleet) -> None:
        self._fleet = fleet
        self._write = world.weather.claim(self.name)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in OBSERVE."""
        return {Phase.OBSERVE: self._observe}

    def _observe(self, step: int) -> None:
        row = self._fleet.row(step)
        temperature_c, ghi_w_m2 = self._fleet.weather[row]
        self._write(Weather(float(temperature_c), float(ghi_w_m2), float(self._fleet.carbon_kg_per_kwh[row])))
