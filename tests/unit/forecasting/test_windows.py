"""Windows stay inside their split, and inputs end at the issue but for the calendar and what was forecast then."""

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.protocol import Task
from vpp_sim.forecasting.windows import SeriesTable, Split, inputs_at, origins, require_splits, targets_at

TASK = Task("load", context_steps=24, horizon_steps=12, covariates=("temperature_c", "ghi_w_m2"))


@pytest.fixture
def table() -> SeriesTable:
    """Return a hundred steps; every sixth issues forecasts of 24 steps, which say the step, plus the issue / 1000."""
    step, issued_at = np.arange(100), np.arange(0, 100, 6)
    ahead = issued_at[:, None] + np.arange(24) + issued_at[:, None] / 1000.0
    return SeriesTable(
        values=np.stack([step, 1000.0 + step], axis=1),
        covariates=np.stack([step + 0.25, step + 0.5], axis=1),
        issued=IssuedForecasts(issued_at, np.stack([ahead, -ahead], axis=-1), TASK.covariates),
        hour=(step % 24).astype(np.float64),
        day_of_week=(step // 24) % 7,
        day_of_year=1 + step // 24,
    )


def test_no_target_of_a_window_leaves_its_split() -> None:
    at = origins(Split("validation", 50, 70), context_steps=24, horizon_steps=12)
    assert at[0] == 50
    assert at[-1] + 12 == 70


def test_neighbouring_splits_share_no_target() -> None:
    reach = {"context_steps": 24, "horizon_steps": 12}
    before, after = origins(Split("train", 0, 60), **reach), origins(Split("validation", 60, 100), **reach)
    assert before[0] == 24
    assert before.max() + 12 <= after.min()


def test_a_split_without_room_is_refused() -> None:
    with pytest.raises(DataError, match="'test' of steps 10 to 20 has no room for 24 past and 12 future"):
        origins(Split("test", 10, 20), context_steps=24, horizon_steps=12)


def test_the_validation_is_the_later_split() -> None:
    require_splits(Split("train", 0, 10), Split("validation", 10, 20))
    for wrong in (Split("validation", 9, 20), Split("validation", 0, 5)):
        with pytest.raises(DataError, match="'validation' must begin after 'train' ends"):
            require_splits(Split("train", 5, 10), wrong)


def test_inputs_end_at_the_issue_but_for_the_calendar(table: SeriesTable) -> None:
    inputs = inputs_at(table, 62, TASK)
    assert inputs.history.shape == (2, 24)
    assert inputs.history[:, -1].tolist() == [61.0, 1061.0]
    assert inputs.hour.shape == inputs.day_of_week.shape == inputs.day_of_year.shape == (36,)
    assert (inputs.hour[24], inputs.day_of_week[24], inputs.day_of_year[24]) == (62 % 24, 2, 3)
    assert inputs.truth is None


def test_covariates_are_observed_before_the_issue_and_as_issued_from_it_on(table: SeriesTable) -> None:
    """At step 62 the run of step 60 was known, and says 62.060, 63.060, ...; what was observed was 62.25."""
    covariates = inputs_at(table, 62, TASK).covariates
    np.testing.assert_allclose(covariates[:24, 0], np.arange(38, 62) + 0.25)
    np.testing.assert_allclose(covariates[24:, 0], np.arange(62, 74) + 0.06)
    np.testing.assert_allclose(covariates[24:, 1], -np.arange(62, 74) - 0.06)


def test_the_truth_is_handed_out_on_demand_alone(table: SeriesTable) -> None:
    truth = inputs_at(table, 62, TASK, truth=True).truth
    assert truth is not None
    np.testing.assert_array_equal(truth, targets_at(table, [62], horizon_steps=12)[0])


def test_targets_begin_at_the_origin(table: SeriesTable) -> None:
    assert targets_at(table, [60, 61], horizon_steps=3)[:, 0].tolist() == [[60.0, 61.0, 62.0], [61.0, 62.0, 63.0]]


def test_some_series_keep_what_is_common(table: SeriesTable) -> None:
    turned = table.series([1, 0])
    assert turned.values[5].tolist() == [1005.0, 5.0]
    assert turned.covariates is table.covariates


@pytest.mark.parametrize("origin", [94, 23])
def test_inputs_outside_the_table_are_refused(table: SeriesTable, origin: int) -> None:
    with pytest.raises(DataError, match=f"steps {origin - 24} to {origin + 12} reach outside the table of 100 steps"):
        inputs_at(table, origin, TASK)


def test_a_horizon_that_no_issue_covers_is_refused(table: SeriesTable) -> None:
    with pytest.raises(DataError, match="no forecast known at step 64 covers steps 64 to 87"):
        inputs_at(table, 64, replace(TASK, horizon_steps=24))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"values": np.full((100, 2), np.nan)}, PhysicsError, "values has 200 values that are not finite"),
        ({"covariates": np.full((100, 2), np.inf)}, PhysicsError, "covariates has 200 values that are not finite"),
        ({"covariates": np.zeros((100, 1))}, PhysicsError, r"covariates has shape \(100, 1\), expected \(100, 2\)"),
        ({"hour": np.zeros(99)}, PhysicsError, r"hour has shape \(99,\), expected \(100,\)"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(table: SeriesTable, change, error, message) -> None:
    with pytest.raises(error, match=message):
        replace(table, **change)


def test_a_table_may_have_no_covariates(table: SeriesTable) -> None:
    none = IssuedForecasts(np.array([0]), np.zeros((1, 100, 0)), ())
    bare = replace(table, covariates=np.zeros((100, 0)), issued=none)
    assert inputs_at(bare, 62, replace(TASK, covariates=())).covariates.shape == (36, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "wind"}, "unknown forecast target 'wind'; allowed: load, pv, price"),
        ({"step_s": 1000}, "step_s = 1000 must divide an hour"),
        ({"context_steps": 0}, "a context of 0 and a horizon of 12 steps is none"),
        ({"horizon_steps": 0}, "a context of 24 and a horizon of 0 steps is none"),
        ({"levels": (0.1, 0.9)}, r"levels \(0\.1, 0\.9\) must increase inside \(0, 1\) and contain 0\.5"),
        ({"levels": (0.5, 0.1)}, "must increase"),
        ({"levels": (0.5, 1.0)}, r"inside \(0, 1\)"),
    ],
)
def test_a_task_that_is_none_is_refused(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(TASK, **change)


def test_only_prices_may_be_negative() -> None:
    assert {target: Task(target).non_negative for target in ("load", "pv", "price")} == {
        "load": True,
        "pv": True,
        "price": False,
    }
    assert (Task("load", step_s=900).day_steps, Task("load", levels=(0.1, 0.5, 0.9)).median) == (96, 1)
