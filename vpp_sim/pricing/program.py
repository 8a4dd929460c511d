"""The retail price program in CVXPY, compiled once: every number that changes is a parameter that enters affinely."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cvxpy
import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.dense_qp import DenseQp

__all__ = ["Demand", "PriceProgram", "ProfitFloor", "Solution"]

cp: Any = cvxpy  # its type hints cover only a part of it

_DENSE = {"eps_abs": 1e-10, "eps_rel": 1e-10, "eps_duality_gap_abs": 1e-12, "eps_duality_gap_rel": 1e-12}
_CONIC = tuple({"solver": "CLARABEL", "tol_gap_abs": gap, "tol_gap_rel": gap} for gap in (1e-11, 1e-8))
"""Duality gaps to ask for, in turn: gains are so flat around the best price that the usual 1e-8 leaves it 1e-4 off."""

_TRUSTED, _UNSURE = ("CLARABEL",), ("optimal_inaccurate", "solver_error")
"""Solvers whose word counts when there is no optimum, and statuses with which even they are asked again."""

_UNBOUNDED = 1e6
"""Stands for a demand without limit, which is measured in mean demands."""


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Demand as a line in the prices, ``offset + slope p``, and its range.

    Attributes
    ----------
    offset : ndarray, shape (H,)
        Demand at prices of zero.
    slope : ndarray, shape (H,) or (H, H)
        Its change with the prices; one number a step where each answers its own price alone.
    lowest, highest : ndarray, shape (H,)
        Range of demand; only where the program was made with ``bounded=True``.
    spared : ndarray, shape (H,)
        What the peak does not count; only where the program was made with ``peak=True``.
    """

    offset: FloatArray
    slope: FloatArray
    lowest: FloatArray
    highest: FloatArray
    spared: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ProfitFloor:
    """A profit ``linear @ p - ||root p||^2`` that may not fall below `least`; the root a vector for a diagonal."""

    linear: FloatArray
    root: FloatArray
    least: float


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """What the solver returned.

    Attributes
    ----------
    price_eur_per_kwh : ndarray, shape (H,)
        Prices; meaningless unless the status is ``"optimal"`` [EUR/kWh].
    status : str
        CVXPY's status, or ``"solver_error"``.
    solve_s : float
        Seconds inside the solvers.
    solver : str
        CVXPY's name of the solver that had the last word.
    duals : mapping of str to ndarray
        Dual values by constraint, non-negative: ``lower``, ``upper``, ``promises``, and as the program has them ``up``
        and ``down`` (the ramp), ``lowest`` and ``highest`` (demand), ``profit``.
    """

    price_eur_per_kwh: FloatArray
    status: str
    solve_s: float
    solver: str
    duals: Mapping[str, FloatArray] = field(default_factory=dict)


