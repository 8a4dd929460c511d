"""Customer baselines against hand arithmetic; README.md shows it."""

import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.demand_response import baselines

FOLDER = Path(__file__).parent
INPUT = json.loads((FOLDER / "input.json").read_text())
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


@pytest.mark.parametrize("name", INPUT["rules"])
def test_known_answer(name):
    case = INPUT["rules"][name]
    load_kw = np.array(INPUT["days_kw"], dtype=float).reshape(10, 1, 1)
    rule = getattr(baselines, case["rule"])
    assert rule(load_kw, count=case["count"], window_days=case["window_days"]).item() == EXPECTED[name]
