"""What each mechanism makes of a community: welfare, money, rationality and equality, and Zhou's indices.

Welfare, money, rationality and equality are those of the homes' measured loads. For Zhou's indices truthful homes
respond, as they do in the paper: FLEXIBLE of each home's load may move within its day, towards hours in which the
mechanism makes its energy cheap. A home looks at what a kWh cost on average in the last round: the buyers' mean price
(with what they bought from the retailer) when it draws, the sellers' when it feeds in. In each
round it moves STEP of the way towards shares that fall by e for each SOFTNESS more; ROUNDS rounds, of which the last
counts. Alone, homes respond in the same way to the retailer's two prices. The lowest cost of a community run as one
moves the same energy where it is best for all.

Money that a market pays out and does not take in is no saving of the community: its members bear it, with the bill at
the end of the days (:func:`bills`). What a market takes in and does not pay out is not given back to them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from community import FEED_IN, HOURS, RETAIL, Case, Community, Draws, book_of, community
from mechanisms import load

from vpp_sim.market.accounts import filled, welfare_eur
from vpp_sim.market.clearing import NoTrade
from vpp_sim.market.community_indices import CommunityFlows, gini, zhou_indices
from vpp_sim.market.indices import budget_residual_eur, member_gains_eur, misreports, rationality
from vpp_sim.market.optimum import optimum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.arrays import FloatArray, IntArray
    from vpp_sim.market.protocol import ClearingMechanism, OrderBook

FLEXIBLE, STEP, SOFTNESS, ROUNDS = 0.2, 0.5, 0.05, 4
LIARS, LIE_DAYS, LIE_HOURS = 4, (0, 3), (12, 15)
LIE_PRICES = np.linspace(FEED_IN, RETAIL, 9)
LIE_ENERGY = np.array([0.5, 0.8, 1.25])


SUMS = (
    "welfare",
    "best",
    "told_welfare",
    "told_best",
    "orders",
    "worse_off",
    "beyond_limit",
    "books",
    "community_losses",
    "buyers_gain",
    "sellers_gain",
)


class Traded:
    """What the hours of one round left: each home's gain and trades, what the market keeps, prices, sums over books."""

    def __init__(self, hours: int, homes: int) -> None:
        self.gain_eur, self.traded_kwh = np.zeros(homes), np.zeros(homes)
        self.residual_eur = 0.0
        self.buy, self.sell = np.full(hours, RETAIL), np.full(hours, FEED_IN)
        self.sums: dict[str, float] = dict.fromkeys(SUMS, 0.0)


def trade(
    mechanism: ClearingMechanism, draws: Draws, net_kwh: FloatArray, best: dict[int, tuple[float, float]] | None
) -> Traded:
    """Trade all hours; `best`, by hour, is the largest welfare by true and told values, for a full account."""
    found = Traded(*net_kwh.shape)
    for hour, net in enumerate(net_kwh):
        if not ((net > 0).any() and (net < 0).any()):
            continue
        book = draws.book(hour, net)
        clearing = mechanism.clear(book)
        buyer_eur, seller_eur = member_gains_eur(clearing, book)
        home_of = draws.home_of[hour]
        found.gain_eur[home_of[book.buyer]] += buyer_eur
        found.gain_eur[home_of[book.seller]] += seller_eur
        bought_kwh, sold_kwh = filled(clearing, book)
        found.traded_kwh[home_of[book.buyer]] += bought_kwh
        found.traded_kwh[home_of[book.seller]] += sold_kwh
        found.residual_eur += budget_residual_eur(clearing)
        # The whole side's mean: what all its energy cost, in the market and outside.
        found.buy[hour] = RETAIL - buyer_eur.sum() / book.bid_kwh.sum()
        found.sell[hour] = FEED_IN + seller_eur.sum() / book.ask_kwh.sum()
        if best is not None:
            _account(found.sums, clearing, book, best[hour])
            found.sums["buyers_gain"] += float(buyer_eur.sum())
            found.sums["sellers_gain"] += float(seller_eur.sum())
    return found


