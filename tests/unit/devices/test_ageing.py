"""Ageing of batteries: the model's numbers by hand, what it says of life, and what it costs.

Parameters and formulas are those of Xu et al., IEEE Trans. Smart Grid 9(2), 2018; expected values are hand arithmetic.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from vpp_sim.devices.ageing import (
    END_OF_LIFE_LOSS,
    END_OF_LIFE_STRESS,
    age,
    calendar_stress_per_h,
    cycle_stress,
    lost_capacity,
    wear_eur_per_kwh,
)
from vpp_sim.errors import PhysicsError


def _daily(depth: float, days: int) -> np.ndarray:
    day = np.concatenate([np.full(12, 0.5 + depth / 2), np.full(12, 0.5 - depth / 2)])
    return 10.0 * np.append(np.tile(day, days), 0.5 + depth / 2)[:, None]


def test_stress_of_a_cycle() -> None:
    """1/(1.4e5 - 1.23e5) = 1/17000; at half depth 1.4e5 * 2**0.501 = 198127.2, so 1/75127.2."""
    assert cycle_stress(np.ones(1), np.full(1, 0.5))[0] == pytest.approx(1 / 17_000, rel=1e-12)
    assert cycle_stress(np.full(1, 0.5), np.full(1, 0.5))[0] == pytest.approx(1 / 75_127.2, rel=1e-6)


def test_a_deep_cycle_ages_more_than_its_parts() -> None:
    depth = np.array([0.25, 0.5, 0.75, 1.0])
    per_kwh = cycle_stress(depth, np.full(4, 0.5)) / depth
    assert (np.diff(per_kwh) > 0).all()


def test_wear_is_what_a_cycle_costs_per_kwh() -> None:
    """A full cycle takes 1/2786.7 of 400 EUR/kWh: 0.14354 EUR; one of 0.5, half a kWh: 400/75127.2/(0.163924/2)."""
    wear = wear_eur_per_kwh(np.array([1.0, 0.5]), 400.0)
    np.testing.assert_allclose(wear, [400 / 2786.71, 400 / 75_127.2 / 0.0819621], rtol=1e-5)
    with pytest.raises(PhysicsError, match=r"depth must lie in \(0, 1\]"):
        wear_eur_per_kwh(np.array([0.0]), 400.0)


def test_a_high_state_of_charge_and_heat_age_faster() -> None:
    """exp(1.04 * 0.5) = 1.682028; exp(0.0693 * 10 * 298.15 / 308.15) = 1.955248."""
    rest = calendar_stress_per_h(np.array([0.5, 1.0]))
    assert rest[0] == pytest.approx(4.14e-10 * 3600)
    assert rest[1] / rest[0] == pytest.approx(1.682028, rel=1e-6)
    assert calendar_stress_per_h(np.array([0.5]), 35.0)[0] / rest[0] == pytest.approx(1.955248, rel=1e-5)


def test_the_end_of_life_is_a_fifth_of_the_capacity() -> None:
    """ln(0.9425 / 0.8) = 0.163924."""
    assert pytest.approx(0.163924, abs=1e-6) == END_OF_LIFE_STRESS
    loss = lost_capacity(np.array([0.0, END_OF_LIFE_STRESS]))
    assert loss[0] == 0.0
    assert loss[1] == pytest.approx(END_OF_LIFE_LOSS, abs=1e-9)


def test_life_at_rest_and_in_cycles() -> None:
    """0.163924 * 17000 = 2787 full cycles; 0.163924 / (4.14e-10 * 3600 * 8760) = 12.55 years half full."""
    assert END_OF_LIFE_STRESS / cycle_stress(np.ones(1), np.full(1, 0.5))[0] == pytest.approx(2786.7, abs=0.1)
    assert END_OF_LIFE_STRESS / calendar_stress_per_h(np.full(1, 0.5))[0] / 8760 == pytest.approx(12.55, abs=0.01)


def test_a_year_of_daily_cycles_by_hand() -> None:
    """Days swing by 0.8 around half full: 365 cycles of 0.8, all at mean 0.5."""
    ageing = age(_daily(0.8, 365), np.array([10.0]), step_h=1.0)
    assert ageing.full_cycles[0] == pytest.approx(365 * 0.8)
    assert ageing.cycle_stress[0] == pytest.approx(365 / (1.4e5 * 0.8**-0.501 - 1.23e5))
    mean = 0.5  # of the trapezoid: it spends as long above as below
    assert ageing.calendar_stress[0] == pytest.approx(4.14e-10 * 3600 * 8760 * np.exp(1.04 * (mean - 0.5)), rel=1e-4)
    stress = ageing.cycle_stress + ageing.calendar_stress
    assert ageing.life_used[0] == pytest.approx(stress[0] / 0.163924, rel=5e-6)
    lost = 1 - 0.0575 * np.exp(-121 * stress[0]) - 0.9425 * np.exp(-stress[0])
    assert ageing.lost_capacity[0] == pytest.approx(lost, abs=1e-12)
    assert ageing.cost_eur(np.array([10.0]), np.array([400.0]))[0] == pytest.approx(4000 * ageing.life_used[0])


def test_years_add_up() -> None:
    """The second year of a life costs as much as the first."""
    once, twice = (age(_daily(0.6, days), np.array([10.0]), step_h=1.0) for days in (100, 200))
    assert twice.life_used[0] == pytest.approx(2 * once.life_used[0], rel=1e-3)
    assert twice.lost_capacity[0] < 2 * once.lost_capacity[0]


def test_no_battery_does_not_age() -> None:
    ageing = age(np.zeros((5, 1)), np.zeros(1), step_h=1.0)
    assert [ageing.full_cycles[0], ageing.life_used[0], ageing.lost_capacity[0]] == [0.0, 0.0, 0.0]


def test_a_battery_that_only_rests_ages_by_the_calendar() -> None:
    ageing = age(np.full((2, 1), 5.0), np.array([10.0]), step_h=3.0)
    assert ageing.cycle_stress[0] == 0.0
    assert ageing.calendar_stress[0] == pytest.approx(3 * 4.14e-10 * 3600)
    assert age(np.full((1, 1), 5.0), np.array([10.0]), step_h=3.0).life_used[0] == 0.0


@pytest.mark.parametrize(
    ("soc", "message"),
    [
        ([[5.0], [11.0]], "battery 0 holds 11 kWh in row 1, outside its capacity of 10 kWh"),
        ([[-1.0], [5.0]], "battery 0 holds -1 kWh in row 0, outside its capacity of 10 kWh"),
        ([[5.0], [np.inf]], "soc_kwh has 1 values that are not finite"),
        ([[5.0, 5.0]], r"soc_kwh has shape \(1, 2\), expected \(1, 1\)"),
        (np.zeros((0, 1)), "soc_kwh has no row"),
    ],
)
def test_refusals(soc: list[list[float]], message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        age(np.array(soc), np.array([10.0]), step_h=1.0)


def test_absolute_zero_is_refused() -> None:
    with pytest.raises(PhysicsError, match="temperature is -300 degC, expected one above absolute zero"):
        age(np.zeros((2, 1)), np.ones(1), step_h=1.0, temperature_c=-300.0)


@pytest.mark.perf
def test_a_year_of_a_thousand_batteries_is_counted_in_seconds() -> None:
    rng = np.random.default_rng(5)
    soc = np.clip(np.cumsum(rng.normal(0, 1.0, (8761, 1000)), axis=0) % 20.0 - 5.0, 0.0, 10.0)
    begun = time.process_time()
    ageing = age(soc, np.full(1000, 10.0), step_h=1.0)
    seconds = time.process_time() - begun
    print(f"ageing of 1,000 batteries over 8,760 h: {seconds:.2f} s of CPU (budget 5 s)")
    assert ageing.full_cycles.min() > 100
    assert seconds < 5.0
