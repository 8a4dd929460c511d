"""What a trial of storage controllers is asked to do, checked before any data is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from vpp_sim.errors import DataError, UnknownNameError
from vpp_sim.registry import CONTROLLERS
from vpp_sim.training.splits import SPLITS

if TYPE_CHECKING:
    from datetime import date

__all__ = ["ACTS", "DAYS", "FORECASTS", "TARIFFS", "TrialRequest"]

TARIFFS: dict[str, str] = {
    "own": "the homes' own tariff, known in advance, nothing paid for feeding in",
    "wholesale": "day-ahead prices plus levies, known until midnight and then taken to repeat",
}
"""Tariffs that a trial can be under, and what is known of them."""

ACTS: dict[str, str] = {
    "after_meter": "this step's load and sun as metered, then every hour as it was the day before",
    "before_meter": "every hour as it was the day before, this one too",
}
"""When controllers act, and what they know of load and sun where they foresee yesterday."""

FORECASTS: dict[str, str] = {
    "yesterday": "each hour is foreseen as it was the day before",
    "perfect": "the coming day as it will be, which nobody knows: a bound",
}
"""What controllers foresee of load and sun."""

DAYS: tuple[str, ...] = ("validation", "test")
"""Splits that a trial can be on; nobody learns from them."""


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """What a trial is asked to do.

    Attributes
    ----------
    kinds : tuple of str
        Controllers, by their names; all of them when empty.
    policies : tuple of str
        Folders of trained policies, each as ``DIR`` or ``NAME=DIR``. Policies of a kind and a name make one row, a seed
        each; without a name they stand for their kind, instead of the policy that is shipped.
    split : str
        One of :data:`DAYS`; unused where days are given.
    first, last : date, optional
        First and last local day, both or neither.
    tariff : str
        One of :data:`TARIFFS`.
    acts : {"after_meter", "before_meter"}
        When controllers act.
    forecast : str
        One of :data:`FORECASTS`.
    source : str
        Source of homes.
    homes : tuple of str
        Homes of the source; the recommended ones when empty.
    prices : str
        Source of day-ahead prices.

    Raises
    ------
    UnknownNameError
        If there is no such controller, split, tariff, forecast, or time to act.
    DataError
        If a name is given twice, only one of the days is given, or the last lies before the first.
    """

    kinds: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    split: str = "test"
    first: date | None = None
    last: date | None = None
    tariff: str = "own"
    acts: Literal["after_meter", "before_meter"] = "after_meter"
    forecast: str = "yesterday"
    source: str = "fontana"
    homes: tuple[str, ...] = ()
    prices: str = "netherlands_day_ahead"

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in CONTROLLERS.names:
                raise UnknownNameError("storage controller", kind, CONTROLLERS.names)
        for what, name, allowed in (
            ("split", self.split, DAYS),
            ("tariff", self.tariff, tuple(TARIFFS)),
            ("forecast", self.forecast, tuple(FORECASTS)),
            ("time to act", self.acts, tuple(ACTS)),
        ):
            if name not in allowed:
                raise UnknownNameError(what, name, allowed)
        for what, names in (("controllers", self.kinds), ("policies", self.policies), ("homes", self.homes)):
            if len(set(names)) != len(names):
                raise DataError(f"{what} must be named once each; got {', '.join(names)}")
        if (self.first is None) != (self.last is None):
            raise DataError("a trial needs its first and its last day, or neither")
        if self.first and self.last and self.last <= self.first:
            raise DataError(f"the last day, {self.last}, must lie after the first, {self.first}")

    @property
    def days(self) -> tuple[str, str]:
        """First and last local day, both inclusive."""
        return (str(self.first), str(self.last)) if self.first else SPLITS[self.split]

    @property
    def known_of_load(self) -> str:
        """What controllers know of load and sun, in words."""
        return ACTS[self.acts] if self.forecast == "yesterday" else FORECASTS[self.forecast]

    def described(self) -> dict[str, Any]:
        """Return the request as JSON holds it."""
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**said, "first": self.days[0], "last": self.days[1], "split": None if self.first else self.split}
