r"""What a bidder that plans over scenarios takes and gives: the bid problem, the fleet's flexibility, and the decision.

Energy is signed as at the meter: positive is drawn from the grid and bought, negative fed in and sold. Money is
positive as a cost. The position is a quantity for each step at whatever the auction's price will be.

Scenarios pair energy with prices by number. Where there is one price path and many of energy, each scenario has that
path; where there are as many of either, scenario :math:`s` has its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["BidDecision", "BidProblem", "Flexibility", "PricePaths", "ScenarioBidder"]


@dataclass(frozen=True, slots=True)
class Flexibility:
    r"""The fleet's batteries as one: what can still be done when the day turns out otherwise than bid.

    .. math:: E_{t+1} = E_t + \eta_c C_t - D_t / \eta_d, \qquad C_t \le h P_c, \; D_t \le h P_d

    Adding up batteries that differ overstates what they can do together: one is full while another is empty.

    Attributes
    ----------
    charge_kw, discharge_kw : float
        Greatest power each way, at the grid side [kW].
    min_kwh, max_kwh : float
        Window of the stored energy [kWh].
    initial_kwh : float
        Stored when the horizon begins [kWh].
    step_h : float
        Length of a step [h].
    charge_efficiency, discharge_efficiency : float
        Share that survives each way, in (0, 1].
    final_kwh : float or None
        Least that must be stored when the horizon ends [kWh]; None asks for as much as at its beginning.
    wear_eur_per_kwh : float
        Cost of each kWh charged and of each discharged, at the grid side [EUR/kWh].

    Raises
    ------
    PhysicsError
        If a number lies outside its range, or the window does not hold what is stored first and last.
    """

    charge_kw: float
    discharge_kw: float
    min_kwh: float
    max_kwh: float
    initial_kwh: float
    step_h: float = 1.0
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    final_kwh: float | None = None
    wear_eur_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        numbers = (self.charge_kw, self.discharge_kw, self.min_kwh, self.max_kwh, self.wear_eur_per_kwh)
        if not (np.isfinite(numbers).all() and min(numbers) >= 0 and self.step_h > 0):
            raise PhysicsError(f"flexibility must be finite and non-negative: {self}")
        if not (0 < self.charge_efficiency <= 1 and 0 < self.discharge_efficiency <= 1):
            raise PhysicsError(
                f"efficiencies are {self.charge_efficiency:g} and {self.discharge_efficiency:g}, expected (0, 1]"
            )
        for name, stored in (("initial_kwh", self.initial_kwh), ("final_kwh", self.last_kwh)):
            if not self.min_kwh <= stored <= self.max_kwh:
                raise PhysicsError(f"{name} is {stored:g}, outside {self.min_kwh:g}..{self.max_kwh:g} kWh")

    @property
    def last_kwh(self) -> float:
        """Least that must be stored at the end [kWh]."""
        return self.initial_kwh if self.final_kwh is None else self.final_kwh

    @property
    def charge_kwh(self) -> float:
        """Most that a step charges [kWh]."""
        return self.charge_kw * self.step_h

    @property
    def discharge_kwh(self) -> float:
        """Most that a step discharges [kWh]."""
        return self.discharge_kw * self.step_h

    def shortfall_kwh(self, horizon_steps: int) -> float:
        """Return by how much the last energy asked for is out of reach, zero if it is not [kWh]."""
        reachable = self.initial_kwh + horizon_steps * self.charge_kwh * self.charge_efficiency
        return max(0.0, self.last_kwh - reachable)


@dataclass(frozen=True, slots=True, eq=False)
class PricePaths:
    """Prices of the day ahead and of imbalance, path by path.

    Attributes
    ----------
    day_ahead_eur_per_kwh : ndarray, shape (K, H)
        Price of the position [EUR/kWh].
    short_eur_per_kwh, long_eur_per_kwh : ndarray, shape (K, H)
        What missing energy costs and surplus is paid [EUR/kWh]; the first nowhere below the second. With one price of
        imbalance they are equal.

    Raises
    ------
    PhysicsError
        If shapes differ, a number is not finite, or surplus is paid better than shortage costs.
    """

    day_ahead_eur_per_kwh: FloatArray
    short_eur_per_kwh: FloatArray
    long_eur_per_kwh: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and the order of the two prices."""
        if self.day_ahead_eur_per_kwh.ndim != 2:
            raise PhysicsError(f"day_ahead_eur_per_kwh has shape {self.day_ahead_eur_per_kwh.shape}, expected (K, H)")
        for name in ("day_ahead_eur_per_kwh", "short_eur_per_kwh", "long_eur_per_kwh"):
            require_shape(name, getattr(self, name), self.day_ahead_eur_per_kwh.shape)
            require_finite(name, getattr(self, name))
        gap = self.short_eur_per_kwh - self.long_eur_per_kwh
        if (gap < 0).any():
            raise PhysicsError(f"surplus is paid {-gap.min():g} EUR/kWh more than shortage costs: a pump without end")

    @classmethod
    def of_spreads(cls, price_eur_per_kwh: FloatArray, *, short_spread: float, long_spread: float) -> PricePaths:
        """Return paths whose imbalance prices stand off the day-ahead price by shares of its size.

        Parameters
        ----------
        price_eur_per_kwh : ndarray, shape (H,) or (K, H)
            Day-ahead price [EUR/kWh].
        short_spread, long_spread : float
            What missing and surplus energy cost beyond the day-ahead price, as shares of its size.

        Raises
        ------
        PhysicsError
            If a spread is negative or not finite, or a price is not finite.

        Examples
        --------
        >>> PricePaths.of_spreads(np.array([50.0]), short_spread=0.6, long_spread=0.4).short_eur_per_kwh
        array([[80.]])
        """
        if not (np.isfinite([short_spread, long_spread]).all() and min(short_spread, long_spread) >= 0):
            raise PhysicsError(f"spreads must be finite and non-negative, not {short_spread:g} and {long_spread:g}")
        price = np.atleast_2d(price_eur_per_kwh)
        require_finite("price_eur_per_kwh", price)
        size = np.abs(price)
        return cls(price, price + short_spread * size, price - long_spread * size)


