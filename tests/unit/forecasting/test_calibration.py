"""Calibration: coverage comes back to nominal, nothing crosses, nothing is known early."""

import pickle
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vpp_sim.errors import PhysicsError
from vpp_sim.forecasting.calibration import CalibrationSettings, QuantileCalibrator, calibrate
from vpp_sim.forecasting.metrics import coverage, interval_shares, observed_shares

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
NORMAL = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
SIGMA_KW = np.array([0.01, 0.5, 40.0])[:, None]  # three series, of very unlike scale
STEPS = 24


def _backtest(origins: int, believed: float, seed: int, true=lambda day: 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return quantiles and outcomes, day by day, of a forecaster who takes the noise for `believed` times what it is.

    The noise has the scale of the hour: little at night, most at noon.
    """
    rng = np.random.default_rng(seed)
    hourly = 0.2 + np.sin(np.pi * np.arange(STEPS) / STEPS)
    level = 5.0 * SIGMA_KW * np.ones(STEPS)
    noise = np.stack([rng.normal(size=level.shape) * true(day) for day in range(origins)])
    spread = believed * SIGMA_KW * hourly
    quantiles = np.broadcast_to((level[..., None] + spread[..., None] * NORMAL), (origins, *level.shape, 7))
    return quantiles, level + noise * SIGMA_KW * hourly


def _days(count: int) -> np.ndarray:
    return STEPS * np.arange(count)


def _coverages(actual: np.ndarray, quantiles: np.ndarray) -> dict[float, float]:
    return {s: coverage(actual, quantiles[..., a], quantiles[..., b]) for s, (a, b) in interval_shares(LEVELS).items()}


@pytest.mark.parametrize("believed", [0.4, 2.5])
def test_coverage_of_a_wrong_spread_returns_to_nominal(believed: float) -> None:
    quantiles, actual = _backtest(300, believed, seed=1)
    raw = _coverages(actual, quantiles)
    assert abs(raw[0.8] - 0.8) > 0.15
    fixed = calibrate(quantiles, actual, LEVELS, origins=_days(300))
    for share, found in _coverages(actual[60:], fixed[60:]).items():
        assert found == pytest.approx(share, abs=0.01)
    np.testing.assert_allclose(
        observed_shares(actual[60:], fixed[60:])[[0, 1, 2, 4, 5, 6]], np.delete(LEVELS, 3), atol=0.01
    )
    for series in range(3):  # a hundredth of a kW and forty alike
        assert _coverages(actual[60:, series], fixed[60:, series])[0.9] == pytest.approx(0.9, abs=0.02)


def test_a_change_of_the_noise_is_followed() -> None:
    quantiles, actual = _backtest(400, 1.0, seed=2, true=lambda day: 1.0 if day < 200 else 2.0)
    fixed = calibrate(quantiles, actual, LEVELS, origins=_days(400))
    assert _coverages(actual[200:], quantiles[200:])[0.9] < 0.62
    assert _coverages(actual[190:200], fixed[190:200])[0.9] == pytest.approx(0.9, abs=0.03)
    assert _coverages(actual[230:260], fixed[230:260])[0.9] == pytest.approx(0.9, abs=0.04)
    assert _coverages(actual[260:], fixed[260:])[0.9] == pytest.approx(0.9, abs=0.01)


def test_a_calibrated_forecast_stays_nearly_as_it_was() -> None:
    quantiles, actual = _backtest(300, 1.0, seed=3)
    fixed = calibrate(quantiles, actual, LEVELS, origins=_days(300))
    assert _coverages(actual, fixed)[0.8] == pytest.approx(0.8, abs=0.01)
    width, wide = ((q[100:, ..., -1] - q[100:, ..., 0]).mean(axis=(0, 2)) for q in (quantiles, fixed))
    np.testing.assert_allclose(wide / width, 1.0, atol=0.04)


def test_a_bias_is_corrected_on_its_own_side() -> None:
    quantiles, actual = _backtest(300, 1.0, seed=4)
    fixed = calibrate(quantiles, actual + 0.5 * SIGMA_KW, LEVELS, origins=_days(300))
    shares = observed_shares((actual + 0.5 * SIGMA_KW)[100:], fixed[100:])
    assert shares[-1] == pytest.approx(0.95, abs=0.01)
    assert shares[0] == pytest.approx(0.05, abs=0.01)
    factor_low, factor_high = (abs(fixed[-1, 1, 12, i] - fixed[-1, 1, 12, 3]) / NORMAL[6] for i in (0, 6))
    assert factor_high > 1.5 * factor_low


def test_one_step_by_hand() -> None:
    # Rate 1 at the first outcome. Above the 90 % quantile: c = 1 - 0.1; not below the 10 % quantile: c = -0.1.
    calibrator = QuantileCalibrator((0.1, 0.5, 0.9), series=1, horizon_steps=1, settings=CalibrationSettings(blocks=1))
    calibrator.apply(np.array([[[8.0, 10.0, 11.0]]]))
    calibrator.update(np.array([[11.5]]))
    np.testing.assert_allclose(calibrator.factors[0, 0], np.exp([-0.1, 0.0, 0.9]))
    np.testing.assert_allclose(
        calibrator.apply(np.array([[[8.0, 10.0, 11.0]]]))[0, 0], [10 - 2 * np.exp(-0.1), 10.0, 10 + np.exp(0.9)]
    )
    # A second outcome, on the 90 % quantile itself: inside. Rate 2^-0.6.
    calibrator.update(np.array([[10 + np.exp(0.9)]]))
    np.testing.assert_allclose(calibrator.factors[0, 0, 2], np.exp(0.9 - 0.1 * 2**-0.6))


def test_the_median_never_moves() -> None:
    quantiles, actual = _backtest(50, 0.3, seed=5)
    fixed = calibrate(quantiles, actual, LEVELS, origins=_days(50))
    np.testing.assert_array_equal(fixed[..., 3], quantiles[..., 3])


@pytest.mark.parametrize("gap", [1, 7, 24, 40])
def test_batch_and_online_are_one(gap: int) -> None:
    rng = np.random.default_rng(6)
    origins = gap * np.arange(40)
    truth = rng.gamma(2.0, 1.0, size=(2, origins[-1] + STEPS))
    quantiles = np.sort(rng.gamma(2.0, 0.7, size=(40, 2, STEPS, 7)), axis=-1)
    actual = np.stack([truth[:, origin : origin + STEPS] for origin in origins])
    batch = calibrate(quantiles, actual, LEVELS, origins=origins, non_negative=True)
    calibrator = QuantileCalibrator(LEVELS, series=2, horizon_steps=STEPS, non_negative=True)
    for index, origin in enumerate(origins):
        np.testing.assert_allclose(calibrator.apply(quantiles[index]), batch[index], rtol=1e-12)
        calibrator.update(truth[:, origin : origin + gap])


def test_forecasts_that_overlap_count_an_outcome_once_in_a_block() -> None:
    """Issued at every step, two blocks of four: four forecasts meet an outcome in each block, and count a quarter."""
    settings = CalibrationSettings(blocks=2, first_rate=0.05)
    calibrator = QuantileCalibrator(LEVELS, series=200, horizon_steps=8, settings=settings)
    assert [calibrator.weight(gap) for gap in (1, 3, 4, 24)] == [0.25, 0.75, 1.0, 1.0]
    rng = np.random.default_rng(13)
    quantiles = np.broadcast_to(NORMAL, (200, 8, 7))
    for _ in range(150):
        calibrator.apply(quantiles)
        calibrator.update(rng.normal(size=(200, 1)))
    # A tracker of step 0.05 that meets each outcome once swings by sqrt(0.05 * 0.05 * 0.95 / (2 * 0.17)) = 0.084,
    # 0.17 being the density of a normal's |y| / 1.645 at one; counted in full, four at once, it would be twice that.
    assert np.log(calibrator.factors[:, 1, 6]).std() == pytest.approx(0.084, rel=0.25)


def test_no_outcome_is_used_before_it_is_known() -> None:
    """Outcomes from step 96 on are changed: forecasts issued at or before step 96 must not notice."""
    rng = np.random.default_rng(7)
    origins = 6 * np.arange(40)
    truth = rng.normal(size=(1, 300))
    other = np.where(np.arange(300) < 96, truth, 50.0)
    quantiles = np.broadcast_to(NORMAL, (40, 1, STEPS, 7))
    first, second = (
        calibrate(quantiles, np.stack([y[:, o : o + STEPS] for o in origins]), LEVELS, origins=origins)
        for y in (truth, other)
    )
    known = origins <= 96
    np.testing.assert_array_equal(first[known], second[known])
    assert (first[~known] != second[~known]).any()
    assert (first[int(known.sum()) - 1] != first[0]).any()


finite = st.floats(-1e6, 1e6)


@given(
    quantiles=hnp.arrays(np.float64, (3, 2, 8, 7), elements=finite),
    actual=hnp.arrays(np.float64, (3, 2, 8), elements=finite | st.just(np.nan)),
    non_negative=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_nothing_crosses_whatever_comes(quantiles: np.ndarray, actual: np.ndarray, non_negative: bool) -> None:
    fixed = calibrate(quantiles, actual, LEVELS, origins=np.array([0, 3, 8]), non_negative=non_negative)
    assert (np.diff(fixed, axis=-1) >= 0.0).all()
    if non_negative:
        assert fixed.min() >= 0.0
        np.testing.assert_array_equal(fixed[..., 3], np.maximum(quantiles[..., 3], 0.0))
    else:
        np.testing.assert_array_equal(fixed[..., 3], quantiles[..., 3])


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_series_that_never_moves_breaks_nothing(value: float) -> None:
    quantiles = np.full((50, 1, STEPS, 7), value)
    fixed = calibrate(quantiles, np.full((50, 1, STEPS), value), LEVELS, origins=_days(50), non_negative=True)
    np.testing.assert_array_equal(fixed, quantiles)


def test_factors_stay_inside_their_bounds() -> None:
    quantiles = np.broadcast_to(NORMAL, (200, 2, STEPS, 7))
    actual = np.stack([np.zeros((200, STEPS)), np.full((200, STEPS), 1e9)], axis=1)  # always inside; always above
    calibrator = QuantileCalibrator(LEVELS, series=2, horizon_steps=STEPS, settings=CalibrationSettings(rate=0.5))
    for day in range(200):
        calibrator.apply(quantiles[day])
        calibrator.update(actual[day])
    assert calibrator.factors[:, :, [0, 6]].min() == pytest.approx(1 / 20)
    assert calibrator.factors[1, :, 6].tolist() == pytest.approx([20.0] * 4)
    assert (calibrator.factors[..., 3] == 1.0).all()


def test_dark_hours_teach_nothing() -> None:
    """Solar output: nights are certain. Days must be covered as they should, not days and nights together."""
    rng = np.random.default_rng(8)
    sun = np.maximum(np.sin(np.pi * (np.arange(STEPS) - 9) / 9), 0.0) * (
        np.arange(STEPS) > 9
    )  # half of two blocks is dark
    spread = 0.1 * sun + 1e-6  # a network's head leaves a trace of width at night
    quantiles = np.maximum(np.broadcast_to(5.0 * sun[:, None] + spread[:, None] * NORMAL, (300, 1, STEPS, 7)), 0.0)
    actual = np.maximum(5.0 * sun + 0.3 * sun * rng.normal(size=(300, 1, STEPS)), 0.0)
    fixed = calibrate(quantiles, actual, LEVELS, origins=_days(300), non_negative=True)
    day = sun > 1e-9
    assert _coverages(actual[60:][..., day], fixed[60:][..., day, :])[0.9] == pytest.approx(0.9, abs=0.02)
    assert fixed[..., ~day, :].max() < 1e-4


def test_missing_readings_are_passed_over() -> None:
    quantiles, actual = _backtest(300, 0.4, seed=9)
    holes = np.where(np.random.default_rng(10).random(actual.shape) < 0.3, np.nan, actual)
    fixed = calibrate(quantiles, holes, LEVELS, origins=_days(300))
    assert np.isfinite(fixed).all()
    assert _coverages(actual[100:], fixed[100:])[0.8] == pytest.approx(0.8, abs=0.015)
    unread = calibrate(quantiles, np.full_like(actual, np.nan), LEVELS, origins=_days(300))
    np.testing.assert_allclose(unread, quantiles, rtol=1e-12)


def test_a_pickled_calibrator_goes_on_as_before() -> None:
    quantiles, actual = _backtest(4, 0.4, seed=11)
    calibrator = QuantileCalibrator(LEVELS, series=3, horizon_steps=STEPS)
    calibrator.apply(quantiles[0])
    calibrator.update(actual[0][:, :10])
    twin = pickle.loads(pickle.dumps(calibrator))
    for each in (calibrator, twin):
        each.update(actual[0][:, 10:])
    np.testing.assert_array_equal(calibrator.apply(quantiles[1]), twin.apply(quantiles[1]))
    assert (calibrator.factors[:, 3] != 1.0).any()


def test_inputs_are_left_alone() -> None:
    quantiles, actual = _backtest(2, 0.4, seed=12)
    quantiles = quantiles.copy()
    kept = quantiles.copy()
    calibrator = QuantileCalibrator(LEVELS, series=3, horizon_steps=STEPS)
    calibrator.apply(quantiles[0])
    np.testing.assert_array_equal(quantiles, kept)
    quantiles[:] = 0.0  # the caller may use its array anew
    calibrator.update(actual[0])
    assert (calibrator.factors[..., 6] > 1.0).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: QuantileCalibrator((0.1, 0.9), series=1, horizon_steps=24), r"levels \(0.1, 0.9\) must increase"),
        (lambda: QuantileCalibrator((), series=1, horizon_steps=24), "must increase"),
        (lambda: QuantileCalibrator((0.5, 0.4), series=1, horizon_steps=24), "must increase"),
        (lambda: QuantileCalibrator((0.5,), series=1, horizon_steps=3), "4 blocks do not fit a horizon of 3 steps"),
        (
            lambda: QuantileCalibrator((0.5,), series=2, horizon_steps=4).apply(np.zeros((1, 4, 1))),
            r"quantiles has shape \(1, 4, 1\), expected \(2, 4, 1\)",
        ),
        (
            lambda: QuantileCalibrator((0.5,), series=1, horizon_steps=4).apply(np.full((1, 4, 1), np.nan)),
            "4 values that are not finite",
        ),
        (lambda: QuantileCalibrator((0.5,), series=2, horizon_steps=4).update(np.zeros(4)), "expected 2 series"),
        (
            lambda: calibrate(np.zeros((2, 1, 4, 1)), np.zeros((2, 1, 4)), (0.5,), origins=np.array([3, 3])),
            "origins must increase",
        ),
        (
            lambda: calibrate(np.zeros((2, 1, 4, 1)), np.zeros((2, 1, 3)), (0.5,), origins=np.array([0, 1])),
            "do not fit together",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        call()
