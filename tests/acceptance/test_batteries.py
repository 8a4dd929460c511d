"""Batteries with self-discharge and hybrid inverters in a whole run, recomputed from what it recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents import storage
from vpp_sim.errors import ConservationError
from vpp_sim.runs.frames import read_tables
from vpp_sim.scenario.scenario import Scenario

HOMES = 4
BATTERY = {
    "capacity_kwh": 6.4,
    "power_kw": 5.0,
    "efficiency": 0.81,
    "min_soc": 0.1,
    "self_discharge_per_month": 0.5,
    "inverter_kw": 1.5,
    "inverter": "hybrid",
    "replacement_eur_per_kwh": 400.0,
}


def _scenario(**changes: object) -> Scenario:
    battery = {f"prosumers__0__battery__{key}": value for key, value in (BATTERY | changes).items()}
    return light_scenario(demand_response__kind="none", **battery)


def _home_columns(frame: pd.DataFrame, *names: str) -> list[np.ndarray]:
    return [frame[name].to_numpy().reshape(-1, HOMES) for name in names]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("batteries")
    outcome = simulate_in(path, _scenario())
    assert outcome.counts["ticks audited"] == 24
    return path


def test_every_limit_holds_and_every_cut_is_counted(folder: Path) -> None:
    tables = read_tables(folder, step_h=1.0, battery_capacity_kwh=25.6)
    load, pv, charge, discharge, soc = _home_columns(
        tables.prosumers, "load_kw", "pv_kw", "charge_kw", "discharge_kw", "soc_kwh"
    )
    before = np.vstack([np.full(HOMES, 3.2), soc[:-1]])
    np.testing.assert_allclose(soc, before * 0.5 ** (1 / 730) + 0.9 * charge - discharge / 0.9, atol=1e-9)
    out = discharge > 0
    assert ((discharge + pv)[out] <= 1.5 + 1e-9).all()
    assert (charge - pv <= 1.5 + 1e-9).all()
    assert charge.max() > 1.5, "no sun was stored behind the inverter"
    assert (out & (pv > 0) & np.isclose(discharge + pv, 1.5)).any(), "the sun never took what the inverter can carry"
    assert (soc < 0.64 - 1e-6).any(), "no battery sank below its window"
    cut = np.abs((pv - load) - (charge - discharge))  # the rule asks for all that the meter shows
    assert tables.batteries["projected_steps"].tolist() == (cut > 1e-6).sum(axis=0).tolist()
    np.testing.assert_allclose(tables.batteries["projected_kwh"], np.where(cut > 1e-6, cut, 0.0).sum(axis=0))


def test_the_table_of_batteries_is_the_scenarios(folder: Path) -> None:
    frame = read_tables(folder, step_h=1.0, battery_capacity_kwh=25.6).batteries
    assert frame["home"].tolist() == [f"homes/home_{i}" for i in (1, 2, 3, 4)]
    assert frame["capacity_kwh"].tolist() == [6.4] * HOMES
    assert frame["start_kwh"].tolist() == [3.2] * HOMES
    assert frame["replacement_eur_per_kwh"].tolist() == [400.0] * HOMES
    assert frame["temperature_c"].tolist() == [25.0] * HOMES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inverter_kw": np.full(HOMES, np.inf)}, r"tick \d+: inverter power above its limit of homes/home_\d"),
        (
            {"self_discharge_per_month": np.zeros(HOMES)},
            r"tick 0: battery of homes/home_\d is out of balance by .* kWh",
        ),
        (
            {"power_kw": np.full(HOMES, 9.0), "hybrid": np.zeros(HOMES, dtype=np.bool_)},
            "inverter power above its limit",
        ),
    ],
)
def test_a_battery_that_ignores_what_it_is_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    for name in ("project", "advance"):
        sound = getattr(storage, name)
        monkeypatch.setattr(
            storage, name, lambda fleet, *rest, _sound=sound, **sun: _sound(replace(fleet, **change), *rest, **sun)
        )
    with pytest.raises(ConservationError, match=message):
        simulate_in(tmp_path, _scenario(self_discharge_per_month=0.9))
