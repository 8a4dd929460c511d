"""Simulator of virtual power plants.

The package is a house of floors. On the ground floor stand :mod:`~vpp_sim.errors`, :mod:`~vpp_sim.units`,
:mod:`~vpp_sim.arrays` and :mod:`~vpp_sim.registry`. Above it, libraries of physics, forecasting, control, pricing,
clearing, power flow and settlement work on arrays and know neither each other nor the event loop. On top,
:mod:`~vpp_sim.agents` and :mod:`~vpp_sim.simulation` join them to one tick.

Importing ``vpp_sim`` loads none of the heavy libraries (torch, cvxpy, py-evm, matplotlib): names are resolved when
they are used.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
