"""What a controller did in every step, and how often the limits of a battery cut what it asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vpp_sim.devices.battery import project
from vpp_sim.ess.episodes import saving_eur
from vpp_sim.ess.evaluation import closed_loop_saving_eur
from vpp_sim.ess.perfect_foresight import optimal_schedule
from vpp_sim.ess.protocol import LEAST_CUT_KW, AskingController

if TYPE_CHECKING:
    from vpp_sim.arrays import FloatArray, IntArray
    from vpp_sim.devices.battery import BatteryFleet
    from vpp_sim.ess.episodes import Cases
    from vpp_sim.ess.protocol import Controller, StorageObservation

__all__ = ["Record", "optimal_record", "recorded"]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What was done to m batteries over N steps.

    Attributes
    ----------
    soc_kwh : ndarray, shape (m, N)
        Stored energy at the start of each step [kWh].
    charge_kw, discharge_kw : ndarray, shape (m, N)
        Powers [kW].
    saving_eur : ndarray, shape (m, N)
        What each step saved against no battery [EUR].
    projected : ndarray of int, shape (m,), optional
        In how many steps the power that the controller asked for was cut by a limit of the battery; none for one that
        asks for nothing.
    """

    soc_kwh: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    saving_eur: FloatArray
    projected: IntArray | None = None

    def cycles(self, fleet: BatteryFleet) -> FloatArray:
        """Return equivalent full cycles: energy in and out of the cells by twice the usable energy, shape (m,)."""
        stored_kw = self.charge_kw * fleet.charge_efficiency[:, None]
        drawn_kw = self.discharge_kw / fleet.discharge_efficiency[:, None]
        usable_kwh = np.maximum(fleet.max_kwh - fleet.min_kwh, 1e-9)
        cycles: FloatArray = (stored_kw + drawn_kw).sum(axis=1) / (2.0 * usable_kwh)
        return cycles


def recorded(controller: Controller, cases: Cases, *, acts: Literal["after_meter", "before_meter"]) -> Record:
    """Return what a controller does in :func:`~vpp_sim.ess.evaluation.closed_loop_saving_eur`.

    Parameters
    ----------
    controller : Controller
        Who acts.
    cases : Cases
        Homes under one tariff, in steps of an hour.
    acts : {"after_meter", "before_meter"}
        Whether this step's net load is known.
    """
    listener = _Listener(controller)
    closed_loop_saving_eur(listener, cases, acts=acts)
    soc_kwh, charge_kw, discharge_kw = (
        np.array(rows).T for rows in (listener.soc, listener.charge, listener.discharge)
    )
    return Record(soc_kwh, charge_kw, discharge_kw, _savings(cases, charge_kw - discharge_kw), listener.projected)


def optimal_record(cases: Cases) -> Record:
    """Return one of the best schedules in hindsight, from empty to empty, as ``optimal_saving_eur`` measures it.

    Where prices repeat there are many of them, which spread the same saving differently over the days.
    """
    span, low = slice(cases.first_step, cases.last_step), cases.fleet.min_kwh
    buy, sell = cases.buy_eur_per_kwh[0, span], cases.sell_eur_per_kwh[0, span]
    best = optimal_schedule(cases.fleet, low, cases.net_kw[:, span], buy, sell, step_h=cases.step_h, end_kwh=low)
    saved = _savings(cases, best.charge_kw - best.discharge_kw)
    return Record(best.soc_kwh[:, :-1], best.charge_kw, best.discharge_kw, saved)


def _savings(cases: Cases, power_kw: FloatArray) -> FloatArray:
    span = slice(cases.first_step, cases.last_step)
    prices = cases.buy_eur_per_kwh[:, span], cases.sell_eur_per_kwh[:, span]
    return saving_eur(cases.net_kw[:, span], power_kw, *prices, cases.step_h)


class _Listener:
    """A controller that acts as another does, and notes what it did."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._asking = controller if isinstance(controller, AskingController) else None
        self.soc: list[FloatArray] = []
        self.charge: list[FloatArray] = []
        self.discharge: list[FloatArray] = []
        self.projected: IntArray | None = None

    @property
    def needs_truth(self) -> bool:
        return self._controller.needs_truth

    def __getattr__(self, name: str) -> Any:
        """Return whatever else may be asked of a controller."""
        return getattr(self._controller, name)

    def act(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        self.soc.append(observation.soc_kwh.copy())
        if self._asking is None:
            charge, discharge = self._controller.act(fleet, observation)
        else:
            asked = self._asking.ask(fleet, observation)
            charge, discharge = project(fleet, observation.soc_kwh, *asked, observation.step_h)
            cut = np.abs((asked[0] - asked[1]) - (charge - discharge)) > LEAST_CUT_KW
            self.projected = cut.astype(np.int64) + (0 if self.projected is None else self.projected)
        self.charge.append(charge)
        self.discharge.append(discharge)
        return charge, discharge
