"""What homes make of each auction when they are truthful, random, learning, or follow a forecast.

One hundred homes trade every hour of four weeks in July; the last two weeks count. The forecast of an hour is what the
same hour of the seven days before brought, one quantile a day.
"""

from __future__ import annotations

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
    from vpp_sim.arrays import FloatArray

START, DAYS, COUNTED, HISTORY, HOMES = "2017-07-03", 28, 14, 7, 100
MARKETS = ("uniform_price", "pay_as_bid", "continuous_double_auction", "vcg")


def strategies(homes: int, seed: int) -> dict[str, BiddingStrategy]:
    """Return new strategies."""
    return {
        "truthful": Truthful(),
        "zero_intelligence": ZeroIntelligence(),
        "adaptive": Adaptive(homes, np.random.default_rng([seed, 4])),
        "forecast_based": ForecastBased(),
    }


def outlook(net_kwh: FloatArray, hour: int) -> Outlook:
    """Return quantiles of demand and supply: the same hour of the days before, sorted."""
    past = net_kwh[hour - HISTORY * HOURS : hour : HOURS]
    levels = np.arange(1, HISTORY + 1) / (HISTORY + 1)
    return Outlook(levels, np.sort(np.maximum(past, 0).sum(axis=1)), np.sort(np.maximum(-past, 0).sum(axis=1)))


def play(market: str, strategy: BiddingStrategy, net_kwh: FloatArray, seed: int, counted_from: int) -> dict[str, float]:
    """Trade all hours and return who gained how much of what there was to gain in the hours that count."""
    mechanism, rng = load(market, net_kwh.shape[1]), np.random.default_rng([seed, 3])
    best, buyers, sellers = 0.0, 0.0, 0.0
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
            buyers, sellers = buyers + float(buyer_eur.sum()), sellers + float(seller_eur.sum())
    return {"buyers_share": buyers / best, "sellers_share": sellers / best}


def learn(sun: str, seed: int, *, days: int = DAYS, counted: int = COUNTED) -> dict[str, dict[str, dict[str, float]]]:
    """Return market to strategy to shares of the gain, for one community."""
    first = fontana().position(pd.Timestamp(START, tz=fontana().index.tz))
    hours = first - HISTORY * HOURS + np.arange((days + HISTORY) * HOURS)
    people = community_of(sun, HOMES, seed, hours)
    net = people.load_kwh - people.sun_kwh
    counted_from = len(net) - counted * HOURS
    return {
        market: {
            name: play(market, strategy, net, seed, counted_from) for name, strategy in strategies(HOMES, seed).items()
        }
        for market in MARKETS
    }


def learn_all(seeds: int, *, quick: bool) -> list[tuple[str, int, dict[str, Any]]]:
    """Return every task of the stage, for a pool."""
    length: dict[str, Any] = {"days": 2, "counted": 1} if quick else {}
    return [(sun, seed, length) for sun in SUN for seed in range(seeds)]
