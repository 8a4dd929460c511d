"""A feeder as the network-aware market takes it, linearised by finite differences of the full power flow."""

import numpy as np

from vpp_sim.market.network_aware_limits import FeederLimits
from vpp_sim.network.power_flow import PowerFlow


class SolvedFeeder:
    """A radial feeder whose nodes are its buses; `base_kw` and `base_kvar` flow whatever is traded.

    Power flow tells how full a branch is, not which way. In a radial feeder every draw fills every branch between it
    and the source in one direction, so what each bus's draw alone does to each branch gives the directions.
    """

    def __init__(self, feeder, base_kw, base_kvar, *, step_kw=0.5):
        self.feeder, self.base_kw, self.base_kvar, self.step_kw = feeder, base_kw, base_kvar, step_kw
        self.nodes = len(feeder.buses)
        self.flow = PowerFlow(feeder, np.arange(self.nodes))
        alone = self.flow.solve_batch(step_kw * np.eye(self.nodes), np.zeros((self.nodes, self.nodes)))
        self._path = self._fullness(alone).T / step_kw

    @staticmethod
    def _fullness(batch):
        return np.concatenate([batch.line_loading, batch.transformer_loading], axis=1)

    def state(self, net_kw):
        """Return the full power flow with trades that draw `net_kw` at the buses."""
        return self.flow.solve(self.base_kw + net_kw, self.base_kvar)

    def limits(self, net_kw):
        step_kw, at_kw = self.step_kw, self.base_kw + net_kw
        moved = step_kw * np.eye(self.nodes)
        p_kw = np.concatenate([at_kw[None], at_kw + moved, at_kw - moved])
        batch = self.flow.solve_batch(p_kw, np.tile(self.base_kvar, (len(p_kw), 1)))
        full = self._fullness(batch)
        drawn = self._path @ at_kw
        away = np.where(drawn < 0, -1.0, 1.0)
        slope = away[:, None] * (full[1 : self.nodes + 1] - full[self.nodes + 1 :]).T / (2 * step_kw)
        turning = np.abs(drawn) < 4 * step_kw * self._path.max(axis=1)
        limits, names = self.feeder.limits, self.feeder
        return FeederLimits(
            voltage_pu=batch.v_pu[0],
            voltage_pu_per_kw=(batch.v_pu[1 : self.nodes + 1] - batch.v_pu[self.nodes + 1 :]).T / (2 * step_kw),
            loading=away * full[0],
            loading_per_kw=np.where(turning[:, None], self._path, slope),
            voltage_min_pu=limits.u_min_pu,
            voltage_max_pu=limits.u_max_pu,
            loading_max=limits.loading_max,
            at_kw=np.array(net_kw, dtype=float),
            voltage_names=names.bus_names,
            loading_names=tuple(part.name for part in (*names.lines, *names.transformers)),
        )
