"""Every figure by name, and what to see in it, in one sentence of computed numbers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from vpp_sim.errors import UnknownNameError, UserError
from vpp_sim.figures import style
from vpp_sim.figures.captions import CAPTIONS
from vpp_sim.figures.energy import flexibility, overview, storage
from vpp_sim.figures.grid import grid
from vpp_sim.figures.money import bills, money
from vpp_sim.figures.pricing import price_parts
from vpp_sim.figures.settlement import settlement
from vpp_sim.figures.trading import demand, forecast, prices, trades

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from matplotlib.figure import Figure

    from vpp_sim.runs.frames import RunData

__all__ = ["CAPTIONS", "FIGURES", "FORMATS", "left_out", "plot", "plot_all"]

FIGURES: Mapping[str, Callable[[RunData], Figure]] = MappingProxyType(
    {
        "overview": overview,
        "money": money,
        "bills": bills,
        "prices": prices,
        "price_parts": price_parts,
        "storage": storage,
        "flexibility": flexibility,
        "trades": trades,
        "forecast": forecast,
        "demand": demand,
        "grid": grid,
        "settlement": settlement,
    }
)
"""The function behind each figure, in the order of the report."""

FORMATS = (".png", ".svg")
"""Endings that a figure can be written to."""


def left_out(run: RunData) -> dict[str, str]:
    """Return the figures that a report leaves out, because they would be empty, each with a sentence saying why."""
    why = {}
    if not run.vpp.battery_capacity_kwh:
        why["storage"] = "There is no figure of storage: no home has a battery with any capacity."
    if run.vpp.prices.empty:
        why["price_parts"] = "There is no figure of what moved the prices: this run did not take them apart."
    if run.vpp.chain.empty:
        why["settlement"] = "There is no figure of settlement: nothing was settled on chain in this run."
    return why


def plot(run: RunData, name: str, out: Path) -> Path:
    """Draw one figure of a run into a file.

    Parameters
    ----------
    run : RunData
        The run's tables (see :meth:`vpp_sim.runs.folder.RunFolder.data`).
    name : str
        A key of `FIGURES`.
    out : Path
        File to write, ``.png`` or ``.svg``; its folder is made if missing.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    UnknownNameError
        If there is no such figure.
    UserError
        If the file has another ending.
    """
    if name not in FIGURES:
        raise UnknownNameError("figure", name, FIGURES)
    if out.suffix not in FORMATS:
        raise UserError(f"{out}: a figure is written as one of {', '.join(FORMATS)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    style.save(FIGURES[name](run), out)
    return out


def plot_all(run: RunData, folder: Path, names: Iterable[str] = FIGURES) -> dict[str, Path]:
    """Draw several figures, each as ``<folder>/<name>.png``."""
    return {name: plot(run, name, folder / f"{name}.png") for name in names}