class PriceProgram:
    r"""Concave quadratic program over the prices :math:`p` of one horizon.

    .. math::

        \max_p \; l^T p - p^T Q p
        \quad \text{s.t.} \quad p^- \le p \le p^+, \quad S p \le 1, \quad |p_t - p_{t-1}| \le r

    :math:`Q` is diagonal where demand answers its own price alone, and full otherwise; either enters the objective as
    it is, which CVXPY's rules for compiled problems ("disciplined parametrised programming" [1]_) allow. A factor of it
    would double the variables.

    PIQP [2]_, an interior-point method for quadratic programs with dense matrices, solves it: at a hundred prices that
    answer each other it is ten times as fast as Clarabel, whose matrices are sparse. It sometimes takes a problem for
    infeasible that is not, so nothing but its optimum counts; short of that, and for a second-order cone, which it does
    not know, Clarabel has the word.

    Parameters
    ----------
    horizon_steps : int
        Number of prices :math:`H`.
    rows : int
        Number of rows of :math:`S`, one a promise.
    ramp_eur_per_kwh : float or None
        Largest step of the price, :math:`r` [EUR/kWh]; None leaves it out.
    crossed : bool
        Whether :math:`Q`, and the slope of demand, are matrices.
    bounded : bool
        Whether demand has a range of its own.
    peak : bool
        Whether the largest demand is taken off the gain.
    profit_floor : bool
        Whether a profit may not fall below a number; a second-order cone.

    References
    ----------
    .. [1] A. Agrawal, B. Amos, S. Barratt, S. Boyd, S. Diamond, Z. Kolter, "Differentiable convex optimization layers",
       NeurIPS 2019. https://arxiv.org/abs/1910.12430
    .. [2] R. Schwan, Y. Jiang, D. Kuhn, C. N. Jones, "PIQP: A Proximal Interior-Point Quadratic Programming Solver",
       IEEE Conference on Decision and Control 2023. https://doi.org/10.1109/CDC49753.2023.10383915

    Examples
    --------
    >>> program = PriceProgram(horizon_steps=2, rows=1, ramp_eur_per_kwh=None)
    >>> solution = program.solve(
    ...     linear=np.array([4.0, 4.0]), quadratic=np.array([1.0, 1.0]),
    ...     lower=np.zeros(2), upper=np.array([9.0, 1.5]), promises=np.zeros((1, 2)),
    ... )
    >>> solution.status, solution.price_eur_per_kwh.round(6)
    ('optimal', array([2. , 1.5]))
    """

    def __init__(
        self,
        *,
        horizon_steps: int,
        rows: int,
        ramp_eur_per_kwh: float | None,
        crossed: bool = False,
        bounded: bool = False,
        peak: bool = False,
        profit_floor: bool = False,
    ) -> None:
        self._crossed = crossed
        self._price = cp.Variable(horizon_steps)
        self._linear = cp.Parameter(horizon_steps)
        self._lower, self._upper = cp.Parameter(horizon_steps), cp.Parameter(horizon_steps)
        self._promises = cp.Parameter((rows, horizon_steps), nonneg=True)
        self._limits = {
            "lower": self._price >= self._lower,
            "upper": self._price <= self._upper,
            "promises": self._promises @ self._price <= 1,
        }
        if ramp_eur_per_kwh is not None and horizon_steps > 1:
            change = self._price[1:] - self._price[:-1]
            self._limits |= {"up": change <= ramp_eur_per_kwh, "down": change >= -ramp_eur_per_kwh}
        gain = self._gain()
        if bounded or peak:
            gain -= self._demand(bounded=bounded, peak=peak)
        if profit_floor:
            self._profit_floor()
        goal, limits = cp.Maximize(gain), list(self._limits.values())
        conic = cp.Problem(goal, limits)
        self._attempts: list[tuple[Any, Mapping[str, Any]]] = [(conic, options) for options in _CONIC]
        if not profit_floor:  # a problem of its own, as CVXPY keeps one compilation of each
            dense = DenseQp(ranged=horizon_steps)
            self._attempts.insert(0, (cp.Problem(goal, limits), {"solver": dense, **_DENSE}))

    def _gain(self) -> Any:
        horizon_steps = self._price.size
        if self._crossed:
            self._quadratic = cp.Parameter((horizon_steps, horizon_steps), symmetric=True)
            return self._linear @ self._price - cp.quad_form(self._price, self._quadratic, assume_PSD=True)
        self._quadratic = cp.Parameter(horizon_steps, nonneg=True)
        return self._linear @ self._price - cp.sum(cp.multiply(self._quadratic, cp.square(self._price)))

    def _demand(self, *, bounded: bool, peak: bool) -> Any:
        """Add the demand's range, and return what the peak costs."""
        horizon_steps = self._price.size
        self._slope = cp.Parameter((horizon_steps, horizon_steps) if self._crossed else horizon_steps)
        answer = self._slope @ self._price if self._crossed else cp.multiply(self._slope, self._price)
        if bounded:
            self._lowest, self._highest = cp.Parameter(horizon_steps), cp.Parameter(horizon_steps)
            self._limits |= {"lowest": answer >= self._lowest, "highest": answer <= self._highest}
        if not peak:
            return 0
        self._spared, highest = cp.Parameter(horizon_steps), cp.Variable()
        self._limits["peak"] = answer - self._spared <= highest
        return highest

    def _profit_floor(self) -> None:
        horizon_steps = self._price.size
        self._profit_linear, self._least = cp.Parameter(horizon_steps), cp.Parameter()
        self._spread = cp.Parameter((horizon_steps, horizon_steps) if self._crossed else horizon_steps)
        spread = self._spread @ self._price if self._crossed else cp.multiply(self._spread, self._price)
        self._limits["profit"] = self._profit_linear @ self._price - cp.sum_squares(spread) >= self._least

    def solve(
        self,
        *,
        linear: FloatArray,
        quadratic: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        promises: FloatArray,
        demand: Demand | None = None,
        profit: ProfitFloor | None = None,
    ) -> Solution:
        """Set the parameters and solve.

        Parameters
        ----------
        linear : ndarray, shape (H,)
            Linear coefficients of the gain.
        quadratic : ndarray, shape (H,) or (H, H)
            Quadratic ones: non-negative, or without negative eigenvalues.
        lower, upper : ndarray, shape (H,)
            Price range [EUR/kWh].
        promises : ndarray, shape (rows, H)
            Rows that must not exceed 1 in product with the prices, non-negative [kWh/EUR].
        demand : Demand, optional
            Demand; of no effect unless the program was made to heed it.
        profit : ProfitFloor, optional
            Least profit, where the program was made to heed it.
        """
        self._linear.value, self._quadratic.value = linear, quadratic
        self._lower.value, self._upper.value = lower, upper
        self._promises.value = promises
        if demand is not None:
            self._set_demand(demand)
        if profit is not None:
            self._profit_linear.value, self._spread.value, self._least.value = profit.linear, profit.root, profit.least
        solve_s = 0.0
        for problem, options in self._attempts:
            solution = self._run(problem, options, solve_s)
            solve_s = solution.solve_s
            if solution.status == "optimal" or (solution.solver in _TRUSTED and solution.status not in _UNSURE):
                break
        return solution

    def _set_demand(self, demand: Demand) -> None:
        if "lowest" in self._limits or "peak" in self._limits:
            self._slope.value = demand.slope
        if "lowest" in self._limits:
            self._lowest.value = np.maximum(demand.lowest - demand.offset, -_UNBOUNDED)
            self._highest.value = np.minimum(demand.highest - demand.offset, _UNBOUNDED)
        if "peak" in self._limits:
            self._spared.value = demand.spared - demand.offset

    def _run(self, problem: Any, options: Mapping[str, Any], spent_s: float) -> Solution:
        solver = options["solver"] if isinstance(options["solver"], str) else options["solver"].name()
        nothing = np.full(self._price.shape, np.nan)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # an inaccurate solution is told by its status
                # A solver kept warm would scale by its first problem: the last bits would depend on the past.
                problem.solve(warm_start=False, **options)
        except cp.SolverError:
            return Solution(nothing, "solver_error", spent_s, solver)
        value, solve_s = self._price.value, problem.solver_stats.solve_time
        price = nothing if value is None else np.asarray(value, dtype=np.float64)
        return Solution(price, str(problem.status), spent_s + float(solve_s or 0.0), solver, self._duals())

    def _duals(self) -> dict[str, FloatArray]:
        found = {name: limit.dual_value for name, limit in self._limits.items()}
        return {
            name: np.atleast_1d(np.asarray(dual, dtype=np.float64)) for name, dual in found.items() if dual is not None
        }
