"""What homes make of each auction when they are truthful, random, learning, or follow a forecast.

One hundred homes trade every hour of four weeks in July; the last two weeks count. The forecast of an hour is what the
same hour of the seven days before brought, one quantile a day. Learning homes keep a memory for each hour of the day,
or one for all hours; what either is worth beside the other is seen where half of the homes have each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from community import FEED_IN, HOURS, RETAIL, SUN, book_of, community_of, fontana
from mechanisms import load

from vpp_sim.market.bidding import (
    Adaptive,
    BiddingStep,
    BiddingStrategy,
    ForecastBased,
    Outlook,
    Truthful,
    ZeroIntelligence,
)
from vpp_sim.market.indices import member_gains_eur

if TYPE_CHECKING:
    from vpp_sim.arrays import BoolArray, FloatArray, IntArray
    from vpp_sim.market.protocol import Clearing, OrderBook

START, DAYS, COUNTED, HISTORY, HOMES = "2017-07-03", 28, 14, 7, 100
MARKETS = ("uniform_price", "pay_as_bid", "continuous_double_auction", "vcg")


def strategies(homes: int, seed: int) -> dict[str, BiddingStrategy]:
    """Return new strategies."""
    return {
        "truthful": Truthful(),
        "zero_intelligence": ZeroIntelligence(),
        "adaptive": Adaptive(homes, np.random.default_rng([seed, 4])),
        "adaptive_one_memory": Adaptive(homes, np.random.default_rng([seed, 4]), by_hour=False),
        "forecast_based": ForecastBased(),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Mixed:
    """Homes of which some follow one strategy and the others another: all learn, each its own way."""

    first: BiddingStrategy
    second: BiddingStrategy
    is_first: BoolArray

    def limits(self, step: BiddingStep) -> FloatArray:
        """Return each home's limit by its own strategy."""
        return np.where(self.is_first, self.first.limits(step), self.second.limits(step))

    def observe(self, clearing: Clearing, book: OrderBook, home_of: IntArray | None = None) -> None:
        """Let both learn; what a home learns in the strategy that it does not follow, it never uses."""
        self.first.observe(clearing, book, home_of)
        self.second.observe(clearing, book, home_of)


def outlook(net_kwh: FloatArray, hour: int) -> Outlook:
    """Return quantiles of demand and supply: the same hour of the days before, sorted."""
    past = net_kwh[hour - HISTORY * HOURS : hour : HOURS]
    levels = np.arange(1, HISTORY + 1) / (HISTORY + 1)
    return Outlook(levels, np.sort(np.maximum(past, 0).sum(axis=1)), np.sort(np.maximum(-past, 0).sum(axis=1)))


def play(
    market: str, strategy: BiddingStrategy | Mixed, net_kwh: FloatArray, seed: int, counted_from: int
) -> tuple[FloatArray, FloatArray]:
    """Trade all hours; return what each home gained as buyer and as seller in those that count, as shares of the most.

    The most is what all homes together could have gained.
    """
    mechanism, rng = load(market, net_kwh.shape[1]), np.random.default_rng([seed, 3])
    best, buyers, sellers = 0.0, np.zeros(net_kwh.shape[1]), np.zeros(net_kwh.shape[1])
    for hour in range(HISTORY * HOURS, len(net_kwh)):
        net = net_kwh[hour]
        arrivals, draws = rng.permutation(net.size), rng.random(net.size)
        sides = np.sign(net).astype(np.int64)
        step = BiddingStep(sides, RETAIL, FEED_IN, draws, hour % HOURS, outlook(net_kwh, hour))
        book = book_of(net, strategy.limits(step), arrivals)
        clearing = mechanism.clear(book)
        strategy.observe(clearing, book, arrivals)
        if hour >= counted_from:
            buyer_eur, seller_eur = member_gains_eur(clearing, book)
            best += (RETAIL - FEED_IN) * min(book.bid_kwh.sum(), book.ask_kwh.sum())
            buyers[arrivals[book.buyer]] += buyer_eur
            sellers[arrivals[book.seller]] += seller_eur
    return buyers / best, sellers / best


def halves(market: str, net_kwh: FloatArray, seed: int, counted_from: int) -> dict[str, float]:
    """Return what homes gain that remember by hour, and with one memory, while the other half does the other.

    Twice, with the halves exchanged, so that each home has been both: shares as if all homes gained what either does.
    """
    homes = net_kwh.shape[1]
    half = np.random.default_rng([seed, 5]).permutation(homes) < homes // 2
    by_hour, one = 0.0, 0.0
    for is_first in (half, ~half):
        made = strategies(homes, seed)
        mixed = Mixed(made["adaptive"], made["adaptive_one_memory"], is_first)
        gain = np.sum(play(market, mixed, net_kwh, seed, counted_from), axis=0)
        by_hour, one = by_hour + float(gain[is_first].sum()), one + float(gain[~is_first].sum())
    return {"by_hour_share": by_hour, "one_memory_share": one}


def learn(sun: str, seed: int, *, days: int = DAYS, counted: int = COUNTED) -> dict[str, dict[str, dict[str, Any]]]:
    """Return market to strategy to shares of the gain, for one community."""
    first = fontana().position(pd.Timestamp(START, tz=fontana().index.tz))
    hours = first - HISTORY * HOURS + np.arange((days + HISTORY) * HOURS)
    people = community_of(sun, HOMES, seed, hours)
    net = people.load_kwh - people.sun_kwh
    counted_from = len(net) - counted * HOURS
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for market in MARKETS:
        found[market] = {}
        for name, strategy in strategies(HOMES, seed).items():
            buyers, sellers = play(market, strategy, net, seed, counted_from)
            found[market][name] = {"buyers_share": float(buyers.sum()), "sellers_share": float(sellers.sum())}
        found[market]["adaptive"]["halves"] = halves(market, net, seed, counted_from)
    return found


def learn_all(seeds: int, *, quick: bool) -> list[tuple[str, int, dict[str, Any]]]:
    """Return every task of the stage, for a pool."""
    length: dict[str, Any] = {"days": 2, "counted": 1} if quick else {}
    return [(sun, seed, length) for sun in SUN for seed in range(seeds)]
