"""What pricers and bidders take and give: the retail problem and its prices, and the two protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias, get_args

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["Objective", "RetailOptions", "RetailPricer", "RetailPrices", "RetailProblem"]

Objective: TypeAlias = Literal["profit", "welfare", "peak"]
"""What an optimising pricer aims at: the VPP's profit, profit and consumer surplus together, or the smallest peak."""


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
        Relative change of demand over relative change of price at the default price, not positive. A problem that
        carries a matrix of elasticities overrules it.
    ramp_eur_per_kwh : float or None
        Largest change of the price from one step to the next [EUR/kWh]; None leaves it free.
    objective : {"profit", "welfare", "peak"}
        What is optimised. ``"welfare"`` adds the consumer surplus to the profit, which without limits ends at marginal
        cost. ``"peak"`` makes the largest expected net import of a step smallest, at no less than
        `least_profit_share` of the profit at the default prices.
    least_profit_share : float or None
        Share of the profit at the default prices below which the expected profit may not fall; None leaves it free,
        but for ``"peak"``, which then takes 1. A loss at the default prices may grow by the same share of its size.
    revenue_cap_eur_per_kwh : float or None
        Most that the VPP may take for a kWh of the demand expected at the default prices, on average [EUR/kWh]; None
        leaves it free. The weights are fixed before the prices are, as in the regulation of a basket of tariffs, for a
        cap on the revenue after the response would not be convex.
    feeder_limit_kw : float or None
        Most that all homes together may be expected to draw from the feeder in a step, after their response [kW];
        None leaves it free.
    step_h : float
        Length of a step [h]; turns the feeder's limit into energy.

    Raises
    ------
    PhysicsError
        If a number is not finite, the floor exceeds the cap, the elasticity is positive, a limit is negative, the
        profit share exceeds 1, a step has no length, or the objective is unknown.
    """

    cap_eur_per_kwh: float = 0.60
    floor_eur_per_kwh: float = 0.0
    elasticity: float = -0.045
    ramp_eur_per_kwh: float | None = None
    objective: Objective = "profit"
    least_profit_share: float | None = None
    revenue_cap_eur_per_kwh: float | None = None
    feeder_limit_kw: float | None = None
    step_h: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        ramp = 0.0 if self.ramp_eur_per_kwh is None else self.ramp_eur_per_kwh
        optional = [self.least_profit_share, self.revenue_cap_eur_per_kwh, self.feeder_limit_kw, self.step_h]
        numbers = [self.cap_eur_per_kwh, self.floor_eur_per_kwh, self.elasticity, ramp]
        if not np.isfinite([*numbers, *(number for number in optional if number is not None)]).all():
            raise PhysicsError("retail options must be finite")
        if self.floor_eur_per_kwh > self.cap_eur_per_kwh:
            raise PhysicsError(f"floor {self.floor_eur_per_kwh:g} exceeds cap {self.cap_eur_per_kwh:g} EUR/kWh")
        if self.elasticity > 0:
            raise PhysicsError(f"elasticity is {self.elasticity:g}, expected 0 or below")
        if ramp < 0:
            raise PhysicsError(f"ramp is {ramp:g} EUR/kWh, expected 0 or above")
        self._check_aims()

    def _check_aims(self) -> None:
        if self.objective not in get_args(Objective):
            raise PhysicsError(f"objective is {self.objective!r}, expected one of {', '.join(get_args(Objective))}")
        if self.least_profit_share is not None and self.least_profit_share > 1:
            raise PhysicsError(f"least_profit_share is {self.least_profit_share:g}, expected 1 or below")
        if self.revenue_cap_eur_per_kwh is not None and self.revenue_cap_eur_per_kwh <= 0:
            raise PhysicsError(f"revenue cap is {self.revenue_cap_eur_per_kwh:g} EUR/kWh, expected above 0")
        if self.feeder_limit_kw is not None and self.feeder_limit_kw < 0:
            raise PhysicsError(f"feeder limit is {self.feeder_limit_kw:g} kW, expected 0 or above")
        if self.step_h <= 0:
            raise PhysicsError(f"step_h is {self.step_h:g}, expected above 0")


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
    elasticity : ndarray, shape (H, H), or None
        Own (diagonal, not positive) and cross elasticities at the default prices: relative change of the demand of the
        row's step over relative change of the price of the column's step. None takes the options' single number.
    responsive_kwh : ndarray, shape (H,), or None
        Energy that the elasticities are shares of [kWh], non-negative: what homes that draw consume, which with sun on
        their roofs is more than they draw. None is the demand itself.
    export_kwh : ndarray, shape (H,), or None
        What all homes together are expected to feed in [kWh], non-negative; lowers the net import that the feeder
        limit and the peak count. None is zero.
    before_eur_per_kwh : float or None
        Price of the step before the first, from which a ramp counts [EUR/kWh]; None lets the first price be any.
    home_names : tuple of str
        What explanations call the homes; by their number, from 0, where left out.

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, an energy is negative, a default price is not positive, or an own
        elasticity is.
    """

    demand_kwh: FloatArray
    wholesale_eur_per_kwh: FloatArray
    default_eur_per_kwh: FloatArray
    levies_eur_per_kwh: FloatArray | float
    feed_in_eur_per_kwh: FloatArray
    elasticity: FloatArray | None = None
    responsive_kwh: FloatArray | None = None
    export_kwh: FloatArray | None = None
    before_eur_per_kwh: float | None = None
    home_names: tuple[str, ...] = ()

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
        if self.home_names and len(self.home_names) != len(self.demand_kwh):
            raise PhysicsError(f"home_names has {len(self.home_names)} names, expected {len(self.demand_kwh)}")
        self._check_optional(self.demand_kwh.shape[1])

    def home_name(self, home: int) -> str:
        """Return what explanations call a home."""
        return self.home_names[home] if self.home_names else f"home {home}"

    @property
    def answering_kwh(self) -> FloatArray:
        """Energy that the elasticities are shares of, shape (H,) [kWh]."""
        return self.demand_kwh.sum(axis=0) if self.responsive_kwh is None else self.responsive_kwh

    def _check_optional(self, horizon_steps: int) -> None:
        for name in ("responsive_kwh", "export_kwh"):
            if (values := getattr(self, name)) is not None:
                require_shape(name, values, (horizon_steps,))
                require_non_negative(name, values)
        if self.elasticity is not None:
            require_shape("elasticity", self.elasticity, (horizon_steps, horizon_steps))
            require_finite("elasticity", self.elasticity)
            if (self.elasticity.diagonal() > 0).any():
                step = int(np.argmax(self.elasticity.diagonal()))
                raise PhysicsError(
                    f"own elasticity of step {step} is {self.elasticity[step, step]:g}, expected 0 or below"
                )


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
        the step before), ``"feeder limit at step 18"``, ``"promise to home 2"``, ``"revenue cap"``. Steps count
        from 0, and so do homes without a name.
    pressure_kwh : mapping of str to ndarray, shape (H,)
        What each kind of limit (``"cap"``, ``"ramp"``, ``"promise"``, ...) holds back: by how much the expected gain
        would grow with the price of a step, were it not for that limit [kWh, which is EUR per EUR/kWh]. Positive where
        the limit keeps the price down. From the solver's dual values; empty where no solver was asked.
    notes : tuple of str
        What was put right before solving, for the record.
    """

    buy_eur_per_kwh: FloatArray
    status: str
    solver: str = ""
    solve_s: float = 0.0
    total_s: float = 0.0
    fallback: bool = False
    reason: str = ""
    binding: tuple[str, ...] = ()
    pressure_kwh: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class RetailPricer(Protocol):
    """Sets retail prices; made as ``Pricer(homes=13, horizon_steps=24, options=RetailOptions())``.

    A pricer leaves its problem unchanged and returns the same prices for the same problem. Unless it falls back, its
    prices keep cap and floor, and no home's demand costs more at them than at the default prices.

    Attributes
    ----------
    needs_range : bool
        Whether its prices have no meaning without cap and floor, so that nobody should ask what these move.
    heeds : frozenset of str
        Which fields of the options it heeds beside cap and floor.
    """

    needs_range: ClassVar[bool]
    heeds: ClassVar[frozenset[str]]

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return prices for `problem`, whose demand must have shape (homes, horizon_steps)."""
        ...
