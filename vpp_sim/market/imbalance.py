r"""Imbalance: what the difference between meter and position costs, at one price or two, and the whole settlement.

The imbalance of a step is metered energy less the position of all markets: positive is *short* (more drawn than
bought), negative *long*. Energy in kWh, positive from the grid; money positive as a cost.

Spreads on **both sides** charge either side its own share of the day-ahead price's size :math:`p`, whatever the system
needs: who is short pays :math:`p + \sigma_s |p|`, who is long is paid :math:`p - \sigma_l |p|`, so that imbalance never
beats the day-ahead market, at negative prices either. A relative spread carries from one market or year to another
without being set anew; at a price of zero it vanishes.

With **one price** whoever is short pays it and whoever is long is paid it: who leans against the system's imbalance
earns. With **two prices** only those who add to it face the balancing price, the others the day-ahead price, so that
imbalance never pays [1]_.

References
----------
.. [1] ENTSO-E and European Commission, "Guideline on electricity balancing", Regulation (EU) 2017/2195, articles 52 to
   55: single pricing is the rule, dual pricing the exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["ImbalancePrices", "Traded", "WholesaleSettlement", "settle_wholesale"]


@dataclass(frozen=True, slots=True, eq=False)
class ImbalancePrices:
    """Prices of either side of an imbalance.

    Attributes
    ----------
    short_eur_per_kwh : ndarray, shape (H,)
        What missing energy costs [EUR/kWh].
    long_eur_per_kwh : ndarray, shape (H,)
        What surplus energy is paid [EUR/kWh].

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, or surplus is paid more than shortage costs.
    """

    short_eur_per_kwh: FloatArray
    long_eur_per_kwh: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and order."""
        require_shape("long_eur_per_kwh", self.long_eur_per_kwh, self.short_eur_per_kwh.shape)
        require_finite("short_eur_per_kwh", self.short_eur_per_kwh)
        require_finite("long_eur_per_kwh", self.long_eur_per_kwh)
        over = self.long_eur_per_kwh - self.short_eur_per_kwh
        if (over > 0).any():
            step = int(np.argmax(over))
            raise PhysicsError(f"at step {step} surplus is paid {over[step]:g} EUR/kWh more than shortage costs")

    @classmethod
    def of_spreads(
        cls, day_ahead_eur_per_kwh: FloatArray, *, short_spread: float, long_spread: float
    ) -> ImbalancePrices:
        """Return prices that stand off the day-ahead price by shares of its size, on either side.

        Parameters
        ----------
        day_ahead_eur_per_kwh : ndarray, shape (H,)
            Day-ahead price [EUR/kWh], of either sign.
        short_spread, long_spread : float
            Penalty of either side as a share of the price's size, non-negative.

        Raises
        ------
        PhysicsError
            If a spread is negative or a price is not finite.

        Examples
        --------
        >>> prices = ImbalancePrices.of_spreads(np.array([50.0, -10.0]), short_spread=0.6, long_spread=0.4)
        >>> prices.short_eur_per_kwh, prices.long_eur_per_kwh
        (array([80., -4.]), array([ 30., -14.]))
        """
        if not (np.isfinite([short_spread, long_spread]).all() and min(short_spread, long_spread) >= 0):
            raise PhysicsError(f"spreads must be finite and non-negative, not {short_spread:g} and {long_spread:g}")
        require_finite("day_ahead_eur_per_kwh", day_ahead_eur_per_kwh)
        size = np.abs(day_ahead_eur_per_kwh)
        return cls(day_ahead_eur_per_kwh + short_spread * size, day_ahead_eur_per_kwh - long_spread * size)

    @classmethod
    def one_price(cls, price_eur_per_kwh: FloatArray) -> ImbalancePrices:
        """Return the same price for either side."""
        return cls(price_eur_per_kwh, price_eur_per_kwh)

    @classmethod
    def two_prices(
        cls, day_ahead_eur_per_kwh: FloatArray, balancing_eur_per_kwh: FloatArray, system_short: FloatArray
    ) -> ImbalancePrices:
        """Return the balancing price for the side that adds to the system's imbalance, day ahead for the other.

        Parameters
        ----------
        day_ahead_eur_per_kwh : ndarray, shape (H,)
            Day-ahead price [EUR/kWh].
        balancing_eur_per_kwh : ndarray, shape (H,)
            Price of the balancing energy used [EUR/kWh]. Where the day-ahead price is worse for the side that adds to
            the imbalance, that one counts: balancing never rewards it.
        system_short : ndarray, shape (H,)
            The system's imbalance in any unit: positive if it was short, negative if long, zero if balanced.

        Raises
        ------
        PhysicsError
            If shapes differ or a number is not finite.

        Examples
        --------
        >>> prices = ImbalancePrices.two_prices(np.full(3, 50.0), np.array([80.0, 30.0, 99.0]), np.array([1.0, -1, 0]))
        >>> prices.short_eur_per_kwh, prices.long_eur_per_kwh
        (array([80., 50., 50.]), array([50., 30., 50.]))
        """
        for name, values in (("balancing_eur_per_kwh", balancing_eur_per_kwh), ("system_short", system_short)):
            require_shape(name, values, day_ahead_eur_per_kwh.shape)
            require_finite(name, values)
        day_ahead = day_ahead_eur_per_kwh
        return cls(
            np.where(system_short > 0, np.maximum(balancing_eur_per_kwh, day_ahead), day_ahead),
            np.where(system_short < 0, np.minimum(balancing_eur_per_kwh, day_ahead), day_ahead),
        )

    def cost_eur(self, imbalance_kwh: FloatArray) -> FloatArray:
        """Return what an imbalance costs, of the shape of the prices [EUR]; negative where it earns.

        Examples
        --------
        >>> ImbalancePrices(np.array([80.0, 80.0]), np.array([30.0, 30.0])).cost_eur(np.array([2.0, -1.0]))
        array([160., -30.])
        """
        require_shape("imbalance_kwh", imbalance_kwh, self.short_eur_per_kwh.shape)
        require_finite("imbalance_kwh", imbalance_kwh)
        cost: FloatArray = imbalance_kwh * np.where(imbalance_kwh > 0, self.short_eur_per_kwh, self.long_eur_per_kwh)
        return cost


