"""Paths in a scenario start from the file that they are written in, and must lead somewhere before a run."""

from pathlib import Path

import pytest

from vpp_sim.cli import main
from vpp_sim.errors import ScenarioError
from vpp_sim.scenario import dump_scenario, load_scenario, read_scenario
from vpp_sim.scenario.paths import require_paths

TOY = """\
name: toy
extends: base/weather.yaml
clock: {start: 2017-07-03, timezone: America/Los_Angeles}
prosumers: [{group: homes, data: {kind: fontana, homes: [1]}}]
forecasting:
  demand: {kind: lstm, model: models/mine}
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "weather.yaml").write_text("forecasting: {weather: {kind: file, path: ../weather.csv}}\n")
    (tmp_path / "toy.yaml").write_text(TOY)
    return tmp_path / "toy.yaml"


def test_a_path_starts_from_the_file_that_names_it(toy: Path) -> None:
    spec = load_scenario(toy).forecasting
    assert spec.demand.model == toy.parent / "models" / "mine"
    assert spec.weather.path == toy.parent / "weather.csv"  # written in the base, a folder below
    assert spec.solar.model is None


def test_it_does_so_wherever_the_command_is_given(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (toy.parent / "elsewhere").mkdir()
    monkeypatch.chdir(toy.parent / "elsewhere")
    spec = load_scenario(Path("../toy.yaml"), {"forecasting.solar": {"kind": "lstm", "model": "models"}}).forecasting
    assert spec.demand.model == toy.parent / "models" / "mine"
    assert spec.solar.model == toy.parent / "elsewhere" / "models"  # an override is written in no file


def test_the_resolved_scenario_names_the_same_places(toy: Path, tmp_path: Path) -> None:
    scenario = load_scenario(toy)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scenario.yaml").write_text(dump_scenario(scenario))
    assert load_scenario(tmp_path / "run" / "scenario.yaml") == scenario


def test_what_is_missing_is_named_with_its_line(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = read_scenario(toy, {"forecasting.solar.kind": "lstm", "forecasting.solar.model": "/no/such"})
    with pytest.raises(ScenarioError) as caught:
        require_paths(loaded)
    folder = toy.parent
    found = [(p.file, p.line, p.key, p.allowed) for p in caught.value.problems]
    assert found == [
        (str(toy), 6, "forecasting.demand.model", f"no such folder: {folder}/models/mine"),
        ("overrides", 2, "forecasting.solar.model", "no such folder: /no/such"),
        (f"{folder}/base/weather.yaml", 1, "forecasting.weather.path", f"no such file: {folder}/weather.csv"),
    ]
    assert main(["validate", str(toy)]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "toy.yaml:6: forecasting.demand.model = " in shown
    assert f"no such folder: {folder}/models/mine" in shown


def test_what_is_there_passes(toy: Path) -> None:
    (toy.parent / "models" / "mine").mkdir(parents=True)
    (toy.parent / "weather.csv").touch()
    require_paths(read_scenario(toy))


def test_a_path_that_is_no_text_is_refused_as_such(toy: Path) -> None:
    toy.write_text(TOY.replace("models/mine", "3"))
    with pytest.raises(ScenarioError, match=r"toy\.yaml:6: forecasting\.demand\.model = 3; expected text or null"):
        load_scenario(toy)


@pytest.mark.parametrize("kind", ["error_model", "perfect"])
def test_a_source_that_reads_no_file_takes_none(toy: Path, kind: str) -> None:
    with pytest.raises(ScenarioError, match=f"expected no path, since {kind} reads no file"):
        load_scenario(toy, {"forecasting.weather.kind": kind})
