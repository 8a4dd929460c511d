"""What all studies share: stages that merge, files that are whole, tables between marks, and processes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

from tests.support.scenarios import ROOT

FOLDER = ROOT / "experiments"
README = "# Tides\n\nWhy.\n\n<!-- tables -->\n\nold\n\n<!-- /tables -->\n\nMore <b>text</b>.\n"


@pytest.fixture(scope="module")
def program() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield import_module("study_program")


@pytest.fixture
def page(program, tmp_path):
    """A study's folder with a README, whose table shows the highest tide."""
    folder = tmp_path / "tides"
    folder.mkdir()
    (folder / "README.md").write_text(README, encoding="utf-8")
    return program.Page(folder, lambda figures: program.table("Tides", ["highest"], [[f"{figures['high_m']}"]]))


class Stages:
    """Two stages that count how often, and with what, they ran."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, bool]] = []
        self.high_m = 3.5

    def highs(self, *, jobs: int, quick: bool):
        self.calls.append(("highs", jobs, quick))
        return {"high_m": self.high_m, "by_port": {"Emden": self.high_m}, "share": {"highs": self.high_m}}

    def lows(self, *, jobs: int, quick: bool):
        self.calls.append(("lows", jobs, quick))
        return {"low_m": -1.0, "share": {"lows": -1.0}}

    def run(self, program, page, *arguments: str, **options) -> None:
        parser = program.command_line("Tides.", quick="one port")
        stages = {"highs": self.highs, "lows": self.lows}
        program.run_in_stages(page, stages, parser, gathered=("share",), arguments=arguments, **options)


@pytest.fixture
def stages() -> Stages:
    return Stages()


def files(page) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in page.folder.iterdir()}


# -- stages


def test_a_full_run_states_all_stages_and_what_made_them(program, page, stages, capsys) -> None:
    stages.run(program, page, jobs=4)
    stated = page.stated()
    assert list(stated) == ["command", "commit", "versions", "cores", "seconds", "figures"]
    assert stated["command"] == "python experiments/tides/run.py"
    assert {"vpp_sim", "python", "numpy"} <= set(stated["versions"])
    assert stated["cores"] == os.cpu_count()
    figures = stated["figures"]
    assert (figures["high_m"], figures["low_m"], figures["share"]) == (3.5, -1.0, {"highs": 3.5, "lows": -1.0})
    assert list(figures["stage_seconds"]) == ["highs", "lows"]
    assert stages.calls == [("highs", 4, False), ("lows", 4, False)]
    printed = capsys.readouterr()
    assert json.loads(printed.out.splitlines()[-1]) == figures
    assert [line.partition(":")[0] for line in printed.err.splitlines()] == ["highs", "lows"]
    assert sorted(files(page)) == ["README.md", "figures.json"]


def test_a_stage_run_again_keeps_the_figures_of_the_others(program, page, stages) -> None:
    stages.run(program, page)
    before = page.stated()
    before["figures"]["by_port"]["Husum"] = 3.1
    before["figures"]["stage_seconds"] = {"highs": 20.0, "lows": 300.0}
    page.write(before)
    stages.high_m = 4.0
    stages.run(program, page, "--only", "highs")
    after = page.stated()
    assert after["figures"].pop("stage_seconds") == {"highs": 0.0, "lows": 300.0}
    assert after["figures"] == {
        "high_m": 4.0,
        "by_port": {"Emden": 4.0},  # the whole figure is the stage's own: what it no longer finds is gone
        "share": {"highs": 4.0, "lows": -1.0},
        "low_m": -1.0,
    }
    assert after["seconds"] == 300.0
    assert [name for name, *_ in stages.calls] == ["highs", "lows", "highs"]
    assert "| 4.0 |" in page.readme_path.read_text(encoding="utf-8")


def test_there_is_nothing_to_merge_into_before_the_first_run(program, page, stages, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        stages.run(program, page, "--only", "highs")
    assert "figures.json, which is not there; run all stages first" in capsys.readouterr().err
    assert stages.calls == []


@pytest.mark.parametrize("arguments", [("--quick",), ("--quick", "--only", "lows")])
def test_a_quick_version_prints_and_writes_nothing(program, page, stages, capsys, arguments) -> None:
    before = files(page)
    stages.run(program, page, *arguments)
    assert files(page) == before
    assert json.loads(capsys.readouterr().out)["low_m"] == -1.0
    assert len(stages.calls) == (1 if "--only" in arguments else 2)


@pytest.mark.parametrize(
    ("arguments", "jobs"), [((), 3), (("--quick",), 1), (("--quick", "--jobs", "2"), 2), (("--jobs", "5"), 5)]
)
def test_processes_at_once_are_those_asked_for(program, page, stages, arguments, jobs) -> None:
    stages.run(program, page, *arguments, jobs=3)
    assert {call[1] for call in stages.calls} == {jobs}


def test_no_process_at_all_is_refused(program, page, stages, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        stages.run(program, page, "--jobs", "0")
    assert "--jobs takes 1 or more" in capsys.readouterr().err
    assert stages.calls == []


# -- files


def test_a_stage_that_fails_leaves_the_page_as_it_was(program, page, stages) -> None:
    stages.run(program, page)
    before = files(page)

    def lows(*, jobs: int, quick: bool):
        raise ZeroDivisionError("no water")

    stages.lows = lows
    with pytest.raises(ZeroDivisionError, match="no water"):
        stages.run(program, page)
    assert files(page) == before


def test_figures_that_are_no_json_leave_the_page_as_it_was(page, program, stages) -> None:
    stages.run(program, page)
    before = files(page)
    with pytest.raises(TypeError, match="not JSON serializable"):
        page.state({"high_m": {1, 2}}, 1.0)
    assert files(page) == before


def test_a_write_that_fails_half_way_leaves_the_old_file(program, tmp_path) -> None:
    path = tmp_path / "figures.json"
    program.write_whole(path, "old\n")
    with pytest.raises(UnicodeEncodeError):
        program.write_whole(path, "new, \ud800 and what cannot be encoded")
    assert path.read_text(encoding="utf-8") == "old\n"
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
import study_program
folder = pathlib.Path(sys.argv[2])
if sys.argv[3] == "before the move":
    pathlib.Path.replace = lambda part, path: os._exit(9)
page = study_program.Page(folder, lambda figures: "new", lambda figures, folder: os._exit(9))
page.state({"high_m": 5.0}, 1.0)
"""


