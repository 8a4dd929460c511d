"""The forecasting desk: what it feeds its models, and the fleet as a series of its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents.fleet import Fleet
from vpp_sim.agents.forecaster import ForecastDesk, ForecastSource
from vpp_sim.agents.inputs import Inputs, load_inputs, open_models
from vpp_sim.errors import SimulationError
from vpp_sim.forecasting.calibration import QuantileCalibrator
from vpp_sim.forecasting.protocol import ForecastInputs, Task
from vpp_sim.kernel.world import World

PER_HOUR, NOON_BEFORE = 4, -48


class Echo:
    """Repeats the last hour, give or take a tenth."""

    needs_truth = False

    def __init__(self, **task: object) -> None:
        self.task = Task(**{"target": "load", "levels": (0.1, 0.5, 0.9), **task})  # type: ignore[arg-type]
        self.seen: list[ForecastInputs] = []

    def predict(self, inputs: ForecastInputs) -> np.ndarray:
        self.seen.append(inputs)
        last = np.repeat(inputs.history[:, -1:, None], self.task.horizon_steps, axis=1)
        return last * np.array([0.9, 1.0, 1.1])


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return load_inputs(light_scenario(clock__step="15min", clock__days=2))


def desk(
    inputs: Inputs, fleet: Fleet | None = None, *, demand: Echo | None = None, calibrated: bool = False
) -> tuple[ForecastDesk, Echo, Echo]:
    demand, solar = demand or Echo(), Echo(target="pv")
    made = ForecastDesk(
        World(),
        inputs.clock,
        fleet or inputs.fleet,
        demand=ForecastSource("echo", demand),
        solar=ForecastSource("echo", solar),
        weather_forecast=inputs.weather_forecast,
        every_s=3600,
        gates={NOON_BEFORE: 0, 48: 1},
        calibrated=calibrated,
    )
    return made, demand, solar


def hourly(fleet: Fleet, series: np.ndarray, step: int, hours: int) -> np.ndarray:
    """Return hourly means of the hours from `step` on."""
    first = fleet.row(step)
    return np.array([series[first + 4 * h : first + 4 * h + 4].mean(axis=0) for h in range(hours)])


def test_models_see_hourly_means_that_end_before_the_issue(inputs: Inputs) -> None:
    made, demand, _ = desk(inputs)
    made.issue(40)  # 10:00 of the first day, in quarters of an hour
    fleet = inputs.fleet
    last_hour = fleet.load_kw[fleet.row(36) : fleet.row(40)].mean(axis=0)
    seen = demand.seen[-1]
    np.testing.assert_allclose(seen.history[:-1, -1], last_hour, rtol=1e-12)
    assert seen.hour[168] == 10.0  # the first hour of the horizon is that of the issue
    assert seen.history.shape == (5, 168)
    assert seen.truth is None


def test_weather_is_observed_before_the_issue_and_forecast_beyond_it(inputs: Inputs) -> None:
    made, demand, solar = desk(inputs)
    made.issue(40)
    fleet, seen = inputs.fleet, demand.seen[-1].covariates
    assert seen.shape == (168 + 36, 2)
    np.testing.assert_allclose(seen[:168], hourly(fleet, fleet.weather, 40 - 168 * 4, 168), rtol=1e-12)
    hour = fleet.row(40) // PER_HOUR
    np.testing.assert_array_equal(seen[168:], inputs.weather_forecast.known_at(hour, 36))
    error = seen[168:] - hourly(fleet, fleet.weather, 40, 36)
    assert 0.3 < error[:, 0].std() < 4.0  # degC: an error model, neither the observation nor nonsense
    assert (seen[168:][error[:, 1] == 0.0, 1] == 0.0).mean() > 0.9  # only nights are known for certain
    np.testing.assert_array_equal(solar.seen[-1].covariates, seen)


def test_covariates_are_those_that_the_model_asks_for(inputs: Inputs) -> None:
    made, demand, _ = desk(inputs, demand=Echo(covariates=("ghi_w_m2",)))
    made.issue(40)
    fleet = inputs.fleet
    np.testing.assert_allclose(demand.seen[-1].covariates[167, 0], hourly(fleet, fleet.weather, 36, 1)[0, 1])


def test_a_bound_is_told_the_truth_and_what_is_beyond_the_data_is_counted(inputs: Inputs) -> None:
    demand = Echo()
    demand.needs_truth = True
    made, _, solar = desk(inputs, demand=demand)
    made.issue(40)
    fleet, truth = inputs.fleet, demand.seen[-1].truth
    assert truth is not None
    np.testing.assert_allclose(truth[:-1].T, hourly(fleet, fleet.load_kw, 40, 36), rtol=1e-12)
    np.testing.assert_allclose(truth[-1], truth[:-1].sum(axis=0), rtol=1e-12)
    assert solar.seen[-1].truth is None
    assert made.counts == {}
    short = replace(fleet, load_kw=fleet.load_kw[: fleet.row(40 + 4 * 30)])
    made, _, _ = desk(inputs, short, demand=demand)
    made.issue(40)
    told = demand.seen[-1].truth
    assert told is not None
    np.testing.assert_allclose(told[:, :30], truth[:, :30], rtol=1e-12)
    np.testing.assert_allclose(told[:, 30:], truth[:, 6:12], rtol=1e-12)
    assert list(made.counts.values()) == [6]


def test_the_fleet_is_one_more_series(inputs: Inputs) -> None:
    made, demand, solar = desk(inputs)
    forecast = made.issue(48)
    np.testing.assert_allclose(demand.seen[-1].history[-1], demand.seen[-1].history[:-1].sum(axis=0), rtol=1e-12)
    fleet = inputs.fleet
    sun_kw = fleet.pv_kw[fleet.row(44) : fleet.row(48)].mean(axis=0)
    assert sun_kw.sum() > 0
    np.testing.assert_allclose(solar.seen[-1].history[-1, -1], sun_kw.sum() / fleet.pv_kwp.sum(), rtol=1e-12)
    np.testing.assert_allclose(forecast.fleet_solar_kw[:, 1], sun_kw.sum(), rtol=1e-12)
    assert forecast.net_kw.shape == (4, 144)


def test_a_home_without_pv_is_forecast_no_sun(inputs: Inputs) -> None:
    fleet, none = inputs.fleet, np.array([0.0, 1.0, 1.0, 1.0])
    made, _, solar = desk(inputs, replace(fleet, pv_kwp=fleet.pv_kwp * none, pv_kw=fleet.pv_kw * none))
    forecast = made.issue(48)
    assert (solar.seen[-1].history[0] == 0).all()
    np.testing.assert_allclose(forecast.net_kw[0], fleet.load_kw[fleet.row(44) : fleet.row(48), 0].mean(), rtol=1e-12)


def test_calibration_learns_each_hour_once_it_is_metered_and_never_before(inputs: Inputs) -> None:
    """The same forecasts through a calibrator of its own, told what was metered up to each issue."""
    made, _, _ = desk(inputs, calibrated=True)
    fleet, alone = inputs.fleet, QuantileCalibrator((0.1, 0.5, 0.9), series=5, horizon_steps=36, non_negative=True)

    def with_fleet(values: np.ndarray) -> np.ndarray:
        return np.column_stack([values, values.sum(axis=1)]).T

    before = NOON_BEFORE
    for step in (NOON_BEFORE, 0, 4, 8, 48):
        past = with_fleet(hourly(fleet, fleet.load_kw, before, (step - before) // 4)) if step > before else None
        if past is not None:
            alone.update(past)
        last = with_fleet(hourly(fleet, fleet.load_kw, step - 4, 1))
        expected = alone.apply(np.repeat(last[:, :, None], 36, axis=1) * np.array([0.9, 1.0, 1.1]))
        if step > NOON_BEFORE:  # the first was issued as the desk was made
            np.testing.assert_allclose(made.issue(step).fleet_demand_kw, expected[-1].repeat(4, axis=0), rtol=1e-12)
        before = step
    assert not np.allclose(expected[-1, :, 2], 1.1 * last[-1])


def test_the_book_scores_what_was_bid_on(inputs: Inputs) -> None:
    """The first day as foreseen at noon before: the last hour before noon, all day long."""
    made, _, _ = desk(inputs)
    made.issue(48)
    rows = {(row.series, row.scope): row for row in made.records()}
    fleet = inputs.fleet
    said = [hourly(fleet, fleet.load_kw, gate - 4, 1)[0] for gate in (NOON_BEFORE, 48)]
    came = [hourly(fleet, fleet.load_kw, start, 24) for start in (0, 96)]
    error = np.concatenate([day - guess for day, guess in zip(came, said, strict=True)])
    homes = rows["load", "homes"]
    assert (homes.days, homes.forecaster, homes.alarms) == (2, "echo", 0)
    assert homes.mae_kw == pytest.approx(np.abs(error).mean(), abs=1e-8)
    assert homes.bias_kw == pytest.approx(-error.mean(), abs=1e-8)
    assert rows["load", "fleet"].mae_kw == pytest.approx(np.abs(error.sum(axis=1)).mean(), abs=1e-8)
    inside = np.concatenate([np.abs(day / guess - 1) <= 0.1 for day, guess in zip(came, said, strict=True)])
    assert homes.coverage_80 == pytest.approx(inside.mean(), abs=1e-8)


@pytest.mark.parametrize("role", ["demand", "solar"])
def test_persistence_is_as_good_as_the_values_of_yesterday(role: str) -> None:
    scenario = light_scenario(forecasting__demand__kind="persistence")
    found, models = load_inputs(scenario), open_models(scenario)
    made = ForecastDesk(
        World(),
        found.clock,
        found.fleet,
        demand=ForecastSource("persistence", models.demand),
        solar=ForecastSource("persistence", models.solar),
        weather_forecast=found.weather_forecast,
        every_s=3600,
        gates={-12: 0},
    )
    rows = [row for row in made.records() if row.series == {"demand": "load", "solar": "sun"}[role]]
    assert [row.ratio_to_persistence for row in rows] == [1.0, 1.0]
    assert rows[0].mae_kw > 0


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"step_s": 900}, "must work on hourly steps"),
        ({"context_steps": 200}, "fit the history that is loaded"),
        ({"horizon_steps": 49}, "same quantile levels and horizon"),
        ({"levels": (0.2, 0.5, 0.8)}, "same quantile levels and horizon"),
        ({"covariates": ("wind_m_s",)}, "wants wind_m_s; of the coming hours, temperature_c, ghi_w_m2 are forecast"),
    ],
)
def test_models_that_do_not_fit_are_refused(inputs: Inputs, task: dict[str, object], message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        desk(inputs, demand=Echo(**task))


def test_models_see_what_meters_showed_and_not_what_homes_would_have_drawn(inputs: Inputs) -> None:
    """In the third hour every home draws 0.5 kW more than its base load in two of the four quarters."""
    clock, fleet = inputs.clock, inputs.fleet
    made, demand, _ = desk(inputs)
    for step in range(8, 12):
        answer_kw = 0.5 if step % 2 else 0.0
        made._load.read_meters(step, fleet.load_kw[fleet.row(step)] + answer_kw)
    made.issue(12)
    base = hourly(fleet, fleet.load_kw, 12 - 4 * 168, 168).T
    difference = demand.seen[-1].history[:-1] - base
    np.testing.assert_allclose(difference[:, -1], 0.25, atol=1e-12)
    np.testing.assert_allclose(difference[:, :-1], 0.0, atol=1e-12)
    assert clock.steps_per_hour == 4


def test_what_homes_answer_is_in_tomorrows_forecast(tmp_path: Path) -> None:
    """Persistence repeats the day before: with prices that differ by the hour, what homes moved is in it."""
    issued = {}
    for name, elasticity in (("still", 0.0), ("moving", -0.6)):
        options = {"demand_response__kind": "self_dr", "demand_response__flexible_share": 0.5}
        scenario = light_scenario(
            clock__days=3, forecasting__demand__kind="persistence", demand_response__elasticity=elasticity, **options
        )
        (tmp_path / name).mkdir()
        simulate_in(tmp_path / name, scenario)
        issued[name] = pd.read_parquet(tmp_path / name / "timeseries.parquet")
    moved = issued["moving"]["load_kw"] - issued["still"]["load_kw"]
    assert moved[:24].abs().max() > 0.2
    foreseen = issued["moving"]["forecast_net_p50_kw"] - issued["still"]["forecast_net_p50_kw"]
    assert foreseen[:24].abs().max() == 0
    assert foreseen[48:].abs().max() > 0.2
