"""Any controller in closed loop over a series, and its share of the best possible saving."""

from __future__ import annotations

from typing import Literal

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import advance
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.episodes import Cases, saving_eur, step_cases, window_features, window_prices
from vpp_sim.ess.network import ActionNetwork
from vpp_sim.ess.perfect_foresight import optimal_schedule
from vpp_sim.ess.protocol import Controller, StorageObservation, horizon_steps

__all__ = ["closed_loop_saving_eur", "greedy_saving_eur", "observe", "optimal_saving_eur"]


def closed_loop_saving_eur(
    controller: Controller, cases: Cases, *, acts: Literal["after_meter", "before_meter"] = "after_meter"
) -> FloatArray:
    """Return what a controller saves each home against no battery, starting empty, shape (m,) [EUR].

    Energy left at the end is worth nothing, as for :func:`optimal_saving_eur`.

    Parameters
    ----------
    controller : Controller
        Who acts.
    cases : Cases
        Homes under one tariff; every step that has a week before it and a day after it is acted on.
    acts : {"after_meter", "before_meter"}
        Whether this step's net load is known, or only what was foreseen of it.

    Raises
    ------
    PhysicsError
        If the cases differ in their tariff.
    """
    _require_one_tariff(cases)
    soc_kwh, total = cases.fleet.min_kwh.copy(), np.zeros(len(cases.fleet))
    buy, sell, step_h = cases.buy_eur_per_kwh[0], cases.sell_eur_per_kwh[0], cases.step_h
    for step in range(cases.first_step, cases.last_step):
        seen = observe(cases, step, soc_kwh, truth=controller.needs_truth, acts=acts)
        charge, discharge = controller.act(cases.fleet, seen)
        soc_kwh = advance(cases.fleet, soc_kwh, charge, discharge, step_h)
        total += saving_eur(cases.net_kw[:, step], charge - discharge, buy[step], sell[step], step_h)
    return total


def optimal_saving_eur(cases: Cases) -> FloatArray:
    """Return the greatest saving against no battery that hindsight allows, starting empty, shape (m,) [EUR].

    Raises
    ------
    PhysicsError
        If the cases differ in their tariff.
    SolveError
        If the solver finds no optimum.
    """
    _require_one_tariff(cases)
    span = slice(cases.first_step, cases.last_step)
    net_kw, buy, sell = cases.net_kw[:, span], cases.buy_eur_per_kwh[0, span], cases.sell_eur_per_kwh[0, span]
    low = cases.fleet.min_kwh
    best = optimal_schedule(cases.fleet, low, net_kw, buy, sell, step_h=cases.step_h, end_kwh=low)
    saved: FloatArray = saving_eur(net_kw, best.charge_kw - best.discharge_kw, buy, sell, cases.step_h).sum(axis=1)
    return saved


def greedy_saving_eur(network: ActionNetwork, cases: Cases) -> FloatArray:
    """Return what :func:`closed_loop_saving_eur` does, for a network and cases of many tariffs, shape (m,) [EUR].

    It is what validation during training calls.
    """
    case = np.arange(len(cases.fleet))
    soc_kwh, total = cases.fleet.min_kwh.copy(), np.zeros(len(cases.fleet))
    for step in range(cases.first_step, cases.last_step):
        at = np.full(len(case), step)
        action = network.actions(window_features(cases, cases.fleet, case, at, soc_kwh))
        soc_kwh, saving = step_cases(cases, cases.fleet, case, at, soc_kwh, action)
        total += saving
    return total


def observe(
    cases: Cases,
    step: int,
    soc_kwh: FloatArray,
    *,
    truth: bool,
    acts: Literal["after_meter", "before_meter"] = "after_meter",
) -> StorageObservation:
    """Return what a controller of all cases sees at a step; the first case's tariff stands for all.

    Parameters
    ----------
    cases : Cases
        Homes under one tariff.
    step : int
        Which step.
    soc_kwh : ndarray, shape (m,)
        Stored energy [kWh].
    truth : bool
        Whether the window is what will happen, prices included.
    acts : {"after_meter", "before_meter"}
        Whether this step's net load is known.
    """
    day = horizon_steps(cases.step_h)
    ahead = step + np.arange(day)
    net_kw = (cases.net_kw if truth else cases.foreseen_kw)[:, ahead].copy()
    if acts == "after_meter":
        net_kw[:, 0] = cases.net_kw[:, step]
    if truth:
        buy, sell = cases.buy_eur_per_kwh[0, ahead], cases.sell_eur_per_kwh[0, ahead]
    else:
        buy, sell = (price[0] for price in window_prices(cases, np.zeros(1, dtype=np.int64), np.array([step])))
    return StorageObservation(soc_kwh, net_kw, buy, sell, float(cases.hour[step]), cases.step_h)


def _require_one_tariff(cases: Cases) -> None:
    for name in ("buy_eur_per_kwh", "sell_eur_per_kwh", "set_daily"):
        values = getattr(cases, name)
        if (values != values[0]).any():
            raise PhysicsError(f"{name} differs between the cases, expected one tariff")
