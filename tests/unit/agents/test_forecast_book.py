"""The book of day-ahead forecasts against numbers worked out by hand."""

import numpy as np
import pytest

from vpp_sim.agents.forecast_book import ForecastBook

LEVELS = (0.1, 0.5, 0.9)
ALWAYS = np.ones(2, dtype=np.bool_)


def quantiles(*medians: list[float], spread: float = 1.0) -> np.ndarray:
    """Return medians (series, hours) with quantiles `spread` below and above."""
    return np.array(medians)[..., None] + spread * np.array([-1.0, 0.0, 1.0])


def book(reference_kw: np.ndarray | None = None) -> ForecastBook:
    return ForecastBook("load", "lstm", LEVELS, homes=2, reference_kw=reference_kw)


def latest(*values: float) -> np.ndarray:
    """Return 24 hours of one value a series."""
    return np.repeat(np.array(values)[:, None], 24, axis=1)


def test_a_day_by_hand() -> None:
    """Two homes and their sum, two hours that begin an hour after the gate.

    Errors (median less outcome): home a +1, -2; home b 0, +0.5; sum +1, -1.5. The latest values were 2, 3 and 5.
    """
    made = book()
    said = quantiles([9.0, 3.0, 1.0], [9.0, 2.0, 2.0], [9.0, 5.0, 3.0])
    made.enter(0, said, latest(2.0, 3.0, 5.0), first_lead=1, hours=2)
    made.close(0, np.array([[2.0, 3.0], [2.0, 1.5], [4.0, 4.5]]), ALWAYS)
    homes, fleet = made.records()
    assert (homes.scope, homes.days, fleet.scope) == ("homes", 1, "fleet")
    assert homes.mae_kw == pytest.approx((1 + 2 + 0 + 0.5) / 4)
    assert homes.bias_kw == pytest.approx((1 - 2 + 0 + 0.5) / 4)
    assert homes.persistence_mae_kw == pytest.approx((0 + 1 + 1 + 1.5) / 4)
    assert homes.ratio_to_persistence == 1.0
    assert homes.coverage_80 == 0.75  # home a: 2 in 2..4, 3 not in 0..2; both of home b
    assert fleet.mae_kw == pytest.approx(1.25)
    assert fleet.coverage_80 == 0.5
    # Twice the pinball loss of an error e at level t is 2 max(t e, (t - 1) e), with e the outcome less the quantile.
    first = 2 * np.mean([0.9 * 0, 0.5 * 1, 0.1 * 2])  # quantiles 4, 5, 6; outcome 4
    second = 2 * np.mean([0.1 * 2.5, 0.5 * 1.5, 0.9 * 0.5])  # quantiles 2, 3, 4; outcome 4.5
    assert fleet.wql == pytest.approx((first + second) / 8.5)
    assert (fleet.error_to_reference, fleet.reference) == (None, "first 21 days")


def test_hours_that_do_not_count_are_left_out_of_coverage_alone() -> None:
    made = book()
    made.enter(0, quantiles([0.0, 1.0], [0.0, 1.0], [0.0, 2.0]), latest(0.0, 0.0, 0.0), first_lead=0, hours=2)
    made.close(0, np.array([[0.0, 5.0], [0.0, 1.0], [0.0, 6.0]]), np.array([False, True]))
    homes, fleet = made.records()
    assert (homes.coverage_80, fleet.coverage_80) == (0.5, 0.0)
    assert homes.mae_kw == pytest.approx(1.0)


def test_beyond_the_horizon_the_day_before_holds() -> None:
    """A horizon of 25 hours, a day that begins 24 hours after the gate: its second hour is the forecast's second."""
    said = quantiles(*[[*range(25)]] * 3)
    made = book()
    made.enter(0, said, latest(0.0, 0.0, 0.0), first_lead=24, hours=2)
    made.close(0, np.array([[24.0, 1.0]] * 3), ALWAYS)
    assert [row.mae_kw for row in made.records()] == [0.0, 0.0]


def test_a_day_that_was_not_entered_is_not_scored() -> None:
    made = book()
    made.close(0, np.ones((3, 2)), ALWAYS)
    assert made.records() == []


def test_drift_is_measured_against_the_card() -> None:
    made = book(np.array([0.5, np.nan, 2.0]))
    for day in range(10):
        made.enter(day, quantiles([1.0, 1.0], [1.0, 1.0], [2.0, 2.0]), latest(0.0, 0.0, 0.0), first_lead=0, hours=2)
        made.close(day, np.array([[2.0, 2.0], [2.0, 2.0], [4.0, 4.0]]), ALWAYS)
    homes, fleet = made.records()
    assert (homes.error_to_reference, homes.reference) == (2.0, "model card, for 1 of 2")
    assert (fleet.error_to_reference, fleet.reference) == (1.0, "model card")
    assert (fleet.alarms, fleet.first_alarm_day) == (0, None)


def test_an_error_that_grows_raises_an_alarm() -> None:
    rng, made = np.random.default_rng(5), book()
    for day in range(60):
        size = (1.0 if day < 30 else 6.0) * rng.lognormal(0.0, 0.1)
        made.enter(day, quantiles([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]), latest(1.0, 1.0, 1.0), first_lead=0, hours=2)
        made.close(day, np.array([[size, size], [1.0, 1.0], [size, size]]), ALWAYS)
    homes, fleet = made.records()
    assert (homes.alarms, fleet.alarms) == (1, 1)
    assert homes.first_alarm_day is not None
    assert 30 <= homes.first_alarm_day < 40
    assert fleet.error_to_reference is not None
    assert fleet.error_to_reference > 4
