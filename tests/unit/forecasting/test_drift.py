"""Drift: what is measured equals hand arithmetic; alarms come when planted, and seldom otherwise."""

import math
from statistics import NormalDist, fmean, stdev

import numpy as np
import pytest
from scipy.stats import t as student

from vpp_sim.errors import PhysicsError
from vpp_sim.forecasting.drift import DriftMonitor, DriftSettings, measure_drift, run_length_days


def _follow(daily_error: np.ndarray, **given) -> DriftMonitor:
    """Feed a monitor days of one step whose absolute error is given, shape (n, days); outcomes lie above the median."""
    monitor = DriftMonitor(len(daily_error), **given)
    for error in daily_error.T:
        zero = np.zeros((len(error), 1))
        monitor.add_day(error[:, None], zero, zero, zero + 1.0)
    return monitor


def _noise(series: int, days: int, seed: int, persistence: float = 0.0) -> np.ndarray:
    """Return log-normal daily errors, each day's logarithm correlated with the next's."""
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(series, days))
    for day in range(1, days):
        level[:, day] = persistence * level[:, day - 1] + math.sqrt(1 - persistence**2) * level[:, day]
    return np.exp(0.3 * level)


def test_error_bias_and_coverage_by_hand() -> None:
    # Two steps a day. Reference: the first two days, |1| |3| |2| |2|, mean 2. Window: the last two days,
    # errors 4, -2 and 6, 0: mean absolute 3, mean 2; inside the interval of +-2: -2 and 0, two of four.
    errors = np.array([[1.0, 3.0, -2.0, 2.0, 4.0, -2.0, 6.0, 0.0]])
    median = np.full_like(errors, 10.0)
    settings = DriftSettings(window_days=2, reference_days=2)
    days = measure_drift(median + errors, median, median - 2, median + 2, day_steps=2, settings=settings)
    assert [state.days for state in days] == [1, 2, 3, 4]
    assert math.isnan(days[0].scaled_error[0])  # no reference yet
    assert days[1].scaled_error[0] == 1.0
    assert (days[3].scaled_error[0], days[3].bias[0], days[3].coverage[0]) == (1.5, 1.0, 0.5)
    assert days[0].coverage[0] == 0.5  # coverage needs no reference


def test_the_reference_of_a_model_card() -> None:
    state = _follow(np.array([[3.0], [3.0]]), reference_error=np.array([2.0, 6.0])).state()
    assert state.scaled_error.tolist() == [1.5, 0.5]


def test_the_sum_by_hand() -> None:
    """Fifth day of 1, 1.5, 1, 1.5: scored by Student's t, with what the persistence of the four days takes away."""
    errors = [1.0, 1.5, 1.0, 1.5, 4.0]
    logs = [math.log(error) for error in errors]
    monitor = _follow(np.array([errors[:4]]))
    # The days alternate, so their correlation is negative and counts as none: a plain t with 3 degrees of freedom.
    before = monitor.state().statistic[0]
    away = (logs[4] - fmean(logs[:4])) / stdev(logs[:4]) * math.sqrt(4 / 5)
    score = NormalDist().inv_cdf(float(student.cdf(away, 3)))
    after = _follow(np.array([errors])).state().statistic[0]
    assert after == pytest.approx(before + score - 0.5, rel=1e-9)
    assert score < 4.0


def test_scores_of_steady_days_are_standard_normal() -> None:
    """Without slack nor floor the sum of the third day on is the score itself."""
    settings = DriftSettings(slack=-100.0, threshold=1e9)
    errors = _noise(4000, 12, seed=1)
    scores = (
        _follow(errors, settings=settings).state().statistic
        - _follow(errors[:, :-1], settings=settings).state().statistic
    )
    assert (scores - 100.0).mean() == pytest.approx(0.0, abs=0.05)
    assert (scores - 100.0).std() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("persistence", [0.0, 0.5])
def test_false_alarms_are_as_rare_as_stated(persistence: float) -> None:
    monitor = _follow(_noise(2000, 365, seed=2, persistence=persistence))
    stated = 1.0 - math.exp(-365 / run_length_days())
    assert stated == pytest.approx(0.019, abs=0.001)
    found = (monitor.state().first_alarm_day >= 0).mean()
    assert 0.3 * stated < found < 2.0 * stated  # 0.019 of 2000 scatters by 0.003


def test_a_planted_shift_is_seen_in_the_stated_time() -> None:
    """Errors half as large again after 200 days, 1.35 deviations of their daily scatter."""
    errors = _noise(200, 260, seed=3)
    errors[:100, 200:] *= 1.5
    state = _follow(errors).state()
    first = state.first_alarm_day[:100]
    seen = first[first >= 200] - 199
    stated = run_length_days(math.log(1.5) / 0.3)
    assert stated == pytest.approx(10.1, abs=0.2)
    assert len(seen) >= 97
    assert float(np.median(seen)) == pytest.approx(stated, abs=3)
    assert (state.first_alarm_day[100:] >= 0).mean() < 0.05


def test_errors_that_fall_raise_no_alarm() -> None:
    errors = _noise(50, 200, seed=4)
    errors[:, 100:] /= 3.0
    assert (_follow(errors).state().first_alarm_day < 100).all()


