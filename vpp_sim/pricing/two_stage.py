r"""The two-stage stochastic program of a day-ahead bid as one sparse linear program, solved by HiGHS.

Before the day: the position :math:`x_t`. In scenario :math:`s`: charging :math:`c`, discharging :math:`d`, stored
energy :math:`e`, shortage :math:`u^+` and surplus :math:`u^-`:

.. math::

    N_{st} + c_{st} - d_{st} - x_t &= u^+_{st} - u^-_{st} \\
    C_s &= \sum_t p_{st} x_t + p^+_{st} u^+_{st} - p^-_{st} u^-_{st} + w (c_{st} + d_{st}) \\
    \min \; & (1 - \omega) \frac{1}{S} \sum_s C_s + \omega \Bigl( \tau + \frac{1}{(1 - \alpha) S} \sum_s z_s \Bigr),
    \qquad z_s \ge C_s - \tau, \; z_s \ge 0

The last term is the conditional value at risk of the cost at level :math:`\alpha` [1]_. The position is replaced in the
cost by the first line, so that only the balances tie the scenarios together.

The recourse sees its whole scenario at once. That is the usual two-stage relaxation: no dispatcher can do better, and a
real one, who learns the day hour by hour, does somewhat worse. Where prices are negative the program may charge and
discharge in one step, which loses energy and is paid for it: a fleet can, one battery against another.

References
----------
.. [1] R. T. Rockafellar, S. Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2 (2000) 21-41.
   https://doi.org/10.21314/JOR.2000.038
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import highspy
import numpy as np
from scipy import sparse

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.pricing.bids import Flexibility

__all__ = ["StageProblem", "StageSolution", "solve_highs"]

hs: Any = highspy  # it carries no type hints


@dataclass(frozen=True, slots=True, eq=False)
class StageProblem:
    """One two-stage program, in numbers.

    Attributes
    ----------
    net_kwh : ndarray, shape (S, H)
        Net energy of each scenario [kWh].
    day_ahead, short, long : ndarray, shape (S, H)
        Prices of each scenario [EUR/kWh].
    lowest_kwh, highest_kwh : ndarray, shape (H,)
        Limits of the position [kWh].
    flexibility : Flexibility or None
        The recourse.
    risk_weight : float
        Weight of the conditional value at risk, 0..1.
    level : float
        Its level, in [0, 1).
    """

    net_kwh: FloatArray
    day_ahead: FloatArray
    short: FloatArray
    long: FloatArray
    lowest_kwh: FloatArray
    highest_kwh: FloatArray
    flexibility: Flexibility | None
    risk_weight: float
    level: float

    @property
    def premiums(self) -> tuple[FloatArray, FloatArray]:
        """What shortage and surplus cost beyond the day-ahead price, shapes (S, H) [EUR/kWh].

        Each is raised by a millionth of the mean size of the price: of positions that cost the same, the one with the
        least imbalance is taken.
        """
        nudge = 1e-6 * float(np.abs(self.day_ahead).mean()) + 1e-9
        return self.short - self.day_ahead + nudge, self.day_ahead - self.long + nudge


@dataclass(frozen=True, slots=True, eq=False)
class StageSolution:
    """How a two-stage program ended.

    Attributes
    ----------
    position_kwh : ndarray, shape (H,)
        First stage [kWh].
    battery_kwh : ndarray, shape (S, H)
        Charged less discharged in each scenario [kWh].
    status : str
        ``"optimal"`` if solved.
    solver : str
        Who solved it.
    solve_s : float
        Seconds inside the solver.
    objective_eur : float
        Value of the program [EUR].
    """

    position_kwh: FloatArray
    battery_kwh: FloatArray
    status: str
    solver: str
    solve_s: float
    objective_eur: float


class _Rows:
    """Collects the entries of a sparse matrix row block by row block."""

    def __init__(self) -> None:
        self.n = 0
        self._row: list[IntArray] = []
        self._col: list[IntArray] = []
        self._value: list[FloatArray] = []
        self.lower: list[FloatArray] = []
        self.upper: list[FloatArray] = []

    def block(self, lower: FloatArray, upper: FloatArray) -> int:
        """Open a block of rows with these limits and return its first row."""
        first, self.n = self.n, self.n + lower.size
        self.lower.append(lower)
        self.upper.append(upper)
        return first

    def put(self, row: IntArray, col: IntArray, value: FloatArray | float) -> None:
        """Add entries."""
        self._row.append(row)
        self._col.append(col)
        self._value.append(np.broadcast_to(np.asarray(value, dtype=np.float64), row.shape))

    def matrix(self, columns: int) -> Any:
        """Return all rows by columns."""
        entries = np.concatenate(self._value), (np.concatenate(self._row), np.concatenate(self._col))
        return sparse.csc_matrix(entries, shape=(self.n, columns))


class _Columns:
    """Numbers the variables: position, tau, excess z, then one block of S x H for each kind of recourse."""

    def __init__(self, problem: StageProblem) -> None:
        scenarios, horizon = problem.net_kwh.shape
        self.x = np.arange(horizon)
        self.tau = horizon
        self.z = horizon + 1 + np.arange(scenarios)
        names = ("short", "long", "charge", "discharge", "stored") if problem.flexibility else ("short", "long")
        size = scenarios * horizon
        start = horizon + 1 + scenarios
        self.of = {name: start + i * size + np.arange(size) for i, name in enumerate(names)}
        self.n = start + len(names) * size


def _add_balances(rows: _Rows, cols: _Columns, problem: StageProblem) -> None:
    """Add N + c - d - x = short - long for each scenario and step, and the battery's own balance."""
    scenarios = problem.net_kwh.shape[0]
    net = problem.net_kwh.ravel()
    here, step = rows.block(net, net) + np.arange(net.size), np.tile(cols.x, scenarios)
    rows.put(here, cols.of["short"], 1.0)
    rows.put(here, cols.of["long"], -1.0)
    rows.put(here, step, 1.0)
    flexibility = problem.flexibility
    if flexibility is None:
        return
    rows.put(here, cols.of["charge"], -1.0)
    rows.put(here, cols.of["discharge"], 1.0)
    first = step == 0
    start = np.where(first, flexibility.initial_kwh, 0.0)
    here = rows.block(start, start) + np.arange(net.size)
    rows.put(here, cols.of["stored"], 1.0)
    rows.put(here[~first], cols.of["stored"][~first] - 1, -1.0)
    rows.put(here, cols.of["charge"], -flexibility.charge_efficiency)
    rows.put(here, cols.of["discharge"], 1 / flexibility.discharge_efficiency)


