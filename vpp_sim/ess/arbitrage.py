"""Batteries that trade for themselves: no home behind them, buying and selling at one market's price.

What a controller knows of prices is one of two states. In both, what is not known is foreseen from the past
(:mod:`vpp_sim.ess.outlook`).

``da_known``
    The day-ahead market's view: all prices of the running day are known, none of the next.
``past_only``
    All prices before this step are known; neither this step's nor any later one is.

The battery starts and ends where the caller says. Whatever a controller asks in the last steps is cut to what still
reaches that end, so no controller earns by leaving it emptier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.devices.battery import BatteryFleet, advance, project
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.episodes import WARM_UP_DAYS, Cases, saving_eur
from vpp_sim.ess.evaluation import observe
from vpp_sim.ess.outlook import Knowledge, carried_mean
from vpp_sim.ess.perfect_foresight import Schedule, optimal_schedule
from vpp_sim.ess.protocol import Controller, horizon_steps

__all__ = ["Foresight", "Trading", "best_trading", "market_cases", "trade"]

Foresight: TypeAlias = Callable[[FloatArray], FloatArray]
"""Prices of shape (n, T) to what is foreseen at each step of the H steps from it on, shape (n, T, H) [EUR/kWh]."""


@dataclass(frozen=True, slots=True, eq=False)
class Trading:
    """What n batteries did over T steps.

    Attributes
    ----------
    charge_kw, discharge_kw : ndarray, shape (n, T)
        Powers at the grid side [kW].
    soc_kwh : ndarray, shape (n, T + 1)
        Stored energy at the start of each step, and at the end [kWh].
    profit_eur : ndarray, shape (n, T)
        Sold less bought [EUR].
    """

    charge_kw: FloatArray
    discharge_kw: FloatArray
    soc_kwh: FloatArray
    profit_eur: FloatArray


def market_cases(
    fleet: BatteryFleet,
    price_eur_per_kwh: FloatArray,
    hour: FloatArray,
    *,
    knows: Knowledge,
    step_h: float = 1.0,
    foresight: Foresight | None = None,
) -> Cases:
    """Return batteries without homes that buy and sell at one price.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    price_eur_per_kwh : ndarray, shape (T,) or (n, T)
        Market price, one for all or one each [EUR/kWh]: a week of history, then the steps to trade in.
    hour : ndarray, shape (T,)
        Local hour of day.
    knows : {"da_known", "past_only"}
        What is known of prices.
    step_h : float
        Length of a step [h].
    foresight : callable, optional
        What tells coming prices from those that are known; the carried mean (:func:`carried_mean`) if left out.

    Returns
    -------
    Cases
        As many steps can be acted on as follow the first week. What comes after the last step, which windows reach
        into and nobody knows, stands there as it is foreseen.

    Raises
    ------
    PhysicsError
        If shapes differ, a price is not finite or foreseen so, or there is no step after the first week.

    Examples
    --------
    >>> fleet, hour = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.85), np.arange(192.0) % 24
    >>> cases = market_cases(fleet, 0.05 + 0.001 * hour, hour, knows="da_known")
    >>> cases.last_step - cases.first_step
    24
    """
    n, steps, day = len(fleet), hour.shape[0], horizon_steps(step_h)
    require_shape("price_eur_per_kwh", price_eur_per_kwh, (n, steps) if price_eur_per_kwh.ndim == 2 else (steps,))
    require_finite("price_eur_per_kwh", price_eur_per_kwh)
    if steps <= WARM_UP_DAYS * day:
        raise PhysicsError(f"prices of {steps} steps leave none to trade in after a week of history")
    price = np.broadcast_to(price_eur_per_kwh, (n, steps))
    week = price[:, -WARM_UP_DAYS * day :].reshape(n, WARM_UP_DAYS, day)
    rows = np.concatenate([price, week.mean(axis=1)[:, : day - 1]], axis=1)
    after = (hour[-1] + step_h * np.arange(1, day)) % 24.0
    nothing = np.zeros_like(rows)
    foreseen = foresight(price) if foresight else carried_mean(price, hour, knows=knows, step_h=step_h)
    return Cases(
        fleet=fleet,
        net_kw=nothing,
        foreseen_kw=nothing,
        buy_eur_per_kwh=rows,
        sell_eur_per_kwh=rows,
        set_daily=np.ones(n, dtype=np.bool_),
        hour=np.concatenate([hour, after]),
        step_h=step_h,
        unpublished=np.full(n, knows == "past_only"),
        foreseen_buy_eur_per_kwh=foreseen,
        foreseen_sell_eur_per_kwh=foreseen,
    )


def trade(controller: Controller, cases: Cases, *, start_kwh: FloatArray, end_kwh: FloatArray) -> Trading:
    """Return what a controller does in closed loop.

    Parameters
    ----------
    controller : Controller
        Who acts.
    cases : Cases
        What :func:`market_cases` gave.
    start_kwh, end_kwh : ndarray, shape (n,)
        Stored energy before the first step and after the last [kWh].

    Raises
    ------
    PhysicsError
        If an end lies outside its window, or cannot be reached.
    """
    fleet, step_h, span = cases.fleet, cases.step_h, range(cases.first_step, cases.last_step)
    _require_end(fleet, end_kwh)
    soc = [start_kwh]
    powers: list[tuple[FloatArray, FloatArray]] = []
    for step in span:
        asked = controller.act(fleet, observe(cases, step, soc[-1], truth=controller.needs_truth))
        powers.append(_towards(end_kwh, fleet, soc[-1], asked, span.stop - step - 1, step_h))
        soc.append(advance(fleet, soc[-1], *powers[-1], step_h))
    if not np.allclose(soc[-1], end_kwh, rtol=1e-9, atol=1e-6):
        raise PhysicsError(f"{len(span)} steps do not lead from the start to the end")
    charge, discharge = (np.stack(power, axis=1) for power in zip(*powers, strict=True))
    buy, sell = (p[:, span.start : span.stop] for p in (cases.buy_eur_per_kwh, cases.sell_eur_per_kwh))
    profit = saving_eur(cases.net_kw[:, span.start : span.stop], charge - discharge, buy, sell, step_h)
    return Trading(charge, discharge, np.stack(soc, axis=1), profit)


def best_trading(cases: Cases, *, start_kwh: FloatArray, end_kwh: FloatArray) -> Schedule:
    """Return the optimum over the steps of :func:`trade` with all prices known; its cost is the profit, negated.

    Raises
    ------
    SolveError
        If the end cannot be reached.
    """
    span = slice(cases.first_step, cases.last_step)
    buy, sell = cases.buy_eur_per_kwh[0, span], cases.sell_eur_per_kwh[0, span]
    return optimal_schedule(
        cases.fleet, start_kwh, cases.net_kw[:, span], buy, sell, step_h=cases.step_h, end_kwh=end_kwh
    )


def _towards(
    end_kwh: FloatArray,
    fleet: BatteryFleet,
    soc_kwh: FloatArray,
    asked_kw: tuple[FloatArray, FloatArray],
    steps_left: int,
    step_h: float,
) -> tuple[FloatArray, FloatArray]:
    """Return the powers nearest to those asked for from which `end_kwh` can be reached in `steps_left` more steps."""
    charge, discharge = project(fleet, soc_kwh, *asked_kw, step_h)
    gain_h, drain_h = fleet.charge_efficiency * step_h, step_h / fleet.discharge_efficiency
    after_kwh = soc_kwh + charge * gain_h - discharge * drain_h
    least, most = end_kwh - steps_left * fleet.power_kw * gain_h, end_kwh + steps_left * fleet.power_kw * drain_h
    if ((after_kwh >= least) & (after_kwh <= most)).all():
        return charge, discharge
    gain = np.clip(after_kwh, least, most) - soc_kwh
    return project(fleet, soc_kwh, np.maximum(gain, 0.0) / gain_h, np.maximum(-gain, 0.0) / drain_h, step_h)


def _require_end(fleet: BatteryFleet, end_kwh: FloatArray) -> None:
    require_shape("end_kwh", end_kwh, (len(fleet),))
    if ((end_kwh < fleet.min_kwh) | (end_kwh > fleet.max_kwh)).any():
        raise PhysicsError("end_kwh lies outside the window of the state of charge")