@dataclass(frozen=True, slots=True, eq=False)
class BidProblem:
    """What is known when the gate closes.

    Attributes
    ----------
    quantiles_kwh : ndarray, shape (H, Q)
        Quantiles of the fleet's net energy without its flexibility [kWh], positive from the grid.
    levels : ndarray, shape (Q,)
        Probabilities of the quantiles, rising, within 0..1.
    prices : PricePaths
        One path, or one for each scenario of the bidder.
    flexibility : Flexibility or None
        What the fleet can still shift when the day is known; None: nothing.
    lowest_kwh, highest_kwh : ndarray, shape (H,), optional
        Limits of the position [kWh]; without them the outermost quantiles, widened by what the flexibility can do in
        a step.

    Raises
    ------
    PhysicsError
        If shapes differ, quantiles cross, or the limits do.

    Examples
    --------
    >>> prices = PricePaths.of_spreads(np.array([50.0]), short_spread=0.6, long_spread=0.4)
    >>> problem = BidProblem(np.array([[-100.0, 0.0]]), np.array([0.0, 1.0]), prices)
    >>> problem.position_limits_kwh
    (array([-100.]), array([0.]))
    """

    quantiles_kwh: FloatArray
    levels: FloatArray
    prices: PricePaths
    flexibility: Flexibility | None = None
    lowest_kwh: FloatArray = field(default_factory=lambda: np.empty(0))
    highest_kwh: FloatArray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        """Check shapes and order."""
        require_shape("quantiles_kwh", self.quantiles_kwh, (self.horizon_steps, self.levels.size))
        require_finite("quantiles_kwh", self.quantiles_kwh)
        if (np.diff(self.quantiles_kwh, axis=1) < 0).any():
            raise PhysicsError("quantiles_kwh fall along the levels: the quantiles cross")
        for name in ("lowest_kwh", "highest_kwh"):
            if getattr(self, name).size:
                require_shape(name, getattr(self, name), (self.horizon_steps,))
        lowest, highest = self.position_limits_kwh
        if not (lowest <= highest).all():
            step = int(np.argmax(lowest - highest))
            raise PhysicsError(f"position limits cross at step {step}: {lowest[step]:g} > {highest[step]:g} kWh")

    @property
    def horizon_steps(self) -> int:
        """Number of steps H."""
        return int(self.prices.day_ahead_eur_per_kwh.shape[1])

    @property
    def position_limits_kwh(self) -> tuple[FloatArray, FloatArray]:
        """Least and greatest position of each step, shapes (H,) [kWh]."""
        down, up = (self.flexibility.discharge_kwh, self.flexibility.charge_kwh) if self.flexibility else (0.0, 0.0)
        lowest = self.lowest_kwh if self.lowest_kwh.size else self.quantiles_kwh[:, 0] - down
        highest = self.highest_kwh if self.highest_kwh.size else self.quantiles_kwh[:, -1] + up
        return lowest, highest


@dataclass(frozen=True, slots=True, eq=False)
class BidDecision:
    """A position, what it is expected to cost, and how it came about.

    Attributes
    ----------
    position_kwh : ndarray, shape (H,)
        Energy to buy (positive) or sell (negative) in each step [kWh].
    cost_eur : ndarray, shape (S,)
        Cost of each scenario with the best recourse [EUR]; empty where no scenario was looked at.
    battery_kwh : ndarray, shape (H,)
        Mean over the scenarios of what the flexibility charges less what it discharges [kWh].
    status : str
        ``"optimal"`` if well, ``"closed form"`` where nothing had to be solved.
    solver : str
        Who solved it; empty where nobody was asked.
    solve_s, total_s : float
        Seconds inside the solver, and in all.
    fallback : bool
        Whether the newsvendor's bid stands in for a solution that was not found.
    reason : str
        Why; empty if there was no fallback.
    """

    position_kwh: FloatArray
    cost_eur: FloatArray
    battery_kwh: FloatArray
    status: str
    solver: str = ""
    solve_s: float = 0.0
    total_s: float = 0.0
    fallback: bool = False
    reason: str = ""


class ScenarioBidder(Protocol):
    """Chooses the day-ahead position from a :class:`BidProblem`, which it leaves unchanged."""

    def decide(self, problem: BidProblem) -> BidDecision:
        """Return the position, the same for the same problem; a failed solve is marked as a fallback, not raised."""
        ...
