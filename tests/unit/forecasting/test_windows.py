"""Windows stay inside their split, and inputs end at the issue."""

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.forecasting.windows import SeriesTable, Split, inputs_at, origins, targets_at


@pytest.fixture
def table() -> SeriesTable:
    step = np.arange(100)
    return SeriesTable(
        values_kw=np.stack([step, 1000.0 + step], axis=1),
        weather=np.stack([step + 0.25, step + 0.5], axis=1),
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
    assert before.max() + 12 <= after.min()


def test_a_split_without_room_is_refused() -> None:
    with pytest.raises(DataError, match="'test' of steps 10 to 20 has no room for 24 past and 12 future"):
        origins(Split("test", 10, 20), context_steps=24, horizon_steps=12)


def test_inputs_end_at_the_issue_but_for_the_calendar(table: SeriesTable) -> None:
    inputs = inputs_at(table, 60, context_steps=24, horizon_steps=12)
    assert inputs.history_kw.shape == (2, 24)
    assert inputs.history_kw[:, -1].tolist() == [59.0, 1059.0]
    assert inputs.weather[-1].tolist() == [59.25, 59.5]
    assert inputs.hour.shape == (36,)
    assert inputs.hour[24] == 60 % 24


def test_what_happens_after_the_issue_changes_no_input(table: SeriesTable) -> None:
    later = replace(table, values_kw=table.values_kw.copy(), weather=table.weather.copy())
    later.values_kw[60:] = 7e6
    later.weather[60:] = -99.0
    here, there = (inputs_at(t, 60, context_steps=24, horizon_steps=12) for t in (table, later))
    np.testing.assert_array_equal(here.history_kw, there.history_kw)
    np.testing.assert_array_equal(here.weather, there.weather)


def test_targets_begin_at_the_origin(table: SeriesTable) -> None:
    assert targets_at(table, [60, 61], horizon_steps=3)[:, 0].tolist() == [[60.0, 61.0, 62.0], [61.0, 62.0, 63.0]]


def test_inputs_outside_the_table_are_refused(table: SeriesTable) -> None:
    with pytest.raises(DataError, match="steps 70 to 106 reach outside the table of 100 steps"):
        inputs_at(table, 94, context_steps=24, horizon_steps=12)


def test_a_negative_target_is_refused(table: SeriesTable) -> None:
    with pytest.raises(PhysicsError, match="values_kw is negative"):
        replace(table, values_kw=table.values_kw - 1.0)
