"""A user's mistakes on the command line: one line each, exit status 2, no traceback, nothing written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vpp_sim.cli import main
from vpp_sim.ess.policy import PolicyController
from vpp_sim.ess.weights import PRETRAINED

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
FONTANA = str(ROOT / "scenarios" / "fontana.yaml")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return what standard error says of a mistake; nothing else may be said, and nothing written."""
    before = sorted(Path().rglob("*"))
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sorted(Path().rglob("*")) == before
    lines = err.splitlines()
    assert all(line.startswith("error: ") for line in lines), err
    return [line.removeprefix("error: ") for line in lines]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_every_shipped_scenario_is_valid(capsys: pytest.CaptureFixture[str], scenario: Path) -> None:
    assert main(["validate", str(scenario)]) == 0
    assert f"{scenario}: {scenario.stem} is valid: " in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_misspelt_key(capsys: pytest.CaptureFixture[str], command: str) -> None:
    Path("toy.yaml").write_text(
        f"name: toy\nextends: {FONTANA}\nprosumers:\n  - group: homes\n    data: {{kind: fontana}}\n    battery:\n"
        "      capcity_kwh: 6.4\n"
    )
    assert complaint(capsys, command, "toy.yaml") == [
        "toy.yaml:7: prosumers.0.battery.capcity_kwh = 6.4; unknown key; allowed: capacity_kwh, power_kw, efficiency, "
        "min_soc, max_soc, initial_soc, self_discharge_per_month, inverter_kw, inverter, replacement_eur_per_kwh, "
        "temperature_c; did you mean 'capacity_kwh'?"
    ]


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_date_outside_the_data(capsys: pytest.CaptureFixture[str], command: str) -> None:
    Path("toy.yaml").write_text(f"extends: {FONTANA}\nclock:\n  start: 2019-01-01\n")
    # The homes' year begins on 2016-08-01, and nine days of it are history.
    assert complaint(capsys, command, "toy.yaml") == [
        "toy.yaml:3: clock.start = 2019-01-01; expected a start from 2016-08-10 to 2017-07-25 for 7 days: fontana "
        "covers 2016-08-01 to 2017-08-01; netherlands_day_ahead covers 2015-01-01T01:00 to 2025-01-08T01:00; "
        "forecasts look back 9 days"
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("clock.start=2016-08-09", "clock.start = 2016-08-09; expected a start from 2016-08-10 to "),
        ("clock.start=2017-07-26", "clock.start = 2017-07-26; expected a start from 2016-08-10 to "),
        ("clock.days=400", "clock.days = 400; expected at most 356 days: fontana covers 2016-08-01 to "),
        (
            "prosumers.0.data.homes=[1, 99]",
            "prosumers.0.data.homes.1 = 99; fontana has no home 99; expected homes among 1, 2, 3, 4, 5, ",
        ),
        ("prosumers.0.battery.capacity_kwh=-1", "prosumers.0.battery.capacity_kwh = -1; expected a "),
        ("clock.step=7min", "clock.step = 7min; expected a step that divides an hour, such as 5min, "),
        ("ess.kind=pppo", "ess.kind = pppo; expected a storage controller: "),
    ],
)
def test_an_override_that_cannot_be(capsys: pytest.CaptureFixture[str], override: str, said: str) -> None:
    lines = complaint(capsys, "validate", FONTANA, "--set", override)
    assert len(lines) == 1
    assert lines[0].startswith(f"--set {override}: {said}")


@pytest.mark.parametrize("start", ["2016-08-10", "2017-07-25"])
def test_the_first_and_the_last_week_of_the_data_are_valid(capsys: pytest.CaptureFixture[str], start: str) -> None:
    assert main(["validate", FONTANA, "--set", f"clock.start={start}"]) == 0
    assert f"7 days from {start}" in capsys.readouterr().out


def test_a_scenario_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("toys.yaml").touch()
    assert complaint(capsys, "run", "toy.yaml") == [
        "toy.yaml:1: scenario = toy.yaml; no such file; did you mean 'toys.yaml'?"
    ]


def test_an_override_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    lines = complaint(capsys, "run", FONTANA, "--with", "wintr")
    assert len(lines) == 1
    assert f"{FONTANA}:1: named override = wintr; expected a file, or one of the named overrides: " in lines[0]


def test_a_text_that_is_no_override(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "run", FONTANA, "--set", "clock.days") == [
        "--set clock.days: expected key=value, such as clock.days=1"
    ]


