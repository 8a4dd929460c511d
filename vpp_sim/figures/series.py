"""Time series made ready to draw: daily means where a run is too long for single steps, and lines that show steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from vpp_sim.arrays import FloatArray

__all__ = ["LONG_DAYS", "by_hour", "condensed", "end_of", "fill", "home_labels", "line", "percent", "period_word"]

LONG_DAYS = 21
"""Runs longer than this are drawn as daily means."""


def _is_long(times: pd.Series) -> bool:
    return bool((times.iloc[-1] - times.iloc[0]).days >= LONG_DAYS)


def period_word(times: pd.Series) -> str:
    """Return how a title calls the points of a series: empty for single steps, or ``", daily means"``."""
    return ", daily means" if _is_long(times) else ""


def condensed(frame: pd.DataFrame, how: dict[str, str] | None = None) -> pd.DataFrame:
    """Return the series as they are, or by local day when the run is long.

    Parameters
    ----------
    frame : DataFrame
        With a column ``time`` and numeric columns.
    how : dict, optional
        How a column is condensed, for example ``{"v_min_pu": "min"}``; the others are averaged.
    """
    if not _is_long(frame["time"]):
        return frame
    columns = [name for name in frame.columns if name != "time" and pd.api.types.is_numeric_dtype(frame[name])]
    rules: Any = {name: (how or {}).get(name, "mean") for name in columns}
    days = frame["time"].dt.normalize()
    daily: pd.DataFrame = frame.groupby(days)[columns].agg(rules)
    return daily.reset_index()


def end_of(times: pd.Series) -> pd.Timestamp:
    """Return the end of the last step; a lone step is taken to last an hour."""
    step = times.iloc[-1] - times.iloc[-2] if len(times) > 1 else pd.Timedelta(hours=1)
    end: pd.Timestamp = times.iloc[-1] + step
    return end


def _to_the_end(times: pd.Series, values: Any) -> tuple[pd.Series, FloatArray]:
    array = np.asarray(values, dtype=np.float64)
    ends = pd.concat([times, pd.Series([end_of(times)])], ignore_index=True)
    return ends, np.append(array, array[-1])


def line(axis: Any, times: pd.Series, values: Any, **style: Any) -> None:
    """Draw mean values over steps as a line of steps, to the end of the last one."""
    x, y = _to_the_end(times, values)
    axis.plot(x, y, drawstyle="steps-post", **style)


def fill(axis: Any, times: pd.Series, low: Any, high: Any, **style: Any) -> None:
    """Fill the area between two lines of steps, to the end of the last one."""
    x, bottom = _to_the_end(times, np.broadcast_to(np.asarray(low, dtype=np.float64), len(times)))
    _, top = _to_the_end(times, high)
    axis.fill_between(x, bottom, top, step="post", linewidth=0, **style)


def by_hour(times: pd.Series, values: Any) -> pd.Series:
    """Return the mean of `values` in each local hour of the day, all 24, NaN where none was seen."""
    series = pd.Series(np.asarray(values, dtype=np.float64))
    hours: pd.Series = series.groupby(times.dt.hour.to_numpy()).mean().reindex(range(24))
    return hours


def home_labels(names: list[str]) -> list[str]:
    """Return short labels: without the group when all homes share it.

    Examples
    --------
    >>> home_labels(["homes/home_1", "homes/home_12"])
    ['home 1', 'home 12']
    >>> home_labels(["flats/home_1", "homes/home_1"])
    ['flats home 1', 'homes home 1']
    """
    groups = {name.partition("/")[0] for name in names}
    kept = names if len(groups) > 1 else [name.partition("/")[2] or name for name in names]
    return [name.replace("/", " ").replace("_", " ") for name in kept]


def percent(share: float, decimals: int = 0) -> str:
    """Return a share as a sentence writes it.

    Examples
    --------
    >>> percent(0.512), percent(0.0214, 1)
    ('51 %', '2.1 %')
    """
    return f"{share * 100:.{decimals}f} %"
