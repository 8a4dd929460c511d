"""Change the future and see the past stay as it was: nothing that a run decides may know what comes later.

What was forecast of the weather is data with an issue time. The forecasts are made of the observation with errors
added, so other observations would change them from long before; the change therefore holds them fixed as they were
issued, and puts nonsense in the place of those that became known later.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from vpp_sim.agents.fleet import Fleet
from vpp_sim.agents.inputs import Inputs

NOON, MIDNIGHT = 12, 24
NONSENSE = 45.0  # as a temperature [degC] and as an irradiance [W/m2]: far off, and no error
FORECASTS = [f"{series}_p{level:02d}_kw" for series in ("load", "sun") for level in (5, 10, 25, 50, 75, 90, 95)]


def with_other_homes_from(step: int) -> Callable[[Inputs], Inputs]:
    def change(inputs: Inputs) -> Inputs:
        fleet, rows = inputs.fleet, slice(inputs.fleet.row(step), None)
        load_kw, pv_kw, weather = fleet.load_kw.copy(), fleet.pv_kw.copy(), fleet.weather.copy()
        load_kw[rows] = load_kw[rows] * 3 + 1
        pv_kw[rows] = pv_kw[rows] / 2
        weather[rows] += 5
        return replace(
            inputs,
            fleet=replace(fleet, load_kw=load_kw, pv_kw=pv_kw, weather=weather),
            weather_forecast=inputs.weather_forecast.poisoned_after(fleet.row(step) - 1, NONSENSE),
        )

    return change


def with_other_prices_from(step: int) -> Callable[[Inputs], Inputs]:
    def change(inputs: Inputs) -> Inputs:
        price = inputs.wholesale_eur_per_kwh.copy()
        price[step + 24 :] = price[step + 24 :][::-1] * 4 - 0.1
        return replace(inputs, wholesale_eur_per_kwh=price)

    return change


def frames(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("leaks")
    scenario = light_scenario(
        clock__days=2,
        forecasting__demand__kind="lstm",
        forecasting__solar__kind="transformer",
        forecasting__calibration="conformal",
        ess__kind="ppo",
    )
    changes = {
        "as it was": lambda inputs: inputs,
        "other homes": with_other_homes_from(MIDNIGHT),
        "other prices": with_other_prices_from(MIDNIGHT),
    }
    for name, change in changes.items():
        simulate_in(folder / name, scenario, change)
    return {name: folder / name for name in changes}


@pytest.mark.parametrize("table", ["timeseries", "prosumers", "trades", "ledger", "forecasts"])
def test_the_first_day_knows_nothing_of_the_second_days_homes(runs: dict[str, Path], table: str) -> None:
    before, after = (frames(runs[name], table) for name in ("as it was", "other homes"))
    first = [frame[frame["step"] < MIDNIGHT].reset_index(drop=True) for frame in (before, after)]
    pd.testing.assert_frame_equal(*first, check_exact=True)
    assert not before.equals(after)


def test_bids_and_prices_for_the_second_day_were_made_on_the_first(runs: dict[str, Path]) -> None:
    before, after = (frames(runs[name], "timeseries") for name in ("as it was", "other homes"))
    for column in ("position_kwh", "forecast_net_p50_kw", "buy_eur_per_kwh"):
        np.testing.assert_array_equal(before[column], after[column])
    before, after = (frames(runs[name], "forecasts") for name in ("as it was", "other homes"))
    pd.testing.assert_frame_equal(before[FORECASTS], after[FORECASTS], check_exact=True)


def peeking(fleet: Fleet, series: np.ndarray, step: int, hours: int, steps_per_hour: int) -> np.ndarray:
    """Stand for :meth:`Fleet.hourly_before` with a planted leak: its windows end 14 hours late."""
    end = fleet.row(step) + 14 * steps_per_hour
    past = series[end - hours * steps_per_hour : end]
    return past.reshape(hours, steps_per_hour, *series.shape[1:]).mean(axis=1)


def test_a_planted_leak_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bids of noon see the first two hours of the next day."""
    monkeypatch.setattr(Fleet, "hourly_before", peeking)
    changes = {"as it was": lambda inputs: inputs, "other homes": with_other_homes_from(MIDNIGHT)}
    for name, change in changes.items():
        simulate_in(tmp_path / name, light_scenario(clock__days=2, forecasting__demand__kind="persistence"), change)
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        test_bids_and_prices_for_the_second_day_were_made_on_the_first({name: tmp_path / name for name in changes})


def test_bids_do_not_know_the_prices_they_meet(runs: dict[str, Path]) -> None:
    before, after = (frames(runs[name], "timeseries") for name in ("as it was", "other prices"))
    np.testing.assert_array_equal(before["position_kwh"], after["position_kwh"])
    assert not before["day_ahead_eur_per_kwh"].equals(after["day_ahead_eur_per_kwh"])


def test_auction_prices_are_unknown_until_an_hour_after_the_gate(runs: dict[str, Path]) -> None:
    before, after = (frames(runs[name], "prosumers") for name in ("as it was", "other prices"))
    early = before["step"] <= NOON
    pd.testing.assert_frame_equal(before[early], after[early], check_exact=True)
