"""Archived weather forecasts read from a Parquet or CSV file, checked row by row and put on an index.

The file has one row for each run and valid time, with these columns:

=================  =================================================================================================
``issue_time``     run time: when the run started, with its time zone; known a delay later
``valid_time``     start of the step that the values are a mean of, with its time zone
``temperature_c``  air temperature [degC], -90 to 60
``ghi_w_m2``       global horizontal irradiance [W/m2], 0 to 1600
=================  =================================================================================================

Rows may stand in any order. Valid times are spaced evenly; the spacing is the step of the series or a whole multiple
of it, and then each value holds for all steps within it, as measured weather on a finer step does. A step that a run
leaves out between its first and its last is a *gap*: it stays empty, is counted in the forecasts' note and logged,
and whoever asks for it gets an older run that has it or an error. Nothing is interpolated.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import WEATHER_NAMES
from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.arrays import BoolArray, FloatArray, IntArray
    from vpp_sim.data.weather import ObservedWeather
    from vpp_sim.data.weather_forecast import WeatherForecastOptions

__all__ = ["WeatherForecastFile"]

_LOG = logging.getLogger(__name__)
_TIMES = ("issue_time", "valid_time")
_ALLOWED = {"temperature_c": (-90.0, 60.0), "ghi_w_m2": (0.0, 1600.0)}
_WITH_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"


class WeatherForecastFile:
    """Forecasts from a file; the module says what must stand in it.

    Parameters
    ----------
    options : WeatherForecastOptions
        The file, and the delay after which its runs are known.

    Raises
    ------
    DataError
        If the options name no file.
    """

    def __init__(self, options: WeatherForecastOptions) -> None:
        if options.path is None:
            raise DataError("the weather forecast 'file' needs the path of a Parquet or CSV file")
        self._path, self._delay_s = options.path, options.delay_s

    def issue(self, observed: ObservedWeather, horizon_steps: int) -> IssuedForecasts:
        """Return the runs of the file that say something of the steps of `observed`; see the module.

        Raises
        ------
        DataError
            If the file cannot be read, or a value is not allowed: the message names file, row, column, value and what
            is. If its steps do not fit those of `observed`, or no run says anything of them.
        """
        if horizon_steps < 1:
            raise DataError(f"a forecast needs at least one step; got {horizon_steps}")
        rows = _read(self._path)
        run_s, valid_s = _seconds(rows["issue_time"]), _seconds(rows["valid_time"])
        values = rows[list(WEATHER_NAMES)].to_numpy(dtype=np.float64)
        _check_order(self._path, rows, run_s, valid_s)
        parts = _parts(self._path, valid_s, run_s, observed)
        known = -((observed.start_s - self._delay_s - run_s) // observed.step_s)
        first_step = (valid_s - observed.start_s) // observed.step_s
        issued_at, filled = _filled(known, first_step, values, parts, horizon_steps, len(observed.index))
        if not len(issued_at):
            raise DataError(f"{self._path}: no run says anything of {_covered(observed)}; it has {_span(rows)}")
        gaps = _gaps(filled)
        note = f"file: {self._path.name} (SHA-256 {_digest(self._path)}), {len(issued_at)} runs, {gaps} steps left out"
        if gaps:
            _LOG.warning("%s leaves out %d steps between the first and the last of its runs", self._path, gaps)
        return IssuedForecasts(issued_at, filled, WEATHER_NAMES, note)


def _read(path: Path) -> pd.DataFrame:
    """Return the checked columns of the file, times in UTC."""
    try:
        rows = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no Parquet or CSV file that can be read: {error}") from error
    missing = [name for name in (*_TIMES, *_ALLOWED) if name not in rows]
    if missing or not len(rows):
        raise DataError(f"{path} has {len(rows)} rows and lacks the columns {', '.join(missing) or 'none'}")
    rows = rows.reset_index(drop=True)
    for name in _TIMES:
        rows[name] = _times(path, rows[name])
    for name, (lowest, highest) in _ALLOWED.items():
        numbers = pd.to_numeric(rows[name], errors="coerce")
        _refuse(path, rows[name], ~numbers.between(lowest, highest).to_numpy(), f"{lowest:g} to {highest:g}")
        rows[name] = numbers
    return rows


def _times(path: Path, column: pd.Series) -> pd.Series:
    """Return a column of times in UTC; a time without its zone is refused, never guessed."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        _refuse(path, column, column.isna().to_numpy(), "a time with its zone")
        converted: pd.Series = column.dt.tz_convert("UTC")
        return converted
    text = column.astype(str)
    times = pd.to_datetime(text.where(text.str.contains(_WITH_ZONE)), utc=True, errors="coerce", format="ISO8601")
    _refuse(path, column, times.isna().to_numpy(), "a time with its zone, such as 2017-01-31T06:00Z")
    return times


