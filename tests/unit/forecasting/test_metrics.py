"""Measures against hand arithmetic."""

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.forecasting import metrics

# Six hours, worked by hand: errors y - f = 1, -1, 2, 0, -2, 4; absolute sum 10, squares 1+1+4+0+4+16 = 26, sum of y 24.
ACTUAL = np.array([3.0, 2.0, 5.0, 4.0, 2.0, 8.0])
POINT = np.array([2.0, 3.0, 3.0, 4.0, 4.0, 4.0])


def test_point_measures_by_hand() -> None:
    assert metrics.mae(ACTUAL, POINT) == pytest.approx(10 / 6)
    assert metrics.rmse(ACTUAL, POINT) == pytest.approx((26 / 6) ** 0.5)
    assert metrics.nrmse(ACTUAL, POINT) == pytest.approx((26 / 6) ** 0.5 / 4.0)


def test_mase_by_hand() -> None:
    # History 1 3 2 5, season 2: |2-1| = 1, |5-3| = 2, mean 1.5.
    scale = metrics.seasonal_scale(np.array([1.0, 3.0, 2.0, 5.0]), 2)
    assert scale == 1.5
    assert metrics.mase(ACTUAL, POINT, scale) == pytest.approx(10 / 9)


def test_mase_of_the_seasonal_naive_on_its_own_history_is_one() -> None:
    series = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0])
    assert metrics.mase(series[2:], series[:-2], metrics.seasonal_scale(series, 2)) == 1.0


def test_pinball_and_wql_by_hand() -> None:
    # y = 10, 20. q(0.1) = 8, 22: errors 2, -2 -> 0.1*2 = 0.2 and 0.9*2 = 1.8, mean 1.0.
    # q(0.5) = 11, 20: errors -1, 0 -> 0.5, 0, mean 0.25. q(0.9) = 15, 19: errors -5, 1 -> 0.5, 0.9, mean 0.7.
    actual = np.array([10.0, 20.0])
    quantiles = np.array([[8.0, 11.0, 15.0], [22.0, 20.0, 19.0]])
    levels = (0.1, 0.5, 0.9)
    np.testing.assert_allclose(metrics.pinball_loss(actual, quantiles, levels), [1.0, 0.25, 0.7])
    # WQL: 2 * (2.0 + 0.5 + 1.4) / (3 * 30) = 7.8 / 90.
    assert metrics.weighted_quantile_loss(actual, quantiles, levels) == pytest.approx(7.8 / 90)


def test_pinball_of_the_median_is_half_the_absolute_error() -> None:
    assert metrics.pinball_loss(ACTUAL, POINT[:, None], (0.5,))[0] == pytest.approx(metrics.mae(ACTUAL, POINT) / 2)


def test_coverage_counts_bounds_as_inside() -> None:
    assert metrics.coverage(ACTUAL, np.full(6, 2.0), np.full(6, 4.0)) == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.mae(ACTUAL, POINT[:3]), r"\(6,\) and forecast \(3,\)"),
        (lambda: metrics.mae(ACTUAL[:0], POINT[:0]), "not empty"),
        (lambda: metrics.nrmse(np.zeros(2), np.ones(2)), "mean of what happened is zero"),
        (lambda: metrics.seasonal_scale(np.ones(24), 24), "too short for a season of 24"),
        (lambda: metrics.seasonal_scale(np.ones(48), 24), "repeats exactly"),
        (lambda: metrics.pinball_loss(ACTUAL, POINT, (0.5,)), r"expected \(6, 1\)"),
        (lambda: metrics.weighted_quantile_loss(np.zeros(2), np.ones((2, 1)), (0.5,)), "is zero"),
    ],
)
def test_what_has_no_value_is_refused(call, message) -> None:
    with pytest.raises(PhysicsError, match=message):
        call()