@pytest.mark.parametrize(("when", "high_m"), [("before the move", 3.5), ("while it draws", 5.0)])
def test_a_process_that_ends_half_way_leaves_whole_files(program, page, stages, when, high_m) -> None:
    stages.run(program, page)
    readme = files(page)["README.md"]
    done = subprocess.run([sys.executable, "-c", KILLED, str(FOLDER), str(page.folder), when], cwd=ROOT, check=False)
    assert done.returncode == 9
    assert page.stated()["figures"]["high_m"] == high_m
    assert files(page)["README.md"] == readme


def test_pictures_are_drawn_of_the_figures_into_the_folder(program, page) -> None:
    drawn = []
    with_pictures = program.Page(page.folder, page.table_of, lambda *given: drawn.append(given))
    with_pictures.state({"high_m": 2.0}, 1.26)
    assert drawn == [({"high_m": 2.0}, page.folder)]
    assert page.stated()["seconds"] == 1.3


# -- tables


def test_tables_are_replaced_between_the_marks_alone(page) -> None:
    page.state({"high_m": 3.5}, 1.0)
    assert page.readme_path.read_text(encoding="utf-8") == (
        "# Tides\n\nWhy.\n\n<!-- tables -->\n\n**Tides**\n\n| highest |\n|---|\n| 3.5 |\n\n<!-- /tables -->\n\n"
        "More <b>text</b>.\n"
    )
    assert page.rendered({"high_m": 3.5}) == page.readme_path.read_text(encoding="utf-8")


def test_tables_are_taken_to_the_letter(program) -> None:
    assert program.with_tables("<!-- tables --><!-- /tables -->", r"\1 \g<0>") == (
        "<!-- tables -->\n\n\\1 \\g<0>\n\n<!-- /tables -->"
    )


@pytest.mark.parametrize(
    "text",
    [
        "no marks",
        "<!-- tables --> never closed",
        "never opened <!-- /tables -->",
        "<!-- /tables --> turned round <!-- tables -->",
        "<!-- tables --> a <!-- /tables --> <!-- tables --> b <!-- /tables -->",
        "<!-- tables --> a <!-- tables --> b <!-- /tables -->",
    ],
)
def test_tables_without_their_place_are_refused_before_any_work(program, page, stages, text) -> None:
    page.readme_path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"one <!-- tables --> and after it one <!-- /tables -->"):
        stages.run(program, page)
    assert stages.calls == []
    assert files(page) == {"README.md": text.encode()}


def test_a_table_has_a_line_of_heads_and_one_a_row(program) -> None:
    assert program.grid(["a", "b"], [["1", "2"], ["3", "4"]]) == "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n"


# -- processes


def pids(pool) -> set[int]:
    return set(pool.map(eval, ["__import__('os').getpid()"] * 4))


def test_one_job_stays_in_this_process_and_several_do_not(program) -> None:
    with program.pool_of(1) as pool:
        assert list(pool.map(divmod, (7, 9), (2, 4))) == [(3, 1), (2, 1)]
        assert pids(pool) == {os.getpid()}
    with program.pool_of(2) as pool:
        assert list(pool.map(divmod, (7, 9), (2, 4))) == [(3, 1), (2, 1)]
        assert os.getpid() not in pids(pool)
