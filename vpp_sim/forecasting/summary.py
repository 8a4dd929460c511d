"""Tables of model cards as text, so that a page states what the cards say and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vpp_sim.forecasting.card import ModelCard

__all__ = ["COLUMNS", "measures_of", "over_seeds", "table_lines"]

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("homes", "mase_ratio_to_persistence", "MASE / yesterday"),
    ("homes", "mase_ratio_to_persistence_ensemble", "MASE / mean day"),
    ("homes", "wql_ratio_to_persistence", "WQL / yesterday"),
    ("homes", "wql_ratio_to_persistence_ensemble", "WQL / mean day"),
    ("homes", "nrmse", "NRMSE"),
    ("homes", "coverage_80", "80 % covers"),
    ("homes", "coverage_90", "90 % covers"),
    ("portfolio", "mase_ratio_to_persistence", "sum: MASE / yesterday"),
    ("portfolio", "wql_ratio_to_persistence_ensemble", "sum: WQL / mean day"),
)
"""Group of series, measure, and heading of each column."""


def measures_of(card: ModelCard, split: str) -> dict[str, float]:
    """Return what a card says of its model on a split, as ``group.measure``, for each of :data:`COLUMNS`."""
    groups = card.metrics[split]
    return {f"{group}.{measure}": float(groups[group][card.kind][measure]) for group, measure, _ in COLUMNS}


def over_seeds(cards: Sequence[ModelCard], split: str) -> dict[str, dict[str, float]]:
    """Return mean, lowest and highest of each measure over cards that differ in their seed only.

    Raises
    ------
    DataError
        If the cards are of different models, or share a seed.
    """
    if len({card.stem for card in cards}) != 1 or len({card.seed for card in cards}) != len(cards):
        raise DataError("a spread over seeds needs cards of one model, each of another seed")
    rows = [measures_of(card, split) for card in cards]
    return {name: _spread([row[name] for row in rows]) for name in rows[0]}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(float(np.mean(values)), 4), "low": min(values), "high": max(values)}


def table_lines(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a Markdown table, a line for each named row of measures.

    Parameters
    ----------
    rows : mapping of str to mapping
        Name to ``group.measure`` and its value.
    """
    lines = ["| model | " + " | ".join(title for *_, title in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, row in rows.items():
        cells = (f"{row[f'{group}.{measure}']:.3f}" for group, measure, _ in COLUMNS)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines
