"""What acts inside CityLearn: forecasts, observation and policy of storage agents, in NumPy alone.

It runs in an environment of its own, where the product is not installed, and in the product's training, so that both
see the same. Nothing here looks ahead: the agents learn of an hour when it is over (:meth:`Agents.learn`) and choose
the power of the next one (:meth:`Agents.powers`) from what they learnt, and from the tariff.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FEATURES",
    "Agents",
    "Array",
    "Memory",
    "asked_kw",
    "features",
    "foreseen_inputs",
    "mixed",
    "now_inputs",
    "scores",
]

Array = NDArray[np.float64]

DAY = 24
MEMORY_H = 15 * DAY
"""Hours that forecasts look back."""

SHARES = np.array([0.0, 0.0, 0.1, 0.25, 0.5, 1.0, -0.1, -0.25, -0.5, -1.0])
FOLLOW = 1
FEATURES = 79

PRICE_SCALE = 0.15
"""Brings composite prices to the size of household tariffs, where the policy's observation is made for them."""


@dataclass(eq=False)
class Memory:
    """The last fifteen days of n homes; what was never seen is filled with each home's usual day.

    Attributes
    ----------
    load_kw, sun_kw : ndarray, shape (n, 360)
        Load and PV of past hours, the latest last [kW].
    carbon : ndarray, shape (360,)
        Carbon intensity of past hours [kg/kWh].
    hour : int
        Hour of day of the hour that comes next.
    """

    load_kw: Array
    sun_kw: Array
    carbon: Array
    hour: int

    @classmethod
    def usual(cls, load_kw: Array, sun_kw: Array, carbon: Array, hour: int) -> Memory:
        """Return a memory of nothing but usual days, of shape (n, 24) and (24,), by hour of day, before `hour`."""
        at = (hour - MEMORY_H + np.arange(MEMORY_H)) % DAY
        return cls(load_kw[:, at], sun_kw[:, at], carbon[at], hour)

    def learn(self, load_kw: Array, sun_kw: Array, carbon: float) -> None:
        """Take in the hour that has ended; arrays of shape (n,)."""
        self.load_kw = np.concatenate([self.load_kw[:, 1:], load_kw[:, None]], axis=1)
        self.sun_kw = np.concatenate([self.sun_kw[:, 1:], sun_kw[:, None]], axis=1)
        self.carbon = np.append(self.carbon[1:], carbon)
        self.hour = (self.hour + 1) % DAY


def _lags(past: Array, ahead: int, days: range) -> Array:
    """Return the values a number of days before the hour that lies `ahead` of the next, shape (len(days), n)."""
    return np.stack([past[:, past.shape[1] + ahead - k * DAY] for k in days])


def now_inputs(memory: Memory, usual_kw: Array) -> tuple[Array, Array]:
    """Return what the load and the PV of the next hour are told from, shapes (n, 10) and (n, 4).

    Load: the last three hours; the same hour and its neighbours a day before; the same hour a week before; the mean of
    that hour and of the one before over seven days; the usual load. PV: the best of the last fourteen days at this hour
    times how clear the last hour was, that best, the day before, and the last hour.
    """
    load, sun, end = memory.load_kw, memory.sun_kw, memory.load_kw.shape[1]
    week, before = _lags(load, 0, range(1, 8)).mean(axis=0), _lags(load, -1, range(1, 8)).mean(axis=0)
    lately = [load[:, end - k] for k in (1, 2, 3, DAY - 1, DAY, DAY + 1, 7 * DAY)]
    clear, clear_before = _lags(sun, 0, range(1, 15)).max(axis=0), _lags(sun, -1, range(1, 15)).max(axis=0)
    clearness = np.where(clear_before > 0.1, sun[:, -1] / np.maximum(clear_before, 0.1), 0.8)
    bright = np.stack([np.minimum(clearness, 1.2) * clear, clear, sun[:, end - DAY], sun[:, -1]], axis=1)
    return np.stack([*lately, week, before, usual_kw[:, memory.hour]], axis=1), bright


