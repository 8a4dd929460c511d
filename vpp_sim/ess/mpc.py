"""Model predictive control: the first step of the cheapest plan for the coming day, for all batteries at once.

For each battery the plan solves

.. math::
    \\min_u \\sum_t c_t(u_t) - v E_T, \\qquad E_{t+1} = E_t + u_t, \\qquad \\underline E \\le E_t \\le \\overline E

where :math:`c_t` is what its home pays in step t if the battery gains :math:`u_t` kWh. That is convex and piecewise
linear while selling never pays more than buying costs and no price is negative; what a gained kWh costs is, in turn:

==============================  ====================
send less out of the house      :math:`s_t \\eta_d`
cover less of its own deficit   :math:`b_t \\eta_d`
store its own surplus           :math:`s_t / \\eta_c`
store from the grid             :math:`b_t / \\eta_c`
==============================  ====================

It is solved exactly and without a solver, by Lagrangian theory as in J. Cruise, L. Flatley, R. Gibbens and S. Zachary
(Operations Research 67:1, 2019): until the battery is full or empty, stored energy has one worth :math:`\\lambda`, and
every step alone takes the pieces that cost less. If the path of these answers leaves the window at the top first,
:math:`\\lambda` is too high; if at the bottom, too low. The right one is among the costs above and :math:`v`, so a
bisection over them, sorted, ends at the optimum of the linear programme.

Under few prices most plans can be reordered at no cost, and the first step is then anything in an interval. It matters
which: what the meter shows is certain and the rest of the window is not, so the gain that brings the meter nearest to
zero is taken. A solver takes whichever vertex it meets.

Plans leave out self-discharge (at 3 % a month a thousandth of what is stored, over a day) and the sun in hybrid
inverters; both are met when the first step is projected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.protocol import AskingController, StorageObservation, require_observation

__all__ = ["END_WORTH_SHARE", "WEAR_EUR_PER_KWH", "ModelPredictiveControl", "first_gain_kwh"]

END_WORTH_SHARE = 0.5
"""What the controller takes a kWh delivered after the window to be worth, as a share of the window's lowest price."""

WEAR_EUR_PER_KWH = 1e-8
"""Cost of each kWh that passes the inverter: of plans that cost the same, the one that moves least is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """The four pieces of each step's cost, from cheapest: lengths [kWh stored] and slopes [EUR/kWh], shape (T, n)."""

    out_kwh: FloatArray
    cover_kwh: FloatArray
    surplus_kwh: FloatArray
    grid_kwh: FloatArray
    out_eur: FloatArray
    cover_eur: FloatArray
    surplus_eur: FloatArray
    grid_eur: FloatArray

    def most_gained_kwh(self, worth: FloatArray) -> FloatArray:
        """Return the greatest of each step's best gains if stored energy has a worth of shape (n,), shape (T, n)."""
        gained = self.surplus_kwh * (self.surplus_eur <= worth) + self.grid_kwh * (self.grid_eur <= worth)
        return gained - self.out_kwh * (self.out_eur > worth) - self.cover_kwh * (self.cover_eur > worth)

    def least_gained_kwh(self, worth: FloatArray) -> FloatArray:
        """Return the least of each step's best gains if stored energy has a worth of shape (n,), shape (T, n)."""
        gained = self.surplus_kwh * (self.surplus_eur < worth) + self.grid_kwh * (self.grid_eur < worth)
        return gained - self.out_kwh * (self.out_eur >= worth) - self.cover_kwh * (self.cover_eur >= worth)


