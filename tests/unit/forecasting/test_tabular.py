"""Features of rows against hand arithmetic, and where rows may come from."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.forecast_tables import made_table
from vpp_sim.errors import DataError
from vpp_sim.forecasting.protocol import Task
from vpp_sim.forecasting.tabular import drawn_windows, feature_names, require_week, rows, windows_at, windows_of
from vpp_sim.forecasting.windows import Split, inputs_at

TASK = Task("load", horizon_steps=30, covariates=("temperature_c",))


@pytest.fixture(scope="module")
def table():
    return made_table(days=30, series=3)


def features(table, task=TASK, at=400) -> tuple[dict[str, np.ndarray], object]:
    made = rows(windows_of(inputs_at(table, at, task)), task)
    return dict(zip(feature_names(task), np.moveaxis(made.features[0], -1, 0), strict=True)), made


def test_past_days_are_counted_back_from_the_issue(table) -> None:
    found, _ = features(table)
    week = table.values[400 - 168 : 400, 1]
    deviation = (week - week.mean()) / week.std()
    # The 26th step ahead (lead 25) is at the hour of steps 1, 25, ... of the week, the oldest being seven days old.
    hours = deviation[1::24]
    for day in range(7):
        assert found[f"days_ago_{7 - day}"][1, 25] == pytest.approx(hours[day], rel=1e-5)
    assert found["week_mean"][1, 25] == pytest.approx(hours.mean(), rel=1e-4, abs=1e-6)
    assert found["week_std"][1, 25] == pytest.approx(hours.std(), rel=1e-5)
    assert found["week_max"][1, 25] == pytest.approx(hours.max(), rel=1e-5)
    assert found["last_1_h"][1, 25] == pytest.approx(deviation[-1], rel=1e-5)
    assert found["mean_over_deviation"][1, 0] == pytest.approx(week.mean() / week.std(), rel=1e-5)


def test_the_same_weekday_is_that_of_the_day_forecast(table) -> None:
    found, _ = features(table)
    week = table.values[400 - 168 : 400, 0]
    deviation = (week - week.mean()) / week.std()
    # Lead 3 falls on the day after the last of the week, like its first day; lead 27 on the day after, its second.
    np.testing.assert_allclose(found["same_weekday"][0, [3, 27]], deviation[[3, 27]], rtol=1e-5)


def test_days_of_the_same_type_are_averaged(table) -> None:
    # Step 384 is the start of day 16, a Wednesday; the week before holds Monday to Friday five times, whole days.
    found, _ = features(table, at=384)
    week = table.values[384 - 168 : 384, 0].reshape(7, 24)
    deviation = (week - week.mean()) / week.std()
    working = [day for day in range(7) if table.day_of_week[384 - 168 + 24 * day] < 5]
    assert len(working) == 5
    assert found["same_day_type"][0, 6] == pytest.approx(deviation[working, 6].mean(), abs=1e-4)
    assert found["weekend"][0, 6] == 0.0


def test_covariates_are_those_forecast_at_the_issue(table) -> None:
    lying = replace(table, covariates=np.where(np.arange(len(table.values))[:, None] >= 400, 99.0, table.covariates))
    found, _ = features(lying)
    known, past = table.issued.known_at(400, 30)[:, 0], table.covariates[:400, 0]
    np.testing.assert_allclose(found["temperature_c.value"][0], known, rtol=1e-5)
    expected = known[[4, 28]] - past[-20]
    np.testing.assert_allclose(found["temperature_c.over_last_day"][0, [4, 28]], expected, rtol=1e-4, atol=1e-6)
    first_day = known[:24].mean() - past[-24:].mean()
    assert found["temperature_c.next_day_over_last"][0, 7] == pytest.approx(first_day, rel=1e-4)


def test_scale_and_level_of_a_series_change_no_feature_but_their_ratio(table) -> None:
    here, _ = features(table)
    there, made = features(replace(table, values=50.0 * table.values - 7.0))
    for name, values in here.items():
        if name != "mean_over_deviation":
            np.testing.assert_allclose(there[name], values, atol=2e-5)
    back = made.restored(np.zeros((*made.features.shape[:3], 1)))[0, :, 0, 0]
    np.testing.assert_allclose(back, 50.0 * table.values[232:400].mean(axis=0) - 7.0)


def test_a_series_that_is_zero_stays_zero(table) -> None:
    values = table.values.copy()
    values[:, 2] = 0.0
    found, made = features(replace(table, values=values))
    assert np.isfinite(made.features).all()
    assert not made.restored(np.full((*made.features.shape[:3], 1), 3.0))[0, 2].any()
    assert not found["mean_over_deviation"][2].any()


def test_windows_of_many_issues_are_those_of_each(table) -> None:
    at, series = np.array([300, 411]), np.array([[0, 2], [1, 2]])
    groups = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
    table = replace(table, issued=replace(table.issued, values=table.issued.values + 0.7))
    made = rows(windows_at(table, at, TASK, series, groups), TASK)
    for issue in range(2):
        single = rows(windows_of(inputs_at(table.series(series[issue]), int(at[issue]), TASK)), TASK)
        np.testing.assert_array_equal(made.features[issue, :2], single.features[0])
    both = table.values[:, [0, 2]].mean(axis=1)
    mean, scale = both[132:300].mean(), both[132:300].std()
    np.testing.assert_allclose(made.target[0, 2], (both[300:330] - mean) / scale)


@pytest.mark.parametrize("whole", [False, True])
def test_all_targets_drawn_lie_in_their_split(table, whole: bool) -> None:
    poisoned = table.values.copy()
    poisoned[500:], poisoned[:100] = 1e6, 1e6
    split, rng = Split("train", 268, 500), np.random.default_rng(0)
    drawn = drawn_windows(replace(table, values=poisoned), split, TASK, rng, whole=whole)
    assert drawn.actual.max() < 100.0
    assert drawn.history.max() < 100.0
    assert drawn.actual.shape[1] == (4 if whole else 5)


def test_groups_are_means_of_at_least_two_series(table) -> None:
    values = np.broadcast_to(np.array([1.0, 10.0, 100.0]), table.values.shape) + 1e-9 * table.values
    split = Split("train", 168, 700)
    drawn = drawn_windows(replace(table, values=values), split, TASK, np.random.default_rng(3))
    found = np.unique(drawn.actual[:, 3:].round(6))
    np.testing.assert_allclose(found, [5.5, 37.0, 50.5, 55.0])
    whole = drawn_windows(replace(table, values=values), split, TASK, np.random.default_rng(3), whole=True)
    np.testing.assert_allclose(whole.actual[:, 3], 37.0, rtol=1e-6)


def test_large_tables_are_drawn_from() -> None:
    large = made_table(days=20, series=50)
    drawn = drawn_windows(large, Split("train", 168, 480), TASK, np.random.default_rng(0), limit=10_000)
    assert drawn.actual.shape[1] == 32 + 16
    assert drawn.actual.size <= 1.2 * 10_000
    hours = drawn.hour[:, TASK.context_steps]
    assert len(np.unique(hours)) == len(hours)


def test_no_covariates_make_no_features(table) -> None:
    known = inputs_at(table, 400, TASK)
    task = Task("load", horizon_steps=30, covariates=())
    bare = rows(windows_of(replace(known, covariates=np.empty((198, 0)))), task)
    full = rows(windows_of(known), TASK)
    assert len(feature_names(task)) == bare.features.shape[-1] == full.features.shape[-1] - 5
    np.testing.assert_array_equal(bare.features, full.features[..., :-5])


def test_a_single_series_has_no_groups() -> None:
    drawn = drawn_windows(made_table(series=1), Split("train", 168, 900), TASK, np.random.default_rng(0))
    assert drawn.actual.shape[1] == 1


def test_steps_of_a_quarter_of_an_hour_keep_their_meaning() -> None:
    task = Task("load", 900, 672, 96, covariates=("temperature_c",))
    fine = made_table(days=12, series=1, step_s=900)
    found, _ = features(fine, task, at=800)
    week = fine.values[128:800, 0]
    deviation = (week - week.mean()) / week.std()
    assert found["days_ago_1"][0, 5] == pytest.approx(deviation[-96 + 5], rel=1e-5)
    assert found["last_3_h"][0, 0] == pytest.approx(deviation[-12:].mean(), rel=1e-4)
    assert found["lead_h"][0, 6] == 1.5


def test_a_task_without_a_week_is_refused() -> None:
    with pytest.raises(DataError, match=r"linear forecaster needs .* 7 days of 24 steps; got 100 and 24 steps"):
        require_week(Task("load", context_steps=100, horizon_steps=24), "linear")
    with pytest.raises(DataError, match="got 168 and 169 steps"):
        require_week(Task("load", horizon_steps=169), "gbm")


def test_rows_without_targets_teach_nothing(table) -> None:
    with pytest.raises(DataError, match="rows without targets teach nothing"):
        _ = features(table)[1].targets
