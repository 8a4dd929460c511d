"""Deferral conserves each home's energy over every day, whatever prices and loads do, and knows no future load."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vpp_sim.demand_response.responses import SelfDemandResponse

_PRICES = st.integers(1, 25).flatmap(lambda steps: arrays(float, steps, elements=st.floats(-0.5, 1.0)))


@st.composite
def days(draw):
    prices = draw(_PRICES)
    loads = draw(arrays(float, (prices.size, 3), elements=st.floats(0.0, 20.0)))
    share, elasticity = draw(st.floats(0.0, 1.0)), draw(st.floats(-3.0, 0.0))
    return prices, loads, SelfDemandResponse(homes=3, elasticity=elasticity, flexible_share=share)


@given(days(), st.sampled_from([0.25, 1.0]))
@settings(max_examples=150, deadline=None)
def test_each_day_has_the_energy_it_would_have_had(day, step_h):
    prices, loads, response = day
    answered = np.array([response.respond(load, prices, step, step_h) for step, load in enumerate(loads)])
    assert answered.sum(axis=0) * step_h == pytest.approx(loads.sum(axis=0) * step_h, abs=1e-9)
    assert (response.deferred_kwh == 0).all()
    assert (answered >= 0).all()


@given(days(), st.data())
@settings(max_examples=100, deadline=None)
def test_prices_may_change_at_every_step(day, data):
    prices, loads, response = day
    answered = []
    for step, load in enumerate(loads):
        prices = prices.copy()
        prices[step:] = data.draw(arrays(float, prices.size - step, elements=st.floats(-0.5, 1.0)))
        answered.append(response.respond(load, prices, step, 1.0))
    assert np.sum(answered, axis=0) == pytest.approx(loads.sum(axis=0), abs=1e-9)
    assert (response.deferred_kwh == 0).all()


@given(days())
@settings(max_examples=100, deadline=None)
def test_the_account_is_never_overdrawn_and_the_rise_is_bounded(day):
    prices, loads, response = day
    highest = loads.max(axis=0)
    for step, load in enumerate(loads):
        rise = response.respond(load, prices, step, 1.0) - load
        assert (response.deferred_kwh >= 0).all()
        assert (rise <= response.flexible_share * highest + 1e-9).all()
        assert (rise >= -response.flexible_share * load - 1e-9).all()


@given(days())
@settings(max_examples=50, deadline=None)
def test_the_day_costs_no_more_than_without_a_response(day):
    prices, loads, response = day
    answered = np.array([response.respond(load, prices, step, 1.0) for step, load in enumerate(loads)])
    assert (prices @ answered <= prices @ loads + 1e-9).all()
