"""The parts of a price: that they add up, and that each is what its cause moves, by hand arithmetic."""

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.pricing.explain import Explainer
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem
from vpp_sim.pricing.retail import ElasticQp
from vpp_sim.pricing.tariffs import PassThrough, TimeOfUse


def _problem(demand, wholesale, default=0.30, **rest):
    demand = np.atleast_2d(np.array(demand, dtype=float))
    horizon = demand.shape[1]
    return RetailProblem(
        demand_kwh=demand,
        wholesale_eur_per_kwh=np.array(wholesale, dtype=float),
        default_eur_per_kwh=np.broadcast_to(np.array(default, dtype=float), horizon).copy(),
        levies_eur_per_kwh=0.1,
        feed_in_eur_per_kwh=np.full(horizon, rest.pop("feed_in", 0.0)),
        **rest,
    )


def _explained(problem, tariff=ElasticQp, prior=None, **options):
    homes, horizon_steps = problem.demand_kwh.shape
    options = RetailOptions(**options)

    def make(options):
        return tariff(homes=homes, horizon_steps=horizon_steps, options=options)

    return Explainer(make, options, prior_elasticity=prior).explain(problem, make(options).price(problem))


@pytest.mark.parametrize("tariff", [ElasticQp, TimeOfUse, PassThrough])
@pytest.mark.parametrize("learnt", [False, True])
def test_parts_add_up_to_the_price(tariff, learnt):
    rng = np.random.default_rng(4)
    matrix = -0.3 * np.eye(6) + 0.02 * (1 - np.eye(6)) if learnt else None
    problem = _problem(rng.gamma(2.0, 1.0, (3, 6)), rng.uniform(0.0, 0.3, 6), elasticity=matrix, feed_in=0.06)
    told = _explained(problem, tariff, cap_eur_per_kwh=0.36, floor_eur_per_kwh=0.2, ramp_eur_per_kwh=0.08)
    assert np.sum(list(told.parts().values()), axis=0) == pytest.approx(told.price_eur_per_kwh, abs=1e-15)
    assert np.abs(told.wholesale_eur_per_kwh).max() > 0.01
    assert (np.abs(told.elasticity_eur_per_kwh).max() > 1e-6) == (learnt and tariff is ElasticQp)


def test_a_course_of_the_wholesale_price_is_passed_on_by_half():
    told = _explained(_problem([[1.0, 1.0]], [0.05, 0.15]), elasticity=-0.1)
    assert told.wholesale_eur_per_kwh == pytest.approx([-0.025, 0.025], abs=1e-6)
    for part in (
        told.markup_eur_per_kwh,
        told.demand_eur_per_kwh,
        told.elasticity_eur_per_kwh,
        told.limits_eur_per_kwh,
    ):
        assert part == pytest.approx([0.0, 0.0], abs=1e-6)
    assert told.text == (
        "0.2750 EUR/kWh = default 0.3000 - wholesale 0.0250",
        "0.3250 EUR/kWh = default 0.3000 + wholesale 0.0250",
    )


def test_a_course_of_demand_moves_the_level_at_which_costs_are_passed_on():
    # One home with demand (1, 3). The promise holds the mean price, weighted with demand, at the default: with demand
    # (2, 2) prices are .3 -+ .025. With (1, 3), by Lagrange, .3 + (c - mean c)/2 with the weighted mean cost, .225:
    # .2625 and .3125. The flat day has no spread at all, so of these -.0125 both features are each in part the cause:
    # wholesale (-.025 - .0375)/2 and (.025 + .0125)/2, and demand the rest.
    told = _explained(_problem([[1.0, 3.0]], [0.05, 0.15]), elasticity=-0.1)
    assert told.price_eur_per_kwh == pytest.approx([0.2625, 0.3125], abs=1e-6)
    assert told.wholesale_eur_per_kwh == pytest.approx([-0.03125, 0.01875], abs=1e-6)
    assert told.demand_eur_per_kwh == pytest.approx([-0.00625, -0.00625], abs=1e-6)


