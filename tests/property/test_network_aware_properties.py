"""Nodal prices on random feeders and books: optimal, within limits, and an equilibrium at every node.

The oracle of welfare is a linear program in single orders with limits written out for each of them, by HiGHS through
SciPy; it knows no nodes, no steps of equal price, and no prices.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vpp_sim.market.accounts import filled, welfare_eur
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.network_aware_limits import FeederLimits
from vpp_sim.market.network_aware_program import drawn_kwh
from vpp_sim.market.protocol import OrderBook

_ENERGY = st.one_of(st.integers(0, 5).map(float), st.floats(0.01, 20.0))
_PRICE = st.one_of(st.integers(-1, 6).map(lambda cents: cents / 20), st.floats(-0.1, 0.4))


@st.composite
def feeders(draw):
    """Draw a radial feeder by LinDistFlow: each node hangs on an earlier one, with resistance, rating and base load."""
    nodes = draw(st.integers(2, 6))
    parent = [draw(st.integers(-1, node - 1)) for node in range(nodes)]
    path = np.zeros((nodes, nodes))
    for node in range(nodes):
        path[node, node] = 1.0
        if parent[node] >= 0:
            path[:, node] += path[:, parent[node]]
    fall_pu_per_kw = np.array(draw(st.lists(st.floats(1e-4, 5e-3), min_size=nodes, max_size=nodes)))
    rating_kw = np.array(draw(st.lists(st.floats(1.0, 30.0), min_size=nodes, max_size=nodes)))
    base_kw = np.array(draw(st.lists(st.floats(-3.0, 3.0), min_size=nodes, max_size=nodes)))
    flow = path @ base_kw
    return FeederLimits(
        voltage_pu=1.0 - path.T @ (fall_pu_per_kw * flow),
        voltage_pu_per_kw=-path.T @ (fall_pu_per_kw[:, None] * path),
        loading=flow / rating_kw,
        loading_per_kw=path / rating_kw[:, None],
        voltage_min_pu=draw(st.sampled_from([0.9, 0.97])),
    )


@st.composite
def cases(draw):
    feeder = draw(feeders())
    sides = [np.array(draw(st.lists(st.tuples(_ENERGY, _PRICE), max_size=8))).reshape(-1, 2) for _ in range(2)]
    count = len(sides[0]) + len(sides[1])
    ids = np.array(draw(st.permutations(range(count))), dtype=np.int64)
    connection = np.array(
        draw(st.lists(st.integers(0, feeder.nodes - 1), min_size=count, max_size=count)), dtype=np.int64
    )
    bids, asks = sides
    book = OrderBook(ids[: len(bids)], *bids.T, ids[len(bids) :], *asks.T, 0.4, 0.0, connection=connection)
    return feeder, book


def _best_welfare_eur(feeder, book, step_h, inside=0.0):
    place = np.concatenate([book.connection[book.buyer], book.connection[book.seller]])
    sign = np.repeat([1.0, -1.0], [book.buyer.size, book.seller.size])
    if not sign.size:
        return 0.0
    columns = feeder.per_kw[:, place] * sign / step_h
    columns = np.concatenate([columns, -columns])
    room = np.concatenate([
        np.maximum(feeder.ceiling, feeder.level) - feeder.level, feeder.level - np.minimum(feeder.floor, feeder.level)
    ])  # fmt: skip
    value = np.concatenate([book.bid_eur_per_kwh, -book.ask_eur_per_kwh])
    best = linprog(
        -value, A_ub=columns, b_ub=np.maximum(room - inside, 0.0), A_eq=sign[None], b_eq=[0.0],
        bounds=[(0.0, energy) for energy in (*book.bid_kwh, *book.ask_kwh)], method="highs",
    )  # fmt: skip
    assert best.status == 0
    return -best.fun


@given(cases(), st.sampled_from([0.25, 1.0]), st.floats(0.0, 1.0))
@settings(max_examples=80, deadline=None)
def test_trades_are_the_best_that_the_feeder_carries_and_nobody_would_rather_trade_otherwise(case, step_h, k):
    feeder, book = case
    cleared = NetworkAware(feeder, step_h=step_h, k=k).solve(book)
    clearing, price = cleared.clearing, cleared.node_eur_per_kwh
    bought_kwh, sold_kwh = filled(clearing, book)
    # Limits are kept from 1e-6 inside them.
    least_eur, most_eur = (_best_welfare_eur(feeder, book, step_h, inside) for inside in (1e-6, 0.0))
    assert least_eur - 1e-5 <= welfare_eur(clearing, book) <= most_eur + 1e-5
    net_kw = drawn_kwh(book, book.connection, feeder.nodes, bought_kwh, sold_kwh) / step_h
    level = feeder.levels(net_kw)
    assert (level <= np.maximum(feeder.ceiling, feeder.level) + 1e-7).all()
    assert (level >= np.minimum(feeder.floor, feeder.level) - 1e-7).all()
    assert (bought_kwh <= book.bid_kwh + 1e-9).all()
    assert (sold_kwh <= book.ask_kwh + 1e-9).all()
    assert clearing.energy_kwh.size <= max(book.buyer.size + book.seller.size - 1, 0)
    assert clearing.surplus_eur >= -1e-6
    if clearing.energy_kwh.size:
        at_buyer, at_seller = price[book.connection[book.buyer]], price[book.connection[book.seller]]
        # Whoever gains at its node's price is filled, whoever would lose is not.
        gains, sells = book.bid_eur_per_kwh > at_buyer + 1e-6, book.ask_eur_per_kwh < at_seller - 1e-6
        assert bought_kwh[gains] == pytest.approx(book.bid_kwh[gains], abs=1e-4)
        assert sold_kwh[sells] == pytest.approx(book.ask_kwh[sells], abs=1e-4)
        assert (bought_kwh[book.bid_eur_per_kwh < at_buyer - 1e-6] <= 1e-4).all()
        assert (sold_kwh[book.ask_eur_per_kwh > at_seller + 1e-6] <= 1e-4).all()
        limit = dict(zip(book.buyer.tolist(), book.bid_eur_per_kwh, strict=True))
        least = dict(zip(book.seller.tolist(), book.ask_eur_per_kwh, strict=True))
        pairs = zip(clearing.buyer.tolist(), clearing.paid_eur_per_kwh, strict=True)
        assert all(paid <= limit[buyer] + 1e-12 for buyer, paid in pairs)
        pairs = zip(clearing.seller.tolist(), clearing.price_eur_per_kwh, strict=True)
        assert all(received >= least[seller] - 1e-12 for seller, received in pairs)
        rents_eur = sum(limit.rent_eur for limit in cleared.binding)
        assert clearing.surplus_eur == pytest.approx(rents_eur, abs=1e-4)


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_book_may_stand_in_any_order(case, shuffler):
    feeder, book = case
    bids, asks = list(range(book.buyer.size)), list(range(book.seller.size))
    shuffler.shuffle(bids)
    shuffler.shuffle(asks)
    bids, asks = np.array(bids, dtype=int), np.array(asks, dtype=int)
    shuffled = OrderBook(
        book.buyer[bids], book.bid_kwh[bids], book.bid_eur_per_kwh[bids],
        book.seller[asks], book.ask_kwh[asks], book.ask_eur_per_kwh[asks], 0.4, 0.0, connection=book.connection,
    )  # fmt: skip
    one, other = NetworkAware(feeder).clear(book), NetworkAware(feeder).clear(shuffled)
    assert one.buyer.tolist() == other.buyer.tolist()
    assert one.seller.tolist() == other.seller.tolist()
    assert one.energy_kwh == pytest.approx(other.energy_kwh, rel=1e-9)
    assert one.paid_eur_per_kwh == pytest.approx(other.paid_eur_per_kwh, rel=1e-9, abs=1e-12)
