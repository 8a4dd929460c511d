"""What is known of a group of homes over time: load, solar, weather, tariff and carbon intensity on one index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vpp_sim.arrays import FloatArray, frozen
from vpp_sim.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["HomesData"]

_PER_STEP_AND_HOME = ("load_kw", "pv_kw_per_kwp")
_PER_HOME = ("pv_kwp", "battery_kwh", "battery_kw")
_PER_STEP = (
    "temperature_c",
    "relative_humidity",
    "ghi_w_m2",
    "dni_w_m2",
    "tariff_eur_per_kwh",
    "carbon_kg_per_kwh",
)
_OF_EITHER_SIGN = ("temperature_c", "tariff_eur_per_kwh")


@dataclass(frozen=True, slots=True)
class HomesData:
    """Measured series of n homes over T steps, all on one index.

    Attributes
    ----------
    index : DatetimeIndex, length T
        Start of each step, time-zone aware, evenly spaced in UTC.
    step_s : int
        Length of a step [s].
    names : tuple of str, length n
        Name of each home, in the order of the columns.
    flags : mapping of str to str
        Homes that are not recommended, and why.
    load_kw : ndarray, shape (T, n)
        Mean consumption over the step [kW].
    pv_kw_per_kwp : ndarray, shape (T, n)
        Mean solar AC power over the step per installed kWp [kW/kWp].
    pv_kwp : ndarray, shape (n,)
        Installed solar power [kWp].
    battery_kwh : ndarray, shape (n,)
        Battery capacity [kWh].
    battery_kw : ndarray, shape (n,)
        Battery power [kW].
    temperature_c : ndarray, shape (T,)
        Outdoor dry-bulb temperature [degC].
    relative_humidity : ndarray, shape (T,)
        Relative humidity, a fraction [1].
    ghi_w_m2 : ndarray, shape (T,)
        Global horizontal irradiance [W/m2].
    dni_w_m2 : ndarray, shape (T,)
        Direct normal irradiance [W/m2].
    tariff_eur_per_kwh : ndarray, shape (T,)
        Retail tariff [EUR/kWh].
    carbon_kg_per_kwh : ndarray, shape (T,)
        Carbon intensity of the grid [kg/kWh].
    digest : str
        SHA-256 of the file that the series came from.
    repairs : mapping of str to int
        What was repaired in the source, and how often.

    Raises
    ------
    DataError
        If shapes do not fit together, a value is not finite, or one is negative that may not be.
    """

    index: pd.DatetimeIndex
    step_s: int
    names: tuple[str, ...]
    flags: Mapping[str, str]
    load_kw: FloatArray
    pv_kw_per_kwp: FloatArray
    pv_kwp: FloatArray
    battery_kwh: FloatArray
    battery_kw: FloatArray
    temperature_c: FloatArray
    relative_humidity: FloatArray
    ghi_w_m2: FloatArray
    dni_w_m2: FloatArray
    tariff_eur_per_kwh: FloatArray
    carbon_kg_per_kwh: FloatArray
    digest: str
    repairs: Mapping[str, int]

    def __post_init__(self) -> None:
        _check_index(self.index, self.step_s)
        steps, homes = len(self.index), len(self.names)
        shapes = {
            **dict.fromkeys(_PER_STEP_AND_HOME, (steps, homes)),
            **dict.fromkeys(_PER_HOME, (homes,)),
            **dict.fromkeys(_PER_STEP, (steps,)),
        }
        for name, shape in shapes.items():
            values = np.asarray(getattr(self, name), dtype=np.float64)
            _check(name, values, shape)
            object.__setattr__(self, name, frozen(values))

    @property
    def covered(self) -> str:
        """The covered range, as messages name it: first and last instant."""
        return f"{self.index[0].isoformat()} to {(self.index[-1] + pd.Timedelta(seconds=self.step_s)).isoformat()}"

    def select(self, names: Sequence[str]) -> HomesData:
        """Return the data of the homes `names`, in that order.

        Raises
        ------
        UnknownNameError
            If there is no such home.
        DataError
            If no home is named, or one is named twice.
        """
        if not names or len(set(names)) != len(names):
            raise DataError(f"homes to select must be named once each, at least one; got {', '.join(names) or 'none'}")
        for name in names:
            if name not in self.names:
                raise UnknownNameError("home", name, self.names)
        columns = [self.names.index(name) for name in names]
        return replace(
            self,
            names=tuple(names),
            flags={name: why for name, why in self.flags.items() if name in names},
            **{name: getattr(self, name)[:, columns] for name in _PER_STEP_AND_HOME},
            **{name: getattr(self, name)[columns] for name in _PER_HOME},
        )

    def position(self, timestamp: pd.Timestamp) -> int:
        """Return the number of the step in which `timestamp` lies.

        Raises
        ------
        DataError
            If `timestamp` has no time zone, or lies outside the covered range; the message names the range.
        """
        if timestamp.tzinfo is None:
            raise DataError(f"{timestamp} has no time zone; the data covers {self.covered}")
        step = (timestamp - self.index[0]) // pd.Timedelta(seconds=self.step_s)
        if not 0 <= step < len(self.index):
            raise DataError(f"{timestamp.isoformat()} lies outside the data, which covers {self.covered}")
        return int(step)

    def window(self, start: pd.Timestamp, n_steps: int) -> HomesData:
        """Return `n_steps` steps from the step in which `start` lies.

        Raises
        ------
        DataError
            If the window is empty or leaves the covered range.
        """
        first = self.position(start)
        if n_steps < 1 or first + n_steps > len(self.index):
            raise DataError(
                f"{n_steps} steps of {self.step_s} s from {start.isoformat()} do not fit the data, "
                f"which covers {self.covered}"
            )
        rows = slice(first, first + n_steps)
        over_time: dict[str, Any] = {name: getattr(self, name)[rows] for name in (*_PER_STEP_AND_HOME, *_PER_STEP)}
        return replace(self, index=self.index[rows], **over_time)

    def resampled(self, step_s: int) -> HomesData:
        """Return the data on a finer step; mean power, weather and prices are held constant within the old one.

        Energy is conserved exactly: each old step becomes equal parts of the same mean power.

        Raises
        ------
        DataError
            If `step_s` does not divide the present step.
        """
        if step_s == self.step_s:
            return self
        if step_s < 1 or self.step_s % step_s:
            raise DataError(
                f"data with a step of {self.step_s} s cannot be put on a step of {step_s} s: it must divide it"
            )
        parts = self.step_s // step_s
        index = pd.date_range(self.index[0], periods=len(self.index) * parts, freq=pd.Timedelta(seconds=step_s))
        over_time: dict[str, Any] = {
            name: np.repeat(getattr(self, name), parts, axis=0) for name in (*_PER_STEP_AND_HOME, *_PER_STEP)
        }
        return replace(self, index=index, step_s=step_s, **over_time)


def _check_index(index: pd.DatetimeIndex, step_s: int) -> None:
    if index.tz is None:
        raise DataError("the index of the data has no time zone")
    if len(index) == 0 or step_s < 1:
        raise DataError(f"data needs at least one step of at least one second; got {len(index)} of {step_s} s")
    gaps = np.diff(index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64))
    if (gaps != step_s).any():
        where = int(np.flatnonzero(gaps != step_s)[0])
        raise DataError(f"the index is not spaced by {step_s} s: {gaps[where]} s after {index[where].isoformat()}")


def _check(name: str, values: FloatArray, shape: tuple[int, ...]) -> None:
    if values.shape != shape:
        raise DataError(f"{name} has shape {values.shape}, expected {shape}")
    if not np.isfinite(values).all():
        raise DataError(f"{name} has {int((~np.isfinite(values)).sum())} values that are not finite")
    if name not in _OF_EITHER_SIGN and (values < 0).any():
        raise DataError(f"{name} is negative: lowest value {values.min():g}")