def foreseen_inputs(memory: Memory, usual_kw: Array) -> tuple[Array, Array]:
    """Return what load and PV of the next 24 hours are told from, a day before each, shapes (n, 24, 4), (n, 24, 3).

    Load: one day before, one week before, the mean of seven days, the usual load. PV: one day before, the mean of seven
    days, the best of fourteen.
    """
    n = len(usual_kw)
    load, sun = (kw[:, -14 * DAY :].reshape(n, 14, DAY) for kw in (memory.load_kw, memory.sun_kw))
    usual = usual_kw[:, (memory.hour + np.arange(DAY)) % DAY]
    return (
        np.stack([load[:, -1], load[:, -7], load[:, -7:].mean(axis=1), usual], axis=2),
        np.stack([sun[:, -1], sun[:, -7:].mean(axis=1), sun.max(axis=1)], axis=2),
    )


def features(
    soc_kwh: Array, net_kw: Array, buy: Array, sell: Array, hour: int | Array, battery: tuple[Array, ...]
) -> Array:
    """Return the product's observation of n batteries, shape (n, 79).

    Parameters
    ----------
    soc_kwh : ndarray, shape (n,)
        Stored energy [kWh].
    net_kw, buy, sell : ndarray, shape (n, 24)
        Net load [kW] and prices, the next hour first.
    hour : int or ndarray, shape (n,)
        Hour of day.
    battery : tuple of ndarray, each of shape (n,)
        Capacity [kWh], power [kW], and the square of the one-way efficiency.
    """
    capacity, power, round_trip = battery
    out = np.empty((len(soc_kwh), FEATURES), dtype=np.float32)
    out[:, 0] = np.clip(soc_kwh / capacity, 0.0, 1.0)
    out[:, 1], out[:, 2] = np.sin(2 * np.pi * hour / DAY), np.cos(2 * np.pi * hour / DAY)
    out[:, 3] = np.minimum(capacity / power / 4.0, 3.0)
    out[:, 4] = 5.0 * (1.0 - round_trip)
    out[:, 5] = np.clip(net_kw[:, 0] / power, -3.0, 3.0)
    out[:, 6:30] = np.clip(net_kw * (4.0 / capacity)[:, None], -5.0, 5.0)
    mean = buy.mean(axis=1, keepdims=True)
    spread = np.sqrt(((buy - mean) ** 2).mean(axis=1, keepdims=True))
    level = np.maximum(mean, 0.01)
    out[:, 30:54] = np.clip((buy - mean) / np.maximum(spread, 0.02 * level), -4.0, 4.0)
    out[:, 54:78] = np.clip(sell / level, -1.0, 2.0)
    out[:, 78] = np.minimum(spread / level, 2.0)[:, 0]
    return out


def scores(layers: list[tuple[Array, Array]], seen: Array) -> Array:
    """Return the score of every action, shape (n, 10), from a perceptron with rectifiers."""
    for i, (weight, bias) in enumerate(layers):
        seen = seen @ weight + bias
        if i + 1 < len(layers):
            seen = np.maximum(seen, 0.0)
    return seen


def mixed(score: Array, heat: float) -> Array:
    """Return the weight of every action, shape (n, 10): the softmax at a heat, or all on the best one at none."""
    if heat <= 0:
        best: Array = np.eye(len(SHARES))[score.argmax(axis=1)]
        return best
    weight = np.exp((score - score.max(axis=1, keepdims=True)) / heat)
    return weight / weight.sum(axis=1, keepdims=True)


def asked_kw(soc_kwh: Array, net_now_kw: Array, battery: tuple[Array, ...], weight: Array) -> Array:
    """Return the mean feasible power of the ten actions, weighted by `weight` of shape (n, 10), shape (n,) [kW]."""
    capacity, power, round_trip = battery
    one_way = np.sqrt(round_trip)
    asked = SHARES[None] * power[:, None]
    asked[:, FOLLOW] = np.clip(-net_now_kw, -power, power)
    feasible = np.clip(asked, -(soc_kwh * one_way)[:, None], ((capacity - soc_kwh) / one_way)[:, None])
    return (feasible * weight).sum(axis=1)


