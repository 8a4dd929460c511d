"""Balanced AC power flow over a feeder, one step or a batch of steps at a time.

Loads are of constant power. Positive power is drawn from the feeder, negative is fed in. Loads at one bus are added
up before the solver sees them, so the cost of a flow depends on the feeder and not on the number of homes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from power_grid_model import (
    ComponentType,
    DatasetType,
    LoadGenType,
    PowerGridModel,
    WindingType,
    initialize_array,
)
from power_grid_model.errors import PowerGridBatchError  # type: ignore[attr-defined]

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.network.feeder import Feeder

__all__ = ["FlowBatch", "FlowResult", "PowerFlow", "PowerFlowError"]

_STIFF_VA = 1e18
# Newton's steps shrink quadratically: one below 1e-6 pu leaves an error of about 1e-12 pu.
_LAST_STEP_PU = 1e-6
_OUTPUT = {ComponentType.node, ComponentType.line, ComponentType.transformer, ComponentType.source}


class PowerFlowError(PhysicsError):
    """A power flow without a solution: the feeder cannot carry what is asked of it.

    Parameters
    ----------
    feeder : str
        Name of the feeder.
    steps : tuple of int
        Steps that have no solution, ascending.
    reason : str
        What the solver said of the first.
    """

    def __init__(self, feeder: str, steps: tuple[int, ...], reason: str) -> None:
        self.feeder, self.steps, self.reason = feeder, steps, reason
        super().__init__(feeder, steps, reason)

    def __str__(self) -> str:
        """Return the message."""
        more = f" and {len(self.steps) - 1} more" if len(self.steps) > 1 else ""
        return f"power flow of {self.feeder} has no solution at step {self.steps[0]}{more}: {self.reason}"


@dataclass(frozen=True, slots=True)
class FlowResult:
    """The feeder at one step.

    Attributes
    ----------
    v_pu : ndarray, shape (buses,)
        Voltage relative to each bus's rating.
    line_loading : ndarray, shape (lines,)
        Current as a share of each line's rating.
    transformer_loading : ndarray, shape (transformers,)
        Apparent power as a share of each transformer's rating.
    line_loss_kw : ndarray, shape (lines,)
        Active power lost in each line [kW].
    transformer_loss_kw : ndarray, shape (transformers,)
        Active power lost in each transformer [kW].
    slack_p_kw, slack_q_kvar : float
        Power drawn from the grid above [kW, kvar]; negative if the feeder exports.
    """

    v_pu: FloatArray
    line_loading: FloatArray
    transformer_loading: FloatArray
    line_loss_kw: FloatArray
    transformer_loss_kw: FloatArray
    slack_p_kw: float
    slack_q_kvar: float

    @property
    def loss_kw(self) -> float:
        """Active power lost in the whole feeder [kW]."""
        return float(self.line_loss_kw.sum() + self.transformer_loss_kw.sum())


@dataclass(frozen=True, slots=True)
class FlowBatch:
    """The feeder at T steps; the attributes are those of :class:`FlowResult` with a first axis of steps.

    Attributes
    ----------
    v_pu : ndarray, shape (T, buses)
        Voltage relative to each bus's rating.
    line_loading : ndarray, shape (T, lines)
        Current as a share of each line's rating.
    transformer_loading : ndarray, shape (T, transformers)
        Apparent power as a share of each transformer's rating.
    line_loss_kw : ndarray, shape (T, lines)
        Active power lost in each line [kW].
    transformer_loss_kw : ndarray, shape (T, transformers)
        Active power lost in each transformer [kW].
    slack_p_kw, slack_q_kvar : ndarray, shape (T,)
        Power drawn from the grid above [kW, kvar].
    """

    v_pu: FloatArray
    line_loading: FloatArray
    transformer_loading: FloatArray
    line_loss_kw: FloatArray
    transformer_loss_kw: FloatArray
    slack_p_kw: FloatArray
    slack_q_kvar: FloatArray

    @property
    def loss_kw(self) -> FloatArray:
        """Active power lost in the whole feeder [kW], shape (T,)."""
        return np.asarray(self.line_loss_kw.sum(axis=1) + self.transformer_loss_kw.sum(axis=1))

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.slack_p_kw)

    def __getitem__(self, step: int) -> FlowResult:
        """Return one step."""
        return FlowResult(
            self.v_pu[step],
            self.line_loading[step],
            self.transformer_loading[step],
            self.line_loss_kw[step],
            self.transformer_loss_kw[step],
            float(self.slack_p_kw[step]),
            float(self.slack_q_kvar[step]),
        )


class PowerFlow:
    """Solver of one feeder with loads at fixed buses, by Newton-Raphson in power-grid-model [1]_.

    Parameters
    ----------
    feeder : Feeder
        The feeder.
    bus_of_load : ndarray of int, shape (n,)
        Position in ``feeder.buses`` of each load's bus.

    Raises
    ------
    PhysicsError
        If there is no load, or a position does not exist.

    References
    ----------
    .. [1] Y. Xiang et al., "Power Grid Model: a high-performance distribution grid calculation library",
       CIRED 2023. https://doi.org/10.1049/icp.2023.0633

    Examples
    --------
    >>> from vpp_sim.network.cigre_lv import cigre_lv_residential
    >>> feeder = cigre_lv_residential()
    >>> flow = PowerFlow(feeder, feeder.bus_indices(("R11", "R18")))
    >>> result = flow.solve(np.array([5.0, 5.0]), np.zeros(2))
    >>> round(result.slack_p_kw - result.loss_kw, 6)
    10.0
    """

    def __init__(self, feeder: Feeder, bus_of_load: IntArray) -> None:
        buses = np.asarray(bus_of_load, dtype=np.int64)
        if buses.ndim != 1 or not buses.size:
            raise PhysicsError(f"bus_of_load has shape {buses.shape}, expected (n,) with at least one load")
        if buses.min() < 0 or buses.max() >= len(feeder.buses):
            raise PhysicsError(f"bus_of_load reaches from {buses.min()} to {buses.max()} of {len(feeder.buses)} buses")
        self.feeder = feeder
        self.n_loads = buses.size
        loaded, counts = np.unique(buses, return_counts=True)
        self._by_bus = np.argsort(buses, kind="stable")
        self._first_of_bus = np.concatenate(([0], np.cumsum(counts)[:-1]))
        tables = _tables(feeder, loaded)
        self._n_loaded = loaded.size
        self._output = _OUTPUT & set(tables)
        self._model = PowerGridModel(tables)

    def solve(self, p_kw: FloatArray, q_kvar: FloatArray, *, step: int = 0) -> FlowResult:
        """Return the feeder's state under the given loads.

        Parameters
        ----------
        p_kw, q_kvar : ndarray, shape (n,)
            Active and reactive power of each load [kW, kvar]; negative feeds in.
        step : int, default 0
            Number of the step, named by an error.

        Raises
        ------
        PhysicsError
            If a shape is wrong or a value not finite.
        PowerFlowError
            If there is no solution.
        """
        require_shape("p_kw", p_kw, (self.n_loads,))
        require_shape("q_kvar", q_kvar, (self.n_loads,))
        return self.solve_batch(p_kw[None], q_kvar[None], first_step=step)[0]

    def solve_batch(self, p_kw: FloatArray, q_kvar: FloatArray, *, first_step: int = 0, threads: int = 1) -> FlowBatch:
        """Return the feeder's state at each of T independent steps.

        Parameters
        ----------
        p_kw, q_kvar : ndarray, shape (T, n)
            Active and reactive power of each load at each step [kW, kvar]; negative feeds in.
        first_step : int, default 0
            Number of the first step, from which an error counts.
        threads : int, default 1
            Threads to solve with; results do not depend on it.

        Raises
        ------
        PhysicsError
            If a shape is wrong or a value not finite.
        PowerFlowError
            If a step has no solution; it names all such steps.
        """
        require_shape("p_kw", p_kw, (len(p_kw), self.n_loads))
        require_shape("q_kvar", q_kvar, p_kw.shape)
        loads = {"p_specified": 1e3 * self._per_bus("p_kw", p_kw), "q_specified": 1e3 * self._per_bus("q_kvar", q_kvar)}
        try:
            solved = self._model.calculate_power_flow(
                update_data={ComponentType.sym_load: loads},
                output_component_types=self._output,
                error_tolerance=_LAST_STEP_PU,
                threading=threads if threads > 1 else -1,
            )
        except PowerGridBatchError as error:
            steps = tuple(first_step + int(step) for step in error.failed_scenarios)
            raise PowerFlowError(self.feeder.name, steps, error.error_messages[0].strip()) from error
        return _batch(solved, len(p_kw))

    def _per_bus(self, name: str, power: FloatArray) -> FloatArray:
        require_finite(name, power)
        if not len(power):
            return np.zeros((0, self._n_loaded))
        return np.asarray(np.add.reduceat(power[:, self._by_bus], self._first_of_bus, axis=1))


def _tables(feeder: Feeder, loaded: IntArray) -> dict[ComponentType, Any]:
    n_buses, n_lines = len(feeder.buses), len(feeder.lines)
    after_branches = n_buses + n_lines + len(feeder.transformers)
    tables = {
        ComponentType.node: _nodes(feeder),
        ComponentType.line: _line_table(feeder, n_buses),
        ComponentType.transformer: _transformer_table(feeder, n_buses + n_lines),
        ComponentType.source: _source_table(feeder, after_branches),
        ComponentType.sym_load: _load_table(loaded, after_branches + 1),
    }
    return {kind: table for kind, table in tables.items() if table.size}


def _nodes(feeder: Feeder) -> Any:
    table = initialize_array(DatasetType.input, ComponentType.node, len(feeder.buses))
    table["id"] = np.arange(len(feeder.buses))
    table["u_rated"] = [1e3 * bus.u_rated_kv for bus in feeder.buses]
    return table


def _line_table(feeder: Feeder, first_id: int) -> Any:
    lines = feeder.lines
    table = initialize_array(DatasetType.input, ComponentType.line, len(lines))
    table["id"] = first_id + np.arange(len(lines))
    table["from_node"] = [feeder.bus_index(line.from_bus) for line in lines]
    table["to_node"] = [feeder.bus_index(line.to_bus) for line in lines]
    table["from_status"] = table["to_status"] = 1
    table["r1"] = [line.type.r_ohm_per_km * line.length_km for line in lines]
    table["x1"] = [line.type.x_ohm_per_km * line.length_km for line in lines]
    table["c1"] = table["tan1"] = 0.0
    table["i_n"] = [line.type.rating_a for line in lines]
    return table


def _transformer_table(feeder: Feeder, first_id: int) -> Any:
    transformers = feeder.transformers
    table = initialize_array(DatasetType.input, ComponentType.transformer, len(transformers))
    table["id"] = first_id + np.arange(len(transformers))
    table["from_node"] = [feeder.bus_index(each.from_bus) for each in transformers]
    table["to_node"] = [feeder.bus_index(each.to_bus) for each in transformers]
    table["from_status"] = table["to_status"] = 1
    table["u1"] = [1e3 * each.u_from_kv for each in transformers]
    table["u2"] = [1e3 * each.u_to_kv for each in transformers]
    table["sn"] = [1e3 * each.rating_kva for each in transformers]
    table["uk"] = [each.uk for each in transformers]
    table["pk"] = [1e3 * each.copper_loss_kw for each in transformers]
    table["i0"] = table["p0"] = 0.0
    table["winding_from"] = WindingType.delta
    table["winding_to"] = [WindingType.wye_n if each.clock % 2 else WindingType.delta for each in transformers]
    table["clock"] = [each.clock for each in transformers]
    table["tap_side"] = table["tap_pos"] = table["tap_min"] = table["tap_max"] = table["tap_nom"] = 0
    table["tap_size"] = 0.0
    return table


def _source_table(feeder: Feeder, first_id: int) -> Any:
    table = initialize_array(DatasetType.input, ComponentType.source, 1)
    table["id"], table["node"], table["status"] = first_id, feeder.bus_index(feeder.source.bus), 1
    table["u_ref"], table["sk"] = feeder.source.u_pu, _STIFF_VA
    return table


def _load_table(loaded: IntArray, first_id: int) -> Any:
    table = initialize_array(DatasetType.input, ComponentType.sym_load, loaded.size)
    table["id"] = first_id + np.arange(loaded.size)
    table["node"], table["status"], table["type"] = loaded, 1, LoadGenType.const_power
    table["p_specified"] = table["q_specified"] = 0.0
    return table


def _batch(solved: dict[ComponentType, Any], steps: int) -> FlowBatch:
    line_loading, line_loss_kw = _branches(solved, ComponentType.line, steps)
    transformer_loading, transformer_loss_kw = _branches(solved, ComponentType.transformer, steps)
    source = solved[ComponentType.source][:, 0]
    return FlowBatch(
        # Copies, so that the result does not keep the solver's much larger tables alive.
        v_pu=solved[ComponentType.node]["u_pu"].copy(),
        line_loading=line_loading,
        transformer_loading=transformer_loading,
        line_loss_kw=line_loss_kw,
        transformer_loss_kw=transformer_loss_kw,
        slack_p_kw=source["p"] / 1e3,
        slack_q_kvar=source["q"] / 1e3,
    )


def _branches(solved: dict[ComponentType, Any], kind: ComponentType, steps: int) -> tuple[FloatArray, FloatArray]:
    if kind not in solved:
        return np.zeros((steps, 0)), np.zeros((steps, 0))
    branch = solved[kind]
    return branch["loading"].copy(), (branch["p_from"] + branch["p_to"]) / 1e3
