"""Every bidding strategy in the registry keeps the protocol's promises, whatever it learns."""

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.arrays import FloatArray
from vpp_sim.market.bidding import BiddingStep, BiddingStrategy, Outlook
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.protocol import OrderBook
from vpp_sim.registry import BIDDING_STRATEGIES

HOMES, STEPS = 12, 60


def _steps(seed: int) -> list[BiddingStep]:
    """Return two and a half days of hours, in which prices of either sign move and homes change sides."""
    rng = np.random.default_rng(seed)
    levels = np.array([0.1, 0.5, 0.9])
    return [
        BiddingStep(
            rng.integers(-1, 2, HOMES),
            *sorted(rng.uniform(-0.1, 0.4, 2), reverse=True),
            draws=rng.random(HOMES),
            hour=float(hour % 24),
            outlook=Outlook(levels, rng.random(3).cumsum(), rng.random(3).cumsum()),
        )
        for hour in range(STEPS)
    ]


def _learn(strategy: BiddingStrategy, step: BiddingStep, limits: FloatArray, home_of: np.ndarray | None) -> None:
    order = np.arange(HOMES) if home_of is None else home_of
    sides, limit = step.sides[order], limits[order]
    buyer, seller = np.flatnonzero(sides > 0), np.flatnonzero(sides < 0)
    book = OrderBook(
        buyer, np.ones(buyer.size), limit[buyer], seller, np.ones(seller.size), limit[seller],
        step.retail_eur_per_kwh, step.feed_in_eur_per_kwh,
    )  # fmt: skip
    strategy.observe(UniformPrice().clear(book), book, home_of)


def _run(name: str, steps: list[BiddingStep], home_of: np.ndarray | None = None) -> FloatArray:
    strategy = BIDDING_STRATEGIES.load(name).of(homes=HOMES, rng=np.random.default_rng(9))
    said = []
    for step in steps:
        said.append(strategy.limits(step))
        _learn(strategy, step, said[-1], home_of)
    return np.array(said)


@pytest.mark.parametrize("name", BIDDING_STRATEGIES.names)
class TestBiddingStrategy:
    def test_same_seed_same_limits(self, name: str) -> None:
        assert _run(name, _steps(0)).tobytes() == _run(name, _steps(0)).tobytes()

    def test_nobody_bids_beyond_the_outside_option(self, name: str) -> None:
        for step, limits in zip(_steps(1), _run(name, _steps(1)), strict=True):
            assert limits.shape == (HOMES,)
            assert (limits <= step.retail_eur_per_kwh + 1e-12).all()
            assert (limits >= step.feed_in_eur_per_kwh - 1e-12).all()

    def test_steps_are_left_as_they_were(self, name: str) -> None:
        steps = _steps(2)
        before = [(step.sides.copy(), step.draws.copy()) for step in steps]
        _run(name, steps)
        for step, (sides, draws) in zip(steps, before, strict=True):
            assert (step.sides == sides).all()
            assert (step.draws == draws).all()

    def test_what_one_home_draws_is_nothing_to_the_others(self, name: str) -> None:
        """Before any clearing, so that no market stands between them."""
        step = _steps(3)[0]
        moved = replace(step, draws=np.where(np.arange(HOMES) == 4, 0.999 - step.draws, step.draws))
        one, other = (
            BIDDING_STRATEGIES.load(name).of(homes=HOMES, rng=np.random.default_rng(9)).limits(said)
            for said in (step, moved)
        )
        others = np.arange(HOMES) != 4
        assert (one[others] == other[others]).all()

    def test_limits_move_with_prices_as_money_does(self, name: str) -> None:
        """Twice all prices, or cents for euros, is twice all limits, before and after lessons."""
        steps = _steps(4)
        dear = [
            replace(
                step,
                retail_eur_per_kwh=2 * step.retail_eur_per_kwh,
                feed_in_eur_per_kwh=2 * step.feed_in_eur_per_kwh,
            )
            for step in steps
        ]
        np.testing.assert_allclose(_run(name, dear), 2 * _run(name, steps), rtol=1e-9, atol=1e-12)

    def test_homes_learn_the_same_in_whatever_order_they_arrive(self, name: str) -> None:
        turned = np.arange(HOMES)[::-1]
        np.testing.assert_allclose(_run(name, _steps(5), turned), _run(name, _steps(5)), rtol=1e-9, atol=1e-12)
