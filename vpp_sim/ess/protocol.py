"""What every storage controller takes and gives: the state of all batteries and what is foreseen, then powers.

A controller acts on all batteries in one call. It sees one column a step of the coming day: the first is this step (as
metered when it acts after the meter, otherwise as forecast), the rest are forecasts. Which of the two it had is the
caller's to say in its report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.devices.battery import BatteryFleet, project
from vpp_sim.errors import PhysicsError

__all__ = [
    "HORIZON_H",
    "LEAST_CUT_KW",
    "AskingController",
    "Controller",
    "StorageObservation",
    "horizon_steps",
    "require_observation",
]

HORIZON_H = 24
"""Length of the window that a controller sees [h]."""

LEAST_CUT_KW = 1e-6
"""What differs by less from what was asked for is rounding or a solver's tolerance, not a cut [kW]."""


@dataclass(frozen=True, slots=True, eq=False)
class StorageObservation:
    """What is known when n batteries decide; H steps make 24 hours.

    Attributes
    ----------
    soc_kwh : ndarray, shape (n,)
        Stored energy at the start of the step [kWh].
    net_kw : ndarray, shape (n, H)
        Load minus PV at each home's meter without its battery [kW]. Column 0 is this step, metered or forecast; the
        rest are median forecasts, or the truth for a controller that needs it.
    buy_eur_per_kwh : ndarray, shape (H,)
        What a home pays for imported energy, this step first [EUR/kWh].
    sell_eur_per_kwh : ndarray, shape (H,)
        What a home gets for exported energy, this step first [EUR/kWh].
    hour : float
        Local hour of day at the start of the step, with its fraction, in [0, 24).
    step_h : float
        Length of a step [h].
    """

    soc_kwh: FloatArray
    net_kw: FloatArray
    buy_eur_per_kwh: FloatArray
    sell_eur_per_kwh: FloatArray
    hour: float
    step_h: float


class Controller(Protocol):
    """Decides the power of every battery for one step.

    A class that a registry names also has ``open(step_s)``, a class method that returns a ready instance.

    Attributes
    ----------
    needs_truth : bool
        Whether `net_kw` must hold what will really happen; true only for perfect foresight.
    """

    @property
    def needs_truth(self) -> bool:
        """Whether `net_kw` must hold what will really happen."""

    def act(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return feasible charging and discharging powers, each of shape (n,) [kW].

        Raises
        ------
        PhysicsError
            If the observation does not fit the fleet or is not finite.
        """


@runtime_checkable
class AskingController(Controller, Protocol):
    """A controller that also says what it wants before the batteries' limits cut it, so that cuts can be counted.

    What inherits from it only asks: acting is asking, and leaving the rest to the limits.
    """

    def act(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return what is asked for as far as each battery can, each of shape (n,) [kW].

        Raises
        ------
        PhysicsError
            If the observation does not fit the fleet or is not finite.
        """
        return project(fleet, observation.soc_kwh, *self.ask(fleet, observation), observation.step_h)

    def ask(self, fleet: BatteryFleet, observation: StorageObservation) -> tuple[FloatArray, FloatArray]:
        """Return charging and discharging powers, each of shape (n,) [kW], whose projection is what ``act`` returns.

        Raises
        ------
        PhysicsError
            If the observation does not fit the fleet or is not finite.
        """


def horizon_steps(step_h: float) -> int:
    """Return how many steps of `step_h` hours make the window.

    Raises
    ------
    PhysicsError
        If an hour is no whole number of steps.

    Examples
    --------
    >>> horizon_steps(0.25)
    96
    """
    per_hour = round(1.0 / step_h) if step_h > 0 else 0
    if per_hour < 1 or abs(per_hour * step_h - 1.0) > 1e-9:
        raise PhysicsError(f"step of {step_h:g} h: an hour must be a whole number of steps")
    return HORIZON_H * per_hour


def require_observation(fleet: BatteryFleet, observation: StorageObservation) -> None:
    """Raise `PhysicsError` unless the observation fits the fleet, is finite and its hour lies in [0, 24)."""
    steps = horizon_steps(observation.step_h)
    for name, shape in (
        ("soc_kwh", (len(fleet),)),
        ("net_kw", (len(fleet), steps)),
        ("buy_eur_per_kwh", (steps,)),
        ("sell_eur_per_kwh", (steps,)),
    ):
        require_shape(name, getattr(observation, name), shape)
        require_finite(name, getattr(observation, name))
    if not 0 <= observation.hour < 24:
        raise PhysicsError(f"hour is {observation.hour:g}, expected [0, 24)")
