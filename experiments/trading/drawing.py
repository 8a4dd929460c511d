"""The study's pictures: one dot a mechanism and community."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from community import SUN
from tables import MIDDLE, SIX

from vpp_sim.figures import style

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLOURS = {"sparse": "sky", "balanced": "orange", "abundant": "yellow"}
MARKERS = {"sparse": "o", "balanced": "s", "abundant": "^"}
SHIFT = {"sparse": -0.2, "balanced": 0.0, "abundant": 0.2}
"""Rows by which the dots of each amount of sun are moved apart."""
PANELS = {
    "told_welfare_share": ("welfare,\nrandom limits", "zero_intelligence"),
    "budget_residual": ("left to the\nmarket, truthful", "truthful"),
    "buyers_share": ("gain of buyers,\ntruthful", "truthful"),
    "gini": ("Gini of gains,\ntruthful", "truthful"),
    "misreport_gain": ("best lie (mean),\nrandom limits", "zero_intelligence"),
}
"""Figure to its title and the bidding that it is shown for."""


def _dots(axis: Any, names: list[str], value: Callable[[str, str], float | None], title: str) -> None:
    """Draw one panel: a row a mechanism, a dot for each amount of sun."""
    for sun in SUN:
        known = [(found, row + SHIFT[sun]) for row, name in enumerate(names) if (found := value(name, sun)) is not None]
        axis.plot(
            *zip(*known, strict=True), linestyle="", marker=MARKERS[sun], markersize=4.5, alpha=0.9,
            color=style.COLOURS[COLOURS[sun]], label=f"{sun} sun",
        )  # fmt: skip
    axis.axvline(0.0, color=style.GREY, linewidth=0.6)
    axis.set(title=title, yticks=range(len(names)), yticklabels=[name.replace("_", " ") for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)


def _panels(count: int, height_in: float) -> tuple[Any, list[Any]]:
    figure, panels = style.axes(1, count, height_in=height_in, share_x=False)
    for axis in panels:
        axis.tick_params(labelleft=axis is panels[0])
    return figure, panels


def _finish(figure: Any, panels: list[Any], path: Path) -> None:
    for axis in panels[1:]:
        axis.set_yticklabels([])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(SUN))
    style.save(figure, path)


@style.styled
def draw_mechanisms(figures: dict[str, Any], path: Path) -> None:
    """Draw welfare, budget, gains, equality and lies of every mechanism."""
    names = list(figures["gini"])
    figure, panels = _panels(len(PANELS), 4.2)
    for axis, (key, (title, bidding)) in zip(panels, PANELS.items(), strict=True):
        _dots(axis, names, lambda name, sun, k=key, b=bidding: figures[k][name][f"{sun}/{MIDDLE}/{b}"], title)
    _finish(figure, panels, path)


@style.styled
def draw_zhou(figures: dict[str, Any], path: Path) -> None:
    """Draw Zhou's six indices of every mechanism."""
    names = list(figures["gini"])
    figure, panels = _panels(len(SIX), 4.2)
    for axis, (key, title) in zip(panels, SIX.items(), strict=True):
        _dots(
            axis,
            names,
            lambda name, sun, k=key: figures["zhou"][name][f"{sun}/{MIDDLE}/truthful"][k],
            title.replace("-", "-\n"),
        )
    _finish(figure, panels, path)
