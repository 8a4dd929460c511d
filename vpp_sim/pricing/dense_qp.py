"""PIQP as a solver of CVXPY's for quadratic programs with dense matrices and a range for every variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import piqp
from cvxpy import settings
from cvxpy.constraints.nonpos import NonNeg
from cvxpy.cvxcore.python.canonInterface import get_parameter_vector
from cvxpy.reductions.solution import Solution, failure_solution
from cvxpy.reductions.solvers.qp_solvers.piqp_qpif import PIQP
from cvxpy.reductions.solvers.utilities import extract_dual_value, get_dual_values
from scipy import sparse

from vpp_sim.arrays import FloatArray

__all__ = ["DenseQp"]

_VARIABLE, _ROWS = "variable", "rows"


class DenseQp(PIQP):
    r"""Solve a compiled quadratic program by PIQP [1]_ without ever making it sparse.

    .. math:: \min_x \tfrac12 x^T P x + q^T x \quad \text{s.t.} \quad x^- \le x_{1..n} \le x^+, \quad G x \le h

    CVXPY's own interface to PIQP hands over ranges that are parameters as rows, and every matrix by way of sparse ones.
    At a hundred variables that takes three times as long as the solver itself. This one is told how many variables have
    a range, and makes the numbers of the program by one product each with the parameters' values.

    Parameters
    ----------
    ranged : int
        How many variables, the program's first, have a range. The first constraints of the problem must be
        ``x >= lower`` and ``x <= upper`` for them; all others are inequalities.

    References
    ----------
    .. [1] R. Schwan, Y. Jiang, D. Kuhn, C. N. Jones, "PIQP: A Proximal Interior-Point Quadratic Programming Solver",
       IEEE Conference on Decision and Control 2023. https://doi.org/10.1109/CDC49753.2023.10383915

    Examples
    --------
    >>> import cvxpy
    >>> x, upper = cvxpy.Variable(2), cvxpy.Parameter(2, value=[3.0, 1.0])
    >>> cost = cvxpy.sum_squares(x) - 4 * cvxpy.sum(x)
    >>> problem = cvxpy.Problem(cvxpy.Minimize(cost), [x >= 0, x <= upper])
    >>> float(problem.solve(solver=DenseQp(ranged=2)).round(6)), x.value.round(6)
    (-7.0, array([2., 1.]))
    """

    def __init__(self, ranged: int) -> None:
        super().__init__()
        self.SUPPORTED_CONSTRAINTS = [NonNeg]
        self.ranged = ranged

    def name(self) -> str:
        """Return the name in CVXPY's records."""
        return "PIQP_DENSE"

    def apply(self, problem: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the program's numbers at the parameters' values, and what it takes to read the solution.

        Raises
        ------
        ValueError
            If the program has equalities or cones, or its first constraints are not the ranges.
        """
        values = get_parameter_vector(
            problem.total_param_size,
            problem.param_id_to_col,
            problem.param_id_to_size,
            lambda number: np.asarray(problem.id_to_param[number].value),
        )
        cost, rows = problem.q @ values, _matrix(problem.reduced_A, values)
        ranges = np.eye(self.ranged, rows.shape[1] - 1)
        accepted: Any = self.accepts  # without types
        if not accepted(problem) or not np.array_equal(rows[: 2 * self.ranged, :-1], np.vstack([ranges, -ranges])):
            raise ValueError(f"expected inequalities, the first of them the ranges of {self.ranged} variables")
        data = {
            settings.PARAM_PROB: problem,
            settings.P: _matrix(problem.reduced_P, values),
            settings.Q: cost[:-1],
            settings.F: -rows[:, :-1],
            settings.G: rows[:, -1],
        }
        return data, {_VARIABLE: problem.x.id, _ROWS: problem.constraints, settings.OFFSET: cost[-1]}

    def solve_via_data(
        self,
        data: Mapping[str, Any],
        warm_start: bool,
        verbose: bool,
        solver_opts: Mapping[str, Any],
        solver_cache: object = None,
    ) -> Any:
        """Return PIQP's result; every solve starts afresh, so that no bit of it depends on those before."""
        ranged, rows, most = self.ranged, data[settings.F], data[settings.G]
        lower, upper = np.full(rows.shape[1], -np.inf), np.full(rows.shape[1], np.inf)
        lower[:ranged], upper[:ranged] = -most[:ranged], most[ranged : 2 * ranged]
        solver = piqp.DenseSolver()
        for name, value in {"verbose": verbose, "compute_timings": True, **solver_opts}.items():
            setattr(solver.settings, name, value)
        rest = {} if len(rows) == 2 * ranged else {"G": rows[2 * ranged :], "h_u": most[2 * ranged :]}
        solver.setup(P=data[settings.P], c=data[settings.Q], x_l=lower, x_u=upper, **rest)
        solver.solve()
        return solver.result

    def invert(self, solution: Any, inverse_data: Mapping[str, Any]) -> Solution:
        """Return the solution in CVXPY's terms."""
        status = self.STATUS_MAP.get(solution.info.status.name, settings.SOLVER_ERROR)
        spent = {settings.SOLVE_TIME: solution.info.run_time, settings.NUM_ITERS: solution.info.iter}
        if status not in settings.SOLUTION_PRESENT:
            return failure_solution(status, spent)
        ranged = self.ranged
        duals: FloatArray = np.concatenate([solution.z_bl[:ranged], solution.z_bu[:ranged], solution.z_u])
        return Solution(
            status,
            solution.info.primal_obj + inverse_data[settings.OFFSET],
            {inverse_data[_VARIABLE]: np.array(solution.x)},
            get_dual_values(duals, extract_dual_value, inverse_data[_ROWS]),
            spent,
        )


def _matrix(tensor: Any, values: FloatArray) -> FloatArray:
    """Return a matrix of the program at the parameters' values, from CVXPY's map of its entries that are not zero."""
    tensor.cache()
    indices, starts, shape = tensor.problem_data_index
    entries = sparse.csc_array((tensor.reduced_mat @ values, indices, starts), shape=shape)
    matrix: FloatArray = entries.toarray()
    return matrix
