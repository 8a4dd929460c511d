"""Customer baselines: which days count, and which histories are refused."""

import numpy as np
import pytest

from vpp_sim.demand_response.baselines import high_of, mid_of
from vpp_sim.errors import PhysicsError


def test_days_are_ranked_by_home_over_the_whole_event():
    # Home 0 is highest on day 0 (mean 5), home 1 on day 1 (mean 4); the hours of that day are returned.
    load_kw = np.array([[[9.0, 1.0], [1.0, 2.0]], [[2.0, 4.0], [3.0, 5.0]]])
    assert high_of(load_kw, count=1, window_days=2).tolist() == [[9.0, 1.0], [3.0, 5.0]]


def test_of_equal_days_the_more_recent_counts():
    # Sixty days, every other one of mean 2 with hours of its own, the rest idle: of the equal ones the first count.
    shift = np.arange(60.0)[:, None, None] / 64
    load_kw = np.concatenate([2.0 + shift, 2.0 - shift], axis=2)
    load_kw[1::2] = 0.0
    assert high_of(load_kw, count=6, window_days=60).tolist() == [[2 + 5 / 64, 2 - 5 / 64]]


def test_older_days_do_not_count():
    load_kw = np.array([10.0, 20.0, 999.0]).reshape(3, 1, 1)
    assert high_of(load_kw, count=2, window_days=2).tolist() == [[15.0]]


def test_as_many_days_are_left_out_above_as_below():
    load_kw = np.array([1.0, 50.0, 2.0, 4.0]).reshape(4, 1, 1)
    assert mid_of(load_kw, count=2, window_days=4).tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("rule", "load_kw", "count", "window_days", "message"),
    [
        (high_of, np.ones((3, 1, 1)), 2, 5, "3 days of load are too few: the baseline looks back 5"),
        (high_of, np.ones((5, 1, 1)), 6, 5, "cannot choose 6 of 5 days"),
        (high_of, np.ones((5, 1, 1)), 0, 5, "cannot choose 0 of 5 days"),
        (high_of, np.ones((5, 1)), 1, 5, r"load_kw has shape \(5, 1\), expected \(days, n, H\)"),
        (high_of, np.full((5, 1, 1), np.nan), 1, 5, "load_kw has 5 values that are not finite"),
        (mid_of, np.ones((10, 1, 1)), 5, 10, "5 of 10 days have no middle: their difference is odd"),
    ],
)
def test_bad_histories_are_refused(rule, load_kw, count, window_days, message):
    with pytest.raises(PhysicsError, match=message):
        rule(load_kw, count=count, window_days=window_days)
