"""Responses to prices that a scenario may name: none, and deferral within the day that conserves energy exactly."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["DemandResponse", "NoResponse", "SelfDemandResponse"]


class DemandResponse(Protocol):
    """Turns base load into load, step by step; made as ``Response(homes=13, elasticity=-0.08, flexible_share=0.2)``.

    Over each day the load has the energy of the base load, home by home. A response never looks at load to come, leaves
    its arguments unchanged, and starts each day with nothing deferred.

    Attributes
    ----------
    deferred_kwh : ndarray, shape (n,)
        Energy put off today and not yet made good [kWh]; all of the object's state.
    """

    deferred_kwh: FloatArray

    def respond(
        self, base_load_kw: FloatArray, day_buy_eur_per_kwh: FloatArray, step_of_day: int, step_h: float
    ) -> FloatArray:
        """Return the load of each home in this step, shape (n,) [kW].

        Parameters
        ----------
        base_load_kw : ndarray, shape (n,)
            What each home would draw at an even price [kW], non-negative.
        day_buy_eur_per_kwh : ndarray, shape (D,)
            Retail price of every step of the local day [EUR/kWh]: charged so far, published from here on. D is the
            number of steps of this very day, 23 or 25 hours' worth where the clock changes.
        step_of_day : int
            This step, counted from 0.
        step_h : float
            Length of a step [h].
        """
        ...


def _check(
    homes: int, base_load_kw: FloatArray, day_buy_eur_per_kwh: FloatArray, step_of_day: int, step_h: float
) -> None:
    require_shape("base_load_kw", base_load_kw, (homes,))
    require_non_negative("base_load_kw", base_load_kw)
    require_shape("day_buy_eur_per_kwh", day_buy_eur_per_kwh, (day_buy_eur_per_kwh.size,))
    require_finite("day_buy_eur_per_kwh", day_buy_eur_per_kwh)
    if not 0 <= step_of_day < day_buy_eur_per_kwh.size:
        raise PhysicsError(f"step {step_of_day} is not in a day of {day_buy_eur_per_kwh.size} steps")
    if not step_h > 0:
        raise PhysicsError(f"step_h is {step_h:g}, expected above 0")


class _Flexible:
    """A response of a given number of homes."""

    def __init__(self, *, homes: int, elasticity: float = -0.08, flexible_share: float = 0.2) -> None:
        if homes < 1:
            raise PhysicsError(f"a response needs homes, not {homes}")
        if not (np.isfinite(elasticity) and elasticity <= 0):
            raise PhysicsError(f"elasticity is {elasticity:g}, expected 0 or below")
        if not 0 <= flexible_share <= 1:
            raise PhysicsError(f"flexible_share is {flexible_share:g}, expected 0..1")
        self.homes, self.elasticity, self.flexible_share = homes, elasticity, flexible_share
        self.deferred_kwh: FloatArray = np.zeros(homes)


class NoResponse(_Flexible):
    """Homes that do not look at prices: the load is the base load."""

    def respond(
        self, base_load_kw: FloatArray, day_buy_eur_per_kwh: FloatArray, step_of_day: int, step_h: float
    ) -> FloatArray:
        """Return a copy of the base load, shape (n,) [kW]."""
        _check(self.homes, base_load_kw, day_buy_eur_per_kwh, step_of_day, step_h)
        return base_load_kw.copy()


class SelfDemandResponse(_Flexible):
    r"""Homes that put off a part of their load in dear steps and make it good in cheap steps of the same day.

    With the day's mean price :math:`\bar p` and elasticity :math:`e`, a step dearer than the mean puts off the share

    .. math:: c_t = \min\bigl(\phi, \; |e| \, (p_t / \bar p - 1)\bigr)

    of its load, never more than the flexible share :math:`\phi`, and only if a step below the mean is still to come.
    What is owed returns in the steps below the mean, in proportion to :math:`w_t = \bar p - p_t`: each pays back
    :math:`w_t / \sum_{s \ge t} w_s` of what is left, so the last cheap step pays all. If prices change during the day
    and no cheap step is left, the rest is spread over the steps that are; the day's last step pays whatever remains.

    To keep the return from making a peak of its own, a home stops putting off once the plan for any one later step
    would exceed :math:`\phi` of its present load: the flexible load can rise by as much as it can fall.

    A day whose mean price is zero or negative has no response.

    The default elasticity is that of willing homes: those of daily demand in Sacramento in summer 2012 lie between
    -0.02 and -0.07 [1]_, and customers who were put on time-of-use prices by default are a quarter as elastic as those
    who volunteered [2]_.

    Parameters
    ----------
    homes : int
        Number of homes.
    elasticity : float, default -0.08
        Relative change of load over relative deviation of the price from the day's mean, not positive.
    flexible_share : float, default 0.2
        Share of the load that can move, 0..1.

    References
    ----------
    .. [1] Z. K. Davis, "Sweating it out: the response of summer electricity demand to increases in price", thesis,
       California State University, Sacramento, 2013, abstract.
    .. [2] Lawrence Berkeley National Laboratory, "Heterogeneity in own-price residential customer demand elasticities
       for electricity under time-of-use rates: evidence from a randomized-control trial in the United States",
       abstract. https://energyanalysis.lbl.gov/publications/heterogeneity-own-price-residential

    Examples
    --------
    The evening costs half as much again as the mean, the night half of it: a tenth of the evening's load moves.

    >>> response = SelfDemandResponse(homes=1, elasticity=-0.2)
    >>> prices = np.array([0.2, 0.3, 0.1])
    >>> [response.respond(np.array([2.0]), prices, step, 1.0) for step in range(3)]
    [array([2.]), array([1.8]), array([2.2])]
    """

    def respond(
        self, base_load_kw: FloatArray, day_buy_eur_per_kwh: FloatArray, step_of_day: int, step_h: float
    ) -> FloatArray:
        """Return the load after deferral and return, shape (n,) [kW].

        Raises
        ------
        PhysicsError
            If shapes differ, a load is negative, the step is not in the day, or a day begins with energy owed.
        """
        _check(self.homes, base_load_kw, day_buy_eur_per_kwh, step_of_day, step_h)
        if step_of_day == 0 and self.deferred_kwh.any():
            raise PhysicsError(f"a day begins with {self.deferred_kwh.sum():g} kWh still owed from the day before")
        mean = day_buy_eur_per_kwh.mean()
        cheapness = np.maximum(mean - day_buy_eur_per_kwh[step_of_day:], 0.0)
        returned_kwh = self.deferred_kwh * self._share_due(cheapness)
        deferred_kwh = self._put_off(base_load_kw * step_h, day_buy_eur_per_kwh[step_of_day], mean, cheapness[1:])
        self.deferred_kwh = self.deferred_kwh - returned_kwh + deferred_kwh
        return np.maximum(base_load_kw + (returned_kwh - deferred_kwh) / step_h, 0.0)  # the sum may round below zero

    @staticmethod
    def _share_due(cheapness: FloatArray) -> float:
        """Return which share of the energy owed is due now, given how far each remaining step is below the mean."""
        left = cheapness.sum()
        return float(cheapness[0] / left) if left > 0 and cheapness.size > 1 else 1 / cheapness.size

    def _put_off(
        self, base_kwh: FloatArray, price_eur_per_kwh: float, mean_eur_per_kwh: float, later_cheapness: FloatArray
    ) -> FloatArray:
        """Return the energy that each home puts off now, shape (n,) [kWh]."""
        later = later_cheapness.sum()
        if mean_eur_per_kwh <= 0 or price_eur_per_kwh <= mean_eur_per_kwh or later <= 0:
            return np.zeros(self.homes)
        share = min(self.flexible_share, -self.elasticity * (price_eur_per_kwh / mean_eur_per_kwh - 1))
        room_kwh = self.flexible_share * base_kwh * (later / later_cheapness.max()) - self.deferred_kwh
        put_off_kwh: FloatArray = np.minimum(share * base_kwh, np.maximum(room_kwh, 0.0))
        return put_off_kwh
