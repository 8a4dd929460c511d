"""The forecasting desk: what it feeds its models, and the fleet as a series of its own."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.scenarios import light_scenario
from vpp_sim.agents.fleet import Fleet
from vpp_sim.agents.forecaster import ForecastDesk
from vpp_sim.agents.inputs import Inputs, load_inputs
from vpp_sim.errors import SimulationError
from vpp_sim.forecasting.protocol import ForecastInputs
from vpp_sim.kernel.world import World


class Echo:
    """Repeats the last hour; every quantile is the same."""

    context_steps, horizon_steps, levels, step_s = 168, 36, (0.1, 0.5, 0.9), 3600

    def __init__(self) -> None:
        self.seen: list[ForecastInputs] = []

    def predict(self, inputs: ForecastInputs) -> np.ndarray:
        self.seen.append(inputs)
        return np.repeat(np.repeat(inputs.history_kw[:, -1:, None], 36, axis=1), 3, axis=2)


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return load_inputs(light_scenario(clock__step="15min"))


def desk(inputs: Inputs, fleet: Fleet | None = None) -> tuple[ForecastDesk, Echo, Echo]:
    demand, solar = Echo(), Echo()
    made = ForecastDesk(
        World(),
        inputs.clock,
        fleet or inputs.fleet,
        demand=demand,
        solar=solar,
        every_s=3600,
        gate_steps=frozenset({-48}),
    )
    return made, demand, solar


def test_models_see_hourly_means_that_end_before_the_issue(inputs: Inputs) -> None:
    made, demand, _ = desk(inputs)
    made.issue(40)  # 10:00 of the first day, in quarters of an hour
    fleet = inputs.fleet
    last_hour = fleet.load_kw[fleet.row(36) : fleet.row(40)].mean(axis=0)
    seen = demand.seen[-1]
    np.testing.assert_allclose(seen.history_kw[:-1, -1], last_hour, rtol=1e-12)
    assert seen.hour[168] == 10.0  # the first hour of the horizon is that of the issue
    assert seen.history_kw.shape == (5, 168)


def test_the_fleet_is_one_more_series(inputs: Inputs) -> None:
    made, demand, solar = desk(inputs)
    forecast = made.issue(48)
    np.testing.assert_allclose(demand.seen[-1].history_kw[-1], demand.seen[-1].history_kw[:-1].sum(axis=0), rtol=1e-12)
    fleet = inputs.fleet
    sun_kw = fleet.pv_kw[fleet.row(44) : fleet.row(48)].mean(axis=0)
    assert sun_kw.sum() > 0
    np.testing.assert_allclose(solar.seen[-1].history_kw[-1, -1], sun_kw.sum() / fleet.pv_kwp.sum(), rtol=1e-12)
    np.testing.assert_allclose(forecast.fleet_solar_kw, sun_kw.sum(), rtol=1e-12)
    assert forecast.net_kw.shape == (4, 144)


def test_a_home_without_pv_is_forecast_no_sun(inputs: Inputs) -> None:
    fleet, none = inputs.fleet, np.array([0.0, 1.0, 1.0, 1.0])
    made, _, solar = desk(inputs, replace(fleet, pv_kwp=fleet.pv_kwp * none, pv_kw=fleet.pv_kw * none))
    forecast = made.issue(48)
    assert (solar.seen[-1].history_kw[0] == 0).all()
    np.testing.assert_allclose(forecast.net_kw[0], fleet.load_kw[fleet.row(44) : fleet.row(48), 0].mean(), rtol=1e-12)


def test_models_on_other_steps_are_refused(inputs: Inputs) -> None:
    class Quarter(Echo):
        step_s = 900

    with pytest.raises(SimulationError, match="must work on hourly steps"):
        ForecastDesk(
            World(),
            inputs.clock,
            inputs.fleet,
            demand=Quarter(),
            solar=Echo(),
            every_s=3600,
            gate_steps=frozenset({-48}),
        )
