r"""What a wholesale position costs: the day-ahead market first, imbalance at two prices afterwards.

Energy is signed as at the meter: positive buys or draws, negative sells or feeds in. Money is positive as a cost. The
imbalance of a step is metered energy less day-ahead position; a positive one is *short*, a negative one *long*.

The spreads are relative to the size of the day-ahead price :math:`p`: who is short pays :math:`p + \sigma_s |p|`, who
is long is paid :math:`p - \sigma_l |p|`, so that imbalance never beats the day-ahead market, at negative prices either.
A relative spread carries from one market or year to another without being set anew; at a price of zero it vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["WholesaleCost", "imbalance_prices", "two_settlement"]


@dataclass(frozen=True, slots=True, eq=False)
class WholesaleCost:
    """Cost of one position, by settlement.

    Attributes
    ----------
    day_ahead_eur : ndarray, shape (H,)
        Cost of the position at the day-ahead price [EUR]; negative where it earns.
    imbalance_eur : ndarray, shape (H,)
        Cost of the difference between meter and position [EUR]; negative where it earns.
    """

    day_ahead_eur: FloatArray
    imbalance_eur: FloatArray

    @property
    def total_eur(self) -> FloatArray:
        """Cost of both settlements, shape (H,) [EUR]."""
        return self.day_ahead_eur + self.imbalance_eur


def imbalance_prices(
    day_ahead_eur_per_kwh: FloatArray, *, short_spread: float, long_spread: float
) -> tuple[FloatArray, FloatArray]:
    """Return the two prices of imbalance.

    Parameters
    ----------
    day_ahead_eur_per_kwh : ndarray, shape (H,)
        Day-ahead price [EUR/kWh], of either sign.
    short_spread, long_spread : float
        Penalty of either side as a share of the price's size, non-negative.

    Returns
    -------
    short_eur_per_kwh : ndarray, shape (H,)
        What missing energy costs [EUR/kWh].
    long_eur_per_kwh : ndarray, shape (H,)
        What surplus energy is paid [EUR/kWh].

    Raises
    ------
    PhysicsError
        If a spread is negative or a price is not finite.

    Examples
    --------
    >>> imbalance_prices(np.array([50.0, -10.0]), short_spread=0.6, long_spread=0.4)
    (array([80., -4.]), array([ 30., -14.]))
    """
    if not (np.isfinite([short_spread, long_spread]).all() and min(short_spread, long_spread) >= 0):
        raise PhysicsError(f"spreads must be finite and non-negative, not {short_spread:g} and {long_spread:g}")
    require_finite("day_ahead_eur_per_kwh", day_ahead_eur_per_kwh)
    size = np.abs(day_ahead_eur_per_kwh)
    return day_ahead_eur_per_kwh + short_spread * size, day_ahead_eur_per_kwh - long_spread * size


def two_settlement(
    position_kwh: FloatArray,
    metered_kwh: FloatArray,
    day_ahead_eur_per_kwh: FloatArray,
    *,
    short_spread: float,
    long_spread: float,
) -> WholesaleCost:
    r"""Settle a day-ahead position and the imbalance that the meter left.

    .. math:: C = p x + (p + \sigma_s |p|) (N - x)^+ - (p - \sigma_l |p|) (x - N)^+

    Parameters
    ----------
    position_kwh : ndarray, shape (H,)
        Energy :math:`x` bought (positive) or sold (negative) day ahead [kWh].
    metered_kwh : ndarray, shape (H,)
        Energy :math:`N` that the meters drew [kWh], positive from the grid.
    day_ahead_eur_per_kwh : ndarray, shape (H,)
        Day-ahead price :math:`p` [EUR/kWh].
    short_spread, long_spread : float
        Penalties :math:`\sigma_s, \sigma_l` as a share of the price's size.

    Returns
    -------
    WholesaleCost
        Costs by step [EUR].

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, or a spread is negative.

    Examples
    --------
    >>> cost = two_settlement(
    ...     np.array([10.0, 10.0]), np.array([12.0, 9.0]), np.array([0.1, 0.1]), short_spread=0.2, long_spread=0.1
    ... )
    >>> cost.day_ahead_eur, cost.imbalance_eur
    (array([1., 1.]), array([ 0.24, -0.09]))
    """
    require_shape("metered_kwh", metered_kwh, position_kwh.shape)
    require_shape("day_ahead_eur_per_kwh", day_ahead_eur_per_kwh, position_kwh.shape)
    require_finite("position_kwh", position_kwh)
    require_finite("metered_kwh", metered_kwh)
    short_eur_per_kwh, long_eur_per_kwh = imbalance_prices(
        day_ahead_eur_per_kwh, short_spread=short_spread, long_spread=long_spread
    )
    imbalance_kwh = metered_kwh - position_kwh
    return WholesaleCost(
        day_ahead_eur=position_kwh * day_ahead_eur_per_kwh,
        imbalance_eur=imbalance_kwh * np.where(imbalance_kwh > 0, short_eur_per_kwh, long_eur_per_kwh),
    )
