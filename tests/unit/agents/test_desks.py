"""Bids and prices: when they are made, from what, and what becomes of days with a change of clocks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents.bidder import gate_steps
from vpp_sim.agents.inputs import Inputs, load_inputs
from vpp_sim.agents.planning import fleet_quantiles_kw
from vpp_sim.errors import DataError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import Forecast


def forecast(**changes: object) -> Forecast:
    hours = 36
    values: dict[str, object] = {
        "issue_step": -12,
        "steps_per_day": 24,
        "levels": (0.1, 0.5, 0.9),
        "load_kw": np.arange(hours, dtype=float)[None, :],
        "net_kw": np.arange(hours, dtype=float)[None, :],
        "fleet_demand_kw": np.tile([8.0, 10.0, 13.0], (hours, 1)),
        "fleet_solar_kw": np.tile([1.0, 5.0, 6.0], (hours, 1)),
    }
    return Forecast(**values | changes)  # type: ignore[arg-type]


def test_gates_close_at_noon_of_the_day_before() -> None:
    clock = Clock.of_days("2017-03-11", days=3, step_s=3600, timezone="America/Los_Angeles")
    # 12 March has 23 hours: noon of that day is step 24 + 11
    assert gate_steps(clock, "12:00") == [-12, 12, 35]


def test_beyond_the_horizon_the_day_before_is_repeated() -> None:
    """36 hours from step -12 reach step 23; step 24 is foreseen as step 0 was."""
    seen = forecast().median_net_kw(20, 8)
    assert seen[0].tolist() == [32, 33, 34, 35, 12, 13, 14, 15]


def test_a_slice_of_a_forecast_is_a_copy() -> None:
    known = forecast()
    known.median_net_kw(0, 3)[:] = -1
    assert known.net_kw.min() == 0


def test_load_and_sun_err_independently() -> None:
    """Below the median: load 2 under, sun 1 over, together sqrt(5); above: 3 over, sun 4 under, together 5."""
    quantiles = fleet_quantiles_kw(forecast(), 0, 2)
    np.testing.assert_allclose(quantiles, np.tile([5 - np.sqrt(5), 5, 10], (2, 1)))


def test_prices_of_a_day_are_charged_on_that_day_whatever_its_length(tmp_path: Path) -> None:
    """Over the day of 23 hours: retail prices follow the default tariff hour by hour, and deferral is made good."""
    scenario = light_scenario(clock__start="2017-03-11", clock__days=3, pricing__retail__kind="default")
    simulate_in(tmp_path, scenario)
    table = pd.read_parquet(tmp_path / "timeseries.parquet")
    assert len(table) == 71
    np.testing.assert_array_equal(table["buy_eur_per_kwh"], table["default_eur_per_kwh"])
    hours = table["time"].dt.tz_convert("America/Los_Angeles").dt.hour
    assert table.loc[hours.between(16, 20), "buy_eur_per_kwh"].min() > table.loc[hours < 16, "buy_eur_per_kwh"].max()
    assert not table["position_kwh"].isna().any()
    moved = (table["load_kw"] - table["base_load_kw"]).groupby(
        table["time"].dt.tz_convert("America/Los_Angeles").dt.date
    )
    np.testing.assert_allclose(moved.sum(), 0, atol=1e-9)
    assert moved.apply(lambda day: day.abs().sum()).min() > 0.1


@pytest.fixture(scope="module")
def hourly_and_quarterly(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("steps")
    for step in ("1h", "15min"):
        # scenarios of a finer day would be others
        bids = {"pricing__wholesale__kind": "newsvendor"}
        plain = light_scenario(clock__step=step, demand_response__kind="none", ess__kind="idle", **bids)
        simulate_in(folder / step, plain)
    return tuple(pd.read_parquet(folder / step / "timeseries.parquet") for step in ("1h", "15min"))  # type: ignore[return-value]


def test_quarters_of_an_hour_carry_the_same_energy_and_bids(
    hourly_and_quarterly: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    """The data is hourly, so nothing but the losses (by rounding of the solver) may differ between steps."""
    hourly, quarterly = hourly_and_quarterly
    assert len(quarterly) == 4 * len(hourly)
    for column in ("net_kw", "pv_kw", "load_kw", "loss_kw"):
        assert quarterly[column].sum() / 4 == pytest.approx(hourly[column].sum(), rel=1e-6)
    for column in ("position_kwh", "imbalance_kwh", "traded_kwh"):
        np.testing.assert_allclose(quarterly[column].to_numpy().reshape(-1, 4).sum(axis=1), hourly[column], atol=1e-6)


def test_an_energy_price_above_the_default_tariff_is_refused() -> None:
    with pytest.raises(DataError, match=r"tariff.energy_eur_per_kwh = 0.3 exceeds the default tariff, whose lowest"):
        load_inputs(light_scenario(tariff__energy_eur_per_kwh=0.3))


def test_levies_are_what_the_default_tariff_leaves() -> None:
    inputs: Inputs = load_inputs(light_scenario(tariff__energy_eur_per_kwh=0.09))
    np.testing.assert_allclose(inputs.levies_eur_per_kwh + 0.09, inputs.default_eur_per_kwh)


def test_a_price_that_cannot_be_set_is_counted_with_its_reason(tmp_path: Path) -> None:
    """A floor of 0.55 EUR/kWh exceeds every bill that the promise allows: both days fall back, and say why."""
    outcome = simulate_in(tmp_path, light_scenario(clock__days=2, pricing__retail__floor_eur_per_kwh=0.55))
    assert outcome.counts["retail price solves that fell back to the default tariff"] == 2
    reasons = {name: count for name, count in outcome.counts.items() if name.startswith("fell back because")}
    assert sum(reasons.values()) == 2
    assert all("promise to home" in name for name in reasons)
