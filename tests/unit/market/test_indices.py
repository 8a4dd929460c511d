"""Indices of one clearing, each against hand arithmetic."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.clearing import MidMarketRate, NoTrade, UniformPrice
from vpp_sim.market.indices import budget_residual_eur, member_gains_eur, misreports, rationality, welfare_share
from vpp_sim.market.protocol import Clearing, OrderBook

RETAIL, FEED_IN = 0.25, 0.05


def book(bids, asks, buyer=None, seller=None, retail=RETAIL, feed_in=FEED_IN) -> OrderBook:
    """Orders as (energy, limit), bids first."""
    bid, ask = (np.array(side, dtype=float).reshape(-1, 2).T for side in (bids, asks))
    ids = np.arange(bid.shape[1] + ask.shape[1])
    buyer = ids[: bid.shape[1]] if buyer is None else np.array(buyer)
    seller = ids[bid.shape[1] :] if seller is None else np.array(seller)
    return OrderBook(buyer, *bid, seller, *ask, retail, feed_in)


def pairs(buyer, seller, kwh, price, fee) -> Clearing:
    return Clearing(np.array(buyer), np.array(seller), *(np.array(v, dtype=float) for v in (kwh, price, fee)), np.nan)


UNITS = book([(1, p) for p in (100, 90, 80, 70, 60)], [(1, p) for p in (80, 85, 95, 100, 110)], retail=110, feed_in=0)


class TestWelfare:
    def test_one_of_two_trades_makes_four_fifths(self) -> None:
        """The pairs of the textbook's unit book gain 20 and 5."""
        assert welfare_share(pairs([0], [5], [1], [90], [0]), UNITS) == pytest.approx(0.8)
        assert welfare_share(UniformPrice().clear(UNITS), UNITS) == pytest.approx(1.0)

    def test_what_orders_are_truly_worth_decides_not_what_they_say(self) -> None:
        """Worth 100 and 0 where 60 and 50 is said; the second buyer, worth 100 too, says 40 and is left out."""
        said = book([(1, 60), (1, 40)], [(2, 50)])
        true = book([(1, 100), (1, 100)], [(2, 0)])
        assert welfare_share(UniformPrice().clear(said), said) == pytest.approx(1.0)
        assert welfare_share(UniformPrice().clear(said), said, true) == pytest.approx(0.5)

    def test_nothing_to_gain_is_all_gained_and_a_loss_is_negative(self) -> None:
        assert welfare_share(NoTrade().clear(book([(1, 1)], [(1, 2)])), book([(1, 1)], [(1, 2)])) == 1.0
        gains = book([(1, 3), (1, 0)], [(1, 1), (1, 2)])
        assert welfare_share(pairs([1], [3], [1], [1], [0]), gains) == pytest.approx(-1.0)


class TestMoney:
    def test_fees_are_the_residual(self) -> None:
        assert budget_residual_eur(pairs([0, 1], [2, 2], [2, 3], [0.1, 0.1], [0.05, -0.02])) == pytest.approx(0.04)

    def test_gains_are_against_the_retailer_whatever_the_limits(self) -> None:
        """Ids out of order; buyer 7 buys 2 kWh at 0.10 + 0.02, buyer 3 one at 0.15, seller 5 sells both."""
        orders = book([(3, 0.2), (1, 0.2)], [(4, 0.1)], buyer=[7, 3], seller=[5])
        clearing = pairs([7, 3], [5, 5], [2, 1], [0.10, 0.15], [0.02, 0])
        buyer_eur, seller_eur = member_gains_eur(clearing, orders)
        np.testing.assert_allclose(buyer_eur, [2 * (0.25 - 0.12), 0.10])
        np.testing.assert_allclose(seller_eur, [2 * 0.05 + 0.10])

    def test_no_trade_gains_nothing(self) -> None:
        orders = book([(1, 0.25)], [(1, 0.05)])
        assert [gain.tolist() for gain in member_gains_eur(NoTrade().clear(orders), orders)] == [[0.0], [0.0]]

    def test_all_gains_and_the_residual_are_the_spread_of_what_was_traded(self) -> None:
        orders = book([(3, 0.2), (1, 0.2)], [(4, 0.1)])
        clearing = pairs([0, 1], [2, 2], [2, 1], [0.10, 0.15], [0.02, -0.01])
        total = sum(gain.sum() for gain in member_gains_eur(clearing, orders)) + budget_residual_eur(clearing)
        assert total == pytest.approx(3 * (RETAIL - FEED_IN))


class TestRationality:
    def test_each_kind_of_harm_is_counted_once(self) -> None:
        """Buyer 0 pays 0.22 over its 0.20 but under retail; buyer 1 pays 0.30; seller 2 gets 0.04, seller 3 0.22."""
        orders = book([(1, 0.20), (1, 0.25)], [(1, 0.05), (1, 0.21)])
        found = rationality(pairs([0, 1], [3, 2], [1, 1], [0.22, 0.04], [0, 0.26]), orders)
        assert (found.beyond_limit, found.worse_off, found.orders) == (3, 2, 4)
        assert found.community_gain_eur == pytest.approx(0.03 - 0.05 + 0.17 - 0.01)

    def test_rounding_hurts_nobody(self) -> None:
        orders = book([(1e5, 0.25)], [(1e5, 0.05)])
        found = rationality(pairs([0], [1], [1e5], [0.25 + 1e-13], [0]), orders)
        assert (found.beyond_limit, found.worse_off) == (0, 0)
        assert rationality(pairs([0], [1], [1e5], [0.25 + 1e-6], [0]), orders).worse_off == 1

    def test_the_truthful_mid_market_hurts_nobody(self) -> None:
        orders = book([(3, 0.25), (1, 0.25)], [(2, 0.05)])
        found = rationality(MidMarketRate().clear(orders), orders)
        assert (found.beyond_limit, found.worse_off) == (0, 0)
        assert found.community_gain_eur == pytest.approx(2 * 0.2)


class FirstPrice:
    """One unit for sale at no cost: the highest bid wins and pays itself; the textbook's untruthful auction."""

    def clear(self, orders: OrderBook) -> Clearing:
        wins = int(np.argmax(orders.bid_eur_per_kwh))
        kwh = min(orders.bid_kwh[wins], orders.ask_kwh[0])
        return pairs([orders.buyer[wins]], orders.seller[:1], [kwh], [orders.bid_eur_per_kwh[wins]], [0])


class SecondPrice:
    """The same auction at the second highest bid: Vickrey's, in which honesty is best."""

    def clear(self, orders: OrderBook) -> Clearing:
        wins = int(np.argmax(orders.bid_eur_per_kwh))
        second = np.sort(orders.bid_eur_per_kwh)[-2]
        return pairs([orders.buyer[wins]], orders.seller[:1], [orders.ask_kwh[0]], [second], [0])


class TestMisreports:
    AUCTION = book([(1, 5), (1, 3), (1, 2)], [(1, 0)], retail=6, feed_in=0)
    GRID = np.arange(0.0, 6.25, 0.25)

    def search(self, mechanism, members, shares=(1.0,), orders=None):
        return misreports(
            mechanism,
            self.AUCTION if orders is None else orders,
            np.array(members),
            prices_eur_per_kwh=self.GRID,
            quantity_shares=np.array(shares),
        )

    def test_the_winner_of_a_first_price_auction_bids_the_second_price(self) -> None:
        """Worth 5, it wins at 3 (the tie goes to the lower id) and gains 2; the others can gain nothing."""
        found = self.search(FirstPrice(), [0, 1, 2])
        np.testing.assert_allclose(found.gain_eur, [2, 0, 0])
        assert (found.greatest_eur, found.mean_eur) == (pytest.approx(2), pytest.approx(2 / 3))
        assert found.price_eur_per_kwh.tolist() == [3, 3, 2]

    def test_honesty_is_best_in_vickreys_auction(self) -> None:
        assert self.search(SecondPrice(), [0, 1, 2]).greatest_eur == 0

    def test_a_seller_may_ask_more(self) -> None:
        """k = 1/2 between a bid of 5 and an ask of 0: 2.5; asking 5 brings 5."""
        orders = book([(1, 5)], [(1, 0)], retail=6, feed_in=0)
        found = self.search(UniformPrice(), [1], orders=orders)
        assert found.greatest_eur == pytest.approx(2.5)
        assert found.price_eur_per_kwh.tolist() == [5]

    def test_what_was_sold_beyond_ones_own_is_bought_back_dearly(self) -> None:
        """Twice the energy sold at 2.5 each and one bought at 6: worse, so honesty stays best on that axis."""
        orders = book([(2, 5)], [(1, 0)], retail=6, feed_in=0)
        found = misreports(
            UniformPrice(), orders, np.array([1]), prices_eur_per_kwh=np.empty(0), quantity_shares=np.array([2.0])
        )
        assert found.greatest_eur == 0
        cheap = book([(2, 5)], [(1, 0)], retail=1, feed_in=0)
        found = misreports(
            UniformPrice(), cheap, np.array([1]), prices_eur_per_kwh=np.empty(0), quantity_shares=np.array([2.0])
        )
        assert found.greatest_eur == pytest.approx(2.5 - 1)  # with a retailer at 1 the extra unit earns 2.5
        assert found.quantity_share.tolist() == [2]

    def test_energy_bought_beyond_need_is_fed_in(self) -> None:
        """A buyer worth 3 who takes 2 kWh at 1.5: one is useful, one fed in at 2, so the lie gains 0.5."""
        orders = book([(1, 3)], [(2, 0)], retail=6, feed_in=2)
        found = misreports(
            UniformPrice(), orders, np.array([0]), prices_eur_per_kwh=np.empty(0), quantity_shares=np.array([2.0])
        )
        assert found.greatest_eur == pytest.approx(0.5)

    def test_selling_less_may_raise_the_price(self) -> None:
        """Two bids of 1 kWh, worth 5 and 1: 2 kWh sell at (1 + 0) / 2, 1 kWh alone at 5 / 2."""
        orders = book([(1, 5), (1, 1)], [(2, 0)], retail=6, feed_in=0)
        found = misreports(
            UniformPrice(), orders, np.array([2]), prices_eur_per_kwh=np.empty(0), quantity_shares=np.array([0.5])
        )
        assert found.greatest_eur == pytest.approx(2.5 - 1.0)

    def test_who_has_no_order_cannot_lie(self) -> None:
        with pytest.raises(PhysicsError, match="prosumer 9 has no order"):
            self.search(FirstPrice(), [9])

    def test_nobody_sampled(self) -> None:
        found = self.search(FirstPrice(), np.empty(0, dtype=np.int64))
        assert (found.greatest_eur, found.mean_eur) == (0.0, 0.0)

    def test_the_book_is_left_as_it_was(self) -> None:
        before = self.AUCTION.bid_eur_per_kwh.copy()
        self.search(FirstPrice(), [0, 3], shares=(0.5, 2.0))
        assert (before == self.AUCTION.bid_eur_per_kwh).all()
