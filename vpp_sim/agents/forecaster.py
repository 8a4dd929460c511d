"""The forecasting desk: load and sun of every home, for the coming day and a half, from what was known at issue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vpp_sim.agents.fleet import Fleet
from vpp_sim.agents.forecast_book import ForecastBook, ForecastRecord
from vpp_sim.agents.forecast_channel import ForecastChannel
from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import WEATHER_NAMES
from vpp_sim.errors import SimulationError
from vpp_sim.forecasting.protocol import Forecaster
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Action
from vpp_sim.kernel.messages import Forecast
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World

__all__ = ["ForecastDesk", "ForecastSource"]


@dataclass(frozen=True, slots=True)
class ForecastSource:
    """A forecaster with its name, and what its card says that its errors should be.

    Attributes
    ----------
    kind : str
        Name of the forecaster.
    model : Forecaster
        The forecaster.
    reference : ndarray, shape (n + 1,), optional
        Mean absolute error of each home and, last, of the fleet, in the unit of the model; NaN where the card has none.
    """

    kind: str
    model: Forecaster
    reference: FloatArray | None = None


class ForecastDesk:
    """Writes the forecast at its cadence, and whenever bids are due; keeps book of those that were bid on.

    Models see hourly means; on a finer clock each hour's forecast holds for its steps. The history ends before the
    step of issue, and the weather beyond it is as it was forecast then.

    Parameters
    ----------
    world, clock, fleet
        Where it acts.
    demand, solar : ForecastSource
        Hourly models of load [kW] and of sun [kW per kWp].
    weather_forecast : IssuedForecasts
        Forecasts of the weather by the hour, hour 0 being the first of the fleet's rows.
    every_s : int
        Cadence [s]; whole hours.
    gates : mapping of int to int
        Steps in which bids are due, and the day that they are for; those below zero are before the start.
    calibrated : bool
        Whether quantiles are calibrated online.
    """

    name = "forecast_desk"

    def __init__(
        self,
        world: World,
        clock: Clock,
        fleet: Fleet,
        *,
        demand: ForecastSource,
        solar: ForecastSource,
        weather_forecast: IssuedForecasts,
        every_s: int,
        gates: Mapping[int, int],
        calibrated: bool = False,
    ) -> None:
        tasks = demand.model.task, solar.model.task
        if tasks[0].levels != tasks[1].levels or tasks[0].horizon_steps != tasks[1].horizon_steps:
            raise SimulationError("forecasters of load and sun must give the same quantile levels and horizon")
        self._world, self._clock, self._fleet, self._levels = world, clock, fleet, tasks[0].levels
        self._every_steps, self._gates = every_s // clock.step_s, gates
        self._next_to_close = 0
        total_kwp = float(fleet.pv_kwp.sum())
        ones = np.ones(len(fleet))
        self._load = ForecastChannel(
            clock,
            fleet,
            model=demand.model,
            series_kw=fleet.load_kw,
            unit_kw=ones,
            fleet_unit_kw=1.0,
            weather_forecast=weather_forecast,
            calibrated=calibrated,
        )
        self._sun = ForecastChannel(
            clock, fleet, model=solar.model, series_kw=fleet.pv_kw, unit_kw=fleet.pv_kwp, fleet_unit_kw=total_kwp,
            weather_forecast=weather_forecast, calibrated=calibrated,
        )  # fmt: skip
        self._load_book = _book("load", demand, np.append(ones, 1.0))
        self._sun_book = _book("sun", solar, np.append(fleet.pv_kwp, total_kwp))
        self._write = world.forecast.claim(self.name)
        self._write.initial(self.issue(max(gate for gate in gates if gate < 0)))

    @property
    def counts(self) -> dict[str, int]:
        """What is counted for the manifest."""
        told = self._load.told_beyond_h + self._sun.told_beyond_h
        return {"hours beyond the data, told to a perfect forecaster as those of the day before": told} if told else {}

    def actions(self) -> Mapping[Phase, Action]:
        """Act in FORECAST."""
        return {Phase.FORECAST: self._forecast}

    def issue(self, step: int) -> Forecast:
        """Return the forecast that is issued as `step` begins; nothing from `step` on is read."""
        per_hour, middle = self._clock.steps_per_hour, self._levels.index(0.5)
        demand_kw, solar_kw = self._load.issue(step), self._sun.issue(step)
        if step in self._gates:
            self._enter(step, demand_kw, solar_kw)
        load_kw = np.repeat(demand_kw[:-1, :, middle], per_hour, axis=1)
        return Forecast(
            issue_step=step,
            steps_per_day=24 * per_hour,
            levels=self._levels,
            load_kw=load_kw,
            net_kw=load_kw - np.repeat(solar_kw[:-1, :, middle], per_hour, axis=1),
            fleet_demand_kw=np.repeat(demand_kw[-1], per_hour, axis=0),
            fleet_solar_kw=np.repeat(solar_kw[-1], per_hour, axis=0),
        )

    def records(self) -> list[ForecastRecord]:
        """Return how the day-ahead forecasts of the whole run did, once it is over."""
        self._read_meters(self._clock.n_steps)
        self._close_days(self._clock.n_steps)
        return [*self._load_book.records(), *self._sun_book.records()]

    def _read_meters(self, step: int) -> None:
        """Take down the load of the step before, after its response to prices."""
        past = self._world.flexible.previous()
        if past is not None:
            self._load.read_meters(step - 1, past.load_kw)

    def _forecast(self, step: int) -> None:
        self._read_meters(step)
        if step % self._every_steps == 0 or step in self._gates:
            self._close_days(step)
            self._write(self.issue(step))

    def _enter(self, gate: int, demand_kw: FloatArray, solar_kw: FloatArray) -> None:
        """Take down the forecast of the day whose gate this is."""
        day, per_hour = self._gates[gate], self._clock.steps_per_hour
        steps = self._clock.day_steps(day)
        when = {"first_lead": (steps.start - gate) // per_hour, "hours": len(steps) // per_hour}
        self._load_book.enter(day, demand_kw, self._load.metered_kw(gate, 24), **when)
        self._sun_book.enter(day, solar_kw, self._sun.metered_kw(gate, 24), **when)

    def _close_days(self, step: int) -> None:
        """Score the days that are over as `step` begins."""
        while self._next_to_close < self._clock.n_days:
            steps = self._clock.day_steps(self._next_to_close)
            if steps.stop > step:
                return
            hours = len(steps) // self._clock.steps_per_hour
            always = np.ones(hours, dtype=np.bool_)
            self._load_book.close(self._next_to_close, self._load.metered_kw(steps.stop, hours), always)
            daylight = self._daylight(steps.stop, hours)
            self._sun_book.close(self._next_to_close, self._sun.metered_kw(steps.stop, hours), daylight)
            self._next_to_close += 1

    def _daylight(self, step: int, hours: int) -> BoolArray:
        """Return which of the hours that end where `step` begins had any sun."""
        weather = self._fleet.hourly_before(self._fleet.weather, step, hours, self._clock.steps_per_hour)
        sunny: BoolArray = weather[:, WEATHER_NAMES.index("ghi_w_m2")] > 0
        return sunny


def _book(series: str, source: ForecastSource, unit_kw: FloatArray) -> ForecastBook:
    reference_kw = None if source.reference is None else source.reference * unit_kw
    return ForecastBook(
        series, source.kind, source.model.task.levels, homes=len(unit_kw) - 1, reference_kw=reference_kw
    )
