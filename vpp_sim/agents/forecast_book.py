"""The book of a run's day-ahead forecasts: how they did, home by home and for the fleet, as the readings came in.

What is scored is what was bid on: the forecast of a whole local day that was issued when the gate of its bids closed.
Beside it stands what needs no model, the latest value known at the gate for the same hour of the day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.forecasting.drift import Drift, DriftMonitor, DriftSettings
from vpp_sim.kernel.messages import repeated
from vpp_sim.pricing.quantiles import quantile_at

__all__ = ["ForecastBook", "ForecastRecord"]

_LOW, _HIGH = 0.1, 0.9
_SUMS = ("error", "bias", "latest", "hours", "inside", "counted", "loss", "energy")


@dataclass(frozen=True, slots=True)
class ForecastRecord:
    """How the day-ahead forecasts of a run did; None where there is nothing to measure.

    Attributes
    ----------
    series, scope : str
        ``load`` or ``sun``; ``homes`` (each by itself, then averaged) or ``fleet`` (their sum).
    forecaster : str
        Name of the forecaster.
    days : int
        Days scored.
    mae_kw, bias_kw : float
        Mean absolute error of the median, and mean of median less outcome, positive if forecasts are too high [kW].
    persistence_mae_kw : float
        Mean absolute error of the latest value known at the gate for the same hour of the day [kW].
    ratio_to_persistence : float or None
        The first error over the second.
    wql : float or None
        Weighted quantile loss, over the levels of the forecaster.
    coverage_80 : float or None
        Share of outcomes between the 10 % and 90 % quantiles; of sun in hours of daylight only.
    error_to_reference : float or None
        Mean absolute error of the last seven days over the reference; over homes the median of them.
    reference : str
        Where the reference error comes from.
    alarms : int
        Series whose error rose for so long that it is no chance; at most one for the fleet.
    first_alarm_day : int or None
        Day of the run on which the first of them was raised, from 0.
    """

    series: str
    scope: str
    forecaster: str
    days: int
    mae_kw: float
    bias_kw: float
    persistence_mae_kw: float
    ratio_to_persistence: float | None
    wql: float | None
    coverage_80: float | None
    error_to_reference: float | None
    reference: str
    alarms: int
    first_alarm_day: int | None


@dataclass(frozen=True, slots=True, eq=False)
class _Bid:
    """Quantiles (n + 1, T, Q) and latest known values (n + 1, T) of a day's hours, as of its gate [kW]."""

    quantiles_kw: FloatArray
    latest_kw: FloatArray


