"""Quantities with units: what scenario fields accept, and the one place where money and energy become integers.

A scenario may write a quantity as a plain number in the field's unit (``6.4``) or with the unit (``"6.4 kWh"``);
another unit is refused, never converted in silence, except for durations (``15min``, ``24h``, ``7d``).

On chain and in the ledger, energy is whole watt-hours and money whole micro-euro. :func:`to_wh` and
:func:`to_micro_eur` convert, rounding half to even.
"""

from __future__ import annotations

import re
from fractions import Fraction as Rational
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer

from vpp_sim.arrays import FloatArray, IntArray

__all__ = [
    "MICRO_EUR_PER_EUR",
    "SECONDS_PER_HOUR",
    "WEI_PER_GWEI",
    "WEI_PER_NATIVE",
    "WH_PER_KWH",
    "Count",
    "DurationS",
    "EnergyKwh",
    "Fraction",
    "PowerKw",
    "PriceEurPerKwh",
    "PureNumber",
    "TemperatureC",
    "format_duration",
    "parse_duration_s",
    "to_micro_eur",
    "to_wh",
]

SECONDS_PER_HOUR = 3600
WH_PER_KWH = 1_000
MICRO_EUR_PER_EUR = 1_000_000
WEI_PER_GWEI = 10**9
WEI_PER_NATIVE = 10**18
"""Wei in one unit of a chain's own currency, such as ether."""

_DURATION_S = {"s": 1, "min": 60, "h": SECONDS_PER_HOUR, "d": 24 * SECONDS_PER_HOUR}
_DURATION_PATTERN = r"\d+(?:\.\d+)?\s*(?:s|min|h|d)"
_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(\S+)\s*")


def parse_duration_s(text: str) -> int:
    """Return the duration that `text` names, in whole seconds.

    Parameters
    ----------
    text : str
        Number and unit: ``s``, ``min``, ``h`` or ``d``.

    Raises
    ------
    ValueError
        If the text is no duration, is not positive, or is not a whole number of seconds.

    Examples
    --------
    >>> parse_duration_s("15min"), parse_duration_s("1.5h")
    (900, 5400)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", text)
    if match is None:
        raise ValueError("expected a duration such as 12s, 15min, 24h or 7d")
    seconds = Rational(match[1]) * _DURATION_S[match[2]]
    if seconds <= 0 or seconds != int(seconds):
        raise ValueError("expected a positive whole number of seconds")
    return int(seconds)


def format_duration(duration_s: int) -> str:
    """Return `duration_s` as :func:`parse_duration_s` reads it, in the largest unit that makes it a whole number.

    Parameters
    ----------
    duration_s : int
        Positive duration [s].

    Examples
    --------
    >>> format_duration(3600), format_duration(5400), format_duration(12)
    ('1h', '90min', '12s')
    """
    unit = next(unit for unit in ("d", "h", "min", "s") if duration_s % _DURATION_S[unit] == 0)
    return f"{duration_s // _DURATION_S[unit]}{unit}"


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration_s(value)
    raise ValueError("expected a duration with its unit, such as 12s, 15min, 24h or 7d")


def _number_in(unit: str) -> BeforeValidator:
    def strip(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"expected a number in {unit}")
        if not isinstance(value, str):
            return value
        match = _QUANTITY.fullmatch(value)
        if match is None:
            raise ValueError(f"expected a number in {unit}")
        if match[2] != unit:
            raise ValueError(f"expected the unit {unit}, not {match[2]}")
        return float(match[1])

    return BeforeValidator(strip, json_schema_input_type=float | Annotated[str, Field(pattern=rf".*{unit}$")])


PowerKw: TypeAlias = Annotated[
    float, _number_in("kW"), Field(ge=0, allow_inf_nan=False, json_schema_extra={"unit": "kW"})
]
"""Non-negative power [kW]."""

EnergyKwh: TypeAlias = Annotated[
    float, _number_in("kWh"), Field(ge=0, allow_inf_nan=False, json_schema_extra={"unit": "kWh"})
]
"""Non-negative energy [kWh]."""

PriceEurPerKwh: TypeAlias = Annotated[
    float, _number_in("EUR/kWh"), Field(allow_inf_nan=False, json_schema_extra={"unit": "EUR/kWh"})
]
"""Price, of either sign [EUR/kWh]."""

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, json_schema_extra={"unit": "1"})]
"""Share between 0 and 1."""

PureNumber: TypeAlias = Annotated[float, Field(allow_inf_nan=False, json_schema_extra={"unit": "1"})]
"""Number without a unit, of either sign."""

TemperatureC: TypeAlias = Annotated[
    float, _number_in("degC"), Field(gt=-273.15, allow_inf_nan=False, json_schema_extra={"unit": "degC"})
]
"""Temperature above absolute zero [degC]."""

Count: TypeAlias = Annotated[int, Field(ge=0, json_schema_extra={"unit": "1"})]
"""Non-negative whole number."""

DurationS: TypeAlias = Annotated[
    int,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, Field(pattern=rf"^\s*{_DURATION_PATTERN}\s*$")]),
    PlainSerializer(format_duration, return_type=str),
    Field(gt=0, json_schema_extra={"unit": "s"}),
]
"""Duration, written with its unit (``15min``), held in whole seconds; dumped as it is written."""


def _rounded(values: FloatArray, factor: int) -> IntArray:
    scaled = np.rint(np.asarray(values, dtype=np.float64) * factor)
    if not np.isfinite(scaled).all() or (np.abs(scaled) >= 2**62).any():
        raise ValueError("value is not finite or leaves 64-bit integers")
    return scaled.astype(np.int64)


def to_wh(energy_kwh: FloatArray) -> IntArray:
    """Return energy in whole watt-hours, rounded half to even.

    Raises
    ------
    ValueError
        If a value is not finite or its result leaves 64-bit integers.

    Examples
    --------
    >>> to_wh(np.array([0.0015, 0.0025, -1.0]))
    array([    2,     2, -1000])
    """
    return _rounded(energy_kwh, WH_PER_KWH)


def to_micro_eur(amount_eur: FloatArray) -> IntArray:
    """Return money in whole micro-euro, rounded half to even.

    Raises
    ------
    ValueError
        If a value is not finite or its result leaves 64-bit integers.

    Examples
    --------
    >>> to_micro_eur(np.array([0.0000015, -2.5]))
    array([       2, -2500000])
    """
    return _rounded(amount_eur, MICRO_EUR_PER_EUR)
