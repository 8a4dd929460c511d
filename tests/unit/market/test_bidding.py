"""Limit prices: within the outside options, the same numbers as drawn, learnt by hand-computed steps, foreseen."""

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.market.bidding import Adaptive, BiddingStep, ForecastBased, Outlook, Truthful, ZeroIntelligence
from vpp_sim.market.clearing import NoTrade, UniformPrice
from vpp_sim.market.protocol import Clearing, OrderBook

RETAIL, FEED_IN = 0.25, 0.05
SIDES = np.array([1, -1, 0, 1, -1])


class Same:
    """A generator whose draws are all at one place of their range, so that steps can be computed by hand."""

    def __init__(self, place: float) -> None:
        self.place = place

    def uniform(self, low: float, high: float, size: object) -> np.ndarray:
        return np.full(size, low + self.place * (high - low))


def step(sides: np.ndarray = SIDES, draw: float = 0.0, hour: float = 12.0) -> BiddingStep:
    """Return what is known of a step in which all homes draw the same."""
    return BiddingStep(sides, RETAIL, FEED_IN, np.full(sides.size, draw), hour)


def book_of(limits: np.ndarray, sides: np.ndarray, kwh: np.ndarray) -> OrderBook:
    buyer, seller = np.flatnonzero(sides > 0), np.flatnonzero(sides < 0)
    return OrderBook(buyer, kwh[buyer], limits[buyer], seller, kwh[seller], limits[seller], RETAIL, FEED_IN)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sides": np.array([1, 2])}, r"sides must be a vector of -1, 0 and 1, not \[1 2\]"),
        ({"sides": np.array([1.0, -1.0])}, "sides must be a vector"),
        ({"sides": np.array([[1, -1]])}, "sides must be a vector"),
        ({"draws": np.zeros(3)}, r"draws has shape \(3,\), expected \(2,\)"),
        ({"draws": np.array([0.0, 1.0])}, "draws must lie from 0 to below 1"),
        ({"draws": np.array([-0.1, 0.0])}, "draws must lie from 0 to below 1"),
        ({"draws": np.array([np.nan, 0.0])}, "draws must lie from 0 to below 1"),
        ({"retail_eur_per_kwh": np.nan}, "outside options"),
        ({"feed_in_eur_per_kwh": np.inf}, "outside options"),
        ({"hour": -0.25}, r"hour is -0\.25, expected 0 to below 24"),
        ({"hour": 24.0}, "hour is 24, expected 0 to below 24"),
        ({"hour": np.nan}, "hour is nan"),
    ],
)
def test_what_cannot_be_known_of_a_step_is_refused(wrong: dict[str, object], message: str) -> None:
    right = BiddingStep(np.array([1, -1]), 0.25, 0.05, np.zeros(2), 23.75)
    with pytest.raises(PhysicsError, match=message):
        replace(right, **wrong)


def test_prices_lie_between_the_outside_options_of_either_sign() -> None:
    """Half of the way from -0.07 to 0.31 is 0.12; where retail is below feed-in nobody bids beyond its own."""
    known = BiddingStep(np.array([1, -1]), 0.31, -0.07, np.zeros(2), 0.0)
    np.testing.assert_allclose(known.priced(np.array([0.0, 0.5])), [-0.07, 0.12])
    assert known.within(np.array([0.4, -0.1])).tolist() == [0.31, -0.07]
    turned = replace(known, retail_eur_per_kwh=0.02, feed_in_eur_per_kwh=0.05)
    assert turned.within(np.array([0.03, 0.03])).tolist() == [0.02, 0.05]


def test_truthful_names_the_outside_option() -> None:
    limits = Truthful().limits(step(draw=0.5))
    assert limits.tolist() == [0.25, 0.05, 0.05, 0.25, 0.05]


def test_zero_intelligence_is_the_draw_between_the_outside_options_to_the_last_bit() -> None:
    draws = np.random.default_rng(0).random(1000)
    limits = ZeroIntelligence().limits(BiddingStep(np.ones(1000, dtype=int), 0.31, -0.07, draws, 0.0))
    assert (limits == -0.07 + (0.31 - -0.07) * draws).all()


