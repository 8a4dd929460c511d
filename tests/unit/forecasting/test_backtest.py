"""Back-tests: the plan's arithmetic, nothing learned from after an origin, and a folder from which one goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny_forecasters import NETWORKS, tiny_config, tiny_table, tiny_task, untrained
from vpp_sim.errors import DataError
from vpp_sim.forecasting.backtest import Backtest, Refit, backtest, refit_plan
from vpp_sim.forecasting.baselines import Perfect
from vpp_sim.forecasting.evaluation import forecasts_at
from vpp_sim.forecasting.fitting import _Fit
from vpp_sim.forecasting.model import ForecasterBase
from vpp_sim.forecasting.protocol import FitReport
from vpp_sim.forecasting.windows import SeriesTable, Split, inputs_at, targets_at
from vpp_sim.registry import FORECASTERS

TASK = tiny_task("load")
AT = np.arange(480, 720, 24)
PLAN = refit_plan(AT, [480, 576, 672], first=168, validation_steps=72)


def make(kind: str, count: list[Split] | None = None):
    """Return what makes a forecaster, which notes the training split of each of its fits in `count`."""

    def made() -> ForecasterBase:
        model = untrained(kind, TASK)
        fit = model.fit

        def counted(*args, **named) -> FitReport:
            if count is not None:
                count.append(named["train"])
            return fit(*args, **named)

        model.fit = counted
        return model

    return made


def run(kind: str = "gbm", table: SeriesTable | None = None, count: list[Split] | None = None, **more) -> Backtest:
    table = tiny_table("load") if table is None else table
    return backtest(make(kind, count), table, more.pop("forecast", table), more.pop("plan", PLAN), **more)


def later(origin: int) -> SeriesTable:
    """Return the table with what happened from `origin` on, and what was issued after it, replaced."""
    table = tiny_table("load")
    values, covariates = table.values.copy(), table.covariates.copy()
    values[origin:], covariates[origin:] = 77.0, -77.0
    return replace(table, values=values, covariates=covariates, issued=table.issued.poisoned_after(origin, 77.0))


def test_a_plan_expands_and_serves_every_origin_once() -> None:
    assert [(r.train.start, r.train.stop) for r in PLAN] == [(168, 408), (168, 504), (168, 600)]
    assert [(r.validation.start, r.validation.stop) for r in PLAN] == [(408, 480), (504, 576), (600, 672)]
    assert [r.origins.tolist() for r in PLAN] == [[480, 504, 528, 552], [576, 600, 624, 648], [672, 696]]


def test_a_fit_without_origins_is_left_out() -> None:
    plan = refit_plan(np.array([100, 200]), [100, 120, 200], first=0, validation_steps=10)
    assert [(r.validation.stop, r.origins.tolist()) for r in plan] == [(100, [100]), (200, [200])]


@pytest.mark.parametrize(
    ("at", "starts", "message"),
    [
        ([90, 110], [100], "every origin of a back-test must lie at or after its first fit"),
        ([], [100], "every origin of a back-test must lie at or after its first fit"),
        ([100], [40], "nothing is left to learn from before step 40 and its 20 of validation"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(at: list[int], starts: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        refit_plan(np.array(at, dtype=np.int64), starts, first=20, validation_steps=20)


def test_an_origin_before_the_end_of_what_is_learned_from_is_refused() -> None:
    refit = Refit(Split("train", 168, 408), Split("validation", 408, 480), np.array([479, 503]))
    with pytest.raises(DataError, match="origin 479 lies before the end of the data learned from"):
        run(plan=[refit])


@pytest.mark.parametrize("kind", ["linear", "transformer"])
def test_each_origin_is_served_by_the_latest_fit_before_it(kind: str) -> None:
    table, found = tiny_table("load"), run(kind, seed=4)
    np.testing.assert_array_equal(found.origins, AT)
    np.testing.assert_array_equal(found.actual, targets_at(table, AT, horizon_steps=30))
    assert found.quantiles.shape == (10, 4, 30, 3)
    assert found.levels == TASK.levels
    assert len(found.losses) == 3
    assert all(found.losses)
    assert found.fit_s > 0.0
    assert found.predict_s > 0.0
    model = untrained(kind, TASK)
    model.fit(table, train=PLAN[1].train, validation=PLAN[1].validation, seed=4)
    np.testing.assert_array_equal(found.quantiles[4:8], forecasts_at(model, table, AT[4:8]))


@pytest.mark.parametrize("kind", ["gbm", "lstm"])
def test_what_comes_after_an_origin_changes_no_forecast_of_it_or_before(kind: str) -> None:
    """Scalers are fitted strictly before each origin: at 576 all is replaced, and refits before see none of it."""
    plan = PLAN[:2]
    honest, blind = run(kind, plan=plan), run(kind, later(576), plan=plan)
    np.testing.assert_array_equal(blind.quantiles[:5], honest.quantiles[:5])
    assert not np.array_equal(blind.quantiles[5:], honest.quantiles[5:])


@pytest.mark.parametrize("kind", NETWORKS)
def test_covariates_are_scaled_by_what_was_observed_before_the_origin(kind: str) -> None:
    models: list[ForecasterBase] = []

    def noted() -> ForecasterBase:
        models.append(untrained(kind, TASK, refit=False))
        return models[-1]

    table = tiny_table("load")
    backtest(noted, table, table, PLAN)
    fitted = [model for model in models if model.networks]
    assert len(fitted) == 3
    for model, refit in zip(fitted, PLAN, strict=True):
        seen = table.covariates[refit.train.start : refit.train.stop]
        np.testing.assert_allclose(model.networks[0].centre.numpy(), seen.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(model.networks[0].spread.numpy(), seen.std(axis=0), rtol=1e-5)


def test_series_that_were_not_learned_from_are_forecast() -> None:
    table = tiny_table("load")
    homes, others = table.series([0, 1]), table.series([2, 3])
    found = run(table=homes, forecast=others, plan=PLAN[:1])
    np.testing.assert_array_equal(found.actual, targets_at(others, AT[:4], horizon_steps=30))
    spared = replace(table, values=table.values + np.array([0.0, 0.0, 9.0, 9.0]))
    same = run(table=spared.series([0, 1]), forecast=others, plan=PLAN[:1])
    np.testing.assert_array_equal(same.quantiles, found.quantiles)


@pytest.mark.parametrize("kind", ["gbm", "lstm"])
def test_a_folder_changes_nothing_and_is_read_the_second_time(kind: str, tmp_path: Path) -> None:
    fits: list[Split] = []
    told: list[tuple[int, int, str]] = []
    without, first = run(kind), run(kind, count=fits, folder=tmp_path)
    second = run(kind, count=fits, folder=tmp_path, progress=lambda *one: told.append(one))
    assert fits == [refit.train for refit in PLAN]
    for found in (first, second):
        assert found.quantiles.tobytes() == without.quantiles.tobytes()
        assert found.losses == without.losses
    assert (second.fit_s, second.predict_s) == (first.fit_s, first.predict_s)
    assert told == [(k, 3, f"fitted {k} of 3 times") for k in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"refit_0{k}.npz" for k in range(3)]


def test_a_backtest_that_was_cut_off_between_fits_goes_on(tmp_path: Path) -> None:
    fits: list[Split] = []

    def cut(done: int, *_) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(count=fits, folder=tmp_path, progress=cut)
    assert len(fits) == 2
    found = run(count=fits, folder=tmp_path)
    assert fits == [refit.train for refit in PLAN]
    assert found.quantiles.tobytes() == run().quantiles.tobytes()


def test_a_backtest_that_was_cut_off_within_a_fit_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, once = [0], _Fit.round

    def counted(self: _Fit) -> None:
        rounds[0] += 1
        if rounds[0] == 2:
            raise KeyboardInterrupt
        once(self)

    monkeypatch.setattr(_Fit, "round", counted)
    with pytest.raises(KeyboardInterrupt):
        run("lstm", plan=PLAN[:1], folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["refit_00.checkpoint.0.chosen"]
    found, before = run("lstm", plan=PLAN[:1], folder=tmp_path), rounds[0]
    whole = run("lstm", plan=PLAN[:1])
    assert rounds[0] - before == (before - 2) + 1  # the round that was done was not done again
    assert found.quantiles.tobytes() == whole.quantiles.tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["refit_00.npz"]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"plan": refit_plan(AT[1:4], [480], first=168, validation_steps=72)},
        {"table": replace(tiny_table("load"), values=1.0 + tiny_table("load").values)},
        {"kind": "persistence"},
    ],
    ids=["seed", "plan", "table", "kind"],
)
def test_the_folder_of_another_backtest_is_refused(tmp_path: Path, other: dict) -> None:
    run(folder=tmp_path, plan=PLAN[:1])
    with pytest.raises(DataError, match=r"refit_00\.npz belongs to another back-test; choose another folder"):
        run(**{"plan": PLAN[:1], **other}, folder=tmp_path)


@pytest.mark.parametrize("change", ["settings", "config", "members"])
def test_a_folder_of_other_networks_is_refused(tmp_path: Path, change: str) -> None:
    usual, table = untrained("lstm", TASK), tiny_table("load")
    given = {"settings": usual.settings, "config": usual.config, "members": 1}
    other = {
        "settings": replace(usual.settings, weight_decay=0.5),
        "config": tiny_config("lstm", TASK, width=8),
        "members": 2,
    }
    kind = FORECASTERS.load("lstm")
    backtest(lambda: kind(TASK, **given), table, table, PLAN[:1], folder=tmp_path)
    with pytest.raises(DataError, match="belongs to another back-test"):
        backtest(lambda: kind(TASK, **{**given, change: other[change]}), table, table, PLAN[:1], folder=tmp_path)


def test_a_forecaster_that_sees_its_future_is_caught(tmp_path: Path) -> None:
    table = tiny_table("load")

    class Leaky(SeriesTable):
        def known_covariates(self, origin: int, *, context_steps: int, horizon_steps: int) -> np.ndarray:
            return self.covariates[origin - context_steps : origin + horizon_steps]

    leaky = Leaky(*(getattr(table, name) for name in SeriesTable.__slots__))
    with pytest.raises(DataError, match="the forecast issued at step 480 saw the future"):
        backtest(make("linear"), leaky, leaky, PLAN, folder=tmp_path)
    assert not list(tmp_path.glob("*.npz"))


def test_a_bound_is_told_the_truth() -> None:
    table = tiny_table("load")
    found = backtest(lambda: Perfect(TASK), table, table, PLAN)
    np.testing.assert_array_equal(found.quantiles[..., 1], found.actual)
    np.testing.assert_array_equal(found.actual[0], inputs_at(table, 480, TASK, truth=True).truth)
