"""Figures of forecasts: a fan of quantiles over days, error by horizon and by hour of the day, and reliability."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_sim.errors import UserError
from vpp_sim.figures import style
from vpp_sim.figures.series import fill, line, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from vpp_sim.arrays import FloatArray

__all__ = ["error_by_horizon", "error_by_hour", "fan_chart", "reliability_diagram"]

_C = style.COLOURS
_LINES = ("blue", "orange", "green", "pink", "yellow", "sky", "black")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)))
_SHADES = ("#EDF5FA", "#DCEBF5", "#C2DDEF", "#9CC9E5")  # the palette's blue on white, lightest for the widest interval
_BAND_DEVIATIONS = 1.96


@style.styled
def fan_chart(
    times: pd.Series,
    actual: FloatArray,
    quantiles: FloatArray,
    levels: Sequence[float],
    *,
    label: str = "mean power [kW]",
    title: str = "Forecast and outcome",
    issues: pd.Series | None = None,
) -> Figure:
    """Draw quantiles as nested bands around their median, and what came, over some days.

    Parameters
    ----------
    times : Series, length T
        Start of each step, in local time.
    actual : ndarray, shape (T,)
        What happened; NaN where it is not known.
    quantiles : ndarray, shape (T, Q)
        Forecast.
    levels : sequence of float, length Q
        Quantile levels, increasing; a band is drawn for each pair that lies evenly around 0.5.
    label : str
        Label of the y-axis, with its unit.
    title : str
        Title.
    issues : Series, optional
        When the forecasts were issued, in local time; marked by vertical lines.

    Returns
    -------
    Figure

    Raises
    ------
    UserError
        If shapes do not fit, or 0.5 is not among the levels.
    """
    rounded = [round(level, 9) for level in levels]
    if quantiles.shape != (len(times), len(levels)) or actual.shape != (len(times),) or 0.5 not in rounded:
        raise UserError(
            f"a fan chart of {len(times)} steps takes as many outcomes, not {actual.shape}, and quantiles at levels "
            f"around 0.5, not {quantiles.shape} at {tuple(levels)}"
        )
    figure, (axis,) = style.axes(height_in=3.6)
    pairs = [(i, rounded.index(round(1 - low, 9))) for i, low in enumerate(rounded) if low < 0.5]
    shades = _SHADES[-len(pairs) :] if len(pairs) < len(_SHADES) else _SHADES
    for (low, high), shade in zip(pairs, [*shades, *[_SHADES[-1]] * len(pairs)], strict=False):
        name = percent(rounded[high] - rounded[low])
        fill(axis, times, quantiles[:, low], quantiles[:, high], color=shade, label=name)
    line(axis, times, quantiles[:, rounded.index(0.5)], color=_C["blue"], label="median")
    line(axis, times, actual, color=_C["black"], linewidth=1.0, label="outcome")
    for moment in issues if issues is not None else ():
        axis.axvline(moment, color=style.GREY, linewidth=0.6, linestyle=(0, (2, 2)), zorder=1)
    axis.set_title(title)
    axis.set_ylabel(label)
    style.local_time(axis, times)
    figure.legend(loc="outside lower right", ncols=6, handlelength=1.4)
    return figure


@style.styled
def error_by_horizon(
    errors: Mapping[str, FloatArray],
    *,
    step_h: float = 1.0,
    label: str = "mean absolute error [kW]",
    title: str = "Error by horizon",
) -> Figure:
    """Draw the error of several models over the lead time.

    Parameters
    ----------
    errors : mapping of str to ndarray, shape (H,)
        Error of each model at each lead.
    step_h : float
        Length of a step [h].
    label : str
        Label of the y-axis, with its unit.
    title : str
        Title.

    Returns
    -------
    Figure

    Raises
    ------
    UserError
        If there is no model, or their horizons differ.
    """
    steps = _common_length(errors)
    figure, (axis,) = style.axes(height_in=3.4)
    edges = np.arange(steps + 1) * step_h
    for (name, values), look in zip(errors.items(), _looks(), strict=False):
        axis.plot(edges, np.append(values, values[-1]), drawstyle="steps-post", label=_name(name), **look)
    axis.set_xlim(0, edges[-1])
    axis.set_xlabel("time from issue to the start of the step [h]")
    if edges[-1] <= 48:
        axis.set_xticks(np.arange(0, edges[-1] + 1e-9, 3 if edges[-1] <= 24 else 6))
    _finish(figure, axis, label, title)
    return figure


@style.styled
def error_by_hour(
    errors: Mapping[str, FloatArray],
    *,
    zone: str = "",
    label: str = "mean absolute error [kW]",
    title: str = "Error by hour of the day",
) -> Figure:
    """Draw the error of several models over the local hour that was forecast.

    Parameters
    ----------
    errors : mapping of str to ndarray, shape (24,)
        Error of each model in each local hour; NaN where there was none.
    zone : str
        Time zone, to be named beside the axis.
    label : str
        Label of the y-axis, with its unit.
    title : str
        Title.

    Returns
    -------
    Figure

    Raises
    ------
    UserError
        If there is no model, or a model has not 24 hours.
    """
    if _common_length(errors) != 24:
        raise UserError(f"an error by hour of the day has 24 values, not {_common_length(errors)}")
    figure, (axis,) = style.axes(height_in=3.4)
    for (name, values), look in zip(errors.items(), _looks(), strict=False):
        axis.plot(np.arange(25), np.append(values, values[-1]), drawstyle="steps-post", label=_name(name), **look)
    axis.set_xlim(0, 24)
    axis.set_xticks(range(0, 25, 3), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
    axis.set_xlabel(f"local time ({zone})" if zone else "local time")
    _finish(figure, axis, label, title)
    return figure


@style.styled
def reliability_diagram(
    shares: Mapping[str, FloatArray], levels: Sequence[float], *, outcomes: int, title: str = "Reliability"
) -> Figure:
    """Draw how often outcomes lay at or below each quantile, beside how often they should.

    On the right the same, less the nominal share, so that small departures can be seen. The band holds 95 % of what a
    calibrated forecaster would show by chance, by the normal limit of the binomial distribution around each nominal
    share, as the consistency bars of Broecker and Smith, "Increasing the reliability of reliability diagrams",
    Weather and Forecasting 22, 2007, https://doi.org/10.1175/WAF993.1. Outcomes of one day depend on each other: give
    the number of those that do not, or the band is too narrow.

    Parameters
    ----------
    shares : mapping of str to ndarray, shape (Q,)
        Observed shares of each model (:func:`vpp_sim.forecasting.metrics.observed_shares`).
    levels : sequence of float, length Q
        Nominal shares.
    outcomes : int
        Number of independent outcomes that the shares come from.
    title : str
        Title.

    Returns
    -------
    Figure

    Raises
    ------
    UserError
        If there is no model or outcome, or a model has another number of shares than there are levels.
    """
    if _common_length(shares) != len(levels) or outcomes < 1:
        raise UserError(
            f"{len(levels)} levels need as many shares, not {_common_length(shares)}, of one outcome or more"
        )
    figure, (whole, apart) = style.axes(1, 2, height_in=3.6, share_x=False, wspace=0.08)
    nominal = 100.0 * np.asarray(levels, dtype=np.float64)
    grid = np.linspace(0.0, 100.0, 201)
    half = _BAND_DEVIATIONS * np.sqrt(grid * (100.0 - grid) / outcomes)
    for axis, centre in ((whole, grid), (apart, 0.0 * grid)):
        axis.fill_between(grid, centre - half, centre + half, color=style.LIGHT, linewidth=0, label="95 % by chance")
        axis.plot(grid, centre, color=style.GREY, linewidth=0.8)
        axis.set_xlim(0, 100)
        axis.set_box_aspect(1)
        axis.set_xlabel("nominal share [%]")
    for (name, values), look in zip(shares.items(), _looks(), strict=False):
        observed = 100.0 * np.asarray(values)
        points = {**look, "marker": "o", "markersize": 3.5, "label": _name(name)}
        whole.plot(nominal, observed, **points)
        apart.plot(nominal, observed - nominal, **points)
    whole.set_ylim(0, 100)
    whole.set_title(title)
    whole.set_ylabel("outcomes at or below the quantile [%]")
    apart.set_title("Observed less nominal")
    apart.set_ylabel("difference [percentage points]")
    handles, names = apart.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", handlelength=1.6)
    return figure


def _common_length(rows: Mapping[str, FloatArray]) -> int:
    """Return the length that all rows share."""
    lengths = {len(row) for row in rows.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise UserError(f"models to compare need rows of one length, not of {sorted(lengths)}")
    return lengths.pop()


def _looks() -> Any:
    """Yield the colour and dash of each line: every colour solid, then every colour dashed, and so on."""
    for dash in cycle(_DASHES):
        for colour in _LINES:
            yield {"color": _C[colour], "linestyle": dash}


def _name(model: str) -> str:
    return model.replace("_", " ")


def _finish(figure: Figure, axis: Any, label: str, title: str) -> None:
    """Set what the comparisons of models share: labels, a floor at zero and the legend beside the plot."""
    axis.set_ylim(bottom=0.0)
    axis.set_ylabel(label)
    axis.set_title(title)
    figure.legend(loc="outside right upper", handlelength=1.6)
