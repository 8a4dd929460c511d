"""The figures of a trial of storage controllers: a week of one home, share of the optimum by month, learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.figures import style
from vpp_sim.figures.series import line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vpp_sim.trials.run import TrialResult

__all__ = ["learning_curves", "share_by_month", "soc_and_price", "trial_figures"]

_WEEK = 7 * 24
_MOST_LINES = 3
_LINES = ("solid", "dashed", "dotted")
_NAMED = tuple(style.COLOURS[name] for name in ("blue", "orange", "green", "pink", "sky", "yellow"))


def trial_figures(result: TrialResult) -> dict[str, Figure]:
    """Return the figures of a trial by their names; learning curves only where something was learned."""
    figures = {"soc_and_price": soc_and_price(result), "share_by_month": share_by_month(result)}
    if any(one.entrant.scores for one in result.tried):
        figures["learning_curves"] = learning_curves(result)
    return figures


@style.styled
def soc_and_price(result: TrialResult, home: int = 0, first: int | None = None) -> Figure:
    """Return the state of charge in one home over a week, beside the prices and the home's net load.

    It shows the three controllers with the greatest shares among those that do not know the future, each with its first
    seed, and a best schedule.

    Parameters
    ----------
    result : TrialResult
        The trial.
    home : int
        Which home.
    first : int, optional
        First step; without it, the week in the middle, from midnight.
    """
    cases, times = result.homes.cases, result.homes.times
    start = _middle_week(times) if first is None else first
    span = slice(start, min(start + _WEEK, len(times)))
    shown = pd.Series(times[span])
    figure, (top, middle, bottom) = style.axes(3, height_in=5.6, height_ratios=[3, 1.4, 1.4])
    capacity = cases.fleet.capacity_kwh[home]
    line(
        top,
        shown,
        result.best.soc_kwh[home, span] / capacity,
        color=style.GREY,
        label="optimum",
        linewidth=2.2,
        alpha=0.6,
    )
    for name, colour, dashes in zip(_without_truth(result)[:_MOST_LINES], _NAMED, _LINES, strict=False):
        soc_kwh = result.of(name)[0].record.soc_kwh
        line(top, shown, soc_kwh[home, span] / capacity, color=colour, linestyle=dashes, label=_words(name))
    top.set_ylim(0.0, 1.02)
    top.set_ylabel("state of charge")
    top.set_title(f"{result.homes.names[home].replace('_', ' ')}: state of charge, net load and price")
    style.legend_above(top)
    acted = result.homes.acted
    line(middle, shown, cases.net_kw[home, acted][span], color=style.COLOURS["black"])
    middle.set_ylabel("net load [kW]")
    line(bottom, shown, cases.buy_eur_per_kwh[home, acted][span], color=style.COLOURS["orange"], label="buy")
    line(bottom, shown, cases.sell_eur_per_kwh[home, acted][span], color=style.COLOURS["green"], label="sell")
    bottom.set_ylabel("price [EUR/kWh]")
    style.legend_above(bottom)
    style.local_time(bottom, shown)
    return figure


@style.styled
def share_by_month(result: TrialResult) -> Figure:
    """Return the share of the optimum by local month, homes added up, mean over seeds with their lowest and highest."""
    table = result.months_table()
    months = sorted(table["month"].unique())
    figure, (axis,) = style.axes(height_in=3.4)
    names = [name for name in result.names if (table.loc[table["controller"] == name, "share"].abs() > 0).any()]
    width = 0.8 / max(len(names), 1)
    for number, name in enumerate(names):
        rows = table[table["controller"] == name].groupby("month")["share"]
        mean, low, high = (getattr(rows, how)().reindex(months).to_numpy() for how in ("mean", "min", "max"))
        at = np.arange(len(months)) + (number - (len(names) - 1) / 2) * width
        axis.bar(
            at, mean, 0.9 * width, color=_colour(number), label=_words(name), hatch=_hatch(number), edgecolor="white"
        )
        if (high > low).any():
            axis.vlines(at, low, high, color=style.TEXT, linewidth=0.8)
    axis.set_xticks(range(len(months)), [f"{pd.Timestamp(f'{month}-01'):%b %Y}" for month in months])
    axis.set_ylabel("share of the optimum")
    axis.set_title("By month")
    style.legend_above(axis, columns=4)
    return figure


@style.styled
def learning_curves(result: TrialResult) -> Figure:
    """Return the validation scores of policies as they were trained: after cloning, then in reinforcement learning."""
    figure, (axis,) = style.axes(height_in=3.2)
    learned = [name for name in result.names if any(one.entrant.scores for one in result.of(name))]
    for number, name in enumerate(learned):
        for seed, one in enumerate(result.of(name)):
            scores = one.entrant.scores
            label = _words(name) if not seed else None
            axis.plot(range(len(scores)), scores, color=_colour(number), label=label, linestyle=_LINES[number // 6 % 3],
                      marker="o", markersize=2.5)  # fmt: skip
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel("evaluation during training; 0: after cloning")
    axis.set_ylabel("share of the optimum")
    axis.set_title("Learning curves on validation, a line a seed")
    style.legend_above(axis)
    return figure


def _without_truth(result: TrialResult) -> list[str]:
    return [name for name in result.names if not result.of(name)[0].entrant.controller.needs_truth]


def _middle_week(times: pd.DatetimeIndex) -> int:
    """Return the last midnight that leaves as much after a week as before it, or 0."""
    before = max((len(times) - _WEEK) // 2, 0)
    midnights = np.flatnonzero(np.asarray(times.hour) == 0)
    early: Any = midnights[midnights <= before]
    return int(early[-1]) if len(early) else 0


def _colour(number: int) -> str:
    return _NAMED[number % len(_NAMED)]


def _hatch(number: int) -> str:
    return ("", "//", "..")[number // len(_NAMED) % 3]


def _words(name: str) -> str:
    return name.replace("_", " ")
