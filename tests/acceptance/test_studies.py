"""Every study states the figures that its program made, and its program still runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.scenarios import ROOT
from tests.support.studies import program

STUDIES = sorted(path.parent for path in (ROOT / "experiments").glob("*/run.py"))


def test_every_folder_is_a_study() -> None:
    assert STUDIES
    assert [path.parent for path in sorted((ROOT / "experiments").glob("*/README.md"))] == STUDIES


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_the_page_states_the_figures_of_the_full_run(study: Path) -> None:
    stated = json.loads((study / "figures.json").read_text(encoding="utf-8"))
    assert set(stated) == {"command", "commit", "versions", "cores", "seconds", "figures"}
    assert stated["command"] == f"python experiments/{study.name}/run.py"
    assert stated["seconds"] > 0
    made = program(study.name)
    assert made.table_of(stated["figures"]) in (study / "README.md").read_text(encoding="utf-8")
    assert made.PAGE.rendered(stated["figures"]).encode() == (study / "README.md").read_bytes()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_the_quick_version_prints_the_same_kind_of_figures(study: Path) -> None:
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    done = subprocess.run(
        [sys.executable, str(study / "run.py"), "--quick"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    stated = json.loads((study / "figures.json").read_text(encoding="utf-8"))["figures"]
    assert set(figures) == set(stated)
    assert {path: path.read_bytes() for path in before} == before
