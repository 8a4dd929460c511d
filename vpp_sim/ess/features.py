"""The normalised observation of a policy: one function for learning and for acting, and its rules.

Everything is a ratio, so that one policy serves batteries and prices of any size. With usable energy
:math:`E = (s_{max} - s_{min}) C`, power limit :math:`P` and the mean price :math:`\\bar b` of the window:

====== ============================================= ========================================================
column content                                       rule
====== ============================================= ========================================================
0      state of charge                               (soc - minimum) / E
1-2    hour of day                                   sine, cosine
3      hours at full power                           E / P / 4, at most 3
4      energy lost on a round trip                   5 (1 - efficiency)
5      net load of this step, by power               net / P, within +-3
6-29   net load: this step, then the hours after it  4 net h / E, within +-5
30-53  buying price, each hour from now              (b - mean) / max(std, 0.02 mean), within +-4
54-77  selling price, each hour from now             s / mean, within -1..2
78     spread of the buying price                    std / mean, at most 2
====== ============================================= ========================================================

Steps shorter than an hour are averaged to hours, but for the first, which stays as it is.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp_sim.arrays import FloatArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.protocol import HORIZON_H

__all__ = ["FEATURE_BOUND", "FEATURE_COUNT", "Float32Array", "price_features", "storage_features"]

Float32Array: TypeAlias = NDArray[np.float32]
"""Array of float32, what networks take."""

FEATURE_COUNT = 6 + 3 * HORIZON_H + 1
FEATURE_BOUND = 5.0
"""Greatest magnitude of any feature."""

_LOWEST_PRICE_EUR_PER_KWH = 0.01
_SMALLEST_SIZE = 1e-6


def storage_features(
    fleet: BatteryFleet,
    soc_kwh: FloatArray,
    net_kw: FloatArray,
    buy_eur_per_kwh: FloatArray,
    sell_eur_per_kwh: FloatArray,
    hour: FloatArray | float,
    step_h: float,
) -> Float32Array:
    """Return what a policy sees, by the rules of this module.

    Parameters
    ----------
    fleet : BatteryFleet
        The batteries.
    soc_kwh : ndarray, shape (n,)
        Stored energy [kWh].
    net_kw : ndarray, shape (n, H)
        Load minus PV, this step first [kW].
    buy_eur_per_kwh, sell_eur_per_kwh : ndarray, shape (H,) or (n, H)
        Prices, this step first [EUR/kWh].
    hour : float or ndarray, shape (n,)
        Local hour of day.
    step_h : float
        Length of a step [h]; H steps make 24 h.

    Returns
    -------
    ndarray of float32, shape (n, 79)
        Features, none above 5 in magnitude.
    """
    usable_kwh = np.maximum(fleet.max_kwh - fleet.min_kwh, _SMALLEST_SIZE)
    power_kw = np.maximum(fleet.power_kw, _SMALLEST_SIZE)
    angle = 2.0 * np.pi * np.asarray(hour) / 24.0
    out = np.empty((len(fleet), FEATURE_COUNT), dtype=np.float32)
    out[:, 0] = np.clip((soc_kwh - fleet.min_kwh) / usable_kwh, 0.0, 1.0)
    out[:, 1] = np.sin(angle)
    out[:, 2] = np.cos(angle)
    out[:, 3] = np.minimum(usable_kwh / power_kw / 4.0, 3.0)
    out[:, 4] = 5.0 * (1.0 - fleet.charge_efficiency * fleet.discharge_efficiency)
    out[:, 5] = np.clip(net_kw[:, 0] / power_kw, -3.0, 3.0)
    shares = out[:, 6 : 6 + HORIZON_H]
    np.multiply(_now_then_hours(net_kw, step_h), (4.0 / usable_kwh)[:, None], out=shares, casting="same_kind")
    np.maximum(shares, -5.0, out=shares)
    np.minimum(shares, 5.0, out=shares)
    out[:, 6 + HORIZON_H :] = price_features(buy_eur_per_kwh, sell_eur_per_kwh, step_h).astype(np.float32)
    return out


def price_features(buy_eur_per_kwh: FloatArray, sell_eur_per_kwh: FloatArray, step_h: float) -> FloatArray:
    """Return the features made of prices, shape (1, 49) or (n, 49) as the prices are.

    Examples
    --------
    >>> flat = price_features(np.full(24, 0.3), np.full(24, 0.06), 1.0)
    >>> flat.shape, flat[0, 0].item(), round(flat[0, 24].item(), 3), flat[0, 48].item()
    ((1, 49), 0.0, 0.2, 0.0)
    """
    buy = _now_then_hours(np.atleast_2d(buy_eur_per_kwh), step_h)
    sell = _now_then_hours(np.atleast_2d(sell_eur_per_kwh), step_h)
    mean = buy.mean(axis=1, keepdims=True)
    off = buy - mean
    spread = np.sqrt((off * off).mean(axis=1, keepdims=True))
    level = np.maximum(mean, _LOWEST_PRICE_EUR_PER_KWH)
    relative = np.clip(off / np.maximum(spread, 0.02 * level), -4.0, 4.0)
    out: FloatArray = np.concatenate(
        [relative, np.clip(sell / level, -1.0, 2.0), np.minimum(spread / level, 2.0)], axis=1, dtype=np.float64
    )
    return out


def _now_then_hours(values: FloatArray, step_h: float) -> FloatArray:
    per_hour = round(1.0 / step_h)
    if per_hour == 1:
        return np.ascontiguousarray(values)
    hours: FloatArray = values.reshape(len(values), HORIZON_H, per_hour).mean(axis=2)
    hours[:, 0] = values[:, 0]
    return hours
