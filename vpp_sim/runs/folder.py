"""The folder of a run: written beside its final name, and renamed to it only when everything is there.

``results/<name>/<digest12>-<UTC time>/`` is a complete run. While it is being written the folder ends in ``.partial``;
a run that failed ends in ``.failed`` and keeps what there was, with the error in its manifest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from vpp_sim.errors import DataError, UserError
from vpp_sim.runs.manifest import Manifest, read_manifest, write_manifest

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    import pandas as pd

    from vpp_sim.runs.frames import RunData, RunTables
    from vpp_sim.runs.kpis import KpiValue

__all__ = ["COUNTERFACTUAL", "RunFolder", "RunWriter"]

COUNTERFACTUAL = "counterfactual"
"""Folder, inside a run's, of the tables of the run without the VPP."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run on disk.

    Attributes
    ----------
    path : Path
        The folder.
    """

    path: Path

    @classmethod
    def create(cls, results_dir: Path, name: str, digest: str, stamp: datetime) -> RunWriter:
        """Return a writer for a new run; use it as a context manager.

        Parameters
        ----------
        results_dir : Path
            Folder of all runs; made if missing.
        name, digest : str
            Name of the scenario, and the SHA-256 over its resolved form.
        stamp : datetime
            Start of the run, in UTC.
        """
        return RunWriter(results_dir, name, digest, stamp)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the run in `path`.

        Raises
        ------
        UserError
            If there is no such folder, it is not a run, or the run is unfinished.
        """
        if path.suffix == ".partial":
            raise UserError(f"{path}: this run is not finished")
        if not (path / "manifest.json").is_file():
            raise UserError(f"{path}: is not the folder of a run (it has no manifest.json)")
        return cls(path)

    @property
    def run_id(self) -> str:
        """Digest and stamp, without the ending of a failed run."""
        return self.path.name.removesuffix(".failed")

    def manifest(self) -> Manifest:
        """Read the manifest."""
        return read_manifest(self.path / "manifest.json")

    def kpis(self) -> dict[str, KpiValue]:
        """Read the KPIs."""
        from vpp_sim.runs.kpis import read_kpis

        return read_kpis(self.path / "kpis.json")

    def scenario_yaml(self) -> str:
        """Read the resolved scenario, as YAML.

        Raises
        ------
        DataError
            If the file is missing.
        """
        try:
            return (self.path / "scenario.yaml").read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(f"{self.path}: has no scenario.yaml") from error

    def table(self, name: str, *, counterfactual: bool = False) -> pd.DataFrame:
        """Read one table, of the run or of its counterfactual."""
        from vpp_sim.runs.frames import read_frame

        return read_frame(self.path / COUNTERFACTUAL if counterfactual else self.path, name)

    def tables(self, *, counterfactual: bool = False) -> RunTables:
        """Read all tables of the recorder, of the run or of its counterfactual.

        Raises
        ------
        DataError
            If a table is missing, or the manifest lacks the facts needed to read them.
        """
        from vpp_sim.runs.frames import read_tables

        facts = self.manifest().facts
        missing = {"step_h", "battery_capacity_kwh"} - set(facts)
        if missing:
            raise DataError(f"{self.path}: the manifest lacks {', '.join(sorted(missing))}")
        return read_tables(
            self.path / COUNTERFACTUAL if counterfactual else self.path,
            step_h=facts["step_h"],
            battery_capacity_kwh=facts["battery_capacity_kwh"],
        )

    def data(self) -> RunData:
        """Read everything that figures and the report draw from."""
        from vpp_sim.runs.frames import RunData

        return RunData(self.tables(), self.tables(counterfactual=True), self.table("bills"))


class RunWriter:
    """Writes a run's folder; a context manager.

    Leaving it normally renames the folder to its final name; leaving it by an exception records the error in the
    manifest, renames the folder to ``<name>.failed`` and lets the exception pass.

    Parameters
    ----------
    results_dir, name, digest, stamp
        As in :meth:`RunFolder.create`.
    """

    def __init__(self, results_dir: Path, name: str, digest: str, stamp: datetime) -> None:
        self._name, self._digest, self._stamp = name, digest, stamp
        self._parent = Path(results_dir) / name
        self._final = self._partial = self._parent
        self._folder: RunFolder | None = None

    @property
    def path(self) -> Path:
        """Where to write now."""
        return self._partial

    @property
    def folder(self) -> RunFolder:
        """The finished run, complete or failed.

        Raises
        ------
        UserError
            If it is not finished yet.
        """
        if self._folder is None:
            raise UserError(f"{self._partial}: this run is not finished")
        return self._folder

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest; the last one written counts."""
        write_manifest(manifest, self._partial / "manifest.json")

    def __enter__(self) -> Self:
        """Make the partial folder, under a name that no other run has."""
        stem = f"{self._digest[:12]}-{self._stamp:%Y%m%dT%H%M%SZ}"
        self._parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            self._final = self._parent / name
            self._partial = self._parent / f"{name}.partial"
            if self._final.exists() or self._failed.exists():
                continue
            try:
                self._partial.mkdir()
            except FileExistsError:  # another process writes the same scenario in the same second
                continue
            break
        (self._partial / COUNTERFACTUAL).mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Rename the folder to its final name, or keep it as a failed run."""
        if error is None and not (self._partial / "manifest.json").is_file():
            error = DataError(f"{self._partial}: the run ended without a manifest")
            self._fail(error)
            raise error
        if error is None:
            self._folder = RunFolder(self._partial.rename(self._final))
        else:
            self._fail(error)

    @property
    def _failed(self) -> Path:
        return self._final.with_name(f"{self._final.name}.failed")

    def _fail(self, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        path = self._partial / "manifest.json"
        known = read_manifest(path) if path.is_file() else self._bare_manifest()
        self.write_manifest(replace(known, status="failed", error=text))
        self._folder = RunFolder(self._partial.rename(self._failed))
        _LOG.error("run failed, kept in %s: %s", self._failed, text)

    def _bare_manifest(self) -> Manifest:
        return Manifest(name=self._name, digest=self._digest, started=f"{self._stamp:%Y-%m-%dT%H:%M:%SZ}")
