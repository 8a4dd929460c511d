"""The years that are priced: what thirteen homes drew, what energy cost day ahead, what was known the day before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from vpp_sim.arrays import FloatArray
from vpp_sim.data.fontana import DEFAULT_HOMES, Fontana
from vpp_sim.data.prices import NetherlandsDayAhead
from vpp_sim.pricing.protocol import RetailProblem

HOURS = 24
LEVIES_EUR_PER_KWH, MARGIN_EUR_PER_KWH, FEED_IN_EUR_PER_KWH = 0.19, 0.05, 0.03
RECENT_DAYS, LAG_DAYS = 7, 2
FIRST_DAY = RECENT_DAYS + LAG_DAYS - 1
PRICE_YEARS = {"2016/17": 2016, "2021/22": 2021}


@dataclass(frozen=True, slots=True, eq=False)
class Year:
    """D days of 24 hours from the first midnight on (from 23:00 to 23:00 while clocks show winter time).

    Attributes
    ----------
    import_kwh, export_kwh : ndarray, shape (D, n, 24)
        What each home draws and feeds in at the default tariff [kWh].
    wholesale_eur_per_kwh : ndarray, shape (D, 24)
        Day-ahead price [EUR/kWh].
    default_eur_per_kwh : float
        Default tariff: levies, a margin, and the mean day-ahead price of the year, rounded to a cent [EUR/kWh].
    """

    import_kwh: FloatArray
    export_kwh: FloatArray
    wholesale_eur_per_kwh: FloatArray
    default_eur_per_kwh: float

    @property
    def days(self) -> int:
        """Number of days, those that only teach included."""
        return len(self.wholesale_eur_per_kwh)

    @property
    def homes(self) -> int:
        """Number of homes."""
        return int(self.import_kwh.shape[1])

    @property
    def default(self) -> FloatArray:
        """The default tariff by hour, shape (24,) [EUR/kWh]."""
        return np.full(HOURS, self.default_eur_per_kwh)

    def expected_kwh(self, day: int, known_kwh: FloatArray | None = None) -> FloatArray:
        """Return what each home is expected to draw, as of the noon before: the mean of seven days known in full.

        What is known of each day has shape (D, n, 24); without it homes were at the default tariff on all of them.
        """
        return np.maximum(_recent(self.import_kwh if known_kwh is None else known_kwh, day), 0.0)

    def problem(self, day: int, known_kwh: FloatArray | None = None) -> RetailProblem:
        """Return a day's retail problem once day-ahead prices are published, of the demand then expected."""
        return self._problem(day, self.expected_kwh(day, known_kwh), _recent(self.export_kwh, day))

    def problem_with_foresight(self, day: int, elasticity: FloatArray) -> RetailProblem:
        """Return a day's retail problem if the day's demand at the default tariff and its elasticities were known."""
        return replace(self._problem(day, self.import_kwh[day], self.export_kwh[day]), elasticity=elasticity)

    def _problem(self, day: int, demand: FloatArray, export: FloatArray) -> RetailProblem:
        return RetailProblem(
            demand_kwh=demand,
            wholesale_eur_per_kwh=self.wholesale_eur_per_kwh[day],
            default_eur_per_kwh=self.default,
            levies_eur_per_kwh=LEVIES_EUR_PER_KWH,
            feed_in_eur_per_kwh=np.full(HOURS, FEED_IN_EUR_PER_KWH),
            export_kwh=export.sum(axis=0),
        )


def _recent(series: FloatArray, day: int) -> FloatArray:
    mean: FloatArray = series[day - FIRST_DAY : day - LAG_DAYS + 1].mean(axis=0)
    return mean


@cache
def load(price_year: str = "2016/17") -> Year:
    """Return the homes' year, 2016-08-01 to 2017-07-31, at Dutch day-ahead prices of the same date of a year."""
    homes = Fontana().load().select(DEFAULT_HOMES)
    net_kwh = homes.load_kw - homes.pv_kw_per_kwp * homes.pv_kwp
    start = homes.index[0] + pd.DateOffset(years=PRICE_YEARS[price_year] - homes.index[0].year)
    prices = NetherlandsDayAhead().load().at(start, len(homes.index), homes.step_s)
    by_day = net_kwh.reshape(-1, HOURS, net_kwh.shape[1]).transpose(0, 2, 1)
    default = round(LEVIES_EUR_PER_KWH + MARGIN_EUR_PER_KWH + float(prices.mean()), 2)
    return Year(np.maximum(by_day, 0.0), np.maximum(-by_day, 0.0), prices.reshape(-1, HOURS), default)
