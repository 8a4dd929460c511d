"""PIQP through CVXPY: hand-solved programs with their duals, what it refuses, and no memory of earlier solves."""

import cvxpy as cp
import numpy as np
import pytest

from vpp_sim.pricing.dense_qp import DenseQp

_TIGHT = {"eps_abs": 1e-10, "eps_rel": 1e-10, "eps_duality_gap_abs": 1e-12, "eps_duality_gap_rel": 1e-12}


class _Program:
    """Maximise ``linear @ x - x' quadratic x`` within a range and one row."""

    def __init__(self):
        self.x = cp.Variable(2)
        self.linear, self.lower, self.upper = (cp.Parameter(2) for _ in range(3))
        self.quadratic, self.row = cp.Parameter((2, 2), symmetric=True), cp.Parameter(2)
        self.limits = [self.x >= self.lower, self.x <= self.upper, self.row @ self.x <= 1]
        gain = self.linear @ self.x - cp.quad_form(self.x, self.quadratic, assume_PSD=True) + 7
        self.problem = cp.Problem(cp.Maximize(gain), self.limits)

    def solve(
        self, linear=(4.0, 4.0), quadratic=((1.0, 0.0), (0.0, 1.0)), lower=(0.0, 0.0), upper=(9.0, 9.0), row=None
    ):
        self.linear.value, self.quadratic.value = np.array(linear), np.array(quadratic)
        self.lower.value, self.upper.value = np.array(lower), np.array(upper)
        self.row.value = np.zeros(2) if row is None else np.array(row)
        value = self.problem.solve(solver=DenseQp(ranged=2), warm_start=False, **_TIGHT)
        return value, self.x.value, [limit.dual_value for limit in self.limits]


def test_a_free_optimum_with_its_value():
    # 4 x - x^2 is largest at 2, where it is 4, twice; the constant adds 7. No limit binds.
    program = _Program()
    value, x, duals = program.solve()
    assert value == pytest.approx(15.0)
    assert program.problem.solution.opt_val == pytest.approx(15.0)  # as the solver has it
    assert x == pytest.approx([2.0, 2.0])
    assert np.concatenate([np.atleast_1d(dual) for dual in duals]) == pytest.approx(np.zeros(5), abs=1e-9)


def test_what_crosses_counts_once_on_either_side():
    # The gradient is zero where [[2, 1], [1, 2]] x = (4, 5), so x = (1, 2): worth (4 + 10) / 2.
    value, x, _ = _Program().solve(linear=(4.0, 5.0), quadratic=((1.0, 0.5), (0.5, 1.0)))
    assert x == pytest.approx([1.0, 2.0])
    assert value == pytest.approx(7.0 + 7.0)


def test_ranges_that_bind_have_what_one_more_would_bring_as_their_dual():
    # Slopes 4 - 2 x at the bounds 2.5 and 1.5: -1 held up by the lower one, +1 held down by the upper one.
    _, x, (lower, upper, row) = _Program().solve(lower=(2.5, 0.0), upper=(9.0, 1.5))
    assert x == pytest.approx([2.5, 1.5])
    assert lower == pytest.approx([1.0, 0.0], abs=1e-9)
    assert upper == pytest.approx([0.0, 1.0], abs=1e-9)
    assert row == pytest.approx(0.0, abs=1e-9)


def test_a_row_that_binds():
    # x0 + x1 <= 1 halves evenly: slopes 4 - 2 / 2 = 3 on either side.
    _, x, (_, _, row) = _Program().solve(row=(1.0, 1.0))
    assert x == pytest.approx([0.5, 0.5])
    assert row == pytest.approx(3.0)


def test_a_range_without_width_and_one_without_end():
    _, x, (_, upper, _) = _Program().solve(lower=(1.0, -np.inf), upper=(1.0, np.inf))
    assert x == pytest.approx([1.0, 2.0])
    assert upper[1] == 0.0


def test_a_range_upside_down_is_infeasible():
    program = _Program()
    value, x, _ = program.solve(lower=(2.0, 0.0), upper=(1.0, 9.0))
    assert (value, x, program.problem.status) == (-np.inf, None, "infeasible")


def test_a_solve_keeps_nothing_of_those_before():
    fresh, used = _Program(), _Program()
    used.solve(linear=(1e4, -3.0), quadratic=((5.0, 1.0), (1.0, 5.0)), row=(0.3, 0.1))
    given = {"linear": (1.7, 0.3), "quadratic": ((0.7, 0.2), (0.2, 0.9)), "row": (0.8, 0.9)}
    assert used.solve(**given)[1].tobytes() == fresh.solve(**given)[1].tobytes()


def test_settings_reach_the_solver():
    program = _Program()
    program.solve()
    most = program.problem.solver_stats.num_iters
    program.problem.solve(solver=DenseQp(ranged=2), eps_abs=1e-2, eps_rel=1e-2, check_duality_gap=False)
    assert program.problem.solver_stats.num_iters < most
    assert program.problem.solver_stats.solve_time > 0


def test_programs_of_another_shape_are_refused():
    x, one = cp.Variable(2), cp.Parameter(value=1.0)
    ranges = [x >= 0, x <= one]
    with pytest.raises(ValueError, match="expected inequalities, the first of them the ranges of 2 variables"):
        cp.Problem(cp.Minimize(cp.sum_squares(x)), ranges[::-1]).solve(solver=DenseQp(ranged=2))
    with pytest.raises(ValueError, match="expected inequalities"):
        cp.Problem(cp.Minimize(cp.sum_squares(x - 2)), ranges).solve(solver=DenseQp(ranged=2))  # makes equalities
    with pytest.raises(cp.SolverError, match="cannot solve this problem"):
        cp.Problem(cp.Minimize(cp.sum_squares(x)), [*ranges, cp.norm(x) <= 1]).solve(solver=DenseQp(ranged=2))
