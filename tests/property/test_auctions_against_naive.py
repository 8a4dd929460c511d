"""Uniform price, pay-as-bid and continuous auctions against plain loops over orders, written from their definitions.

A thousand random books: energies in eighths of a kWh, so that sums are exact, prices of either sign on a coarse grid,
so that many tie, empty sides, orders without energy, and in half of the books a least energy an order.
"""

import math

import numpy as np
import pytest

from vpp_sim.market.auctions import PayAsBid
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.continuous import ContinuousDoubleAuction
from vpp_sim.market.protocol import OrderBook

BOOKS = 1000


def _random_book(seed):
    rng = np.random.default_rng(seed)
    bids, asks = rng.integers(0, 13, 2)
    ids = rng.permutation(bids + asks).astype(np.int64)
    energy_kwh = rng.integers(0, 17, bids + asks) / 8
    price = rng.integers(-4, 9, bids + asks) / 16
    return OrderBook(
        ids[:bids], energy_kwh[:bids], price[:bids], ids[bids:], energy_kwh[bids:], price[bids:],
        0.5, 0.0, rng.integers(1, 9) / 8 if seed % 2 else 0.0,
    )  # fmt: skip


def _orders(book):
    """Return both sides as lists of [id, kWh, price]."""
    bids = list(zip(book.buyer.tolist(), book.bid_kwh.tolist(), book.bid_eur_per_kwh.tolist(), strict=True))
    asks = list(zip(book.seller.tolist(), book.ask_kwh.tolist(), book.ask_eur_per_kwh.tolist(), strict=True))
    return bids, asks


def _naive_merit(bids, asks):
    """Match the dearest bid and the cheapest ask that have energy left, while the bid is not below the ask."""
    left = {owner: energy for owner, energy, _ in bids + asks}
    trades = []
    while True:
        buyers = [(-price, owner) for owner, _, price in bids if left[owner] > 0]
        sellers = [(price, owner) for owner, _, price in asks if left[owner] > 0]
        if not buyers or not sellers or -min(buyers)[0] < min(sellers)[0]:
            return trades
        (bid, buyer), (ask, seller) = min(buyers), min(sellers)
        energy = min(left[buyer], left[seller])
        trades.append((buyer, seller, energy, -bid, ask))
        left[buyer] -= energy
        left[seller] -= energy


def _naive_continuous(bids, asks):
    """Let orders arrive by id; each takes the best resting order on the other side until none suits."""
    side = {owner: "bid" for owner, _, _ in bids} | {owner: "ask" for owner, _, _ in asks}
    limit = {owner: price for owner, _, price in bids + asks}
    left = {owner: energy for owner, energy, _ in bids + asks}
    trades = []
    for order in sorted(side):
        while left[order] > 0:
            resting = [other for other in side if other < order and left[other] > 0 and side[other] != side[order]]
            if side[order] == "bid":
                resting = sorted((limit[other], other) for other in resting if limit[other] <= limit[order])
            else:
                resting = sorted((-limit[other], other) for other in resting if limit[other] >= limit[order])
            if not resting:
                break
            first = resting[0][1]
            energy = min(left[order], left[first])
            buyer, seller = (order, first) if side[order] == "bid" else (first, order)
            trades.append((buyer, seller, energy, limit[first], limit[first]))
            left[order] -= energy
            left[first] -= energy
    return trades


def _naive_leaving(orders, got, minimum):
    """Return who leaves a side: the short ones, but for as many of the best filled as their energy would serve."""
    short = sorted((-got[owner], owner) for owner, _, _ in orders if 0 < got[owner] < minimum)
    room = math.floor(sum(-energy for energy, _ in short) / minimum) if short else 0
    return {owner for _, owner in short[room:]}


def _naive_with_minimum(book, match):
    bids, asks = _orders(book)
    minimum = book.minimum_kwh
    bids, asks = ([order for order in side if order[1] >= minimum] for side in (bids, asks))
    while True:
        trades = match(bids, asks)
        got = {owner: 0.0 for owner, _, _ in bids + asks}
        for buyer, seller, energy, _, _ in trades:
            got[buyer] += energy
            got[seller] += energy
        leaving = _naive_leaving(bids, got, minimum) | _naive_leaving(asks, got, minimum)
        if not leaving:
            return trades
        bids, asks = ([order for order in side if order[0] not in leaving] for side in (bids, asks))


def _uniform(trades):
    price = (trades[-1][3] + trades[-1][4]) / 2 if trades else math.nan
    return [(buyer, seller, energy, price, 0.0) for buyer, seller, energy, _, _ in trades]


CASES = {
    "uniform": (UniformPrice(), _naive_merit, _uniform),
    "pay_as_bid": (PayAsBid(), _naive_merit, lambda trades: [(*t[:3], t[3], 0.0) for t in trades]),
    "pay_as_bid_halved": (
        PayAsBid(spread="halved"), _naive_merit, lambda trades: [(*t[:3], (t[3] + t[4]) / 2, 0.0) for t in trades],
    ),
    "pay_as_bid_to_market": (
        PayAsBid(spread="to_market"), _naive_merit, lambda trades: [(*t[:3], t[4], t[3] - t[4]) for t in trades],
    ),
    "continuous": (
        ContinuousDoubleAuction(), _naive_continuous, lambda trades: [(*t[:3], t[3], 0.0) for t in trades],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_thousand_books_clear_as_the_definition_says(case):
    mechanism, match, settle = CASES[case]
    traded, short = 0, 0
    for seed in range(BOOKS):
        book = _random_book(seed)
        clearing = mechanism.clear(book)
        found = list(
            zip(
                clearing.buyer.tolist(), clearing.seller.tolist(), clearing.energy_kwh.tolist(),
                clearing.price_eur_per_kwh.tolist(), clearing.fee_eur_per_kwh.tolist(), strict=True,
            )
        )  # fmt: skip
        trades = _naive_with_minimum(book, match)
        assert found == settle(trades), seed
        traded += bool(trades)
        short += len(trades) < len(match(*_orders(book)))
    # The books are worth their while: most trade, and in many the least energy shuts somebody out.
    assert traded > BOOKS / 2
    assert short > BOOKS / 5
