"""What a back-test is asked to do, checked before any data is read."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vpp_sim.errors import DataError, UnknownNameError
from vpp_sim.forecasting.protocol import require_target
from vpp_sim.registry import FORECASTERS
from vpp_sim.units import SECONDS_PER_HOUR, format_duration

if TYPE_CHECKING:
    from datetime import date

__all__ = ["CALIBRATIONS", "CONTEXT_DAYS", "LONGEST_HORIZON_DAYS", "REFERENCES", "BacktestRequest"]

REFERENCES: dict[str, str] = {
    "persistence": "the day before",
    "seasonal_naive": "the week before",
    "persistence_ensemble": "the mean day of the week before",
}
"""Forecasters that every back-test is measured against, and what they repeat."""

CALIBRATIONS = ("none", "conformal")
"""What may be done to quantiles as outcomes come in."""

CONTEXT_DAYS = 7
"""Days that a forecast looks back on."""

LONGEST_HORIZON_DAYS = 6
"""Beyond it a week of history holds no error of the naive forecasts any more."""

_DAY_S = 24 * SECONDS_PER_HOUR
_REFIT = re.compile(r"never|weekly|monthly|[1-9]\d{0,3}d")


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What a back-test is asked to do.

    Attributes
    ----------
    kinds : tuple of str
        Forecasters, by their names.
    target : str
        ``"load"``, ``"pv"`` or ``"price"``.
    horizon_s : int
        How far each forecast reaches [s].
    every_s : int
        From one issue to the next [s]; whole days keep the local hour.
    issue_hour : int
        Local hour at which the first issue of a day is made.
    first, last : date, optional
        First and last local day of issues. Left out: the last `least_origins` issues that the data has room for.
    least_origins : int
        Fewer issues than this are refused.
    refit : str
        When forecasters that learn are fitted anew: ``"never"`` (once, before the first issue), ``"weekly"``,
        ``"monthly"`` (on the first of each month), or a number of days such as ``"10d"``.
    validation_days : int
        Days before each fit that choose and do not teach.
    seeds : tuple of int
        Each forecaster that learns is run with every one of them.
    calibration : str
        One of :data:`CALIBRATIONS`.
    portfolio : bool, optional
        Whether the sum of the series is forecast as one more. Left out: that of load or solar output is, where all
        series stand in one table; prices are not summed.

    Raises
    ------
    UnknownNameError
        If there is no such forecaster or calibration.
    DataError
        If anything else is not as said above.
    """

    kinds: tuple[str, ...]
    target: str
    horizon_s: int = _DAY_S
    every_s: int = _DAY_S
    issue_hour: int = 0
    first: date | None = None
    last: date | None = None
    least_origins: int = 20
    refit: str = "monthly"
    validation_days: int = 28
    seeds: tuple[int, ...] = (0,)
    calibration: str = "none"
    portfolio: bool | None = None

    def __post_init__(self) -> None:
        require_target(self.target)
        for kind in self.kinds:
            if kind not in FORECASTERS.names:
                raise UnknownNameError("forecaster", kind, FORECASTERS.names)
        if self.calibration not in CALIBRATIONS:
            raise UnknownNameError("calibration", self.calibration, CALIBRATIONS)
        _require_once("forecasters", self.kinds)
        _require_once("seeds", self.seeds)
        if not 0 < self.horizon_s <= LONGEST_HORIZON_DAYS * _DAY_S:
            raise DataError(
                f"a horizon of {self.horizon_s} s is not allowed; expected at most {LONGEST_HORIZON_DAYS * 24}h"
            )
        if not 0 <= self.issue_hour <= 23:
            raise DataError(f"forecasts cannot be issued at hour {self.issue_hour}; expected 0 to 23")
        if not _REFIT.fullmatch(self.refit):
            raise DataError(
                f"{self.refit!r} says not when to fit anew; allowed: never, weekly, monthly, or days such as 10d"
            )
        if self.validation_days * _DAY_S < self.horizon_s or self.least_origins < 1 or self.every_s < 1:
            raise DataError(
                f"{self.validation_days} days of validation, {self.least_origins} issues at least and one every "
                f"{self.every_s} s; expected days that hold a horizon of {format_duration(self.horizon_s)}, an issue, "
                "and a second"
            )
        if self.first and self.last and self.last < self.first:
            raise DataError(f"the last day, {self.last}, lies before the first, {self.first}")

    @property
    def refit_days(self) -> int | None:
        """Days from one fit to the next, None where they do not count."""
        if self.refit == "weekly":
            return 7
        return int(self.refit[:-1]) if self.refit.endswith("d") else None

    @property
    def all_kinds(self) -> tuple[str, ...]:
        """The forecasters asked for, and the references behind them."""
        return (*self.kinds, *(name for name in REFERENCES if name not in self.kinds))

    def sums(self, tables: int) -> bool:
        """Return whether the sum of the series is forecast, where these stand in so many tables."""
        return self.target != "price" and tables == 1 if self.portfolio is None else self.portfolio

    def described(self) -> dict[str, Any]:
        """Return the request as JSON holds it."""
        return {
            **{name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()},
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
        }


def _require_once(what: str, names: tuple[Any, ...]) -> None:
    if not names or len(set(names)) != len(names):
        raise DataError(f"{what} must be named once each, at least one; got {', '.join(map(str, names)) or 'none'}")
