"""The compiled program: DPP, precision, and what it says when a solve goes wrong."""

import cvxpy
import numpy as np
import pytest

from vpp_sim.pricing.program import PriceProgram

_DATA = {
    "linear": np.array([4.0, 4.0]),
    "quadratic": np.array([1.0, 1.0]),
    "lower": np.zeros(2),
    "upper": np.array([9.0, 1.5]),
    "promises": np.zeros((1, 2)),
}


@pytest.fixture
def program():
    return PriceProgram(horizon_steps=2, rows=1, ramp_eur_per_kwh=None)


def test_parameters_enter_affinely(program):
    assert program._problem.is_dcp(dpp=True)


def test_new_numbers_need_no_new_compilation(program):
    program.solve(**_DATA)
    compiled = program._problem._cache.param_prog
    solution = program.solve(**{**_DATA, "linear": np.array([2.0, 2.0])})
    assert program._problem._cache.param_prog is compiled
    assert solution.price_eur_per_kwh == pytest.approx([1.0, 1.0], abs=1e-6)


def test_infeasible_limits_are_told(program):
    solution = program.solve(**{**_DATA, "lower": np.array([1.0, 2.0])})
    assert solution.status == "infeasible"
    assert np.isnan(solution.price_eur_per_kwh).all()


def test_an_inaccurate_solution_is_tried_again_with_a_wider_gap(program, monkeypatch):
    program.solve(**_DATA)
    asked, solve = [], program._problem.solve

    def first_inaccurate(**options):
        asked.append(options["tol_gap_abs"])
        solve(**options)
        if len(asked) == 1:
            program._problem._status = cvxpy.OPTIMAL_INACCURATE

    monkeypatch.setattr(program._problem, "solve", first_inaccurate)
    solution = program.solve(**_DATA)
    assert asked == [1e-11, 1e-8]
    assert solution.status == "optimal"
    assert solution.price_eur_per_kwh == pytest.approx([2.0, 1.5], abs=1e-3)


def test_a_solver_that_fails_is_told(program, monkeypatch):
    def fail(**options):
        raise cvxpy.SolverError("numerical trouble")

    monkeypatch.setattr(program._problem, "solve", fail)
    solution = program.solve(**_DATA)
    assert (solution.status, solution.solve_s) == ("solver_error", 0.0)
    assert np.isnan(solution.price_eur_per_kwh).all()
