"""The house style: a colour-blind-safe palette, thin lines, units on axes, local time, and the same bytes each time."""

from __future__ import annotations

from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib as mpl
from matplotlib import dates as mpl_dates
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vpp_sim.figures.series import end_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

__all__ = [
    "COLOURS",
    "GREY",
    "LIGHT",
    "PALE",
    "TEXT",
    "axes",
    "label_line",
    "legend_above",
    "local_time",
    "note",
    "save",
    "styled",
]

# Okabe & Ito, "Color Universal Design", 2008: distinguishable with every common colour vision.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "yellow": "#E69F00",
    "sky": "#56B4E9",
    "pink": "#CC79A7",
    "black": "#222222",
}
"""Palette, by name."""

GREY, LIGHT, PALE, TEXT = "#6B6B6B", "#D9D9D9", "#F0F0F0", "#222222"

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": 8.5,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.2,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "svg.hashsalt": "vpp_sim",
    "svg.fonttype": "none",
}

WIDTH_IN = 8.0
_DPI = 130
_dates: Any = mpl_dates  # its classes carry no types
_DRAWING = RLock()
P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Run `draw` with the house style set, and the former settings restored after it.

    matplotlib's settings are global to the process, so only one thread draws at a time.
    """

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> T:
        with _DRAWING, mpl.rc_context(_RC):
            return draw(*args, **kwargs)

    return drawn


def axes(
    rows: int = 1, columns: int = 1, *, height_in: float = 3.2, share_x: bool = True, **grid: Any
) -> tuple[Figure, list[Any]]:
    """Return a new figure and its axes; in the house style when called under :func:`styled`.

    Parameters
    ----------
    rows, columns : int
        Shape of the grid of axes.
    height_in : float
        Height of the figure [inch]; its width is 8.
    share_x : bool
        Whether all axes share one x-axis.
    **grid
        Passed to ``GridSpec``, for example ``height_ratios``.

    Returns
    -------
    figure : Figure
    axes : list of Axes
        Row by row.

    Examples
    --------
    >>> figure, (top, bottom) = axes(2, height_in=4.0)
    >>> figure.get_size_inches().tolist()
    [8.0, 4.0]
    """
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    made = figure.subplots(rows, columns, squeeze=False, sharex=share_x, gridspec_kw=grid)
    return figure, list(made.flat)


def local_time(axis: Any, times: pd.Series) -> None:
    """Let the x-axis of `axis` show local time over the span of `times`, midnights marked by their date."""
    zone = times.dt.tz
    span_h = (times.iloc[-1] - times.iloc[0]).total_seconds() / 3600
    axis.set_xlim(times.iloc[0], end_of(times))
    if span_h <= 36:
        axis.xaxis.set_major_locator(_dates.HourLocator(byhour=range(0, 24, 3), tz=zone))
        axis.xaxis.set_major_formatter(_dates.DateFormatter("%H:%M", tz=zone))
    elif span_h <= 15 * 24:
        axis.xaxis.set_major_locator(_dates.DayLocator(tz=zone))
        axis.xaxis.set_major_formatter(_dates.DateFormatter("%a %-d %b", tz=zone))
    else:
        locator = _dates.AutoDateLocator(tz=zone)
        axis.xaxis.set_major_locator(locator)
        axis.xaxis.set_major_formatter(_dates.ConciseDateFormatter(locator, tz=zone))
    first, last = times.iloc[0], times.iloc[-1]
    day = (
        f" on {first:%-d %B %Y}" if first.date() == last.date() else f", {first:%Y}" if first.year == last.year else ""
    )
    axis.set_xlabel(f"local time{day}" + (f" ({zone})" if zone else ""))


def legend_above(axis: Any, columns: int = 6) -> None:
    """Set the legend in one line above the plot, on the right, clear of the data."""
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1.4)


def label_line(axis: Any, x: Any, y: float, text: str, colour: str, *, above: bool = True) -> None:
    """Write `text` beside a line at (x, y), in the line's colour."""
    axis.annotate(
        text, (x, y), xytext=(2, 3 if above else -3), textcoords="offset points", color=colour, fontsize=8,
        va="bottom" if above else "top",
    )  # fmt: skip


def note(axis: Any, text: str) -> None:
    """Write `text` in the middle of an empty plot and hide its axes."""
    axis.set_axis_off()
    axis.annotate(text, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", color=GREY)


@styled
def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG or SVG, by the ending of `path`; the same figure gives the same bytes."""
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    figure.savefig(path, dpi=_DPI, metadata=metadata, facecolor="white")