class ForecastBook:
    """Scores the day-ahead forecasts of one series, of n homes and their sum.

    Parameters
    ----------
    series : str
        ``load`` or ``sun``.
    forecaster : str
        Name of the forecaster.
    levels : tuple of float, length Q
        Its quantile levels.
    homes : int
        Number of homes n.
    reference_kw : ndarray, shape (n + 1,), optional
        Mean absolute errors that the model's card states, NaN where it does not [kW]; without a card, those of the
        first weeks of the run are taken.
    """

    def __init__(
        self, series: str, forecaster: str, levels: tuple[float, ...], *, homes: int, reference_kw: FloatArray | None
    ) -> None:
        self._series, self._forecaster, self._levels = series, forecaster, levels
        self._homes, self._reference_kw = homes, reference_kw
        self._bids: dict[int, _Bid] = {}
        self._days = 0
        self._sums = np.zeros((len(_SUMS), homes + 1))
        self._drift = DriftMonitor(homes + 1, reference_error=reference_kw)

    def enter(self, day: int, quantiles_kw: FloatArray, latest_kw: FloatArray, *, first_lead: int, hours: int) -> None:
        """Take down what was foreseen of a day at its gate.

        Parameters
        ----------
        day : int
            Number of the day.
        quantiles_kw : ndarray, shape (n + 1, H, Q)
            The forecast; beyond its horizon the same hours of the day before hold [kW].
        latest_kw : ndarray, shape (n + 1, 24)
            What was metered in the 24 hours before the gate [kW].
        first_lead, hours : int
            Hours from the gate to the day, and of the day.
        """
        leads = np.arange(first_lead, first_lead + hours)
        known = quantiles_kw[:, repeated(leads, quantiles_kw.shape[1], 24)]
        self._bids[day] = _Bid(known, latest_kw[:, leads % 24])

    def close(self, day: int, outcome_kw: FloatArray, counted: BoolArray) -> None:
        """Score a day that is over.

        Parameters
        ----------
        day : int
            Number of the day; one that was not entered is passed over.
        outcome_kw : ndarray, shape (n + 1, T)
            What was metered in its hours [kW].
        counted : ndarray of bool, shape (T,)
            Hours whose coverage counts.
        """
        bid = self._bids.pop(day, None)
        if bid is None:
            return
        levels = np.array(self._levels)
        low, median, high = (quantile_at(bid.quantiles_kw, levels, level) for level in (_LOW, 0.5, _HIGH))
        inside = (outcome_kw >= low) & (outcome_kw <= high) & counted
        summed = {
            "error": np.abs(median - outcome_kw),
            "bias": median - outcome_kw,
            "latest": np.abs(bid.latest_kw - outcome_kw),
            "hours": np.ones_like(outcome_kw),
            "inside": inside,
            "counted": np.broadcast_to(counted, outcome_kw.shape),
            "loss": _quantile_loss(outcome_kw, bid.quantiles_kw, levels),
            "energy": np.abs(outcome_kw),
        }
        self._sums += np.stack([summed[name].sum(axis=1) for name in _SUMS])
        self._drift.add_day(outcome_kw, median, low, high)
        self._days += 1

    def records(self) -> list[ForecastRecord]:
        """Return how the forecasts did so far, of the homes and of the fleet."""
        drift = self._drift.state()
        homes, fleet = slice(0, self._homes), slice(self._homes, self._homes + 1)
        return [self._record("homes", homes, drift), self._record("fleet", fleet, drift)] if self._days else []

    def _record(self, scope: str, rows: slice, drift: Drift) -> ForecastRecord:
        total = dict(zip(_SUMS, self._sums[:, rows].sum(axis=1).tolist(), strict=True))
        scaled, alarms = drift.scaled_error[rows], drift.first_alarm_day[rows]
        raised = alarms[alarms >= 0]
        return ForecastRecord(
            series=self._series,
            scope=scope,
            forecaster=self._forecaster,
            days=self._days,
            mae_kw=round(total["error"] / total["hours"], 9),
            bias_kw=round(total["bias"] / total["hours"], 9),
            persistence_mae_kw=round(total["latest"] / total["hours"], 9),
            ratio_to_persistence=_ratio(total["error"], total["latest"]),
            wql=_ratio(total["loss"], total["energy"]),
            coverage_80=_ratio(total["inside"], total["counted"]),
            error_to_reference=_median(scaled),
            reference=self._reference(rows),
            alarms=len(raised),
            first_alarm_day=int(raised.min()) if raised.size else None,
        )

    def _reference(self, rows: slice) -> str:
        """Return where the error comes from that drift is measured against."""
        if self._reference_kw is None:
            return f"first {DriftSettings().reference_days} days"
        known = np.isfinite(self._reference_kw[rows])
        return "model card" + ("" if known.all() else f", for {known.sum()} of {known.size}") if known.any() else "none"


def _quantile_loss(outcome: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """Return twice the pinball loss of each outcome, averaged over the levels."""
    error = outcome[..., None] - quantiles
    loss: FloatArray = 2.0 * np.maximum(levels * error, (levels - 1.0) * error).mean(axis=-1)
    return loss


def _ratio(above: float, below: float) -> float | None:
    return round(above / below, 9) if below > 0 else None


def _median(values: FloatArray) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), 9) if known.size else None