@pytest.mark.parametrize("strategy", [Truthful(), ZeroIntelligence(), ForecastBased()])
def test_who_learns_nothing_bids_the_same_after_a_clearing(strategy) -> None:
    outlook = Outlook(np.array([0.1, 0.5, 0.9]), np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 4.0]))
    known = BiddingStep(SIDES, RETAIL, FEED_IN, np.full(5, 0.3), 12.0, outlook)
    before = strategy.limits(known)
    book = book_of(Truthful().limits(known), SIDES, np.ones(5))
    strategy.observe(UniformPrice().clear(book), book)
    assert strategy.limits(known).tolist() == before.tolist()


def test_adaptive_starts_with_the_drawn_margins() -> None:
    """Half of U(0.05, 0.35) is a margin of 0.2 of the spread: 0.04 EUR/kWh above feed-in, and below retail."""
    limits = Adaptive(5, Same(0.5)).limits(step())  # type: ignore[arg-type]
    np.testing.assert_allclose(limits[SIDES != 0], [0.21, 0.09, 0.21, 0.09])


def traded_at(price: float, buyers: list[int], sellers: list[int], kwh: float = 1.0, fee: float = 0.0) -> Clearing:
    one = np.ones(len(buyers))
    return Clearing(np.array(buyers), np.array(sellers), kwh * one, price * one, fee * one, price)


def test_adaptive_moves_by_hand_computed_steps() -> None:
    """Rate 0.3, momentum 0.05, shares 0.8 and 0.2, price 0.13 = share 0.4, step 0.05 x 0.5 = 0.025.

    - Filled buyer 0 named 0.8: target 0.4, drift 0.95 x 0.3 x -0.4 = -0.114; filled seller 1 named 0.2: +0.057.
    - Buyer 3, left out with 0.8, outbids itself: target 0.825, drift 0.285 x 0.025; seller 4 likewise downwards.
    """
    strategy = Adaptive(5, Same(0.5))  # type: ignore[arg-type]
    limits = strategy.limits(step(draw=0.5))
    strategy.observe(traded_at(0.13, [0], [1]), book_of(limits, SIDES, np.ones(5)))
    after = strategy.limits(step(draw=0.5))
    shares = (after - FEED_IN) / (RETAIL - FEED_IN)
    np.testing.assert_allclose(shares[SIDES != 0], [0.686, 0.257, 0.807125, 0.192875])
    # The second step adds 0.05 of the first one's drift.
    strategy.observe(traded_at(0.13, [0], [1]), book_of(after, SIDES, np.ones(5)))
    again = strategy.limits(step(draw=0.5))
    assert (again[1] - FEED_IN) / (RETAIL - FEED_IN) == pytest.approx(0.257 + 0.285 * 0.143 + 0.05 * 0.057)


def test_adaptive_gives_way_when_left_out_for_its_price() -> None:
    """Price 0.07 = share 0.1: seller 4 named 0.2 and got nothing; target 0.1 - 0.025, drift 0.285 x -0.125."""
    strategy = Adaptive(5, Same(0.5))  # type: ignore[arg-type]
    limits = strategy.limits(step(draw=0.5))
    strategy.observe(traded_at(0.07, [0], [1]), book_of(limits, SIDES, np.ones(5)))
    after = strategy.limits(step(draw=0.5))
    assert (after[4] - limits[4]) / (RETAIL - FEED_IN) == pytest.approx(-0.285 * 0.125)
    assert after[1] == limits[1]  # filled, and had named more than the price: nothing to gain


def test_adaptive_buyers_learn_from_the_price_with_its_fee() -> None:
    strategy, dear = Adaptive(5, Same(0.5)), Adaptive(5, Same(0.5))  # type: ignore[arg-type]
    for one, clearing in ((strategy, traded_at(0.13, [0], [1])), (dear, traded_at(0.09, [0], [1], fee=0.04))):
        limits = one.limits(step(draw=0.5))
        one.observe(clearing, book_of(limits, SIDES, np.ones(5)))
    first, second = (one.limits(step()) for one in (strategy, dear))
    assert second[0] == pytest.approx(first[0])
    assert second[1] < first[1]


