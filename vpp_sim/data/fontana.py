"""The homes of Fontana, California: a year of load, solar, weather and tariff, hour by hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vpp_sim.data.homes import HomesData
from vpp_sim.data.parquet import FILES, ShippedTable, read_shipped

if TYPE_CHECKING:
    from pathlib import Path

    from vpp_sim.arrays import FloatArray

__all__ = ["DEFAULT_HOMES", "FLAGS", "USD_PER_EUR", "Fontana"]

USD_PER_EUR = 1.0943
"""Mean of the ECB's 257 euro reference rates from 2016-08-01 to 2017-07-31 (eurofxref-hist) [USD/EUR]."""

FLAGS = {
    "home_7": "load reads below 10 W in 1301 of 8760 hours",
    "home_12": "load reads below 10 W in 4711 of 8760 hours",
    "home_14": "load reads below 10 W in 1047 of 8760 hours; solar yields 493 kWh/kWp a year, a third of the others",
    "home_15": "load reads below 10 W in 4533 of 8760 hours; solar yields 29 kWh/kWp a year",
}
"""Homes that are not recommended, and why."""

DEFAULT_HOMES = tuple(name for name in (f"home_{n}" for n in range(1, 18)) if name not in FLAGS)
"""The thirteen homes without a flag."""


class Fontana:
    """Seventeen zero-net-energy homes; every instance is alike.

    Parameters
    ----------
    path : path, optional
        The Parquet file; the shipped one when left out.
    """

    def __init__(self, path: Path = FILES / "fontana.parquet") -> None:
        self._path = path

    @property
    def default_homes(self) -> tuple[str, ...]:
        """The thirteen homes without a flag."""
        return DEFAULT_HOMES

    def load(self) -> HomesData:
        """Return all seventeen homes, 2016-08-01 to 2017-07-31, in steps of an hour.

        Raises
        ------
        DataError
            If the file is missing or damaged.

        Examples
        --------
        >>> homes = Fontana().load().select(DEFAULT_HOMES)
        >>> homes.load_kw.shape, homes.covered
        ((8760, 13), '2016-08-01T00:00:00-07:00 to 2017-08-01T00:00:00-07:00')
        """
        return _homes(read_shipped(self._path))


def _homes(shipped: ShippedTable) -> HomesData:
    notes = shipped.notes
    index = pd.to_datetime(shipped.integers("start_s"), unit="s", utc=True)
    names = tuple(sorted(notes["homes"], key=lambda name: int(name.removeprefix("home_"))))

    def each(key: str) -> FloatArray:
        return np.array([notes["homes"][name][key] for name in names], dtype=np.float64)

    return HomesData(
        index=pd.DatetimeIndex(index).tz_convert(notes["time_zone"]),
        step_s=notes["step_s"],
        names=names,
        flags=FLAGS,
        load_kw=shipped.matrix("load_kw.", names),
        pv_kw_per_kwp=shipped.matrix("pv_kw_per_kwp.", names),
        pv_kwp=each("pv_kwp"),
        battery_kwh=each("battery_kwh"),
        battery_kw=each("battery_kw"),
        temperature_c=shipped.floats("temperature_tenth_c", 10),
        relative_humidity=shipped.floats("relative_humidity_percent", 100),
        ghi_w_m2=shipped.floats("ghi_w_m2"),
        dni_w_m2=shipped.floats("dni_w_m2"),
        tariff_eur_per_kwh=shipped.floats("tariff_usd_cent_per_kwh", 100 * USD_PER_EUR),
        carbon_kg_per_kwh=shipped.floats("carbon_kg_per_kwh"),
        digest=shipped.digest,
        repairs=notes["repairs"],
    )
