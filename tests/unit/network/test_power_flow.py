import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.network.cigre_lv import cigre_lv, cigre_lv_residential
from vpp_sim.network.feeder import Bus, Feeder, Line, LineType, Source, Transformer
from vpp_sim.network.power_flow import PowerFlow, PowerFlowError

RESISTOR = LineType("resistor", 0.1, 0.0, 100.0)
PAIR = Feeder("pair", (Bus("a", 0.4), Bus("b", 0.4)), (Line("a-b", "a", "b", RESISTOR, 1.0),), (), Source("a"))


@pytest.fixture(scope="module")
def at_b() -> PowerFlow:
    return PowerFlow(PAIR, np.array([1]))


def test_two_buses_by_hand(at_b: PowerFlow) -> None:
    # Balanced three-phase, R = 0.1 ohm: U (400 V - U) = R P, so U = 200 V + sqrt(40000 - 0.1 * 10000) V.
    u_v = 200 + np.sqrt(40_000 - 0.1 * 10_000)
    result = at_b.solve(np.array([10.0]), np.zeros(1))
    assert result.v_pu == pytest.approx([1.0, u_v / 400], abs=1e-9)
    assert result.loss_kw == pytest.approx(0.1 * (10_000 / u_v) ** 2 / 1e3, abs=1e-7)
    assert result.line_loading == pytest.approx([10_000 / (np.sqrt(3) * u_v) / 100], abs=1e-9)
    assert result.slack_p_kw == pytest.approx(10.0 + result.loss_kw, abs=1e-7)
    assert result.slack_q_kvar == pytest.approx(0.0, abs=1e-7)


def test_feed_in_raises_the_voltage_by_hand(at_b: PowerFlow) -> None:
    result = at_b.solve(np.array([-10.0]), np.zeros(1))
    assert result.v_pu[1] == pytest.approx((200 + np.sqrt(41_000)) / 400, abs=1e-9)
    assert result.slack_p_kw == pytest.approx(-10.0 + result.loss_kw, abs=1e-7)


def test_source_voltage_counts() -> None:
    raised = Feeder("raised", PAIR.buses, PAIR.lines, (), Source("a", 1.05))
    result = PowerFlow(raised, np.array([1])).solve(np.array([10.0]), np.zeros(1))
    # U (420 V - U) = R P.
    assert result.v_pu == pytest.approx([1.05, (210 + np.sqrt(210**2 - 1000)) / 400], abs=1e-9)


def test_transformer_alone_by_hand() -> None:
    # Seen from 0.4 kV, R = 0.0032 ohm and X = 0.0128 ohm: (U + R P / U)^2 + (X P / U)^2 = 400^2 at P = 100 kW.
    unit = Transformer("t", "hv", "lv", 500.0, 20.0, 0.4, 0.0032, 0.0128)
    feeder = Feeder("station", (Bus("hv", 20.0), Bus("lv", 0.4)), (), (unit,), Source("hv"))
    result = PowerFlow(feeder, np.array([1])).solve(np.array([100.0]), np.zeros(1))
    u_v = 400 * result.v_pu[1]
    assert np.hypot(u_v + 0.0032 * 1e5 / u_v, 0.0128 * 1e5 / u_v) == pytest.approx(400.0, abs=1e-6)
    assert result.transformer_loss_kw == pytest.approx([0.0032 * (1e5 / u_v) ** 2 / 1e3], abs=1e-7)
    assert result.line_loading.shape == (0,)


def test_residential_part_keeps_its_voltages_when_cut_out() -> None:
    whole, part = cigre_lv(), cigre_lv_residential()
    v_pu = []
    for feeder in (whole, part):
        p_kw, q_kvar = np.array([(load.p_kw, load.q_kvar) for load in feeder.loads]).T
        flow = PowerFlow(feeder, feeder.bus_indices(tuple(load.bus for load in feeder.loads))).solve(p_kw, q_kvar)
        v_pu.append(flow.v_pu[feeder.bus_indices(tuple(f"R{number}" for number in range(1, 19)))])
    assert v_pu[0] == pytest.approx(v_pu[1], abs=1e-8)


