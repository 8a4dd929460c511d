"""The feeder as a network-aware market takes it: linearised by finite differences of the full power flow."""

from __future__ import annotations

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.market.network_aware_limits import FeederLimits
from vpp_sim.network.feeder import Feeder
from vpp_sim.network.power_flow import FlowBatch, FlowResult, PowerFlow

__all__ = ["SolvedFeeder"]


class SolvedFeeder:
    """A radial feeder whose nodes are its buses; see :class:`~vpp_sim.market.network_aware_limits.FeederModel`.

    Power flow tells how full a branch is, not which way. In a radial feeder every draw fills every branch between it
    and the source in one direction, so what each bus's draw alone does to each branch gives the directions.

    Parameters
    ----------
    feeder : Feeder
        The feeder.
    base_kw, base_kvar : ndarray, shape (buses,)
        What is drawn at each bus whatever is traded [kW, kvar].
    step_kw : float, default 0.5
        Size of the differences [kW].
    """

    def __init__(self, feeder: Feeder, base_kw: FloatArray, base_kvar: FloatArray, *, step_kw: float = 0.5) -> None:
        self.feeder, self.base_kw, self.base_kvar, self.step_kw = feeder, base_kw, base_kvar, step_kw
        self._flow = PowerFlow(feeder, np.arange(self.nodes))
        alone = self._flow.solve_batch(step_kw * np.eye(self.nodes), np.zeros((self.nodes, self.nodes)))
        self._path: FloatArray = _fullness(alone).T / step_kw

    @property
    def nodes(self) -> int:
        """Number of buses."""
        return len(self.feeder.buses)

    def state(self, net_kw: FloatArray) -> FlowResult:
        """Return the full power flow with trades that draw `net_kw` at the buses, shape (buses,)."""
        return self._flow.solve(self.base_kw + net_kw, self.base_kvar)

    def limits(self, net_kw: FloatArray) -> FeederLimits:
        """Return the feeder linearised where the trades draw `net_kw` at its buses, shape (buses,)."""
        step_kw, at_kw = self.step_kw, self.base_kw + net_kw
        moved = step_kw * np.eye(self.nodes)
        p_kw = np.concatenate([at_kw[None], at_kw + moved, at_kw - moved])
        batch = self._flow.solve_batch(p_kw, np.tile(self.base_kvar, (len(p_kw), 1)))
        full = _fullness(batch)
        drawn = self._path @ at_kw
        away = np.where(drawn < 0, -1.0, 1.0)
        slope = away[:, None] * (full[1 : self.nodes + 1] - full[self.nodes + 1 :]).T / (2 * step_kw)
        turning = np.abs(drawn) < 4 * step_kw * self._path.max(axis=1)  # a difference would reach across zero
        limits, feeder = self.feeder.limits, self.feeder
        return FeederLimits(
            voltage_pu=batch.v_pu[0],
            voltage_pu_per_kw=(batch.v_pu[1 : self.nodes + 1] - batch.v_pu[self.nodes + 1 :]).T / (2 * step_kw),
            loading=away * full[0],
            loading_per_kw=np.where(turning[:, None], self._path, slope),
            voltage_min_pu=limits.u_min_pu,
            voltage_max_pu=limits.u_max_pu,
            loading_max=limits.loading_max,
            at_kw=np.array(net_kw, dtype=np.float64),
            voltage_names=feeder.bus_names,
            loading_names=(*(line.name for line in feeder.lines), *(part.name for part in feeder.transformers)),
        )


def _fullness(batch: FlowBatch) -> FloatArray:
    return np.concatenate([batch.line_loading, batch.transformer_loading], axis=1)
