"""Price series by the hour, read at the instants of a simulation or at the same hour of the wall clock elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd

from vpp_sim.arrays import FloatArray, frozen
from vpp_sim.data.fontana import USD_PER_EUR
from vpp_sim.data.parquet import FILES, ShippedTable, read_shipped
from vpp_sim.errors import DataError
from vpp_sim.units import MICRO_EUR_PER_EUR

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vpp_sim.arrays import IntArray

__all__ = [
    "ERCOT_USD_PER_EUR",
    "Alignment",
    "ErcotHoustonDayAhead",
    "FontanaTariff",
    "NetherlandsDayAhead",
    "PriceSeries",
]

_CENT_PER_MWH = 100_000  # in a dollar a kWh

ERCOT_USD_PER_EUR = 1.1180
"""Mean of the ECB's 515 euro reference rates of 2021 and 2022 (eurofxref-hist) [USD/EUR]."""

Alignment: TypeAlias = Literal["instant", "wall_clock"]
"""How a step finds its price: at its own instant, or at its own wall clock as read in the price's time zone."""


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices of one market over T hours without a gap.

    Attributes
    ----------
    index : DatetimeIndex, length T
        Start of each hour, in UTC.
    price_eur_per_kwh : ndarray, shape (T,)
        Price over the hour [EUR/kWh].
    time_zone : str
        Time zone of the market.
    alignment : {"instant", "wall_clock"}
        What :meth:`at` does when it is not told.
    digest : str
        SHA-256 of the file that the series came from.
    repairs : mapping of str to int
        What was repaired in the source, and how often.

    Raises
    ------
    DataError
        If lengths differ, a price is not finite, or the index is not hourly in UTC.
    """

    index: pd.DatetimeIndex
    price_eur_per_kwh: FloatArray
    time_zone: str
    alignment: Alignment
    digest: str
    repairs: Mapping[str, int]

    def __post_init__(self) -> None:
        prices = np.asarray(self.price_eur_per_kwh, dtype=np.float64)
        if prices.shape != (len(self.index),) or not prices.size or not np.isfinite(prices).all():
            raise DataError(f"prices of shape {prices.shape} do not give {len(self.index)} hours a finite price each")
        if str(self.index.tz) != "UTC" or (np.diff(_epoch_s(self.index)) != 3600).any():
            raise DataError("the index of a price series must be hourly in UTC, without a gap")
        object.__setattr__(self, "price_eur_per_kwh", frozen(prices))

    @property
    def covered(self) -> str:
        """The covered range, as messages name it: first and last instant."""
        return f"{self.index[0].isoformat()} to {(self.index[-1] + pd.Timedelta(hours=1)).isoformat()}"

    def at(self, start: pd.Timestamp, n_steps: int, step_s: int, *, alignment: Alignment | None = None) -> FloatArray:
        """Return the price of each of `n_steps` steps of `step_s` seconds from `start`.

        By ``instant``, a step takes the price of the hour in which it starts. By ``wall_clock``, 18:00 where the
        homes are takes the price of 18:00 on the same date where the market is. Of an hour that the market's clock
        has twice (autumn) the first is taken; for one that it skips (spring) the hour after it.

        Parameters
        ----------
        start : Timestamp
            Start of the first step, in the time zone of the homes.
        n_steps : int
            Number of steps, at least one.
        step_s : int
            Length of a step [s], a divisor of one hour.
        alignment : {"instant", "wall_clock"}, optional
            The series' own when left out.

        Returns
        -------
        ndarray, shape (n_steps,)
            Price [EUR/kWh].

        Raises
        ------
        DataError
            If `start` has no time zone, the step does not divide an hour, or a step lies outside the covered range;
            the message names the range.
        """
        if start.tzinfo is None:
            raise DataError(f"{start} has no time zone; prices cover {self.covered}")
        if n_steps < 1 or step_s < 1 or 3600 % step_s:
            raise DataError(f"prices need at least one step that divides 3600 s; got {n_steps} of {step_s} s")
        steps = pd.date_range(start, periods=n_steps, freq=pd.Timedelta(seconds=step_s))
        if (alignment or self.alignment) == "wall_clock":
            steps = _same_wall_clock(steps, self.time_zone)
        hours = (_epoch_s(steps) - _epoch_s(self.index[:1])[0]) // 3600
        outside = (hours < 0) | (hours >= len(self.index))
        if outside.any():
            first = steps[int(np.flatnonzero(outside)[0])]
            raise DataError(f"no price at {first.isoformat()}: prices cover {self.covered}")
        prices: FloatArray = self.price_eur_per_kwh[hours]
        return prices


class NetherlandsDayAhead:
    """Hourly day-ahead prices of the Netherlands, 2015-01-01 to 2025-01-07, read by the wall clock.

    Parameters
    ----------
    path : path, optional
        The Parquet file; the shipped one when left out.
    """

    def __init__(self, path: Path = FILES / "netherlands_day_ahead.parquet") -> None:
        self._path = path

    def load(self) -> PriceSeries:
        """Return the whole series.

        Raises
        ------
        DataError
            If the file is missing or damaged.

        Examples
        --------
        >>> series = NetherlandsDayAhead().load()
        >>> series.at(pd.Timestamp("2017-07-03 18:00", tz="America/Los_Angeles"), 2, 3600)
        array([0.03894, 0.04425])
        """
        shipped = read_shipped(self._path)
        return _series(shipped, shipped.floats("price_micro_eur_per_kwh", MICRO_EUR_PER_EUR), "wall_clock")


class ErcotHoustonDayAhead:
    """Hourly day-ahead prices of ERCOT's Houston hub (Texas), 2021 and 2022, read by the wall clock.

    The market's US dollars become euro at one rate (:data:`ERCOT_USD_PER_EUR`); times that rate they are the dollars
    again.

    Parameters
    ----------
    path : path, optional
        The Parquet file; the shipped one when left out.
    """

    def __init__(self, path: Path = FILES / "ercot_houston_day_ahead.parquet") -> None:
        self._path = path

    def load(self) -> PriceSeries:
        """Return the whole series.

        Raises
        ------
        DataError
            If the file is missing or damaged.

        Examples
        --------
        >>> start = pd.Timestamp("2022-08-01 16:00", tz="America/Chicago")
        >>> (ErcotHoustonDayAhead().load().at(start, 2, 3600) * ERCOT_USD_PER_EUR * 1000).round(2)
        array([130.94, 118.35])
        """
        shipped = read_shipped(self._path)
        price = shipped.floats("price_usd_cent_per_mwh", _CENT_PER_MWH * ERCOT_USD_PER_EUR)
        return _series(shipped, price, "wall_clock")


class FontanaTariff:
    """The time-of-use tariff that came with the Fontana homes, 2016-08-01 to 2017-07-31, read by the instant.

    Parameters
    ----------
    path : path, optional
        The Parquet file; the shipped one when left out.
    """

    def __init__(self, path: Path = FILES / "fontana.parquet") -> None:
        self._path = path

    def load(self) -> PriceSeries:
        """Return the whole series.

        Raises
        ------
        DataError
            If the file is missing or damaged.
        """
        shipped = read_shipped(self._path)
        return _series(shipped, shipped.floats("tariff_usd_cent_per_kwh", 100 * USD_PER_EUR), "instant")


def _series(shipped: ShippedTable, price_eur_per_kwh: FloatArray, alignment: Alignment) -> PriceSeries:
    return PriceSeries(
        index=pd.DatetimeIndex(pd.to_datetime(shipped.integers("start_s"), unit="s", utc=True)),
        price_eur_per_kwh=price_eur_per_kwh,
        time_zone=shipped.notes["time_zone"],
        alignment=alignment,
        digest=shipped.digest,
        repairs=shipped.notes["repairs"],
    )


def _same_wall_clock(steps: pd.DatetimeIndex, time_zone: str) -> pd.DatetimeIndex:
    first_of_two = np.ones(len(steps), dtype=np.bool_)
    return steps.tz_localize(None).tz_localize(time_zone, ambiguous=first_of_two, nonexistent="shift_forward")


def _epoch_s(index: pd.DatetimeIndex) -> IntArray:
    return index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)
