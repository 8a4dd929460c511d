"""What moved the retail prices, as a figure and as a table of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vpp_sim.figures import style
from vpp_sim.figures.series import condensed, fill, line, period_word

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vpp_sim.runs.frames import RunData

__all__ = ["PRICE_HEAD", "price_parts", "price_rows"]

_C = style.COLOURS
_SHOWN_DAYS = 7
_PARTS = {
    "markup": ("#9A9A9A", "markup"),
    "wholesale": (_C["pink"], "wholesale"),
    "demand": (_C["green"], "expected demand"),
    "elasticity": (_C["yellow"], "learnt elasticity"),
    "limits": (_C["orange"], "limits"),
    "exploration": (_C["sky"], "exploration"),
}
"""Colour and label of each part beside the default tariff."""

PRICE_HEAD = (
    ("step of", ""),
    ("retail", "EUR/kWh"),
    ("default", "EUR/kWh"),
    *((label, "EUR/kWh") for _, label in _PARTS.values()),
    ("limit that binds", ""),
    ("elasticity", "1"),
)
"""Columns of the table of prices, each with its unit."""


@style.styled
def price_parts(run: RunData) -> Figure:
    """Draw what moved the retail price away from the default tariff, and the elasticity believed; the last week."""
    prices = run.vpp.prices
    if prices.empty:
        figure, (axis,) = style.axes(height_in=3.6)
        axis.set_title("What moved the retail price")
        style.note(axis, "Prices were not taken apart in this run.")
        return figure
    since = prices["time"].iloc[-1].normalize() - pd.Timedelta(days=_SHOWN_DAYS - 1)
    frame = condensed(prices[prices["time"] >= since].reset_index(drop=True))
    time = frame["time"]
    figure, (axis, belief) = style.axes(2, height_in=4.8, height_ratios=[3, 1])
    above, below = np.zeros(len(frame)), np.zeros(len(frame))
    for name, (colour, label) in _PARTS.items():
        part = frame[f"{name}_eur_per_kwh"].to_numpy(dtype=np.float64)
        if np.abs(prices[f"{name}_eur_per_kwh"]).max() < 5e-5:
            continue
        fill(axis, time, above, above + np.maximum(part, 0.0), color=colour, label=label)
        fill(axis, time, below, below + np.minimum(part, 0.0), color=colour)
        above, below = above + np.maximum(part, 0.0), below + np.minimum(part, 0.0)
    over = frame["buy_eur_per_kwh"] - frame["default_eur_per_kwh"]
    line(axis, time, over, color=_C["black"], linewidth=1.1, label="retail less default")
    axis.axhline(0, color=style.GREY, linewidth=0.6)
    axis.set_title("What moved the retail price" + period_word(time))
    axis.set_ylabel("[EUR/kWh]")
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), handlelength=1.2, columnspacing=1.2)
    belief.set_title("Elasticity of demand believed, with its standard deviation")
    belief.set_ylabel("[1]")
    style.local_time(belief, time)
    if frame["elasticity"].isna().all():
        style.note(belief, "Elasticities play no part in these prices.")
        return figure
    low, high = (frame["elasticity"] + sign * frame["elasticity_sd"] for sign in (-1, 1))
    fill(belief, time, low, high, color=_C["sky"], alpha=0.45)
    line(belief, time, frame["elasticity"], color=_C["blue"])
    return figure


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def price_rows(prices: pd.DataFrame, most: int) -> list[list[str]]:
    """Return the last `most` steps as rows of the report's table."""
    rows = []
    for row in prices.tail(most).to_dict("records"):
        parts = (f"{row[f'{name}_eur_per_kwh']:+.4f}" for name in _PARTS)
        level = (f"{row[name]:.4f}" for name in ("buy_eur_per_kwh", "default_eur_per_kwh"))
        rows.append([f"{row['time']:%-d %b %H:%M}", *level, *parts, row["limit"] or "–", _number(row["elasticity"])])
    return rows
