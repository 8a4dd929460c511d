"""What every forecaster takes and gives: observations until the issue, the calendar, and quantiles by series and step.

Inputs end where the forecast is issued. Weather enters as *past observations* only: the data at hand has no weather
forecast with an issue time, and weather observed after the issue would leak the future into the forecast. The calendar
of the horizon is known in advance and may be used.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import DataError, PhysicsError

__all__ = [
    "DEFAULT_LEVELS",
    "TARGETS",
    "ForecastInputs",
    "Forecaster",
    "require_inputs",
    "require_levels",
    "require_target",
]

DEFAULT_LEVELS: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantile levels that the shipped forecasters give."""

TARGETS: tuple[str, ...] = ("load", "pv")
"""What can be forecast: load [kW], and solar output per installed power [kW per kWp]."""


@dataclass(frozen=True, slots=True)
class ForecastInputs:
    """What is known when a forecast is issued, for n series over L past and H future steps.

    Attributes
    ----------
    history_kw : ndarray, shape (n, L)
        Past values of the target, the last column being the step just before the issue [kW; for ``pv`` kW per kWp].
    weather : ndarray, shape (L, 2)
        Past observed air temperature [degC] and global horizontal irradiance [W/m2].
    hour : ndarray, shape (L + H,)
        Local hour of day at the start of each step, with its fraction, past then future [h].
    day_of_week : ndarray of int, shape (L + H,)
        Local day of the week of each step, 0 = Monday.
    day_of_year : ndarray of int, shape (L + H,)
        Local day of the year of each step, 1 = 1 January.
    """

    history_kw: FloatArray
    weather: FloatArray
    hour: FloatArray
    day_of_week: IntArray
    day_of_year: IntArray


class Forecaster(Protocol):
    """Gives quantiles for the next steps of many series at once.

    A class that a registry names also has ``open(target, step_s)``, which returns a ready instance.

    Attributes
    ----------
    context_steps : int
        Past steps L that :meth:`predict` needs.
    horizon_steps : int
        Future steps H that it gives.
    levels : tuple of float
        Quantile levels, increasing, 0.5 among them.
    step_s : int
        Length of a step [s].
    """

    @property
    def context_steps(self) -> int:
        """Past steps L that :meth:`predict` needs."""

    @property
    def horizon_steps(self) -> int:
        """Future steps H that :meth:`predict` gives."""

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels, increasing, 0.5 among them."""

    @property
    def step_s(self) -> int:
        """Length of a step [s]."""

    def predict(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles of shape (n, H, Q) [unit of the history], never negative, non-decreasing along Q.

        Raises
        ------
        PhysicsError
            If shapes do not fit, or the history is negative or not finite.
        """


def require_inputs(inputs: ForecastInputs, *, context_steps: int, horizon_steps: int) -> None:
    """Raise unless `inputs` fit a forecaster of that context and horizon.

    Raises
    ------
    PhysicsError
        If a shape differs, a value is not finite, or the history is negative; the message names the array.
    """
    total = context_steps + horizon_steps
    require_shape("history_kw", inputs.history_kw, (inputs.history_kw.shape[0], context_steps))
    require_shape("weather", inputs.weather, (context_steps, 2))
    require_shape("hour", inputs.hour, (total,))
    for name in ("day_of_week", "day_of_year"):
        if getattr(inputs, name).shape != (total,):
            raise PhysicsError(f"{name} has shape {getattr(inputs, name).shape}, expected {(total,)}")
    require_non_negative("history_kw", inputs.history_kw)
    require_finite("weather", inputs.weather)
    if not ((inputs.hour >= 0) & (inputs.hour < 24)).all():
        raise PhysicsError("hour must lie in [0, 24)")
    if not ((inputs.day_of_week >= 0) & (inputs.day_of_week <= 6)).all():
        raise PhysicsError("day_of_week must lie in 0..6")


def require_target(target: str) -> None:
    """Raise `DataError` unless `target` is one of :data:`TARGETS`."""
    if target not in TARGETS:
        raise DataError(f"unknown forecast target {target!r}; allowed: {', '.join(TARGETS)}")


def require_levels(levels: tuple[float, ...]) -> None:
    """Raise `DataError` unless quantile levels increase inside (0, 1) and contain the median.

    Examples
    --------
    >>> require_levels((0.1, 0.9))
    Traceback (most recent call last):
    vpp_sim.errors.DataError: quantile levels (0.1, 0.9) must increase inside (0, 1) and contain 0.5
    """
    inside = all(0.0 < level < 1.0 for level in levels)
    if not inside or 0.5 not in levels or any(b <= a for a, b in pairwise(levels)):
        raise DataError(f"quantile levels {levels} must increase inside (0, 1) and contain 0.5")
