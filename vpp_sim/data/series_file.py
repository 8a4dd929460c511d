"""Users' own series, read from a long Parquet or CSV file, checked row by row and put on even steps.

The file has one row for each series and step, in any order, in columns that the user names: the series' name, the time
at which the step starts, the value, and any number of covariates that are known ahead. What is not named is not read.

Times either all carry their zone or none does. Times without one are taken for local standard time, which has 24 hours
on every day; an hour that is missing or stands twice, as where clocks change, is an error that names the hour. A column
with a zone keeps it, and steps are counted in UTC, so that days have 23 or 25 hours where clocks change; texts with
offsets that change are read in UTC unless a zone is named. Nothing is interpolated, and nothing is left out.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vpp_sim.arrays import FloatArray, frozen
from vpp_sim.errors import DataError, nearest
from vpp_sim.units import SECONDS_PER_HOUR, format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo
    from pathlib import Path

    from vpp_sim.arrays import BoolArray, IntArray

__all__ = ["SeriesColumns", "SeriesData", "read_series"]

_ENDINGS = (".csv", ".parquet")
_ZONED = re.compile(r"[T ]\d.*?(Z|[+-]\d{2}(?::?\d{2})?)$")
_CLOCKS = "; where clocks change, give each time with its offset, or in standard time all year"
_STEPS = "a step that divides an hour, such as 1h, 30min or 15min"


@dataclass(frozen=True, slots=True)
class SeriesColumns:
    """Names of the columns to read.

    Attributes
    ----------
    time, value : str
        Start of the step, and the value.
    id : str, optional
        Name of the series; left out, the file holds one series, named like the value.
    known : tuple of str
        Covariates that are known ahead.

    Raises
    ------
    DataError
        If a column is named twice.
    """

    time: str
    value: str
    id: str | None = None
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.all if self.all.count(name) > 1})
        if twice:
            raise DataError(f"columns are named for two purposes: {', '.join(twice)}")

    @property
    def all(self) -> tuple[str, ...]:
        """All columns to read."""
        return (*([] if self.id is None else [self.id]), self.time, self.value, *self.known)


@dataclass(frozen=True, slots=True, eq=False)
class SeriesData:
    """n series over the same T steps, with the same covariates.

    Attributes
    ----------
    index : DatetimeIndex, length T
        Start of each step; without a zone where the file gave none, and then local standard time.
    step_s : int
        Length of a step [s].
    names : tuple of str, length n
        Names of the series, in the order in which the file begins them.
    values : ndarray, shape (T, n)
        Values [unit of the file].
    covariates : ndarray, shape (T, C)
        What is known ahead, common to the series.
    covariate_names : tuple of str, length C
        Their columns.
    digest : str
        SHA-256 of the file.
    """

    index: pd.DatetimeIndex
    step_s: int
    names: tuple[str, ...]
    values: FloatArray
    covariates: FloatArray
    covariate_names: tuple[str, ...]
    digest: str

    def __post_init__(self) -> None:
        for name in ("values", "covariates"):
            object.__setattr__(self, name, frozen(np.ascontiguousarray(getattr(self, name), dtype=np.float64)))


def read_series(
    path: Path, columns: SeriesColumns, *, zone: str | None = None, non_negative: bool = False
) -> tuple[SeriesData, ...]:
    """Return the series of a file; those of the same steps and the same covariates stand in one table.

    Parameters
    ----------
    path : path
        A file that ends in ``.csv`` or ``.parquet``.
    columns : SeriesColumns
        What to read.
    zone : str, optional
        Time zone whose calendar is used, such as ``"Europe/Berlin"``, for times that carry a zone or offset; that of
        the column when left out.
    non_negative : bool, default False
        Whether a value below zero is refused.

    Returns
    -------
    tuple of SeriesData
        In the order in which the file begins them; all of one step length.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, a cell is no number or no time, a time stands twice, steps are
        uneven, or do not divide an hour. The message names the file, row (from 1, without the head), column, value and
        what is allowed.
    """
    cells, digest = _cells(path, columns)
    names = _names(path, cells, columns)
    times, local = _times(path, cells[columns.time], zone)
    numbers = {
        column: _numbers(path, cells[column], non_negative=non_negative and column == columns.value)
        for column in (columns.value, *columns.known)
    }
    code, unique = pd.factorize(names)
    order = np.lexsort((times, code))
    step_s = _even_step(path, columns.time, times[order], code[order], order, [str(name) for name in unique], local)
    found = defaultdict(list)
    for number, rows in enumerate(np.split(order, np.flatnonzero(np.diff(code[order])) + 1)):
        known = np.stack([numbers[name][rows] for name in columns.known], axis=1) if columns.known else None
        key = (int(times[rows[0]]), len(rows), b"" if known is None else known.tobytes())
        found[key].append((str(unique[number]), numbers[columns.value][rows], known))
    return tuple(
        SeriesData(
            index=_index(first_s, count, step_s, local),
            step_s=step_s,
            names=tuple(name for name, _, _ in group),
            values=np.stack([values for _, values, _ in group], axis=1),
            covariates=np.empty((count, 0)) if group[0][2] is None else group[0][2],
            covariate_names=columns.known,
            digest=digest,
        )
        for (first_s, count, _), group in found.items()
    )


def _cells(path: Path, columns: SeriesColumns) -> tuple[pd.DataFrame, str]:
    """Return the columns as they stand in the file, those of a CSV file as text, and the file's digest."""
    if path.suffix not in _ENDINGS:
        raise DataError(f"{path}: a file of series ends in {' or '.join(_ENDINGS)}")
    try:
        content = path.read_bytes()
        if path.suffix == ".csv":
            head = list(pd.read_csv(io.BytesIO(content), nrows=0).columns)
            _require_columns(path, columns.all, head)
            text: dict[str, Any] = {"dtype": str, "keep_default_na": False, "usecols": list(columns.all)}
            cells = pd.read_csv(io.BytesIO(content), **text)
        else:
            source = pq.ParquetFile(pa.BufferReader(content))
            _require_columns(path, columns.all, source.schema_arrow.names)
            cells = source.read(columns=list(columns.all)).to_pandas(ignore_metadata=True)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: is no Parquet or CSV file that can be read: {said}") from error
    if not len(cells):
        raise DataError(f"{path}: has no rows")
    return cells.reset_index(drop=True), sha256(content).hexdigest()