def test_the_markup_is_what_a_day_without_features_would_bear():
    # Demand 100 - 2 p at a cost of 10: p = 30 against a default of 40, on a day that has no features.
    problem = _problem([[20.0]], [9.9], default=40.0)
    told = _explained(problem, elasticity=-4.0, cap_eur_per_kwh=50.0)
    assert told.markup_eur_per_kwh == pytest.approx([-10.0], abs=1e-4)
    assert told.text == ("30.0000 EUR/kWh = default 40.0000 - markup 10.0000",)


def test_what_was_learnt_is_told_apart_from_what_was_believed():
    # Markup at e = -4 is 10 + (40/4)/2... p = (c + p_def (1 - 1/e)) / 2: 30 at e = -4, and 35 at e = -2 (both by hand).
    problem = _problem([[20.0]], [9.9], default=40.0)
    told = _explained(problem, prior=-2.0, elasticity=-4.0, cap_eur_per_kwh=90.0)
    assert told.markup_eur_per_kwh == pytest.approx([-5.0], abs=1e-4)
    assert told.elasticity_eur_per_kwh == pytest.approx([-5.0], abs=1e-4)
    matrix = _explained(replace(problem, elasticity=np.array([[-4.0]])), elasticity=-2.0, cap_eur_per_kwh=90.0)
    assert matrix.elasticity_eur_per_kwh == pytest.approx([-5.0], abs=1e-4)


def test_the_limit_that_binds_is_named_and_its_part_told():
    told = _explained(_problem([[1.0, 1.0]], [0.05, 0.15]), elasticity=-0.1, cap_eur_per_kwh=0.31)
    # What step 1 may not take, the promise leaves to step 0: .29 in place of .275.
    assert told.limit == ("promise", "cap")
    assert told.limits_eur_per_kwh == pytest.approx([0.015, -0.015], abs=1e-6)
    assert told.text[0] == "0.2900 EUR/kWh = default 0.3000 - wholesale 0.0250 + limits 0.0150 (at other steps)"
    assert told.text[1] == "0.3100 EUR/kWh = default 0.3000 + wholesale 0.0250 - limits 0.0150 (cap)"


def test_the_limit_that_holds_back_most_is_named():
    # The ramp and the cap both bind at step 1; the pressures say which of them does the work.
    problem = _problem([[1.0, 1.0, 1.0]], [0.0, 0.3, 0.0])
    pricer = ElasticQp(homes=1, horizon_steps=3, options=RetailOptions(elasticity=-0.3, ramp_eur_per_kwh=0.01))
    prices = pricer.price(problem)
    told = _explained(problem, elasticity=-0.3, ramp_eur_per_kwh=0.01)
    assert told.limit == ("promise", "ramp", "ramp")
    assert set(prices.pressure_kwh) >= {"cap", "floor", "feed-in price", "ramp", "promise"}
    assert "limits" in told.text[0]
    assert "(at other steps)" in told.text[0]


def test_a_cap_on_the_revenue_is_named_at_every_step():
    told = _explained(_problem([[1.0, 1.0]], [0.05, 0.15]), elasticity=-0.1, revenue_cap_eur_per_kwh=0.28)
    assert told.limit == ("revenue cap", "revenue cap")
    assert told.limits_eur_per_kwh == pytest.approx([-0.02, -0.02], abs=1e-5)


def test_a_fallback_is_the_default_and_says_why():
    told = _explained(_problem([[1.0, 1.0]], [0.05, 0.15], feed_in=0.7))
    assert told.price_eur_per_kwh.tolist() == [0.3, 0.3]
    why = "feed-in price exceeds cap at step 0 by 0.1 EUR/kWh"
    assert told.text[0] == f"0.3000 EUR/kWh = default 0.3000; the default tariff stands in: {why}"
    assert all(not part.any() for name, part in told.parts().items() if name != "default")