def _refuse(path: Path, column: pd.Series, wrong: BoolArray, allowed: str) -> None:
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        more = f" (and {int(wrong.sum()) - 1} more)" if wrong.sum() > 1 else ""
        raise DataError(f"{path}: row {row + 1}: {column.name} = {column.iloc[row]}; expected {allowed}{more}")


def _seconds(times: pd.Series) -> IntArray:
    seconds: IntArray = times.dt.tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
    return seconds


def _check_order(path: Path, rows: pd.DataFrame, run_s: IntArray, valid_s: IntArray) -> None:
    _refuse(path, rows["valid_time"], valid_s < run_s, "no time before its run")
    twice = rows.duplicated(list(_TIMES)).to_numpy()
    _refuse(path, rows["valid_time"], twice, "each valid time of a run once")


def _parts(path: Path, valid_s: IntArray, run_s: IntArray, observed: ObservedWeather) -> int:
    """Return how many steps of the series each value of the file holds for."""
    offset_s = (valid_s - observed.start_s) % observed.step_s
    if offset_s.any():
        row = int(np.flatnonzero(offset_s)[0])
        at = pd.Timestamp(int(valid_s[row]), unit="s", tz="UTC").isoformat()
        raise DataError(
            f"{path}: row {row + 1}: valid_time = {at}; expected the start of a step of {observed.step_s} s "
            f"counted from {observed.index[0].isoformat()}"
        )
    order = np.lexsort((valid_s, run_s))
    apart_s = np.diff(valid_s[order])[np.diff(run_s[order]) == 0]
    return int(apart_s.min()) // observed.step_s if apart_s.size else 1


def _filled(
    known: IntArray, first_step: IntArray, values: FloatArray, parts: int, horizon_steps: int, n_steps: int
) -> tuple[IntArray, FloatArray]:
    """Return the issues that say something of the series, and their values by step, NaN where they say nothing."""
    issued_at, issue = np.unique(known, return_inverse=True)
    filled = np.full((len(issued_at), horizon_steps, values.shape[1]), np.nan)
    for part in range(parts):
        step = first_step + part
        column = step - known
        inside = (column >= 0) & (column < horizon_steps) & (step < n_steps)
        filled[issue[inside], column[inside]] = values[inside]
    useful = (issued_at < n_steps) & (issued_at + horizon_steps > 0) & ~np.isnan(filled).all(axis=(1, 2))
    return issued_at[useful], filled[useful]


def _gaps(filled: FloatArray) -> int:
    """Return the number of steps left out between the first and the last of each run."""
    said = ~np.isnan(filled[:, :, 0])
    begun = np.maximum.accumulate(said, axis=1)
    to_come = np.maximum.accumulate(said[:, ::-1], axis=1)[:, ::-1]
    return int((begun & to_come & ~said).sum())


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16]


def _covered(observed: ObservedWeather) -> str:
    return f"{observed.index[0].isoformat()} to {observed.index[-1].isoformat()}"


def _span(rows: pd.DataFrame) -> str:
    runs, valid = rows["issue_time"], rows["valid_time"]
    return (
        f"runs from {runs.min().isoformat()} to {runs.max().isoformat()} "
        f"for {valid.min().isoformat()} to {valid.max().isoformat()}"
    )