def _require_columns(path: Path, wanted: Iterable[str], there: Iterable[str]) -> None:
    there = list(there)
    for name in wanted:
        if name not in there:
            hint = nearest(name, there)
            raise DataError(
                f"{path}: has no column {name!r}; it has {', '.join(there)}"
                + (f"; did you mean {hint!r}?" * bool(hint))
            )


def _refuse(path: Path, cells: pd.Series, wrong: BoolArray, allowed: str) -> None:
    """Raise for the first row that is `wrong`, as the file shows its cell."""
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        cell = cells.iloc[row]
        seen = "an empty cell" if cell is None or cell == "" else cell
        more = f" (and {int(wrong.sum()) - 1} more)" if wrong.sum() > 1 else ""
        raise DataError(f"{path}: row {row + 1}: {cells.name} = {seen}; expected {allowed}{more}")


def _names(path: Path, cells: pd.DataFrame, columns: SeriesColumns) -> pd.Series:
    if columns.id is None:
        return pd.Series([columns.value] * len(cells))
    _refuse(path, cells[columns.id], (cells[columns.id].isna() | (cells[columns.id] == "")).to_numpy(), "a name")
    return cells[columns.id].astype(str)


def _numbers(path: Path, cells: pd.Series, *, non_negative: bool) -> FloatArray:
    boolean = pd.api.types.is_bool_dtype(cells.dtype)
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    finite: BoolArray = np.isfinite(numbers) & (not boolean)
    _refuse(path, cells, ~finite, "a finite number")
    if non_negative:
        _refuse(path, cells, numbers < 0.0, "a number that is not negative")
    return numbers


def _times(path: Path, cells: pd.Series, zone: str | None) -> tuple[IntArray, tzinfo | None]:
    """Return seconds since 1970, in UTC or else of local time, and the zone of the calendar if there is one."""
    if isinstance(cells.dtype, pd.DatetimeTZDtype):
        _refuse(path, cells, cells.isna().to_numpy(), "a time")
        return _seconds(cells.dt.tz_convert("UTC").dt.tz_localize(None)), _zone(zone) or cells.dt.tz
    if pd.api.types.is_datetime64_dtype(cells.dtype):
        _refuse(path, cells, cells.isna().to_numpy(), "a time")
        return _without_zone(path, cells, cells, zone)
    if pd.api.types.is_numeric_dtype(cells.dtype):
        raise DataError(f"{path}: row 1: {cells.name} = {cells.iloc[0]}; expected times such as 2017-01-31T06:00")
    text = cells.astype(str).str.strip()
    offset = text.str.extract(_ZONED, expand=False)
    if not bool(offset.notna().iloc[0]):
        _refuse(path, cells, offset.notna().to_numpy(), "a time without a zone, as in row 1")
        return _without_zone(path, cells, _parsed(path, cells, text), zone)
    _refuse(path, cells, offset.isna().to_numpy(), "a time with its zone, as in row 1")
    instants = _parsed(path, cells, text)
    only = offset.iloc[0] if offset.nunique() == 1 else "Z"
    fixed = pd.Timestamp(f"2000-01-01T00:00{only}").tzinfo
    return _seconds(instants.dt.tz_localize(None)), _zone(zone) or fixed


