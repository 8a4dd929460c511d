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