def test_thirteen_homes_at_their_peak_as_the_docstring_says() -> None:
    feeder = cigre_lv_residential()
    flow = PowerFlow(feeder, feeder.bus_indices(feeder.customer_buses * 2 + feeder.customer_buses[:3]))
    drawn = flow.solve(np.full(13, 5.0), np.full(13, 5.0 * np.tan(np.arccos(0.95))))
    assert drawn.transformer_loading[0] == pytest.approx(0.14, abs=0.005)
    assert drawn.line_loading.max() == pytest.approx(0.28, abs=0.005)
    assert drawn.v_pu.min() == pytest.approx(0.978, abs=5e-4)
    assert flow.solve(np.full(13, -5.0), np.zeros(13)).v_pu.max() == pytest.approx(1.018, abs=5e-4)


def test_loads_at_one_bus_add_up() -> None:
    feeder = cigre_lv_residential()
    buses = feeder.bus_indices(("R18", "R11", "R18", "R11", "R15"))
    many = PowerFlow(feeder, buses).solve(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    few = PowerFlow(feeder, feeder.bus_indices(("R11", "R15", "R18"))).solve(
        np.array([6.0, 5.0, 4.0]), np.array([0.6, 0.5, 0.4])
    )
    assert many.v_pu == pytest.approx(few.v_pu, abs=1e-12)
    assert many.slack_p_kw == pytest.approx(few.slack_p_kw, abs=1e-9)


@pytest.mark.parametrize("threads", [1, 2])
def test_batch_equals_single_flows(threads: int) -> None:
    feeder = cigre_lv_residential()
    flow = PowerFlow(feeder, feeder.bus_indices(feeder.customer_buses))
    rng = np.random.default_rng(3)
    p_kw, q_kvar = rng.normal(0.0, 30.0, (20, 5)), rng.normal(0.0, 5.0, (20, 5))
    batch = flow.solve_batch(p_kw, q_kvar, threads=threads)
    assert len(batch) == 20
    for step in range(20):
        single = flow.solve(p_kw[step], q_kvar[step])
        np.testing.assert_array_equal(batch[step].v_pu, single.v_pu)
        np.testing.assert_array_equal(batch[step].line_loading, single.line_loading)
        assert (batch[step].loss_kw, batch[step].slack_p_kw) == (single.loss_kw, single.slack_p_kw)
    np.testing.assert_array_equal(batch.loss_kw, [batch[step].loss_kw for step in range(20)])


def test_flow_without_solution_names_its_steps(at_b: PowerFlow) -> None:
    # The resistor carries at most 200**2 / 0.1 W = 400 kW.
    with pytest.raises(PowerFlowError, match="power flow of pair has no solution at step 7: ") as caught:
        at_b.solve(np.array([450.0]), np.zeros(1), step=7)
    assert caught.value.steps == (7,)
    p_kw = np.array([[10.0], [450.0], [390.0], [900.0]])
    with pytest.raises(PowerFlowError, match="no solution at step 101 and 1 more") as caught:
        at_b.solve_batch(p_kw, np.zeros((4, 1)), first_step=100)
    assert caught.value.steps == (101, 103)
    assert at_b.solve(np.array([390.0]), np.zeros(1)).v_pu[1] == pytest.approx((200 + np.sqrt(1000)) / 400, abs=1e-6)


def test_wrong_inputs_are_refused(at_b: PowerFlow) -> None:
    with pytest.raises(PhysicsError, match=r"p_kw has shape \(2,\), expected \(1,\)"):
        at_b.solve(np.zeros(2), np.zeros(1))
    with pytest.raises(PhysicsError, match=r"q_kvar has shape \(3, 1\), expected \(2, 1\)"):
        at_b.solve_batch(np.zeros((2, 1)), np.zeros((3, 1)))
    with pytest.raises(PhysicsError, match="q_kvar has 1 values that are not finite"):
        at_b.solve(np.zeros(1), np.array([np.nan]))
    with pytest.raises(PhysicsError, match="at least one load"):
        PowerFlow(PAIR, np.array([], dtype=np.int64))
    with pytest.raises(PhysicsError, match="reaches from 1 to 2 of 2 buses"):
        PowerFlow(PAIR, np.array([1, 2]))


def test_empty_batch(at_b: PowerFlow) -> None:
    batch = at_b.solve_batch(np.zeros((0, 1)), np.zeros((0, 1)))
    assert (len(batch), batch.v_pu.shape) == (0, (0, 2))
