"""The prices that policies learn from: the homes' own, flat, time-of-use, and such as follow the wholesale market.

In a run, retail prices are set day by day within a cap, so a policy must cope with shapes it has not seen. Training
therefore draws kind, level, spread and feed-in payment at random; the bounds below are those of the draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vpp_sim.arrays import FloatArray

__all__ = ["LEVIES_EUR_PER_KWH", "PRICE_CAP_EUR_PER_KWH", "TARIFF_KINDS", "draw_tariff", "wholesale_shaped"]

LEVIES_EUR_PER_KWH = 0.12
"""Levies and grid fees in prices that follow the market."""

PRICE_CAP_EUR_PER_KWH = 0.60
"""Highest retail price that is drawn."""

_FLOOR_EUR_PER_KWH = 0.05

TARIFF_KINDS: tuple[str, ...] = ("own", "own_feed_in", "time_of_use", "flat", "wholesale", "stretched")
"""Own without and with feed-in payment; random peak hours; one price; market plus levies; market stretched."""


def wholesale_shaped(spot_eur_per_kwh: FloatArray, *, factor: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return retail prices that follow the market: levies on top when buying, the energy's own price when selling.

    Parameters
    ----------
    spot_eur_per_kwh : ndarray, shape (T,)
        Day-ahead price [EUR/kWh].
    factor : float
        Multiplies the market price.

    Returns
    -------
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (T,)
        Prices [EUR/kWh], within 0.05..0.60 and 0..0.20.

    Examples
    --------
    >>> wholesale_shaped(np.array([0.04, -0.01]))
    (array([0.16, 0.11]), array([0.04, 0.  ]))
    """
    energy = factor * spot_eur_per_kwh
    buy = np.clip(LEVIES_EUR_PER_KWH + energy, _FLOOR_EUR_PER_KWH, PRICE_CAP_EUR_PER_KWH)
    return buy, np.clip(energy, 0.0, 0.20)


def draw_tariff(
    kind: str, rng: np.random.Generator, own: FloatArray, spot: FloatArray, hour: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a random tariff of a kind.

    Parameters
    ----------
    kind : str
        One of :data:`TARIFF_KINDS`.
    rng : numpy.random.Generator
        Where randomness comes from.
    own, spot, hour : ndarray, shape (T,)
        The homes' own tariff and the day-ahead price [EUR/kWh], and the local hour of day.

    Returns
    -------
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (T,)
        Prices [EUR/kWh]; selling never pays more than buying costs.

    Raises
    ------
    KeyError
        If there is no such kind.
    """
    feed_in = rng.uniform(0.03, 0.08)
    makers: dict[str, Callable[[], tuple[FloatArray, FloatArray | float]]] = {
        "own": lambda: (own, 0.0),
        "own_feed_in": lambda: (own * rng.uniform(0.7, 1.2), feed_in),
        "time_of_use": lambda: (_time_of_use(rng, hour), feed_in * rng.integers(2)),
        "flat": lambda: (np.full(len(own), rng.uniform(0.15, 0.45)), rng.uniform(0.0, 0.10)),
        "wholesale": lambda: _wholesale(rng, spot, feed_in),
        "stretched": lambda: _stretched(rng, spot, hour, feed_in),
    }
    buy, sell = makers[kind]()
    return buy, np.minimum(np.broadcast_to(sell, buy.shape), buy)


def _time_of_use(rng: np.random.Generator, hour: FloatArray) -> FloatArray:
    low, ratio = rng.uniform(0.10, 0.30), rng.uniform(1.2, 3.0)
    start, length = rng.integers(6, 20), rng.integers(2, 7)
    peak = (hour - start) % 24.0 < length
    return np.where(peak, np.minimum(low * ratio, PRICE_CAP_EUR_PER_KWH), low)


def _wholesale(rng: np.random.Generator, spot: FloatArray, feed_in: float) -> tuple[FloatArray, FloatArray | float]:
    buy, energy = wholesale_shaped(spot, factor=rng.uniform(1.0, 2.0))
    return buy, energy if rng.random() < 0.5 else feed_in


def _stretched(
    rng: np.random.Generator, spot: FloatArray, hour: FloatArray, feed_in: float
) -> tuple[FloatArray, FloatArray | float]:
    day = np.cumsum(np.diff(hour, prepend=hour[0]) < 0)
    daily = (np.bincount(day, spot) / np.bincount(day))[day]
    buy = rng.uniform(0.15, 0.35) + rng.uniform(2.0, 12.0) * (spot - daily)
    buy = np.clip(buy, _FLOOR_EUR_PER_KWH, PRICE_CAP_EUR_PER_KWH)
    energy = np.clip(0.8 * (buy - LEVIES_EUR_PER_KWH), 0.0, 0.20)
    return buy, energy if rng.random() < 0.5 else feed_in
