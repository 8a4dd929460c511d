"""The auditor: recomputes, from other agents' messages alone, that energy and money add up; a breach stops the run.

Its tolerances are those of floating point: 1e-6 kW on a meter or a battery, 1e-3 kW on the feeder (whose solver
iterates to a tolerance), nothing at all on money, which is counted in integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vpp_sim.agents.fleet import Fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.errors import ConservationError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World
from vpp_sim.units import MICRO_EUR_PER_EUR

__all__ = ["Auditor"]

_KW = 1e-6
_FEEDER_KW = 1e-3
_EUR_PER_KWH = 1e-9
_KWH = 1e-6


class Auditor:
    """Checks each tick after the ledger and before anything is recorded.

    Parameters
    ----------
    world, clock, fleet
        What it audits, and the batteries' efficiencies as the scenario gives them.
    accounts : sequence of str
        Names of the ledger's accounts.
    """

    name = "auditor"

    def __init__(self, world: World, clock: Clock, fleet: Fleet, accounts: Sequence[str]) -> None:
        self._world, self._clock, self._fleet, self._accounts = world, clock, fleet, accounts
        self._soc_kwh = fleet.initial_soc_kwh
        self._balance = np.zeros(len(accounts), dtype=np.int64)
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
        self._trades(step)
        self._money(step)
        self._wholesale(step)
        self.counts["ticks audited"] += 1

    def _each(self, step: int, what: str, gap: FloatArray, tolerance: float, unit: str) -> None:
        """Raise for the largest `gap`, shape (n,), if it exceeds the tolerance or is NaN."""
        worst = int(np.argmax(np.where(np.isnan(gap), np.inf, np.abs(gap)))) if gap.size else 0
        if gap.size and not abs(gap[worst]) <= tolerance:
            raise ConservationError(step, f"{what} of {self._fleet.names[worst]}", float(gap[worst]), unit)

    def _meters(self, step: int) -> None:
        world, flow = self._world, self._world.flow.read()
        storage, metered = world.storage.read(), world.metered.read()
        used_kw = metered.pv_kw - flow.curtailed_kw
        net_kw = world.flexible.read().load_kw - used_kw + storage.charge_kw - storage.discharge_kw
        self._each(step, "meter", flow.net_kw - net_kw, _KW, "kW")
        self._each(step, "curtailment", np.minimum(used_kw, 0.0) + np.minimum(flow.curtailed_kw, 0.0), _KW, "kW")

    def _batteries(self, step: int) -> None:
        storage, batteries, step_h = self._world.storage.read(), self._fleet.batteries, self._clock.step_h
        stored_kwh = (
            storage.charge_kw * batteries.charge_efficiency - storage.discharge_kw / batteries.discharge_efficiency
        ) * step_h
        self._each(step, "battery", storage.soc_kwh - self._soc_kwh - stored_kwh, _KWH, "kWh")
        self._soc_kwh = storage.soc_kwh

    def _responses(self, step: int) -> None:
        """Check that demand response only moves energy within a local day."""
        today = self._clock.day_steps(self._clock.day_of(step))
        if step == today.start:
            self._moved_kwh = np.zeros(len(self._fleet))
        moved_kw = self._world.flexible.read().load_kw - self._world.metered.read().base_load_kw
        self._moved_kwh = self._moved_kwh + moved_kw * self._clock.step_h
        if step == today.stop - 1:
            self._each(step, "daily energy under demand response", self._moved_kwh, _KWH, "kWh")

    def _feeder(self, step: int) -> None:
        flow = self._world.flow.read()
        gap_kw = flow.slack_kw - float(flow.net_kw.sum()) - flow.loss_kw
        if not abs(gap_kw) <= _FEEDER_KW:
            raise ConservationError(step, "feeder", gap_kw, "kW")

    def _trades(self, step: int) -> None:
        trades, settlement = self._world.trades.read(), self._world.settlement.read()
        above = np.maximum(trades.price_eur_per_kwh - trades.bid_eur_per_kwh, 0.0)
        below = np.maximum(trades.ask_eur_per_kwh - trades.price_eur_per_kwh, 0.0)
        self._trade(step, "price above the bid", above, _EUR_PER_KWH, "EUR/kWh")
        self._trade(step, "price below the ask", below, _EUR_PER_KWH, "EUR/kWh")
        due = settlement.delivered_kwh * trades.price_eur_per_kwh * MICRO_EUR_PER_EUR
        self._trade(step, "payment", settlement.trade_micro_eur - due, 0.5000001, "micro-EUR")
        excess_kwh = np.maximum(settlement.delivered_kwh - trades.energy_kwh, 0.0)
        self._trade(step, "delivery", excess_kwh, _KWH, "kWh")
        due_micro_eur = np.zeros(len(self._fleet), dtype=np.int64)
        np.add.at(due_micro_eur, trades.buyer, settlement.trade_micro_eur)
        np.subtract.at(due_micro_eur, trades.seller, settlement.trade_micro_eur)
        booked = settlement.entries_micro_eur["local_trade"][: len(self._fleet)]
        self._each(step, "local trades", (booked - due_micro_eur).astype(np.float64), 0.0, "micro-EUR")

    def _trade(self, step: int, what: str, gap: FloatArray, tolerance: float, unit: str) -> None:
        if gap.size and not (np.abs(gap) <= tolerance).all():
            worst = int(np.argmax(np.abs(gap)))
            trades, names = self._world.trades.read(), self._fleet.names
            pair = f"{names[trades.seller[worst]]} to {names[trades.buyer[worst]]}"
            raise ConservationError(step, f"{what} of the trade {pair}", float(gap[worst]), unit)

    def _money(self, step: int) -> None:
        settlement = self._world.settlement.read()
        for item, entry in settlement.entries_micro_eur.items():
            if entry.sum():
                raise ConservationError(step, f"ledger item {item}", float(entry.sum()), "micro-EUR")
        expected = self._balance + sum(settlement.entries_micro_eur.values())
        gap = settlement.balance_micro_eur - expected
        if gap.any():
            worst = int(np.argmax(np.abs(gap)))
            raise ConservationError(step, f"account {self._accounts[worst]}", float(gap[worst]), "micro-EUR")
        if settlement.traded_wh.sum():
            raise ConservationError(step, "traded energy", float(settlement.traded_wh.sum()), "Wh")
        self._balance = settlement.balance_micro_eur

    def _wholesale(self, step: int) -> None:
        metered_kwh = float(self._world.flow.read().net_kw.sum()) * self._clock.step_h
        position_kwh = self._world.day_ahead.read().position_kwh[step]
        gap_kwh = self._world.settlement.read().imbalance_kwh + position_kwh - metered_kwh
        if not abs(gap_kwh) <= _KWH:
            raise ConservationError(step, "wholesale position and imbalance", float(gap_kwh), "kWh")
