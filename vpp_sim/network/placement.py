"""Which home stands at which bus, and how many real homes each simulated one stands for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import IntArray
from vpp_sim.errors import PhysicsError
from vpp_sim.network.feeder import Feeder

__all__ = ["Placement", "place_homes"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Homes on the buses of a feeder.

    Attributes
    ----------
    bus_of_home : ndarray of int, shape (n,)
        Position in ``feeder.buses`` of each home's bus.
    scale : float
        Real homes that each simulated home stands for: its power in the flow is its own times this.
    """

    bus_of_home: IntArray
    scale: float


def place_homes(feeder: Feeder, n_homes: int, *, homes_per_bus: float | None = None) -> Placement:
    """Return homes placed in turn on the customer buses, so that no bus has two more than another.

    Parameters
    ----------
    feeder : Feeder
        The feeder.
    n_homes : int
        Homes to place, at least one.
    homes_per_bus : float, optional
        Real homes at a customer bus, on average. Each simulated home then stands for
        ``homes_per_bus * customer_buses / n_homes`` of them. Without it, for itself alone.

    Raises
    ------
    PhysicsError
        If the feeder has no customer buses, or a number is not positive.

    Examples
    --------
    >>> from vpp_sim.network.cigre_lv import cigre_lv_residential
    >>> feeder = cigre_lv_residential()
    >>> placed = place_homes(feeder, 7, homes_per_bus=14)
    >>> [feeder.bus_names[bus] for bus in placed.bus_of_home], placed.scale
    (['R11', 'R15', 'R16', 'R17', 'R18', 'R11', 'R15'], 10.0)
    """
    buses = feeder.bus_indices(feeder.customer_buses)
    if not buses.size:
        raise PhysicsError(f"feeder {feeder.name} has no customer buses")
    if n_homes < 1:
        raise PhysicsError(f"n_homes is {n_homes}, expected at least 1")
    if homes_per_bus is not None and not 0 < homes_per_bus < np.inf:
        raise PhysicsError(f"homes_per_bus is {homes_per_bus:g}, expected a positive number")
    scale = 1.0 if homes_per_bus is None else homes_per_bus * buses.size / n_homes
    return Placement(buses[np.arange(n_homes) % buses.size], scale)
