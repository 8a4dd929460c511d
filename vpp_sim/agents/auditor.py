"""The auditor: recomputes every tick, from meters, prices and other agents' messages; a breach stops the run.

It keeps books of its own (states of charge, published prices, closed positions, balances, default bills), so that what
was once published or booked cannot change, and it shares no arithmetic with the agents it audits. What it takes on
trust: the data, the tariff's levies, day-ahead prices, and that the power flow's losses are right where they balance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vpp_sim.agents.audit_money import MoneyAudit, Terms
from vpp_sim.agents.fleet import Fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import HOURS_PER_MONTH
from vpp_sim.errors import ConservationError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World

__all__ = ["Auditor"]

_KW = 1e-6
_KWH = 1e-6
_FEEDER_KW = 1e-3


class Auditor:
    """Checks each tick after the ledger and before anything is recorded.

    Tolerances are those of floating point: 1e-6 kW on a meter or a battery, 1e-3 kW on the feeder, whose solver
    iterates to a tolerance, and the rounding of one amount on money; sums of money are exact.

    Parameters
    ----------
    world, clock, fleet
        What it audits: the homes' data, and their batteries as the scenario gives them.
    accounts : sequence of str
        Names of the ledger's accounts.
    terms : Terms
        What is owed for what.
    """

    name = "auditor"

    def __init__(self, world: World, clock: Clock, fleet: Fleet, accounts: Sequence[str], terms: Terms) -> None:
        self._world, self._clock, self._fleet = world, clock, fleet
        self._money = MoneyAudit(world, clock, accounts, terms)
        self._soc_kwh = fleet.initial_soc_kwh
        self._moved_kwh = np.zeros(len(fleet))
        self.counts = {"ticks audited": 0}

    def actions(self) -> Mapping[Phase, Action]:
        """Act in AUDIT."""
        return {Phase.AUDIT: self.audit}

    def audit(self, step: int) -> None:
        """Check the tick.

        Raises
        ------
        ConservationError
            Naming the tick, what does not balance, and by how much.
        """
        self._meters(step)
        self._batteries(step)
        self._responses(step)
        self._feeder(step)
        self._money.audit(step)
        self.counts["ticks audited"] += 1

    def _each(self, step: int, what: str, gap: FloatArray, tolerance: float, unit: str) -> None:
        """Raise for the largest `gap`, shape (n,), if it exceeds the tolerance or is NaN."""
        worst = int(np.argmax(np.where(np.isnan(gap), np.inf, np.abs(gap))))
        if not abs(gap[worst]) <= tolerance:
            raise ConservationError(step, f"{what} of {self._fleet.names[worst]}", float(gap[worst]), unit)

    def _meters(self, step: int) -> None:
        world, flow, row = self._world, self._world.flow.read(), self._fleet.row(step)
        storage, metered = world.storage.read(), world.metered.read()
        self._each(step, "metered load", metered.base_load_kw - self._fleet.load_kw[row], _KW, "kW")
        self._each(step, "metered sun", metered.pv_kw - self._fleet.pv_kw[row], _KW, "kW")
        used_kw = metered.pv_kw - flow.curtailed_kw
        net_kw = world.flexible.read().load_kw - used_kw + storage.charge_kw - storage.discharge_kw
        self._each(step, "meter", flow.net_kw - net_kw, _KW, "kW")
        self._each(step, "curtailment", np.minimum(used_kw, 0.0) + np.minimum(flow.curtailed_kw, 0.0), _KW, "kW")

    def _batteries(self, step: int) -> None:
        storage, batteries, step_h = self._world.storage.read(), self._fleet.batteries, self._clock.step_h
        charge_kw, discharge_kw = storage.charge_kw, storage.discharge_kw
        stored_kwh = (charge_kw * batteries.charge_efficiency - discharge_kw / batteries.discharge_efficiency) * step_h
        rest_kwh = self._soc_kwh * np.exp(np.log1p(-batteries.self_discharge_per_month) * step_h / HOURS_PER_MONTH)
        self._each(step, "battery", storage.soc_kwh - rest_kwh - stored_kwh, _KWH, "kWh")
        self._each(step, "battery in both directions", np.minimum(charge_kw, discharge_kw), _KW, "kW")
        above_kw = np.maximum(np.maximum(charge_kw, discharge_kw) - batteries.power_kw, 0.0)
        self._each(step, "battery power above its limit", above_kw, _KW, "kW")
        sun_kw = np.where(batteries.hybrid, self._world.metered.read().pv_kw, 0.0)
        out_kw = np.where(discharge_kw > 0, sun_kw + discharge_kw, 0.0)
        above_kw = np.maximum(np.maximum(out_kw, charge_kw - sun_kw) - batteries.inverter_kw, 0.0)
        self._each(step, "inverter power above its limit", above_kw, _KW, "kW")
        floor_kwh = np.where(discharge_kw > 0, batteries.min_kwh, np.minimum(batteries.min_kwh, rest_kwh))
        outside_kwh = np.maximum(storage.soc_kwh - batteries.max_kwh, 0.0) + np.maximum(
            floor_kwh - storage.soc_kwh, 0.0
        )
        self._each(step, "battery outside its window", outside_kwh, _KWH, "kWh")
        self._soc_kwh = storage.soc_kwh

    def _responses(self, step: int) -> None:
        """Check that demand response only moves energy within a local day."""
        today = self._clock.day_steps(self._clock.day_of(step))
        if step == today.start:
            self._moved_kwh = np.zeros(len(self._fleet))
        load_kw = self._world.flexible.read().load_kw
        self._each(step, "negative load", np.minimum(load_kw, 0.0), _KW, "kW")
        moved_kw = load_kw - self._world.metered.read().base_load_kw
        self._moved_kwh = self._moved_kwh + moved_kw * self._clock.step_h
        if step == today.stop - 1:
            self._each(step, "daily energy under demand response", self._moved_kwh, _KWH, "kWh")

    def _feeder(self, step: int) -> None:
        flow = self._world.flow.read()
        gap_kw = flow.slack_kw - float(flow.net_kw.sum()) - flow.loss_kw
        if not abs(gap_kw) <= _FEEDER_KW:
            raise ConservationError(step, "feeder", gap_kw, "kW")
        if not flow.loss_kw >= -_FEEDER_KW:
            raise ConservationError(step, "losses of the feeder", flow.loss_kw, "kW")
