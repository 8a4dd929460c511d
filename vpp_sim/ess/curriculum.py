"""What policies are trained and tried on: real homes under many tariffs, or a market, with batteries of several sizes.

Half of the training cases have the reference battery of the homes' data; the others differ in size, power and
efficiency, so that the policy also serves them. Half foresee honestly (from the past only); the others see a share of
the truth, as a good forecaster would give it. Half of the tariffs that follow the market are known until midnight only.

Batteries that trade in a market learn from its prices divided by their mean of the week before, cut at eight times
that: a week of scarcity then weighs no more than any other, and nothing learned depends on the level of prices.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.devices.ageing import wear_eur_per_kwh
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.arbitrage import Foresight, market_cases
from vpp_sim.ess.episodes import WARM_UP_DAYS, Cases, foresee
from vpp_sim.ess.outlook import Knowledge
from vpp_sim.ess.tariffs import TARIFF_KINDS, draw_tariff

__all__ = ["market_training_cases", "reference_cases", "training_cases", "worn"]

_FOLLOW_THE_MARKET = ("wholesale", "stretched")
_MEAN_EUR_PER_KWH = 0.03
_CUT = (-1.0, 8.0)
_LEAST_MEAN_EUR_PER_KWH = 0.005
_NEAR_DAYS = 10
_LEAST_DEPTH = 0.01


def training_cases(
    net_kw: FloatArray,
    own: FloatArray,
    spot: FloatArray,
    hour: FloatArray,
    *,
    battery: tuple[float, float, float],
    rng: np.random.Generator,
) -> Cases:
    """Return every home under every kind of tariff, the details drawn at random.

    Parameters
    ----------
    net_kw : ndarray, shape (n, T)
        Load minus PV, in steps of an hour [kW].
    own, spot : ndarray, shape (T,)
        The homes' own tariff and the day-ahead price [EUR/kWh].
    hour : ndarray, shape (T,)
        Local hour of day.
    battery : tuple of float
        Reference capacity [kWh], power [kW] and round-trip efficiency.
    rng : numpy.random.Generator
        Where randomness comes from.

    Returns
    -------
    Cases
        Six for each home.
    """
    kinds = TARIFF_KINDS * len(net_kw)
    tariffs = [draw_tariff(kind, rng, own, spot, hour) for kind in kinds]
    m = len(kinds)
    daily = np.array([kind in _FOLLOW_THE_MARKET for kind in kinds]) & (rng.random(m) < 0.5)
    homes = np.repeat(net_kw, len(TARIFF_KINDS), axis=0)
    truth = np.where(rng.random(m) < 0.5, 0.0, rng.uniform(0.0, 0.7, m))
    return Cases(
        fleet=_batteries(m, battery, rng),
        net_kw=homes,
        foreseen_kw=foresee(homes, 1.0, truth=truth, yesterday=rng.random(m)),
        buy_eur_per_kwh=np.array([buy for buy, _ in tariffs]),
        sell_eur_per_kwh=np.array([sell for _, sell in tariffs]),
        set_daily=daily,
        hour=hour,
    )


def reference_cases(
    net_kw: FloatArray,
    tariff: tuple[FloatArray, FloatArray],
    hour: FloatArray,
    *,
    battery: tuple[float, float, float],
    set_daily: bool,
) -> Cases:
    """Return every home with the reference battery under one tariff, foreseeing that each day is like the day before.

    Parameters
    ----------
    net_kw : ndarray, shape (n, T)
        Load minus PV, in steps of an hour [kW].
    tariff : tuple of ndarray, each of shape (T,)
        Buying and selling price [EUR/kWh].
    hour : ndarray, shape (T,)
        Local hour of day.
    battery : tuple of float
        Capacity [kWh], power [kW] and round-trip efficiency.
    set_daily : bool
        Whether prices are known until midnight only.
    """
    n = len(net_kw)
    buy, sell = (np.repeat(prices[None], n, axis=0) for prices in tariff)
    foreseen = foresee(net_kw, 1.0, truth=np.zeros(n), yesterday=np.ones(n))
    return Cases(BatteryFleet.uniform(n, *battery), net_kw, foreseen, buy, sell, np.full(n, set_daily), hour)


def market_training_cases(
    price_eur_per_kwh: FloatArray,
    hour: FloatArray,
    *,
    battery: tuple[float, float, float],
    knows: Knowledge,
    rng: np.random.Generator,
    foresight: Foresight | None = None,
    batteries: int = 32,
) -> Cases:
    """Return batteries of several sizes that trade in one market, its prices made equal week by week.

    Parameters
    ----------
    price_eur_per_kwh : ndarray, shape (T,)
        Market price, in steps of an hour [EUR/kWh].
    hour : ndarray, shape (T,)
        Local hour of day.
    battery : tuple of float
        Reference capacity [kWh], power [kW] and round-trip efficiency.
    knows : {"da_known", "past_only"}
        What is known of prices.
    rng : numpy.random.Generator
        Where randomness comes from.
    foresight : callable, optional
        As for :func:`vpp_sim.ess.arbitrage.market_cases`.
    batteries : int
        How many.

    Returns
    -------
    Cases
        One for each battery; those with other powers and efficiencies have the reference capacity too.
    """
    week = WARM_UP_DAYS * 24
    total = np.concatenate([[0.0], np.cumsum(price_eur_per_kwh)])
    end = np.maximum(np.arange(len(price_eur_per_kwh)), 24)
    start = np.maximum(end - week, 0)
    mean = np.maximum((total[end] - total[start]) / (end - start), _LEAST_MEAN_EUR_PER_KWH)
    levelled = np.clip(price_eur_per_kwh / mean, *_CUT) * _MEAN_EUR_PER_KWH
    paths = np.repeat(levelled[None], batteries, axis=0)
    for row in range(batteries // 2, batteries):
        paths[row] = _reshuffled(levelled, hour, rng)
    fleet = _batteries(batteries, battery, rng)
    same = BatteryFleet.uniform(batteries, *battery)
    scale = same.capacity_kwh / fleet.capacity_kwh
    fleet = replace(fleet, capacity_kwh=same.capacity_kwh, power_kw=fleet.power_kw * scale)
    return market_cases(fleet, paths, hour, knows=knows, foresight=foresight)


def worn(cases: Cases, replacement_eur_per_kwh: float) -> Cases:
    """Return cases whose savings are less the wear of each kWh taken out, by the price of a new battery [EUR/kWh].

    Wear is that of cycles of each battery's whole window (:mod:`vpp_sim.devices.ageing`); at a price of 0 it is none.
    """
    if not replacement_eur_per_kwh:
        return cases
    depth = np.maximum(cases.fleet.max_soc - cases.fleet.min_soc, _LEAST_DEPTH)
    return replace(cases, wear_eur_per_kwh=wear_eur_per_kwh(depth, replacement_eur_per_kwh))


def _reshuffled(price: FloatArray, hour: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return prices in which each day of 24 hours is one of those around it, itself included, drawn at random."""
    starts = np.flatnonzero(np.diff(hour, prepend=hour[0] + 1.0) < 0)
    starts = starts[(np.diff(np.append(starts, len(hour))) == 24)]
    shift = rng.integers(-_NEAR_DAYS, _NEAR_DAYS + 1, len(starts))
    taken = starts[np.clip(np.arange(len(starts)) + shift, 0, len(starts) - 1)]
    out = price.copy()
    out[starts[:, None] + np.arange(24)] = price[taken[:, None] + np.arange(24)]
    return out


def _batteries(m: int, battery: tuple[float, float, float], rng: np.random.Generator) -> BatteryFleet:
    reference = rng.random(m) < 0.5
    capacity = np.where(reference, battery[0], rng.uniform(3.0, 15.0, m))
    power = np.where(reference, battery[1], capacity * rng.uniform(0.25, 1.0, m))
    one_way = np.sqrt(np.where(reference, battery[2], rng.uniform(0.80, 0.97, m)))
    return BatteryFleet(capacity, power, one_way, one_way.copy(), np.zeros(m), np.ones(m))
