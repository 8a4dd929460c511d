"""Nodal prices where lines are at their limit to within rounding, and where orders are smaller than rounding.

Ratings are what the uniform auction makes lines carry, give or take a little; orders reach from a thousandth of a watt
hour to a megawatt hour, as in books of communities, where a home may happen to be all but balanced.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.market.accounts import filled
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.network_aware import NetworkAware
from vpp_sim.market.network_aware_limits import FeederLimits
from vpp_sim.market.network_aware_program import drawn_kwh
from vpp_sim.market.protocol import OrderBook

_NODES = 4
_PATH = np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
"""Whose draw each line carries: a feeder that forks, and a line of its own."""
_NEAR = [0.0, 1e-15, -1e-15, 1e-12, -1e-12, 1e-9, -1e-9, 1e-7, -1e-7, 1e-6, -1e-6, 1e-4, -1e-4, -0.1, -0.5, 1.0]


def _book(rng, orders, tiny, cents):
    """Draw a book: a share of orders is tiny, and prices may be whole cents, so that many are alike."""
    energy_kwh = np.where(rng.random(orders) < tiny, 10.0 ** rng.uniform(-9, -6, orders), rng.gamma(0.5, 2.0, orders))
    energy_kwh[0] = 10.0 ** rng.uniform(0, 3)
    price = rng.uniform(0.05, 0.25, orders)
    price = np.round(price, 2) if cents else price
    ids, bids = rng.permutation(orders), orders // 2
    return OrderBook(
        ids[:bids], energy_kwh[:bids], price[:bids], ids[bids:], energy_kwh[bids:], price[bids:], 0.25, 0.05,
        connection=rng.integers(0, _NODES, orders),
    )  # fmt: skip


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    book = _book(rng, draw(st.sampled_from([4, 12, 60, 300])), draw(st.sampled_from([0.0, 0.3])), draw(st.booleans()))
    free_kwh = drawn_kwh(book, book.connection, _NODES, *filled(UniformPrice().clear(book), book))
    near = np.array(draw(st.lists(st.sampled_from(_NEAR), min_size=_NODES, max_size=_NODES)))
    rating_kw = np.maximum(np.abs(_PATH @ free_kwh) * (1 + near), 1e-3)
    return book, FeederLimits(np.zeros(0), np.zeros((0, _NODES)), np.zeros(_NODES), _PATH / rating_kw[:, None])


@given(cases(), st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=300, deadline=None)
def test_fees_are_the_rent_of_limits_and_every_fill_suits_its_price(case, k):
    book, feeder = case
    cleared = NetworkAware(feeder, k=k).solve(book)
    clearing, price = cleared.clearing, cleared.node_eur_per_kwh
    assert clearing.surplus_eur >= -1e-9
    rent_eur = sum(limit.rent_eur for limit in cleared.binding)
    assert clearing.surplus_eur == pytest.approx(rent_eur, rel=1e-7, abs=1e-9)
    bought_kwh, sold_kwh = filled(clearing, book)
    if not clearing.energy_kwh.size:
        return
    rounding_kwh = 1e-9 * max(1.0, clearing.traded_kwh)
    gain_bid = book.bid_eur_per_kwh - price[book.connection[book.buyer]]
    gain_ask = price[book.connection[book.seller]] - book.ask_eur_per_kwh
    for gain, fill_kwh, order_kwh in ((gain_bid, bought_kwh, book.bid_kwh), (gain_ask, sold_kwh, book.ask_kwh)):
        more, less = (gain > 1e-9) & (fill_kwh < order_kwh - rounding_kwh), (gain < -1e-9) & (fill_kwh > rounding_kwh)
        assert not more.any()
        assert not less.any()
    limit, least = np.full(book.connection.size, np.nan), np.full(book.connection.size, np.nan)
    limit[book.buyer], least[book.seller] = book.bid_eur_per_kwh, book.ask_eur_per_kwh
    assert (clearing.paid_eur_per_kwh <= limit[clearing.buyer] + 1e-15).all()
    assert (clearing.price_eur_per_kwh >= least[clearing.seller]).all()


@given(cases(), st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=150, deadline=None)
def test_what_lines_just_carry_is_the_uniform_auction_without_fees(case, k):
    book, feeder = case
    uniform = UniformPrice().clear(book)
    free = filled(uniform, book)
    carried = np.abs(feeder.levels(drawn_kwh(book, book.connection, _NODES, *free))).max() <= 1.0
    cleared = NetworkAware(feeder if carried else None, k=k).solve(book)
    clearing = cleared.clearing
    assert cleared.binding == ()
    assert (clearing.fee_eur_per_kwh == 0.0).all()
    assert clearing.traded_kwh == pytest.approx(uniform.traded_kwh, rel=1e-12)
    for fill_kwh, other_kwh in zip(filled(clearing, book), free, strict=True):
        assert fill_kwh == pytest.approx(
            other_kwh, rel=1e-12, abs=1e-12 * max(1.0, uniform.traded_kwh) * book.buyer.size
        )
    if uniform.energy_kwh.size:
        assert clearing.market_eur_per_kwh == cleared.node_eur_per_kwh[0]
