"""Controllers without a model: leave the battery alone, or follow the home's own surplus."""

from __future__ import annotations

from typing import Self

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import BatteryFleet, project
from vpp_sim.ess.protocol import StorageObservation, require_observation

__all__ = ["Idle", "SelfConsumption"]


class Idle:
    """Never moves a battery: what storage is worth is measured against it."""

    needs_truth = False

    @classmethod
    def open(cls, step_s: int) -> Self:
        """Return an instance; any step will do."""
        return cls()

    def act(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return zero powers, each of shape (n,) [kW]."""
        require_observation(fleet, observation)
        return np.zeros(len(fleet)), np.zeros(len(fleet))


class SelfConsumption:
    """Stores every surplus and covers every deficit, as far as the battery can; blind to prices and forecasts.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(2, 6.4, 5.0, 0.81)
    >>> price, net_kw = np.full(24, 0.3), np.repeat([[-2.0], [1.5]], 24, axis=1)
    >>> seen = StorageObservation(np.array([3.2, 3.2]), net_kw, price, price, 12.0, 1.0)
    >>> SelfConsumption.open(3600).act(fleet, seen)
    (array([2., 0.]), array([0. , 1.5]))
    """

    needs_truth = False

    @classmethod
    def open(cls, step_s: int) -> Self:
        """Return an instance; any step will do."""
        return cls()

    def act(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return powers that bring each meter as near to zero as its battery can, each of shape (n,) [kW]."""
        return project(fleet, observation.soc_kwh, *self.ask(fleet, observation), observation.step_h)

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return powers that would bring each meter to zero, each of shape (n,) [kW]."""
        require_observation(fleet, observation)
        net_kw = observation.net_kw[:, 0]
        return np.maximum(-net_kw, 0.0), np.maximum(net_kw, 0.0)
