"""Solar AC power: from a measured series per kWp, or from weather by the PVWatts chain through pvlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PvSite", "pv_ac_power_kw", "pv_weather_kw_per_kwp"]

_W_PER_KW = 1_000.0
_NOMINAL_EFFICIENCY = 0.96


@dataclass(frozen=True, slots=True)
class PvSite:
    """Where a PV array stands, how it is turned, and what it loses.

    Attributes
    ----------
    latitude_deg, longitude_deg : float
        Position, north and east positive [deg].
    tilt_deg : float
        Tilt from the horizontal [deg].
    azimuth_deg : float
        Direction faced, clockwise from north, 180 is south [deg].
    losses : float
        Share of the DC power lost to soiling, shading, mismatch, wiring and outages; 14.08 % is PVWatts' default [1].
    dc_ac_ratio : float
        DC nameplate over AC nameplate of the inverter [1].
    temperature_coefficient_per_c : float
        Change of power with cell temperature; -0.47 %/degC is PVWatts' standard module [1/degC].
    wind_speed_m_s : float
        Wind speed taken where none is measured [m/s].
    """

    latitude_deg: float
    longitude_deg: float
    tilt_deg: float = 20.0
    azimuth_deg: float = 180.0
    losses: float = 0.1408
    dc_ac_ratio: float = 1.2
    temperature_coefficient_per_c: float = -0.0047
    wind_speed_m_s: float = 1.0


def pv_ac_power_kw(
    pv_kw_per_kwp: FloatArray, pv_kwp: FloatArray, *, inverter_kw: FloatArray | None = None
) -> FloatArray:
    r"""Return the AC power of n arrays from normalised power, cut at the inverter's limit where there is one.

    .. math:: P_i = \min(p_i \, P_{0,i}, \; P_{\mathrm{inv},i})

    Parameters
    ----------
    pv_kw_per_kwp : ndarray, shape (n,) or (T, n)
        Mean AC power per installed kWp [kW/kWp], non-negative.
    pv_kwp : ndarray, shape (n,)
        Installed power :math:`P_0` [kWp], non-negative.
    inverter_kw : ndarray, shape (n,), optional
        AC limit of each inverter [kW], non-negative; no limit when left out.

    Returns
    -------
    ndarray, shape of `pv_kw_per_kwp`
        AC power [kW].

    Raises
    ------
    PhysicsError
        If shapes do not fit, or a value is negative or not finite.

    Examples
    --------
    >>> pv_ac_power_kw(np.array([0.5, 0.9]), np.array([4.0, 5.0]), inverter_kw=np.array([3.8, 3.8]))
    array([2. , 3.8])
    """
    require_non_negative("pv_kw_per_kwp", pv_kw_per_kwp)
    require_non_negative("pv_kwp", pv_kwp)
    require_shape("pv_kwp", pv_kwp, pv_kw_per_kwp.shape[-1:])
    power_kw: FloatArray = pv_kw_per_kwp * pv_kwp
    if inverter_kw is None:
        return power_kw
    require_non_negative("inverter_kw", inverter_kw)
    require_shape("inverter_kw", inverter_kw, pv_kwp.shape)
    return np.minimum(power_kw, inverter_kw)


def pv_weather_kw_per_kwp(
    index: pd.DatetimeIndex,
    step_s: int,
    ghi_w_m2: FloatArray,
    dni_w_m2: FloatArray,
    temperature_c: FloatArray,
    site: PvSite,
) -> FloatArray:
    r"""Return AC power per installed kWp from weather, by PVWatts version 5 [1]_ with pvlib's parts.

    Plane-of-array irradiance :math:`G` comes by the isotropic sky from the diffuse part that closes
    :math:`\mathrm{GHI} = \mathrm{DHI} + \mathrm{DNI} \cos z`, cell temperature :math:`T` from Faiman's model (PVWatts
    itself takes Fuentes', which needs the wind), and reflection off the glass is left out. Then

    .. math:: p_{dc} = \frac{G}{1000} \bigl(1 + \gamma (T - 25)\bigr) (1 - L)

    and PVWatts' inverter, of nominal efficiency 0.96 and AC nameplate ``1 / dc_ac_ratio``. The sun stands where it is
    in the middle of each step; when that is below the horizon, all irradiance is diffuse.

    Parameters
    ----------
    index : DatetimeIndex, length T
        Start of each step, time-zone aware.
    step_s : int
        Length of a step [s].
    ghi_w_m2, dni_w_m2 : ndarray, shape (T,)
        Mean global horizontal and direct normal irradiance over the step [W/m2], non-negative.
    temperature_c : ndarray, shape (T,)
        Air temperature [degC].
    site : PvSite
        Where the array stands and how it is turned.

    Returns
    -------
    ndarray, shape (T,)
        AC power per installed DC kWp [kW/kWp], never below zero.

    Raises
    ------
    PhysicsError
        If shapes differ, or irradiance is negative, or any value is not finite.

    References
    ----------
    .. [1] A. P. Dobos, "PVWatts Version 5 Manual", NREL/TP-6A20-62641, 2014. https://doi.org/10.2172/1158421
    """
    for name, values in (("ghi_w_m2", ghi_w_m2), ("dni_w_m2", dni_w_m2)):
        require_shape(name, values, (len(index),))
        require_non_negative(name, values)
    require_shape("temperature_c", temperature_c, (len(index),))
    require_finite("temperature_c", temperature_c)
    poa_w_m2 = _plane_of_array_w_m2(index, step_s, ghi_w_m2, dni_w_m2, site)
    return _pvwatts_kw_per_kwp(poa_w_m2, temperature_c, site)


def _plane_of_array_w_m2(
    index: pd.DatetimeIndex, step_s: int, ghi_w_m2: FloatArray, dni_w_m2: FloatArray, site: PvSite
) -> FloatArray:
    import pandas as pd
    from pvlib import irradiance, solarposition

    middle = index + pd.Timedelta(seconds=step_s / 2)
    sun = solarposition.get_solarposition(middle, site.latitude_deg, site.longitude_deg)
    zenith_deg = sun["apparent_zenith"].to_numpy()
    up = np.maximum(np.cos(np.radians(zenith_deg)), 0.0)
    beam_w_m2 = np.where(up > 0.0, dni_w_m2, 0.0)
    dhi_w_m2 = np.maximum(ghi_w_m2 - beam_w_m2 * up, 0.0)
    parts = irradiance.get_total_irradiance(
        site.tilt_deg,
        site.azimuth_deg,
        zenith_deg,
        sun["azimuth"].to_numpy(),
        beam_w_m2,
        ghi_w_m2,
        dhi_w_m2,
        model="isotropic",
    )
    return np.maximum(np.asarray(parts["poa_global"], dtype=np.float64), 0.0)


def _pvwatts_kw_per_kwp(poa_w_m2: FloatArray, temperature_c: FloatArray, site: PvSite) -> FloatArray:
    from pvlib import inverter, pvsystem, temperature

    cell_c = temperature.faiman(poa_w_m2, temperature_c, site.wind_speed_m_s)
    dc_w = pvsystem.pvwatts_dc(poa_w_m2, cell_c, _W_PER_KW, site.temperature_coefficient_per_c)
    full_w = _W_PER_KW / site.dc_ac_ratio / _NOMINAL_EFFICIENCY
    ac_w = inverter.pvwatts(dc_w * (1.0 - site.losses), full_w, eta_inv_nom=_NOMINAL_EFFICIENCY)
    return np.maximum(np.asarray(ac_w, dtype=np.float64) / _W_PER_KW, 0.0)
