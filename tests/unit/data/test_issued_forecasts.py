"""What an issue says, when it is known, and that nothing later comes out."""

import numpy as np
import pytest

from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.errors import DataError, UnknownNameError

NAMES = ("temperature_c", "ghi_w_m2")


def stamped(issued_at: list[int], horizon: int) -> IssuedForecasts:
    """Return forecasts whose first series says which issue made them, and whose second which step they are for."""
    at = np.array(issued_at)
    values = np.stack(np.broadcast_arrays(at[:, None], at[:, None] + np.arange(horizon)), axis=2).astype(np.float64)
    return IssuedForecasts(at, values, NAMES)


def test_the_latest_issue_at_or_before_the_step_is_read() -> None:
    issued = stamped([-2, 4, 10], 12)
    assert issued.known_at(0, 3).tolist() == [[-2, 0], [-2, 1], [-2, 2]]
    assert issued.known_at(3, 1).tolist() == [[-2, 3]]
    assert issued.known_at(4, 2).tolist() == [[4, 4], [4, 5]]
    assert issued.known_at(11, 1).tolist() == [[10, 11]]


def test_nothing_issued_later_is_ever_read() -> None:
    issued = stamped(list(range(-6, 60, 5)), 20)
    steps = np.arange(50)
    known = issued.all_known_at(steps, 10)
    assert known.shape == (50, 10, 2)
    assert (known[:, :, 0] <= steps[:, None]).all()
    np.testing.assert_array_equal(known[:, :, 1], steps[:, None] + np.arange(10))


def test_many_steps_at_once_are_as_each_alone() -> None:
    issued = stamped([-3, 0, 7, 8], 15)
    steps = np.array([9, 0, 7, 3, 3])
    alone = np.stack([issued.known_at(int(step), 4) for step in steps])
    np.testing.assert_array_equal(issued.all_known_at(steps, 4), alone)


def test_an_older_issue_serves_where_the_latest_is_too_short_or_has_a_gap() -> None:
    values = np.arange(3.0)[:, None, None] + np.zeros((3, 10, 1))
    values[2, 4:] = np.nan
    values[1, 3] = np.nan
    issued = IssuedForecasts(np.array([0, 2, 4]), values, NAMES[:1])
    assert issued.known_at(4, 4).tolist() == [[2.0]] * 4
    assert issued.known_at(4, 5).tolist() == [[0.0]] * 5
    assert issued.known_at(6, 2).tolist() == [[2.0]] * 2


@pytest.mark.parametrize(
    ("step", "n_steps", "message"),
    [
        (-1, 1, "no forecast known at step -1 covers steps -1 to -1; the first is known from step 0"),
        (-90, 2, "no forecast known at step -90 covers steps -90 to -89; the first is known from step 0"),
        (5, 8, "no forecast known at step 5 covers steps 5 to 12; the latest, known from step 4, covers steps 4 to 8$"),
        (30, 1, "covers steps 30 to 30; the latest, known from step 4, covers steps 4 to 8"),
    ],
)
def test_steps_that_no_issue_covers_are_named(step: int, n_steps: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        stamped([0, 4], 5).known_at(step, n_steps)


def test_gaps_are_counted_in_the_message() -> None:
    values = np.ones((1, 6, 1))
    values[0, [2, 3]] = np.nan
    with pytest.raises(DataError, match="covers steps 0 to 5 but for 2"):
        IssuedForecasts(np.array([0]), values, NAMES[:1]).known_at(1, 2)
    with pytest.raises(DataError, match="covers no step"):
        IssuedForecasts(np.array([0]), values * np.nan, NAMES[:1]).known_at(1, 2)


def test_the_first_of_many_uncovered_steps_is_named() -> None:
    with pytest.raises(DataError, match="known at step 40 "):
        stamped([0, 4], 5).all_known_at(np.array([1, 40, 50]), 2)


def test_series_are_selected_by_name() -> None:
    issued = stamped([0], 4)
    assert issued.select(("ghi_w_m2",)).known_at(2, 1).tolist() == [[2.0]]
    assert issued.select(NAMES[::-1]).known_at(2, 1).tolist() == [[2.0, 0.0]]
    with pytest.raises(UnknownNameError, match="did you mean 'ghi_w_m2'"):
        issued.select(("ghi_w",))


def test_a_forecast_cannot_be_changed_nor_through_what_made_it() -> None:
    values = np.ones((1, 3, 1))
    issued = IssuedForecasts(np.array([0]), values, NAMES[:1])
    values[:] = 7.0
    assert issued.values.max() == 1.0
    with pytest.raises(ValueError, match="read-only"):
        issued.values[0, 0, 0] = 2.0
    issued.known_at(0, 2)[:] = 9.0
    assert issued.values.max() == 1.0


@pytest.mark.parametrize(
    ("issued_at", "values", "names", "message"),
    [
        ([0, 0], np.ones((2, 3, 1)), ("a",), "issue 1 at step 0 does not"),
        ([0], np.ones((2, 3, 1)), ("a",), r"shape \(2, 3, 1\) do not fit"),
        ([0], np.ones((1, 3, 2)), ("a",), "do not fit"),
        ([0], np.ones((1, 0, 1)), ("a",), "need an issue and a step"),
        ([0], np.ones((1, 3, 2)), ("a", "a"), "repeat: a, a"),
        ([0], np.full((1, 3, 1), np.inf), ("a",), "3 infinite"),
    ],
)
def test_what_does_not_fit_is_refused(
    issued_at: list[int], values: np.ndarray, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        IssuedForecasts(np.array(issued_at), values, names)


@pytest.mark.parametrize(("steps", "n_steps"), [(np.array([1]), 0), (np.array([[1]]), 1)])
def test_a_wish_for_nothing_is_refused(steps: np.ndarray, n_steps: int) -> None:
    with pytest.raises(DataError, match="at least one step"):
        stamped([0], 5).all_known_at(steps, n_steps)


class TestLeakCheck:
    """A planted leak is seen by poisoning what is not yet known; an honest reader is not disturbed."""

    @staticmethod
    def honest(issued: IssuedForecasts, step: int) -> np.ndarray:
        return issued.known_at(step, 4)

    @staticmethod
    def leaking(issued: IssuedForecasts, step: int) -> np.ndarray:
        """Read the nearest issue, which may be the next: the mistake of a merge by nearest time."""
        nearest = int(np.abs(issued.issued_at - step).argmin())
        return issued.values[nearest, :4]

    @pytest.mark.parametrize("step", [9, 11, 12])
    def test_an_honest_reader_does_not_see_the_poison(self, step: int) -> None:
        issued = stamped([0, 6, 12, 18], 20)
        np.testing.assert_array_equal(self.honest(issued.poisoned_after(step, 1e6), step), self.honest(issued, step))

    def test_a_leak_does(self) -> None:
        issued = stamped([0, 6, 12, 18], 20)
        assert (self.leaking(issued.poisoned_after(11, 1e6), 11) == 1e6).all()


def test_asking_before_the_only_issue_is_refused() -> None:
    only = IssuedForecasts(np.array([5]), np.ones((1, 3, 1)), ("temperature_c",))
    with pytest.raises(DataError, match="no forecast known at step 2"):
        only.known_at(2, 1)
