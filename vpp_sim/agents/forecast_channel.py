"""One series that is forecast, load or sun: what its model is shown, and the quantiles that come of it."""

from __future__ import annotations

import numpy as np

from vpp_sim.agents.fleet import HISTORY_H, LOOK_AHEAD_H, Fleet
from vpp_sim.arrays import FloatArray
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import WEATHER_NAMES
from vpp_sim.errors import DataError, SimulationError
from vpp_sim.forecasting.calibration import QuantileCalibrator
from vpp_sim.forecasting.protocol import Forecaster, ForecastInputs
from vpp_sim.kernel.clock import Clock
from vpp_sim.units import SECONDS_PER_HOUR

__all__ = ["ForecastChannel"]

_NO_PV_KWP = 1e-9
"""Stands for the nameplate power of a home without PV, whose solar power is zero in any unit."""


class ForecastChannel:
    """Forecasts one series of every home and, as one series more, of the fleet; all in one batch.

    The model is shown hourly means that end before the issue, the local calendar, and the weather: observed before the
    issue, as it was forecast then beyond it. A model that `needs_truth` is told what will happen.

    Parameters
    ----------
    clock, fleet
        Where it forecasts.
    model : Forecaster
        Hourly model of the series, in multiples of `unit_kw`.
    series_kw : ndarray, shape (R, n)
        The series before homes answer prices, by the fleet's rows [kW]; see :meth:`read_meters`.
    unit_kw : ndarray, shape (n,)
        What the model counts each home in: a solar array's nameplate power [kW].
    fleet_unit_kw : float
        The same for the fleet [kW].
    weather_forecast : IssuedForecasts
        Forecasts of the weather by the hour, hour 0 being the first of the fleet's rows.
    calibrated : bool
        Whether quantiles are calibrated online, with the readings of the hours before each issue.

    Raises
    ------
    SimulationError
        If the model is not hourly, looks further back or ahead than data is loaded, or wants other covariates.
    """

    def __init__(
        self,
        clock: Clock,
        fleet: Fleet,
        *,
        model: Forecaster,
        series_kw: FloatArray,
        unit_kw: FloatArray,
        fleet_unit_kw: float,
        weather_forecast: IssuedForecasts,
        calibrated: bool,
    ) -> None:
        task = model.task
        if task.step_s != SECONDS_PER_HOUR or task.context_steps + 25 > HISTORY_H or task.horizon_steps > LOOK_AHEAD_H:
            raise SimulationError(
                "forecasters must work on hourly steps and fit the history that is loaded, and the look ahead"
            )
        if not set(task.covariates) <= set(WEATHER_NAMES):
            raise SimulationError(
                f"a forecaster wants {', '.join(task.covariates)}; of the coming hours, {', '.join(WEATHER_NAMES)} are "
                "forecast"
            )
        self._clock, self._fleet, self._model, self._series_kw = clock, fleet, model, series_kw
        self._unit_kw = np.maximum(np.append(unit_kw, fleet_unit_kw), _NO_PV_KWP)
        hours = HISTORY_H + clock.n_steps // clock.steps_per_hour + LOOK_AHEAD_H
        self._calendar = Clock(clock.start, SECONDS_PER_HOUR, 0).local_time(-HISTORY_H, hours)
        self._columns = [WEATHER_NAMES.index(name) for name in task.covariates]
        self._weather_forecast = weather_forecast.select(WEATHER_NAMES)
        self._calibrator = (
            QuantileCalibrator(
                task.levels, series=len(fleet) + 1, horizon_steps=task.horizon_steps, non_negative=task.non_negative
            )
            if calibrated
            else None
        )
        self._calibrated_to: int | None = None
        self._answer_kw = np.zeros((HISTORY_H * clock.steps_per_hour, len(fleet)))
        self.told_beyond_h = 0
        """Hours beyond the end of the data that a bound was told as those of the day before."""

    def issue(self, step: int) -> FloatArray:
        """Return quantiles of each home and, last, of the fleet, as `step` begins, shape (n + 1, H, Q) [kW].

        Nothing from `step` on is read, unless the model needs the truth. Steps may not go back.
        """
        quantiles_kw: FloatArray = self._model.predict(self._inputs(step)) * self._unit_kw[:, None, None]
        return quantiles_kw if self._calibrator is None else self._calibrated(self._calibrator, quantiles_kw, step)

    def read_meters(self, step: int, metered_kw: FloatArray) -> None:
        """Take down what meters showed in `step`, shape (n,) [kW]; steps not read are as the series has them.

        What homes would have drawn at other prices no meter shows: it stays in the series, and models do not see it.
        """
        self._answer_kw[step % len(self._answer_kw)] = metered_kw - self._series_kw[self._fleet.row(step)]

    def metered_kw(self, step: int, hours: int) -> FloatArray:
        """Return what homes and fleet came to in the hours that end where `step` begins, shape (n + 1, hours) [kW].

        At most as many hours as :data:`HISTORY_H`.
        """
        per_hour = self._clock.steps_per_hour
        series_kw = self._fleet.hourly_before(self._series_kw, step, hours, per_hour)
        answer_kw = self._answer_kw[np.arange(step - hours * per_hour, step) % len(self._answer_kw)]
        metered_kw = series_kw + answer_kw.reshape(hours, per_hour, -1).mean(axis=1)
        return _with_fleet(np.maximum(metered_kw, 0.0))  # the two means may round to a sum below zero

    def _inputs(self, step: int) -> ForecastInputs:
        task, per_hour, fleet = self._model.task, self._clock.steps_per_hour, self._fleet
        past, ahead = task.context_steps, task.horizon_steps
        now = fleet.row(step) // per_hour
        hours = slice(now - past, now + ahead)
        observed = fleet.hourly_before(fleet.weather, step, past, per_hour)
        foreseen = self._foreseen(step, ahead)
        return ForecastInputs(
            history=self.metered_kw(step, past) / self._unit_kw[:, None],
            covariates=np.concatenate([observed, foreseen])[:, self._columns],
            hour=self._calendar.hour[hours],
            day_of_week=self._calendar.day_of_week[hours],
            day_of_year=self._calendar.day_of_year[hours],
            truth=self._truth(step) if self._model.needs_truth else None,
        )

    def _foreseen(self, step: int, hours: int) -> FloatArray:
        try:
            return self._weather_forecast.known_at(self._fleet.row(step) // self._clock.steps_per_hour, hours)
        except DataError as error:
            at = self._clock.stamps(step, 1)[0].isoformat()
            raise DataError(
                f"the weather forecasts do not serve a forecast issued at {at}, by the hour: {error}"
            ) from error

    def _truth(self, step: int) -> FloatArray:
        hours, per_hour = self._model.task.horizon_steps, self._clock.steps_per_hour
        self.told_beyond_h += self._fleet.steps_beyond(step, hours * per_hour) // per_hour
        truth_kw = _with_fleet(self._fleet.hourly_after(self._series_kw, step, hours, per_hour))
        truth: FloatArray = truth_kw / self._unit_kw[:, None]
        return truth

    def _calibrated(self, calibrator: QuantileCalibrator, quantiles_kw: FloatArray, step: int) -> FloatArray:
        if self._calibrated_to is not None and step > self._calibrated_to:
            hours = (step - self._calibrated_to) // self._clock.steps_per_hour
            calibrator.update(self.metered_kw(step, hours))
        self._calibrated_to = step
        return calibrator.apply(quantiles_kw)


def _with_fleet(homes_kw: FloatArray) -> FloatArray:
    """Return hours (T, n) as series (n + 1, T), the last being their sum."""
    series: FloatArray = np.column_stack([homes_kw, homes_kw.sum(axis=1)]).T
    return series
