"""The runs that the server answers for: looked up in the catalogue by id, never by path."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

from vpp_sim.errors import UserError, nearest
from vpp_sim.runs.catalogue import Catalogue
from vpp_sim.runs.folder import RunFolder
from vpp_sim.server.problems import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.runs.catalogue import RunRecord

__all__ = ["LATEST", "RunStore"]

LATEST = "latest"
"""Stands for the newest run wherever an id is expected."""

_MOST_SHOWN = 80


class RunStore:
    """The runs in one folder of results; may be used by several threads.

    Parameters
    ----------
    results_dir : Path
        Folder of all runs.

    Raises
    ------
    UserError
        If there is no such folder, or its catalogue cannot be opened.
    """

    def __init__(self, results_dir: Path) -> None:
        if not results_dir.is_dir():
            raise UserError(f"{results_dir}: there is no such folder of runs")
        self.root = results_dir.resolve()
        self._catalogue = Catalogue(self.root)
        self._lock = Lock()

    def list(self, *, name: str | None = None, status: str | None = None) -> list[RunRecord]:
        """Return the runs whose folders are there, newest first, of one scenario or with one status."""
        with self._lock:  # one look at all folders at a time
            self._catalogue.add_missing()
        return self._catalogue.list(name=name, status=status)[::-1]

    def find(self, run_id: str) -> RunRecord:
        """Return the run with exactly this id, or the newest for ``latest``.

        Raises
        ------
        RequestError
            404 if there is none, with the nearest id; 409 if several folders bear it.
        """
        records = self.list()
        found = records[:1] if run_id == LATEST else [record for record in records if record.run_id == run_id]
        if len(found) == 1:
            return found[0]
        shown = run_id if len(run_id) <= _MOST_SHOWN else run_id[: _MOST_SHOWN - 4] + " ..."
        if found:
            names = ", ".join(sorted(os.path.relpath(record.path, self.root) for record in found))
            raise RequestError(409, "ambiguous run", f"{len(found)} folders are called {shown!r}: {names}")
        hint = nearest(shown, [record.run_id for record in records])
        raise RequestError(404, "unknown run", f"there is no run {shown!r} among {len(records)}", hint)

    def complete(self, run_id: str) -> tuple[RunRecord, RunFolder]:
        """Return the run with this id and its folder, if it came to its end.

        Raises
        ------
        RequestError
            As :meth:`find`; 404 if the run failed, for then it has no KPIs, figures or report.
        """
        record = self.find(run_id)
        if record.status != "complete":
            raise RequestError(404, "failed run", f"run {record.run_id} failed and has no results: {record.error}")
        return record, RunFolder.open(record.path)