def test_one_wild_day_raises_no_alarm() -> None:
    errors = _noise(50, 120, seed=5)
    errors[:, 100] = 1e6
    state = _follow(errors[:, :101]).state()
    assert not state.alarm.any()
    assert state.statistic.max() > 3.0


def test_an_alarm_stays_until_the_sum_falls_and_is_remembered() -> None:
    errors = np.concatenate([_noise(1, 100, seed=6), 4.0 * _noise(1, 10, seed=7), 0.25 * _noise(1, 40, seed=8)], axis=1)
    during, after = (_follow(errors[:, :days]).state() for days in (110, 150))
    assert during.alarm[0]
    assert not after.alarm[0]
    assert during.first_alarm_day[0] == after.first_alarm_day[0]
    assert 100 <= after.first_alarm_day[0] < 110


@pytest.mark.parametrize("error", [0.0, 2.0])
def test_series_without_scatter(error: float) -> None:
    state = _follow(np.full((1, 40), error)).state()
    assert state.statistic[0] == 0.0
    assert math.isnan(state.scaled_error[0]) if error == 0.0 else state.scaled_error[0] == 1.0
    moved = np.full((1, 40), error)
    moved[0, 36:] = 3.0  # four days beyond all measure, 3.5 each but as errors pile up they are less so
    assert _follow(moved).state().alarm[0]


def test_what_is_not_known_counts_as_nothing() -> None:
    errors = _noise(2, 60, seed=9)
    holes = errors.copy()
    holes[0, 30:35] = np.nan
    whole, torn = (_follow(each).state() for each in (np.delete(errors, np.s_[30:35], axis=1)[1:], holes[1:]))
    assert torn.days == 60
    assert whole.days == 55
    state = _follow(holes).state()
    assert np.isfinite(state.statistic).all()
    assert np.isfinite(state.scaled_error).all()
    empty = _follow(np.full((1, 30), np.nan)).state()
    assert math.isnan(empty.scaled_error[0])
    assert math.isnan(empty.coverage[0])
    assert empty.statistic[0] == 0.0


def test_series_do_not_mix_but_for_their_persistence() -> None:
    errors = _noise(3, 80, seed=10)
    alone = _follow(errors[:1]).state()
    together = _follow(np.concatenate([errors[:1], 100.0 * errors[:1]])).state()
    np.testing.assert_allclose(together.statistic, alone.statistic[0], rtol=1e-6)
    np.testing.assert_allclose(together.scaled_error, alone.scaled_error[0], rtol=1e-12)


def test_summary_of_a_report() -> None:
    errors = np.concatenate(
        [np.full((2, 30), [[1.0], [2.0]]) * (1 + 0.1 * (np.arange(30) % 2)), _noise(1, 30, seed=11)]
    )
    errors[1, 23:] *= 5.0
    summary = _follow(errors).state().summary()
    assert summary.series == 3
    assert summary.days == 30
    assert summary.worst_series == 1
    assert summary.worst_scaled_error == pytest.approx(5.0, rel=0.02)
    assert summary.scaled_error == pytest.approx(1.0, abs=0.1)
    assert summary.series_with_alarm == 1
    assert 23 < summary.first_alarm_day <= 29
    empty = DriftMonitor(2).state().summary()
    assert (empty.days, empty.worst_series, empty.first_alarm_day) == (0, -1, -1)
    assert math.isnan(empty.scaled_error)


@pytest.mark.parametrize(("slack", "threshold"), [(0.25, 8.01), (0.5, 4.77), (0.75, 3.34), (1.0, 2.52), (1.25, 1.99)])
def test_run_lengths_of_the_textbook(slack: float, threshold: float) -> None:
    """Montgomery, "Introduction to Statistical Quality Control": these pairs give 370 days on two sides, 740 on one."""
    settings = DriftSettings(slack=slack, threshold=threshold)
    assert run_length_days(settings=settings) == pytest.approx(740, rel=0.02)


@pytest.mark.parametrize(("shift", "days"), [(0.0, 930), (0.5, 38.0), (1.0, 10.4), (2.0, 4.01)])
def test_run_lengths_at_threshold_five(shift: float, days: float) -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.3.1, one-sided, k = 0.5, h = 5."""
    assert run_length_days(shift, DriftSettings(threshold=5.0)) == pytest.approx(days, rel=0.005)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(PhysicsError, match=r"reference_error has shape \(1,\), expected \(2,\)"):
        DriftMonitor(2, reference_error=np.ones(1))
    with pytest.raises(PhysicsError, match=r"low \(2, 4\).* with 2 series"):
        DriftMonitor(2).add_day(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 4)), np.ones((2, 3)))
    with pytest.raises(PhysicsError, match="with 2 series"):
        DriftMonitor(2).add_day(*(np.ones((3, 3)) for _ in range(4)))


def test_persistence_is_estimated_without_bias() -> None:
    """Twenty days of a correlation of 0.5: the plain estimate is short by about (1 + 4 x 0.5) / 20 = 0.15."""
    assert _follow(_noise(4000, 20, seed=12, persistence=0.5))._persistence() == pytest.approx(0.5, abs=0.04)
