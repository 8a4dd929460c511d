"""What pricers and bidders take and give: the retail problem and its prices, and the two protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["RetailOptions", "RetailPricer", "RetailPrices", "RetailProblem", "WholesaleBidder"]


@dataclass(frozen=True, slots=True)
class RetailOptions:
    """What every retail pricer is told once; a pricer that has no use for an option ignores it.

    Attributes
    ----------
    cap_eur_per_kwh : float
        Highest price [EUR/kWh].
    floor_eur_per_kwh : float
        Lowest price [EUR/kWh].
    elasticity : float
        Relative change of demand over relative change of price at the default price, not positive.
    ramp_eur_per_kwh : float or None
        Largest change of the price from one step to the next [EUR/kWh]; None leaves it free.

    Raises
    ------
    PhysicsError
        If a number is not finite, the floor exceeds the cap, the elasticity is positive, or the ramp is negative.
    """

    cap_eur_per_kwh: float = 0.60
    floor_eur_per_kwh: float = 0.0
    elasticity: float = -0.08
    ramp_eur_per_kwh: float | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        ramp = 0.0 if self.ramp_eur_per_kwh is None else self.ramp_eur_per_kwh
        if not np.isfinite([self.cap_eur_per_kwh, self.floor_eur_per_kwh, self.elasticity, ramp]).all():
            raise PhysicsError("retail options must be finite")
        if self.floor_eur_per_kwh > self.cap_eur_per_kwh:
            raise PhysicsError(f"floor {self.floor_eur_per_kwh:g} exceeds cap {self.cap_eur_per_kwh:g} EUR/kWh")
        if self.elasticity > 0:
            raise PhysicsError(f"elasticity is {self.elasticity:g}, expected 0 or below")
        if ramp < 0:
            raise PhysicsError(f"ramp is {ramp:g} EUR/kWh, expected 0 or above")


@dataclass(frozen=True, slots=True, eq=False)
class RetailProblem:
    """What is known when the prices of a horizon are set.

    Attributes
    ----------
    demand_kwh : ndarray, shape (n, H)
        Expected import of each home in each step at the default price [kWh], non-negative.
    wholesale_eur_per_kwh : ndarray, shape (H,)
        Known or expected wholesale price [EUR/kWh], of either sign.
    default_eur_per_kwh : ndarray, shape (H,)
        Default retail price with levies [EUR/kWh], positive: the yardstick of the promise.
    levies_eur_per_kwh : float or ndarray, shape (H,)
        Taxes and grid fees that the VPP passes on for every kWh sold [EUR/kWh].
    feed_in_eur_per_kwh : ndarray, shape (H,)
        What a home is paid for feeding in [EUR/kWh]; no retail price may fall below it, or a battery could earn by
        buying and feeding in at once.

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, a demand is negative, or a default price is not positive.
    """

    demand_kwh: FloatArray
    wholesale_eur_per_kwh: FloatArray
    default_eur_per_kwh: FloatArray
    levies_eur_per_kwh: FloatArray | float
    feed_in_eur_per_kwh: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and signs."""
        if self.demand_kwh.ndim != 2:
            raise PhysicsError(f"demand_kwh has shape {self.demand_kwh.shape}, expected (n, H)")
        horizon = self.demand_kwh.shape[1:]
        require_non_negative("demand_kwh", self.demand_kwh)
        for name in ("wholesale_eur_per_kwh", "default_eur_per_kwh", "feed_in_eur_per_kwh"):
            require_shape(name, getattr(self, name), horizon)
            require_finite(name, getattr(self, name))
        levies = np.asarray(self.levies_eur_per_kwh, dtype=np.float64)
        require_finite("levies_eur_per_kwh", levies)
        if levies.ndim:
            require_shape("levies_eur_per_kwh", levies, horizon)
        if (self.default_eur_per_kwh <= 0).any():
            raise PhysicsError(f"default_eur_per_kwh must be positive: lowest is {self.default_eur_per_kwh.min():g}")


@dataclass(frozen=True, slots=True, eq=False)
class RetailPrices:
    """Prices of a horizon, and how they came about.

    Attributes
    ----------
    buy_eur_per_kwh : ndarray, shape (H,)
        What a home pays for each kWh drawn [EUR/kWh], levies included.
    status : str
        How the solver ended, ``"optimal"`` if well; ``"rule"`` where no solver was asked.
    solver : str
        The solver; empty where none was asked.
    solve_s : float
        Seconds inside the solver.
    total_s : float
        Seconds in all, with the modelling layer and the checks.
    fallback : bool
        Whether the default tariff stands in for a solution that was not found.
    reason : str
        Why, naming the constraint and by how much it fails; empty if there was no fallback.
    binding : tuple of str
        The constraints that hold with equality: ``"cap at step 17"``, ``"floor at step 3"``, ``"ramp at step 4"`` (from
        the step before), ``"promise to home 2"``. Homes and steps count from 0.
    """

    buy_eur_per_kwh: FloatArray
    status: str
    solver: str = ""
    solve_s: float = 0.0
    total_s: float = 0.0
    fallback: bool = False
    reason: str = ""
    binding: tuple[str, ...] = ()


class RetailPricer(Protocol):
    """Sets retail prices; made as ``Pricer(homes=13, horizon_steps=24, options=RetailOptions())``.

    A pricer leaves its problem unchanged and returns the same prices for the same problem. Unless it falls back, its
    prices keep cap and floor, and no home's demand costs more at them than at the default prices.
    """

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return prices for `problem`, whose demand must have shape (homes, horizon_steps)."""
        ...


class WholesaleBidder(Protocol):
    """Chooses the day-ahead position; made without arguments."""

    def bid(
        self,
        quantiles_kwh: FloatArray,
        levels: FloatArray,
        price_eur_per_kwh: FloatArray,
        *,
        short_spread: float,
        long_spread: float,
    ) -> FloatArray:
        """Return the energy to buy (positive) or sell (negative) in each step, shape (H,) [kWh].

        Parameters
        ----------
        quantiles_kwh : ndarray, shape (H, Q)
            Quantiles of the fleet's net energy [kWh], positive from the grid, not falling along the levels.
        levels : ndarray, shape (Q,)
            Probabilities of the quantiles, rising, within 0..1.
        price_eur_per_kwh : ndarray, shape (H,)
            Expected day-ahead price [EUR/kWh].
        short_spread, long_spread : float
            What missing and surplus energy cost beyond the day-ahead price, as shares of its size.
        """
        ...
