"""Feeders, power flow and limits: whether the grid holds what the homes do.

Three layers that know only the one below. A :class:`~vpp_sim.network.feeder.Feeder` is a set of tables and no solver;
:class:`~vpp_sim.network.power_flow.PowerFlow` solves it with power-grid-model; :mod:`~vpp_sim.network.limits` judges a
solution against EN 50160 and thermal ratings and curtails feed-in. Turned down: pandapower as the solver (some
hundred times slower a flow, and it holds back pandas), an unbalanced model (the benchmark's residential loads are
published balanced), and a linearised flow (it has no losses to settle). It follows that another feeder is one function
which returns tables, and that homes at one bus cost no more than one home.
"""

__all__ = ["cigre_lv", "feeder", "limits", "placement", "power_flow"]
