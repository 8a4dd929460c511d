"""The study's figures: who gains by each tariff, what optimism about ties costs, and the frontier of the bids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vpp_sim.figures import style

KIND_OF = {
    "flat": "black",
    "time_of_use": "orange",
    "critical_peak": "orange",
    "pass_through": "orange",
    "pass_through_promised": "yellow",
    "profit": "blue",
    "profit_learning": "sky",
    "welfare": "green",
    "peak": "pink",
    "stackelberg_optimistic": "blue",
    "stackelberg_pessimistic": "blue",
}
LINES = (("-", "together as flat"), ("--", "together as at marginal cost, the best"))

FAR = ("critical_peak", "pass_through_promised")
"""So far off that the others would fall together: their figures are written below the plot."""

MARKERS = {"stackelberg_optimistic": "^", "stackelberg_pessimistic": "v", "pass_through": "D"}
COMPARED = ("profit", "stackelberg_optimistic", "stackelberg_pessimistic")
TRUTH_NAMES = {"elastic": "smooth", "mixed": "smooth\nand shifting", "tied": "as believed,\nunwilling at ties"}


def draw_all(figures: Mapping[str, Any], folder: Path) -> None:
    """Draw every figure of the study into `folder`."""
    draw_gains(figures["cases"], folder / "gains.png")
    draw_ties(figures["cases"], folder / "ties.png")
    draw_frontier(figures["bids"], folder / "frontier.png")


@style.styled
def draw_gains(cases: Mapping[str, Any], path: Path) -> None:
    """Draw consumer surplus over profit, both against the flat tariff, for homes that shift too."""
    figure, panels = style.axes(1, len(cases), height_in=4.2, share_x=False)
    for axis, (year, truths) in zip(panels, cases.items(), strict=True):
        found, efficient = truths["mixed"]["tariffs"], truths["mixed"]["efficient_eur"]["mean"]
        start = found["flat"]["profit_eur"]["mean"]
        off = []
        for name, row in found.items():
            profit = {key: value - start for key, value in row["profit_eur"].items()}
            if name in FAR:
                off.append(f"{name} {profit['mean']:+,.0f}, {row['consumer_surplus_eur']['mean']:+,.0f}")
            else:
                _point(axis, name, profit, row["consumer_surplus_eur"])
        _frontiers(axis, efficient - start)
        axis.set_title(f"prices of {year}: together at most {efficient - start:+,.0f}")
        axis.set_xlabel("profit against flat [EUR a year]\noff the plot: " + ";\n".join(off))
    panels[0].set_ylabel("consumer surplus against flat [EUR a year]")
    shown = [name for name in KIND_OF if name not in FAR]
    handles = [panels[0].plot([], [], **_look(name), linestyle="", label=name)[0] for name in shown]
    grey = {"color": style.GREY, "linewidth": 0.8}
    handles += [panels[0].plot([], [], linestyle=look, label=label, **grey)[0] for look, label in LINES]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    style.save(figure, path)


def _frontiers(axis: Any, best: float) -> None:
    """Draw lines of equal profit and surplus together, that of flat and the best, within what the points span."""
    low, high = axis.get_xlim()
    bottom, top = axis.get_ylim()
    top = max(top, 1.1 * best)
    for total, (look, _) in zip((0.0, best), LINES, strict=True):
        axis.plot([low, high], [total - low, total - high], color=style.GREY, linestyle=look, linewidth=0.8, zorder=0)
    axis.set(xlim=(low, high), ylim=(bottom, top))


def _look(name: str) -> dict[str, Any]:
    return {"color": style.COLOURS[KIND_OF[name]], "marker": MARKERS.get(name, "o"), "markersize": 5}


def _point(axis: Any, name: str, profit: Mapping[str, float], surplus: Mapping[str, float]) -> None:
    reach = {
        "xerr": [[profit["mean"] - profit["min"]], [profit["max"] - profit["mean"]]],
        "yerr": [[surplus["mean"] - surplus["min"]], [surplus["max"] - surplus["mean"]]],
    }
    axis.errorbar(profit["mean"], surplus["mean"], **reach, **_look(name), elinewidth=0.8, linestyle="")


@style.styled
def draw_ties(cases: Mapping[str, Any], path: Path) -> None:
    """Draw the profit of the optimised tariffs against flat, by what the homes truly do."""
    figure, panels = style.axes(1, len(cases), height_in=3.2, share_x=False)
    for axis, (year, truths) in zip(panels, cases.items(), strict=True):
        for place, name in enumerate(COMPARED):
            for column, case in enumerate(truths.values()):
                found = case["tariffs"]
                gain = {
                    key: value - found["flat"]["profit_eur"]["mean"] for key, value in found[name]["profit_eur"].items()
                }
                reach = [[gain["mean"] - gain["min"]], [gain["max"] - gain["mean"]]]
                axis.errorbar(
                    column + 0.2 * (place - 1), gain["mean"], yerr=reach, elinewidth=0.8, linestyle="",
                    **_look(name) | {"color": style.COLOURS[("orange", "sky", "blue")[place]]},
                    label=name.removeprefix("stackelberg_") if column == 0 else None,
                )  # fmt: skip
        axis.axhline(0, color=style.LIGHT, zorder=0)
        axis.set_xticks(range(len(truths)), [TRUTH_NAMES[truth] for truth in truths])
        axis.set(title=f"prices of {year}", xlim=(-0.5, len(truths) - 0.5))
    panels[0].set_ylabel("profit against flat [EUR a year]")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    style.save(figure, path)


@style.styled
def draw_frontier(bids: Mapping[str, Any], path: Path) -> None:
    """Draw the CVaR over the mean of what a day cost beyond what was expected: as it came, and as scenarios said."""
    figure, panels = style.axes(1, 2, height_in=3.6, share_x=False)
    for axis, battery in zip(panels, (False, True), strict=True):
        rows = {name: row for name, row in bids.items() if row["battery"] == battery}
        if not rows:
            style.note(axis, "no bids")
            continue
        scaled = [row for name, row in rows.items() if row["risk_weight"] is not None]
        came = [row["mean_eur"]["mean"] for row in scaled], [row["cvar_eur"]["mean"] for row in scaled]
        axis.plot(*came, color=style.COLOURS["blue"], marker="o", label="CVaR bids, on the days that came")
        for row in scaled:
            style.label_line(
                axis, row["mean_eur"]["mean"], row["cvar_eur"]["mean"], f"{row['risk_weight']:g}", style.TEXT
            )
        said = [row["promised_mean_eur"] for row in scaled], [row["promised_cvar_eur"] for row in scaled]
        axis.plot(
            *said, color=style.COLOURS["sky"], marker="o", linestyle="--", label="the same, as their scenarios said"
        )
        for name, marker in (("deterministic", "s"), ("newsvendor", "D")):
            for row in (row for key, row in rows.items() if key.startswith(name)):
                point = row["mean_eur"]["mean"], row["cvar_eur"]["mean"]
                axis.plot(*point, color=style.COLOURS["orange"], marker=marker, linestyle="", label=name)
        axis.set(title="with batteries" if battery else "without batteries")
        axis.set(xlabel="mean cost beyond the expected [EUR a day]", ylabel="mean of the worst tenth [EUR a day]")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    style.save(figure, path)
