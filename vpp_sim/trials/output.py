"""The folder of a trial: what was asked and found, tables for each home, month and step, and a summary to read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import vpp_sim
from vpp_sim.backtesting.output import one_move
from vpp_sim.errors import DataError
from vpp_sim.runs.manifest import environment
from vpp_sim.trials.measures import CONFIDENCE, RESAMPLES
from vpp_sim.trials.request import TARIFFS

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.trials.run import TrialResult

__all__ = ["HEADS", "RESULT", "SUMMARY", "amounts", "require_room", "share_rows", "warnings", "write_trial"]

RESULT, SUMMARY = "evaluation.json", "summary.md"

HEADS = (
    "controller",
    "seeds",
    "share",
    "95 % over homes",
    "± seeds",
    "of sum",
    "EUR/home",
    "cycles",
    "projected",
    "ahead",
)
"""Heads of the rows of :func:`amounts`."""

_DIGITS = 6
_NONE = "–"


def require_room(folder: Path) -> None:
    """Raise `DataError` if `folder` is neither that of a trial, nor empty, nor still to be made."""
    if (folder / RESULT).is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} holds something else than an evaluation; choose an empty folder or a new one")


def write_trial(result: TrialResult, folder: Path, command: str) -> None:
    """Write the tables and the summary of a trial to `folder`, which is made if missing.

    Raises
    ------
    DataError
        If the folder holds something else, or cannot be written.
    """
    require_room(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in (
            ("homes", result.homes_table()), ("months", result.months_table()), ("steps", result.steps_table()),
        ):  # fmt: skip
            with one_move(folder / f"{name}.parquet") as part:
                table.to_parquet(part, index=False, compression="zstd")
        with one_move(folder / SUMMARY) as part:
            part.write_text(_markdown(result, command), encoding="utf-8")
        with one_move(folder / RESULT) as part:
            part.write_text(json.dumps(_said(result, command), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}") from error


def amounts(result: TrialResult) -> list[list[str]]:
    """Return the rows of a trial as text, under :data:`HEADS`."""
    return [
        [
            row["controller"],
            ", ".join(map(str, row["seeds"])) or _NONE,
            _number(row["share"], 3),
            _NONE if row["interval_over_homes"] is None else "{:.3f} to {:.3f}".format(*row["interval_over_homes"]),
            _number(row["spread_over_seeds"], 3),
            _number(row["share_of_sum"], 3),
            _number(row["saving_eur_per_home"], 2),
            _number(row["cycles"], 1),
            _NONE if row["projected"] is None else f"{row['projected']:.0f} ({100 * row['projected_share']:.0f} %)",
            _NONE if row["homes_ahead"] is None else f"{row['homes_ahead']} of {len(result.homes.names)}",
        ]
        for row in result.rows
    ]


def share_rows(result: TrialResult) -> list[list[str]]:
    """Return for each controller its share of the optimum in every home, as text."""
    return [[row["controller"], *(_number(share, 3) for share in row["shares"].values())] for row in result.rows]


def warnings(result: TrialResult) -> list[str]:
    """Return sentences on policies that have met the days before."""
    how = {"train": "learned from some of these days", "validation": "was chosen on some of these days"}
    return [
        f"{row['controller']} {how[split]}: its share says little of other days"
        for row in result.rows
        for split in row["met_before"]
    ]


def _said(result: TrialResult, command: str) -> dict[str, Any]:
    return {
        "command": command,
        "vpp_sim": vpp_sim.__version__,
        "versions": environment(),
        "request": result.request.described(),
        "data_sha256": result.homes.digests,
        "homes": list(result.homes.names),
        "first_step": result.homes.times[0].isoformat(),
        "last_step": result.homes.times[-1].isoformat(),
        "notes": {
            "share": "of the saving of perfect foresight, mean over homes and seeds",
            "interval_over_homes": f"{CONFIDENCE:.0%} of the mean over homes, bootstrap, {RESAMPLES} resamples",
            "spread_over_seeds": "standard deviation of the seeds' shares",
            "share_of_sum": "summed saving by summed saving of perfect foresight",
            "saving_eur_per_home": "against no battery; what is stored at the end is worth nothing",
            "cycles": "energy in and out of the cells by twice the usable energy, mean over homes",
            "met_before": "splits of a policy's own training that these days meet",
            "projected": "asks of a controller that a limit of the battery cut, all homes, mean over seeds",
            "homes_ahead": "homes with a greater share than both self_consumption and mpc",
            "cpu_s": "processor time of acting, mean over seeds",
        },
        "results": _rounded(result.rows),
    }


def _markdown(result: TrialResult, command: str) -> str:
    request, times = result.request, result.homes.times
    best_eur = result.rows[0]["best_eur_per_home"]
    truth = [one.entrant.name for one in result.tried if one.entrant.controller.needs_truth]
    lines = [
        "# Storage controllers on the same days",
        "",
        f"`{command}`",
        "",
        f"{len(result.homes.names)} homes of {request.source}, steps from {times[0]:%Y-%m-%d %H:%M} to "
        f"{times[-1]:%Y-%m-%d %H:%M} ({times.tz}). Perfect foresight saves {best_eur:.2f} EUR a home, against "
        "no battery.",
        "",
        f"What controllers knew of load and sun: {request.known_of_load}. Of prices: {TARIFFS[request.tariff]}."
        + (f" Only {', '.join(truth)} knew the coming day as it will be." if truth else ""),
        "",
        *_table(HEADS, amounts(result)),
        "",
        *(f"**{text}.**  " for text in warnings(result)),
        "share: of the saving of perfect foresight, mean over homes and seeds. 95 % over homes: bootstrap. ± seeds: "
        "standard deviation. of sum: summed saving by summed optimum. cycles: equivalent full ones. projected: asks "
        "that a limit of the battery cut, following the meter with a full or an empty one among them. ahead: homes in "
        "which it beats both self_consumption and mpc.",
        "",
        "## Share by home",
        "",
        *_table(("controller", *result.homes.names), share_rows(result)),
        "",
    ]
    return "\n".join(lines)


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    return [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)]), *(_line(row) for row in rows)]


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, decimals: int) -> str:
    return _NONE if value is None else f"{value:.{decimals}f}"


def _rounded(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _rounded(branch) for name, branch in tree.items()}
    if isinstance(tree, list | tuple):
        return [_rounded(branch) for branch in tree]
    return round(tree, _DIGITS) if isinstance(tree, float) else tree