def first_gain_kwh(
    fleet: BatteryFleet,
    soc_kwh: FloatArray,
    net_kw: FloatArray,
    buy_eur_per_kwh: FloatArray,
    sell_eur_per_kwh: FloatArray,
    *,
    step_h: float,
    end_worth_eur_per_kwh: FloatArray,
) -> FloatArray:
    """Return what each battery gains in the first step of its cheapest plan.

    Of plans that cost the same it takes one that moves least energy, and of these one that now brings the meter
    nearest to zero.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    soc_kwh : ndarray, shape (n,)
        Stored energy at the start [kWh]; outside its window, the window's nearest end stands for it.
    net_kw : ndarray, shape (n, T)
        Load minus PV [kW].
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (T,)
        Prices [EUR/kWh]. Where selling pays more than buying costs, both have the buying price; a negative price is
        planned as if a battery could charge and discharge at once.
    step_h : float
        Length of a step [h].
    end_worth_eur_per_kwh : ndarray, shape (n,)
        What a stored kWh is worth after the last step [EUR/kWh].

    Returns
    -------
    ndarray, shape (n,)
        Stored energy after the first step minus that before it [kWh].

    Examples
    --------
    >>> fleet, nothing = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.81), np.zeros(1)
    >>> price = np.array([0.02, 0.02, 0.1, 0.1])
    >>> first_gain_kwh(fleet, nothing, np.zeros((1, 4)), price, price, step_h=1.0, end_worth_eur_per_kwh=nothing)
    array([900.])
    """
    sell = np.minimum(sell_eur_per_kwh, buy_eur_per_kwh)
    pieces = _pieces(fleet, net_kw, buy_eur_per_kwh, sell, step_h)
    prices = np.unique(np.concatenate([buy_eur_per_kwh, sell]))
    costs = np.concatenate([*_costs(fleet, prices), end_worth_eur_per_kwh[None]])
    start_kwh = np.clip(soc_kwh, fleet.min_kwh, fleet.max_kwh)
    worth = _worth(fleet, start_kwh, pieces, np.sort(costs.T, axis=1), end_worth_eur_per_kwh)
    least, most = _first_gains(fleet, start_kwh, pieces, worth, end_worth_eur_per_kwh)
    return np.clip(_following_gain_kwh(fleet, net_kw[:, 0], step_h), least, most)


class ModelPredictiveControl(AskingController):
    """Plans the coming day anew in every step, as if its forecast were certain.

    Terminal rule: the day may end at any state of charge, and a stored kWh is then worth what it saves at half of the
    lowest buying price of the window. So surplus is kept rather than given away for less, and nothing is bought to be
    kept. Rule and first step were chosen in closed loop on the thirteen Fontana homes from August 2016 to April 2017,
    forecasts repeating yesterday, by the share of the hindsight optimum under the homes' own tariff. Worth 0, half the
    lowest price, the lowest, the mean: 0.963, 0.969, 0.967, 0.967. At half the lowest price, first steps that move as
    soon as possible, or as late: 0.915, 0.824. The self-consumption rule has 0.791 on the same days. For a battery that
    trades for itself, no such worth changes its profit in Houston in 2021 or 2022 in the fourth digit.

    Negative prices cost it little: with the next 24 Dutch prices of April to September 2024 known (9 % of them
    negative), batteries of one and two hours of power and 85 % round trip earn 0.9994 and 0.9996 of the optimum.
    """

    needs_truth = False

    @classmethod
    def open(cls, step_s: int) -> Self:
        """Return an instance; any step will do."""
        return cls()

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return the first step of each battery's cheapest plan, each of shape (n,) [kW]."""
        require_observation(fleet, observation)
        buy, step_h = observation.buy_eur_per_kwh, observation.step_h
        gain_kwh = first_gain_kwh(
            fleet,
            observation.soc_kwh,
            observation.net_kw,
            buy,
            observation.sell_eur_per_kwh,
            step_h=step_h,
            end_worth_eur_per_kwh=fleet.discharge_efficiency * max(END_WORTH_SHARE * float(buy.min()), 0.0),
        )
        charge_kw = np.maximum(gain_kwh, 0.0) / (fleet.charge_efficiency * step_h)
        return charge_kw, np.maximum(-gain_kwh, 0.0) * fleet.discharge_efficiency / step_h


