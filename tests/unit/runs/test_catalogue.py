"""The catalogue finds runs by id and path, compares them, and takes several writers at once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.run_tables import STAMP, run_data, write_run
from vpp_sim.errors import UnknownNameError, UserError
from vpp_sim.runs.catalogue import Catalogue
from vpp_sim.runs.folder import RunFolder


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("results")
    data = run_data(homes=2, days=1)
    for number, letter in enumerate("abc"):
        write_run(path, data, digest=letter * 64, started=f"2026-01-0{number + 1}T00:00:00Z")
    return path


@pytest.fixture
def catalogue(results: Path, tmp_path: Path):
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    made = Catalogue(copy)
    for folder in sorted((copy / "made_up").iterdir()):
        made.add(RunFolder.open(folder), {"sweep": "sizes", "size": folder.name[0]})
    yield made
    made.close()


def test_list_and_find(catalogue: Catalogue, tmp_path: Path) -> None:
    records = catalogue.list()
    assert [record.run_id[:2] for record in records] == ["aa", "bb", "cc"]
    assert (records[0].name, records[0].seed, records[0].status) == ("made_up", 7, "complete")
    assert catalogue.find("bbb").digest == "b" * 64
    assert catalogue.find("latest").digest == "c" * 64
    assert catalogue.find(f"made_up/{records[0].run_id}") == records[0]
    assert catalogue.find(str(records[2].path)) == records[2]
    assert records[2].path.parent == (tmp_path / "results" / "made_up").resolve()


def test_filters(catalogue: Catalogue) -> None:
    assert len(catalogue.list(name="made_up")) == 3
    assert catalogue.list(name="other") == catalogue.list(status="failed") == []
    assert [record.digest[0] for record in catalogue.list(labels={"size": "b"})] == ["b"]


def test_adding_again_replaces(catalogue: Catalogue) -> None:
    folder = RunFolder.open(catalogue.find("aa").path)
    catalogue.add(folder, {"size": "new"})
    assert len(catalogue.list()) == 3
    assert catalogue.find("aa").labels == {"size": "new"}


def test_failed_runs_are_listed_as_failed(catalogue: Catalogue, tmp_path: Path) -> None:
    writer = RunFolder.create(tmp_path / "results", "made_up", "d" * 64, STAMP)
    with pytest.raises(ZeroDivisionError), writer:
        raise ZeroDivisionError("by nought")
    record = catalogue.add(writer.folder)
    assert (record.status, record.error, record.kpis) == ("failed", "ZeroDivisionError: by nought", {})
    assert [found.run_id for found in catalogue.list(status="failed")] == [record.run_id]
    with pytest.raises(UserError, match="failed and has no KPIs: ZeroDivisionError"):
        catalogue.compare(["ddd"])


def test_compare(catalogue: Catalogue) -> None:
    frame = catalogue.compare(["aa", "cc"], ["load_kwh", "homes_bill_eur"])
    assert frame.columns.tolist() == ["unit", catalogue.find("aa").run_id, catalogue.find("cc").run_id]
    assert frame.index.tolist() == ["load_kwh", "homes_bill_eur"]
    assert frame.loc["load_kwh"].tolist()[1:] == [catalogue.find("aa").kpis["load_kwh"]["vpp"]] * 2
    assert len(catalogue.compare(["aa"])) > 40
    with pytest.raises(UnknownNameError, match=r"unknown KPI 'load_kw'.*did you mean 'load_kwh'"):
        catalogue.compare(["aa"], ["load_kw"])


def test_a_run_whose_id_begins_anothers_can_be_named(catalogue: Catalogue, tmp_path: Path) -> None:
    first = catalogue.find("aa")
    second = catalogue.add(write_run(tmp_path / "results", run_data(homes=2, days=1), digest="a" * 64))
    assert second.run_id == f"{first.run_id}-2"
    for key in (first.run_id, f"made_up/{first.run_id}", str(first.path)):
        assert catalogue.find(key) == first
    assert catalogue.find(second.run_id) == second
    frame = catalogue.compare([first.run_id, second.run_id], ["load_kwh"])
    assert frame.columns.tolist() == ["unit", first.run_id, second.run_id]
    with pytest.raises(UserError, match="2 runs begin with 'aaa'"):
        catalogue.find("aaa")


def test_runs_that_others_wrote_are_added_once(
    catalogue: Catalogue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        write_run(tmp_path / "results", run_data(homes=2, days=1), digest=f"{number}" * 64)
    for name, text in {"damaged": "{", "d.partial": "{}"}.items():
        (tmp_path / "results" / name).mkdir()
        (tmp_path / "results" / name / "manifest.json").write_text(text)
    assert len(catalogue.list()) == 3
    for _ in range(2):
        catalogue.add_missing()
        assert sorted(record.digest[0] for record in catalogue.list()) == ["1", "2", "a", "b", "c"]
    assert catalogue.find("111").labels == {}
    assert catalogue.find("aaa").labels == {"sweep": "sizes", "size": "a"}
    assert [record.getMessage().partition(": cannot be read")[0] for record in caplog.records] == [
        f"not listed: {tmp_path / 'results' / 'damaged' / 'manifest.json'}"
    ]


def test_a_run_that_another_added_meanwhile_keeps_its_labels(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Catalogue, "_paths", lambda _: set())  # as it was before the other process added them
    catalogue.add_missing()
    assert [record.labels["size"] for record in catalogue.list()] == ["a", "b", "c"]


def test_runs_whose_folders_are_gone_are_left_out(catalogue: Catalogue, tmp_path: Path) -> None:
    gone = catalogue.find("ccc")
    gone.path.rename(tmp_path / "elsewhere")
    assert [record.digest[0] for record in catalogue.list()] == ["a", "b"]
    assert catalogue.find("latest").digest[0] == "b"
    with pytest.raises(UserError, match="there is no run 'ccc'"):
        catalogue.find("ccc")
    (tmp_path / "elsewhere").rename(gone.path)
    assert catalogue.find("ccc") == gone


def test_wrong_keys_are_explained(catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no run 'bbbx'; .* did you mean 'bbbbbbbbbbbb-20260102T030405Z'"):
        catalogue.find("bbbx")
    with pytest.raises(UserError, match="3 runs begin with 'made_up/'"):
        catalogue.find("made_up/")
    with pytest.raises(UserError, match="there is no run in the catalogue"):
        Catalogue(tmp_path / "empty").find("aa")
    with pytest.raises(UserError, match="cannot be opened"):
        Catalogue(tmp_path, "nosuch://database")


def test_a_moved_results_folder_is_still_found(catalogue: Catalogue, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "results", tmp_path / "moved")
    assert Catalogue(tmp_path / "moved").find("aa").path.parent == (tmp_path / "moved" / "made_up").resolve()


def test_several_writers_at_once(results: Path) -> None:
    folders = [RunFolder.open(path) for path in sorted((results / "made_up").iterdir())]

    def add_all(_: int) -> None:
        catalogue = Catalogue(results)  # a connection of its own, so that SQLite's lock is what keeps order
        for folder in folders:
            catalogue.add(folder)
        catalogue.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_all, range(16)))
    assert len(Catalogue(results).list()) == 3
