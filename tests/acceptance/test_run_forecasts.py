"""What a run says of its own forecasts: who knew what, how they did, and which of them are no forecasts at all."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.support.scenarios import light_scenario
from vpp_sim.forecasting.model import PRETRAINED
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.manifest import Manifest
from vpp_sim.simulation import run

STAMP = datetime(2026, 1, 2, tzinfo=UTC)


def run_of(folder: Path, **changes: object) -> RunFolder:
    return run(light_scenario(**changes), started=STAMP, results_dir=folder)


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_of(
        tmp_path_factory.mktemp("bound"),
        forecasting__demand__kind="perfect",
        forecasting__solar__kind="persistence_ensemble",
        forecasting__every="3h",
        forecasting__weather={"kind": "perfect"},
        demand_response__kind="none",
        clock__start="2017-07-31",
    )


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return run_of(
        tmp_path_factory.mktemp("learned"),
        forecasting__demand={"kind": "lstm", "model": str(PRETRAINED)},
        forecasting__calibration="conformal",
    )


def rows(manifest: Manifest) -> dict[tuple[str, str], dict[str, object]]:
    return {(row["series"], row["scope"]): dict(row) for row in manifest.forecasts}


def test_a_bound_is_called_one(bound: RunFolder) -> None:
    said = bound.manifest().information
    assert said["forecasts"] == (
        "perfect for load and persistence_ensemble for sun, issued every 3h and when bids are due, from meter and "
        "weather readings before their issue, the calendar, and the weather forecast known then; perfect for load IS "
        "TOLD what will happen: a bound, and no real forecast"
    )
    assert said["weather forecast"] == "perfect: the observed weather itself, a bound and no forecast"
    assert said["calibration of forecasts"].startswith("none: ")


def test_a_bound_makes_no_error_and_others_do(bound: RunFolder) -> None:
    found = rows(bound.manifest())
    assert list(found) == [("load", "homes"), ("load", "fleet"), ("sun", "homes"), ("sun", "fleet")]
    for scope in ("homes", "fleet"):
        load, sun = found["load", scope], found["sun", scope]
        assert (load["forecaster"], load["mae_kw"], load["coverage_80"]) == ("perfect", 0.0, 1.0)
        assert load["reference"] == "first 21 days"
        assert 0.0 < sun["mae_kw"] < 1.0  # type: ignore[operator]
    table = bound.table("forecasts")
    np.testing.assert_array_equal(table["load_p05_kw"], table["load_p95_kw"])
    load_kw = bound.table("timeseries")["base_load_kw"]
    np.testing.assert_allclose(table["load_p50_kw"], load_kw, rtol=1e-12)


def test_a_bound_is_told_all_but_what_homes_answer_to_prices(tmp_path: Path) -> None:
    run = run_of(tmp_path, forecasting__demand__kind="perfect", demand_response__elasticity=-0.5)
    homes = run.table("prosumers")
    answer_kw = homes["load_kw"] - homes["base_load_kw"]
    assert answer_kw.abs().max() > 0.1
    assert rows(run.manifest())["load", "homes"]["mae_kw"] == pytest.approx(answer_kw.abs().mean(), abs=1e-8)


def test_what_lies_beyond_the_data_is_counted(bound: RunFolder) -> None:
    """On the last day of the data, a forecast of 36 hours issued every three reaches beyond it."""
    counts = bound.manifest().counts
    name = "hours beyond the data, told to a perfect forecaster as those of the day before"
    assert counts[name] == sum(hour + 36 - 24 for hour in range(0, 24, 3))
    assert counts["weather forecast: hours beyond the data, made from the weather of the day before"] == 48
    assert f"counterfactual: {name}" not in counts


def test_the_counterfactual_is_a_plain_retailers() -> None:
    scenario = light_scenario(forecasting__calibration="conformal", forecasting__weather={"kind": "perfect"})
    plain = scenario.without_vpp().forecasting
    assert (plain.demand.kind, plain.calibration, plain.weather.kind) == ("persistence", "none", "perfect")


def test_a_run_says_what_its_forecasters_knew(learned: RunFolder) -> None:
    manifest = learned.manifest()
    assert manifest.information["weather forecast"] == (
        "error_model: errors added to the observed weather, seed 7; each run is known 6h after its start"
    )
    assert manifest.information["calibration of forecasts"].startswith("conformal: quantiles are widened or narrowed")
    assert "bound" not in manifest.information["forecasts"]
    found = rows(manifest)
    assert (found["load", "homes"]["reference"], found["load", "fleet"]["reference"]) == ("model card", "none")
    assert 0.3 < found["load", "homes"]["error_to_reference"] < 3.0  # type: ignore[operator]
    assert found["sun", "homes"]["ratio_to_persistence"] == 1.0  # it is persistence
    assert str(manifest.model_cards["demand"]["kind"]) == "lstm"


def test_recorded_quantiles_are_in_order(learned: RunFolder) -> None:
    table = learned.table("forecasts")
    assert (table["issue_step"] == -12).all()
    for series in ("load", "sun"):
        quantiles = table[[f"{series}_p{level:02d}_kw" for level in (5, 10, 25, 50, 75, 90, 95)]].to_numpy()
        assert (np.diff(quantiles, axis=1) >= 0).all()
        assert (quantiles >= 0).all()
    assert (table["load_p95_kw"] > table["load_p05_kw"]).all()
