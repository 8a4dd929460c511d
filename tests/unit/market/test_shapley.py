"""Shapley values: games with published or hand-made values, the netting game, and what its trades pay.

The community of three (one home with 10 kWh to sell, two that want 6 and 8 kWh, at 0.25 and 0.05 EUR/kWh) by hand: in
the six orders of arrival the seller adds 0, 6, 8, 10, 10 and 0 netted kWh in the mean 17/3, the first buyer 5/3 and
the second 8/3; times 0.20 EUR/kWh that is 1.1333, 0.3333 and 0.5333 EUR, together 2.
"""

from itertools import permutations
from math import comb

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.accounts import blended_prices, filled
from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.shapley import Shapley, netted_kwh, sampled_netting_values, shapley_values


def _book(net_kwh, retail=0.25, feed_in=0.05, **more):
    """Build a truthful book from each prosumer's net energy."""
    net_kwh = np.array(net_kwh, dtype=float)
    buyer, seller = np.flatnonzero(net_kwh > 0), np.flatnonzero(net_kwh < 0)
    return OrderBook(
        buyer, net_kwh[buyer], np.full(buyer.size, retail),
        seller, -net_kwh[seller], np.full(seller.size, feed_in),
        retail, feed_in, **more,
    )  # fmt: skip


def _gains_eur(clearing, book):
    """Return what each prosumer gains over the retailer, from the money that moves."""
    prosumers = book.buyer.size + book.seller.size
    saved = clearing.energy_kwh * (book.retail_eur_per_kwh - clearing.paid_eur_per_kwh)
    earned = clearing.energy_kwh * (clearing.price_eur_per_kwh - book.feed_in_eur_per_kwh)
    return np.bincount(clearing.buyer, saved, prosumers) + np.bincount(clearing.seller, earned, prosumers)


def _by_permutations(worth, members):
    """Return Shapley values from their first definition: the mean over all orders of arrival."""
    values, orders = np.zeros(members), list(permutations(range(members)))
    for order in orders:
        there = 0
        for member in order:
            values[member] += worth[there | 1 << member] - worth[there]
            there |= 1 << member
    return values / len(orders)


def _voting_game(members, wins):
    there = (np.arange(2**members)[:, None] >> np.arange(members)) & 1
    return wins(there).astype(float)


def test_glove_market():
    # Shapley and Shubik, Journal of Political Economy 77 (1969) 337-362: one left glove, two right ones.
    worth = _voting_game(3, lambda there: (there[:, 0] == 1) & (there[:, 1:].sum(axis=1) > 0))
    assert shapley_values(worth) == pytest.approx([2 / 3, 1 / 6, 1 / 6], abs=1e-15)


def test_the_security_council():
    # Shapley and Shubik, American Political Science Review 48 (1954) 787-792, for today's 15 seats: nine votes and no
    # veto. One of the ten others decides where it is the ninth, after all five permanent ones and three of nine.
    worth = _voting_game(15, lambda there: there[:, :5].all(axis=1) & (there.sum(axis=1) >= 9))
    other = comb(9, 3) / (15 * comb(14, 8))
    values = shapley_values(worth)
    assert values[5:] == pytest.approx(np.full(10, other), abs=1e-12)
    assert values[:5] == pytest.approx(np.full(5, (1 - 10 * other) / 5), abs=1e-12)
    assert (values[0].round(4), values[5].round(6)) == (0.1963, 0.001865)


def test_the_airport_game():
    # Littlechild and Owen, Management Science 20 (1973) 370-372: each part of the runway is shared by those who need
    # it; for planes that need 1, 2 and 4: 1/3, 1/3 + 1/2, 1/3 + 1/2 + 2.
    there = (np.arange(8)[:, None] >> np.arange(3)) & 1
    worth = (there * np.array([1.0, 2.0, 4.0])).max(axis=1)
    assert shapley_values(worth) == pytest.approx([1 / 3, 5 / 6, 17 / 6], abs=1e-15)


