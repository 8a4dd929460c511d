"""Wall time of a tick's phases for ten thousand homes, beside the budgets; run with ``-m perf -s``.

The homes are copies of four Fontana homes. Forecasts are seasonal naive and prices flat, so that what is measured is
the fleet: metering, response, storage, trade, settlement and audit.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.scenarios import light_scenario
from vpp_sim.agents.fleet import Fleet
from vpp_sim.agents.inputs import load_inputs, open_models
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.simulation import simulate

pytestmark = pytest.mark.perf

HOMES = 10_000
BUDGET_MS = {"METER": None, "RESPOND": None, "STORE": None, "TRADE": 5.0, "SETTLE": None, "AUDIT": None}
FLEET_STEP_MS = 1.0


def tiled(fleet: Fleet, n: int) -> Fleet:
    """Return a fleet of `n` homes that repeats the homes of `fleet`."""
    which = np.arange(n) % len(fleet)
    batteries = {name: getattr(fleet.batteries, name)[which] for name in BatteryFleet.__dataclass_fields__}
    return replace(
        fleet,
        names=tuple(f"homes/home_{i}" for i in range(n)),
        load_kw=fleet.load_kw[:, which],
        pv_kw=fleet.pv_kw[:, which],
        pv_kwp=fleet.pv_kwp[which],
        batteries=BatteryFleet(**batteries),
        initial_soc_kwh=fleet.initial_soc_kwh[which],
        replacement_eur_per_kwh=fleet.replacement_eur_per_kwh[which],
        cell_temperature_c=fleet.cell_temperature_c[which],
    )


def test_phases_of_a_tick_with_ten_thousand_homes(tmp_path: Path) -> None:
    scenario = light_scenario(pricing__retail__kind="flat", network__kind="cigre_lv", forecasting__every="24h")
    inputs = load_inputs(scenario)
    # A feeder for thirteen homes cannot carry ten thousand: each stands for a thousandth of a home here.
    small = replace(inputs.fleet, load_kw=inputs.fleet.load_kw / 1000, pv_kw=inputs.fleet.pv_kw / 1000)
    outcome = simulate(scenario, replace(inputs, fleet=tiled(small, HOMES)), open_models(scenario), tmp_path)
    ms = {phase: 1000 * outcome.wall_s[phase] / inputs.clock.n_steps for phase in BUDGET_MS}
    for phase, value in ms.items():
        print(f"{phase:8s} {value:8.3f} ms a tick" + (f"  budget {BUDGET_MS[phase]} ms" if BUDGET_MS[phase] else ""))
    step_ms = ms["METER"] + ms["RESPOND"] + ms["STORE"]
    print(f"fleet step {step_ms:.3f} ms a tick  budget {FLEET_STEP_MS} ms")
    assert step_ms < 10 * FLEET_STEP_MS, "ten times over budget is no noise of the machine"
