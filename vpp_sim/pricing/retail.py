"""Retail pricers that a scenario may name: one flat price, and prices optimised against an elastic demand."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.demand import Gain, Response, believed_elasticity, elastic_demand_kwh, expected_profit_eur
from vpp_sim.pricing.limits import KEPT, Limits
from vpp_sim.pricing.protocol import RetailOptions, RetailPrices, RetailProblem
from vpp_sim.pricing.relaxation import least_violation

if TYPE_CHECKING:
    from vpp_sim.pricing.program import Demand, PriceProgram, ProfitFloor, Solution

__all__ = [
    "DefaultTariff",
    "ElasticQp",
    "Flat",
    "SizedPricer",
    "elastic_demand_kwh",
    "expected_profit_eur",
    "fall_back",
]

_LOG = logging.getLogger(__name__)

_UNSETTLED = "promises_broken"

_MIN_ROWS = 64
"""Up to so many homes, every promise stands in the program from the start."""

_PROFIT_KEPT = 1e-6
"""A least profit counts as kept within this share of the profit at the default prices."""


def fall_back(problem: RetailProblem, status: str, reason: str, started: float, solver: str = "") -> RetailPrices:
    """Return the default tariff, marked as standing in, with the reason; `started` by ``perf_counter`` [s]."""
    _LOG.warning("the default tariff stands in: %s", reason)
    return RetailPrices(
        buy_eur_per_kwh=problem.default_eur_per_kwh.copy(),
        status=status,
        solver=solver,
        total_s=perf_counter() - started,
        fallback=True,
        reason=reason,
    )


class SizedPricer:
    """A pricer for a given number of homes and steps."""

    needs_range: ClassVar[bool] = False
    heeds: ClassVar[frozenset[str]] = frozenset({"ramp_eur_per_kwh", "revenue_cap_eur_per_kwh"})

    def __init__(self, *, homes: int, horizon_steps: int, options: RetailOptions | None = None) -> None:
        if homes < 1 or horizon_steps < 1:
            raise PhysicsError(f"a pricer needs homes and steps, not {homes} and {horizon_steps}")
        self.homes, self.horizon_steps = homes, horizon_steps
        self.options = RetailOptions() if options is None else options

    def check(self, problem: RetailProblem) -> None:
        """Raise `PhysicsError` unless `problem` has the size that the pricer was made for."""
        require_shape("demand_kwh", problem.demand_kwh, (self.homes, self.horizon_steps))


class DefaultTariff(SizedPricer):
    """The default tariff as it is: what a retailer without a pricing engine charges."""

    heeds: ClassVar[frozenset[str]] = frozenset()

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the default price of each step."""
        self.check(problem)
        return RetailPrices(problem.default_eur_per_kwh.copy(), status="rule")