@pytest.mark.parametrize("members", [0, 1, 2, 5, 7])
def test_coalitions_and_orders_of_arrival_give_the_same_values(members):
    worth = np.random.default_rng(members).normal(size=2**members)
    worth[0] = 0.0
    assert shapley_values(worth) == pytest.approx(_by_permutations(worth, members), abs=1e-12)


@pytest.mark.parametrize(
    ("worth", "message"),
    [
        (np.zeros(3), r"worth has shape \(3,\), expected \(2\*\*n,\)"),
        (np.array([1.0, 2.0]), "the coalition of nobody is worth 1, expected 0"),
        (np.array([0.0, np.nan]), "worth has 1 values that are not finite"),
    ],
)
def test_worths_that_are_no_game_are_refused(worth, message):
    with pytest.raises(PhysicsError, match=message):
        shapley_values(worth)


def test_three_homes_by_hand():
    book = _book([-10.0, 6.0, 8.0])
    assert Shapley().payoff_eur(book).value == pytest.approx([17 / 15, 1 / 3, 8 / 15], abs=1e-14)
    clearing = Shapley().clear(book)
    assert _gains_eur(clearing, book) == pytest.approx([17 / 15, 1 / 3, 8 / 15], abs=1e-14)
    assert (clearing.traded_kwh, clearing.energy_kwh.size) == (pytest.approx(10.0), 2)
    assert clearing.surplus_eur == pytest.approx(0.0, abs=1e-15)
    # The seller is paid 0.05 + 1.1333 / 10. Buyers are filled with 5/3 and 8/3 first, and then share the other 17/3 by
    # the 13/3 and 16/3 that they still want.
    assert clearing.price_eur_per_kwh == pytest.approx([0.05 + 17 / 150] * 2)
    assert clearing.energy_kwh == pytest.approx([5 / 3 + 221 / 87, 8 / 3 + 272 / 87])
    assert clearing.market_eur_per_kwh == clearing.price_eur_per_kwh[0]


def test_bills_are_those_of_the_retailer_less_the_values():
    book = _book([-10.0, 6.0, 8.0, -1.0, 0.5])
    buy, sell = blended_prices(Shapley().clear(book), book)
    values = Shapley().payoff_eur(book).value
    assert 0.25 * book.bid_kwh - buy * book.bid_kwh == pytest.approx(values[book.buyer], abs=1e-12)
    assert sell * book.ask_kwh - 0.05 * book.ask_kwh == pytest.approx(values[book.seller], abs=1e-12)


def test_a_seller_among_few_buyers_gets_little():
    # Two sellers of 5 kWh for a buyer of 5: glove market, 2/3 to the buyer, 1/6 to each seller.
    book = _book([5.0, -5.0, -5.0], retail=1.0, feed_in=0.0)
    assert Shapley().payoff_eur(book).value == pytest.approx([10 / 3, 5 / 6, 5 / 6])


@pytest.mark.parametrize("exact_to", [0, 12])
def test_nobody_is_beyond_the_retailers_prices_in_any_pair(exact_to):
    rng = np.random.default_rng(5)
    for _ in range(30):
        book = _book(rng.normal(rng.normal(), 1.0, 11))
        clearing = Shapley(exact_to=exact_to, pairs=50).clear(book)
        paid, received = clearing.paid_eur_per_kwh, clearing.price_eur_per_kwh
        assert ((paid >= 0.05 - 1e-12) & (paid <= 0.25)).all()
        assert ((received >= 0.05) & (received <= 0.25 + 1e-12)).all()


@pytest.mark.parametrize(("retail", "feed_in"), [(0.05, 0.25), (0.1, 0.1)])
def test_nothing_to_share_where_feeding_in_pays_no_less_than_retail(retail, feed_in):
    book = _book([-10.0, 6.0, 8.0], retail=retail, feed_in=feed_in)
    assert Shapley().clear(book).traded_kwh == 0.0
    assert (Shapley().payoff_eur(book).value == 0).all()


