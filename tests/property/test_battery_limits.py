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


def _fleet(rng: np.random.Generator, n: int) -> BatteryFleet:
    """Return n batteries of every kind: losses of their own each way, self-discharge, inverters, no capacity."""
    low, high = np.sort(rng.random((2, n)), axis=0)
    return BatteryFleet(
        capacity_kwh=rng.choice([0.0, 1e-3, 6.4, 1e4], n) * rng.random(n),
        power_kw=rng.choice([0.0, 1e-3, 5.0, 1e4], n) * rng.random(n),
        charge_efficiency=rng.uniform(0.05, 1.0, n),
        discharge_efficiency=rng.uniform(0.05, 1.0, n),
        min_soc=low,
        max_soc=high,
        self_discharge_per_month=rng.choice([0.0, 0.02, 0.9], n),
        inverter_kw=rng.choice([np.inf, 0.0, 2.0], n) + rng.random(n),
        hybrid=rng.random(n) < 0.5,
    )


def _wild_kw(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return asks from nothing to the largest numbers there are."""
    return rng.choice([0.0, 5e-324, 1e-12, 1.0, 10.0, 1e9, 1e300], n) * rng.exponential(1.0, n)


def test_a_million_random_actions_and_states_break_no_limit() -> None:
    """Each of 100 x 10,000 asks meets a new state; half of them go on where the one before ended."""
    rng = np.random.default_rng(2)
    n, touched, sunk = 10_000, 0, 0
    for _ in range(10):
        fleet = _fleet(rng, n)
        kept_in_an_hour = (1.0 - fleet.self_discharge_per_month) ** (1.0 / 730.0)
        soc = fleet.min_kwh + rng.random(n) * (fleet.max_kwh - fleet.min_kwh)
        for _ in range(10):
            step_h, pv = float(rng.choice([1 / 60, 0.25, 1.0, 24.0])), rng.exponential(3.0, n) * (rng.random(n) < 0.5)
            charge, discharge = project(fleet, soc, _wild_kw(rng, n), _wild_kw(rng, n), step_h, pv_kw=pv)
            _assert_feasible(fleet, charge, discharge)
            shared = np.where(fleet.hybrid, pv, 0.0)
            assert (discharge <= np.maximum(fleet.inverter_kw - shared, 0.0)).all()
            assert (charge <= fleet.inverter_kw + shared).all()
            end = advance(fleet, soc, charge, discharge, step_h, pv_kw=pv)
            kept = soc * kept_in_an_hour**step_h
            moved = (charge * fleet.charge_efficiency - discharge / fleet.discharge_efficiency) * step_h
            assert (np.abs(end - kept - moved) <= 1e-9 * (1.0 + fleet.capacity_kwh)).all()
            assert ((end >= 0) & (end <= fleet.max_kwh)).all()
            below = end < fleet.min_kwh
            assert (discharge[below] == 0).all()
            assert (end[below] >= kept[below] * (1 - 1e-12)).all()
            touched += int(((end == fleet.min_kwh) | (end == fleet.max_kwh)).sum())
            sunk += int(below.sum())
            jump = fleet.min_kwh + rng.random(n) * (fleet.max_kwh - fleet.min_kwh)
            soc = np.where(rng.random(n) < 0.5, jump, end)
    assert touched > 100_000, "the limits were never reached, so nothing was tried"
    assert sunk > 1_000, "no battery sank below its window"
