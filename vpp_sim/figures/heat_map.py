"""The heat map of a sweep: one KPI over two keys of the grid, every cell with its mean and interval over the seeds."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import UserError
from vpp_sim.figures import style
from vpp_sim.runs.kpis import KPIS
from vpp_sim.scenario.schema import schema_at
from vpp_sim.sweeps.run import SweepResult
from vpp_sim.sweeps.scenario_job import PARTS
from vpp_sim.sweeps.spec import HeatMapSpec

__all__ = ["axis_label", "heat_map", "kpi_label"]

_DARK_BELOW = 0.45


@style.styled
def heat_map(result: SweepResult, spec: HeatMapSpec) -> Figure:
    """Draw one KPI of a sweep over two keys of its grid.

    Each cell shows the mean over the seeds and, below it, half the width of its 95 % interval by Student's t (see
    :func:`vpp_sim.sweeps.run.half_width`); cells whose jobs all failed are hatched. The colours are safe for every
    common colour vision: cividis where all means have one sign, else purple to orange around zero.

    Parameters
    ----------
    result : SweepResult
        What the sweep found.
    spec : HeatMapSpec
        The keys along the axes, and the KPI.

    Returns
    -------
    Figure

    Raises
    ------
    UnknownNameError
        If no job has that KPI.
    UserError
        If another key of the grid has more than one value.
    """
    cells = result.summary(spec.kpi)
    hidden = [key for key in result.keys if key not in {spec.x, spec.y} and cells[key].nunique() > 1]
    if hidden:
        raise UserError(f"a heat map over {spec.x} and {spec.y} cannot show the values of {hidden[0]}")
    mean, half, seeds = (_matrix(cells, spec, column) for column in ("mean", "half_width", "n"))
    columns, rows = (list(dict.fromkeys(cells[key])) for key in (spec.x, spec.y))
    figure, (axis,) = style.axes(height_in=1.7 + 0.5 * len(rows))
    image = _draw_cells(axis, mean)
    _write_cells(axis, image, mean, half)
    axis.set_xticks(range(len(columns)), [_text(value) for value in columns])
    axis.set_yticks(range(len(rows)), [_text(value) for value in rows])
    axis.set_xlabel(axis_label(spec.x))
    axis.set_ylabel(axis_label(spec.y))
    axis.set_title(kpi_label(spec.kpi))
    figure.supxlabel(_note(seeds), fontsize=8, color=style.GREY)
    figure.colorbar(image, ax=axis).outline.set_visible(False)
    return figure


def axis_label(key: str) -> str:
    """Return a dotted key of a scenario as an axis names it, with the unit that the scenario gives it.

    Examples
    --------
    >>> axis_label("prosumers.0.battery.capacity_kwh"), axis_label("tariff.price_eur_per_kwh")
    ('battery capacity [kWh]', 'tariff price [EUR/kWh]')
    """
    schema = schema_at(tuple(key.split("."))) or {}
    unit = str(schema.get("unit", "1"))
    parts = [part for part in key.split(".") if not part.isdecimal()][-2:]
    suffix = "_" + unit.lower().replace("/", "_per_")
    words = " ".join(part.removesuffix(suffix) for part in parts).replace("_", " ")
    return words if unit == "1" else f"{words} [{unit}]"


def kpi_label(column: str) -> str:
    """Return the name of a column of KPIs as a figure names it, with its unit.

    Examples
    --------
    >>> kpi_label("homes_bill_eur.gain")
    "Homes' total bill: improvement by the VPP [EUR]"
    >>> kpi_label("my_own")
    'my own'
    """
    name, _, part = column.rpartition(".")
    for kpi in KPIS:
        if kpi.name == name and part in PARTS:
            return f"{kpi.label}: {PARTS[part]}" + ("" if kpi.unit == "1" else f" [{kpi.unit}]")
    return column.replace("_", " ")


def _matrix(cells: pd.DataFrame, spec: HeatMapSpec, column: str) -> FloatArray:
    """Return one column as a table of y by x, in the order of the grid."""
    columns, rows = (list(dict.fromkeys(cells[key])) for key in (spec.x, spec.y))
    table = cells.set_index([spec.y, spec.x])[column].unstack(spec.x)
    return table.reindex(index=rows, columns=columns).to_numpy(dtype=np.float64)


def _draw_cells(axis: Any, mean: FloatArray) -> Any:
    known = mean[np.isfinite(mean)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if low < 0 < high:
        colours, norm = "PuOr_r", Normalize(-max(-low, high), max(-low, high))
    else:
        colours, norm = "cividis", Normalize(low, high)
    axis.set_facecolor(style.PALE)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    image = axis.imshow(mean, origin="lower", aspect="auto", cmap=mpl.colormaps[colours], norm=norm)
    axis.hlines(np.arange(mean.shape[0] + 1) - 0.5, -0.5, mean.shape[1] - 0.5, color="white", linewidth=1.5)
    axis.vlines(np.arange(mean.shape[1] + 1) - 0.5, -0.5, mean.shape[0] - 0.5, color="white", linewidth=1.5)
    return image


def _write_cells(axis: Any, image: Any, mean: FloatArray, half: FloatArray) -> None:
    decimals = _decimals(mean)
    for (row, column), value in np.ndenumerate(mean):
        if not np.isfinite(value):
            axis.fill_between(
                [column - 0.5, column + 0.5],
                row - 0.5,
                row + 0.5,
                facecolor="none",
                hatch="///",
                edgecolor=style.LIGHT,
                linewidth=0,
            )
            axis.text(column, row, "failed", ha="center", va="center", color=style.GREY)
            continue
        interval = half[row, column]
        text = f"{value:.{decimals}f}" + (f"\n± {interval:.{decimals}f}" if np.isfinite(interval) else "")
        red, green, blue, _ = image.cmap(image.norm(value))
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < _DARK_BELOW
        axis.text(column, row, text, ha="center", va="center", color="white" if dark else style.TEXT, fontsize=8.5)


def _decimals(values: FloatArray) -> int:
    """Return how many decimals leave three figures of the largest value."""
    largest = np.nanmax(np.abs(values)) if np.isfinite(values).any() else 0.0
    return int(np.clip(2 - np.floor(np.log10(largest)), 0, 6)) if largest > 0 else 2


def _note(seeds: FloatArray) -> str:
    few, many = int(seeds.min()), int(seeds.max())
    count = f"{many}" if few == many else f"{few} to {many}"
    what = "mean ± half a 95 % interval (Student's t)" if many > 1 else "value"
    return f"{what}, {count} seed{'' if many == 1 else 's'} a cell"


def _text(value: object) -> str:
    if value is None or value != value:  # a column of numbers holds null as NaN
        return "null"  # as the sweep's file says it
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