def _account(sums: dict[str, float], clearing: Any, book: OrderBook, best: tuple[float, float]) -> None:
    """Add one book to the sums."""
    kept = rationality(clearing, book)
    for name, value in (
        ("welfare", (RETAIL - FEED_IN) * clearing.traded_kwh),
        ("best", best[0]),
        ("told_welfare", welfare_eur(clearing, book)),
        ("told_best", best[1]),
        ("orders", kept.orders),
        ("worse_off", kept.worse_off),
        ("beyond_limit", kept.beyond_limit),
        ("books", 1),
        ("community_losses", kept.community_gain_eur < -1e-9),
    ):
        sums[name] += float(value)


def largest_welfare(draws: Draws, net_kwh: FloatArray) -> dict[int, tuple[float, float]]:
    """Return each hour's largest welfare by linear programming: by the outside options, and by the limits told."""
    found = {}
    for hour, net in enumerate(net_kwh):
        if (net > 0).any() and (net < 0).any():
            told = draws.book(hour, net)
            true = book_of(net, np.where(net > 0, RETAIL, FEED_IN), draws.home_of[hour])
            found[hour] = (optimum(true).welfare_eur, optimum(told).welfare_eur)
    return found


def responded(people: Community, share: FloatArray) -> FloatArray:
    """Return the loads when the flexible energy of each day is spread by `share`, shape (T, n)."""
    flexible = FLEXIBLE * _by_day(people.load_kwh).sum(axis=1, keepdims=True)
    return (1 - FLEXIBLE) * people.load_kwh + (_by_day(share) * flexible).reshape(share.shape)


def _by_day(values: FloatArray) -> FloatArray:
    return values.reshape(-1, HOURS, values.shape[-1])


def first_share(people: Community) -> FloatArray:
    """Return the share of each day's energy that each hour has, as measured."""
    days = _by_day(people.load_kwh)
    return (days / np.maximum(days.sum(axis=1, keepdims=True), 1e-9)).reshape(people.load_kwh.shape)


def next_share(share: FloatArray, net_kwh: FloatArray, buy: FloatArray, sell: FloatArray) -> FloatArray:
    """Move the spread of flexible energy towards hours in which it was cheap."""
    price = np.where(net_kwh > 0, buy[:, None], sell[:, None])
    wanted = np.exp(-_by_day(price) / SOFTNESS)
    wanted /= wanted.sum(axis=1, keepdims=True)
    moved: FloatArray = share + STEP * (wanted.reshape(share.shape) - share)
    return moved


def respond(
    people: Community, mechanism: ClearingMechanism, draws: Draws, first: Traded | None
) -> tuple[FloatArray, Traded]:
    """Let homes respond to a mechanism, round by round; return their loads in the end, shape (T, n), and the trades."""
    share, load = first_share(people), people.load_kwh
    found = first
    for _ in range(ROUNDS):
        net = load - people.sun_kwh
        found = found or trade(mechanism, draws, net, None)
        share = next_share(share, net, found.buy, found.sell)
        load, found = responded(people, share), None
    return load, trade(mechanism, draws, load - people.sun_kwh, None)


def bills(people: Community, load_kwh: FloatArray, traded: Traded, *, equally: bool = False) -> CommunityFlows:
    """Return what homes consume and pay, with what the market lacks.

    What it paid out in all these days and did not take in, members pay with their bills: so much for each kWh that they
    bought or sold here, one rate for all and all hours. So nobody pays who does not trade, and a lone trade is not made
    to pay for itself. The rate is known only afterwards; homes respond to the market's prices, which it leaves alone.

    Parameters
    ----------
    people : Community
        Who has sun.
    load_kwh : ndarray, shape (T, n)
        Loads after the response [kWh].
    traded : Traded
        The trades at these loads.
    equally : bool, default False
        Let each member pay the same instead, whether it trades or not.
    """
    net = load_kwh - people.sun_kwh
    outside = (RETAIL * np.maximum(net, 0) - FEED_IN * np.maximum(-net, 0)).sum(axis=0)
    weight = np.ones_like(outside) if equally else traded.traded_kwh
    charged = max(-traded.residual_eur, 0.0) * weight / max(float(weight.sum()), 1e-9)
    return CommunityFlows(load_kwh, people.sun_kwh, outside - traded.gain_eur + charged)