class Flat(SizedPricer):
    """One price for the whole horizon: the highest that keeps the promise to every home, within cap and floor.

    Where the default tariff is flat itself, that is the default price.

    Examples
    --------
    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[1.0, 1.0], [3.0, 1.0]]), wholesale_eur_per_kwh=np.array([0.05, 0.15]),
    ...     default_eur_per_kwh=np.array([0.20, 0.40]), levies_eur_per_kwh=0.1, feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> Flat(homes=2, horizon_steps=2).price(problem).buy_eur_per_kwh
    array([0.25, 0.25])
    """

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the flat price of each step."""
        self.check(problem)
        started = perf_counter()
        limits = Limits.of(problem, self.options)
        reason = limits.contradiction()
        level = min(float(limits.upper.min()), self._promised(problem, limits))
        lowest = float(limits.lower.max())
        if not reason and level < lowest:
            reason = f"the flat price {level:.4g} EUR/kWh lies below the lowest allowed by {lowest - level:.4g}"
        if reason:
            return fall_back(problem, "infeasible", reason, started)
        price = np.full(self.horizon_steps, level)
        return RetailPrices(price, status="rule", total_s=perf_counter() - started, binding=limits.binding(price))

    @staticmethod
    def _promised(problem: RetailProblem, limits: Limits) -> float:
        default = problem.default_eur_per_kwh
        if (default == default[0]).all():  # spared the rounding of a mean of equal numbers
            return float(default[0])
        weight = limits.promises.sum(axis=1)
        return float((1 / weight[weight > 0]).min(initial=np.inf)) if weight.any() else float(default.min())


class ElasticQp(SizedPricer):
    r"""Prices that are best by a named objective while demand answers linearly and no home pays more than by default.

    For profit, and one number as elasticity,

    .. math::

        \max_p \sum_t (p_t - \lambda - w_t) \, D_t \Bigl(1 + e \Bigl(\frac{p_t}{p^{def}_t} - 1\Bigr)\Bigr)
        \quad \text{s.t.} \quad \sum_t p_t d_{it} \le \sum_t p^{def}_t d_{it} \;\; \forall i

    with demand :math:`d_{it}` at the default prices, :math:`D_t = \sum_i d_{it}`, wholesale price :math:`w`, levies
    :math:`\lambda` and elasticity :math:`e \le 0`; and within cap, floor, feed-in price, ramp, a cap on the revenue and
    the feeder's limit. The promise counts the demand before any response, so it holds for a home that does not respond.

    A matrix of elasticities in the problem takes the number's place. Where it makes the margin grow without bound in
    some direction (its response, weighted by demand, has a symmetric part of mixed sign), that negative curvature is
    set to zero, which keeps value and slope at the default prices, and is noted in the result. New numbers in the
    matrix need no new compilation.

    A step in which next to nothing is drawn keeps the default price as far as the limits let it. With many more homes
    than steps, promises are added as they are broken, those broken most first, until all are kept. The more unlike the
    homes are, the closer such promises hold the prices to the default: with more unlike homes than steps, only the
    default itself may be left.

    Parameters
    ----------
    homes, horizon_steps : int
        Shape of the problems to come.
    options : RetailOptions, optional
        Limits, elasticity and objective.

    Examples
    --------
    Demand 100 - 2 p at a unit cost of 10 is dearest at p = 30, where it is 40: a profit of 800.

    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[20.0]]), wholesale_eur_per_kwh=np.array([10.0]), levies_eur_per_kwh=0.0,
    ...     default_eur_per_kwh=np.array([40.0]), feed_in_eur_per_kwh=np.array([0.0]),
    ... )
    >>> options = RetailOptions(cap_eur_per_kwh=50.0, elasticity=-4.0)
    >>> prices = ElasticQp(homes=1, horizon_steps=1, options=options).price(problem)
    >>> prices.buy_eur_per_kwh.round(4), round(expected_profit_eur(problem, prices.buy_eur_per_kwh, -4.0), 4)
    (array([30.]), 800.0)
    """

    max_rounds = 50

    heeds: ClassVar[frozenset[str]] = SizedPricer.heeds | {
        "elasticity",
        "objective",
        "least_profit_share",
        "feeder_limit_kw",
    }

    def __init__(self, *, homes: int, horizon_steps: int, options: RetailOptions | None = None) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options)
        promises = homes + (self.options.revenue_cap_eur_per_kwh is not None)
        self._rows = min(promises, max(_MIN_ROWS, 4 * horizon_steps))
        self._programs: dict[tuple[bool, bool], PriceProgram] = {}
        share = self.options.least_profit_share
        self._least_share = 1.0 if share is None and self.options.objective == "peak" else share

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the optimal prices, or the default tariff with the reason why there are none."""
        self.check(problem)
        started = perf_counter()
        response = self.response(problem)
        limits = Limits.of(problem, self.options, response)
        reason = limits.contradiction()
        if reason:
            return fall_back(problem, "infeasible", reason, started)
        solution = self._solve(problem, response, limits)
        if solution.status != "optimal":
            reason = self._why(problem, response, limits, solution.status)
            return fall_back(problem, solution.status, reason, started, solution.solver)
        price = solution.price_eur_per_kwh
        return RetailPrices(
            buy_eur_per_kwh=price,
            status=solution.status,
            solver=solution.solver,
            solve_s=solution.solve_s,
            total_s=perf_counter() - started,
            binding=limits.binding(price),
            pressure_kwh=solution.duals,
            notes=(response.note,) if response.note else (),
        )

    def response(self, problem: RetailProblem) -> Response:
        """Return how demand answers; as a matrix where the feeder limits what prices may lead to."""
        elasticity = believed_elasticity(problem, self.options)
        if self.options.feeder_limit_kw is not None and not isinstance(elasticity, np.ndarray):
            elasticity = elasticity * np.eye(self.horizon_steps)
        return Response.of(problem, elasticity)

    def _program(self, response: Response, *, bounded: bool) -> PriceProgram:
        """Return the compiled program that fits a response; made when first asked for."""
        key = (response.crossed, bounded)
        if key not in self._programs:
            from vpp_sim.pricing.program import PriceProgram  # cvxpy takes 0.8 s to load, and Flat does without

            self._programs[key] = PriceProgram(
                horizon_steps=self.horizon_steps,
                rows=self._rows,
                ramp_eur_per_kwh=self.options.ramp_eur_per_kwh,
                crossed=response.crossed,
                bounded=bounded,
                peak=self.options.objective == "peak",
                profit_floor=self._least_share is not None,
            )
        return self._programs[key]

    def _solve(self, problem: RetailProblem, response: Response, limits: Limits) -> Solution:
        """Solve with the limits that matter; add those that are broken, and solve again."""
        gain = Gain.of(problem, response, self.options.objective)
        demand, profit = self._demand(problem, response, limits), self._profit_floor(problem, response)
        lower, upper = limits.lower, limits.upper
        bounded = limits.room is not None and self.options.feeder_limit_kw is not None
        rows, solve_s = self._worst(limits.excess(upper)), 0.0
        for _ in range(self.max_rounds):
            program = self._program(response, bounded=bounded)
            solution = program.solve(
                linear=gain.linear,
                quadratic=gain.quadratic,
                lower=lower,
                upper=upper,
                promises=limits.promises[rows],
                demand=demand,
                profit=profit,
            )
            solve_s += solution.solve_s
            if solution.status != "optimal":
                return replace(solution, solve_s=solve_s)
            price = np.clip(solution.price_eur_per_kwh, lower, upper)
            excess, overdrawn = limits.excess(price), not bounded and limits.overdrawn(price)
            if excess.max() <= KEPT and not overdrawn:
                pressure = _pressure(solution, limits, rows, response)
                return replace(solution, price_eur_per_kwh=price, solve_s=solve_s, duals=pressure)
            bounded = bounded or overdrawn
            excess[rows[excess[rows] >= -KEPT]] = np.inf  # what binds now stays in
            rows = self._worst(excess)
        return replace(solution, status=_UNSETTLED, solve_s=solve_s)

    def _worst(self, excess: FloatArray) -> IntArray:
        """Return the homes whose bills exceed the default's most, in order of their numbers, shape (rows,)."""
        return np.sort(np.argsort(-excess, kind="stable")[: self._rows]).astype(np.int64)

    def _demand(self, problem: RetailProblem, response: Response, limits: Limits) -> Demand | None:
        """Return what the program is told of demand; nothing where it need not heed it."""
        peak = self.options.objective == "peak"
        if limits.room is None and not peak:
            return None
        from vpp_sim.pricing.program import Demand

        none = np.zeros(self.horizon_steps)
        return Demand(
            offset=response.offset(problem.default_eur_per_kwh),
            slope=response.slope,
            lowest=none,
            highest=none if limits.room is None else limits.room.highest,
            spared=none if problem.export_kwh is None else problem.export_kwh / response.unit_kwh,
        )

    def _least_profit(self, problem: RetailProblem, response: Response) -> tuple[Gain, float]:
        """Return the profit, and the least that it may come to, per mean demand."""
        profit = Gain.of(problem, response, "profit")
        usual = profit.at(problem.default_eur_per_kwh)
        given_up = 1 - (1.0 if self._least_share is None else self._least_share) + _PROFIT_KEPT
        return profit, usual - given_up * abs(usual)

    def _profit_floor(self, problem: RetailProblem, response: Response) -> ProfitFloor | None:
        if self._least_share is None:
            return None
        from vpp_sim.pricing.program import ProfitFloor

        profit, least = self._least_profit(problem, response)
        return ProfitFloor(profit.linear, response.root(), least - profit.constant)

    def _why(self, problem: RetailProblem, response: Response, limits: Limits, status: str) -> str:
        """Say why there are no prices, and by how much the limit in the way would have to give."""
        if status == _UNSETTLED:
            return f"promises are still broken after {self.max_rounds} rounds"
        if "infeasible" not in status:
            return f"the solver ended with {status!r}"
        reason = least_violation(limits, problem.default_eur_per_kwh, response.unit_kwh / self.options.step_h)
        if reason or self._least_share is None:
            return reason or f"the solver ended with {status!r}, though every limit can be kept"
        return self._profit_short(problem, response)

    def _profit_short(self, problem: RetailProblem, response: Response) -> str:
        profit, least = self._least_profit(problem, response)
        free = replace(self.options, objective="profit", least_profit_share=None)
        most = type(self)(homes=self.homes, horizon_steps=self.horizon_steps, options=free).price(problem)
        reached = profit.at(most.buy_eur_per_kwh)
        return (
            f"least profit {least * response.unit_kwh:.4g} EUR is missed by {(least - reached) * response.unit_kwh:.4g}"
        )


def _pressure(solution: Solution, limits: Limits, rows: IntArray, response: Response) -> Mapping[str, FloatArray]:
    """Return what each kind of limit holds back in each step, from the dual values [kWh]."""
    duals = solution.duals
    held: dict[str, FloatArray] = {}
    for side, bounds, sign in (("lower", limits.floors, -1.0), ("upper", limits.caps, 1.0)):
        names = np.array(limits.nearest(bounds))
        for name in bounds:
            held[name] = held.get(name, 0.0) + np.where(names == name, sign * duals[side], 0.0)
    weight = np.zeros(len(limits.promises))
    weight[rows] = duals["promises"]
    held["promise"] = weight[: limits.homes] @ limits.promises[: limits.homes]
    if len(limits.promises) > limits.homes:
        held["revenue cap"] = weight[limits.homes :] @ limits.promises[limits.homes :]
    if "up" in duals:
        steep = duals["up"] - duals["down"]
        held["ramp"] = held.get("ramp", 0.0) + np.append(0.0, steep) - np.append(steep, 0.0)
    if "highest" in duals:
        held["feeder limit"] = response.push(duals["highest"])
        held["no demand"] = -response.push(duals["lowest"])
    return {name: values * response.unit_kwh for name, values in held.items()}