def test_adaptive_counts_an_order_as_filled_from_half_of_it_on() -> None:
    """Of 4 kWh wanted, 1.9 were bought: not filled, so the limit does not fall towards the price."""
    for kwh, moves in ((1.9, False), (2.0, True)):
        strategy = Adaptive(5, Same(0.5))  # type: ignore[arg-type]
        limits = strategy.limits(step())
        strategy.observe(traded_at(0.13, [0], [1], kwh), book_of(limits, SIDES, np.full(5, 4.0)))
        assert (strategy.limits(step())[0] < limits[0]) == moves


def test_adaptive_gives_way_to_the_other_side_where_nobody_traded() -> None:
    """Sellers name 0.35 of the spread, buyers 0.65: turned round by hand so that they do not meet."""
    strategy = Adaptive(2, Same(0.5))  # type: ignore[arg-type]
    sides = np.array([1, -1])
    strategy.limits(step(sides))
    apart = OrderBook(
        np.array([0]), np.ones(1), np.array([0.07]), np.array([1]), np.ones(1), np.array([0.23]), RETAIL, FEED_IN
    )
    strategy.observe(NoTrade().clear(apart), apart)
    after = strategy.limits(step(sides))
    # The best bid, share 0.1, is below the seller's 0.2, the best ask, 0.9, above the buyer's 0.8.
    np.testing.assert_allclose(
        (after - FEED_IN) / (RETAIL - FEED_IN), [0.8 + 0.285 * 0.1, 0.2 - 0.285 * 0.1], rtol=1e-12
    )


def test_adaptive_learns_nothing_without_the_other_side_or_a_spread() -> None:
    strategy = Adaptive(2, Same(0.5))  # type: ignore[arg-type]
    alone = np.array([1, 0])
    before = strategy.limits(step(alone))
    book = book_of(before, alone, np.ones(2))
    strategy.observe(NoTrade().clear(book), book)
    assert strategy.limits(step(alone)).tolist() == before.tolist()


def test_adaptive_follows_the_home_behind_a_prosumer() -> None:
    """Prosumers 0 and 1 of the book are homes 2 and 0: home 1 learns nothing."""
    strategy = Adaptive(3, Same(0.5))  # type: ignore[arg-type]
    home_of = np.array([2, 0, 1])
    sides = np.array([-1, 0, 1])
    before = strategy.limits(step(sides))
    book = book_of(before[home_of], sides[home_of], np.ones(3))
    strategy.observe(traded_at(0.13, [0], [1]), book, home_of)
    after = strategy.limits(step(sides))
    assert after[2] < before[2]
    assert after[0] > before[0]
    both = strategy.limits(step(np.array([0, 1, 0])))
    assert both[1] == pytest.approx(0.21)


def test_adaptive_learns_for_the_hour_of_the_day_alone() -> None:
    """At 12:45 what was learnt at 12:00 is known, at 11:45 and 13:00 the first share of 0.8 is still named.

    The lesson is that of the hand-computed step: 0.8 - 0.285 x 0.4 = 0.686, and the next drift there begins with it,
    0.686 + 0.285 x (0.4 - 0.686) - 0.05 x 0.114.
    """
    strategy = Adaptive(5, Same(0.5))  # type: ignore[arg-type]

    def bid(hour: float) -> float:
        return (strategy.limits(step(hour=hour))[0] - FEED_IN) / (RETAIL - FEED_IN)

    assert bid(12.0) == pytest.approx(0.8)
    learn_from = book_of(strategy.limits(step(hour=12.0)), SIDES, np.ones(5))
    strategy.observe(traded_at(0.13, [0], [1]), learn_from)
    assert [bid(hour) for hour in (11.75, 12.0, 12.75, 13.0, 0.0)] == pytest.approx([0.8, 0.686, 0.686, 0.8, 0.8])
    bid(23.75)
    strategy.observe(traded_at(0.13, [0], [1]), learn_from)
    assert [bid(23.0), bid(12.0)] == pytest.approx([0.686, 0.686])
    strategy.observe(traded_at(0.13, [0], [1]), learn_from)
    assert bid(12.5) == pytest.approx(0.686 - 0.285 * 0.286 - 0.05 * 0.114)


