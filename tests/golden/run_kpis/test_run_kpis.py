"""KPIs and bills against hand arithmetic (README.md in this folder)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vpp_sim.runs.bills import make_bills
from vpp_sim.runs.frames import RunTables, empty_frame
from vpp_sim.runs.kpis import KPIS, compute_kpis
from vpp_sim.runs.tables import TABLES

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())


def _tables(run: str) -> RunTables:
    homes = pd.read_csv(HERE / "homes.csv")
    if run == "counterfactual":
        homes[["bought_kwh", "sold_kwh"]] = 0.0
    fleet = homes.groupby("step")[
        ["base_load_kw", "load_kw", "pv_kw", "curtailed_kw", "charge_kw", "discharge_kw"]
    ].sum()
    net = homes.groupby("step")["net_kw"]
    timeseries = pd.read_csv(HERE / "feeder.csv").join(fleet, on="step")
    timeseries["net_kw"] = net.sum()
    timeseries["import_kw"] = homes["net_kw"].clip(lower=0).groupby(homes["step"]).sum()
    timeseries["export_kw"] = (-homes["net_kw"]).clip(lower=0).groupby(homes["step"]).sum()
    timeseries["delivered_kwh"] = homes.groupby("step")["bought_kwh"].sum()
    timeseries["default_eur_per_kwh"], timeseries["sell_eur_per_kwh"] = 0.25, 0.04
    ledger = pd.read_csv(HERE / "ledger.csv").query("run == @run")
    ledger["amount_micro_eur"] = np.rint(ledger["amount_eur"] * 1e6).astype(np.int64)
    chain = pd.read_csv(HERE / "chain.csv") if run == "vpp" else empty_frame("chain")
    return RunTables(
        timeseries, homes, empty_frame("trades"), empty_frame("forecasts"), ledger, chain,
        step_h=0.5, battery_capacity_kwh=10.0, batteries=pd.read_csv(HERE / "batteries.csv").query("run == @run"),
    )  # fmt: skip


VPP, COUNTERFACTUAL = _tables("vpp"), _tables("counterfactual")
BILLS = make_bills(VPP, COUNTERFACTUAL)
VALUES = compute_kpis(VPP, COUNTERFACTUAL, BILLS, make_bills(COUNTERFACTUAL, COUNTERFACTUAL))


def test_every_kpi_has_a_golden_value() -> None:
    assert list(EXPECTED) == [kpi.name for kpi in KPIS] == list(VALUES)


@pytest.mark.parametrize("name", EXPECTED)
def test_kpi(name: str) -> None:
    ours, theirs = EXPECTED[name]
    value = VALUES[name]
    assert value["vpp"] == pytest.approx(ours, abs=1e-9)
    if theirs is None:
        assert value["counterfactual"] is None
        assert value["difference"] is None
    else:
        assert value["counterfactual"] == pytest.approx(theirs, abs=1e-9)
        assert value["difference"] == pytest.approx(ours - theirs, abs=1e-9)


def test_bills() -> None:
    expected = pd.DataFrame(
        [
            ["homes/a", 3.5, 0.0, 1.5, 0.0, 0.20, 0.35, 0.00, 0.09, 0.0, -0.02, 0.62, 0.875, 0.60, -0.02],
            ["homes/b", 1.0, 3.0, 0.0, 1.5, 0.10, 0.10, -0.06, -0.09, 0.0, 0.0, 0.05, 0.13, 0.20, 0.15],
        ],
        columns=TABLES["bills"].names,
    )
    pd.testing.assert_frame_equal(BILLS, expected, check_dtype=False, atol=1e-9, rtol=0)


def test_the_ledger_of_the_case_balances() -> None:
    for tables in (VPP, COUNTERFACTUAL):
        assert (tables.ledger.groupby(["step", "item"])["amount_micro_eur"].sum() == 0).all()