def _parsed(path: Path, cells: pd.Series, text: pd.Series) -> pd.Series:
    plausible = text.where(text.str.match(r"\d{4}-\d{2}-\d{2}"))
    times = pd.to_datetime(plausible, utc=True, errors="coerce", format="ISO8601")
    _refuse(path, cells, times.isna().to_numpy(), "a time such as 2017-01-31T06:00")
    return times


def _without_zone(path: Path, cells: pd.Series, times: pd.Series, zone: str | None) -> tuple[IntArray, None]:
    if zone is not None:
        raise DataError(
            f"{path}: row 1: {cells.name} = {cells.iloc[0]}; expected a time with its offset, to be shown in the time "
            f"zone {zone}; times without one are taken for local standard time and need no time zone"
        )
    return _seconds(times.dt.tz_localize(None)), None


def _zone(name: str | None) -> tzinfo | None:
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DataError(f"unknown time zone {name!r}; expected a name such as Europe/Berlin or UTC") from error


def _seconds(times: pd.Series) -> IntArray:
    seconds: IntArray = times.to_numpy().astype("datetime64[s]").astype(np.int64)
    return seconds


def _index(first_s: int, count: int, step_s: int, local: tzinfo | None) -> pd.DatetimeIndex:
    index = pd.DatetimeIndex((first_s + step_s * np.arange(count, dtype=np.int64)).astype("datetime64[s]"))
    return index if local is None else index.tz_localize("UTC").tz_convert(local)


def _even_step(
    path: Path,
    column: str,
    times: IntArray,
    code: IntArray,
    order: IntArray,
    names: list[str],
    local: tzinfo | None,
) -> int:
    """Return the one step of all series [s], of rows in order; `order` holds their numbers in the file."""
    same = np.diff(code) == 0
    gaps = np.where(same, np.diff(times), 0)

    def said(row: int) -> str:
        moment = _index(int(times[row]), 1, 1, local)[0]
        return f"{path}: row {order[row] + 1}: {column} = {moment} of series {names[code[row]]!r}"

    if (again := np.flatnonzero(same & (gaps == 0))).size:
        at = int(again[0])
        hint = _CLOCKS if local is None and _may_be_a_clock_change(int(times[at])) else ""
        raise DataError(f"{said(at + 1)} stands twice, also in row {order[at] + 1}; expected each time once{hint}")
    counts = np.bincount(code, minlength=len(names))
    if (counts < 2).any():
        raise DataError(f"{path}: series {names[int(np.argmin(counts))]!r} has a single row; expected two or more")
    lengths, often = np.unique(gaps[same], return_counts=True)
    step_s = int(lengths[np.argmax(often)])
    if SECONDS_PER_HOUR % step_s:
        raise DataError(f"{path}: most rows of {column} are {format_duration(step_s)} apart; expected {_STEPS}")
    if (uneven := np.flatnonzero(same & (gaps != step_s))).size:
        at = int(uneven[0])
        expected = _index(int(times[at]) + step_s, 1, 1, local)[0]
        lost_hour = gaps[at] == step_s + SECONDS_PER_HOUR and _may_be_a_clock_change(int(times[at]) + step_s)
        hint = f": the hour from {expected} on is missing{_CLOCKS}" if local is None and lost_hour else ""
        raise DataError(
            f"{said(at + 1)} follows {_index(int(times[at]), 1, 1, local)[0]}; expected {expected}, "
            f"{format_duration(step_s)} later{hint}"
        )
    return step_s


def _may_be_a_clock_change(local_s: int) -> bool:
    """Return whether clocks may change at a local time: somewhere they do on many Sundays of spring and autumn."""
    moment = pd.Timestamp(local_s, unit="s")
    return moment.dayofweek == 6 and moment.month in {3, 4, 9, 10, 11}
