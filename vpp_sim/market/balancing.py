r"""Which prices an imbalance will meet: a rule, and the law by which the system runs short or long.

In each hour the system is short with probability :math:`s` and long otherwise, independently of everything else. The
balancing price is then, at the day-ahead price :math:`p`,

.. math:: b = p + \sigma_s |p| \text{ if short}, \qquad b = p - \sigma_l |p| \text{ if long}

The law is public and whoever bids may reckon with it; the state of an hour is known only once it is over. Real systems
stay short or long for hours on end and their prices have tails: this law keeps what the rules differ in, no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from vpp_sim.arrays import BoolArray, FloatArray
from vpp_sim.errors import PhysicsError
from vpp_sim.market.imbalance import ImbalancePrices

__all__ = ["BalancingLaw", "ImbalanceRule"]

ImbalanceRule: TypeAlias = Literal["both_sides", "two_prices", "one_price"]
"""Who pays what: either side its spread, only the side that adds to the system's imbalance, or all one price."""


@dataclass(frozen=True, slots=True)
class BalancingLaw:
    """Rule of imbalance prices and law of the system's states.

    Attributes
    ----------
    rule : {"both_sides", "two_prices", "one_price"}
        With ``both_sides`` states do not matter.
    short_spread, long_spread : float
        Shares of the day-ahead price's size by which the balancing price stands off it, non-negative.
    system_short_share : float
        Probability :math:`s` that the system is short.

    Raises
    ------
    PhysicsError
        If a spread is negative or not finite, or the share lies outside 0..1.
    """

    rule: ImbalanceRule = "both_sides"
    short_spread: float = 0.25
    long_spread: float = 0.25
    system_short_share: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (
            np.isfinite([self.short_spread, self.long_spread]).all() and min(self.short_spread, self.long_spread) >= 0
        ):
            raise PhysicsError(f"spreads must be finite and non-negative: {self}")
        if not 0 <= self.system_short_share <= 1:
            raise PhysicsError(f"system_short_share is {self.system_short_share:g}, expected 0..1")

    def states(self, hours: int, rng: np.random.Generator) -> BoolArray:
        """Return in which hours the system is short, shape (hours,); more hours leave the first ones as they are."""
        short: BoolArray = rng.uniform(size=hours) < self.system_short_share
        return short

    def balanced_states(self, paths: int, hours: int, rng: np.random.Generator) -> BoolArray:
        """Return paths of states of which, in each hour, the same number is short, shape (paths, hours).

        Each path follows the law; as a whole they have its mean, but for rounding to one path, so that nobody who
        plans on them speculates on the luck of a draw.
        """
        column = np.arange(paths) < round(paths * self.system_short_share)
        return rng.permuted(np.repeat(column[:, None], hours, axis=1), axis=0)

    def prices(self, day_ahead_eur_per_kwh: FloatArray, system_short: BoolArray) -> ImbalancePrices:
        """Return the prices that the rule makes of the system's states.

        Parameters
        ----------
        day_ahead_eur_per_kwh : ndarray, shape (..., H)
            Day-ahead price [EUR/kWh].
        system_short : ndarray of bool, shape (..., H)
            Where the system is short.

        Raises
        ------
        PhysicsError
            If shapes differ or a price is not finite.

        Examples
        --------
        >>> price, short = np.array([50.0, 50.0]), np.array([True, False])
        >>> for rule in ("both_sides", "two_prices", "one_price"):
        ...     prices = BalancingLaw(rule, 0.6, 0.4).prices(price, short)
        ...     print(prices.short_eur_per_kwh, prices.long_eur_per_kwh)
        [80. 80.] [30. 30.]
        [80. 50.] [50. 30.]
        [80. 30.] [80. 30.]
        """
        if system_short.shape != day_ahead_eur_per_kwh.shape:
            raise PhysicsError(f"system_short has shape {system_short.shape}, expected {day_ahead_eur_per_kwh.shape}")
        either = ImbalancePrices.of_spreads(
            day_ahead_eur_per_kwh, short_spread=self.short_spread, long_spread=self.long_spread
        )
        if self.rule == "both_sides":
            return either
        balancing = np.where(system_short, either.short_eur_per_kwh, either.long_eur_per_kwh)
        if self.rule == "one_price":
            return ImbalancePrices.one_price(balancing)
        return ImbalancePrices.two_prices(day_ahead_eur_per_kwh, balancing, np.where(system_short, 1.0, -1.0))

    def expected(self, day_ahead_eur_per_kwh: FloatArray) -> ImbalancePrices:
        """Return the mean of the prices over the law, of the shape of the day-ahead price.

        Examples
        --------
        >>> prices = BalancingLaw("two_prices", 0.6, 0.4, system_short_share=0.25).expected(np.array([50.0]))
        >>> prices.short_eur_per_kwh, prices.long_eur_per_kwh
        (array([57.5]), array([35.]))
        """
        always = np.ones(day_ahead_eur_per_kwh.shape, dtype=np.bool_)
        if_short = self.prices(day_ahead_eur_per_kwh, always)
        if self.rule == "both_sides":
            return if_short
        if_long, share = self.prices(day_ahead_eur_per_kwh, ~always), self.system_short_share
        return ImbalancePrices(
            share * if_short.short_eur_per_kwh + (1 - share) * if_long.short_eur_per_kwh,
            share * if_short.long_eur_per_kwh + (1 - share) * if_long.long_eur_per_kwh,
        )

    def paths(
        self, day_ahead_eur_per_kwh: FloatArray, *, paths: int, steps_per_hour: int, rng: np.random.Generator
    ) -> ImbalancePrices:
        """Return prices that somebody who knows the law alone may plan on, shape (K, H).

        One path is the mean of the law, and the only one of a rule without draws; several are drawn by
        :meth:`balanced_states`.

        Parameters
        ----------
        day_ahead_eur_per_kwh : ndarray, shape (H,)
            Day-ahead price expected [EUR/kWh], from a full hour on.
        paths : int
            How many; 1 or more.
        steps_per_hour : int
            For how many steps a state holds.
        rng : Generator
            Draws the states; not the one that makes them come true.
        """
        if paths == 1 or self.rule == "both_sides":
            return self.expected(day_ahead_eur_per_kwh[None])
        steps = day_ahead_eur_per_kwh.size
        states = self.balanced_states(paths, -(-steps // steps_per_hour), rng)
        short = np.repeat(states, steps_per_hour, axis=1)[:, :steps]
        return self.prices(np.broadcast_to(day_ahead_eur_per_kwh, short.shape), short)
