"""What a bidder knows at noon of the day before: quantiles of the net energy from its own past errors, and prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from priced_years import FIRST_DAY, LAG_DAYS, RECENT_DAYS, Year

from vpp_sim.arrays import FloatArray

LEVELS = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
LEAST_ERRORS, MOST_ERRORS = 21, 60
FIRST_BID = FIRST_DAY + LEAST_ERRORS + LAG_DAYS


@dataclass(frozen=True, slots=True, eq=False)
class Outlook:
    """What is known of a day at noon of the day before.

    Attributes
    ----------
    quantiles_kwh : ndarray, shape (24, Q)
        Quantiles of the fleet's net energy [kWh].
    past_ranks : ndarray, shape (E, 24)
        Probability that the forecasts of past days would have given to what then happened.
    price_eur_per_kwh : ndarray, shape (24,)
        Expected day-ahead price: the mean of the seven days whose prices are published [EUR/kWh].
    """

    quantiles_kwh: FloatArray
    past_ranks: FloatArray
    price_eur_per_kwh: FloatArray


def net_kwh(year: Year) -> FloatArray:
    """Return the net energy of all homes, shape (D, 24) [kWh]."""
    net: FloatArray = (year.import_kwh - year.export_kwh).sum(axis=1)
    return net


def point(net: FloatArray, day: int) -> FloatArray:
    """Return the mean of the seven latest days that are metered in full at noon of the day before, shape (24,)."""
    mean: FloatArray = net[day - FIRST_DAY : day - LAG_DAYS + 1].mean(axis=0)
    return mean


def outlook(year: Year, day: int) -> Outlook:
    """Return what is known of `day` at noon of the day before; nothing later is read."""
    net = net_kwh(year)[: day - LAG_DAYS + 1]
    days = range(max(FIRST_DAY, day - LAG_DAYS + 1 - MOST_ERRORS), day - LAG_DAYS + 1)
    errors = np.array([net[past] - point(net, past) for past in days])
    order = np.argsort(np.argsort(errors, axis=0, kind="stable"), axis=0, kind="stable")
    return Outlook(
        quantiles_kwh=point(net, day)[:, None] + np.quantile(errors, LEVELS, axis=0).T,
        past_ranks=(order + 0.5) / len(errors),
        price_eur_per_kwh=year.wholesale_eur_per_kwh[day - RECENT_DAYS : day].mean(axis=0),
    )