@dataclass(eq=False)
class Agents:
    """One policy for all homes of a phase, and what it remembers.

    Attributes
    ----------
    given : mapping of str to ndarray
        What training wrote. The policy: ``weight_i``, ``bias_i``, and ``heat`` and ``calm`` (:func:`decide`). What it
        was told: ``battery`` (capacity, power, round trip); ``steepness``, the price of the district's mean net load
        [1/kW]. Forecasts: ``now_load``, ``now_sun``, ``next_load``, ``next_sun``, their coefficients; ``usual_load``,
        ``usual_sun``, ``usual_carbon``, usual days; ``money``, ``emissions``, what a home pays and emits in an hour
        without control, shape (17,).
    homes : list of int
        Rows of `given` that the homes of the phase have.
    price : ndarray, shape (T,)
        The tariff, known beforehand.
    hour : int
        Hour of day of the first hour.
    """

    given: dict[str, Array]
    homes: list[int]
    price: Array
    hour: int
    step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        given, homes = self.given, self.homes
        self.memory = Memory.usual(
            given["usual_load"][homes], given["usual_sun"][homes], given["usual_carbon"], self.hour
        )
        count = sum(name.startswith("weight_") for name in given)
        self.layers = [(given[f"weight_{i}"], given[f"bias_{i}"]) for i in range(count)]
        self.battery = tuple(np.full(len(homes), value) for value in given["battery"])

    @classmethod
    def open(cls, path: Path, homes: list[int], price: Array, hour: int) -> Agents:
        """Return agents with the policy that a file holds."""
        with np.load(path) as given:
            return cls({name: given[name] for name in given.files}, homes, price, hour)

    def learn(self, load_kw: Array, sun_kw: Array, carbon: float) -> None:
        """Take in the hour that has ended."""
        self.memory.learn(load_kw, sun_kw, carbon)
        self.step += 1

    def foresee(self) -> tuple[Array, Array, Array]:
        """Return net load, buying and selling price of the next 24 hours, each of shape (n, 24)."""
        net = foreseen_net_kw(self.memory, self.given, self.homes)
        ahead = np.minimum(self.step + np.arange(DAY), len(self.price) - 1)
        slope = float(self.given["steepness"]) * net.mean(axis=0)
        carbon = self.memory.carbon[-DAY:]
        own = composite_price(self.given, self.homes, self.price[ahead], carbon)
        net[:, 0] = now_net_kw(self.memory, self.given, self.homes)
        return net, own + slope, np.broadcast_to(slope, own.shape)

    def powers(self, soc_kwh: Array, total_kw: float) -> Array:
        """Return what each battery is to take from (positive) or give to its home in the next hour, shape (n,) [kW].

        Parameters
        ----------
        soc_kwh : ndarray, shape (n,)
            Stored energy [kWh].
        total_kw : float
            Net load of all homes in the hour that ended, batteries included [kW].
        """
        mix = float(self.given["heat"]), float(self.given["calm"])
        return decide(self.layers, self.foresee(), soc_kwh, total_kw, self.memory.hour, self.battery, mix)


def decide(
    layers: list[tuple[Array, Array]],
    window: tuple[Array, Array, Array],
    soc_kwh: Array,
    total_kw: float,
    hour: int,
    battery: tuple[Array, ...],
    mix: tuple[float, float],
) -> Array:
    """Return what a policy does with a window as :meth:`Agents.foresee` gives it, shape (n,) [kW].

    `mix` is the heat at which actions are mixed and the share of the district's expected ramp that the batteries then
    take off together.
    """
    net, buy, sell = window
    heat, calm = mix
    weight = mixed(scores(layers, features(soc_kwh, net, buy, sell, hour, battery)), heat)
    power = asked_kw(soc_kwh, net[:, 0], battery, weight)
    ramp_kw = net[:, 0].sum() + power.sum() - total_kw
    return power - calm * ramp_kw / len(power)


def composite_price(given: dict[str, Any], homes: list[int], price: Array, carbon: Array) -> Array:
    """Return what a bought kWh adds to the score's cost and emissions, each against no control, shape (n, T).

    ``money`` and ``emissions`` are each home's totals an hour without control, on training days.
    """
    rate = price[None] / given["money"][homes][:, None] + carbon[None] / given["emissions"][homes][:, None]
    scaled: Array = PRICE_SCALE * rate
    return scaled


def now_net_kw(memory: Memory, given: dict[str, Array], homes: list[int]) -> Array:
    """Return what is foreseen of the next hour's net load at its eve, shape (n,) [kW]."""
    load, sun = now_inputs(memory, given["usual_load"][homes])
    return np.maximum(load @ given["now_load"], 0.0) - np.maximum(sun @ given["now_sun"], 0.0)


def foreseen_net_kw(memory: Memory, given: dict[str, Array], homes: list[int]) -> Array:
    """Return what was foreseen of the next 24 hours' net load a day before each, shape (n, 24) [kW]."""
    load, sun = foreseen_inputs(memory, given["usual_load"][homes])
    return np.maximum(load @ given["next_load"], 0.0) - np.maximum(sun @ given["next_sun"], 0.0)
