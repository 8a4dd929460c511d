import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vpp_sim.errors import ScenarioError
from vpp_sim.runs.kpis import KpiValue
from vpp_sim.sweeps.expansion import expand
from vpp_sim.sweeps.scenario_job import ScenarioJob, check_jobs, kpi_columns
from vpp_sim.sweeps.spec import SweepSpec, load_sweep

ROOT = Path(__file__).parents[3]
SCENARIO = ROOT / "scenarios" / "fontana.yaml"


def value(vpp: float | None, counterfactual: float | None) -> KpiValue:
    known = vpp is not None and counterfactual is not None
    difference = vpp - counterfactual if known else None
    return KpiValue(vpp=vpp, counterfactual=counterfactual, difference=difference, unit="EUR", definition="")


def test_gain_is_positive_where_the_vpp_is_better() -> None:
    columns = kpi_columns(
        {
            "homes_bill_eur": value(80.0, 100.0),
            "vpp_profit_eur": value(7.0, 5.0),
            "grid_operator_income_eur": value(3.0, 4.0),
            "chain_confirmation_s": value(40.0, None),
        }
    )
    assert columns == {
        "homes_bill_eur.vpp": 80.0, "homes_bill_eur.counterfactual": 100.0,
        "homes_bill_eur.difference": -20.0, "homes_bill_eur.gain": 20.0,
        "vpp_profit_eur.vpp": 7.0, "vpp_profit_eur.counterfactual": 5.0,
        "vpp_profit_eur.difference": 2.0, "vpp_profit_eur.gain": 2.0,
        "grid_operator_income_eur.vpp": 3.0, "grid_operator_income_eur.counterfactual": 4.0,
        "grid_operator_income_eur.difference": -1.0,
        "chain_confirmation_s.vpp": 40.0, "chain_confirmation_s.counterfactual": None,
        "chain_confirmation_s.difference": None, "chain_confirmation_s.gain": None,
    }  # fmt: skip


def test_jobs_travel_to_other_processes() -> None:
    job = ScenarioJob(SCENARIO, Path("results"), datetime(2026, 1, 2, tzinfo=UTC), "sizes")
    assert pickle.loads(pickle.dumps(job)) == job


def test_every_job_of_the_study_is_sound() -> None:
    file = ROOT / "experiments" / "battery_tariff" / "sweep.yaml"
    spec, base = load_sweep(file)
    check_jobs(spec, base, expand(spec)[::7], str(file))


def test_slips_in_the_grid_show_before_the_first_run() -> None:
    spec = SweepSpec(base="b", grid={"tariff.kind": ("flat",), "tariff.price_eur_per_kwh": (0.2, 0.05)})
    with pytest.raises(ScenarioError, match=r"energy_eur_per_kwh <= price_eur_per_kwh \(0\.05\)"):
        check_jobs(spec, SCENARIO, expand(spec), "sweep.yaml")
    spec = SweepSpec(base="b", grid={"tariff.prise_eur_per_kwh": (0.2,)})
    with pytest.raises(ScenarioError, match="did you mean 'price_eur_per_kwh'"):
        check_jobs(spec, SCENARIO, expand(spec), "sweep.yaml")


def test_unknown_kpi_of_the_figure_shows_before_the_first_run() -> None:
    grid = {"tariff.price_eur_per_kwh": (0.2,), "clock.days": (1,)}
    axes = {"x": "clock.days", "y": "tariff.price_eur_per_kwh"}
    for kpi, hint in (("homes_bill_eur.gian", "; did you mean 'homes_bill_eur.gain'?"), ("zzz", "")):
        spec = SweepSpec(base="b", grid=grid, figure={"kind": "heat_map", **axes, "kpi": kpi})
        with pytest.raises(ScenarioError) as caught:
            check_jobs(spec, SCENARIO, expand(spec), "sweep.yaml")
        assert str(caught.value) == (
            f"sweep.yaml:1: figure.kpi = {kpi}; expected a KPI and one of vpp, counterfactual, difference, gain, "
            f"such as homes_bill_eur.gain{hint}"
        )
