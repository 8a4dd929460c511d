import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.network.feeder import Bus, Feeder, Limits, Line, LineType, Source
from vpp_sim.network.limits import Violations, curtail, violations, voltage_quality
from vpp_sim.network.placement import place_homes
from vpp_sim.network.power_flow import FlowResult, PowerFlow, PowerFlowError

NONE = Violations(0, 0, 0, 0)


def pair(rating_a: float) -> PowerFlow:
    wire = LineType("resistor", 0.1, 0.0, rating_a)
    buses = (Bus("a", 0.4), Bus("b", 0.4))
    feeder = Feeder("pair", buses, (Line("a-b", "a", "b", wire, 1.0),), (), Source("a"), ("b",))
    return PowerFlow(feeder, place_homes(feeder, 2).bus_of_home)


def test_each_kind_of_violation_is_counted() -> None:
    flow = FlowResult(
        np.array([0.89, 0.90, 1.10, 1.11, 1.2]), np.array([1.0, 1.01]), np.array([1.5]), *np.zeros((2, 1)), 0.0, 0.0
    )
    found = violations(Limits(), flow)
    assert found == Violations(1, 2, 1, 1)
    assert found.total == 5


def test_voltage_quality_by_week_and_bus() -> None:
    # Two weeks of 20 steps: 5 % of a week is one step.
    v_pu = np.full((40, 3), 1.0)
    v_pu[0, 0] = 0.86
    v_pu[20:22, 0] = 0.86
    v_pu[5, 1] = 0.84
    v_pu[30, 2] = 1.101
    found = voltage_quality(Limits(), v_pu, steps_per_week=20)
    assert found.passed.tolist() == [[True, False, True], [False, True, False]]
    assert found.always_within.tolist() == [[True, False, True], [True, True, False]]
    assert found.share_within == pytest.approx(np.array([[0.95, 0.95, 1.0], [0.90, 1.0, 0.95]]))


def test_voltage_quality_of_a_week_cut_short() -> None:
    v_pu = np.full((25, 1), 1.0)
    v_pu[24] = 0.89
    assert voltage_quality(Limits(), v_pu, steps_per_week=20).share_within[:, 0] == pytest.approx([1.0, 0.8])


def test_voltage_quality_refuses_nonsense() -> None:
    with pytest.raises(PhysicsError, match="steps_per_week is 0"):
        voltage_quality(Limits(), np.ones((3, 1)), 0)
    with pytest.raises(PhysicsError, match=r"v_pu has shape \(3,\)"):
        voltage_quality(Limits(), np.ones(3), 1)
    with pytest.raises(PhysicsError, match="v_pu has 1 values that are not finite"):
        voltage_quality(Limits(), np.array([[np.nan]]), 1)


def test_feed_in_within_limits_is_left_alone() -> None:
    found = curtail(pair(1000.0), np.array([-10.0, 5.0]), np.zeros(2), np.array([15.0, 0.0]))
    assert (found.kept_share, found.before, found.after) == (1.0, NONE, NONE)
    assert found.curtailed_kw.tolist() == [0.0, 0.0]


def test_over_voltage_by_hand() -> None:
    # U = 440 V at b: P = U (U - 400) / R = 440 * 40 / 0.1 W = 176 kW of feed-in just holds 1.10 pu.
    found = curtail(pair(1000.0), np.array([-150.0, -50.0]), np.zeros(2), np.array([300.0, 300.0]))
    assert found.before == Violations(0, 1, 0, 0)
    assert found.after == NONE
    assert found.kept_share == pytest.approx(176 / 200, abs=2**-12)
    assert found.kept_share <= 176 / 200
    assert found.curtailed_kw == pytest.approx((1 - found.kept_share) * np.array([150.0, 50.0]))
    assert found.flow.v_pu[1] <= 1.10 + 1e-9


def test_overloaded_line_by_hand() -> None:
    # 20 A at b: U = 400 V + sqrt(3) * 0.1 ohm * 20 A = 403.464 V, P = sqrt(3) * 403.464 V * 20 A = 13.976 kW.
    found = curtail(pair(20.0), np.array([-14.0, -6.0]), np.zeros(2), np.array([14.0, 6.0]))
    kept_kw = np.sqrt(3) * 20 * (400 + np.sqrt(3) * 0.1 * 20) / 1e3
    assert found.before == Violations(0, 0, 1, 0)
    assert found.kept_share * 20.0 == pytest.approx(kept_kw, abs=20 / 2**12)
    assert found.after == NONE


