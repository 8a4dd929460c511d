"""The retail desk learns from meters what homes do when prices move, and says what moved a price."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.scenarios import light_scenario, simulate_in
from tests.support.worlds import OpenWorld
from vpp_sim.agents.inputs import load_inputs, open_models
from vpp_sim.agents.school import School
from vpp_sim.agents.stage import Stage
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.messages import Flexible, Forecast, Tariff
from vpp_sim.kernel.phases import Phase
from vpp_sim.pricing.elasticity import ElasticityLearner, ElasticityPrior
from vpp_sim.pricing.protocol import RetailOptions, RetailProblem

DAYS, DEFAULT = 60, 0.30
FORESEEN_KW = 10.0 + 3.0 * np.sin(np.arange(24) / 24 * 2 * np.pi)


def attended(elasticity: float, prices: np.ndarray, noise: float = 0.02) -> School:
    """Return a school after days at given prices, whose homes answer with `elasticity`."""
    world, clock = OpenWorld(), Clock.of_days("2017-07-03", days=DAYS, step_s=3600, timezone="UTC")
    rng = np.random.default_rng(5)
    school = School(
        world,
        clock,
        learner=ElasticityLearner(ElasticityPrior(own=-0.05), groups=24, forgetting=1.0),
        options=RetailOptions(),
        exploration=0.0,
        rng=rng,
    )
    problem = RetailProblem(np.ones((1, 24)), np.full(24, 0.05), np.full(24, DEFAULT), 0.1, np.full(24, 0.03))
    for step in range(24 * DAYS):
        day, hour = divmod(step, 24)
        first = max(day - 1, 0) * 24
        shown = prices[first : (day + 1) * 24]
        world.put(step, tariff=Tariff(first, shown, np.full_like(shown, 0.03), np.full_like(shown, DEFAULT), 24))
        if not hour:
            fleet_kw = np.repeat(FORESEEN_KW[:, None], 3, axis=1)
            world.put(step, forecast=Forecast(step, 24, (0.1, 0.5, 0.9), *np.zeros((2, 1, 24)), fleet_kw, 0 * fleet_kw))
        world.enter(step, Phase.PRICE)
        school.attend(step)
        if not hour:
            school.taught(problem, range(step, step + 24))
        answer = max(prices[step] / DEFAULT, 0.5) ** elasticity * np.exp(noise * rng.standard_normal())
        world.put(step, flexible=Flexible(np.array([FORESEEN_KW[hour] * answer])))
    return school


def test_a_planted_elasticity_is_learnt_from_meters() -> None:
    prices = DEFAULT * np.random.default_rng(1).uniform(0.7, 1.3, 24 * DAYS)
    own, own_sd = attended(-0.25, prices).believed
    assert own == pytest.approx(-0.25, abs=4 * own_sd)
    assert own_sd < 0.01


def test_prices_that_never_move_teach_nothing() -> None:
    assert attended(-0.25, np.full(24 * DAYS, DEFAULT)).believed == pytest.approx((-0.05, 0.03), abs=1e-9)


def test_a_price_that_is_dear_at_the_same_hour_every_day_teaches_nothing() -> None:
    """Whether homes draw less then because of the price, or the forecast is always too high then, nobody can tell."""
    daily = DEFAULT * np.linspace(0.7, 1.3, 24)
    assert attended(-0.25, np.tile(daily, DAYS)).believed == pytest.approx((-0.05, 0.03), abs=1e-9)


def test_parts_add_up_to_the_prices_that_homes_paid(tmp_path: Path) -> None:
    options = {"pricing__retail__learns_elasticity": True, "pricing__retail__exploration": 0.1}
    outcome = simulate_in(tmp_path, light_scenario(clock__days=2, **options))
    assert outcome.counts["steps that could not teach an elasticity"] == 0
    prices = pd.read_parquet(tmp_path / "prices.parquet")
    paid = pd.read_parquet(tmp_path / "timeseries.parquet")["buy_eur_per_kwh"]
    names = ("default", "markup", "wholesale", "demand", "elasticity", "limits", "exploration")
    parts = prices[[f"{name}_eur_per_kwh" for name in names]]
    np.testing.assert_allclose(parts.sum(axis=1), prices["buy_eur_per_kwh"], atol=1e-12)
    np.testing.assert_array_equal(prices["buy_eur_per_kwh"], paid)
    assert prices["step"].tolist() == list(range(48))
    assert prices["exploration_eur_per_kwh"].abs().max() > 0.005
    assert (prices["elasticity_sd"] > 0).all()


def test_prices_that_are_not_to_be_explained_are_not(tmp_path: Path) -> None:
    simulate_in(tmp_path, light_scenario(pricing__retail__explains=False))
    assert pd.read_parquet(tmp_path / "prices.parquet").empty


def test_steps_without_energy_teach_nothing_and_are_counted() -> None:
    prices = DEFAULT * np.random.default_rng(1).uniform(0.7, 1.3, 24 * DAYS)
    prices[24:30] = 0.0  # six steps without a price
    assert attended(-0.25, prices).skipped == 6


def test_exploring_keeps_the_ramp_and_the_revenue_cap(tmp_path: Path) -> None:
    """Without these limits moves of a fifth break both; with them they are made smaller."""
    options = {"pricing__retail__learns_elasticity": True, "pricing__retail__exploration": 0.2}
    scenario = light_scenario(clock__days=2, **options)
    free, held = tmp_path / "free", tmp_path / "held"
    free.mkdir()
    simulate_in(free, scenario)
    default = pd.read_parquet(free / "timeseries.parquet")["default_eur_per_kwh"]
    ramp = float(default.diff().abs().max()) + 0.01
    held.mkdir()
    simulate_in(held, light_scenario(clock__days=2, pricing__retail__ramp_eur_per_kwh=ramp, **options))
    steepest = {
        path: max(
            float(day["buy_eur_per_kwh"].diff().abs().max())
            for _, day in pd.read_parquet(path / "prices.parquet").groupby(lambda row: row // 24)
        )
        for path in (free, held)
    }
    assert steepest[free] > ramp
    assert steepest[held] <= ramp + 1e-9
    assert pd.read_parquet(held / "prices.parquet")["exploration_eur_per_kwh"].abs().max() > 0.001


def test_a_ramp_holds_over_midnight(tmp_path: Path) -> None:
    """Counted within each day alone, the price would fall by 0.10 at the first midnight."""
    outcome = simulate_in(tmp_path, light_scenario(clock__days=2, pricing__retail__ramp_eur_per_kwh=0.04))
    assert outcome.counts["retail price solves that fell back to the default tariff"] == 0
    paid = pd.read_parquet(tmp_path / "timeseries.parquet")["buy_eur_per_kwh"]
    assert paid.diff().abs().max() <= 0.04 + 1e-9
    assert abs(paid[24] - paid[23]) == pytest.approx(0.04, abs=1e-6)


def test_prices_that_heed_no_elasticity_state_none(tmp_path: Path) -> None:
    simulate_in(tmp_path, light_scenario(pricing__retail__kind="flat", pricing__retail__learns_elasticity=True))
    prices = pd.read_parquet(tmp_path / "prices.parquet")
    assert prices[["elasticity", "elasticity_sd"]].isna().all(axis=None)
    assert not prices.empty


@pytest.mark.parametrize(("exploration", "share"), [(0.0, 0.1), (0.05, 1.0)])
def test_neighbouring_hours_count_in_full_only_where_prices_are_moved(exploration: float, share: float) -> None:
    options = {"pricing__retail__learns_elasticity": True, "pricing__retail__exploration": exploration}
    scenario = light_scenario(**options)
    inputs, world = load_inputs(scenario), OpenWorld()
    stage = Stage(scenario, inputs, open_models(scenario), world, recorder=None)  # type: ignore[arg-type]
    school = stage._school(RetailOptions())
    learner = school._learner
    learner.update(np.full(24, 2.0), np.ones(24), np.full(24, 0.3), np.full(24, 0.3))
    assert learner.posterior.evidence == pytest.approx(24 * share)
