"""Whether a scenario's sources hold what its run needs: the homes it names, and every instant it touches.

The scenario's own schema cannot know this, since the schema reads no data. The check belongs before the run: a date
outside the data is a mistake in a file, with a line, and not a failure of the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from vpp_sim.errors import ScenarioError
from vpp_sim.registry import HOME_SOURCES, PRICE_SOURCES
from vpp_sim.units import format_duration

if TYPE_CHECKING:
    from vpp_sim.data.homes import HomesData
    from vpp_sim.data.prices import PriceSeries
    from vpp_sim.scenario.loader import LoadedScenario
    from vpp_sim.scenario.scenario import Scenario
    from vpp_sim.scenario.sections.clock import ClockSpec
    from vpp_sim.scenario.sections.prosumers import ProsumerGroupSpec

__all__ = ["HISTORY_DAYS", "Gap", "gaps_of", "require_coverage"]

HISTORY_DAYS = 9
"""Local days of measured data before the start: a forecaster's context of 168 h, and up to 25 h before the start."""

_PRICE_HISTORY = pd.Timedelta(days=1)
"""Prices are read from a day before the start on, when the first day's bids are made."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a scenario asks for and its data does not hold.

    Attributes
    ----------
    key : str
        Dotted key of the scenario, for example ``"clock.start"``.
    allowed : str
        What the data holds.
    hint : str
        The nearest value that would do, or empty.
    """

    key: str
    allowed: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    """The local wall-clock times that a source covers, and how much of them before a run is history."""

    source: str
    first: pd.Timestamp
    end: pd.Timestamp
    history: pd.Timedelta


def require_coverage(loaded: LoadedScenario) -> None:
    """Raise unless the sources of a scenario hold all that it asks for.

    Raises
    ------
    ScenarioError
        Naming file, line, key, value and what the data holds, for every gap.
    DataError
        If a source cannot be read.
    """
    gaps = gaps_of(loaded.scenario)
    if gaps:
        raise ScenarioError(loaded.problem(gap.key, gap.allowed, gap.hint) for gap in gaps)


def gaps_of(scenario: Scenario) -> list[Gap]:
    """Return what the scenario asks for and its sources do not hold.

    Raises
    ------
    DataError
        If a source cannot be read.
    """
    sources = {group.data.kind: HOME_SOURCES.load(group.data.kind)().load() for group in scenario.prosumers}
    prices = PRICE_SOURCES.load(scenario.prices.kind)().load()
    spans = [_homes_span(kind, data, scenario.clock) for kind, data in sources.items()]
    spans.append(_price_span(scenario.prices.kind, prices, scenario.clock))
    gaps = [gap for kind, data in sources.items() for gap in _step_and_zone_gaps(kind, data, scenario.clock)]
    return gaps + _time_gaps(spans, scenario.clock) + _home_gaps(scenario, sources)


def _homes_span(kind: str, data: HomesData, clock: ClockSpec) -> _Span:
    first, last = data.index[0].tz_convert(clock.timezone), data.index[-1].tz_convert(clock.timezone)
    end = last + pd.Timedelta(seconds=data.step_s)
    return _Span(kind, first.tz_localize(None), end.tz_localize(None), pd.Timedelta(days=HISTORY_DAYS))


def _price_span(kind: str, prices: PriceSeries, clock: ClockSpec) -> _Span:
    zone = prices.time_zone if prices.alignment == "wall_clock" else clock.timezone
    first, last = prices.index[0].tz_convert(zone), prices.index[-1].tz_convert(zone)
    return _Span(kind, first.tz_localize(None), (last + pd.Timedelta(hours=1)).tz_localize(None), _PRICE_HISTORY)


def _step_and_zone_gaps(kind: str, data: HomesData, clock: ClockSpec) -> list[Gap]:
    gaps, zone = [], str(data.index.tz)
    if data.step_s % clock.step:
        gaps.append(Gap("clock.step", f"expected a step that divides that of {kind}, {format_duration(data.step_s)}"))
    if clock.timezone != zone:
        gaps.append(Gap("clock.timezone", f"expected the time zone of {kind}", hint=zone))
    return gaps


def _time_gaps(spans: list[_Span], clock: ClockSpec) -> list[Gap]:
    earliest = max(span.first + span.history for span in spans)
    latest = min(span.end for span in spans)
    covered = "; ".join(f"{span.source} covers {_shown(span.first)} to {_shown(span.end)}" for span in spans)
    why = f"{covered}; forecasts look back {HISTORY_DAYS} days"
    most_days = max((latest - earliest).days, 0)
    if clock.days > most_days:
        return [Gap("clock.days", f"expected at most {most_days} days: {why}")]
    start, last_start = pd.Timestamp(clock.start), latest - pd.Timedelta(days=clock.days)
    if earliest <= start <= last_start:
        return []
    return [
        Gap(
            "clock.start",
            f"expected a start from {_shown(earliest)} to {_shown(last_start)} for {clock.days} days: {why}",
        )
    ]


def _shown(stamp: pd.Timestamp) -> str:
    return stamp.date().isoformat() if stamp == stamp.normalize() else stamp.isoformat(timespec="minutes")


def _home_gaps(scenario: Scenario, sources: dict[str, HomesData]) -> list[Gap]:
    gaps = []
    taken: dict[tuple[str, str], str] = {}
    for number, group in enumerate(scenario.prosumers):
        names = sources[group.data.kind].names
        numbers = [name.removeprefix("home_") for name in names]
        for position, home in enumerate(group.data.homes or ()):
            if f"home_{home}" not in names:
                key = f"prosumers.{number}.data.homes.{position}"
                allowed = f"{group.data.kind} has no home {home}; expected homes among {', '.join(numbers)}"
                gaps.append(Gap(key, allowed))
        gaps += _shared_home_gaps(number, group, taken)
    return gaps


def _shared_home_gaps(number: int, group: ProsumerGroupSpec, taken: dict[tuple[str, str], str]) -> list[Gap]:
    """Return the homes of a group that an earlier one has; `taken` holds the group of every home so far."""
    kind, asked = group.data.kind, group.data.homes
    chosen = HOME_SOURCES.load(kind)().default_homes if asked is None else [f"home_{home}" for home in asked]
    gaps = []
    for position, name in enumerate(chosen):
        first = taken.setdefault((kind, name), group.group)
        if first != group.group:
            key = f"prosumers.{number}.data.homes" + ("" if asked is None else f".{position}")
            home = f"home {name.removeprefix('home_')} of {kind}"
            gaps.append(Gap(key, f"expected each home in one group; {home} is in {first} and in {group.group}"))
    return gaps
