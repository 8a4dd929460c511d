"""Measured weather on an index, with the irradiance of a clear sky: what weather forecasts are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vpp_sim.arrays import FloatArray, frozen
from vpp_sim.errors import DataError

if TYPE_CHECKING:
    from vpp_sim.data.homes import HomesData

__all__ = ["FONTANA", "WEATHER_NAMES", "ObservedWeather", "Place", "clear_sky_w_m2"]

WEATHER_NAMES = ("temperature_c", "ghi_w_m2")
"""The series that weather forecasts give, in their order."""

_PARTS_OF_A_STEP = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where weather was measured.

    Attributes
    ----------
    latitude_deg, longitude_deg : float
        Latitude (north positive) and longitude (east positive) [degrees].

    Raises
    ------
    DataError
        If a coordinate does not exist.
    """

    latitude_deg: float
    longitude_deg: float

    def __post_init__(self) -> None:
        if not (abs(self.latitude_deg) <= 90 and abs(self.longitude_deg) <= 180):
            raise DataError(f"there is no place at {self.latitude_deg} N, {self.longitude_deg} E")


FONTANA = Place(34.09, -117.44)
"""Fontana, California."""


def clear_sky_w_m2(index: pd.DatetimeIndex, step_s: int, place: Place) -> FloatArray:
    """Return the global horizontal irradiance of a cloudless sky over each step, by Haurwitz [1]_.

    The sun alone enters, so the result knows nothing of the weather. Each step is the mean of four instants in it, so
    the steps of sunrise and sunset are not all day or all night.

    Parameters
    ----------
    index : DatetimeIndex, length T
        Start of each step, time-zone aware.
    step_s : int
        Length of a step [s].
    place : Place
        Where.

    Returns
    -------
    ndarray, shape (T,)
        Irradiance [W/m2], zero at night.

    References
    ----------
    .. [1] B. Haurwitz, "Insolation in relation to cloudiness and cloud density", Journal of Meteorology 2, 1945,
       in the form of M. J. Reno, C. W. Hansen, J. S. Stein, "Global Horizontal Irradiance Clear Sky Models",
       SAND2012-2389, 2012.
    """
    from pvlib import clearsky, solarposition

    middles_s = (np.arange(_PARTS_OF_A_STEP) + 0.5) * step_s / _PARTS_OF_A_STEP
    starts_s = (index - pd.Timestamp(0, tz="UTC")).total_seconds().to_numpy()
    instants = pd.DatetimeIndex(pd.to_datetime((starts_s + middles_s[:, None]).ravel(), unit="s", utc=True))
    sun = solarposition.get_solarposition(instants, place.latitude_deg, place.longitude_deg)
    clear = clearsky.haurwitz(sun["apparent_zenith"])["ghi"].to_numpy()
    mean: FloatArray = clear.reshape(_PARTS_OF_A_STEP, len(index)).mean(axis=0)
    return mean


@dataclass(frozen=True, slots=True, eq=False)
class ObservedWeather:
    """Weather as it was, over T steps.

    Attributes
    ----------
    index : DatetimeIndex, length T
        Start of each step, time-zone aware, evenly spaced in UTC.
    step_s : int
        Length of a step [s].
    temperature_c : ndarray, shape (T,)
        Air temperature [degC].
    ghi_w_m2 : ndarray, shape (T,)
        Global horizontal irradiance [W/m2], non-negative.
    clear_sky_w_m2 : ndarray, shape (T,)
        The same under a cloudless sky [W/m2], non-negative.

    Raises
    ------
    DataError
        If there is no step, the index has no time zone or is not evenly spaced, lengths differ, a value is not finite,
        or irradiance is negative.
    """

    index: pd.DatetimeIndex
    step_s: int
    temperature_c: FloatArray
    ghi_w_m2: FloatArray
    clear_sky_w_m2: FloatArray

    def __post_init__(self) -> None:
        if self.index.tz is None or not len(self.index) or self.step_s < 1:
            raise DataError("weather needs at least one step of at least one second, on an index with a time zone")
        if (np.diff((self.index - self.index[0]).total_seconds()) != self.step_s).any():
            raise DataError(f"the index of the weather is not spaced by {self.step_s} s")
        for name in (*WEATHER_NAMES, "clear_sky_w_m2"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != (len(self.index),) or not np.isfinite(values).all():
                raise DataError(f"{name} of shape {values.shape} does not give {len(self.index)} steps a finite value")
            if name != "temperature_c" and (values < 0).any():
                raise DataError(f"{name} is negative: lowest value {values.min():g}")
            object.__setattr__(self, name, frozen(values))

    @classmethod
    def of_homes(cls, homes: HomesData, place: Place) -> ObservedWeather:
        """Return the weather of `homes`, which stand at `place`."""
        return cls(
            index=homes.index,
            step_s=homes.step_s,
            temperature_c=homes.temperature_c,
            ghi_w_m2=homes.ghi_w_m2,
            clear_sky_w_m2=clear_sky_w_m2(homes.index, homes.step_s, place),
        )

    @property
    def start_s(self) -> int:
        """Start of the first step, in seconds since 1970 in UTC."""
        return int(self.index[0].timestamp())

    @property
    def values(self) -> FloatArray:
        """The series of :data:`WEATHER_NAMES` side by side, shape (T, 2)."""
        return np.stack([self.temperature_c, self.ghi_w_m2], axis=1)
