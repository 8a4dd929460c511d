"""No action whatever takes a battery out of its limits, and no energy is lost but by efficiency."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.devices.battery import BatteryFleet, advance, project

_power = st.floats(0.0, 1e6, allow_subnormal=False)


def _assert_feasible(fleet: BatteryFleet, charge: np.ndarray, discharge: np.ndarray) -> None:
    assert ((charge >= 0) & (charge <= fleet.power_kw)).all()
    assert ((discharge >= 0) & (discharge <= fleet.power_kw)).all()
    assert ((charge == 0) | (discharge == 0)).all()


@settings(max_examples=200, deadline=None)
@given(
    capacity=st.floats(0.0, 1e4),
    power=st.floats(0.0, 1e4),
    efficiency=st.floats(0.05, 1.0),
    window=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    start=st.floats(0.0, 1.0),
    asked=st.lists(st.tuples(_power, _power), min_size=1, max_size=12),
    step_h=st.sampled_from([1 / 60, 0.25, 0.5, 1.0, 24.0]),
)
def test_any_sequence_of_projected_actions_stays_inside(
    capacity: float,
    power: float,
    efficiency: float,
    window: tuple[float, float],
    start: float,
    asked: list[tuple[float, float]],
    step_h: float,
) -> None:
    fleet = BatteryFleet.uniform(1, capacity, power, efficiency, min_soc=min(window), max_soc=max(window))
    soc = fleet.min_kwh + start * (fleet.max_kwh - fleet.min_kwh)
    for charge_kw, discharge_kw in asked:
        charge, discharge = project(fleet, soc, np.array([charge_kw]), np.array([discharge_kw]), step_h)
        _assert_feasible(fleet, charge, discharge)
        end = advance(fleet, soc, charge, discharge, step_h)
        assert ((end >= fleet.min_kwh) & (end <= fleet.max_kwh)).all()
        balance = end - soc - (charge * fleet.charge_efficiency - discharge / fleet.discharge_efficiency) * step_h
        assert abs(balance[0]) <= 1e-9 * (1.0 + capacity)
        soc = end


def test_a_million_random_actions_never_leave_the_limits() -> None:
    rng = np.random.default_rng(2)
    n, steps = 10_000, 100
    one_way = rng.uniform(0.7, 1.0, n)
    low, high = np.sort(rng.random((2, n)), axis=0)
    fleet = BatteryFleet(rng.uniform(0.1, 20.0, n), rng.uniform(0.1, 10.0, n), one_way, one_way**0.5, low, high)
    soc = fleet.min_kwh + rng.random(n) * (fleet.max_kwh - fleet.min_kwh)
    for _ in range(steps):
        charge, discharge = project(fleet, soc, rng.exponential(4.0, n), rng.exponential(4.0, n), 0.25)
        _assert_feasible(fleet, charge, discharge)
        soc = advance(fleet, soc, charge, discharge, 0.25)
        assert ((soc >= fleet.min_kwh) & (soc <= fleet.max_kwh)).all()
    at_bound = (soc == fleet.min_kwh) | (soc == fleet.max_kwh)
    assert at_bound.mean() > 0.1, "the limits were never reached, so nothing was tried"
