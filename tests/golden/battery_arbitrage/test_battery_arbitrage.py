"""The golden case of this folder; see its README."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.perfect_foresight import optimal_schedule

HERE = Path(__file__).parent


def test_profit_is_that_of_the_hand_calculation() -> None:
    given, expected = (json.loads((HERE / name).read_text()) for name in ("input.json", "expected.json"))
    fleet = BatteryFleet.uniform(1, given["capacity_kwh"], given["power_kw"], given["round_trip_efficiency"])
    price = np.array(given["price_eur_per_kwh"])
    best = optimal_schedule(
        fleet,
        np.array([given["start_kwh"]]),
        np.zeros((1, len(price))),
        price,
        price,
        step_h=given["step_h"],
        end_kwh=np.array([given["end_kwh"]]),
    )
    tolerance = expected["tolerance"]
    assert -best.cost_eur[0] == pytest.approx(expected["profit_eur"], abs=tolerance)
    assert best.charge_kw.sum() * given["step_h"] == pytest.approx(expected["charge_kwh"], abs=1e3 * tolerance)
    assert best.discharge_kw.sum() * given["step_h"] == pytest.approx(expected["discharge_kwh"], abs=1e3 * tolerance)
