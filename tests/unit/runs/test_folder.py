"""A run's folder has its final name only when it is complete."""

import logging
from pathlib import Path

import pytest

from tests.support.run_tables import DIGEST, SCENARIO, STAMP, manifest, run_data, write_run
from vpp_sim.errors import DataError, UserError
from vpp_sim.runs.folder import RunFolder

NAME = "0123456789ab-20260102T030405Z"


@pytest.fixture(scope="module")
def run():
    return run_data(homes=2, days=1)


def test_a_complete_run_is_renamed_and_readable(run, tmp_path: Path) -> None:
    folder = write_run(tmp_path, run)
    assert folder.path == tmp_path / "made_up" / NAME
    assert [path.name for path in (tmp_path / "made_up").iterdir()] == [NAME]
    opened = RunFolder.open(folder.path)
    assert opened.run_id == NAME
    assert opened.manifest().status == "complete"
    assert opened.scenario_yaml() == SCENARIO
    assert opened.kpis()["load_kwh"]["unit"] == "kWh"
    assert len(opened.table("timeseries")) == len(opened.table("timeseries", counterfactual=True)) == 24
    assert opened.data().vpp.battery_capacity_kwh == 12.8


def test_nothing_stands_under_the_final_name_while_writing(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, "made_up", DIGEST, STAMP) as writer:
        assert writer.path.name == f"{NAME}.partial"
        assert not (tmp_path / "made_up" / NAME).exists()
        with pytest.raises(UserError, match="not finished"):
            _ = writer.folder
        with pytest.raises(UserError, match="not finished"):
            RunFolder.open(writer.path)
        writer.write_manifest(manifest(run_data(homes=2, days=1)))


def test_a_failed_run_keeps_its_error_and_passes_it_on(run, tmp_path: Path, caplog) -> None:
    writer = RunFolder.create(tmp_path, "made_up", DIGEST, STAMP)

    def write_half() -> None:
        with writer:
            (writer.path / "timeseries.parquet").write_text("half")
            writer.write_manifest(manifest(run))
            raise DataError("no sun")

    with caplog.at_level(logging.ERROR), pytest.raises(DataError, match="no sun"):
        write_half()
    assert writer.folder.path.name == f"{NAME}.failed"
    assert writer.folder.run_id == NAME
    found = RunFolder.open(writer.folder.path).manifest()
    assert (found.status, found.error, found.seeds) == ("failed", "DataError: no sun", {"scenario": 7})
    assert (writer.folder.path / "timeseries.parquet").exists()
    assert "no sun" in caplog.text


def test_an_interrupted_run_without_manifest_gets_one(tmp_path: Path) -> None:
    writer = RunFolder.create(tmp_path, "made_up", DIGEST, STAMP)
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    found = writer.folder.manifest()
    assert (found.status, found.error, found.started) == ("failed", "KeyboardInterrupt", "2026-01-02T03:04:05Z")


def test_a_run_without_manifest_is_a_failed_one(tmp_path: Path) -> None:
    writer = RunFolder.create(tmp_path, "made_up", DIGEST, STAMP)
    with pytest.raises(DataError, match="ended without a manifest"), writer:
        pass
    assert writer.folder.manifest().status == "failed"


def test_two_runs_in_one_second_get_two_names(run, tmp_path: Path) -> None:
    names = [write_run(tmp_path, run).path.name for _ in range(3)]
    assert names == [NAME, f"{NAME}-2", f"{NAME}-3"]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a run"):
        RunFolder.open(tmp_path)


def test_tables_need_the_facts(run, tmp_path: Path) -> None:
    folder = write_run(tmp_path, run, facts={"step_h": 1.0})
    with pytest.raises(DataError, match="the manifest lacks battery_capacity_kwh"):
        folder.tables()
