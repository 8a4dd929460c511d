"""The manifest survives the disk and describes where a run happens."""

import json
from pathlib import Path

import pytest

import vpp_sim
from tests.support.run_tables import manifest, run_data
from vpp_sim.errors import DataError
from vpp_sim.runs.manifest import LIBRARIES, Manifest, environment, read_manifest, write_manifest


def test_round_trip_with_sorted_keys(tmp_path: Path) -> None:
    wrote = manifest(run_data(homes=2, days=1))
    write_manifest(wrote, tmp_path / "manifest.json")
    assert read_manifest(tmp_path / "manifest.json") == wrote
    keys = list(json.loads((tmp_path / "manifest.json").read_text()))
    assert keys == sorted(keys)


def test_environment_names_versions_and_commit() -> None:
    found = environment()
    assert found["vpp_sim"] == vpp_sim.__version__
    assert set(found["libraries"]) == set(LIBRARIES)
    assert found["libraries"]["numpy"].startswith("2.")
    assert found["commit"] is None or len(found["commit"].removesuffix("-dirty")) == 40


@pytest.mark.parametrize("text", ["", "[]", '{"name": "x"}', '{"name": "x", "digest": "y", "stranger": 1}'])
def test_what_is_no_manifest_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json: (cannot be read as|is not) a manifest"):
        read_manifest(tmp_path / "manifest.json")


def test_numbers_that_json_lacks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_manifest(Manifest(name="x", digest="y", wall_s={"METER": float("nan")}), tmp_path / "manifest.json")
