"""Figures of money: the homes' bills, and where each euro goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.figures import style
from vpp_sim.figures.series import home_labels
from vpp_sim.runs.tables import ACCOUNTS, ITEMS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vpp_sim.arrays import FloatArray
    from vpp_sim.runs.frames import RunData, RunTables

__all__ = ["bills", "money"]

_C = style.COLOURS
_LABELLED_HOMES = 40
_ITEM_COLOURS = dict(
    zip(
        ITEMS,
        (
            _C["blue"], "#9A9A9A", _C["green"], _C["orange"], "#A65628", _C["pink"], "#1B5E5A", _C["sky"], "#5B4B8A",
            _C["yellow"],
        ),
        strict=True,
    )
)  # fmt: skip
_ACCOUNT_LABELS = {"homes": "homes", "vpp": "VPP", "grid_operator": "grid operator", "wholesale": "wholesale market"}


@style.styled
def bills(run: RunData) -> Figure:
    """Draw every home's bill beside its default bill and its bill without the VPP, and what it saved."""
    frame = run.bills.sort_values("saving_eur", kind="stable").reset_index(drop=True)
    labelled = len(frame) <= _LABELLED_HOMES
    height_in = 1.3 + 0.22 * len(frame) if labelled else 6.0
    figure, (level, saving) = style.axes(1, 2, height_in=height_in, share_x=False, width_ratios=[3, 2])
    rows = np.arange(len(frame))
    labels = home_labels(frame["home"].astype(str).tolist())
    _draw_levels(level, frame, rows)
    _draw_savings(saving, frame["saving_eur"].to_numpy(), rows, labelled=labelled)
    for axis in (level, saving):
        axis.set_ylim(-0.7, len(frame) - 0.3)
        axis.set_yticks(rows if labelled and axis is level else [], labels if labelled and axis is level else [])
        axis.axvline(0, color=style.GREY, linewidth=0.6)
    if not labelled:
        level.set_ylabel(f"{len(frame)} homes, by saving")
    return figure


def _draw_levels(axis: Any, frame: pd.DataFrame, rows: Any) -> None:
    axis.hlines(rows, frame["counterfactual_total_eur"], frame["total_eur"], color=style.GREY, linewidth=1.0)
    axis.scatter(frame["counterfactual_total_eur"], rows, s=30, facecolor="white", edgecolor=style.GREY, zorder=3,
                 label="without VPP")  # fmt: skip
    axis.scatter(frame["default_bill_eur"], rows, marker="|", s=80, color=_C["black"], zorder=4, label="default bill")
    axis.scatter(frame["total_eur"], rows, s=14, color=_C["blue"], zorder=5, label="with VPP")
    axis.set_title("Bills")
    axis.set_xlabel("bill for the whole run [EUR]; negative is earned")
    style.legend_above(axis)


def _draw_savings(axis: Any, saved_eur: FloatArray, rows: Any, *, labelled: bool) -> None:
    colours = np.where(saved_eur >= 0, _C["blue"], _C["orange"]).tolist()
    axis.barh(rows, saved_eur, height=0.6, color=colours, linewidth=0)
    reach = max(float(np.abs(saved_eur).max()), 0.01)
    for row, saved in zip(rows, saved_eur if labelled else [], strict=labelled):
        axis.annotate(f"{saved:+.2f}", (saved, row), xytext=(3 if saved >= 0 else -3, 0), textcoords="offset points",
                      ha="left" if saved >= 0 else "right", va="center", fontsize=7.5, color=colours[row])  # fmt: skip
    room = 1.3 if labelled else 1.05
    axis.set_xlim(min(0.0, saved_eur.min() * room - 0.1 * reach), max(0.0, saved_eur.max() * room + 0.1 * reach))
    axis.set_title("Saved with the VPP")
    axis.set_xlabel("bill without less bill with [EUR]")


def flows_eur(tables: RunTables) -> pd.DataFrame:
    """Return what each account, the homes as one, received for each item (negative: paid).

    Returns
    -------
    DataFrame
        Rows ``homes``, ``vpp``, ``grid_operator``, ``wholesale``; columns in the order of the ledger's items [EUR].
        Each column sums to zero.
    """
    paid = tables.account_items_eur()
    homes = paid[~paid.index.isin(ACCOUNTS)].sum().rename("homes").to_frame().T
    rows = pd.concat([homes, paid.reindex(list(ACCOUNTS), fill_value=0.0)])
    ordered: pd.DataFrame = -rows.reindex(list(_ACCOUNT_LABELS)).reindex(columns=list(ITEMS), fill_value=0.0)
    return ordered + 0.0


@style.styled
def money(run: RunData) -> Figure:
    """Draw what each account received and paid, by item, with and without the VPP."""
    figure, panels = style.axes(2, height_in=5.0)
    ours, theirs = flows_eur(run.vpp), flows_eur(run.counterfactual)
    for axis, flows, title in zip(panels, (ours, theirs), ("With VPP", "Without VPP"), strict=True):
        _draw_flows(axis, flows)
        axis.set_title(f"{title}: received (+) and paid (−), by account")
    both = pd.concat([ours, theirs])
    reach = max(float(both.clip(lower=0).sum(axis=1).max()), float(-both.clip(upper=0).sum(axis=1).min()), 0.01)
    panels[0].set_xlim(-1.25 * reach, 1.25 * reach)
    panels[1].set_xlabel("money [EUR]; net result at the right")
    shown = [item for item in ITEMS if (both[item].abs() > 0.005).any()]
    handles = [_swatch(_ITEM_COLOURS[item], item.replace("_", " ")) for item in shown]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), handlelength=1.2, columnspacing=1.2)
    return figure


def _draw_flows(axis: Any, flows: pd.DataFrame) -> None:
    rows = np.arange(len(flows))[::-1]
    ahead, behind = np.zeros(len(flows)), np.zeros(len(flows))
    for item in flows.columns:
        values = flows[item].to_numpy()
        start = np.where(values >= 0, ahead, behind)
        axis.barh(rows, values, left=start, height=0.6, color=_ITEM_COLOURS[item], linewidth=0)
        ahead, behind = ahead + np.clip(values, 0, None), behind + np.clip(values, None, 0)
    for row, net in zip(rows, flows.sum(axis=1), strict=True):
        axis.annotate(f"{net:+,.2f} EUR", (1.0, row), xycoords=("axes fraction", "data"), ha="right", va="center",
                      fontsize=8, fontweight="bold", color=style.TEXT)  # fmt: skip
    axis.axvline(0, color=style.GREY, linewidth=0.6)
    axis.set_yticks(rows, [_ACCOUNT_LABELS[name] for name in flows.index])
    axis.grid(visible=False, axis="y")


def _swatch(colour: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, label=label)