def test_negative_prices_share_the_same_gain():
    book = _book([-10.0, 6.0, 8.0], retail=0.1, feed_in=-0.1)
    assert _gains_eur(Shapley().clear(book), book) == pytest.approx([17 / 15, 1 / 3, 8 / 15])


@pytest.mark.parametrize("net_kwh", [[], [1.0, 2.0], [-1.0], [-1.0, -3.0, -2.0]])
@pytest.mark.parametrize("minimum_kwh", [0.0, 1.0])
def test_one_side_alone_does_not_trade(net_kwh, minimum_kwh):
    clearing = Shapley().clear(_book(net_kwh, minimum_kwh=minimum_kwh))
    assert clearing.energy_kwh.size == 0
    assert np.isnan(clearing.market_eur_per_kwh)


def test_orders_of_nothing_are_left_out():
    book = OrderBook(
        np.array([4, 1]), np.array([0.0, 6.0]), np.array([0.25, 0.25]),
        np.array([0, 3]), np.array([10.0, 0.0]), np.array([0.05, 0.05]), 0.25, 0.05,
    )  # fmt: skip
    clearing = Shapley().clear(book)
    assert (clearing.buyer.tolist(), clearing.seller.tolist(), clearing.energy_kwh.tolist()) == ([1], [0], [6.0])
    assert Shapley().payoff_eur(book).value == pytest.approx([0.6, 0.6, 0.0, 0.0])


def test_orders_below_the_minimum_leave_and_the_others_share_what_they_leave():
    # One kWh for ten homes is 0.1 kWh each, less than 0.2: those with the higher ids leave, five and then none.
    book = _book([-1.0] + [1.0] * 10, minimum_kwh=0.2)
    clearing = Shapley().clear(book)
    assert clearing.buyer.tolist() == [1, 2, 3, 4, 5]
    assert clearing.energy_kwh == pytest.approx([0.2] * 5)
    assert _gains_eur(clearing, book)[1:6] == pytest.approx(shapley_values(netted_kwh(book_net(5)))[1:] * 0.2)


def book_net(buyers):
    return np.array([-1.0] + [1.0] * buyers)


def test_the_minimum_spares_orders_that_are_filled_with_it():
    assert Shapley().clear(_book([-1.0, 1.0], minimum_kwh=1.0)).traded_kwh == 1.0
    assert Shapley().clear(_book([-1.0, 2.0], minimum_kwh=1.1)).traded_kwh == 0.0


def test_sampled_values_agree_with_exact_ones_within_their_error():
    rng = np.random.default_rng(11)
    scores = []
    for seed in range(40):
        net_kwh = rng.normal(0.0, 2.0, 10)
        # A little more demand than sun: nobody's contribution hangs on orders that 400 pairs may not contain.
        net_kwh += 0.3 - net_kwh.mean()
        estimate = sampled_netting_values(net_kwh, pairs=400, seed=seed)
        exact = shapley_values(netted_kwh(net_kwh))
        scores.append((estimate.value - exact) / estimate.standard_error)
    scores = np.concatenate(scores)
    # Nearly normal scores: mean 0 and deviation 1; the bounds are four of their standard errors.
    assert abs(scores.mean()) < 4 / np.sqrt(scores.size)
    assert abs(scores.std() - 1) < 4 / np.sqrt(2 * scores.size)


def test_a_balanced_community_shares_by_halves_and_two_pairs_show_it():
    # Whatever a member adds forwards and backwards is its own energy if the community is balanced: half of it each.
    net_kwh = np.random.default_rng(6).normal(0.0, 2.0, 50)
    net_kwh -= net_kwh.mean()
    estimate = sampled_netting_values(net_kwh, pairs=2, seed=0)
    assert estimate.value == pytest.approx(np.abs(net_kwh) / 2, rel=1e-9)
    assert estimate.standard_error.max() < 1e-12
    assert shapley_values(netted_kwh(np.array([3.0, -1.0, -2.0]))) == pytest.approx([1.5, 0.5, 1.0])