class Traded(Protocol):
    """Energy bought (positive) or sold (negative) after the auction [kWh] and what it cost [EUR], shapes (H,)."""

    @property
    def traded_kwh(self) -> FloatArray:
        """Energy [kWh]."""
        ...

    @property
    def cost_eur(self) -> FloatArray:
        """Cost with spread and fees [EUR]; negative where it earns."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class WholesaleSettlement:
    """What one participant pays in all three markets.

    Attributes
    ----------
    day_ahead_kwh, intraday_kwh, imbalance_kwh : ndarray, shape (H,)
        Energy of each market, positive bought or drawn beyond the position [kWh]; their sum is what was metered.
    day_ahead_eur, intraday_eur, imbalance_eur : ndarray, shape (H,)
        Cost of each [EUR].
    """

    day_ahead_kwh: FloatArray
    intraday_kwh: FloatArray
    imbalance_kwh: FloatArray
    day_ahead_eur: FloatArray
    intraday_eur: FloatArray
    imbalance_eur: FloatArray

    @property
    def metered_kwh(self) -> FloatArray:
        """What was delivered, shape (H,) [kWh]."""
        return self.day_ahead_kwh + self.intraday_kwh + self.imbalance_kwh

    @property
    def total_eur(self) -> FloatArray:
        """Cost of all three, shape (H,) [EUR]."""
        return self.day_ahead_eur + self.intraday_eur + self.imbalance_eur


def settle_wholesale(
    day_ahead_kwh: FloatArray,
    metered_kwh: FloatArray,
    day_ahead_eur_per_kwh: FloatArray,
    imbalance: ImbalancePrices,
    *,
    intraday: Traded | None = None,
) -> WholesaleSettlement:
    """Settle the day-ahead position, the intraday trades and what the meter says beyond both.

    Parameters
    ----------
    day_ahead_kwh : ndarray, shape (H,)
        What the auction filled, positive bought [kWh].
    metered_kwh : ndarray, shape (H,)
        What was drawn, positive from the grid [kWh].
    day_ahead_eur_per_kwh : ndarray, shape (H,)
        Clearing price [EUR/kWh].
    imbalance : ImbalancePrices
        Prices of imbalance.
    intraday : Traded, optional
        Trades after the auction, such as :class:`~vpp_sim.market.intraday.IntradayTrades`.

    Raises
    ------
    PhysicsError
        If shapes differ or a number is not finite.

    Examples
    --------
    Bought 100 at 50, sold 20 of it at 45, drew 90: the missing 10 cost 80.

    >>> from vpp_sim.market.intraday import IntradayRules, adjust_position
    >>> trades = adjust_position(
    ...     np.array([100.0]), np.array([80.0]), np.array([46.0]), is_open=np.array([True]),
    ...     rules=IntradayRules(half_spread_eur_per_kwh=1.0, least_mw=0.0, tick_mw=0.001, highest_eur_per_mwh=1e6),
    ... )
    >>> one = ImbalancePrices.one_price(np.array([80.0]))
    >>> settle_wholesale(np.array([100.0]), np.array([90.0]), np.array([50.0]), one, intraday=trades).total_eur
    array([4900.])
    """
    shape = day_ahead_kwh.shape
    for name, values in (("metered_kwh", metered_kwh), ("day_ahead_eur_per_kwh", day_ahead_eur_per_kwh)):
        require_shape(name, values, shape)
        require_finite(name, values)
    require_finite("day_ahead_kwh", day_ahead_kwh)
    traded = np.zeros(shape) if intraday is None else intraday.traded_kwh
    require_shape("traded_kwh", traded, shape)
    difference = metered_kwh - day_ahead_kwh - traded
    return WholesaleSettlement(
        day_ahead_kwh=day_ahead_kwh,
        intraday_kwh=traded,
        imbalance_kwh=difference,
        day_ahead_eur=day_ahead_kwh * day_ahead_eur_per_kwh,
        intraday_eur=np.zeros(shape) if intraday is None else intraday.cost_eur,
        imbalance_eur=imbalance.cost_eur(difference),
    )
