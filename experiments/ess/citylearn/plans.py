"""Plans for CityLearn's homes, made beforehand: what other controllers do with the same forecasts, and the optimum.

Controllers act in closed loop on the replica of CityLearn's battery, before the meter; CityLearn then replays their
powers and scores them, and says by how much the replica was off.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import agents
import highspy
import numpy as np
import replica
import scipy.sparse as sp
from train import DAY, EFFICIENCY, Array, Series, forecasts_for

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.protocol import Controller, StorageObservation
from vpp_sim.registry import CONTROLLERS

FORECAST = ("self_consumption", "mpc", "dp")
"""Controllers of the product that plan with the agents' forecasts."""


def by_forecast(series: Series, phase: str, controller: Controller) -> Array:
    """Return the powers of a controller that knows the past and the tariff, shape (n, T) [kW]."""
    given = forecasts_for(series, phase) | {"battery": np.array([6.4, 5.0, EFFICIENCY]), "steepness": np.array(0.0)}
    homes, part = phase_of(series, phase)
    acting = agents.Agents(given, homes, part.price, int(part.hour[0]))
    fleet, plan = BatteryFleet.uniform(len(homes), 6.4, 5.0, EFFICIENCY), np.zeros((len(homes), len(part.hour)))

    def ask(hour: int, soc_kwh: Array, total_kw: float) -> Array:
        last = hour - 1
        acting.learn(part.load_kw[homes, last], part.sun_kw[homes, last], float(part.carbon[last]))
        net, buy, sell = acting.foresee()
        seen = StorageObservation(soc_kwh, net, buy.mean(axis=0), sell.mean(axis=0), float(part.hour[hour]), 1.0)
        charge, discharge = controller.act(fleet, seen)
        plan[:, hour] = charge - discharge
        return plan[:, hour]

    replica.simulate((part.load_kw - part.sun_kw)[homes], ask)
    return plan


def phase_of(series: Series, phase: str) -> tuple[list[int], Series]:
    """Return the homes and the stretch of a phase."""
    homes, first, last = replica.PHASES[phase]
    return homes, series.during(slice(first * DAY, last * DAY))


def by_hindsight(series: Series, phase: str, rounds: int = 2) -> Array:
    """Return the powers that make the phase's score least, all known, shape (n, T) [kW].

    A linear programme with a fixed efficiency; the daily load factor, a ratio, is replaced by its tangent at the last
    round's solution.
    """
    homes, part = phase_of(series, phase)
    program = _Hindsight((part.load_kw - part.sun_kw)[homes], part.price, part.carbon)
    for _ in range(rounds):
        program.solve()
    return program.power_kw