def test_adaptive_homes_with_one_memory_carry_what_they_learn_to_all_hours() -> None:
    strategy = Adaptive(5, Same(0.5), by_hour=False)  # type: ignore[arg-type]
    limits = strategy.limits(step(hour=12.0))
    strategy.observe(traded_at(0.13, [0], [1]), book_of(limits, SIDES, np.ones(5)))
    for hour in (0.0, 12.0, 23.75):
        assert (strategy.limits(step(hour=hour))[0] - FEED_IN) / (RETAIL - FEED_IN) == pytest.approx(0.686)


def noon_and_evening(by_hour: bool) -> list[float]:
    """Return the mean share paid at noon and in the evening, the last third of 300 days.

    At noon 40 homes sell and 20 buy, in the evening 20 of the sellers buy as well, and 20 sell.
    """
    rng, shares = np.random.default_rng(5), np.full((300, 2), np.nan)
    strategy = Adaptive(60, rng, by_hour=by_hour)
    for day in range(300):
        for at, (hour, buyers) in enumerate(((12.0, 20), (20.0, 40))):
            sides = np.where(np.arange(60) < buyers, 1, -1)
            limits = strategy.limits(BiddingStep(sides, RETAIL, FEED_IN, rng.random(60), hour))
            book = book_of(limits, sides, np.ones(60))
            clearing = UniformPrice().clear(book)
            strategy.observe(clearing, book)
            if clearing.traded_kwh:
                shares[day, at] = (clearing.price_eur_per_kwh.mean() - FEED_IN) / (RETAIL - FEED_IN)
    return np.nanmean(shares[200:], axis=0).tolist()


def test_by_hour_homes_find_the_price_of_scarce_and_of_ample_hours() -> None:
    """Competitive prices are the feed-in price at noon and the retail price in the evening (shares 0 and 1).

    With one memory, buyers name at noon what they must in the evening, 1, and sellers in the evening what they must at
    noon, 0: the auction's price is halfway between the two, always.
    """
    noon, evening = noon_and_evening(by_hour=True)
    assert noon < 0.1
    assert evening > 0.9
    assert noon_and_evening(by_hour=False) == pytest.approx([0.5, 0.5], abs=0.05)


@pytest.mark.parametrize(("buyers", "low", "high"), [(50, 0.9, 1.0), (30, 0.2, 0.8), (10, 0.0, 0.1)])
def test_adaptive_homes_find_the_competitive_price_and_trade_all_there_is(buyers: int, low: float, high: float) -> None:
    """Of 60 equal orders the scarcer side is served whole, at the price at which its rivals give up.

    That is the competitive equilibrium, to which zero-intelligence-plus traders converge (Cliff, 1997): the retail
    price (share 1) with too many buyers, the feed-in price (0) with too many sellers, anything between if even. At the
    beginning nobody meets: sellers name almost the retail price, buyers almost the feed-in price.
    """
    rng = np.random.default_rng(5)
    strategy, sides = Adaptive(60, rng), np.where(np.arange(60) < buyers, 1, -1)
    strategy._share[:] = strategy._share[:, ::-1].copy()
    traded, prices = [], []
    for _ in range(300):
        limits = strategy.limits(BiddingStep(sides, RETAIL, FEED_IN, rng.random(60), 12.0))
        book = book_of(limits, sides, np.ones(60))
        clearing = UniformPrice().clear(book)
        strategy.observe(clearing, book)
        traded.append(clearing.traded_kwh / min(buyers, 60 - buyers))
        prices.append((clearing.market_eur_per_kwh - FEED_IN) / (RETAIL - FEED_IN))
    assert traded[0] == 0.0
    assert np.mean(traded[-100:]) > 0.95
    assert low <= np.mean(prices[-100:]) <= high


