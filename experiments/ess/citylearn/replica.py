"""CityLearn's battery and score in NumPy: for choosing on validation days, where CityLearn itself would take minutes.

Written from the behaviour of CityLearn 2.1.2 (J. Vazquez-Canteli et al., BuildSys 2019,
https://doi.org/10.1145/3360322.3360998): efficiency falls at low power, power falls near the top, capacity fades. The
judge is CityLearn; that both agree is measured there for every plan that was made with this one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["COMPONENTS", "PHASES", "WEIGHTS", "Batteries", "score", "simulate"]

Array = NDArray[np.float64]

DAY = 24
PHASES: dict[str, tuple[list[int], int, int]] = {
    "phase_1": (list(range(5)), 0, 120),
    "phase_2": (list(range(5)), 120, 240),
    "phase_3": ([home for home in range(17) if home not in (11, 14)], 240, 365),
}
"""Rows of the homes, first day, and the day after the last."""

WEIGHTS = {"phase_1": 0.2, "phase_2": 0.3, "phase_3": 0.5}
COMPONENTS = ("ramping", "load_factor", "daily_peak", "all_time_peak")

_EFFICIENCY = ([0.0, 0.3, 0.7, 0.8, 1.0], [0.83, 0.83, 0.9, 0.9, 0.85])
_POWER = ([0.0, 0.8, 1.0], [1.0, 1.0, 0.2])


class Batteries:
    """n empty batteries as CityLearn has them: 6.4 kWh and 5 kW."""

    def __init__(self, n: int, capacity_kwh: float = 6.4, power_kw: float = 5.0) -> None:
        self.capacity_kwh, self.power_kw = capacity_kwh, power_kw
        self.soc_kwh = np.zeros(n)
        self._left_kwh, self._efficiency = np.full(n, capacity_kwh), np.full(n, 0.9)

    def step(self, asked_kw: Array) -> Array:
        """Ask for an hour of powers, positive when charging, shape (n,); return what the meter saw of it [kW]."""
        most = self.power_kw * np.interp(self.soc_kwh / self.capacity_kwh, *_POWER)
        charge = np.minimum(np.minimum(most, self._left_kwh - self.soc_kwh), asked_kw)
        discharge = np.maximum(np.maximum(-most, -self.soc_kwh * np.sqrt(self._efficiency)), asked_kw)
        power = np.where(asked_kw >= 0, charge, discharge)
        self._efficiency = np.interp(np.abs(power) / self.power_kw, *_EFFICIENCY)
        one_way = np.sqrt(self._efficiency)
        end = np.clip(self.soc_kwh + np.where(power >= 0, power * one_way, power / one_way), 0.0, self.capacity_kwh)
        gained = end - self.soc_kwh
        metered: Array = np.where(gained >= 0, gained / one_way, gained * one_way)
        self.soc_kwh = end
        self._left_kwh = self._left_kwh - 0.5e-5 * self.capacity_kwh * np.abs(metered) / self._left_kwh
        return metered


def simulate(net_kw: Array, ask: Callable[[int, Array, float], Array]) -> Array:
    """Return the net load with batteries, shape (n, T); the first hour of an episode has no action.

    Parameters
    ----------
    net_kw : ndarray, shape (n, T)
        Net load without them [kW].
    ask : callable
        Given the hour, the stored energy, shape (n,) [kWh], and the net load of all homes in the hour before [kW], says
        what to charge (positive) or discharge, shape (n,) [kW].
    """
    batteries, out = Batteries(len(net_kw)), net_kw.copy()
    for hour in range(1, net_kw.shape[1]):
        out[:, hour] += batteries.step(ask(hour, batteries.soc_kwh, float(out[:, hour - 1].sum())))
    return out


def grid(total_kw: Array) -> Array:
    """Return ramping, one minus the mean daily load factor, mean daily peak and peak of a district, shape (4,)."""
    days = total_kw[: len(total_kw) // DAY * DAY].reshape(-1, DAY)
    peaks = days.max(axis=1)
    ramping = np.abs(np.diff(total_kw)).sum()
    return np.array([ramping, np.mean(1 - days.mean(axis=1) / peaks), peaks.mean(), total_kw.max()])


def score(with_kw: Array, without_kw: Array, price: Array, carbon: Array) -> dict[str, float]:
    """Return the score and its parts against no control; loads have shape (n, T), price and carbon (T,)."""

    def ratio(rate: Array) -> float:
        paid, before = (np.maximum(kw, 0.0) @ rate for kw in (with_kw, without_kw))
        return float((paid / before).mean())

    parts = grid(with_kw.sum(axis=0)) / grid(without_kw.sum(axis=0))
    cost, emissions, mean = ratio(price), ratio(carbon), float(parts.mean())
    found = {"score": (cost + emissions + mean) / 3, "cost": cost, "emissions": emissions, "grid": mean}
    return found | dict(zip(COMPONENTS, parts.tolist(), strict=True))
