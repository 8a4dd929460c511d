"""Measures against hand arithmetic."""

from statistics import NormalDist

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


def test_wape_by_hand() -> None:
    assert metrics.wape(ACTUAL, POINT) == pytest.approx(10 / 24)
    assert metrics.wape(-ACTUAL, -POINT) == pytest.approx(10 / 24)


def test_scales_of_rolling_windows_by_hand() -> None:
    # Season 2: |2-1|, |5-3|, |2-2|, |9-5| = 1, 2, 0, 4. Before step 4: mean of 1, 2; before step 6: of all four.
    series = np.array([1.0, 3.0, 2.0, 5.0, 2.0, 9.0, 0.0])
    scales = metrics.rolling_scales(series, np.array([4, 6]), 2)
    np.testing.assert_allclose(scales, [1.5, 1.75])
    assert scales.tolist() == [metrics.seasonal_scale(series[:4], 2), metrics.seasonal_scale(series[:6], 2)]


def test_windows_count_alike_whatever_their_scale() -> None:
    # MAE 2 at scale 1, MAE 30 at scale 10: (2 + 3) / 2, and not the ratio of sums, 32 / 11.
    forecast = np.zeros((2, 2))
    assert metrics.mase_over_windows(np.array([[1.0, 3.0], [30.0, -30.0]]), forecast, np.array([1.0, 10.0])) == 2.5


def test_crps_of_quantiles_by_hand() -> None:
    # Losses 1.0, 0.25, 0.7 as above; weights 0.3, 0.4, 0.3: the edges of 0.1, 0.5, 0.9 are 0.3 and 0.7.
    quantiles = np.array([[8.0, 11.0, 15.0], [22.0, 20.0, 19.0]])
    assert metrics.crps(np.array([10.0, 20.0]), quantiles, (0.1, 0.5, 0.9)) == pytest.approx(2 * (0.3 + 0.1 + 0.21))


def test_crps_of_many_quantiles_nears_the_closed_form_of_a_normal() -> None:
    # Gneiting and Raftery 2007, CRPS of N(0, 1) at y = 0: 2 phi(0) - 1 / sqrt(pi).
    levels = (np.arange(2000) + 0.5) / 2000
    quantiles = np.array([[NormalDist().inv_cdf(level) for level in levels]])
    closed = 2 / (2 * np.pi) ** 0.5 - 1 / np.pi**0.5
    assert metrics.crps(np.zeros(1), quantiles, levels.tolist()) == pytest.approx(closed, abs=1e-4)
    assert metrics.crps_ensemble(np.zeros(1), quantiles) == pytest.approx(closed, abs=1e-4)


def test_crps_of_even_quantiles_is_that_of_their_ensemble() -> None:
    members = np.array([[1.0, 2.0, 4.0, 9.0, 9.5], [0.0, 0.0, 3.0, 3.0, 7.0]])
    actual = np.array([5.0, -1.0])
    even = (0.1, 0.3, 0.5, 0.7, 0.9)
    assert metrics.crps(actual, members, even) == pytest.approx(metrics.crps_ensemble(actual, members), rel=1e-14)


def test_crps_of_an_ensemble_by_hand() -> None:
    # Distances to 4: 3, 2, 1, mean 2. Pairs of 1, 2, 5: 1, 4, 3, twice each: 16 of 9, halved: 8/9.
    assert metrics.crps_ensemble(np.array([4.0]), np.array([[5.0, 1.0, 2.0]])) == pytest.approx(2 - 8 / 9)


def test_widths_of_central_intervals() -> None:
    quantiles = np.array([[0.0, 1.0, 2.0, 4.0, 9.0], [1.0, 1.0, 1.0, 1.0, 2.0]])
    assert metrics.sharpness(quantiles, (0.05, 0.25, 0.5, 0.75, 0.95)) == {0.9: 5.0, 0.5: 1.5}
    assert metrics.interval_shares((0.1, 0.5, 0.75)) == {}


def test_observed_shares_by_hand() -> None:
    quantiles = np.array([[0.0, 3.0], [1.0, 1.0], [2.0, 3.0], [2.0, 2.5]])
    assert metrics.observed_shares(np.array([1.0, 1.0, 3.0, 3.0]), quantiles).tolist() == [0.25, 0.75]


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
        (lambda: metrics.wape(np.zeros(2), np.ones(2)), "everything that happened is zero"),
        (lambda: metrics.rolling_scales(np.arange(9.0), np.array([2]), 2), "after a season of 2 steps"),
        (lambda: metrics.rolling_scales(np.arange(9.0), np.array([10]), 2), r"in a series of \(9,\)"),
        (lambda: metrics.rolling_scales(np.ones(9), np.array([5]), 2), "repeats exactly"),
        (lambda: metrics.mase_over_windows(ACTUAL[None], POINT[None], np.ones(2)), "one of each window"),
        (lambda: metrics.crps(ACTUAL, POINT[:, None], (1.0,)), "must increase inside"),
        (lambda: metrics.crps_ensemble(ACTUAL, POINT[:3, None]), "one axis more"),
        (lambda: metrics.sharpness(POINT[:, None], (0.1, 0.9)), r"expected \(..., 2\)"),
        (lambda: metrics.observed_shares(ACTUAL, POINT), "must fit"),
        (lambda: metrics.weighted_quantile_loss(np.zeros(2), np.ones((2, 1)), (0.5,)), "is zero"),
    ],
)
def test_what_has_no_value_is_refused(call, message) -> None:
    with pytest.raises(PhysicsError, match=message):
        call()