def test_only_pv_is_curtailed() -> None:
    # Home 0 feeds in from its battery alone, home 1 has 100 kW of PV behind 80 kW of feed-in.
    found = curtail(pair(1000.0), np.array([-120.0, -80.0]), np.zeros(2), np.array([0.0, 100.0]))
    assert found.curtailed_kw[0] == 0.0
    assert found.curtailed_kw[1] == pytest.approx(200 - 176, abs=80 / 2**12)


def test_scale_multiplies_homes() -> None:
    found = curtail(pair(1000.0), np.array([-1.5, -0.5]), np.zeros(2), np.array([3.0, 3.0]), scale=100.0)
    assert found.kept_share == pytest.approx(176 / 200, abs=2**-12)
    assert found.curtailed_kw.sum() == pytest.approx(2.0 * (1 - found.kept_share))


def test_violations_of_consumption_are_reported_not_curtailed() -> None:
    found = curtail(pair(20.0), np.array([150.0, -5.0]), np.zeros(2), np.array([0.0, 5.0]))
    assert found.kept_share == 1.0
    assert found.before == found.after == Violations(1, 0, 1, 0)


def test_feed_in_may_not_worsen_what_consumption_breaks() -> None:
    # The source itself is too high: no curtailment mends that, and none of the feed-in may raise it further.
    wire = LineType("resistor", 0.1, 0.0, 1000.0)
    buses = (Bus("a", 0.4), Bus("b", 0.4))
    feeder = Feeder("high", buses, (Line("a-b", "a", "b", wire, 1.0),), (), Source("a", 1.12), ("b",))
    found = curtail(PowerFlow(feeder, np.array([1])), np.array([-10.0]), np.zeros(1), np.array([10.0]))
    assert found.kept_share == 0.0
    assert found.curtailed_kw.tolist() == [10.0]
    assert found.after == Violations(0, 2, 0, 0)


def test_feed_in_beyond_any_solution_is_curtailed() -> None:
    # Feed-in through a reactance has a limit too: with X = 0.5 ohm, P = 400**2 / (2 * 0.5) W = 160 kW at unity.
    wire = LineType("reactor", 0.0001, 0.5, 1000.0)
    buses = (Bus("a", 0.4), Bus("b", 0.4))
    feeder = Feeder("reactive", buses, (Line("a-b", "a", "b", wire, 1.0),), (), Source("a"), ("b",))
    found = curtail(PowerFlow(feeder, np.array([1])), np.array([-300.0]), np.zeros(1), np.array([300.0]))
    assert found.before is None
    assert 0.4 < found.kept_share < 160 / 300


def test_consumption_without_solution_stops() -> None:
    with pytest.raises(PowerFlowError, match="no solution at step 4"):
        curtail(pair(20.0), np.array([500.0, -5.0]), np.zeros(2), np.array([0.0, 5.0]), step=4)
    with pytest.raises(PowerFlowError, match="no solution at step 5"):
        curtail(pair(20.0), np.array([500.0, 0.0]), np.zeros(2), np.zeros(2), step=5)


def test_curtail_refuses_nonsense() -> None:
    with pytest.raises(PhysicsError, match="pv_kw is negative: lowest value -1"):
        curtail(pair(20.0), np.zeros(2), np.zeros(2), np.array([-1.0, 0.0]))
    with pytest.raises(PhysicsError, match=r"pv_kw has shape \(3,\), expected \(2,\)"):
        curtail(pair(20.0), np.zeros(2), np.zeros(2), np.zeros(3))


def test_flow_after_curtailment_is_that_of_what_is_left() -> None:
    power_flow, p_kw, q_kvar, pv_kw = pair(1000.0), np.array([-1.5, -0.5]), np.array([0.4, 0.3]), np.array([1.4, 3.0])
    found = curtail(power_flow, p_kw, q_kvar, pv_kw, scale=120.0)
    again = power_flow.solve(120.0 * (p_kw + found.curtailed_kw), 120.0 * q_kvar)
    assert 0.0 < found.kept_share < 1.0
    assert (again.v_pu, again.slack_p_kw) == (
        pytest.approx(found.flow.v_pu, abs=1e-12),
        pytest.approx(found.flow.slack_p_kw),
    )
    assert again.slack_q_kvar == pytest.approx(found.flow.slack_q_kvar, abs=1e-6)
