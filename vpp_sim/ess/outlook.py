"""What the past of a market's prices tells of the coming day: two ways to foresee them.

Both begin with the mean of the last seven days at each hour, which follows seasons by itself, and tell how today
deviates from it. One carries the ratio of the last three hours on and lets it fade. The other is fitted: the logarithms
of the ratios of three days, hour by hour, are taken to be jointly normal, their mean depending on the day of the week;
what is foreseen is the median given those that are known (M. L. Eaton, Multivariate Statistics, 1983, proposition
3.13). So it knows that a dear morning says more of the same evening than of the next morning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vpp_sim.arrays import FloatArray, IntArray, require_shape
from vpp_sim.errors import DataError
from vpp_sim.ess.episodes import WARM_UP_DAYS
from vpp_sim.ess.protocol import HORIZON_H, horizon_steps

__all__ = ["CARRY_H", "KNOWLEDGE", "Knowledge", "PriceOutlook", "carried_mean"]

Knowledge: TypeAlias = Literal["da_known", "past_only"]
"""What is known of prices."""

KNOWLEDGE: tuple[Knowledge, ...] = ("da_known", "past_only")
"""Both states of knowledge."""

CARRY_H = 6.0
"""Time constant with which a deviation of prices from the mean of seven days fades [h]."""

DAYS = 3
"""Days whose deviations a fitted outlook knows the joint distribution of: yesterday, today and tomorrow."""

CUT = 0.7
"""Greatest magnitude of a deviation's logarithm, so that a single storm does not make the distribution."""

SHRINKAGE = 0.2
"""What is added to variances, as a share of them: covariances of 72 hours are told from a few hundred days."""

WEEKDAY_DAYS = 30.0
"""How many days of any weekday the mean over all days weighs as much as, where the mean of one weekday is told."""

_LEAST_DAYS = 100

_RECENT_H = 3
_LEAST_PRICE_EUR_PER_KWH = 1e-3
"""A ratio of prices below this says nothing."""

_FLOOR_EUR_PER_KWH = 3e-3
"""Prices below this, negative ones too, count as this where their logarithm is taken."""


@dataclass(frozen=True, slots=True, eq=False)
class PriceOutlook:
    """The joint distribution of three days' hourly deviations from the mean of seven days.

    Cut, shrinkage and the weight of weekdays were chosen on Houston's day-ahead prices of 2021, two months at a time
    foreseen from the others, by what a battery earns that plans with what is foreseen: 0.906 of the optimum, as a mean
    over ten months, where the carried mean has 0.894; shrinkage from 0.1 to 0.5 gives 0.903 to 0.906.

    Attributes
    ----------
    mean : ndarray, shape (7, 72)
        Expected logarithm of each hour's ratio, by the weekday of the middle day, Monday first.
    covariance : ndarray, shape (72, 72)
        Their covariance.
    """

    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def fit(cls, price_eur_per_kwh: FloatArray, hour: FloatArray, weekday: IntArray) -> Self:
        """Return the outlook that hourly prices tell.

        Parameters
        ----------
        price_eur_per_kwh, hour, weekday : ndarray, shape (T,)
            Prices [EUR/kWh], local hour of day, and day of the week, Monday 0.

        Raises
        ------
        DataError
            If fewer than a hundred days remain after the first week.
        """
        deviation = _deviation(price_eur_per_kwh[None])[0]
        starts = np.flatnonzero(hour == 0)
        starts = starts[(starts >= (WARM_UP_DAYS + 1) * 24) & (starts + 48 <= len(hour))]
        if len(starts) < _LEAST_DAYS:
            raise DataError(f"prices of {len(starts)} days after the first week; an outlook needs {_LEAST_DAYS}")
        days = deviation[starts[:, None] + np.arange(-24, 48)]
        of = weekday[starts]
        mean = np.stack(
            [
                (days[of == k].sum(axis=0) + WEEKDAY_DAYS * days.mean(axis=0)) / ((of == k).sum() + WEEKDAY_DAYS)
                for k in range(7)
            ]
        )
        covariance = np.cov(days - mean[of], rowvar=False)
        return cls(mean, covariance + SHRINKAGE * np.diag(np.diag(covariance)))

    def foresee(
        self, price_eur_per_kwh: FloatArray, hour: FloatArray, weekday: IntArray, *, knows: Knowledge
    ) -> FloatArray:
        """Return what is foreseen at each step of the 24 hours from it on.

        Parameters
        ----------
        price_eur_per_kwh : ndarray, shape (n, T)
            Hourly prices, a row for each market [EUR/kWh].
        hour, weekday : ndarray, shape (T,)
            Local hour of day, and day of the week, Monday 0.
        knows : {"da_known", "past_only"}
            What is known of prices.

        Returns
        -------
        ndarray, shape (n, T, 24)
            Medians [EUR/kWh]. Where prices are known, and in the first week, which lacks history, the usual price.
        """
        require_shape("hour", hour, price_eur_per_kwh.shape[1:])
        usual = _usual(np.maximum(price_eur_per_kwh, _FLOOR_EUR_PER_KWH), 1.0)
        deviation = _deviation(price_eur_per_kwh)
        foreseen = sliding_window_view(usual, HORIZON_H, axis=1).copy()
        now = hour.astype(np.int64)
        last = _last_known(hour, knows, 1.0) - np.arange(len(hour)) + now
        ready = np.arange(len(hour)) >= WARM_UP_DAYS * 24 + now
        for first, known in np.unique(np.stack([now[ready], last[ready]]), axis=1).T.tolist():
            at = np.flatnonzero(ready & (now == first) & (last == known))
            told, asked = np.arange(24 + known + 1), np.arange(24 + known + 1, 24 + first + HORIZON_H)
            between = self.covariance[np.ix_(told, asked)]
            weight = np.linalg.solve(self.covariance[np.ix_(told, told)], between)
            seen = deviation[:, (at - first)[:, None] + told - 24] - self.mean[weekday[at]][:, told]
            ratio = np.exp(self.mean[weekday[at]][:, asked] + seen @ weight)
            foreseen[:, at[:, None], asked - 24 - first] *= ratio
        return foreseen


