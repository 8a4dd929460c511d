import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.network.feeder import Bus, Feeder, Line, LineType, Source
from vpp_sim.network.power_flow import FlowResult, PowerFlow

FOLDER = Path(__file__).parent
INPUT = json.loads((FOLDER / "input.json").read_text())
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


def baran_wu() -> Feeder:
    return Feeder(
        name="case33bw",
        buses=tuple(Bus(str(bus), INPUT["u_rated_kv"]) for bus in range(33)),
        lines=tuple(
            Line(f"{a}-{b}", str(a), str(b), LineType("", r_ohm, x_ohm, 1e5), 1.0)
            for a, b, r_ohm, x_ohm in INPUT["lines_from_to_r_ohm_x_ohm"]
        ),
        transformers=(),
        source=Source("0", INPUT["u_source_pu"]),
    )


@pytest.fixture(scope="module")
def flow() -> FlowResult:
    bus, p_kw, q_kvar = np.array(INPUT["loads_bus_p_kw_q_kvar"]).T
    return PowerFlow(baran_wu(), bus.astype(np.int64)).solve(p_kw, q_kvar)


def test_published_figures(flow: FlowResult) -> None:
    reactive_loss_kvar = flow.slack_q_kvar - sum(row[2] for row in INPUT["loads_bus_p_kw_q_kvar"])
    assert flow.loss_kw == pytest.approx(202.677, abs=5e-4)
    assert reactive_loss_kvar == pytest.approx(135.141, abs=5e-4)
    assert (int(flow.v_pu.argmin()), flow.v_pu.min()) == (17, pytest.approx(0.91309, abs=5e-6))


def test_every_bus_voltage(flow: FlowResult) -> None:
    assert flow.v_pu == pytest.approx(EXPECTED["v_pu"], abs=1e-7)
    assert flow.loss_kw == pytest.approx(EXPECTED["loss_kw"], abs=1e-3)
    assert flow.transformer_loading.shape == (0,)
