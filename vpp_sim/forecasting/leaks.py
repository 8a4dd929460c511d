"""Proof that a forecast does not see what lies after its issue: the future is poisoned, and nothing may change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.errors import DataError
from vpp_sim.forecasting.windows import SeriesTable, inputs_at

if TYPE_CHECKING:
    from vpp_sim.forecasting.protocol import Forecaster

__all__ = ["poisoned", "require_no_leak"]

POISON = 1e6
"""Value that stands for everything that was not known [unit of each series]; no forecast could overlook it."""


def poisoned(table: SeriesTable, origin: int) -> SeriesTable:
    """Return the table with everything that was not known at `origin` replaced by nonsense.

    That is: values and observed covariates from `origin` on, and all forecasts of covariates issued later.
    """
    values, covariates = table.values.copy(), table.covariates.copy()
    values[origin:], covariates[origin:] = POISON, POISON
    return replace(table, values=values, covariates=covariates, issued=table.issued.poisoned_after(origin, POISON))


def require_no_leak(model: Forecaster, table: SeriesTable, origin: int) -> None:
    """Raise unless the forecast issued at `origin` is the same, bit by bit, when its future is poisoned.

    Raises
    ------
    DataError
        If it differs; the message names the origin, and by how much the forecast moved.
    """
    honest, blind = (model.predict(inputs_at(t, origin, model.task)) for t in (table, poisoned(table, origin)))
    if not np.array_equal(honest, blind):
        moved = float(np.abs(honest - blind).max())
        raise DataError(
            f"the forecast issued at step {origin} saw the future: it moved by {moved:g} when what happened later was "
            "replaced"
        )
