"""The catalogue of runs: one database table, SQLite by default, with the KPIs of each run to compare.

The folders hold the truth; the catalogue finds them. Several processes may add runs at once: SQLite waits for its lock
and writes ahead, so that readers never block.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from vpp_sim.errors import UnknownNameError, UserError, nearest
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.kpis import KPIS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Catalogue", "RunRecord"]

_LOG = logging.getLogger(__name__)
_BUSY_S, _PAUSE_S = 60.0, 0.01
_METADATA = sa.MetaData()
_RUNS = sa.Table(
    "runs",
    _METADATA,
    sa.Column("path", sa.String, primary_key=True),
    sa.Column("run_id", sa.String, nullable=False, index=True),
    sa.Column("name", sa.String, nullable=False, index=True),
    sa.Column("digest", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("error", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("seed", sa.Integer),
    sa.Column("kpis", sa.JSON, nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run in the catalogue.

    Attributes
    ----------
    run_id : str
        Digest and stamp, as the folder is called.
    name, digest : str
        Name of the scenario, and the SHA-256 over its resolved form.
    status : {"complete", "failed"}
        What became of it.
    error : str
        Why it failed, or empty.
    created : str
        Start of the run, UTC, ISO 8601.
    path : Path
        Its folder.
    seed : int or None
        The scenario's seed.
    kpis : mapping of str to KpiValue
        As in ``kpis.json``; empty for a failed run.
    labels : mapping of str to value
        What a sweep says of the run: its name, and the values of its axes.
    """

    run_id: str
    name: str
    digest: str
    status: str
    error: str
    created: str
    path: Path
    seed: int | None
    kpis: Mapping[str, Any]
    labels: Mapping[str, Any]


class Catalogue:
    """Runs by name, id and path.

    Parameters
    ----------
    results_dir : Path
        Folder of all runs; paths below it are stored relative to it, so that it can be moved.
    url : str, optional
        Any SQLAlchemy URL; without it, ``catalogue.sqlite`` in `results_dir`, which is made if missing.

    Raises
    ------
    UserError
        If the database cannot be opened.
    """

    def __init__(self, results_dir: Path, url: str | None = None) -> None:
        self._root = Path(results_dir).resolve()
        self._unreadable: set[Path] = set()
        if url is None:
            self._root.mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{self._root / 'catalogue.sqlite'}"
        try:
            self._engine = _engine(url)
            _create_table(self._engine)
        except (SQLAlchemyError, ImportError) as error:
            raise UserError(f"the catalogue {url} cannot be opened: {error}") from error

    def add(self, folder: RunFolder, labels: Mapping[str, Any] | None = None) -> RunRecord:
        """Add a finished run, or replace what the catalogue says of it."""
        record = _record_of(folder, labels or {})
        row = self._row(record)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(_RUNS).where(_RUNS.c.path == row["path"]))
            connection.execute(sa.insert(_RUNS).values(**row))
        return record

    def add_missing(self) -> None:
        """Add the runs below the folder of all runs that the catalogue does not know, without labels.

        A failed run only leaves its folder, and folders are copied. What cannot be read is logged once and not listed.
        """
        known = self._paths() | self._unreadable
        for manifest in sorted(self._root.rglob("manifest.json")):
            path = manifest.parent
            if path not in known and path.suffix != ".partial":
                self._add_unknown(path)

    def _add_unknown(self, path: Path) -> None:
        try:
            record = _record_of(RunFolder.open(path), {})
        except UserError as error:
            self._unreadable.add(path)
            _LOG.warning("not listed: %s", error)
            return
        with suppress(IntegrityError), self._engine.begin() as connection:  # added meanwhile, perhaps with labels
            connection.execute(sa.insert(_RUNS).values(**self._row(record)))

    def list(
        self, *, name: str | None = None, status: str | None = None, labels: Mapping[str, Any] | None = None
    ) -> list[RunRecord]:
        """Return the runs, oldest first, of one scenario, with one status, or that carry all of `labels`.

        Runs whose folders are gone are left out; they are listed again when their folders are back.
        """
        query = sa.select(_RUNS).order_by(_RUNS.c.created, _RUNS.c.run_id)
        if name is not None:
            query = query.where(_RUNS.c.name == name)
        if status is not None:
            query = query.where(_RUNS.c.status == status)
        with self._engine.connect() as connection:
            records = [self._record(row) for row in connection.execute(query).mappings()]
        wanted = dict(labels or {}).items()
        return [record for record in records if wanted <= dict(record.labels).items() and _is_there(record)]

    def find(self, key: str) -> RunRecord:
        """Return the one run that `key` names: ``latest``, an id or ``name/id`` or the beginning of one, or a path.

        Raises
        ------
        UserError
            If there is none (the message names the nearest), several begin so, or the catalogue is empty.
        """
        records = self.list()
        if not records:
            raise UserError(f"there is no run in the catalogue of {self._root}")
        if key == "latest":
            return records[-1]
        found = [record for record in records if _is_called(record, key)]
        found = found or [record for record in records if _begins_with(record, key)]
        if not found:
            raise _no_such_run(key, records)
        if len(found) > 1:
            ids = ", ".join(f"{record.name}/{record.run_id}" for record in found)
            raise UserError(f"{len(found)} runs begin with {key!r}: {ids}")
        return found[0]

    def compare(self, keys: Sequence[str], kpis: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the KPIs of several runs side by side.

        Parameters
        ----------
        keys : sequence of str
            As in :meth:`find`.
        kpis : iterable of str, optional
            Names of KPIs; without it, all.

        Returns
        -------
        DataFrame
            A row a KPI: its unit, then the VPP's value in a column for each run, named by its id.

        Raises
        ------
        UnknownNameError
            If there is no such KPI.
        UserError
            If there is no such run, or a run failed and has no KPIs.
        """
        units = {kpi.name: kpi.unit for kpi in KPIS}
        wanted = list(units if kpis is None else kpis)
        for name in wanted:
            if name not in units:
                raise UnknownNameError("KPI", name, units)
        frame = pd.DataFrame({"unit": [units[name] for name in wanted]}, index=pd.Index(wanted, name="kpi"))
        for record in map(self.find, keys):
            if record.status != "complete":
                raise UserError(f"run {record.run_id} failed and has no KPIs: {record.error}")
            frame[record.run_id] = [record.kpis.get(name, {}).get("vpp") for name in wanted]
        return frame

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _paths(self) -> set[Path]:
        with self._engine.connect() as connection:
            return {self._root / path for path in connection.scalars(sa.select(_RUNS.c.path))}

    def _row(self, record: RunRecord) -> dict[str, Any]:
        path = record.path.relative_to(self._root) if record.path.is_relative_to(self._root) else record.path
        return {field: getattr(record, field) for field in RunRecord.__slots__} | {"path": path.as_posix()}

    def _record(self, row: Any) -> RunRecord:
        return RunRecord(**{**row, "path": self._root / row["path"]})


def _engine(url: str) -> sa.Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S}, poolclass=sa.NullPool)

    @sa.event.listens_for(engine, "connect")
    def write_ahead(connection: Any, _: Any) -> None:
        until = perf_counter() + _BUSY_S
        while not _switched_to_write_ahead(connection, last=perf_counter() > until):
            sleep(_PAUSE_S)

    return engine


def _switched_to_write_ahead(connection: Any, *, last: bool) -> bool:
    """Return whether the file's journal is ahead of it; SQLite does not wait while another connection switches it."""
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError:
        if last:
            raise
        return False
    return True


def _create_table(engine: sa.Engine) -> None:
    with engine.begin() as connection:  # two processes may do this at once
        connection.execute(sa.schema.CreateTable(_RUNS, if_not_exists=True))
        for index in sorted(_RUNS.indexes, key=lambda index: str(index.name)):
            connection.execute(sa.schema.CreateIndex(index, if_not_exists=True))


def _no_such_run(key: str, records: Sequence[RunRecord]) -> UserError:
    heads = {name[: len(key)]: name for record in records for name in _names(record)}
    hint = nearest(key, heads)
    newest = f"the newest of {len(records)} is {records[-1].name}/{records[-1].run_id}"
    return UserError(f"there is no run {key!r}; {newest}" + (f"; did you mean {heads[hint]!r}?" if hint else ""))


def _is_called(record: RunRecord, key: str) -> bool:
    return key in _names(record) or ("/" in key and Path(key).resolve() == record.path)


def _begins_with(record: RunRecord, key: str) -> bool:
    return any(name.startswith(key) for name in _names(record))


def _names(record: RunRecord) -> tuple[str, str]:
    return record.run_id, f"{record.name}/{record.run_id}"


def _is_there(record: RunRecord) -> bool:
    return (record.path / "manifest.json").is_file()


def _record_of(folder: RunFolder, labels: Mapping[str, Any]) -> RunRecord:
    manifest = folder.manifest()
    return RunRecord(
        run_id=folder.run_id,
        name=manifest.name,
        digest=manifest.digest,
        status=manifest.status,
        error=manifest.error,
        created=manifest.started,
        path=folder.path.resolve(),
        seed=manifest.seeds.get("scenario"),
        kpis=folder.kpis() if manifest.status == "complete" else {},
        labels=dict(labels),
    )
