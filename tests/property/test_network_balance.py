import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vpp_sim.network.cigre_lv import cigre_lv_residential
from vpp_sim.network.limits import curtail
from vpp_sim.network.placement import place_homes
from vpp_sim.network.power_flow import PowerFlow

FEEDER = cigre_lv_residential()
FLOW = PowerFlow(FEEDER, place_homes(FEEDER, 8).bus_of_home)
HOMES_KW = st.lists(st.floats(-20.0, 20.0), min_size=8, max_size=8).map(np.array)


@settings(max_examples=50, deadline=None)
@given(p_kw=HOMES_KW, q_kvar=HOMES_KW)
def test_what_the_grid_gives_is_load_and_loss(p_kw: np.ndarray, q_kvar: np.ndarray) -> None:
    result = FLOW.solve(p_kw, q_kvar)
    assert abs(result.slack_p_kw - p_kw.sum() - result.loss_kw) < 1e-4
    assert (result.line_loss_kw > -1e-9).all()
    assert (result.transformer_loss_kw > -1e-9).all()


@settings(max_examples=30, deadline=None)
@given(p_kw=HOMES_KW, scale=st.floats(1.0, 12.0))
def test_curtailment_takes_feed_in_only_and_ends_within_limits(p_kw: np.ndarray, scale: float) -> None:
    p_kw = np.minimum(p_kw, 2.0)
    pv_kw = np.maximum(-p_kw, 0.0)
    before = p_kw.copy()
    found = curtail(FLOW, p_kw, np.zeros(8), pv_kw, scale=scale)
    assert (found.curtailed_kw >= 0).all()
    assert (found.curtailed_kw <= pv_kw).all()
    assert found.after.over_voltage_buses == 0
    assert found.after.overloaded_lines + found.after.overloaded_transformers == 0
    np.testing.assert_array_equal(p_kw, before)
    np.testing.assert_array_equal(found.curtailed_kw, curtail(FLOW, p_kw, np.zeros(8), pv_kw, scale=scale).curtailed_kw)
