"""Communities made from the thirteen Fontana homes, and the books that their homes bring to market hour by hour.

Thirteen homes are the thirteen themselves. Larger communities draw homes with replacement, each with a size of its own
(log-normal, mean 1, standard deviation about 0.3) and its days moved by whole weeks, up to two, so that no two are
alike. Which homes have sun on their roof is drawn. One day of each season is traded in hourly books.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from mechanisms import STREETS

from vpp_sim.data.fontana import DEFAULT_HOMES, Fontana
from vpp_sim.market.bidding import BiddingStep, Truthful, ZeroIntelligence
from vpp_sim.market.protocol import OrderBook

if TYPE_CHECKING:
    from vpp_sim.arrays import FloatArray, IntArray
    from vpp_sim.data.homes import HomesData

RETAIL, FEED_IN = 0.25, 0.05
"""What homes pay and are paid outside the community [EUR/kWh]."""
DAYS, HOURS = ("2016-10-15", "2017-01-14", "2017-04-15", "2017-07-15"), 24
SUN = {"sparse": 0.25, "balanced": 0.70, "abundant": 1.0}
"""Name to share of homes with solar panels."""
SIZES = (13, 100, 1_000)
BIDDING = {"truthful": Truthful, "zero_intelligence": ZeroIntelligence}
SIZE_SIGMA, WEEKS = 0.3, 2


class Case(NamedTuple):
    """One cell of the study."""

    sun: str
    homes: int
    bidding: str

    @property
    def name(self) -> str:
        """The case as figures.json names it."""
        return "/".join(map(str, self))


CASES = [Case(sun, homes, bidding) for sun in SUN for homes in SIZES for bidding in BIDDING]


@dataclass(frozen=True, slots=True)
class Community:
    """Loads and sun of n homes over T hours [kWh an hour], shape (T, n)."""

    load_kwh: FloatArray
    sun_kwh: FloatArray


@cache
def fontana() -> HomesData:
    """Return the year of the thirteen homes."""
    return Fontana().load().select(DEFAULT_HOMES)


def community(sun: str, homes: int, seed: int, days: int = len(DAYS)) -> Community:
    """Draw a community and look at it on the first of the days."""
    begins = [fontana().position(pd.Timestamp(day, tz=fontana().index.tz)) for day in DAYS[:days]]
    return community_of(sun, homes, seed, (np.array(begins)[:, None] + np.arange(HOURS)).ravel())


def community_of(sun: str, homes: int, seed: int, hours: IntArray) -> Community:
    """Draw a community and look at it in some hours of the year."""
    data, rng = fontana(), np.random.default_rng([seed, homes])
    source, shift, size = _drawn(rng, homes, len(data.names))
    has_sun = np.zeros(homes)
    has_sun[rng.permutation(homes)[: round(SUN[sun] * homes)]] = 1.0
    load = data.load_kw[(hours[:, None] + shift[None]) % len(data.index), source[None]] * size
    return Community(load, data.pv_kw_per_kwp[hours][:, source] * data.pv_kwp[source] * has_sun)


def _drawn(rng: np.random.Generator, homes: int, sources: int) -> tuple[IntArray, IntArray, FloatArray]:
    """Draw each home's source, the hours by which its days are moved, and its size."""
    if homes == sources:
        return np.arange(homes), np.zeros(homes, dtype=np.int64), np.ones(homes)
    shift = rng.integers(-WEEKS, WEEKS + 1, homes) * 7 * HOURS
    return rng.integers(0, sources, homes), shift, rng.lognormal(-(SIZE_SIGMA**2) / 2, SIZE_SIGMA, homes)


def book_of(net_kwh: FloatArray, limits: FloatArray, home_of: IntArray) -> OrderBook:
    """Return the orders of one hour; prosumer i of the book, the i-th to arrive, is home ``home_of[i]``."""
    arrived, limit = net_kwh[home_of], limits[home_of]
    buyer, seller = np.flatnonzero(arrived > 0), np.flatnonzero(arrived < 0)
    return OrderBook(
        buyer=buyer, bid_kwh=arrived[buyer], bid_eur_per_kwh=limit[buyer],
        seller=seller, ask_kwh=-arrived[seller], ask_eur_per_kwh=limit[seller],
        retail_eur_per_kwh=RETAIL, feed_in_eur_per_kwh=FEED_IN, connection=home_of % STREETS,
    )  # fmt: skip


class Draws:
    """The chance of a case and seed: arrivals and limits of each hour, the same for every mechanism and round."""

    def __init__(self, case: Case, seed: int, hours: int) -> None:
        rng = np.random.default_rng([seed, case.homes, 1])
        self.home_of: IntArray = rng.permuted(np.tile(np.arange(case.homes), (hours, 1)), axis=1)
        self._uniform: FloatArray = rng.random((hours, case.homes))
        self._strategy = BIDDING[case.bidding]()

    def book(self, hour: int, net_kwh: FloatArray) -> OrderBook:
        """Return the book of an hour."""
        sides = np.sign(net_kwh).astype(np.int64)
        step = BiddingStep(sides, RETAIL, FEED_IN, self._uniform[hour], hour % HOURS)
        return book_of(net_kwh, self._strategy.limits(step), self.home_of[hour])
