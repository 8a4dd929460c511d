"""What holds for every retail problem: limits and promises are kept, and no allowed price does better."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.pricing.retail import ElasticQp, Flat, expected_profit_eur

_OPTIONS = RetailOptions(cap_eur_per_kwh=0.6, floor_eur_per_kwh=0.02, elasticity=-0.3)
_PRICERS = (Flat(homes=3, horizon_steps=6, options=_OPTIONS), ElasticQp(homes=3, horizon_steps=6, options=_OPTIONS))


@st.composite
def problems(draw):
    return RetailProblem(
        demand_kwh=draw(arrays(float, (3, 6), elements=st.floats(0.0, 10.0).map(lambda x: round(x, 3)))),
        wholesale_eur_per_kwh=draw(arrays(float, 6, elements=st.floats(-0.2, 0.8))),
        default_eur_per_kwh=draw(arrays(float, 6, elements=st.floats(0.1, 0.6))),
        levies_eur_per_kwh=draw(st.floats(0.0, 0.2)),
        feed_in_eur_per_kwh=draw(arrays(float, 6, elements=st.floats(0.0, 0.1))),
    )


@given(problems(), st.sampled_from(_PRICERS))
@settings(max_examples=120, deadline=None)
def test_limits_and_promises_are_kept(problem, pricer):
    prices = pricer.price(problem)
    assert not prices.fallback
    floor = np.maximum(0.02, problem.feed_in_eur_per_kwh)
    assert (prices.buy_eur_per_kwh >= floor - 1e-12).all()
    assert (prices.buy_eur_per_kwh <= 0.6 + 1e-12).all()
    bills = problem.demand_kwh @ prices.buy_eur_per_kwh
    assert (bills <= problem.demand_kwh @ problem.default_eur_per_kwh * (1 + 2e-6) + 1e-12).all()


@given(problems())
@settings(max_examples=60, deadline=None)
def test_the_flat_price_earns_no_more_than_the_optimised_ones(problem):
    flat, optimised = (pricer.price(problem).buy_eur_per_kwh for pricer in _PRICERS)
    best = expected_profit_eur(problem, optimised, -0.3)
    assert best >= expected_profit_eur(problem, flat, -0.3) - 1e-4 * (1 + problem.demand_kwh.sum())


@given(problems())
@settings(max_examples=30, deadline=None)
def test_twice_the_homes_pay_the_same_prices(problem):
    doubled = RetailProblem(
        2 * problem.demand_kwh,
        problem.wholesale_eur_per_kwh,
        problem.default_eur_per_kwh,
        problem.levies_eur_per_kwh,
        problem.feed_in_eur_per_kwh,
    )
    one, other = (_PRICERS[1].price(case).buy_eur_per_kwh for case in (problem, doubled))
    assert one == pytest.approx(other, abs=1e-3)