def _recourse_costs(cols: _Columns, problem: StageProblem) -> list[tuple[IntArray, FloatArray]]:
    """Return the columns of the recourse, and what each costs [EUR/kWh]."""
    short, long = problem.premiums
    costs = [(cols.of["short"], short.ravel()), (cols.of["long"], long.ravel())]
    if problem.flexibility is not None:
        wear, price = problem.flexibility.wear_eur_per_kwh, problem.day_ahead.ravel()
        costs += [(cols.of["charge"], price + wear), (cols.of["discharge"], wear - price)]
    return costs


def _bounds(cols: _Columns, problem: StageProblem) -> tuple[FloatArray, FloatArray]:
    """Return the limits of every column."""
    lower, upper = np.zeros(cols.n), np.full(cols.n, np.inf)
    lower[cols.x], upper[cols.x] = problem.lowest_kwh, problem.highest_kwh
    lower[cols.tau] = -np.inf
    if problem.risk_weight == 0:
        lower[cols.tau] = upper[cols.tau] = 0.0
        upper[cols.z] = 0.0
    flexibility = problem.flexibility
    if flexibility is not None:
        upper[cols.of["charge"]] = flexibility.charge_kwh
        upper[cols.of["discharge"]] = flexibility.discharge_kwh
        lower[cols.of["stored"]], upper[cols.of["stored"]] = flexibility.min_kwh, flexibility.max_kwh
        horizon = cols.x.size
        lower[cols.of["stored"][horizon - 1 :: horizon]] = flexibility.last_kwh
    return lower, upper


