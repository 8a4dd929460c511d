import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.network.cigre_lv import cigre_lv
from vpp_sim.network.feeder import Feeder
from vpp_sim.network.power_flow import FlowResult, PowerFlow

EXPECTED = json.loads((Path(__file__).parent / "expected.json").read_text())


@pytest.fixture(scope="module")
def feeder() -> Feeder:
    return cigre_lv()


@pytest.fixture(scope="module")
def flow(feeder: Feeder) -> FlowResult:
    p_kw, q_kvar = np.array([(load.p_kw, load.q_kvar) for load in feeder.loads]).T
    return PowerFlow(feeder, feeder.bus_indices(tuple(load.bus for load in feeder.loads))).solve(p_kw, q_kvar)


def test_published_figures(flow: FlowResult) -> None:
    assert flow.line_loss_kw.sum() == pytest.approx(21.822, abs=5e-4)
    assert flow.v_pu.min() == pytest.approx(0.91227, abs=5e-6)
    assert flow.transformer_loading == pytest.approx([0.847, 0.707, 0.853], abs=5e-4)


def test_every_bus_voltage(feeder: Feeder, flow: FlowResult) -> None:
    assert dict(zip(feeder.bus_names, flow.v_pu, strict=True)) == pytest.approx(EXPECTED["v_pu"], abs=1e-7)


def test_every_line_current(feeder: Feeder, flow: FlowResult) -> None:
    rated = zip(feeder.lines, flow.line_loading, strict=True)
    current_a = {line.name: share * line.type.rating_a for line, share in rated}
    assert current_a == pytest.approx(EXPECTED["line_current_a"], abs=1e-3)


def test_transformers_losses_and_exchange(feeder: Feeder, flow: FlowResult) -> None:
    loading = {each.name: share for each, share in zip(feeder.transformers, flow.transformer_loading, strict=True)}
    assert loading == pytest.approx(EXPECTED["transformer_loading"], abs=1e-7)
    assert flow.line_loss_kw.sum() == pytest.approx(EXPECTED["line_loss_kw"], abs=1e-4)
    assert flow.transformer_loss_kw.sum() == pytest.approx(EXPECTED["transformer_loss_kw"], abs=1e-4)
    assert flow.slack_p_kw == pytest.approx(EXPECTED["p_slack_kw"], abs=1e-4)
    assert flow.slack_q_kvar == pytest.approx(EXPECTED["q_slack_kvar"], abs=1e-4)
