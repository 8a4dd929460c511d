"""A source of homes as the cases of a trial: what happens, what is foreseen, prices, and the days acted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vpp_sim.errors import DataError
from vpp_sim.ess.curriculum import reference_cases
from vpp_sim.ess.tariffs import wholesale_shaped
from vpp_sim.registry import HOME_SOURCES, PRICE_SOURCES
from vpp_sim.training.storage import STORAGE_HISTORY_DAYS

if TYPE_CHECKING:
    from vpp_sim.arrays import FloatArray
    from vpp_sim.data.homes import HomesData
    from vpp_sim.ess.episodes import Cases
    from vpp_sim.trials.request import TrialRequest

__all__ = ["ROUND_TRIP_EFFICIENCY", "TrialHomes", "homes_on_trial"]

ROUND_TRIP_EFFICIENCY = 0.9
"""Of the homes' batteries."""


@dataclass(frozen=True, slots=True, eq=False)
class TrialHomes:
    """What controllers act on.

    Attributes
    ----------
    cases : Cases
        A case for each home, with a week of history before the first step that is acted on and a day after the last.
    times : DatetimeIndex, length N
        The steps that are acted on.
    names : tuple of str
        The homes.
    digests : dict of str to str
        Of the data of the homes and of the prices.
    """

    cases: Cases
    times: pd.DatetimeIndex
    names: tuple[str, ...]
    digests: dict[str, str]

    @property
    def acted(self) -> slice:
        """Which steps of the cases are acted on."""
        return slice(self.cases.first_step, self.cases.last_step)


def homes_on_trial(request: TrialRequest) -> TrialHomes:
    """Return the homes and days of a request.

    Controllers look a day ahead and may not look beyond the last day, so the last step that they act on is the first of
    the last day, as in the cards of policies.

    Raises
    ------
    UnknownNameError
        If there is no such source or home.
    DataError
        If the data does not cover the days, or batteries differ between the homes.
    """
    found = HOME_SOURCES.load(request.source)()
    homes = found.load().select(request.homes or found.default_homes)
    series = PRICE_SOURCES.load(request.prices)().load()
    index, rows = homes.index, _rows(homes, request)
    hour = np.asarray(index.hour + index.minute / 60.0, dtype=np.float64)
    own = homes.tariff_eur_per_kwh[rows]
    spot = series.at(index[rows.start], rows.stop - rows.start, homes.step_s)
    tariff = (own, np.zeros_like(own)) if request.tariff == "own" else wholesale_shaped(spot)
    net_kw = np.ascontiguousarray((homes.load_kw - homes.pv_kw_per_kwp * homes.pv_kwp).T[:, rows])
    cases = reference_cases(
        net_kw, tariff, hour[rows], battery=_battery(homes), set_daily=request.tariff == "wholesale"
    )
    if request.forecast == "perfect":
        cases = replace(cases, foreseen_kw=cases.net_kw)
    times = index[rows][cases.first_step : cases.last_step]
    return TrialHomes(cases, times, homes.names, {"homes": homes.digest, "prices": series.digest})


def _rows(homes: HomesData, request: TrialRequest) -> slice:
    """Return the steps of the history and the days, by position."""
    if homes.step_s != 3600:
        raise DataError(f"trials are in steps of an hour; {request.source} has steps of {homes.step_s} s")
    index = homes.index
    first, last = (pd.Timestamp(day, tz=index.tz) for day in request.days)
    start, stop = index.searchsorted(first), index.searchsorted(last + pd.DateOffset(days=1))
    begin = int(start) - STORAGE_HISTORY_DAYS * 24
    if begin < 0 or last + pd.DateOffset(days=1) > index[-1] + pd.Timedelta(seconds=homes.step_s):
        earliest = (index[0] + pd.DateOffset(days=STORAGE_HISTORY_DAYS)).ceil("D").date()
        raise DataError(
            f"{request.source} does not cover {first.date()} to {last.date()} and the {STORAGE_HISTORY_DAYS} days "
            f"before; days may lie from {earliest} to {index[-1].date()}"
        )
    return slice(begin, int(stop))


def _battery(homes: HomesData) -> tuple[float, float, float]:
    sizes: tuple[FloatArray, FloatArray] = (homes.battery_kwh, homes.battery_kw)
    if any((values != values[0]).any() or values[0] <= 0 for values in sizes):
        raise DataError("the homes of a trial must all have the same battery, and have one")
    return float(sizes[0][0]), float(sizes[1][0]), ROUND_TRIP_EFFICIENCY
