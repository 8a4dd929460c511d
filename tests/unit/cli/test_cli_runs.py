"""``runs`` and ``plot`` over folders that other processes wrote."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.run_tables import run_data, write_run
from vpp_sim.cli import main
from vpp_sim.runs.catalogue import Catalogue
from vpp_sim.runs.folder import RunFolder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two complete runs and a failed one, none of them in a catalogue yet, and one that is still being written."""
    path = tmp_path_factory.mktemp("results")
    data = run_data(homes=2, days=1)
    for number, letter in enumerate("abc"):
        write_run(path, data, digest=letter * 64, started=f"2026-01-0{number + 1}T00:00:00Z")
    runs = sorted((path / "made_up").iterdir())
    text = (runs[2] / "manifest.json").read_text(encoding="utf-8")
    failed = text.replace('"status": "complete"', '"status": "failed"').replace('"error": ""', '"error": "no sun"')
    assert failed != text
    (runs[2] / "manifest.json").write_text(failed, encoding="utf-8")
    runs[2].rename(runs[2].with_name(runs[2].name + ".failed"))
    (path / "made_up" / "d.partial").mkdir()
    (path / "made_up" / "d.partial" / "manifest.json").write_text("{}")
    return path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_list_finds_what_others_wrote(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    for _ in range(2):  # the second time from the catalogue
        lines = printed(capsys, "runs", "list", "--results", str(results)).split("\n")
        rows = [line.split() for line in lines if "made_up" in line]
        assert [(row[1][:3], row[2], row[3]) for row in rows] == [
            ("aaa", "complete", "2026-01-01T00:00:00Z"),
            ("bbb", "complete", "2026-01-02T00:00:00Z"),
            ("ccc", "failed", "2026-01-03T00:00:00Z"),
        ]


def test_list_narrows_by_status_and_name(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    out = printed(capsys, "runs", "list", "--results", str(results), "--status", "failed")
    assert "ccc" in out
    assert "aaa" not in out
    assert "aaa" not in printed(capsys, "runs", "list", "--results", str(results), "--name", "other")


def test_list_narrows_by_labels_and_shows_the_others(
    capsys: pytest.CaptureFixture[str], results: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    catalogue = Catalogue(copy)
    for path, size in zip(sorted((copy / "made_up").glob("[ab]*")), (6.4, 12.8), strict=True):
        catalogue.add(RunFolder.open(path), {"sweep": "sizes", "battery.capacity_kwh": size, "chain": None})
    catalogue.close()
    command = ("runs", "list", "--results", str(copy), "--label")
    assert "labels" not in printed(capsys, *command[:-1])
    lines = printed(capsys, *command, "sweep=sizes").splitlines()
    assert [line.split()[1][0] for line in lines if "made_up" in line] == ["a", "b"]
    assert [line.strip().rpartition("  ")[2].strip() for line in lines if "made_up" in line] == [
        "battery.capacity_kwh=6.4, chain=null", "battery.capacity_kwh=12.8, chain=null",
    ]  # fmt: skip
    narrow = printed(capsys, *command, "sweep=sizes", "--label", "battery.capacity_kwh=12.80")
    assert [line.split()[1][0] for line in narrow.splitlines() if "made_up" in line] == ["b"]
    assert "made_up" not in printed(capsys, *command, "sweep=size")
    assert printed(capsys, "runs", "show", "bbb", "--results", str(copy)).splitlines()[1] == (
        "sweep=sizes, battery.capacity_kwh=12.8, chain=null"
    )


@pytest.mark.parametrize("text", ["sweep", "=sizes"])
def test_a_label_is_a_key_and_a_value(capsys: pytest.CaptureFixture[str], results: Path, text: str) -> None:
    assert main(["runs", "list", "--results", str(results), "--label", text]) == 2
    assert capsys.readouterr().err == f"error: --label {text}: expected key=value, such as sweep=battery_tariff\n"


def test_an_unknown_status_is_a_mistake(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    assert main(["runs", "list", "--results", str(results), "--status", "done"]) == 2
    assert capsys.readouterr().err == "error: --status done: expected complete or failed\n"


def test_show_prints_kpis_with_units_and_the_folder_last(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    lines = printed(capsys, "runs", "show", "aaa", "--results", str(results)).splitlines()
    assert lines[0].startswith("made_up aaaaaaaaaaaa-")
    bill = next(line.split() for line in lines if "Homes' total bill" in line)
    assert bill[-1] == "EUR"
    vpp, counterfactual, difference = (float(number) for number in bill[-4:-1])
    assert difference == pytest.approx(vpp - counterfactual, abs=0.011)
    assert Path(lines[-1]).is_dir()


def test_show_says_why_a_run_failed(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    assert "no sun" in printed(capsys, "runs", "show", "ccc", "--results", str(results))


def test_compare_puts_runs_side_by_side(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    command = ("runs", "compare", "aaa", "bbb", "--results", str(results), "--kpi", "load_kwh", "--kpi", "chain_gas")
    lines = printed(capsys, *command).splitlines()
    shown = printed(capsys, "runs", "show", "aaa", "--results", str(results)).splitlines()
    for label in ("Load  ", "Gas, total  "):
        row, alone = (
            next(line.strip() for line in table if line.lstrip().startswith(label)) for table in (lines, shown)
        )
        first, second, unit = row.removeprefix(label).split()
        assert (first, unit) == (second, alone.split()[-1])
        assert first == alone.removeprefix(label).split()[0]


@pytest.mark.parametrize("runs", [["aaa"], ["aaa", "aaaa"]])
def test_compare_needs_two_runs(capsys: pytest.CaptureFixture[str], results: Path, runs: list[str]) -> None:
    assert main(["runs", "compare", *runs, "--results", str(results)]) == 2
    assert "expected two" in capsys.readouterr().err


def test_list_tells_runs_apart(capsys: pytest.CaptureFixture[str], results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    runs = sorted((copy / "made_up").glob("*Z*"))
    with (runs[0] / "scenario.yaml").open("a", encoding="utf-8") as file:
        file.write("ess: {kind: rule_based}\n")
    (runs[1] / "scenario.yaml").unlink()
    lines = [line for line in printed(capsys, "runs", "list", "--results", str(copy)).splitlines() if "made_up" in line]
    bills = RunFolder(runs[0]).kpis()["homes_bill_eur"]["difference"]
    assert bills is not None
    assert lines[0].split()[5:] == ["2017-07-03", "7", "rule_based", f"{bills:+.2f}"]
    assert lines[1].split()[5:] == [f"{bills:+.2f}"]
    assert lines[2].split()[5:] == ["2017-07-03", "7"]  # it failed


def test_a_reader_who_leaves_early_is_no_error(results: Path) -> None:
    command = [sys.executable, "-m", "vpp_sim.cli", "runs", "show", "aaa", "--results", str(results)]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_compare_names_an_unknown_kpi(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    assert main(["runs", "compare", "aaa", "bbb", "--results", str(results), "--kpi", "loads_kwh"]) == 2
    assert capsys.readouterr().err.endswith("; did you mean 'load_kwh'?\n")


def test_plot_draws_one_figure_where_it_is_asked_to(
    capsys: pytest.CaptureFixture[str], results: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "money.svg"
    command = ("plot", "aaa", "--results", str(results), "--figure", "money", "--out", str(out))
    assert printed(capsys, *command) == f"{out}\n"
    assert "<svg" in out.read_text(encoding="utf-8")


def test_plot_names_an_unknown_figure(capsys: pytest.CaptureFixture[str], results: Path) -> None:
    assert main(["plot", "aaa", "--results", str(results), "--figure", "mony"]) == 2
    assert capsys.readouterr().err.endswith("; did you mean 'money'?\n")


def test_the_schema_is_printed_or_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = printed(capsys, "schema")
    assert printed(capsys, "schema", "--out", str(tmp_path / "s.json")) == f"{tmp_path / 's.json'}\n"
    assert (tmp_path / "s.json").read_text(encoding="utf-8") == text
    assert '"title": "Scenario of vpp_sim"' in text
