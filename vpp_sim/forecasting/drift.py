r"""Drift of forecast errors: how they stand against those that the forecaster was accepted with, day by day.

Each day gives a series one mean absolute error. That of the last days is set beside a reference, the error of the model
card or of the first weeks, together with the bias and the coverage of the same days. These numbers say how things
stand; whether they *changed* is asked of a cumulative sum (CUSUM [1]_) over the logarithm of the daily error,

.. math:: S_d = \max(0, S_{d-1} + z_d - k), \quad \text{alarm while } S_d > h

where :math:`z_d` is the normal score of the day's error :math:`x_d` among the days before it [2]_ [3]_,

.. math:: z_d = \Phi^{-1} \Bigl( t_{r-1} \Bigl( \sqrt{\tfrac{r}{r+1}} \,
          \frac{x_d - \bar x_r - \phi (x_{d-1} - \bar x_r)}{s_r \sqrt{1 - \phi^2}} \Bigr) \Bigr)

with the mean and deviation of the r days before, Student's distribution, and the correlation :math:`\phi` of one day's
error with the next, estimated over all series so far: homes have weeks of guests and of absence (correlations of 0.4
to 0.7 were measured), and a sum that takes such days for independent raises alarms all the time. For steady days the
scores are near to independent standard normal from the first weeks on, without a reference period. :math:`k = 1/2` is
best for a shift of one deviation. Scores are cut at :math:`\pm 4`, so that no single day raises an alarm.

With :math:`h = 8`, independent scores bring a series a false alarm in 52 years on average (:func:`run_length_days`);
an error whose scores rise by one deviation is seen after 16 days, by two after 6, given many steady days before. A
change soon after the start, or too slow, becomes the new normal; it shows in the scaled error, whose reference stands.

References
----------
.. [1] E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954. https://doi.org/10.1093/biomet/41.1-2.100
.. [2] D. M. Hawkins, "Self-starting CUSUM charts for location and scale", The Statistician 36, 1987, pp. 299-315.
.. [3] C. P. Quesenberry, "On Properties of Q-Charts for Variables", Institute of Statistics Mimeo Series 2252, North
   Carolina State University, 1993.
.. [4] D. Brook and D. A. Evans, "An approach to the probability distribution of cusum run length", Biometrika 59, 1972.
   https://doi.org/10.1093/biomet/59.3.539
.. [5] F. H. C. Marriott and J. A. Pope, "Bias in the Estimation of Autocorrelations", Biometrika 41, 1954.
   https://doi.org/10.1093/biomet/41.3-4.390
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr

from vpp_sim.arrays import BoolArray, FloatArray, IntArray
from vpp_sim.errors import PhysicsError

__all__ = ["Drift", "DriftMonitor", "DriftSettings", "DriftSummary", "measure_drift", "run_length_days"]

_LARGEST_SCORE = 4.0
_LARGEST_PERSISTENCE = 0.9
_FIRST_SCORED_DAY = 2  # days that must have passed before a day can be scored
_SMALLEST_ERROR = 1e-3  # of the mean error before: a perfect day is no better than this, so that its logarithm exists


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """How drift is measured.

    Attributes
    ----------
    window_days : int
        Days over which error, bias and coverage are averaged.
    reference_days : int
        First days that give the reference error, where no model card does.
    slack : float
        What a day may score without being counted, :math:`k`, in deviations.
    threshold : float
        Sum beyond which there is an alarm, :math:`h`, in deviations.
    """

    window_days: int = 7
    reference_days: int = 21
    slack: float = 0.5
    threshold: float = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """How the forecasts of n series stand at the end of a day.

    Attributes
    ----------
    days : int
        Days seen so far.
    scaled_error : ndarray, shape (n,)
        Mean absolute error of the last days over the reference error; NaN before there is one.
    bias : ndarray, shape (n,)
        Mean of outcome less median over the last days, over the reference error: positive if forecasts are too low.
    coverage : ndarray, shape (n,)
        Share of the outcomes of the last days inside the interval.
    statistic : ndarray, shape (n,)
        The cumulative sum, in deviations.
    alarm : ndarray of bool, shape (n,)
        Whether the sum lies beyond the threshold today.
    first_alarm_day : ndarray of int, shape (n,)
        Day of the first alarm, from 0; -1 where there was none.
    """

    days: int
    scaled_error: FloatArray
    bias: FloatArray
    coverage: FloatArray
    statistic: FloatArray
    alarm: BoolArray
    first_alarm_day: IntArray

    def summary(self) -> DriftSummary:
        """Return what a report shows."""
        known = np.isfinite(self.scaled_error)
        ever = self.first_alarm_day >= 0
        worst = int(np.where(known, self.scaled_error, -np.inf).argmax()) if known.any() else -1
        return DriftSummary(
            series=len(self.alarm),
            days=self.days,
            scaled_error=_median(self.scaled_error),
            worst_scaled_error=float(self.scaled_error[worst]) if known.any() else float("nan"),
            worst_series=worst,
            bias=_median(self.bias),
            coverage=_median(self.coverage),
            series_with_alarm=int(ever.sum()),
            first_alarm_day=int(self.first_alarm_day[ever].min()) if ever.any() else -1,
        )


@dataclass(frozen=True, slots=True)
class DriftSummary:
    """What a report shows of drift; NaN where nothing is known.

    Attributes
    ----------
    series, days : int
        Number of series, and of days seen.
    scaled_error, bias, coverage : float
        Medians over the series of what :class:`Drift` holds.
    worst_scaled_error : float
        Highest scaled error of a series.
    worst_series : int
        Index of that series; -1 if none is known.
    series_with_alarm : int
        Series that ever raised an alarm.
    first_alarm_day : int
        Day of the earliest alarm, from 0; -1 if there was none.
    """

    series: int
    days: int
    scaled_error: float
    worst_scaled_error: float
    worst_series: int
    bias: float
    coverage: float
    series_with_alarm: int
    first_alarm_day: int


def _median(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


class DriftMonitor:
    """Follows the errors of n series, a day at a time.

    Parameters
    ----------
    series : int
        Number of series n.
    reference_error : ndarray, shape (n,), optional
        Mean absolute error to compare with, for example of the model card [unit of the data]; that of the first days
        if missing.
    settings : DriftSettings, optional
        How drift is measured.

    Examples
    --------
    >>> monitor = DriftMonitor(1, reference_error=np.array([2.0]))
    >>> actual, median = np.array([[3.0, 5.0]]), np.array([[2.0, 2.0]])
    >>> monitor.add_day(actual, median, low=median - 2, high=median + 2)
    >>> state = monitor.state()
    >>> state.scaled_error, state.bias, state.coverage
    (array([1.]), array([1.]), array([0.5]))
    """

    def __init__(
        self, series: int, *, reference_error: FloatArray | None = None, settings: DriftSettings | None = None
    ) -> None:
        self._settings = settings or DriftSettings()
        if reference_error is not None and reference_error.shape != (series,):
            raise PhysicsError(f"reference_error has shape {reference_error.shape}, expected {(series,)}")
        self._reference = reference_error
        self._first = np.zeros((2, series))  # sum of errors and number of steps, of the reference days
        self._window: deque[FloatArray] = deque(maxlen=self._settings.window_days)
        self._days = 0
        self._scored = np.zeros(series)  # days, mean and sum of squares about it, of log errors so far
        self._mean = np.zeros(series)
        self._squares = np.zeros(series)
        self._products = np.zeros(series)  # sum of products of neighbouring days, about the mean
        self._before = np.zeros(series)  # log error of the day before, less the mean
        self._level = np.zeros(series)  # mean daily error so far
        self._statistic = np.zeros(series)
        self._first_alarm = np.full(series, -1, dtype=np.int64)

    def add_day(self, actual: FloatArray, median: FloatArray, low: FloatArray, high: FloatArray) -> None:
        """Take in the outcomes and forecasts of one day.

        Parameters
        ----------
        actual, median, low, high : ndarray, shape (n, k)
            What happened in the k steps of the day, the forecast's median, and the bounds of the interval to watch;
            NaN where there was no reading or no forecast.

        Raises
        ------
        PhysicsError
            If shapes differ, or there is another number of series.
        """
        shape = (len(self._scored), *actual.shape[1:])
        if actual.ndim != 2 or not actual.shape == median.shape == low.shape == high.shape == shape:
            raise PhysicsError(
                f"actual {actual.shape}, median {median.shape}, low {low.shape} and high {high.shape} must have one "
                f"shape, with {len(self._scored)} series"
            )
        seen = np.isfinite(actual) & np.isfinite(median)
        error = np.where(seen, actual - median, 0.0)
        inside = seen & (actual >= low) & (actual <= high)
        steps = seen.sum(axis=1).astype(np.float64)
        total = np.abs(error).sum(axis=1)
        self._window.append(np.stack([total, error.sum(axis=1), inside.sum(axis=1), steps]))
        if self._days < self._settings.reference_days:
            self._first += np.stack([total, steps])
        self._watch(np.divide(total, steps, out=np.full_like(total, np.nan), where=steps > 0))
        self._days += 1

    def _watch(self, daily_error: FloatArray) -> None:
        """Score a day's error (n,) among those before it, add up, and only then learn from it."""
        seen = np.isfinite(daily_error)
        floor = _SMALLEST_ERROR * self._level + np.finfo(np.float64).tiny
        value = np.log(np.maximum(np.where(seen, daily_error, 1.0), floor))
        score = np.where(seen, self._score(value), 0.0)
        summed = np.maximum(0.0, self._statistic + score - self._settings.slack)
        self._statistic = np.where(seen & (self._scored >= _FIRST_SCORED_DAY), summed, self._statistic)
        new = (self._statistic > self._settings.threshold) & (self._first_alarm < 0)
        self._first_alarm[new] = self._days
        self._scored += seen
        count = np.maximum(self._scored, 1.0)
        away = np.where(seen, value - self._mean, 0.0)
        self._products += away * self._before
        self._mean += away / count
        self._before = np.where(seen, value - self._mean, 0.0)
        self._squares += away * self._before
        self._level += np.where(seen, daily_error - self._level, 0.0) / count

    def _score(self, value: FloatArray) -> FloatArray:
        """Return the normal score of `value` (n,) among all values before it, cut to what one day may say."""
        freedom = np.maximum(self._scored - 1.0, 1.0)
        share = self._persistence()
        deviation = np.sqrt(self._squares / freedom * (1.0 - share**2))
        away = (value - self._mean - share * self._before) * np.sqrt(self._scored / (self._scored + 1.0))
        # Without any scatter so far, a difference is beyond all measure and equality is none.
        with np.errstate(divide="ignore", invalid="ignore"):
            student = np.where(away == 0.0, 0.0, away / deviation)
        score: FloatArray = np.clip(ndtri(stdtr(freedom, student)), -_LARGEST_SCORE, _LARGEST_SCORE)
        return score

    def _persistence(self) -> float:
        """Return the correlation of a day's log error with the next day's, over all series, without its bias [5]_."""
        known = (self._squares > 0.0) & (self._scored > _FIRST_SCORED_DAY)
        if not known.any():
            return 0.0
        raw = float((self._products[known] / self._squares[known]).mean())
        days = float(self._scored[known].mean())
        return min(max(raw + (1.0 + 4.0 * raw) / days, 0.0), _LARGEST_PERSISTENCE)

    def state(self) -> Drift:
        """Return how things stand after the days so far."""
        sums = np.sum(self._window, axis=0) if self._window else np.zeros((4, len(self._scored)))
        error, signed, inside, steps = sums
        reference = self._reference_error()
        return Drift(
            days=self._days,
            scaled_error=_ratio(_ratio(error, steps), reference),
            bias=_ratio(_ratio(signed, steps), reference),
            coverage=_ratio(inside, steps),
            statistic=self._statistic.copy(),
            alarm=self._statistic > self._settings.threshold,
            first_alarm_day=self._first_alarm.copy(),
        )

    def _reference_error(self) -> FloatArray:
        """Return the reference error (n,), NaN until it is known."""
        if self._reference is not None:
            return self._reference
        known = self._days >= self._settings.reference_days
        return _ratio(*self._first) if known else np.full(len(self._scored), np.nan)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return the quotient, NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def measure_drift(
    actual: FloatArray,
    median: FloatArray,
    low: FloatArray,
    high: FloatArray,
    *,
    day_steps: int,
    reference_error: FloatArray | None = None,
    settings: DriftSettings | None = None,
) -> list[Drift]:
    """Return how things stood after each whole day of a run.

    Parameters
    ----------
    actual, median, low, high : ndarray, shape (n, T)
        What happened, the forecast's median, and the bounds of the interval to watch; NaN where there is none.
    day_steps : int
        Steps of a day.
    reference_error : ndarray, shape (n,), optional
        Mean absolute error to compare with [unit of the data]; that of the first days if missing.
    settings : DriftSettings, optional
        How drift is measured.

    Returns
    -------
    list of Drift
        One a day; the steps of an unfinished last day are left out.

    Raises
    ------
    PhysicsError
        If shapes do not fit together.

    Examples
    --------
    >>> week = np.ones((1, 7 * 24))
    >>> days = measure_drift(week, 0 * week, 0 * week, week, day_steps=24, reference_error=np.array([0.5]))
    >>> len(days), days[-1].scaled_error, days[-1].coverage
    (7, array([2.]), array([1.]))
    """
    monitor = DriftMonitor(len(actual), reference_error=reference_error, settings=settings)
    states = []
    for start in range(0, actual.shape[1] - day_steps + 1, day_steps):
        day = slice(start, start + day_steps)
        monitor.add_day(actual[:, day], median[:, day], low[:, day], high[:, day])
        states.append(monitor.state())
    return states


def run_length_days(shift: float = 0.0, settings: DriftSettings | None = None, *, cells: int = 400) -> float:
    """Return the mean number of days to an alarm, for independent normal scores that are off by `shift` deviations.

    The sum is followed as a Markov chain over `cells` intervals of equal length up to the threshold [4]_.

    Examples
    --------
    >>> round(run_length_days() / 365)  # years to a false alarm
    52
    >>> round(run_length_days(1.0), 1), round(run_length_days(2.0), 1)
    (16.4, 6.0)
    """
    chosen = settings or DriftSettings()
    width = 2.0 * chosen.threshold / (2 * cells - 1)
    middles = np.arange(cells) * width
    needed = middles[None, :] + width / 2 + chosen.slack - middles[:, None]  # score that leads to a cell's upper edge
    below = np.where(needed >= _LARGEST_SCORE, 1.0, np.where(needed < -_LARGEST_SCORE, 0.0, ndtr(needed - shift)))
    stays = np.diff(below, axis=1, prepend=0.0)
    return float(np.linalg.solve(np.eye(cells) - stays, np.ones(cells))[0])
