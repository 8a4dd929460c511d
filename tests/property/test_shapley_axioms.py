"""The axioms that single out the Shapley value, on random games, and what they mean to the money of a book.

L. S. Shapley, "A value for n-person games" (1953): efficiency, symmetry, dummy and additivity hold together for no
other division of what the community gains.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.market.protocol import OrderBook
from vpp_sim.market.shapley import Shapley, netted_kwh, sampled_netting_values, shapley_values


@st.composite
def games(draw, most=6):
    members = draw(st.integers(1, most))
    worths = draw(st.lists(st.floats(-10.0, 10.0), min_size=2**members - 1, max_size=2**members - 1))
    return np.array([0.0, *worths])


_NET = st.lists(st.one_of(st.integers(-4, 4).map(float), st.floats(-20.0, 20.0, allow_subnormal=False)), max_size=9)


@given(games())
@settings(max_examples=100, deadline=None)
def test_all_is_divided(worth):
    assert shapley_values(worth).sum() == pytest.approx(worth[-1], abs=1e-10)


@given(games(), st.integers(0, 5), st.floats(-5.0, 5.0))
@settings(max_examples=100, deadline=None)
def test_a_dummy_gets_what_it_brings_alone(worth, place, alone):
    """Put a member that adds `alone` to every coalition at `place`."""
    members = worth.size.bit_length()
    place = min(place, members - 1)
    coalitions = np.arange(2 * worth.size)
    others = (coalitions & (2**place - 1)) | (coalitions >> (place + 1) << place)
    with_dummy = worth[others] + alone * ((coalitions >> place) & 1)
    values = shapley_values(with_dummy)
    assert values[place] == pytest.approx(alone, abs=1e-10)
    assert np.delete(values, place) == pytest.approx(shapley_values(worth), abs=1e-10)


@given(games(), st.data())
@settings(max_examples=100, deadline=None)
def test_new_names_change_nothing_and_equals_get_the_same(worth, data):
    members = worth.size.bit_length() - 1
    to = np.array(data.draw(st.permutations(range(members))))
    coalitions = (np.arange(worth.size)[:, None] >> np.arange(members)) & 1
    renamed = np.empty_like(worth)
    renamed[coalitions @ (1 << to)] = worth
    assert shapley_values(renamed)[to] == pytest.approx(shapley_values(worth), abs=1e-10)
    even = (worth + renamed) / 2
    if (to[to] == np.arange(members)).all():  # Symmetric under a swap: whom it exchanges are equals.
        assert shapley_values(even)[to] == pytest.approx(shapley_values(even), abs=1e-10)


@given(st.data(), st.floats(-3.0, 3.0))
@settings(max_examples=100, deadline=None)
def test_two_games_played_at_once_pay_the_sum(data, factor):
    one = data.draw(games())
    worths = data.draw(st.lists(st.floats(-10.0, 10.0), min_size=one.size - 1, max_size=one.size - 1))
    other = np.array([0.0, *worths])
    both = shapley_values(one) + factor * shapley_values(other)
    assert shapley_values(one + factor * other) == pytest.approx(both, abs=1e-9)


@given(_NET)
@settings(max_examples=100, deadline=None)
def test_members_of_the_netting_game_get_between_nothing_and_their_energy(net_kwh):
    net_kwh = np.array(net_kwh)
    for values in (
        shapley_values(netted_kwh(net_kwh)),
        sampled_netting_values(net_kwh, pairs=3, seed=0).value,
    ):
        assert (values >= -1e-9).all()
        assert (values <= np.abs(net_kwh) + 1e-9).all()
        assert values.sum() == pytest.approx(min(net_kwh.clip(0).sum(), (-net_kwh).clip(0).sum()), abs=1e-9)


@given(_NET, st.sampled_from([0, 12]), st.floats(0.0, 0.5), st.floats(-0.2, 0.2), st.sampled_from([0.0, 0.5, 2.0]))
@settings(max_examples=150, deadline=None)
def test_pairs_pay_the_values_and_nothing_is_left_over(net_kwh, exact_to, gain, feed_in, minimum_kwh):
    net_kwh = np.array(net_kwh, dtype=float)
    buyer, seller = np.flatnonzero(net_kwh > 0), np.flatnonzero(net_kwh < 0)
    limits = np.full(buyer.size, feed_in + gain), np.full(seller.size, feed_in)
    book = OrderBook(
        buyer, net_kwh[buyer], limits[0], seller, -net_kwh[seller], limits[1], feed_in + gain, feed_in, minimum_kwh
    )
    clearing = Shapley(exact_to=exact_to, pairs=5).clear(book)
    energy_kwh = clearing.energy_kwh
    assert clearing.surplus_eur == pytest.approx(0.0, abs=1e-9)
    assert energy_kwh.size <= max(buyer.size + seller.size - 1, 0)
    assert (clearing.paid_eur_per_kwh <= feed_in + gain + 1e-9).all()
    assert (clearing.price_eur_per_kwh >= feed_in - 1e-9).all()
    bought = np.bincount(clearing.buyer, energy_kwh, net_kwh.size)
    sold = np.bincount(clearing.seller, energy_kwh, net_kwh.size)
    assert (bought <= net_kwh.clip(0) + 1e-9).all()
    assert (sold <= (-net_kwh).clip(0) + 1e-9).all()
    filled = (bought + sold)[bought + sold > 0]
    assert (filled >= minimum_kwh * (1 - 1e-6)).all()
    if not minimum_kwh:
        saved = np.bincount(clearing.buyer, energy_kwh * (feed_in + gain - clearing.paid_eur_per_kwh), net_kwh.size)
        earned = np.bincount(clearing.seller, energy_kwh * (clearing.price_eur_per_kwh - feed_in), net_kwh.size)
        payoff = np.zeros(net_kwh.size)
        payoff[np.sort(np.concatenate([buyer, seller]))] = Shapley(exact_to=exact_to, pairs=5).payoff_eur(book).value
        assert saved + earned == pytest.approx(payoff, abs=1e-9)
