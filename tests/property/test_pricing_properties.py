"""What holds for every retail problem: limits and promises are kept, and no allowed price does better."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vpp_sim.pricing.demand import Response, elastic_demand_kwh, surplus_change_eur
from vpp_sim.pricing.explain import Explainer
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.pricing.retail import ElasticQp, Flat, expected_profit_eur
from vpp_sim.pricing.tariffs import CriticalPeak, PassThrough, TimeOfUse

_OPTIONS = RetailOptions(cap_eur_per_kwh=0.6, floor_eur_per_kwh=0.02, elasticity=-0.3)
_KINDS = (Flat, ElasticQp, TimeOfUse, CriticalPeak, PassThrough)
_PRICERS = tuple(kind(homes=3, horizon_steps=6, options=_OPTIONS) for kind in _KINDS)
_WELFARE = ElasticQp(
    homes=3,
    horizon_steps=6,
    options=RetailOptions(cap_eur_per_kwh=0.6, floor_eur_per_kwh=0.02, elasticity=-0.3, objective="welfare"),
)


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
    flat, optimised = (pricer.price(problem).buy_eur_per_kwh for pricer in _PRICERS[:2])
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


@given(problems(), st.sampled_from(_PRICERS))
@settings(max_examples=60, deadline=None)
def test_no_tariff_is_worth_more_to_all_than_the_one_optimised_for_it(problem, pricer):
    def welfare(price):
        return expected_profit_eur(problem, price, -0.3) + surplus_change_eur(problem, price, -0.3)

    price = pricer.price(problem).buy_eur_per_kwh
    assume((elastic_demand_kwh(problem, price, -0.3) >= 0).all())  # beyond, the line of demand means nothing
    assert welfare(_WELFARE.price(problem).buy_eur_per_kwh) >= welfare(price) - 1e-4 * (1 + problem.demand_kwh.sum())


@given(problems(), arrays(float, (6, 6), elements=st.floats(-0.1, 0.1).map(lambda x: round(x, 3))))
@settings(max_examples=40, deadline=None)
def test_limits_and_promises_are_kept_whatever_the_elasticities(problem, cross):
    matrix = np.where(np.eye(6, dtype=bool), -0.3, cross)
    crossed = replace(problem, elasticity=matrix)
    prices = _PRICERS[1].price(crossed)
    assert not prices.fallback
    assert (prices.buy_eur_per_kwh >= np.maximum(0.02, problem.feed_in_eur_per_kwh) - 1e-12).all()
    bills = problem.demand_kwh @ prices.buy_eur_per_kwh
    assert (bills <= problem.demand_kwh @ problem.default_eur_per_kwh * (1 + 2e-6) + 1e-12).all()
    response = Response.of(crossed, matrix)
    demand = response.weight + response.slope @ (prices.buy_eur_per_kwh - problem.default_eur_per_kwh)
    assert demand.min() >= -1e-5


@given(problems(), st.sampled_from(_KINDS[1:]))
@settings(max_examples=20, deadline=None)
def test_the_parts_of_every_price_add_up(problem, kind):
    explainer = Explainer(lambda options: kind(homes=3, horizon_steps=6, options=options), _OPTIONS)
    prices = kind(homes=3, horizon_steps=6, options=_OPTIONS).price(problem)
    told = explainer.explain(problem, prices)
    assert np.sum(list(told.parts().values()), axis=0) == pytest.approx(prices.buy_eur_per_kwh, abs=1e-12)
