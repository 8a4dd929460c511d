"""Figure of the feeder: voltages and loadings, with their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpp_sim.figures import style
from vpp_sim.figures.series import condensed, fill, line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vpp_sim.runs.frames import RunData

__all__ = ["grid"]

_C = style.COLOURS
_BAND = (0.90, 1.10)
_EXTREMES = {"v_min_pu": "min", "v_max_pu": "max", "transformer_loading": "max", "line_loading": "max"}


@style.styled
def grid(run: RunData) -> Figure:
    """Draw the feeder's lowest and highest voltage and its highest loadings, with and without the VPP."""
    ours = condensed(run.vpp.timeseries, _EXTREMES)
    theirs = condensed(run.counterfactual.timeseries, _EXTREMES)
    time = ours["time"]
    figure, (voltage, loading) = style.axes(2, height_in=5.0)
    fill(voltage, time, ours["v_min_pu"], ours["v_max_pu"], color=_C["sky"], alpha=0.45, label="with VPP, all nodes")
    for column in ("v_min_pu", "v_max_pu"):
        label = "without VPP, lowest and highest" if column == "v_min_pu" else None
        line(voltage, theirs["time"], theirs[column], color=style.GREY, linewidth=0.9, label=label)
    for limit in _BAND:
        voltage.axhline(limit, color=_C["orange"], linewidth=0.9, linestyle=(0, (4, 2)))
        style.label_line(voltage, time.iloc[0], limit, f"EN 50160: {limit:.2f}", _C["orange"], above=limit < 1)
    voltage.set_ylim(min(0.885, float(ours["v_min_pu"].min()) - 0.01), max(1.115, float(ours["v_max_pu"].max()) + 0.01))
    voltage.set_title("Voltage, lowest to highest node")
    voltage.set_ylabel("voltage [p.u.]")
    style.legend_above(voltage)
    line(loading, theirs["time"], theirs["transformer_loading"], color=style.GREY, linewidth=0.9,
         label="transformer, without VPP")  # fmt: skip
    line(loading, time, ours["transformer_loading"], color=_C["blue"], label="transformer")
    line(loading, time, ours["line_loading"], color=_C["green"], label="most loaded line")
    loading.axhline(1.0, color=_C["orange"], linewidth=0.9, linestyle=(0, (4, 2)))
    style.label_line(loading, time.iloc[0], 1.0, "rating", _C["orange"])
    loading.set_ylim(0, max(1.12, float(loading.dataLim.y1) * 1.08))
    loading.set_title("Loading, as a share of the rating")
    loading.set_ylabel("loading [1]")
    style.legend_above(loading)
    style.local_time(loading, time)
    return figure
