"""Every retail pricer and every wholesale bidder in the registries keeps its protocol's promises."""

import numpy as np
import pytest

from tests.support.bids import position_kwh
from vpp_sim.pricing.bids import BidOptions, BidProblem, PricePaths
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.registry import RETAIL_PRICERS, WHOLESALE_BIDDERS

_HOMES, _STEPS, _FEW_STEPS = 13, 24, 3
_PRICERS = {name: RETAIL_PRICERS.load(name) for name in RETAIL_PRICERS.names}
_OPTIONS = RetailOptions(cap_eur_per_kwh=0.55, floor_eur_per_kwh=0.05, elasticity=-0.1, ramp_eur_per_kwh=0.2)


def _problem(seed: int, steps: int) -> RetailProblem:
    rng = np.random.default_rng(seed)
    default = np.full(steps, 0.30) if seed % 2 else rng.uniform(0.2, 0.4, steps)
    demand_kwh = rng.gamma(1.5, 0.5, (_HOMES, steps))
    demand_kwh[0] = 0.0
    return RetailProblem(demand_kwh, rng.normal(0.08, 0.05, steps), default, 0.12, np.full(steps, 0.06))


@pytest.mark.parametrize("name", _PRICERS)
class TestRetailPricer:
    @pytest.fixture
    def steps(self, name):
        """Integer programs take seconds a day, and keep their promises in a few steps as well."""
        return _FEW_STEPS if name.startswith("stackelberg") else _STEPS

    @pytest.fixture
    def pricer(self, name, steps):
        return _PRICERS[name](homes=_HOMES, horizon_steps=steps, options=_OPTIONS)

    @pytest.fixture(params=range(4))
    def problem(self, request, steps):
        return _problem(request.param, steps)

    def test_it_needs_no_options(self, name):
        assert _PRICERS[name](homes=2, horizon_steps=3).options == RetailOptions()

    def test_same_problem_same_prices(self, name, pricer, problem, steps):
        one = pricer.price(problem).buy_eur_per_kwh
        pricer.price(_problem(99, steps))
        again = pricer.price(problem).buy_eur_per_kwh
        fresh = _PRICERS[name](homes=_HOMES, horizon_steps=steps, options=_OPTIONS).price(problem)
        assert one.tobytes() == again.tobytes() == fresh.buy_eur_per_kwh.tobytes()

    def test_problem_is_unchanged(self, pricer, problem):
        fields = ("demand_kwh", "wholesale_eur_per_kwh", "default_eur_per_kwh", "feed_in_eur_per_kwh")
        before = [getattr(problem, field).copy() for field in fields]
        pricer.price(problem)
        assert all((getattr(problem, field) == old).all() for field, old in zip(fields, before, strict=True))

    def test_cap_floor_and_promises_hold(self, pricer, problem):
        prices = pricer.price(problem)
        assert (prices.fallback, prices.reason) == (False, "")
        assert prices.buy_eur_per_kwh.shape == problem.default_eur_per_kwh.shape
        assert ((prices.buy_eur_per_kwh >= 0.06) & (prices.buy_eur_per_kwh <= 0.55)).all()
        assert np.abs(np.diff(prices.buy_eur_per_kwh)).max() <= 0.2 + 1e-6
        bills = problem.demand_kwh @ prices.buy_eur_per_kwh
        assert (bills <= problem.demand_kwh @ problem.default_eur_per_kwh * (1 + 1e-6)).all()

    def test_a_failure_is_marked_and_leaves_the_default(self, name, pricer, problem):
        impossible = RetailProblem(
            problem.demand_kwh,
            problem.wholesale_eur_per_kwh,
            problem.default_eur_per_kwh,
            0.12,
            np.full_like(problem.default_eur_per_kwh, 0.9),
        )
        prices = pricer.price(impossible)
        if name != "default":  # the default tariff itself knows no limits that could fail
            assert prices.fallback
            assert "feed-in price exceeds cap at step 0 by 0.35 EUR/kWh" in prices.reason
        assert (prices.buy_eur_per_kwh == problem.default_eur_per_kwh).all()


@pytest.mark.parametrize("name", WHOLESALE_BIDDERS.names)
class TestWholesaleBidder:
    _LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])

    def _bid(self, name, quantiles_kwh, price=0.1, **spreads):
        prices = np.full(quantiles_kwh.shape[0], price)
        told = {"short_spread": 0.3, "long_spread": 0.2, **spreads}
        return position_kwh(WHOLESALE_BIDDERS.load(name)(), quantiles_kwh, self._LEVELS, prices, **told)

    @pytest.fixture
    def quantiles_kwh(self):
        return np.sort(np.random.default_rng(3).normal(0.0, 5.0, (24, 5)), axis=1)

    def test_same_forecast_same_bid_and_nothing_changed(self, name, quantiles_kwh):
        before = quantiles_kwh.copy()
        assert self._bid(name, quantiles_kwh).tobytes() == self._bid(name, quantiles_kwh).tobytes()
        assert (quantiles_kwh == before).all()

    def test_bids_stay_within_the_forecast(self, name, quantiles_kwh):
        bid = self._bid(name, quantiles_kwh)
        assert bid.shape == (24,)
        assert ((bid >= quantiles_kwh[:, 0]) & (bid <= quantiles_kwh[:, -1])).all()

    def test_a_sure_forecast_is_bid_as_it_is(self, name):
        assert self._bid(name, np.full((3, 5), -7.5)).tolist() == [-7.5] * 3

    def test_equal_penalties_bid_the_median(self, name, quantiles_kwh):
        bid = self._bid(name, quantiles_kwh, short_spread=0.2, long_spread=0.2)
        if name == "cvar":  # averse to days that draw much, at whatever price: it buys more
            assert (bid >= quantiles_kwh[:, 2] - 1e-6).all()
        else:
            assert bid == pytest.approx(quantiles_kwh[:, 2])

    def test_its_decision_is_its_bid(self, name, quantiles_kwh):
        prices = PricePaths.of_spreads(np.full(24, 0.1), short_spread=0.3, long_spread=0.2)
        decision = WHOLESALE_BIDDERS.load(name).of(BidOptions()).decide(BidProblem(quantiles_kwh, self._LEVELS, prices))
        assert decision.position_kwh == pytest.approx(self._bid(name, quantiles_kwh), abs=1e-9)
        assert (decision.fallback, decision.reason) == (False, "")
