"""The retail price program in CVXPY, compiled once: every number that changes is a parameter that enters affinely."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import cvxpy
import numpy as np

from vpp_sim.arrays import FloatArray

__all__ = ["PriceProgram", "Solution"]

cp: Any = cvxpy  # its type hints cover only a part of it

_GAPS = (1e-11, 1e-8)
"""Duality gaps to ask for, in turn: gains are so flat around the best price that the usual 1e-8 leaves it 1e-4 off."""


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
        Seconds inside the solver.
    """

    price_eur_per_kwh: FloatArray
    status: str
    solve_s: float


class PriceProgram:
    r"""Concave quadratic program over the prices :math:`p` of one horizon.

    .. math::

        \max_p \; l^T p - \lVert q \circ p \rVert^2
        \quad \text{s.t.} \quad p^- \le p \le p^+, \quad S p \le 1, \quad |p_t - p_{t-1}| \le r

    The slope of demand stands under the square as :math:`q = \sqrt{a}`, so that parameters appear affinely and CVXPY
    keeps the compiled problem between solves ("disciplined parametrised programming" [1]_). Clarabel solves it: it
    takes quadratic objectives as they are and needs no tuning at this size.

    Parameters
    ----------
    horizon_steps : int
        Number of prices :math:`H`.
    rows : int
        Number of rows of :math:`S`, one a promise.
    ramp_eur_per_kwh : float or None
        Largest step of the price, :math:`r` [EUR/kWh]; None leaves it out.

    References
    ----------
    .. [1] A. Agrawal, B. Amos, S. Barratt, S. Boyd, S. Diamond, Z. Kolter, "Differentiable convex optimization layers",
       NeurIPS 2019. https://arxiv.org/abs/1910.12430

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

    solver = "CLARABEL"

    def __init__(self, *, horizon_steps: int, rows: int, ramp_eur_per_kwh: float | None) -> None:
        self._price = cp.Variable(horizon_steps)
        self._linear = cp.Parameter(horizon_steps)
        self._root = cp.Parameter(horizon_steps, nonneg=True)
        self._lower, self._upper = cp.Parameter(horizon_steps), cp.Parameter(horizon_steps)
        self._promises = cp.Parameter((rows, horizon_steps), nonneg=True)
        limits = [self._price >= self._lower, self._price <= self._upper, self._promises @ self._price <= 1]
        if ramp_eur_per_kwh is not None and horizon_steps > 1:
            change = self._price[1:] - self._price[:-1]
            limits += [change <= ramp_eur_per_kwh, change >= -ramp_eur_per_kwh]
        gain = self._linear @ self._price - cp.sum_squares(cp.multiply(self._root, self._price))
        self._problem = cp.Problem(cp.Maximize(gain), limits)

    def solve(
        self,
        *,
        linear: FloatArray,
        quadratic: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        promises: FloatArray,
    ) -> Solution:
        """Set the parameters and solve.

        Parameters
        ----------
        linear, quadratic : ndarray, shape (H,)
            Coefficients of the gain; the quadratic ones non-negative.
        lower, upper : ndarray, shape (H,)
            Price range [EUR/kWh].
        promises : ndarray, shape (rows, H)
            Rows that must not exceed 1 in product with the prices, non-negative [kWh/EUR].
        """
        self._linear.value, self._root.value = linear, np.sqrt(quadratic)
        self._lower.value, self._upper.value = lower, upper
        self._promises.value = promises
        solution = Solution(np.full(lower.shape, np.nan), "solver_error", 0.0)
        for gap in _GAPS:
            solution = self._run(gap, solution.solve_s)
            if solution.status not in ("optimal_inaccurate", "solver_error"):
                break
        return solution

    def _run(self, gap: float, spent_s: float) -> Solution:
        nothing = np.full(self._price.shape, np.nan)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # an inaccurate solution is told by its status
                # A solver kept warm would scale by its first problem: the last bits would depend on the past.
                self._problem.solve(solver=self.solver, warm_start=False, tol_gap_abs=gap, tol_gap_rel=gap)
        except cp.SolverError:
            return Solution(nothing, "solver_error", spent_s)
        value, solve_s = self._price.value, self._problem.solver_stats.solve_time
        price = nothing if value is None else np.asarray(value, dtype=np.float64)
        return Solution(price, str(self._problem.status), spent_s + float(solve_s or 0.0))