def _costs(fleet: BatteryFleet, price: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what a stored kWh costs when charged and brings when discharged at prices, each of shape (T, n)."""
    price = price[:, None]
    return (price + WEAR_EUR_PER_KWH) / fleet.charge_efficiency, (price - WEAR_EUR_PER_KWH) * fleet.discharge_efficiency


def _pieces(fleet: BatteryFleet, net_kw: FloatArray, buy: FloatArray, sell: FloatArray, step_h: float) -> _Pieces:
    net, limit_kw = np.ascontiguousarray(net_kw.T), fleet.limit_kw
    cover_kw, surplus_kw = np.clip(net, 0.0, limit_kw), np.clip(-net, 0.0, limit_kw)
    gain_h, drain_h = fleet.charge_efficiency * step_h, step_h / fleet.discharge_efficiency
    surplus_eur, out_eur = _costs(fleet, sell)
    grid_eur, cover_eur = _costs(fleet, buy)
    return _Pieces(
        out_kwh=(limit_kw - cover_kw) * drain_h,
        cover_kwh=cover_kw * drain_h,
        surplus_kwh=surplus_kw * gain_h,
        grid_kwh=(limit_kw - surplus_kw) * gain_h,
        out_eur=out_eur,
        cover_eur=cover_eur,
        surplus_eur=surplus_eur,
        grid_eur=grid_eur,
    )


def _following_gain_kwh(fleet: BatteryFleet, net_now_kw: FloatArray, step_h: float) -> FloatArray:
    """Return the gain that would bring each meter to zero, shape (n,)."""
    stored_kwh = np.maximum(-net_now_kw, 0.0) * fleet.charge_efficiency * step_h
    gain: FloatArray = stored_kwh - np.maximum(net_now_kw, 0.0) * step_h / fleet.discharge_efficiency
    return gain


def _worth(
    fleet: BatteryFleet, start_kwh: FloatArray, pieces: _Pieces, costs: FloatArray, end_worth: FloatArray
) -> FloatArray:
    """Return the lowest of the sorted `costs`, shape (n, K), at which no path must run empty first, shape (n,)."""
    rows = np.arange(len(fleet))
    short, enough = np.full(len(fleet), -1), np.full(len(fleet), costs.shape[1] - 1)
    for _ in range(int(costs.shape[1] - 1).bit_length()):
        middle = (short + enough + 1) // 2
        worth = costs[rows, middle]
        path = pieces.most_gained_kwh(worth).cumsum(axis=0)
        lasts = _least_start_kwh(fleet, path, worth >= end_worth) <= start_kwh
        short, enough = np.where(lasts, short, middle), np.where(lasts, middle, enough)
    worth_eur: FloatArray = costs[rows, enough]
    return worth_eur


def _first_gains(
    fleet: BatteryFleet, start_kwh: FloatArray, pieces: _Pieces, worth: FloatArray, end_worth: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the least and the greatest first gain of all plans that are best at a worth, each of shape (n,)."""
    low, high = pieces.least_gained_kwh(worth), pieces.most_gained_kwh(worth)
    first_low, first_high = low[0].copy(), high[0].copy()
    low[0] = high[0] = 0.0
    least_kwh = _least_start_kwh(fleet, high.cumsum(axis=0), worth >= end_worth)
    most_kwh = _most_start_kwh(fleet, low.cumsum(axis=0), worth <= end_worth)
    return np.maximum(first_low, least_kwh - start_kwh), np.minimum(first_high, most_kwh - start_kwh)


def _least_start_kwh(fleet: BatteryFleet, path_kwh: FloatArray, may_keep: BoolArray) -> FloatArray:
    """Return the lowest start from which a path, shape (T, n), gets full, or to its end, before it is below empty."""
    full, empty = _starts_that_touch(fleet, path_kwh)
    least: FloatArray = np.maximum(full, empty).min(axis=0)
    return np.where(may_keep, np.minimum(least, empty[-1]), least)


def _most_start_kwh(fleet: BatteryFleet, path_kwh: FloatArray, may_sell: BoolArray) -> FloatArray:
    """Return the highest start from which a path, shape (T, n), gets empty, or to its end, before it is above full."""
    full, empty = _starts_that_touch(fleet, path_kwh)
    most: FloatArray = np.minimum(full, empty).max(axis=0)
    return np.where(may_sell, np.maximum(most, full[-1]), most)


def _starts_that_touch(fleet: BatteryFleet, path_kwh: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the starts from which paths have just been full, and just been empty, by each step, shapes (T, n)."""
    full = fleet.max_kwh - np.maximum.accumulate(path_kwh, axis=0)
    empty = fleet.min_kwh - np.minimum.accumulate(path_kwh, axis=0)
    return full, empty