class _Hindsight:
    def __init__(self, net_kw: Array, price: Array, carbon: Array) -> None:
        (self._n, self._steps), self._net = net_kw.shape, net_kw
        self._before, self._total = replica.grid(net_kw.sum(axis=0)), net_kw.sum(axis=0)
        bought = np.maximum(net_kw, 0.0)
        self._own = (price / (bought @ price)[:, None] + carbon / (bought @ carbon)[:, None]) / self._n
        self.power_kw = np.zeros_like(net_kw)
        self._rows()

    def _rows(self) -> None:
        n, steps, one_way = self._n, self._steps, np.sqrt(EFFICIENCY)
        days, home, hour = steps // DAY, sp.eye_array(n), sp.eye_array(steps)
        each, sums = sp.eye_array(n * steps), sp.kron(np.ones((1, n)), hour)
        before = sp.kron(home, sp.eye_array(steps, k=-1))
        ramps = sp.diags_array([-np.ones(steps - 1), np.ones(steps - 1)], offsets=[0, 1], shape=(steps - 1, steps))
        ramp, of_day, top = sp.eye_array(steps - 1), sp.kron(sp.eye_array(days), np.ones((DAY, 1))), np.ones((days, 1))
        # columns: charge, discharge, bought and stored of every home; then total, its ramps, daily peaks, the peak
        blocks = [
            [-each, each, each, None, None, None, None, None],
            [-one_way * each, each / one_way, None, each - before, None, None, None, None],
            [-sums, sums, None, None, hour, None, None, None],
            [None, None, None, None, -ramps, ramp, None, None],
            [None, None, None, None, ramps, ramp, None, None],
            [None, None, None, None, -hour, None, of_day, None],
            [None, None, None, None, None, None, -sp.eye_array(days), top],
        ]
        self._matrix = sp.csc_array(sp.block_array(blocks))
        free = np.zeros(2 * (steps - 1) + steps + days)
        self._low = np.concatenate([self._net.ravel(), np.zeros(n * steps), self._total, free])
        self._high = np.concatenate(
            [np.full(n * steps, np.inf), np.zeros(n * steps), self._total, np.full(len(free), np.inf)]
        )

    def solve(self) -> None:
        """Solve at the tangent of the schedule so far, and take the answer as the schedule."""
        n, steps = self._n, self._steps
        days, many = steps // DAY, n * steps
        total = (self._total + self.power_kw.sum(axis=0)).reshape(days, DAY)
        ramping, factor, daily, peak = 1.0 / self._before / len(replica.COMPONENTS)
        top = np.maximum(total.max(axis=1), 0.3 * n)
        steep = np.maximum(total.mean(axis=1), 0.0) / top**2
        cost = np.concatenate(
            [
                np.full(2 * many, 1e-9),
                self._own.ravel(),
                np.zeros(many + steps),
                np.full(steps - 1, ramping),
                (daily + factor * steep) / days,
                [peak],
            ]
        )
        most = np.full((n, steps), 5.0)
        most[:, 0] = 0.0
        upper = np.concatenate([most.ravel(), most.ravel(), np.full(many, np.inf), np.full(many, 6.4)])
        upper = np.concatenate([upper, np.full(len(cost) - 4 * many, np.inf)])
        lower = np.concatenate([np.zeros(4 * many), np.full(steps, -np.inf), np.zeros(steps - 1 + days + 1)])
        answer = _optimum(1e3 * cost, lower, upper, self._matrix, self._low, self._high)
        self.power_kw = (answer[:many] - answer[many : 2 * many]).reshape(n, steps)


def _optimum(cost: Array, lower: Array, upper: Array, matrix: sp.csc_array, low: Array, high: Array) -> Array:
    solver, program = highspy.Highs(), highspy.HighsLp()
    for option, value in (("output_flag", False), ("solver", "ipm"), ("run_crossover", "off"), ("threads", 1)):
        solver.setOptionValue(option, value)
    program.num_row_, program.num_col_ = matrix.shape
    program.col_cost_, program.col_lower_, program.col_upper_ = cost, lower, upper
    program.row_lower_, program.row_upper_ = low, high
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_, program.a_matrix_.index_ = matrix.indptr, matrix.indices
    program.a_matrix_.value_ = matrix.data
    solver.passModel(program)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"no optimum: {solver.modelStatusToString(solver.getModelStatus())}")
    return np.asarray(solver.getSolution().col_value)


def main() -> None:
    """Write a plan for every controller and phase; the last line printed is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path, help="what judge.py series wrote")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=[*FORECAST, "perfect_foresight"])
    asked = parser.parse_args()
    series = Series.open(asked.series)
    asked.folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[str, float]] = {}
    for name in asked.only:
        for phase in replica.PHASES:
            if name in FORECAST:
                plan = by_forecast(series, phase, CONTROLLERS.load(name).open(3600))
            else:
                plan = by_hindsight(series, phase)
            homes, part = phase_of(series, phase)
            net_kw = (part.load_kw - part.sun_kw)[homes]
            with_kw = replica.simulate(net_kw, lambda hour, soc_kwh, total_kw, plan=plan: plan[:, hour])
            found = replica.score(with_kw, net_kw, part.price, part.carbon)
            np.savez(asked.folder / f"plan_{name}_{phase}.npz", power_kw=plan, score=found["score"])
            figures.setdefault(name, {})[phase] = round(found["score"], 4)
            print(name, phase, {key: round(value, 3) for key, value in found.items()}, file=sys.stderr, flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
