"""Figures of markets: prices, the day-ahead forecast, and trades between homes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.figures import style
from vpp_sim.figures.forecasts import fan_chart
from vpp_sim.figures.series import condensed, fill, home_labels, line, period_word
from vpp_sim.runs.tables import FORECAST_LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vpp_sim.arrays import FloatArray
    from vpp_sim.runs.frames import RunData

__all__ = ["demand", "forecast", "prices", "trades"]

_C = style.COLOURS
_LABELLED_HOMES = 30
_FAN_DAYS = 14
_NO_FORECAST = "No step had a day-ahead forecast."


@style.styled
def prices(run: RunData) -> Figure:
    """Draw every price that somebody in the run paid, and how far retail lies from the default tariff."""
    frame = condensed(run.vpp.timeseries)
    time = frame["time"]
    figure, (axis, apart) = style.axes(2, height_in=4.8, height_ratios=[3, 1.2])
    line(axis, time, frame["default_eur_per_kwh"], color=style.GREY, linestyle=(0, (4, 2)), label="default tariff")
    line(axis, time, frame["buy_eur_per_kwh"], color=_C["blue"], label="retail")
    line(axis, time, frame["local_price_eur_per_kwh"], color=_C["orange"], linewidth=1.8, label="local trades")
    line(axis, time, frame["day_ahead_eur_per_kwh"], color=_C["pink"], label="day-ahead")
    line(axis, time, frame["sell_eur_per_kwh"], color=_C["green"], label="feed-in")
    axis.set_title("Prices" + period_word(run.vpp.timeseries["time"]))
    axis.set_ylabel("price [EUR/kWh]")
    lowest = float(frame["day_ahead_eur_per_kwh"].min())
    axis.set_ylim(bottom=min(0.0, lowest * 1.1))
    axis.annotate(
        "default and retail include levies; day-ahead, local and feed-in do not",
        (0, 1), xytext=(3, -3), xycoords="axes fraction", textcoords="offset points", va="top", fontsize=7.5,
        color=style.GREY,
    )  # fmt: skip
    axis.set_ylim(top=axis.get_ylim()[1] * 1.12)
    style.legend_above(axis)
    over = frame["buy_eur_per_kwh"] - frame["default_eur_per_kwh"]
    fill(apart, time, 0, over, color=_C["blue"], alpha=0.6)
    apart.axhline(0, color=style.GREY, linewidth=0.6)
    apart.set_title("Retail less default tariff")
    apart.set_ylabel("[EUR/kWh]")
    style.local_time(apart, time)
    return figure


@style.styled
def forecast(run: RunData) -> Figure:
    """Draw the day-ahead forecast's quantiles and what came."""
    frame = condensed(run.vpp.timeseries)
    time = frame["time"]
    figure, (axis,) = style.axes(height_in=3.6)
    axis.set_title("Load less PV, day-ahead forecast" + period_word(run.vpp.timeseries["time"]))
    axis.set_ylabel("mean power [kW]")
    actual = frame["base_load_kw"] - frame["pv_kw"]
    if frame["forecast_net_p50_kw"].notna().any():
        low, high = frame["forecast_net_p10_kw"], frame["forecast_net_p90_kw"]
        fill(axis, time, low, high, color=_C["sky"], alpha=0.45, label="10 to 90 %")
        line(axis, time, frame["forecast_net_p50_kw"], color=_C["blue"], label="median")
    else:
        style.note(axis, _NO_FORECAST)
    line(axis, time, actual, color=_C["black"], linewidth=1.0, label="outcome, before demand response")
    axis.axhline(0, color=style.GREY, linewidth=0.6)
    style.legend_above(axis)
    style.local_time(axis, time)
    return figure


@style.styled
def demand(run: RunData) -> Figure:
    """Draw the quantiles of the fleet's load as forecast when bids were due, and what came; the last days of it."""
    foreseen = run.vpp.forecasts
    if foreseen.empty:
        figure, (axis,) = style.axes(height_in=3.6)
        axis.set_title("Load of all homes before demand response, day-ahead forecast")
        style.note(axis, _NO_FORECAST)
        return figure
    since = foreseen["time"].iloc[-1].normalize() - pd.Timedelta(days=_FAN_DAYS - 1)
    shown = foreseen[foreseen["time"] >= since].reset_index(drop=True)
    load_kw = run.vpp.timeseries.set_index("step")["base_load_kw"]
    cut = f", last {_FAN_DAYS} days" if len(shown) < len(foreseen) else ""
    return fan_chart(
        shown["time"],
        load_kw.loc[shown["step"]].to_numpy(),
        shown[[f"load_p{100 * level:02.0f}_kw" for level in FORECAST_LEVELS]].to_numpy(),
        FORECAST_LEVELS,
        title=f"Load of all homes before demand response, day-ahead forecast{cut}",
    )


@style.styled
def trades(run: RunData) -> Figure:
    """Draw who bought how much from whom, and when."""
    homes = run.vpp.home_names()
    figure, (matrix, hours) = style.axes(1, 2, height_in=4.2, share_x=False, width_ratios=[1.15, 1], wspace=0.1)
    matrix.set_title("Who bought from whom")
    hours.set_title("Traded energy over the day")
    if run.vpp.trades.empty:
        for axis in (matrix, hours):
            style.note(axis, "Nothing was traded in this run.")
        return figure
    _draw_matrix(figure, matrix, _matrix_kwh(run.vpp.trades, homes), homes)
    frame = run.vpp.timeseries
    days = frame["time"].dt.normalize().nunique()
    traded = frame["delivered_kwh"].groupby(frame["time"].dt.hour).sum().reindex(range(24), fill_value=0.0) / days
    hours.bar(np.arange(24) + 0.5, traded, width=0.8, color=_C["orange"])
    hours.set_xlim(0, 24)
    hours.set_xticks(range(0, 25, 6), [f"{hour:02d}:00" for hour in range(0, 25, 6)])
    hours.set_xlabel(f"local time ({frame['time'].dt.tz})")
    hours.set_ylabel("delivered [kWh a day]")
    return figure


def _matrix_kwh(trades: pd.DataFrame, homes: list[str]) -> FloatArray:
    pairs = trades.groupby(["buyer", "seller"], observed=True)["delivered_kwh"].sum()
    row, column = ({home: index for index, home in enumerate(homes)} for _ in range(2))
    matrix = np.zeros((len(homes), len(homes)))
    buyers, sellers = (pairs.index.get_level_values(side).astype(str) for side in ("buyer", "seller"))
    matrix[[row[name] for name in buyers], [column[name] for name in sellers]] = pairs.to_numpy()
    return matrix


def _draw_matrix(figure: Figure, axis: Any, matrix_kwh: FloatArray, homes: list[str]) -> None:
    shown = np.where(matrix_kwh > 0, matrix_kwh, np.nan)
    image = axis.imshow(shown, cmap="YlGnBu", vmin=0, aspect="auto", interpolation="nearest")
    bar = figure.colorbar(image, ax=axis, pad=0.02, fraction=0.05)
    bar.set_label("delivered [kWh]")
    bar.outline.set_visible(False)
    axis.grid(visible=False)
    axis.set_xlabel("seller")
    axis.set_ylabel("buyer")
    if len(homes) > _LABELLED_HOMES:
        axis.set_xticks([])
        axis.set_yticks([])
        return
    labels = home_labels(homes)
    axis.set_xticks(range(len(homes)), labels, rotation=90, fontsize=7)
    axis.set_yticks(range(len(homes)), labels, fontsize=7)
