"""``run`` and ``sweep`` from file to folder, on two homes for a day, without trained models."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vpp_sim.cli import main
from vpp_sim.runs.catalogue import Catalogue

BASE = Path(__file__).parents[2] / "scenarios" / "base" / "california.yaml"
SCENARIO = f"""\
name: toy
extends: {BASE}
clock: {{start: 2017-07-03, days: 1}}
prosumers:
  - group: homes
    data: {{kind: fontana, homes: [1, 2]}}
forecasting: {{demand: {{kind: seasonal_naive}}, solar: {{kind: seasonal_naive}}}}
ess: {{kind: self_consumption}}
chain: null
"""


@pytest.fixture(autouse=True)
def _beside_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(SCENARIO)


def test_a_run_prints_its_kpis_and_ends_with_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "toy.yaml", "--no-report"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:3] == ["Homes'", "total", "bill"] and line.split()[-1] == "EUR" for line in lines)
    folder = Path(lines[-1])
    assert folder.parent == Path("results/toy")
    assert {"manifest.json", "scenario.yaml", "kpis.json", "bills.parquet"} <= {item.name for item in folder.iterdir()}

    assert main(["run", str(folder / "scenario.yaml"), "--no-report", "--quiet"]) == 0
    again = Path(capsys.readouterr().out.strip())
    assert (again / "kpis.json").read_bytes() == (folder / "kpis.json").read_bytes()
    assert again != folder

    assert main(["runs", "list"]) == 0
    listed = capsys.readouterr().out
    assert folder.name in listed
    assert again.name in listed


def test_a_sweep_runs_every_combination_into_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sweep.yaml").write_text(
        "name: sizes\nbase: toy.yaml\nexecutor: serial\nseeds: [1]\n"
        "grid: {prosumers.0.battery.capacity_kwh: [0, 6.4], tariff.price_eur_per_kwh: [0.3]}\n"
        "figure: {x: prosumers.0.battery.capacity_kwh, y: tariff.price_eur_per_kwh, kpi: homes_bill_eur.gain}\n"
    )
    assert main(["sweep", "sweep.yaml"]) == 0
    out = capsys.readouterr().out
    assert "homes_bill_eur.gain" in out
    assert "prosumers.0.battery.capacity_kwh" in out
    assert "tariff.price_eur_per_kwh" not in out  # it has one value
    folder, figure = map(Path, out.splitlines()[-2:])
    assert figure == folder / "heat_map.png"
    assert figure.read_bytes().startswith(b"\x89PNG")
    table = (folder / "jobs.csv").read_text().splitlines()
    assert len(table) == 3
    assert [row.split(",")[1] for row in table] == ["prosumers.0.battery.capacity_kwh", "0.0", "6.4"]
    assert main(["runs", "list", "--status", "complete"]) == 0
    assert capsys.readouterr().out.count(" complete ") == 2
    label = "prosumers.0.battery.capacity_kwh=6.4"
    assert main(["runs", "list", "--label", "sweep=sizes", "--label", label]) == 0
    assert capsys.readouterr().out.count(" complete ") == 1
    (record,) = Catalogue(Path("results")).list(labels={"sweep": "sizes", "prosumers.0.battery.capacity_kwh": 0})
    assert record.labels == {
        "sweep": "sizes", "prosumers.0.battery.capacity_kwh": 0, "tariff.price_eur_per_kwh": 0.3, "seed": 1
    }  # fmt: skip


def test_a_sweep_on_a_cluster_says_nothing_of_the_cluster() -> None:
    Path("sweep.yaml").write_text("name: sizes\nbase: toy.yaml\nexecutor: dask\ngrid: {clock.days: [1]}\n")
    done = subprocess.run(
        [sys.executable, "-m", "vpp_sim.cli", "sweep", "sweep.yaml", "--quiet"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(BASE.parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (Path(done.stdout.strip()) / "jobs.csv").is_file()
    assert len(Catalogue(Path("results")).list(labels={"sweep": "sizes", "clock.days": 1})) == 1


def test_a_sweep_with_a_job_that_cannot_be_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sweep.yaml").write_text("base: toy.yaml\ngrid: {ess.kind: [idle, pppo]}\n")
    assert main(["sweep", "sweep.yaml"]) == 2
    assert "ess.kind = pppo; expected a storage controller: " in capsys.readouterr().err
    assert not Path("results").exists()