def test_errors_fall_with_the_root_of_the_draws():
    net_kwh = np.random.default_rng(3).normal(0.3, 2.0, 12)
    exact = shapley_values(netted_kwh(net_kwh))

    def error_kwh(pairs):
        found = [sampled_netting_values(net_kwh, pairs=pairs, seed=seed) for seed in range(200)]
        true = np.sqrt(np.mean([(one.value - exact) ** 2 for one in found]))
        return true, np.sqrt(np.mean([one.standard_error**2 for one in found]))

    few, many = error_kwh(50), error_kwh(800)
    assert few[0] / many[0] == pytest.approx(4.0, rel=0.15)
    assert few[1] / many[1] == pytest.approx(4.0, rel=0.03)
    assert few[0] == pytest.approx(few[1], rel=0.1)


def test_a_reversed_order_helps():
    # The same count of orders of arrival without their reverses: the standard error of a plain mean.
    net_kwh = np.random.default_rng(3).normal(0.3, 2.0, 12)
    rng, added = np.random.default_rng(0), []
    worth = netted_kwh(net_kwh)
    for _ in range(800):
        order = rng.permutation(12)
        after = worth[np.cumsum(1 << order)]
        row = np.empty(12)
        row[order] = np.diff(after, prepend=0.0)
        added.append(row)
    plain = np.std(added, axis=0, ddof=1) / np.sqrt(800)
    paired = sampled_netting_values(net_kwh, pairs=400, seed=0).standard_error
    assert np.sqrt((paired**2).mean()) < 0.9 * np.sqrt((plain**2).mean())


def test_sampled_values_add_up_and_are_equal_for_equals():
    net_kwh = np.tile([3.0, -1.0, 0.5, 0.0, -4.0], 60)
    estimate = sampled_netting_values(net_kwh, pairs=30, seed=2)
    assert estimate.value.sum() == pytest.approx(210.0, rel=1e-14)
    assert np.unique(estimate.value).size == 5
    assert (estimate.value[3], estimate.standard_error[3]) == (0.0, 0.0)


def test_large_books_do_not_depend_on_their_order_and_repeat():
    rng = np.random.default_rng(8)
    book = _book(rng.normal(0.0, 1.0, 300))
    mixed = rng.permutation(book.buyer.size)
    other = OrderBook(
        book.buyer[mixed], book.bid_kwh[mixed], book.bid_eur_per_kwh[mixed],
        book.seller[::-1], book.ask_kwh[::-1], book.ask_eur_per_kwh[::-1], 0.25, 0.05,
    )  # fmt: skip
    one, two = Shapley().clear(book), Shapley().clear(other)
    for field in ("buyer", "seller", "energy_kwh", "price_eur_per_kwh", "fee_eur_per_kwh"):
        assert getattr(one, field).tobytes() == getattr(two, field).tobytes()
    assert Shapley(seed=1).clear(book).price_eur_per_kwh.tolist() != one.price_eur_per_kwh.tolist()
    assert abs(one.surplus_eur) < 1e-12
    assert one.energy_kwh.size <= 299
    assert all(
        (got <= order + 1e-12).all() for got, order in zip(filled(one, book), (book.bid_kwh, book.ask_kwh), strict=True)
    )


def test_draws_in_chunks_are_those_of_one_piece(monkeypatch):
    net_kwh = np.random.default_rng(4).normal(size=40)
    whole = sampled_netting_values(net_kwh, pairs=100, seed=5)
    monkeypatch.setattr("vpp_sim.market.shapley._CHUNK", 7 * 40)
    parts = sampled_netting_values(net_kwh, pairs=100, seed=5)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"exact_to": 17}, r"exact_to is 17, expected 0\.\.16"), ({"pairs": 1}, "pairs is 1, expected at least 2")],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(PhysicsError, match=message):
        Shapley(**options)
