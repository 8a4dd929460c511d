"""Bills that cannot be made are refused, and those that can add up."""

from dataclasses import replace

import pandas as pd
import pytest

from tests.support.run_tables import run_data
from vpp_sim.errors import SimulationError
from vpp_sim.runs.bills import HOME_ITEMS, make_bills


@pytest.fixture(scope="module")
def run():
    return run_data(homes=3, days=2)


def test_bills_add_up(run) -> None:
    bills = run.bills
    items = bills[[f"{item}_eur" for item in HOME_ITEMS]].sum(axis=1)
    assert (items - bills["total_eur"]).abs().max() < 1e-9
    assert bills["total_eur"].sum() == pytest.approx(run.vpp.homes_eur(), abs=1e-9)
    assert (bills["total_eur"] <= bills["default_bill_eur"] + 1e-6).all()
    assert bills["bought_kwh"].sum() == pytest.approx(bills["sold_kwh"].sum(), abs=1e-9)
    assert bills["import_kwh"].sum() == pytest.approx(run.vpp.timeseries["import_kw"].sum(), abs=1e-9)


def test_without_vpp_nothing_is_saved_and_the_default_is_the_bill(run) -> None:
    bills = make_bills(run.counterfactual, run.counterfactual)
    assert (bills["saving_eur"] == 0).all()
    assert (bills["total_eur"] - bills["default_bill_eur"]).abs().max() < 1e-3  # rounded to micro-euro a step


def test_an_item_that_no_bill_lists_is_refused(run) -> None:
    stray = pd.DataFrame(
        {"step": [0, 0], "item": "losses", "account": ["homes/home_2", "wholesale"], "amount_micro_eur": [5, -5]}
    )
    ledger = pd.concat([run.vpp.ledger, stray], ignore_index=True)
    with pytest.raises(SimulationError, match="charges homes for losses, which no bill lists"):
        make_bills(replace(run.vpp, ledger=ledger), run.counterfactual)


def test_other_homes_or_steps_are_refused(run) -> None:
    fewer = run.counterfactual.prosumers.query("home != 'homes/home_2'")
    with pytest.raises(SimulationError, match="other homes than the run"):
        make_bills(run.vpp, replace(run.counterfactual, prosumers=fewer))
    shorter = run.counterfactual.timeseries.iloc[:-1]
    with pytest.raises(SimulationError, match="does not cover every step"):
        make_bills(run.vpp, replace(run.counterfactual, timeseries=shorter))