def _linear_program(problem: StageProblem) -> tuple[Any, _Columns]:
    """Return the program as HiGHS takes it."""
    scenarios, horizon = problem.net_kwh.shape
    cols, rows, weight = _Columns(problem), _Rows(), problem.risk_weight
    _add_balances(rows, cols, problem)
    cost = np.zeros(cols.n)
    recourse = _recourse_costs(cols, problem)
    sure = (problem.day_ahead * problem.net_kwh).sum(axis=1)
    if weight > 0:
        row = rows.block(sure, np.full(scenarios, np.inf)) + np.arange(scenarios)
        rows.put(row, cols.z, 1.0)
        rows.put(row, np.full(scenarios, cols.tau), 1.0)
        for col, value in recourse:
            rows.put(np.repeat(row, horizon), col, -value)
        cost[cols.tau], cost[cols.z] = weight, weight / ((1 - problem.level) * scenarios)
    for col, value in recourse:
        cost[col] = (1 - weight) / scenarios * value
    program, matrix = hs.HighsLp(), rows.matrix(cols.n)
    program.num_col_, program.num_row_ = cols.n, rows.n
    program.col_cost_, program.offset_ = cost, (1 - weight) * float(sure.mean())
    program.col_lower_, program.col_upper_ = _bounds(cols, problem)
    program.row_lower_, program.row_upper_ = np.concatenate(rows.lower), np.concatenate(rows.upper)
    program.a_matrix_.format_ = hs.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
    program.a_matrix_.value_ = matrix.data
    return program, cols


def solve_highs(problem: StageProblem, *, time_limit_s: float = 60.0) -> StageSolution:
    """Solve the program by HiGHS' simplex method.

    Parameters
    ----------
    problem : StageProblem
        The program.
    time_limit_s : float, default 60
        After this many seconds it is given up, with the status ``"time limit reached"`` [s].

    Returns
    -------
    StageSolution
        Arrays of NaN unless the status is ``"optimal"``.

    Examples
    --------
    Output of 10 or 90, each as likely; the shortage costs more than the surplus loses: sell the 10.

    >>> one = np.ones((2, 1))
    >>> net, limits = np.array([[-10.0], [-90.0]]), (np.array([-90.0]), np.array([0.0]))
    >>> problem = StageProblem(net, 50 * one, 80 * one, 30 * one, *limits, None, risk_weight=0.0, level=0.9)
    >>> solution = solve_highs(problem)
    >>> solution.status, solution.position_kwh, round(solution.objective_eur, 2)
    ('optimal', array([-10.]), -1700.0)
    """
    program, cols = _linear_program(problem)
    solver = hs.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("time_limit", time_limit_s)
    started = perf_counter()
    solver.passModel(program)
    solver.run()
    spent_s = perf_counter() - started
    status = solver.modelStatusToString(solver.getModelStatus()).lower()
    shape = problem.net_kwh.shape
    if status != "optimal":
        return StageSolution(np.full(shape[1], np.nan), np.full(shape, np.nan), status, "HIGHS", spent_s, np.nan)
    value = np.array(solver.getSolution().col_value)
    battery = value[cols.of["charge"]] - value[cols.of["discharge"]] if problem.flexibility else np.zeros(shape)
    position = np.clip(value[cols.x], problem.lowest_kwh, problem.highest_kwh)
    objective = float(solver.getInfo().objective_function_value)
    return StageSolution(position, battery.reshape(shape), status, "HIGHS", spent_s, objective)
