"""The best that storage could do: a linear programme over all batteries, as a controller and as a yardstick.

.. math::
    \\min \\sum_{i,t} h \\, (b_t\\, m_{it} - s_t\\, x_{it}) - \\sum_i v_i E_{iT}, \\qquad
    m_{it} - x_{it} = n_{it} + c_{it} - d_{it}

with import :math:`m`, export :math:`x`, net load :math:`n`, charging :math:`c`, discharging :math:`d`, prices
:math:`b, s` and stored energy :math:`E`. Export is eliminated, which needs :math:`s \\le b`: where selling pays more
than buying costs, it plans as if both had the buying price. With non-negative prices no optimum charges and discharges
at once. At negative ones it would, to burn what it is paid to take: :func:`optimal_schedule` gives each battery and
step of a negative price a binary variable for its direction, so its optimum is one that a battery can follow. The
controller leaves them out, for speed, and nets its action.

The problem is compiled once by CVXPY (S. Diamond and S. Boyd, JMLR 17:83, 2016; parameters by A. Agrawal et al.,
https://arxiv.org/abs/1910.12430) and solved by HiGHS (https://doi.org/10.1007/s12532-017-0130-5).

With self-discharge stored energy decays in the plan too, and the window's lower end with it, since a battery may sink
below it at rest: where that end is not empty, the cost is a lower bound. The sun in hybrid inverters is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import cvxpy as cp
import numpy as np
from cvxpy.atoms.affine.binary_operators import multiply
from cvxpy.atoms.affine.sum import sum as total

from vpp_sim.arrays import FloatArray, IntArray, require_shape
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import SolveError
from vpp_sim.ess.protocol import AskingController, StorageObservation, require_observation

__all__ = ["PerfectForesight", "Schedule", "StorageProgram", "optimal_schedule"]

_MIP_GAP = 1e-8
"""Relative gap at which a schedule with negative prices counts as the optimum."""


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """The optimum over T steps.

    Attributes
    ----------
    charge_kw, discharge_kw : ndarray, shape (n, T)
        Powers [kW].
    soc_kwh : ndarray, shape (n, T + 1)
        Stored energy at the start of each step, and at the end [kWh].
    cost_eur : ndarray, shape (n,)
        What each home pays [EUR].
    """

    charge_kw: FloatArray
    discharge_kw: FloatArray
    soc_kwh: FloatArray
    cost_eur: FloatArray


class StorageProgram:
    """The compiled programme for one fleet and number of steps.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    steps : int
        Number of steps T.
    step_h : float
        Length of a step [h].
    one_way : ndarray of int, optional
        Steps in which charging and discharging at once must be ruled out.
    """

    def __init__(self, fleet: BatteryFleet, steps: int, step_h: float, one_way: IntArray | None = None) -> None:
        n = len(fleet)
        self.fleet, self.step_h = fleet, step_h
        self._charge, self._discharge = cp.Variable((n, steps), nonneg=True), cp.Variable((n, steps), nonneg=True)
        self._import, self._soc = cp.Variable((n, steps), nonneg=True), cp.Variable((n, steps + 1))
        self._net, self._start, self._end = cp.Parameter((n, steps)), cp.Parameter(n), cp.Parameter(n)
        self._sell, self._margin = cp.Parameter(steps), cp.Parameter(steps, nonneg=True)
        self._worth = cp.Parameter(n)
        self._options = {} if one_way is None or not one_way.size else {"mip_rel_gap": _MIP_GAP}
        flow = self._charge - self._discharge
        cost = step_h * (self._sell @ total(flow, axis=0) + self._margin @ total(self._import, axis=0))
        self._problem = cp.Problem(
            cp.Minimize(cost - self._worth @ self._soc[:, steps]), self._limits(flow) + self._directions(one_way)
        )

    def _directions(self, one_way: IntArray | None) -> list[cp.Constraint]:
        if one_way is None or not one_way.size:
            return []
        charges = cp.Variable((len(self.fleet), one_way.size), boolean=True)
        limit = np.repeat(self.fleet.power_kw[:, None], one_way.size, axis=1)
        return [
            self._charge[:, one_way] <= multiply(limit, charges),
            self._discharge[:, one_way] <= multiply(limit, 1 - charges),
        ]

    def _limits(self, flow: cp.Expression) -> list[cp.Constraint]:
        fleet, steps = self.fleet, self._charge.shape[1]
        limit = np.repeat(fleet.limit_kw[:, None], steps, axis=1)
        gain = np.repeat((self.step_h * fleet.charge_efficiency)[:, None], steps, axis=1)
        drain = np.repeat((self.step_h / fleet.discharge_efficiency)[:, None], steps, axis=1)
        kept = fleet.kept_share(self.step_h)[:, None]
        low = fleet.min_kwh[:, None] * kept ** np.arange(steps + 1)
        high = np.repeat(fleet.max_kwh[:, None], steps + 1, axis=1)
        stored = multiply(gain, self._charge) - multiply(drain, self._discharge)
        return [
            self._import >= self._net + flow,
            self._charge <= limit,
            self._discharge <= limit,
            self._soc[:, 1:] == multiply(np.repeat(kept, steps, axis=1), self._soc[:, :-1]) + stored,
            self._soc >= low,
            self._soc <= high,
            self._soc[:, 0] == self._start,
            self._soc[:, steps] >= self._end,
        ]

    def solve(
        self,
        soc_kwh: FloatArray,
        net_kw: FloatArray,
        buy_eur_per_kwh: FloatArray,
        sell_eur_per_kwh: FloatArray,
        *,
        end_kwh: FloatArray,
        end_worth_eur_per_kwh: FloatArray,
    ) -> Schedule:
        """Return the optimum for given states, series and prices.

        Parameters
        ----------
        soc_kwh, end_kwh : ndarray, shape (n,)
            Stored energy at the start, and the least at the end [kWh].
        net_kw : ndarray, shape (n, T)
            Load minus PV [kW].
        buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (T,)
            Prices [EUR/kWh].
        end_worth_eur_per_kwh : ndarray, shape (n,)
            What a stored kWh is worth at the end [EUR/kWh]; not part of the cost that is returned.

        Raises
        ------
        SolveError
            If there is no optimum, for example because the end cannot be reached.
        """
        sell = np.minimum(sell_eur_per_kwh, buy_eur_per_kwh)
        self._net.value, self._sell.value, self._margin.value = net_kw, sell, buy_eur_per_kwh - sell
        self._start.value = np.clip(soc_kwh, self.fleet.min_kwh, self.fleet.max_kwh)
        self._end.value, self._worth.value = end_kwh, end_worth_eur_per_kwh
        try:
            self._problem.solve(solver=cp.HIGHS, warm_start=False, **self._options)  # type: ignore[no-untyped-call]
        except cp.error.SolverError as error:
            raise SolveError(f"perfect foresight: {error}") from error
        if self._problem.status != cp.OPTIMAL:
            raise SolveError(f"perfect foresight: the solver ended with status {self._problem.status}")
        charge, discharge = (np.maximum(np.asarray(v.value), 0.0) for v in (self._charge, self._discharge))
        with_kw = net_kw + charge - discharge
        cost = (np.maximum(with_kw, 0.0) @ buy_eur_per_kwh - np.maximum(-with_kw, 0.0) @ sell) * self.step_h
        return Schedule(charge, discharge, np.asarray(self._soc.value), cost)


def optimal_schedule(
    fleet: BatteryFleet,
    soc_kwh: FloatArray,
    net_kw: FloatArray,
    buy_eur_per_kwh: FloatArray,
    sell_eur_per_kwh: FloatArray,
    *,
    step_h: float,
    end_kwh: FloatArray,
) -> Schedule:
    """Return the optimum of a whole series with everything known in advance.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    soc_kwh, end_kwh : ndarray, shape (n,)
        Stored energy at the start, and the least at the end [kWh].
    net_kw : ndarray, shape (n, T)
        Load minus PV [kW].
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (T,)
        Prices [EUR/kWh].
    step_h : float
        Length of a step [h].

    Raises
    ------
    PhysicsError
        If shapes differ.
    SolveError
        If there is no optimum.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.81)
    >>> price, empty = np.array([0.02, 0.02, 0.1, 0.1]), np.zeros(1)
    >>> best = optimal_schedule(fleet, empty, np.zeros((1, 4)), price, price, step_h=1.0, end_kwh=empty)
    >>> best.cost_eur.round(6)
    array([-122.])
    """
    n, steps = len(fleet), buy_eur_per_kwh.shape[0]
    shapes = {"soc_kwh": (n,), "end_kwh": (n,), "net_kw": (n, steps), "sell_eur_per_kwh": (steps,)}
    given = {"soc_kwh": soc_kwh, "end_kwh": end_kwh, "net_kw": net_kw, "sell_eur_per_kwh": sell_eur_per_kwh}
    for name, shape in shapes.items():
        require_shape(name, given[name], shape)
    negative = np.flatnonzero(np.minimum(sell_eur_per_kwh, buy_eur_per_kwh) < 0)
    program = StorageProgram(fleet, steps, step_h, negative)
    return program.solve(
        soc_kwh, net_kw, buy_eur_per_kwh, sell_eur_per_kwh, end_kwh=end_kwh, end_worth_eur_per_kwh=np.zeros(n)
    )


class PerfectForesight(AskingController):
    """Solves the coming day anew in every step, with the truth as its forecast.

    Terminal rule: the day may end at any state of charge, and a stored kWh is then worth what it saves at the lowest
    buying price of the window. So energy is kept for the evening after the window, but none is bought to be kept.
    """

    needs_truth = True

    def __init__(self) -> None:
        self._program: StorageProgram | None = None

    @classmethod
    def open(cls, step_s: int) -> Self:
        """Return an instance; the problem is compiled when it first acts."""
        return cls()

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return the first step of the optimum over the window, each of shape (n,) [kW].

        Raises
        ------
        PhysicsError
            If the observation does not fit the fleet or is not finite.
        SolveError
            If there is no optimum.
        """
        require_observation(fleet, observation)
        if self._program is None or not _same(fleet, observation, self._program):
            self._program = StorageProgram(fleet, observation.net_kw.shape[1], observation.step_h)
        plan = self._program.solve(
            observation.soc_kwh,
            observation.net_kw,
            observation.buy_eur_per_kwh,
            observation.sell_eur_per_kwh,
            end_kwh=fleet.min_kwh * fleet.kept_share(observation.step_h * observation.net_kw.shape[1]),
            end_worth_eur_per_kwh=fleet.discharge_efficiency * max(float(observation.buy_eur_per_kwh.min()), 0.0),
        )
        return plan.charge_kw[:, 0], plan.discharge_kw[:, 0]


def _same(fleet: BatteryFleet, observation: StorageObservation, program: StorageProgram) -> bool:
    if program.step_h != observation.step_h or len(program.fleet) != len(fleet):
        return False
    return fleet is program.fleet or all(
        np.array_equal(getattr(fleet, field.name), getattr(program.fleet, field.name)) for field in fields(fleet)
    )
