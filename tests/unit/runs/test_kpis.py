"""KPI definitions, JSON, and the rows of the terminal's table (values: tests/golden/run_kpis)."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.run_tables import run_data, write_run_tables
from vpp_sim.devices.ageing import age
from vpp_sim.errors import DataError
from vpp_sim.runs import measures
from vpp_sim.runs.frames import empty_frame, read_tables
from vpp_sim.runs.kpis import KPIS, kpi_rows, read_kpis
from vpp_sim.runs.summary import write_summary


@pytest.fixture(scope="module")
def run():
    return run_data(homes=3, days=2)


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.name)
def test_definitions_are_complete(kpi) -> None:
    assert kpi.definition.endswith(".")
    assert kpi.better in ("higher", "lower", "neither")
    suffix = {"EUR": "_eur", "kWh": "_kwh", "kW": "_kw", "kg": "_kg", "p.u.": "_pu", "s": "_s"}.get(kpi.unit)
    assert suffix is None or kpi.name.endswith(suffix)


def test_names_and_labels_are_distinct() -> None:
    assert len({kpi.name for kpi in KPIS}) == len({kpi.label for kpi in KPIS}) == len(KPIS)


def test_summary_writes_what_it_returns(run, tmp_path: Path) -> None:
    write_run_tables(run, tmp_path)
    kpis = write_summary(tmp_path, step_h=1.0, battery_capacity_kwh=19.2)
    assert read_kpis(tmp_path / "kpis.json") == kpis
    assert set(kpis["load_kwh"]) == {"vpp", "counterfactual", "difference", "unit", "definition"}
    assert kpis["homes_bill_eur"]["vpp"] == pytest.approx(run.vpp.homes_eur(), abs=1e-9)
    assert (tmp_path / "counterfactual" / "bills.parquet").is_file()


def kpis_of(run, path: Path) -> dict[str, float | None]:
    """Return the run's own values."""
    write_run_tables(run, path)
    return {name: value["vpp"] for name, value in write_summary(path, step_h=1.0, battery_capacity_kwh=19.2).items()}


def test_nothing_to_measure_is_null_and_valid_json(run, tmp_path: Path) -> None:
    blind = run.vpp.timeseries.assign(**{f"forecast_net_{q}_kw": float("nan") for q in ("p10", "p50", "p90")})
    bare = replace(run.vpp, timeseries=blind, chain=empty_frame("chain"))
    write_run_tables(replace(run, vpp=bare), tmp_path)
    kpis = write_summary(tmp_path, step_h=1.0, battery_capacity_kwh=0.0)
    for name in ("forecast_mae_kw", "forecast_nrmse", "forecast_coverage", "battery_cycles", "chain_gas"):
        assert kpis[name]["vpp"] is None
        assert kpis[name]["difference"] is None
    assert json.loads((tmp_path / "kpis.json").read_text()) == kpis


def test_rows_for_the_terminal(run, tmp_path: Path) -> None:
    write_run_tables(run, tmp_path)
    kpis = write_summary(tmp_path, step_h=1.0, battery_capacity_kwh=19.2)
    kpis["homes_bill_eur"] |= {"vpp": 1234.567, "counterfactual": 1300.0, "difference": -65.433}
    kpis["voltage_violations"] |= {"vpp": 0.0, "counterfactual": 3.0, "difference": -3.0}
    kpis["self_consumption"] |= {"vpp": 0.5, "counterfactual": 0.50001, "difference": -0.00001}
    rows = {row[0]: row[1:] for row in kpi_rows(kpis)}
    assert rows["Homes' total bill"] == ("1,234.57", "1,300.00", "-65.43", "EUR")
    assert rows["Steps outside the voltage band"] == ("0", "3", "-3", "steps")
    assert rows["Self-consumption"] == ("0.500", "0.500", "0.000", "")
    assert rows["Periods settled on chain"] == ("48", "–", "–", "periods")
    del kpis["load_kwh"]
    assert "Load" not in {row[0] for row in kpi_rows(kpis)}


def test_ageing_without_a_price_is_not_valued_and_without_batteries_not_known(run, tmp_path: Path) -> None:
    values = kpis_of(run, tmp_path / "priced")
    assert values["ageing_cost_eur"] == pytest.approx(19.2 * 400 * values["battery_life_used"], abs=1e-5)
    unpriced = replace(run.vpp, batteries=run.vpp.batteries.assign(replacement_eur_per_kwh=float("nan")))
    values = kpis_of(replace(run, vpp=unpriced), tmp_path / "unpriced")
    assert values["ageing_cost_eur"] is None
    assert values["battery_life_used"] > 0
    unknown = replace(run.vpp, batteries=empty_frame("batteries"))
    values = kpis_of(replace(run, vpp=unknown), tmp_path / "unknown")
    names = ("ageing_cost_eur", "battery_life_used", "battery_lost_capacity", "projected_actions", "projected_kwh")
    assert [values[name] for name in names] == [None] * 5


def test_ageing_is_that_of_each_battery_from_its_start(run) -> None:
    """Half cycles and rest, home by home, as the device's model has them for the recorded column."""
    soc_kwh = run.vpp.prosumers.pivot_table(index="step", columns="home", values="soc_kwh", observed=True)
    ageing = run.vpp.ageing()
    assert ageing is run.vpp.ageing()
    for i, home in enumerate(run.vpp.home_names()):
        history = np.concatenate([[3.2], soc_kwh[home].to_numpy()])[:, None]
        alone = age(history, np.array([6.4]), step_h=1.0)
        assert ageing.life_used[i] == pytest.approx(alone.life_used[0], rel=1e-12)
        assert ageing.full_cycles[i] == pytest.approx(np.abs(np.diff(history[:, 0])).sum() / 2 / 6.4)


def test_a_run_from_before_batteries_were_recorded_can_be_read(run, tmp_path: Path) -> None:
    write_run_tables(run, tmp_path)
    (tmp_path / "batteries.parquet").unlink()
    assert read_tables(tmp_path, step_h=1.0, battery_capacity_kwh=19.2).batteries.empty


def test_unreadable_kpis_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"kpis\.json: cannot be read as KPIs"):
        read_kpis(tmp_path / "kpis.json")
    (tmp_path / "kpis.json").write_text("[]")
    with pytest.raises(DataError, match="is no JSON object"):
        read_kpis(tmp_path / "kpis.json")


def test_a_feeder_that_only_feeds_back_has_no_peak_and_no_emissions(run) -> None:
    sunny = replace(run.vpp, timeseries=run.vpp.timeseries.assign(net_kw=-5.0, loss_kw=0.5))
    assert measures.feeder_peak_kw(sunny, run.bills) == 0.0
    assert measures.feeder_reverse_peak_kw(sunny, run.bills) == 4.5
    assert measures.emissions_kg(sunny, run.bills) == 0.0
    assert measures.load_factor(sunny, run.bills) != measures.load_factor(sunny, run.bills)  # NaN
