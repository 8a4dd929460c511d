"""How a report tells how the run's own forecasts did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vpp_sim.figures.series import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ACCURACY_HEAD", "accuracy_rows"]

_NONE = "–"

ACCURACY_HEAD = (
    ("forecast of", ""),
    ("forecaster", ""),
    ("error, MAE", "kW"),
    ("of yesterday's values", "kW"),
    ("ratio", ""),
    ("bias", "kW"),
    ("in the 80 % band", ""),
    ("last week against reference", ""),
    ("drift alarms", ""),
)
"""Labels and units of the columns of :func:`accuracy_rows`."""


def accuracy_rows(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return how the forecasts did as text, a row for each series and scope.

    Parameters
    ----------
    records : sequence of mapping
        Those of a manifest.

    Examples
    --------
    >>> record = {
    ...     "series": "load", "scope": "fleet", "forecaster": "lstm", "mae_kw": 2.5, "persistence_mae_kw": 3.0,
    ...     "ratio_to_persistence": 2.5 / 3, "bias_kw": -0.25, "coverage_80": 0.79, "error_to_reference": None,
    ...     "reference": "none", "alarms": 0, "first_alarm_day": None,
    ... }
    >>> accuracy_rows([record])
    [['load, fleet', 'lstm', '2.50', '3.00', '0.83', '-0.25', '79 %', '–', 'none']]
    """
    return [
        [
            f"{record['series']}, {_SCOPES.get(record['scope'], record['scope'])}",
            str(record["forecaster"]).replace("_", " "),
            f"{record['mae_kw']:.{_decimals(record)}f}",
            f"{record['persistence_mae_kw']:.{_decimals(record)}f}",
            _number(record["ratio_to_persistence"]),
            f"{record['bias_kw']:+.{_decimals(record)}f}",
            _NONE if record["coverage_80"] is None else percent(record["coverage_80"]),
            _number(record["error_to_reference"]),
            _alarms(record),
        ]
        for record in records
    ]


_SCOPES = {"homes": "a home"}


def _decimals(record: Mapping[str, Any]) -> int:
    return 3 if record["scope"] == "homes" else 2


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.2f}"


def _alarms(record: Mapping[str, Any]) -> str:
    if not record["alarms"]:
        return "none"
    return f"{record['alarms']}, first on day {record['first_alarm_day'] + 1}"