def test_the_same_seeds_bid_the_same() -> None:
    def run() -> list[float]:
        strategy, draws = Adaptive(5, np.random.default_rng(3)), np.random.default_rng(4)
        for _ in range(5):
            limits = strategy.limits(BiddingStep(SIDES, RETAIL, FEED_IN, draws.random(5), 12.0))
            book = book_of(limits, SIDES, np.ones(5))
            strategy.observe(UniformPrice().clear(book), book)
        return limits.tolist()

    assert run() == run()


def test_the_fleet_must_stay_the_same_size() -> None:
    with pytest.raises(PhysicsError, match=r"draws has shape \(5,\), expected \(3,\)"):
        Adaptive(3, np.random.default_rng(0)).limits(step())


def foreseen(sides: np.ndarray, outlook: Outlook, retail: float = RETAIL, feed_in: float = FEED_IN) -> BiddingStep:
    return BiddingStep(sides, retail, feed_in, np.zeros(sides.size), 12.0, outlook)


def test_foreseen_prices_are_quantiles_over_supply_and_demand() -> None:
    """Demand 10 for sure; supply 0, 5 or 20 with chances 0.25, 0.5, 0.25: the price is 0.25, 0.15 or 0.05.

    Edges between the levels 0.1, 0.4 and 0.9 lie at 0.25 and 0.65: chances 0.25, 0.40, 0.35.
    """
    outlook = Outlook(np.array([0.1, 0.4, 0.9]), np.full(3, 10.0), np.array([0.0, 5.0, 20.0]))
    sides = np.array([1, -1])

    def limits(confidence: float) -> list[float]:
        return ForecastBased(confidence).limits(foreseen(sides, outlook)).tolist()

    assert limits(0.5) == pytest.approx([0.15, 0.15])
    assert limits(0.7) == pytest.approx([0.15, 0.05])  # the price is at or below 0.15 with chance 0.75
    assert limits(0.76) == pytest.approx([0.25, 0.05])
    assert limits(1.0) == pytest.approx([0.25, 0.05])


def test_foreseen_prices_hold_without_demand_or_supply_and_for_negative_feed_in() -> None:
    sides, none = np.array([1, -1]), np.zeros(1)
    half, ten = np.array([0.5]), np.array([10.0])

    def limits(demand: np.ndarray, supply: np.ndarray, feed_in: float) -> list[float]:
        return ForecastBased().limits(foreseen(sides, Outlook(half, demand, supply), feed_in=feed_in)).tolist()

    assert limits(none, ten, 0.05) == pytest.approx([0.05, 0.05])
    assert limits(none, none, 0.05) == pytest.approx([0.25, 0.25])
    assert limits(ten, ten / 2, -0.05) == pytest.approx([0.10, 0.10])


def test_sure_prices_are_the_same_number_on_both_sides_and_cross() -> None:
    """0.25 - 0.2 is not 0.05 and 0.05 + 0.2 is not 0.25 in binary; a bid must not miss an ask by that."""
    sides, ten = np.array([1, -1]), np.array([10.0])
    for retail, feed_in in ((0.25, 0.05), (0.3, 0.1), (0.31, -0.07), (0.22, 0.03)):
        for supply in (0.0, 20.0):
            outlook = Outlook(np.array([0.5]), ten, np.array([supply]))
            bid, ask = ForecastBased().limits(foreseen(sides, outlook, retail, feed_in))
            assert bid >= ask
            assert ask >= feed_in
            assert bid <= retail


def test_mistakes_are_named() -> None:
    with pytest.raises(PhysicsError, match=r"confidence is 0\.4"):
        ForecastBased(0.4)
    with pytest.raises(PhysicsError, match="need an outlook"):
        ForecastBased().limits(step())
    with pytest.raises(PhysicsError, match="levels must rise"):
        Outlook(np.array([0.5, 0.5]), np.ones(2), np.ones(2))
    with pytest.raises(PhysicsError, match="supply_kwh is negative"):
        Outlook(np.array([0.5]), np.ones(1), -np.ones(1))
