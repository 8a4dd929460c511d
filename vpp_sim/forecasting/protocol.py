"""What every forecaster takes and gives: a task, what is known at the issue, and quantiles by series and step.

Inputs end where the forecast is issued. What reaches beyond it is the calendar, and covariates *as they were forecast
then*: weather, or a market's published load forecast. What was observed later never enters, except for a forecaster
that says so (``needs_truth``) and serves as a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vpp_sim.forecasting.windows import SeriesTable, Split

__all__ = [
    "DEFAULT_LEVELS",
    "TARGETS",
    "WEATHER",
    "FitReport",
    "ForecastInputs",
    "Forecaster",
    "Progress",
    "Task",
    "require_inputs",
    "require_levels",
    "require_target",
]

DEFAULT_LEVELS: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantile levels that the shipped forecasters give."""

TARGETS: dict[str, str] = {"load": "kW", "pv": "kW/kWp", "price": "EUR/kWh"}
"""What can be forecast, with its unit: load, solar output per installed power, and a price."""

WEATHER: tuple[str, ...] = ("temperature_c", "ghi_w_m2")
"""Covariates of load and solar output: air temperature [degC] and global horizontal irradiance [W/m2]."""

Progress: TypeAlias = "Callable[[int, int, float], None]"
"""Called as a fit goes on with the rounds done, the rounds there are at most, and the latest validation loss."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is forecast: from which past, how far ahead, at which levels.

    Attributes
    ----------
    target : str
        One of :data:`TARGETS`; load and solar output are never negative.
    step_s : int
        Length of a step [s]; divides an hour.
    context_steps, horizon_steps : int
        Past steps L that a forecast looks at, and future steps H that it gives.
    levels : tuple of float
        Quantile levels, increasing, 0.5 among them.
    covariates : tuple of str
        Names of what is known beside the target, in the order of the inputs.

    Raises
    ------
    DataError
        If the target is unknown, steps do not divide an hour, or levels do not increase around the median.
    """

    target: str
    step_s: int = SECONDS_PER_HOUR
    context_steps: int = 168
    horizon_steps: int = 36
    levels: tuple[float, ...] = DEFAULT_LEVELS
    covariates: tuple[str, ...] = WEATHER

    def __post_init__(self) -> None:
        require_target(self.target)
        if self.step_s <= 0 or SECONDS_PER_HOUR % self.step_s:
            raise DataError(f"step_s = {self.step_s} must divide an hour")
        if self.context_steps < 1 or self.horizon_steps < 1:
            raise DataError(f"a context of {self.context_steps} and a horizon of {self.horizon_steps} steps is none")
        require_levels(self.levels)

    @property
    def non_negative(self) -> bool:
        """Whether the target cannot be negative."""
        return self.target != "price"

    @property
    def day_steps(self) -> int:
        """Steps a day."""
        return 24 * SECONDS_PER_HOUR // self.step_s

    @property
    def median(self) -> int:
        """Position of the median among the levels."""
        return self.levels.index(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class ForecastInputs:
    """What is known when a forecast is issued, for n series over L past and H future steps.

    Attributes
    ----------
    history : ndarray, shape (n, L)
        Past values of the target, the last column being the step just before the issue [unit of the target].
    covariates : ndarray, shape (L + H, C)
        What is known beside the target, common to all series: observed up to the issue, as forecast then beyond it.
    hour : ndarray, shape (L + H,)
        Local hour of day at the start of each step, with its fraction, past then future [h].
    day_of_week : ndarray of int, shape (L + H,)
        Local day of the week of each step, 0 = Monday.
    day_of_year : ndarray of int, shape (L + H,)
        Local day of the year of each step, 1 = 1 January.
    truth : ndarray, shape (n, H), optional
        What will happen; given to a forecaster that `needs_truth`, and to no other.
    """

    history: FloatArray
    covariates: FloatArray
    hour: FloatArray
    day_of_week: IntArray
    day_of_year: IntArray
    truth: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class FitReport:
    """How a fit went.

    Attributes
    ----------
    losses : tuple of float
        Validation loss after each round; empty where nothing is learned in rounds.
    best_round : int
        The round kept, from 1; 0 where there are none.
    parameters : int
        Count of what was learned.
    settings : dict
        What the fit was made with, for the model card.
    """

    losses: tuple[float, ...] = ()
    best_round: int = 0
    parameters: int = 0
    settings: dict[str, object] | None = None


class Forecaster(Protocol):
    """Gives quantiles for the next steps of many series at once.

    A class that a registry names is made of a :class:`Task` and can be fitted at once; ``open(target, step_s)`` returns
    one that is ready to use, with the weights shipped where there is something to learn.

    Attributes
    ----------
    task : Task
        What it forecasts.
    needs_truth : bool
        Whether it is a bound that must be told what will happen.
    """

    task: Task
    needs_truth: bool

    def fit(
        self,
        table: SeriesTable,
        *,
        train: Split,
        validation: Split,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> FitReport:
        """Learn from the targets in `train`, choosing by those in `validation`; nothing else of `table` is read.

        Parameters
        ----------
        table : SeriesTable
            Series of the target with their covariates and calendar.
        train, validation : Split
            Ranges of target steps; they may not overlap.
        seed : int
            Same arguments, same seed: the same forecaster.
        progress : callable, optional
            See :data:`Progress`.
        checkpoint : path, optional
            Where the state after each round is kept, so that a fit that was cut off goes on; it ends in the same bits.

        Raises
        ------
        DataError
            If the splits overlap, are too short for a window, or the table is not of the task.
        """

    def predict(self, inputs: ForecastInputs) -> FloatArray:
        """Return quantiles of shape (n, H, Q) [unit of the target], non-decreasing along Q.

        Raises
        ------
        PhysicsError
            If shapes do not fit, a value is not finite, or the history is negative where it cannot be.
        """

    def save(self, path: Path) -> str:
        """Write everything that :meth:`load` needs to the file `path`, and return its SHA-256."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the forecaster that :meth:`save` wrote.

        Raises
        ------
        DataError
            If there is no such file, it is of another kind, or differs from the model card beside it.
        """


def require_inputs(inputs: ForecastInputs, task: Task) -> None:
    """Raise unless `inputs` fit `task`.

    Raises
    ------
    PhysicsError
        If a shape differs, a value is not finite, or the history is negative where it cannot be; the message names the
        array.
    """
    total = task.context_steps + task.horizon_steps
    require_shape("history", inputs.history, (inputs.history.shape[0], task.context_steps))
    require_shape("covariates", inputs.covariates, (total, len(task.covariates)))
    require_shape("hour", inputs.hour, (total,))
    for name in ("day_of_week", "day_of_year"):
        if getattr(inputs, name).shape != (total,):
            raise PhysicsError(f"{name} has shape {getattr(inputs, name).shape}, expected {(total,)}")
    (require_non_negative if task.non_negative else require_finite)("history", inputs.history)
    require_finite("covariates", inputs.covariates)
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
