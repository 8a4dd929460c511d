r"""Weather forecasts made from observations: errors that grow with lead time, correlated in time, calibrated.

Use it where no archived forecasts exist. It makes a forecast as *observation plus error*; it knows no meteorology.

**How runs hang together.** The error of a run at a valid time is a sum of *updates*, one for each later run up to
that time, and of a rest that no run removes. The next run removes its own update; so it is better than the last one
in expectation at every valid time, and successive runs are alike: at lead :math:`l` their errors correlate with
:math:`\sigma(l - 6\,\mathrm{h}) / \sigma(l)`. Given the newest run's temperature, older ones tell nothing more. (This
is the martingale model of forecast evolution [1]_, here with errors independent of the observation.) The variance by
lead is that of an Ornstein-Uhlenbeck process that starts from a known error,

.. math:: \sigma^2(l) = \sigma_0^2 + (\sigma_\infty^2 - \sigma_0^2) (1 - e^{-l/\tau}),

and each update is itself AR(1) along its leads, as is the rest along valid time, so an error lasts for hours.

**Temperature.** The error is Gaussian and added. :math:`\sigma_0` = 0.9, :math:`\sigma_\infty` = 2.6 degC,
:math:`\tau` = 110 h, which gives an RMSE of 1.4 at 24 h, 1.7 at 48 h and 1.9 degC at 72 h. Chosen within what is
published and what the site allows:

- 1.5 to 2.1 degC is the *mean absolute* error over 0 to 72 h of six models at 14 Polish stations [2]_, some 1.9 to 2.6
  as RMSE of a Gaussian; 3 degC is the typical RMSE of GFS over all land stations, biases and mountains included, and
  its error at 0 h is nearly that at 36 h [3]_ (hence a :math:`\sigma_0` far from zero).
- The weather of the Fontana homes is a mild coast's: a forecast that says "as yesterday at this hour" errs by 1.8 degC,
  "as three days ago" by 2.5, the mean of the month and hour by 1.84 (measured on the year). The published figures taken
  as they are would make a forecast worse than the calendar. :math:`\sigma_\infty` is :math:`\sqrt{2}` times that
  1.84: the RMSE of a forecast of right variance and no skill.

**Irradiance.** The error acts on the clearness :math:`k`, irradiance as a share of a ceiling: 1.1 times a clear
sky's, or the observation where that is higher. The forecast :math:`k` follows a Beta distribution of mean :math:`k`
(so there is no bias at any :math:`k`) and standard deviation :math:`r(l) \sqrt{k (1 - k)}`, reached through the same
Gaussian error process; so nights stay dark, nothing is negative or above the ceiling, and broken clouds err more than
a clear or a closed sky. :math:`r_0` = 0.33, :math:`r_\infty` = 0.656, :math:`\tau` = 118 h. Over the Fontana year
this gives an RMSE, as a share of the mean by daylight, of 20 % at 0 h, 25 % at 24 h, 28 % at 48 h and 31 % at 72 h.
Chosen within:

- For day-ahead forecasts on the coast of California, a mean absolute error of 18.2 % is published for a model that
  assimilates clouds, and some 5.5 % more for NAM [4]_ (the abstract does not say of which mean). Here it is 18 % of the
  mean by daylight over leads of 24 to 47 h.
- "As yesterday at this hour" errs here by 36 % RMSE and 21 % mean absolute; the best models of a comparison over three
  regions have a skill of about 50 % against persistence [5]_. 25 % at 24 h is a skill of 30 %: cautious.
- Over days 1 to 3, the RMSE of ECMWF's direct irradiance in southern Portugal grows by some 45 % [6]_; global
  irradiance, part diffuse, grows less: 23 % here.

**Chosen freely**: errors last 12 h (temperature) and 4 h (clearness), as e-folding times of their correlation; no
source was found that would fix them. **Left out**: bias, seasons, and the link between an error in cloud and one in
temperature. The forecasts vary more than the observation (by :math:`\sigma^2`), as raw model output does; a model
that is trained on them learns to damp them.

The CityLearn challenge of 2022, from which the Fontana homes come, ships columns called 6 h, 12 h and 24 h predictions.
Their error is zero in all 8760 rows of all four series: they are the future values themselves.

References
----------
.. [1] D. C. Heath, P. L. Jackson, "Modeling the evolution of demand forecasts with application to safety stock
   analysis in production/distribution systems", IIE Transactions 26(3), 1994.
.. [2] S. Kendzierski, B. Czernecki, L. Kolendowicz, A. Jaczewski, "Air temperature forecasts' accuracy of selected
   short-term and long-term numerical weather prediction models over Poland", Geofizika 35, 2018.
   https://doi.org/10.15233/gfz.2018.35.5
.. [3] "Patterns of Land Surface Errors and Biases in the Global Forecast System", Monthly Weather Review, 2011.
.. [4] P. Mathiesen, C. Collier, J. Kleissl, "A high-resolution, cloud-assimilating numerical weather prediction model
   for solar irradiance forecasting", Solar Energy 92, 2013.
.. [5] R. Perez et al., "Comparison of numerical weather prediction solar irradiance forecasts in the US, Canada and
   Europe", Solar Energy 94, 2013, pp. 305-326.
.. [6] "Assessment of Direct Normal Irradiance Forecasts Based on IFS/ECMWF Data and Observations in the South of
   Portugal", Forecasting 2(2), 2020.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.data.weather import WEATHER_NAMES
from vpp_sim.data.weather_forecast import on_runs, refuse_path, runs_for
from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from vpp_sim.arrays import IntArray
    from vpp_sim.data.weather import ObservedWeather
    from vpp_sim.data.weather_forecast import Runs, WeatherForecastOptions

__all__ = ["CLEARNESS", "TEMPERATURE", "ErrorGrowth", "WeatherErrorModel"]

_HOUR_S = 3600
_OVER_CLEAR_SKY = 1.1
_FORGOTTEN = 5
"""Correlation times after which the rest of the error is taken to have forgotten a shock."""


@dataclass(frozen=True, slots=True)
class ErrorGrowth:
    """Standard deviation of an error by lead, and how long an error lasts.

    Attributes
    ----------
    start, limit : float
        Standard deviation at lead zero and at infinite lead, in the unit of what errs.
    growth_h : float
        Time after which 63 % of the growth of the variance is done [h].
    lasts_h : float
        Time after which the correlation of an error with itself has fallen to 1/e [h].

    Raises
    ------
    DataError
        If an error would shrink with lead, or a time is not positive.

    Examples
    --------
    >>> TEMPERATURE.at(np.array([0.0, 24.0, 48.0, 72.0])).round(2)
    array([0.9 , 1.41, 1.71, 1.92])
    """

    start: float
    limit: float
    growth_h: float
    lasts_h: float

    def __post_init__(self) -> None:
        if not (0 <= self.start <= self.limit and self.growth_h > 0 and self.lasts_h > 0):
            raise DataError(f"an error grows from a start to a limit not below it, in positive times; got {self}")

    def at(self, lead_h: FloatArray) -> FloatArray:
        """Return the standard deviation at each lead [h], shape of `lead_h`."""
        grown = -np.expm1(-lead_h / self.growth_h)
        deviation: FloatArray = np.sqrt(self.start**2 + (self.limit**2 - self.start**2) * grown)
        return deviation


TEMPERATURE = ErrorGrowth(start=0.9, limit=2.6, growth_h=110.0, lasts_h=12.0)
"""Error of temperature [degC]."""

CLEARNESS = ErrorGrowth(start=0.33, limit=0.656, growth_h=118.0, lasts_h=4.0)
"""Error of the clearness k, as a share of the largest that its range allows, the square root of k (1 - k)."""


class WeatherErrorModel:
    """Forecasts made from observations; the module says how, and what the numbers rest on.

    The draws belong to the seed and a run's time, so an issue's errors do not depend on where the series begins or
    ends, nor on the horizon.

    Parameters
    ----------
    options : WeatherForecastOptions
        Seed, cadence and delay.
    temperature, clearness : ErrorGrowth
        Errors by lead; those of clearness at most 1.

    Raises
    ------
    DataError
        If the options name a file, or the error of clearness exceeds what its range allows.
    """

    def __init__(
        self,
        options: WeatherForecastOptions,
        *,
        temperature: ErrorGrowth = TEMPERATURE,
        clearness: ErrorGrowth = CLEARNESS,
    ) -> None:
        refuse_path("error_model", options)
        if not 0 < clearness.start <= clearness.limit < 1:
            raise DataError(f"the error of clearness lies between 0 and 1, exclusive; got {clearness}")
        self._options, self._temperature, self._clearness = options, temperature, clearness

    def issue(self, observed: ObservedWeather, horizon_steps: int) -> IssuedForecasts:
        """Return forecasts of `observed`, NaN beyond its ends."""
        runs = runs_for(observed, self._options)
        truth = on_runs(observed.values, runs.issued_at, horizon_steps)
        ceiling_w_m2 = np.maximum(_OVER_CLEAR_SKY * observed.clear_sky_w_m2, observed.ghi_w_m2)
        ceiling = on_runs(ceiling_w_m2[:, None], runs.issued_at, horizon_steps)[:, :, 0]
        lead_h = _leads_h(runs, runs.first_lead + np.arange(horizon_steps), observed.step_s)
        seed, step_s = self._options.seed, observed.step_s
        shift = _errors(seed, "temperature", self._temperature, runs, horizon_steps, step_s)
        cloud = _errors(seed, "clearness", self._clearness, runs, horizon_steps, step_s)
        temperature_c = truth[:, :, 0] + self._temperature.at(lead_h) * shift
        ghi_w_m2 = _clouded(truth[:, :, 1], ceiling, cloud, self._clearness.at(lead_h))
        note = f"error_model: errors added to the observed weather, seed {seed}"
        return IssuedForecasts(runs.issued_at, np.stack([temperature_c, ghi_w_m2], axis=2), WEATHER_NAMES, note)


def _clouded(ghi_w_m2: FloatArray, ceiling_w_m2: FloatArray, error: FloatArray, share: FloatArray) -> FloatArray:
    """Return irradiance whose clearness is Beta about that of `ghi_w_m2`, at the quantile of the Gaussian `error`.

    A Beta distribution of mean k and parameters k a and (1 - k) a has variance k (1 - k) / (1 + a).
    """
    from scipy.special import betaincinv, ndtr

    forecast = ghi_w_m2.copy()
    open_ = (ghi_w_m2 > 0) & (ghi_w_m2 < ceiling_w_m2)
    weight = np.broadcast_to(1.0 / share**2 - 1.0, ghi_w_m2.shape)[open_]
    k = ghi_w_m2[open_] / ceiling_w_m2[open_]
    forecast[open_] = ceiling_w_m2[open_] * betaincinv(k * weight, (1.0 - k) * weight, ndtr(error[open_]))
    return forecast


def _errors(seed: int, what: str, growth: ErrorGrowth, runs: Runs, horizon_steps: int, step_s: int) -> FloatArray:
    """Return each run's errors from its issue on, in standard deviations of their lead, shape (K, horizon_steps)."""
    n_runs, every = len(runs.run_s), runs.every_steps
    n_leads = runs.first_lead + horizon_steps
    later = -(-n_leads // every)
    lasts_steps = growth.lasts_h * _HOUR_S / step_s
    leads = np.arange(n_leads)
    deviation = growth.at(_leads_h(runs, leads, step_s))
    after = growth.at(_leads_h(runs, leads + every, step_s))
    run_s = runs.run_s[0] + np.arange(n_runs + later, dtype=np.int64) * (every * step_s)
    updates = np.sqrt(after**2 - deviation**2) * _curves(seed, f"{what} update", run_s, n_leads, lasts_steps)
    errors = deviation[leads % every] * _lasting(seed, f"{what} rest", runs, n_leads, step_s, lasts_steps)
    for newer in range(1, later + 1):
        done = newer * every
        errors[:, done:] += updates[newer : newer + n_runs, : max(n_leads - done, 0)]
    forecast: FloatArray = (errors / np.where(deviation > 0, deviation, 1.0))[:, runs.first_lead :]
    return forecast


def _curves(seed: int, what: str, run_s: IntArray, n_leads: int, lasts_steps: float) -> FloatArray:
    """Return a stationary AR(1) of unit variance along the leads of each run, shape (runs, n_leads)."""
    from scipy.signal import lfilter

    keep = np.exp(-1.0 / lasts_steps)
    shocks = _normals(seed, what, run_s, n_leads)
    shocks[:, 1:] *= np.sqrt(1.0 - keep**2)
    curves: FloatArray = lfilter([1.0], [1.0, -keep], shocks, axis=1)
    return curves


def _lasting(seed: int, what: str, runs: Runs, n_leads: int, step_s: int, lasts_steps: float) -> FloatArray:
    """Return an AR(1) of unit variance along valid time, at the leads of each run, shape (K, n_leads).

    Shocks are forgotten after a fixed time, so a value depends on the shocks just before it alone and not on where the
    series begins.
    """
    every, n_runs = runs.every_steps, len(runs.run_s)
    keep, memory = np.exp(-1.0 / lasts_steps), int(np.ceil(_FORGOTTEN * lasts_steps))
    before, after = -(-memory // every), -(-n_leads // every)
    run_s = runs.run_s[0] + np.arange(-before, n_runs + after, dtype=np.int64) * (every * step_s)
    shocks = _normals(seed, what, run_s, every).ravel()
    n_values = (n_runs + after) * every
    values = np.zeros(n_values)
    for age in range(memory):
        values += keep**age * shocks[before * every - age : before * every - age + n_values]
    values /= np.sqrt((keep ** (2.0 * np.arange(memory))).sum())
    found: FloatArray = values[np.arange(n_runs)[:, None] * every + np.arange(n_leads)]
    return found


def _normals(seed: int, what: str, run_s: IntArray, n: int) -> FloatArray:
    """Return `n` standard normal numbers for each run, from a generator keyed by seed, purpose and run time."""
    purpose = int.from_bytes(hashlib.sha256(f"{seed}/{what}".encode()).digest()[:8], "little")
    numbers = np.empty((len(run_s), n))
    for row, run in zip(numbers, run_s.astype(np.uint64), strict=True):
        key = np.array([purpose, run], dtype=np.uint64)
        np.random.Generator(np.random.Philox(key=key)).standard_normal(out=row)
    return numbers


def _leads_h(runs: Runs, leads: IntArray, step_s: int) -> FloatArray:
    hours: FloatArray = (leads * step_s + runs.phase_s) / _HOUR_S
    return hours
