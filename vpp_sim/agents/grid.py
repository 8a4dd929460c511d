"""The grid agent: lets the feeder carry the homes' net loads, and curtails solar feed-in that it cannot carry."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vpp_sim.agents.fleet import Fleet
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Flow
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World
from vpp_sim.network.feeder import Feeder
from vpp_sim.network.limits import curtail
from vpp_sim.network.placement import place_homes
from vpp_sim.network.power_flow import PowerFlow

__all__ = ["GridOperator"]


class GridOperator:
    """Writes metered net loads, voltages, loadings, losses and curtailment.

    Parameters
    ----------
    world, fleet
        Where it acts.
    feeder : Feeder
        The feeder; homes are placed on its customer buses in turn.
    power_factor : float
        Of the homes' load, lagging; PV and batteries run at unity.
    """

    name = "grid_operator"

    def __init__(self, world: World, fleet: Fleet, *, feeder: Feeder, power_factor: float) -> None:
        self._world = world
        self._bus = place_homes(feeder, len(fleet)).bus_of_home
        self._power_flow = PowerFlow(feeder, self._bus)
        self._kvar_per_kw = np.tan(np.arccos(power_factor))
        self.counts = {
            "ticks with PV curtailed": 0,
            "ticks with a limit of the feeder broken": 0,
        }
        self._write = world.flow.claim(self.name)

    def actions(self) -> Mapping[Phase, Action]:
        """Act in FLOW."""
        return {Phase.FLOW: self._flow}

    def _flow(self, step: int) -> None:
        storage, pv_kw = self._world.storage.read(), self._world.metered.read().pv_kw
        load_kw = self._world.flexible.read().load_kw
        net_kw = load_kw - pv_kw + storage.charge_kw - storage.discharge_kw
        result = curtail(self._power_flow, net_kw, load_kw * self._kvar_per_kw, pv_kw, step=step)
        self.counts["ticks with PV curtailed"] += bool((result.curtailed_kw > 0).any())
        self.counts["ticks with a limit of the feeder broken"] += bool(result.after.total)
        flow = result.flow
        self._write(
            Flow(
                net_kw=net_kw + result.curtailed_kw,
                curtailed_kw=result.curtailed_kw,
                voltage_pu=flow.v_pu[self._bus],
                v_min_pu=float(flow.v_pu.min()),
                v_max_pu=float(flow.v_pu.max()),
                transformer_loading=float(flow.transformer_loading.max()),
                line_loading=float(flow.line_loading.max()),
                loss_kw=flow.loss_kw,
                slack_kw=flow.slack_p_kw,
            )
        )
