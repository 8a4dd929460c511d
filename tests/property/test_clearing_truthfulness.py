"""Who gains from a false report: a search over best responses, where truth is claimed and where it is not.

Limits are whole numbers from 0 to 6 and reports go in halves from -1 to 7, so that every place between, on and outside
the others' limits is tried. A member's gain is by her true limit and, where she reports more energy than she wants or
has, by her true energy.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.market.auctions import PayAsBid
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.continuous import ContinuousDoubleAuction
from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.truthful import HuangMultiUnit, McAfee, TradeReduction
from vpp_sim.market.vcg import Vcg

REPORTS = np.arange(-1.0, 7.5, 0.5)


@st.composite
def books(draw, energy):
    orders = draw(st.lists(st.tuples(energy, st.integers(0, 6).map(float)), min_size=2, max_size=7))
    bids = draw(st.integers(1, len(orders) - 1))
    ids = np.array(draw(st.permutations(range(len(orders)))), dtype=np.int64)
    energy_kwh, price = np.array(orders).T
    return OrderBook(ids[:bids], energy_kwh[:bids], price[:bids], ids[bids:], energy_kwh[bids:], price[bids:], 7.0, 0.0)


UNIT = books(st.just(1.0))
MULTI = books(st.integers(1, 5).map(float))


def _gain_eur(clearing, book, member):
    """Return what `member` gains by the true limits and energies of `book`."""
    buys, sells = clearing.buyer == member, clearing.seller == member
    bid = np.flatnonzero(book.buyer == member)
    if bid.size:
        of_use_kwh = min(clearing.energy_kwh[buys].sum(), book.bid_kwh[bid[0]])
        paid_eur = clearing.energy_kwh[buys] @ clearing.paid_eur_per_kwh[buys]
        return float(book.bid_eur_per_kwh[bid[0]] * of_use_kwh - paid_eur)
    ask = np.flatnonzero(book.seller == member)[0]
    return float(clearing.energy_kwh[sells] @ (clearing.price_eur_per_kwh[sells] - book.ask_eur_per_kwh[ask]))


def _best_lie_eur(mechanism, book, *, energies=(None,)):
    """Return the most that any member gains by a false limit, and energy if given, over the truth."""
    honest, best = mechanism.clear(book), 0.0
    for member in range(book.buyer.size + book.seller.size):
        truth = _gain_eur(honest, book, member)
        bid, ask = book.buyer == member, book.seller == member
        for report in REPORTS:
            for energy in energies:
                false = replace(
                    book,
                    bid_eur_per_kwh=np.where(bid, report, book.bid_eur_per_kwh),
                    ask_eur_per_kwh=np.where(ask, report, book.ask_eur_per_kwh),
                    bid_kwh=book.bid_kwh if energy is None else np.where(bid, energy, book.bid_kwh),
                    # Nobody can deliver more than she has.
                    ask_kwh=book.ask_kwh
                    if energy is None
                    else np.where(ask, np.minimum(energy, book.ask_kwh), book.ask_kwh),
                )
                best = max(best, _gain_eur(mechanism.clear(false), book, member) - truth)
    return best


@pytest.mark.parametrize(
    "mechanism", [Vcg(), McAfee(), TradeReduction(), HuangMultiUnit()], ids=lambda m: type(m).__name__
)
@given(book=UNIT)
@settings(max_examples=10, deadline=None)
def test_no_false_limit_pays_on_unit_books(mechanism, book):
    assert _best_lie_eur(mechanism, book) <= 1e-9


@pytest.mark.parametrize("mechanism", [Vcg(), TradeReduction(), HuangMultiUnit()], ids=lambda m: type(m).__name__)
@given(book=MULTI)
@settings(max_examples=10, deadline=None)
def test_no_false_limit_pays_with_orders_of_several_sizes(mechanism, book):
    assert _best_lie_eur(mechanism, book) <= 1e-9


@given(book=books(st.integers(1, 3).map(float)))
@settings(max_examples=10, deadline=None)
def test_no_false_energy_pays_under_vcg(book):
    assert _best_lie_eur(Vcg(), book, energies=(1.0, 2.5, 4.0)) <= 1e-9


def _market(bids, asks, bid_kwh=None, ask_kwh=None):
    bids, asks = np.array(bids, dtype=float), np.array(asks, dtype=float)
    ids = np.arange(bids.size + asks.size)
    return OrderBook(
        ids[: bids.size], np.ones(bids.size) if bid_kwh is None else np.array(bid_kwh, dtype=float), bids,
        ids[bids.size :], np.ones(asks.size) if ask_kwh is None else np.array(ask_kwh, dtype=float), asks, 7.0, 0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mechanism", "gain"),
    [
        # One bid of 6 and one ask of 0, by hand: asking 6 moves the middle from 3 to 6.
        (UniformPrice(), 3.0),
        # The bid of 6 pays 6, and nothing if it says 0.
        (PayAsBid(), 6.0),
        (PayAsBid(spread="halved"), 3.0),
        # The bid arrives first and sets the price: 6, or nothing if it says 0.
        (ContinuousDoubleAuction(), 6.0),
    ],
    ids=["uniform", "pay_as_bid", "halved", "continuous"],
)
def test_a_false_limit_pays_where_the_price_is_ones_own(mechanism, gain):
    assert _best_lie_eur(mechanism, _market([6], [0])) == pytest.approx(gain)


def test_under_mcafee_a_large_order_may_gain_from_choosing_the_case():
    # By hand. Bids 5 kWh at 5 and 5 kWh at 2, asks 2 kWh at 0, 5 kWh at 0, 3 kWh at 7. The truth matches 7 kWh, leaves
    # no bid behind, and so shuts the ask of 5 kWh out. If that asks 2.5, 5 kWh are matched, the bid of 2 and the ask of
    # 7 set the price, 4.5, and it sells 3 kWh for 13.5.
    book = _market([5, 2], [0, 0, 7], bid_kwh=[5, 5], ask_kwh=[2, 5, 3])
    assert _best_lie_eur(McAfee(), book) >= 13.5
