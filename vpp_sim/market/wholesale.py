"""Two settlements in one line: the day-ahead market first, imbalance at spreads on both sides afterwards.

The arithmetic stands in :mod:`~vpp_sim.market.imbalance`; this is the shortest way to the case that needs no draw.
"""

from __future__ import annotations

from vpp_sim.arrays import FloatArray
from vpp_sim.market.imbalance import ImbalancePrices, WholesaleSettlement, settle_wholesale

__all__ = ["two_settlement"]


def two_settlement(
    position_kwh: FloatArray,
    metered_kwh: FloatArray,
    day_ahead_eur_per_kwh: FloatArray,
    *,
    short_spread: float,
    long_spread: float,
) -> WholesaleSettlement:
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
    WholesaleSettlement
        Costs by step [EUR], none of them of intraday trades.

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, or a spread is negative.

    Examples
    --------
    >>> import numpy as np
    >>> cost = two_settlement(
    ...     np.array([10.0, 10.0]), np.array([12.0, 9.0]), np.array([0.1, 0.1]), short_spread=0.2, long_spread=0.1
    ... )
    >>> cost.day_ahead_eur, cost.imbalance_eur
    (array([1., 1.]), array([ 0.24, -0.09]))
    """
    prices = ImbalancePrices.of_spreads(day_ahead_eur_per_kwh, short_spread=short_spread, long_spread=long_spread)
    return settle_wholesale(position_kwh, metered_kwh, day_ahead_eur_per_kwh, prices)
