"""Every clearing mechanism in the registry keeps the protocol's promises."""

import numpy as np
import pytest

from vpp_sim.market.accounts import filled
from vpp_sim.market.protocol import OrderBook
from vpp_sim.registry import CLEARINGS

# They look at the community as a whole, and do not ask for limits.
WITHOUT_LIMITS = ("bill_sharing",)


def _random_book(seed: int, size: int, minimum_kwh: float = 0.0) -> OrderBook:
    rng = np.random.default_rng(seed)
    ids = rng.permutation(size).astype(np.int64)
    bids = int(rng.integers(0, size + 1))
    energy_kwh, price = rng.gamma(1.0, 2.0, size), rng.uniform(-0.05, 0.4, size).round(2)
    return OrderBook(
        ids[:bids],
        energy_kwh[:bids],
        price[:bids],
        ids[bids:],
        energy_kwh[bids:],
        price[bids:],
        0.30,
        0.06,
        minimum_kwh,
    )


@pytest.mark.parametrize("name", CLEARINGS.names)
class TestClearingMechanism:
    @pytest.fixture
    def mechanism(self, name):
        return CLEARINGS.load(name)()

    @pytest.fixture(params=range(6))
    def book(self, request):
        return _random_book(request.param, size=(0, 1, 2, 13, 100, 1000)[request.param])

    def test_same_book_same_clearing(self, mechanism, book):
        one, other = mechanism.clear(book), mechanism.clear(book)
        for field in ("buyer", "seller", "energy_kwh", "price_eur_per_kwh", "fee_eur_per_kwh"):
            assert getattr(one, field).tobytes() == getattr(other, field).tobytes()

    def test_book_is_unchanged(self, mechanism, book):
        fields = ("buyer", "bid_kwh", "bid_eur_per_kwh", "seller", "ask_kwh", "ask_eur_per_kwh")
        before = [getattr(book, field).copy() for field in fields]
        mechanism.clear(book)
        assert all((getattr(book, field) == old).all() for field, old in zip(fields, before, strict=True))

    def test_orders_are_not_overfilled(self, mechanism, book):
        bought_kwh, sold_kwh = filled(mechanism.clear(book), book)
        assert (bought_kwh <= book.bid_kwh + 1e-9).all()
        assert (sold_kwh <= book.ask_kwh + 1e-9).all()

    def test_what_buyers_pay_goes_to_sellers_and_to_the_market(self, mechanism, book):
        clearing = mechanism.clear(book)
        members = book.buyer.size + book.seller.size
        paid = np.bincount(clearing.buyer, clearing.energy_kwh * clearing.paid_eur_per_kwh, members)
        earned = np.bincount(clearing.seller, clearing.energy_kwh * clearing.price_eur_per_kwh, members)
        assert paid.sum() == pytest.approx(earned.sum() + clearing.surplus_eur, abs=1e-9)
        assert set(clearing.buyer) <= set(book.buyer)
        assert set(clearing.seller) <= set(book.seller)

    def test_nobody_trades_beyond_their_limit(self, name, mechanism, book):
        if name in WITHOUT_LIMITS:
            pytest.skip("asks for no limits")
        clearing = mechanism.clear(book)
        limit = np.zeros(book.buyer.size + book.seller.size)
        limit[book.buyer], limit[book.seller] = book.bid_eur_per_kwh, book.ask_eur_per_kwh
        assert (clearing.paid_eur_per_kwh <= limit[clearing.buyer] + 1e-12).all()
        assert (clearing.price_eur_per_kwh >= limit[clearing.seller] - 1e-12).all()

    def test_pairs_are_few_and_positive(self, mechanism, book):
        clearing = mechanism.clear(book)
        assert clearing.energy_kwh.size <= max(book.buyer.size + book.seller.size - 1, 0)
        assert (clearing.energy_kwh > 0).all()

    @pytest.mark.parametrize("minimum_kwh", [0.2, 1.0])
    def test_nobody_is_filled_with_less_than_the_least_energy(self, mechanism, minimum_kwh):
        book = _random_book(7, 60, minimum_kwh)
        for fill_kwh in filled(mechanism.clear(book), book):
            assert (fill_kwh[fill_kwh > 0] >= minimum_kwh * (1 - 1e-6)).all()

    def test_the_market_price_is_that_of_its_pairs(self, mechanism, book):
        clearing = mechanism.clear(book)
        if np.isnan(clearing.market_eur_per_kwh):
            assert np.unique(clearing.price_eur_per_kwh).size != 1
        else:
            assert (clearing.price_eur_per_kwh == clearing.market_eur_per_kwh).all()
            assert clearing.energy_kwh.size
