"""The compiled program: DPP, precision, which solver has the word, and what it says when a solve goes wrong."""

import cvxpy
import numpy as np
import pytest

from vpp_sim.pricing.program import Demand, PriceProgram, ProfitFloor

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


def _problem(program):
    return program._attempts[0][0]


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("heeded", [{}, {"bounded": True}, {"peak": True}, {"profit_floor": True}])
def test_parameters_enter_affinely(crossed, heeded):
    program = PriceProgram(horizon_steps=3, rows=1, ramp_eur_per_kwh=0.1, crossed=crossed, **heeded)
    with cvxpy.utilities.scopes.quad_form_dpp_scope():
        assert all(problem.is_dcp(dpp=True) for problem, _ in program._attempts)


def test_new_numbers_need_no_new_compilation(program):
    program.solve(**_DATA)
    compiled = _problem(program)._cache.param_prog
    solution = program.solve(**{**_DATA, "linear": np.array([2.0, 2.0])})
    assert _problem(program)._cache.param_prog is compiled
    assert solution.price_eur_per_kwh == pytest.approx([1.0, 1.0], abs=1e-6)


def test_infeasible_limits_are_told_by_the_solver_that_can_be_sure(program):
    solution = program.solve(**{**_DATA, "lower": np.array([1.0, 2.0])})
    assert (solution.status, solution.solver) == ("infeasible", "CLARABEL")
    assert np.isnan(solution.price_eur_per_kwh).all()


def test_a_dense_solver_that_finds_no_optimum_has_not_the_last_word(program, monkeypatch):
    solve = _problem(program).solve

    def infeasible(**options):
        solve(**options)
        _problem(program)._status = cvxpy.INFEASIBLE

    monkeypatch.setattr(_problem(program), "solve", infeasible)
    solution = program.solve(**_DATA)
    assert (solution.status, solution.solver) == ("optimal", "CLARABEL")
    assert solution.price_eur_per_kwh == pytest.approx([2.0, 1.5], abs=1e-6)


def test_an_inaccurate_solution_is_tried_again_with_a_wider_gap(monkeypatch):
    program = PriceProgram(horizon_steps=2, rows=1, ramp_eur_per_kwh=None, profit_floor=True)
    free = ProfitFloor(linear=np.zeros(2), root=np.zeros(2), least=-1.0)
    asked, solve = [], _problem(program).solve

    def first_inaccurate(**options):
        asked.append(options["tol_gap_abs"])
        solve(**options)
        if len(asked) == 1:
            _problem(program)._status = cvxpy.OPTIMAL_INACCURATE

    monkeypatch.setattr(_problem(program), "solve", first_inaccurate)
    solution = program.solve(**_DATA, profit=free)
    assert asked == [1e-11, 1e-8]
    assert solution.status == "optimal"
    assert solution.price_eur_per_kwh == pytest.approx([2.0, 1.5], abs=1e-3)


def test_solvers_that_fail_are_told(program, monkeypatch):
    def fail(**options):
        raise cvxpy.SolverError("numerical trouble")

    for problem, _ in program._attempts:
        monkeypatch.setattr(problem, "solve", fail)
    solution = program.solve(**_DATA)
    assert (solution.status, solution.solve_s, solution.solver) == ("solver_error", 0.0, "CLARABEL")
    assert np.isnan(solution.price_eur_per_kwh).all()


def _random(rng, steps, *, crossed):
    """Return the numbers of a program whose limits of every kind bind somewhere."""
    factor = rng.normal(size=(steps, steps)) / np.sqrt(steps)
    curvature = factor @ factor.T + 0.2 * np.eye(steps)
    slope = -curvature - 0.1 * (factor - factor.T)
    promises = rng.uniform(0.0, 3.0, (5, steps)) / steps
    return {
        "linear": rng.normal(2.0, 4.0, steps),
        "quadratic": curvature if crossed else np.diag(curvature).copy(),
        "lower": rng.uniform(0.0, 0.2, steps),
        "upper": rng.uniform(0.5, 2.0, steps),
        "promises": promises,
        "demand": Demand(
            offset=np.full(steps, 2.0),
            slope=slope if crossed else np.diag(slope).copy(),
            lowest=np.zeros(steps),
            highest=np.full(steps, 1.9),
            spared=rng.uniform(0.0, 0.3, steps),
        ),
    }


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize("heeded", [{}, {"bounded": True}, {"peak": True}, {"bounded": True, "peak": True}])
@pytest.mark.parametrize("ramp", [None, 0.3])
def test_both_solvers_find_the_same_prices_and_duals(heeded, ramp, crossed):
    program = PriceProgram(horizon_steps=12, rows=5, ramp_eur_per_kwh=ramp, crossed=crossed, **heeded)
    conic = PriceProgram(horizon_steps=12, rows=5, ramp_eur_per_kwh=ramp, crossed=crossed, **heeded)
    del conic._attempts[0]
    bound = dict.fromkeys(conic._limits.keys() - {"lowest"}, 0.0)
    for seed in range(5):
        numbers = _random(np.random.default_rng(seed), 12, crossed=crossed)
        ours, theirs = program.solve(**numbers), conic.solve(**numbers)
        assert (ours.solver, theirs.solver) == ("PIQP_DENSE", "CLARABEL")
        assert ours.status == theirs.status == "optimal"
        assert ours.price_eur_per_kwh == pytest.approx(theirs.price_eur_per_kwh, abs=1e-6)
        assert ours.duals.keys() == theirs.duals.keys()
        for name, dual in theirs.duals.items():
            assert ours.duals[name] == pytest.approx(dual, abs=1e-5), name
        bound = {name: max(most, float(ours.duals[name].max())) for name, most in bound.items()}
    assert min(bound.values()) > 0.01, bound