def lowest_cost_eur(people: Community) -> float:
    """Return the cost of a community run as one: flexible energy first takes what would be fed in, day by day."""
    fixed = ((1 - FLEXIBLE) * people.load_kwh - people.sun_kwh).sum(axis=1).reshape(-1, HOURS)
    flexible = FLEXIBLE * people.load_kwh.sum(axis=1).reshape(-1, HOURS).sum(axis=1)
    spare = np.maximum(-fixed, 0).sum(axis=1)
    taken = np.minimum(flexible, spare)
    drawn = np.maximum(fixed, 0).sum(axis=1) + flexible - taken
    return float((RETAIL * drawn - FEED_IN * (spare - taken)).sum())


def lies(
    mechanism: ClearingMechanism, case: Case, draws: Draws, net_kwh: FloatArray, seed: int, hours: Sequence[int]
) -> list[float]:
    """Return what sampled homes gain by their best lies, as shares of the most that their energy could gain."""
    rng = np.random.default_rng([seed, case.homes, 2])
    shares: list[float] = []
    for hour in (day * HOURS + hour for day in LIE_DAYS for hour in hours):
        if hour >= len(net_kwh):
            continue
        net = net_kwh[hour]
        if not ((net > 0).any() and (net < 0).any()):
            continue
        book = draws.book(hour, net)
        members = np.concatenate([_some(rng, side) for side in (book.buyer, book.seller)])
        stake = (RETAIL - FEED_IN) * np.abs(net[draws.home_of[hour][members]])
        found = misreports(mechanism, book, members, prices_eur_per_kwh=LIE_PRICES, quantity_shares=LIE_ENERGY)
        shares += (found.gain_eur / stake).tolist()
    return shares


def _some(rng: np.random.Generator, side: IntArray) -> IntArray:
    return rng.choice(side, min(LIARS // 2, side.size), replace=False)


def measure(
    case: Case,
    seed: int,
    names: Sequence[str],
    lying: Sequence[str],
    *,
    days: int,
    lie_hours: Sequence[int],
) -> dict[str, dict[str, Any]]:
    """Return all figures of one case and seed: mechanism to figure to value; `lying` are those searched for lies."""
    people = community(case.sun, case.homes, seed, days)
    net = people.load_kwh - people.sun_kwh
    draws = Draws(case, seed, len(net))
    best = largest_welfare(draws, net)
    responds = case.bidding == "truthful"
    alone = bills(people, *respond(people, NoTrade(), draws, None)) if responds else None
    found = {}
    for name in names:
        mechanism = load(name, case.homes)
        traded = trade(mechanism, draws, net, best)
        zhou = None if alone is None else _zhou(people, alone, *respond(people, mechanism, draws, traded))
        gains = lies(mechanism, case, draws, net, seed, lie_hours) if name in lying else None
        found[name] = stated(traded, zhou, gains)
    return found


def _zhou(
    people: Community, alone: CommunityFlows, load_kwh: FloatArray, traded: Traded
) -> dict[str, dict[str, float]]:
    """Return Zhou's six by figure: with what the market lacks charged by energy, and charged equally."""
    charges = {"zhou": False, "zhou_charged_equally": True}
    return {
        figure: asdict(zhou_indices(bills(people, load_kwh, traded, equally=equally), alone, lowest_cost_eur(people)))
        for figure, equally in charges.items()
    }


def stated(traded: Traded, zhou: dict[str, dict[str, float]] | None, gains: list[float] | None) -> dict[str, Any]:
    """Return the figures of one mechanism; Zhou's are there if they were measured."""
    sums = traded.sums
    best, orders = sums["best"], max(sums["orders"], 1)
    return {
        "welfare_share": sums["welfare"] / best,
        "told_welfare_share": sums["told_welfare"] / sums["told_best"] if sums["told_best"] else 1.0,
        "budget_residual": traded.residual_eur / best,
        "buyers_share": sums["buyers_gain"] / best,
        "sellers_share": sums["sellers_gain"] / best,
        "rationality_violations": sums["worse_off"] / orders,
        "limit_violations": sums["beyond_limit"] / orders,
        "community_losses": sums["community_losses"] / max(sums["books"], 1),
        "homes_worse_off": float((traded.gain_eur < -1e-6).mean()),
        # Where the market keeps everything, rounding must not look like inequality.
        "gini": gini(traded.gain_eur.round(9)),
        **(zhou or {}),
        "misreport_gain": None if not gains else float(np.mean(gains)),
        "misreport_greatest": None if not gains else float(np.max(gains)),
    }
