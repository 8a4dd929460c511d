"""Figures of energy: the homes' load, sun and batteries, storage against prices, and deferred load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_sim.figures import style
from vpp_sim.figures.series import by_hour, condensed, fill, line, period_word

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from vpp_sim.runs.frames import RunData

__all__ = ["flexibility", "overview", "storage"]

_C = style.COLOURS


@style.styled
def overview(run: RunData) -> Figure:
    """Draw what the homes use and where it comes from, and their net load with and without the VPP."""
    ours, theirs = condensed(run.vpp.timeseries), condensed(run.counterfactual.timeseries)
    figure, (top, bottom) = style.axes(2, height_in=5.2, height_ratios=[3, 2])
    _stack(top, ours)
    top.set_title("Load and supply" + period_word(run.vpp.timeseries["time"]))
    top.set_ylabel("mean power [kW]")
    style.legend_above(top)
    time = ours["time"]
    bottom.axhline(0, color=style.GREY, linewidth=0.6)
    line(bottom, theirs["time"], theirs["net_kw"], color=style.GREY, linewidth=1.0, label="without VPP")
    line(bottom, time, ours["net_kw"], color=_C["blue"], label="with VPP")
    bottom.set_title("Net load at the meters")
    bottom.set_ylabel("drawn (+), fed in (−) [kW]")
    style.legend_above(bottom)
    style.local_time(bottom, time)
    return figure


def _stack(axis: Any, frame: pd.DataFrame) -> None:
    time = frame["time"]
    sun = (frame["pv_kw"] - frame["curtailed_kw"]).to_numpy()
    battery = frame["discharge_kw"].to_numpy()
    supply = sun + battery
    demand = (frame["load_kw"] + frame["charge_kw"]).to_numpy()
    fill(axis, time, 0, sun, color=_C["yellow"], alpha=0.75, label="PV")
    fill(axis, time, sun, supply, color=_C["green"], alpha=0.75, label="from batteries")
    fill(axis, time, supply, np.maximum(supply, demand), color=style.LIGHT, label="from the grid")
    line(axis, time, frame["load_kw"], color=_C["black"], label="load")
    line(axis, time, demand, color=_C["blue"], linewidth=0.9, linestyle=(0, (2, 1)), label="load and charging")
    axis.set_ylim(bottom=0)


@style.styled
def storage(run: RunData) -> Figure:
    """Draw the state of charge and the battery power, above the prices that they answer to."""
    ours, theirs = condensed(run.vpp.timeseries), condensed(run.counterfactual.timeseries)
    time, capacity = ours["time"], run.vpp.battery_capacity_kwh
    figure, (soc, power, price) = style.axes(3, height_in=6.0, height_ratios=[2, 2, 1.4])
    line(soc, theirs["time"], theirs["soc_kwh"], color=style.GREY, linewidth=1.0, label="without VPP")
    line(soc, time, ours["soc_kwh"], color=_C["blue"], label="with VPP")
    soc.axhline(capacity, color=style.GREY, linewidth=0.6, linestyle=":")
    style.label_line(soc, time.iloc[0], capacity, f"capacity {capacity:.0f} kWh", style.GREY, above=False)
    soc.set_ylim(0, max(capacity, 1e-9) * 1.05)
    soc.set_title("Energy in all batteries" + period_word(run.vpp.timeseries["time"]))
    soc.set_ylabel("energy [kWh]")
    style.legend_above(soc)
    fill(power, time, 0, ours["discharge_kw"], color=_C["orange"], label="discharging")
    fill(power, time, 0, -ours["charge_kw"], color=_C["green"], label="charging")
    power.axhline(0, color=style.GREY, linewidth=0.6)
    power.set_title("Battery power with VPP")
    power.set_ylabel("power [kW]")
    style.legend_above(power)
    line(price, time, ours["buy_eur_per_kwh"], color=_C["blue"], label="retail, levies included")
    line(price, time, ours["day_ahead_eur_per_kwh"], color=_C["pink"], label="day-ahead")
    price.set_title("Prices")
    price.set_ylabel("price [EUR/kWh]")
    style.legend_above(price)
    style.local_time(price, time)
    return figure


@style.styled
def flexibility(run: RunData) -> Figure:
    """Draw the mean day: load before and after demand response, and what was moved."""
    frame = run.vpp.timeseries
    before, after = (by_hour(frame["time"], frame[name]) for name in ("base_load_kw", "load_kw"))
    hours = np.arange(24)
    figure, (top, bottom) = style.axes(2, height_in=4.4, height_ratios=[3, 2])
    top.stairs(before, np.arange(25), baseline=None, color=style.GREY, linewidth=1.2, label="before demand response")
    top.stairs(after, np.arange(25), baseline=None, color=_C["blue"], linewidth=1.2, label="after")
    top.set_ylim(bottom=0)
    top.set_title("Load of all homes, mean day")
    top.set_ylabel("mean power [kW]")
    style.legend_above(top)
    moved = (after - before).to_numpy()
    colours = np.where(np.nan_to_num(moved) < 0, _C["orange"], _C["green"]).tolist()
    bottom.bar(hours + 0.5, moved, width=0.8, color=colours)
    bottom.axhline(0, color=style.GREY, linewidth=0.6)
    bottom.set_title("Moved: taken from (−) and given to (+) an hour")
    bottom.set_ylabel("energy [kWh a day]")
    bottom.set_xlim(0, 24)
    bottom.set_xticks(range(0, 25, 3), [f"{hour:02d}:00" for hour in range(0, 25, 3)])
    bottom.set_xlabel(f"local time ({frame['time'].dt.tz})")
    return figure
