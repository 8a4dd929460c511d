"""Controllers without a plan: leave the battery alone, follow the home's own surplus, or the window's prices."""

from __future__ import annotations

from typing import Self

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.protocol import AskingController, StorageObservation, require_observation

__all__ = ["CHEAP_H", "DEAR_H", "Idle", "PriceRule", "SelfConsumption"]

CHEAP_H = 5
"""Hours of the window in which a price counts as cheap."""

DEAR_H = 4
"""Hours of the window in which a price counts as dear."""


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


class SelfConsumption(AskingController):
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

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return powers that would bring each meter to zero, each of shape (n,) [kW]."""
        require_observation(fleet, observation)
        net_kw = observation.net_kw[:, 0]
        return np.maximum(-net_kw, 0.0), np.maximum(net_kw, 0.0)


class PriceRule(AskingController):
    """Charges from the grid in the cheapest hours of the window and sells in the dearest; its own home comes first.

    1. A surplus is stored, as far as the battery can.
    2. In a cheap hour the battery is filled up to its target, by full power. If selling in the dear hours pays more
       than is lost on the way, the target is a full battery. Otherwise it is what the home is foreseen to need in
       hours dear enough to make up for the loss, less the surplus that is foreseen.
    3. A deficit is covered; in a cheap hour only by what exceeds the target.
    4. In a dear hour, if what is sold can be bought back for less in a cheap one, all power is discharged.

    The hours were tuned on Houston's day-ahead prices of 2021 (2 to 10 cheap, 1 to 6 dear; 1 MW, 2 MWh, 85 % round
    trip), by the share of the hindsight optimum with today's prices known plus that with only past ones: 0.54 + 0.47.
    On the thirteen Fontana homes they matter little: 0.917 of the optimum on the validation weeks under their own
    tariff, 0.892 under one that follows the market, where self-consumption has 0.932 and 0.929.

    Parameters
    ----------
    cheap_h, dear_h : float
        How many hours of the window are cheap, and how many dear.

    Examples
    --------
    >>> fleet = BatteryFleet.uniform(1, 2000.0, 1000.0, 0.81)
    >>> price, nothing = np.r_[0.02, np.full(22, 0.05), 0.09], np.zeros((1, 24))
    >>> seen = StorageObservation(np.array([500.0]), nothing, price, price, 3.0, 1.0)
    >>> PriceRule(cheap_h=1, dear_h=1).act(fleet, seen)
    (array([1000.]), array([0.]))
    """

    needs_truth = False

    def __init__(self, *, cheap_h: float = CHEAP_H, dear_h: float = DEAR_H) -> None:
        self.cheap_h, self.dear_h = cheap_h, dear_h

    @classmethod
    def open(cls, step_s: int) -> Self:
        """Return an instance with the tuned hours; any step will do."""
        return cls()

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return powers by the rule, each of shape (n,) [kW]."""
        require_observation(fleet, observation)
        buy, sell, step_h = observation.buy_eur_per_kwh, observation.sell_eur_per_kwh, observation.step_h
        round_trip = fleet.charge_efficiency * fleet.discharge_efficiency
        cheap, dear = (max(round(hours / step_h), 1) for hours in (self.cheap_h, self.dear_h))
        cheap_eur, dear_eur = np.partition(buy, cheap - 1)[cheap - 1], np.partition(sell, -dear)[-dear]
        net_now = observation.net_kw[:, 0]
        surplus_kw, deficit_kw = np.maximum(-net_now, 0.0), np.maximum(net_now, 0.0)
        spare_kwh = observation.soc_kwh - fleet.min_kwh
        if buy[0] <= cheap_eur:
            spare_kwh = spare_kwh - self._target_kwh(fleet, observation, dear_eur * round_trip > buy[0])
        charge_kw = np.maximum(surplus_kw, np.minimum(-spare_kwh / (fleet.charge_efficiency * step_h), fleet.power_kw))
        discharge_kw = np.minimum(deficit_kw, np.maximum(spare_kwh, 0.0) * fleet.discharge_efficiency / step_h)
        sells = (sell[0] >= dear_eur) & (sell[0] * round_trip > cheap_eur)
        charge_kw = np.where(sells, 0.0, charge_kw)
        discharge_kw = np.where(sells, fleet.power_kw, np.where(charge_kw > 0.0, 0.0, discharge_kw))
        return charge_kw, discharge_kw

    @staticmethod
    def _target_kwh(fleet: BatteryFleet, observation: StorageObservation, trades: BoolArray) -> FloatArray:
        """Return how much above empty a battery should hold after a cheap hour, shape (n,)."""
        ahead_kwh = observation.net_kw[:, 1:] * observation.step_h
        buy = observation.buy_eur_per_kwh
        round_trip = (fleet.charge_efficiency * fleet.discharge_efficiency)[:, None]
        needed = np.where(buy[1:] * round_trip > buy[0], np.maximum(ahead_kwh, 0.0), 0.0).sum(axis=1)
        given = np.maximum(-ahead_kwh, 0.0).sum(axis=1)
        usable_kwh = fleet.max_kwh - fleet.min_kwh
        target = needed / fleet.discharge_efficiency - given * fleet.charge_efficiency
        return np.where(trades, usable_kwh, np.clip(target, 0.0, usable_kwh))