def carried_mean(
    price_eur_per_kwh: FloatArray,
    hour: FloatArray,
    *,
    knows: Knowledge,
    step_h: float = 1.0,
    carry_h: float = CARRY_H,
) -> FloatArray:
    """Return the mean of seven days, times the ratio of the last three hours to theirs, which fades.

    Parameters
    ----------
    price_eur_per_kwh : ndarray, shape (n, T)
        Prices, a row for each market [EUR/kWh].
    hour : ndarray, shape (T,)
        Local hour of day.
    knows : {"da_known", "past_only"}
        What is known of prices.
    step_h : float
        Length of a step [h].
    carry_h : float
        Time constant with which the ratio fades [h]; 0 foresees the mean alone.

    Returns
    -------
    ndarray, shape (n, T, H)
        For the H steps of 24 h from each step on [EUR/kWh]; in the first week, which lacks history, what happened.
    """
    usual = _usual(price_eur_per_kwh, step_h)
    foreseen = sliding_window_view(usual, horizon_steps(step_h), axis=1)
    if not carry_h:
        return foreseen
    last = _last_known(hour, knows, step_h)
    recent = np.maximum(last[:, None] - np.arange(round(_RECENT_H / step_h)), 0)
    was, seemed = price_eur_per_kwh[:, recent].mean(axis=2), usual[:, recent].mean(axis=2)
    likely = (was > _LEAST_PRICE_EUR_PER_KWH) & (seemed > _LEAST_PRICE_EUR_PER_KWH)
    excess = np.where(likely, was / np.where(likely, seemed, 1.0), 1.0) - 1.0
    ahead = np.arange(len(hour))[:, None] + np.arange(foreseen.shape[2])
    lead_h = np.maximum(ahead - last[:, None], 0) * step_h
    carried: FloatArray = foreseen * (1.0 + excess[:, :, None] * np.exp(-lead_h / carry_h))
    return carried


def _usual(price: FloatArray, step_h: float) -> FloatArray:
    """Return the mean of the last seven days at each time, shape (n, T + H - 1); in the first week what happened."""
    (n, steps), day = price.shape, horizon_steps(step_h)
    warm, end = WARM_UP_DAYS * day, steps + day - 1
    usual = np.empty((n, end))
    usual[:, :warm] = price[:, :warm]
    usual[:, warm:] = np.mean([price[:, warm - k * day : end - k * day] for k in range(1, WARM_UP_DAYS + 1)], axis=0)
    return usual


def _deviation(price: FloatArray) -> FloatArray:
    """Return the logarithm of the ratio of hourly prices to the usual ones, cut, shape (n, T)."""
    floored = np.maximum(price, _FLOOR_EUR_PER_KWH)
    return np.clip(np.log(floored / _usual(floored, 1.0)[:, : price.shape[1]]), -CUT, CUT)


def _last_known(hour: FloatArray, knows: Knowledge, step_h: float) -> IntArray:
    """Return the last step whose price is known at each step, shape (T,): the one before, or the day's last."""
    steps = np.arange(len(hour))
    if knows == "past_only":
        return steps - 1
    begins = np.flatnonzero(np.diff(hour) < 0) + 1
    next_day = np.append(begins, len(hour))[np.searchsorted(begins, steps, side="right")]
    midnight = steps + np.round((24.0 - hour) / step_h).astype(np.int64)
    last: IntArray = np.minimum(next_day, midnight) - 1
    return last