@pytest.mark.parametrize(
    "arguments", [["runs", "list"], ["runs", "show", "latest"], ["runs", "compare", "a", "b"], ["plot", "latest"]]
)
def test_runs_where_there_are_none(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert complaint(capsys, *arguments) == ["results: there is no such folder of runs"]


@pytest.fixture(params=["pv_lstm", "load_transformer", "ess_ppo"])
def renamed_weights(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Let models be opened from a copy of the shipped ones in which one file has another name; return its old path."""
    folder = tmp_path_factory.mktemp("models") / "pretrained"
    shutil.copytree(PRETRAINED, folder)
    weights = folder / f"{request.param}.safetensors"
    weights.rename(folder / "renamed.safetensors")
    monkeypatch.setattr("vpp_sim.agents.inputs.PRETRAINED", folder)
    opens = PolicyController.open.__func__  # type: ignore[attr-defined]
    assert opens.__defaults__ == (PRETRAINED,)
    monkeypatch.setattr(opens, "__defaults__", (folder,))
    return weights


def test_a_run_whose_weights_are_missing_writes_nothing(
    capsys: pytest.CaptureFixture[str], renamed_weights: Path
) -> None:
    (line,) = complaint(capsys, "run", FONTANA, "--set", "clock.days=1")
    target, _, kind = renamed_weights.stem.partition("_")
    if target == "ess":
        assert line.startswith("no trained ")
        assert line.endswith(f": {renamed_weights} does not exist")
    else:
        command = f"'vpp-sim train forecaster --kind {kind} --target {target} --out FOLDER'"
        assert line.startswith(f"there ships no trained {kind} for {target}; make one with {command}")
    assert main(["validate", FONTANA]) == 0  # opens no model
    assert "fontana is valid" in capsys.readouterr().out


def test_a_sweep_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "sweep", "toy.yaml") == ["toy.yaml:1: scenario = toy.yaml; no such file"]


def test_a_forecaster_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    lines = complaint(capsys, "train", "forecaster", "--kind", "lstn", "--target", "load")
    learn = "gbm, linear, lstm, transformer"
    assert lines == [f"unknown forecaster to train 'lstn'; allowed: {learn}; did you mean 'lstm'?"]


def test_a_forecaster_that_has_nothing_to_train(capsys: pytest.CaptureFixture[str]) -> None:
    lines = complaint(capsys, "train", "forecaster", "--kind", "persistence", "--target", "load")
    assert lines == ["unknown forecaster to train 'persistence'; allowed: gbm, linear, lstm, transformer"]


def test_a_file_of_overrides_is_no_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    quick = ROOT / "scenarios" / "overrides" / "quick.yaml"
    lines = complaint(capsys, "run", str(quick))
    assert (
        f"{quick}:3: name = (missing); required: name of the scenario; its runs are written under it; "
        "files in overrides/ change a scenario, as in: vpp-sim run SCENARIO --with quick"
    ) in lines


def test_a_value_of_a_sweep_shows_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sweep.yaml").write_text(f"base: {FONTANA}\ngrid:\n  seed_: [1]\n  clock.dys:\n    - 1\n    - 2\n")
    assert [line.partition(";")[0] for line in complaint(capsys, "sweep", "sweep.yaml")] == [
        "sweep.yaml:3: seed_ = 1",
        "sweep.yaml:5: clock.dys = 1",
    ]


def test_one_home_in_two_groups(capsys: pytest.CaptureFixture[str]) -> None:
    Path("toy.yaml").write_text(
        f"name: toy\nextends: {FONTANA}\nprosumers:\n  - group: small\n    data: {{kind: fontana, homes: [1, 2, 3]}}\n"
        "  - group: large\n    data:\n      kind: fontana\n      homes: [3, 5]\n"
    )
    assert complaint(capsys, "validate", "toy.yaml") == [
        "toy.yaml:9: prosumers.1.data.homes.0 = 3; expected each home in one group; home 3 of fontana is in small and "
        "in large"
    ]


def test_a_schema_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    lines = complaint(capsys, "schema", "--out", "no/folder.json")
    assert lines == ["no/folder.json: cannot be written: No such file or directory"]


def test_a_process_ends_with_the_status_and_without_a_traceback() -> None:
    Path("toy.yaml").write_text("name: [toy\n")
    done = subprocess.run(
        [sys.executable, "-m", "vpp_sim.cli", "run", "toy.yaml"],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == 'error: toy.yaml:1: text = "name: [toy"; this is not YAML: ' + (
        "expected ',' or ']', but got '<stream end>'\n"
    )
    assert sorted(Path().iterdir()) == [Path("toy.yaml")]
