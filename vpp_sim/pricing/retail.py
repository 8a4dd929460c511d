"""Retail pricers that a scenario may name: one flat price, and prices optimised against an elastic demand."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.protocol import RetailOptions, RetailPrices, RetailProblem

__all__ = ["DefaultTariff", "ElasticQp", "Flat", "elastic_demand_kwh", "expected_profit_eur"]

_LOG = logging.getLogger(__name__)

_KEPT = 1e-6
"""A promise counts as kept if a bill exceeds the default's by no more than this share."""

_NEAR = 1e-5
"""A limit is named as binding if it is met within this share of the price, or of the bill."""

_IDLE = 1e-3
"""A step with less than this share of the mean demand has no demand to price."""

_UNSETTLED = "promises_broken"

_MIN_ROWS = 64
"""Up to so many homes, every promise stands in the program from the start."""


def elastic_demand_kwh(problem: RetailProblem, buy_eur_per_kwh: FloatArray, elasticity: float) -> FloatArray:
    r"""Return the demand of all homes at given prices, linear around the default price.

    .. math:: d_t = D_t \Bigl(1 + e \Bigl(\frac{p_t}{p^{def}_t} - 1\Bigr)\Bigr)

    Parameters
    ----------
    problem : RetailProblem
        Demand :math:`D` at the default prices :math:`p^{def}`.
    buy_eur_per_kwh : ndarray, shape (H,)
        Prices :math:`p` [EUR/kWh].
    elasticity : float
        Elasticity :math:`e` at the default price.

    Returns
    -------
    ndarray, shape (H,)
        Demand [kWh].
    """
    relative = buy_eur_per_kwh / problem.default_eur_per_kwh - 1
    demand: FloatArray = problem.demand_kwh.sum(axis=0) * (1 + elasticity * relative)
    return demand


def expected_profit_eur(problem: RetailProblem, buy_eur_per_kwh: FloatArray, elasticity: float) -> float:
    """Return the VPP's margin over wholesale price and levies on the demand that the prices lead to [EUR]."""
    margin = buy_eur_per_kwh - problem.levies_eur_per_kwh - problem.wholesale_eur_per_kwh
    return float(margin @ elastic_demand_kwh(problem, buy_eur_per_kwh, elasticity))


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """The price range of each step by name, and each home's promise as a row that prices must not lift above 1."""

    floors: dict[str, FloatArray]
    caps: dict[str, FloatArray]
    promises: FloatArray
    ramp_eur_per_kwh: float | None

    @classmethod
    def of(cls, problem: RetailProblem, options: RetailOptions, elasticity: float) -> _Limits:
        horizon = problem.default_eur_per_kwh.shape
        caps = {"cap": np.full(horizon, float(options.cap_eur_per_kwh))}
        if elasticity < 0:  # beyond this price the linear demand would turn negative
            caps["choke price"] = problem.default_eur_per_kwh * (1 - 1 / elasticity)
        floors = {
            "floor": np.full(horizon, float(options.floor_eur_per_kwh)),
            "feed-in price": problem.feed_in_eur_per_kwh,
        }
        bills_eur = (problem.demand_kwh @ problem.default_eur_per_kwh)[:, None]
        promises = np.divide(problem.demand_kwh, bills_eur, out=np.zeros(problem.demand_kwh.shape), where=bills_eur > 0)
        return cls(floors, caps, promises, options.ramp_eur_per_kwh)

    @property
    def lower(self) -> FloatArray:
        lower: FloatArray = np.maximum.reduce(list(self.floors.values()))
        return lower

    @property
    def upper(self) -> FloatArray:
        upper: FloatArray = np.minimum.reduce(list(self.caps.values()))
        return upper

    def contradiction(self) -> str:
        """Say which limit cannot be kept and by how much, or nothing."""
        gap = self.lower - self.upper
        step = int(np.argmax(gap))
        if gap[step] > 0:
            low, high = (self._nearest(bounds, step) for bounds in (self.floors, self.caps))
            return f"{low} exceeds {high} at step {step} by {gap[step]:.4g} EUR/kWh"
        excess = self.promises @ self.lower - 1
        home = int(np.argmax(excess)) if excess.size else -1
        if excess.size and excess[home] > _KEPT:
            return f"promise to home {home} fails by {excess[home]:.4g} of its default bill even at the lowest prices"
        return ""

    def _nearest(self, bounds: dict[str, FloatArray], step: int) -> str:
        tightest = self.lower if bounds is self.floors else self.upper
        return next(name for name, bound in bounds.items() if bound[step] == tightest[step])

    def excess(self, price: FloatArray) -> FloatArray:
        """Return by which share each home's bill exceeds the default's, shape (n,); -1 without demand."""
        excess: FloatArray = self.promises @ price - 1
        return excess

    def binding(self, price: FloatArray) -> tuple[str, ...]:
        """Name the limits that `price` meets with equality."""
        near = _NEAR * max(1e-3, float(np.abs(price).max(initial=0.0)))
        found = [
            f"{name} at step {step}"
            for name, bound in (*self.caps.items(), *self.floors.items())
            for step in np.flatnonzero(np.abs(price - bound) <= near)
        ]
        if self.ramp_eur_per_kwh is not None:
            steep = np.abs(np.diff(price)) >= self.ramp_eur_per_kwh - near
            found += [f"ramp at step {step + 1}" for step in np.flatnonzero(steep)]
        return (*found, *(f"promise to home {home}" for home in np.flatnonzero(np.abs(self.excess(price)) <= _NEAR)))


def _fallback(problem: RetailProblem, status: str, reason: str, started: float, solver: str = "") -> RetailPrices:
    _LOG.warning("the default tariff stands in: %s", reason)
    return RetailPrices(
        buy_eur_per_kwh=problem.default_eur_per_kwh.copy(),
        status=status,
        solver=solver,
        total_s=perf_counter() - started,
        fallback=True,
        reason=reason,
    )


class _Sized:
    """A pricer for a given number of homes and steps."""

    def __init__(self, *, homes: int, horizon_steps: int, options: RetailOptions | None = None) -> None:
        if homes < 1 or horizon_steps < 1:
            raise PhysicsError(f"a pricer needs homes and steps, not {homes} and {horizon_steps}")
        self.homes, self.horizon_steps = homes, horizon_steps
        self.options = RetailOptions() if options is None else options

    def _check(self, problem: RetailProblem) -> None:
        require_shape("demand_kwh", problem.demand_kwh, (self.homes, self.horizon_steps))


class DefaultTariff(_Sized):
    """The default tariff as it is: what a retailer without a pricing engine charges."""

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the default price of each step."""
        self._check(problem)
        return RetailPrices(problem.default_eur_per_kwh.copy(), status="rule")


class Flat(_Sized):
    """One price for the whole horizon: the highest that keeps the promise to every home, within cap and floor.

    Where the default tariff is flat itself, that is the default price.

    Examples
    --------
    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[1.0, 1.0], [3.0, 1.0]]), wholesale_eur_per_kwh=np.array([0.05, 0.15]),
    ...     default_eur_per_kwh=np.array([0.20, 0.40]), levies_eur_per_kwh=0.1, feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> Flat(homes=2, horizon_steps=2).price(problem).buy_eur_per_kwh
    array([0.25, 0.25])
    """

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the flat price of each step."""
        self._check(problem)
        started = perf_counter()
        limits = _Limits.of(problem, self.options, elasticity=0.0)
        reason = limits.contradiction()
        level = min(float(limits.upper.min()), self._promised(problem, limits))
        lowest = float(limits.lower.max())
        if not reason and level < lowest:
            reason = f"the flat price {level:.4g} EUR/kWh lies below the lowest allowed by {lowest - level:.4g}"
        if reason:
            return _fallback(problem, "infeasible", reason, started)
        price = np.full(self.horizon_steps, level)
        return RetailPrices(price, status="rule", total_s=perf_counter() - started, binding=limits.binding(price))

    @staticmethod
    def _promised(problem: RetailProblem, limits: _Limits) -> float:
        default = problem.default_eur_per_kwh
        if (default == default[0]).all():  # spared the rounding of a mean of equal numbers
            return float(default[0])
        weight = limits.promises.sum(axis=1)
        return float((1 / weight[weight > 0]).min(initial=np.inf)) if weight.any() else float(default.min())


class ElasticQp(_Sized):
    r"""Prices that maximise the VPP's margin while demand answers linearly and no home pays more than by default.

    .. math::

        \max_p \sum_t (p_t - \lambda - w_t) \, D_t \Bigl(1 + e \Bigl(\frac{p_t}{p^{def}_t} - 1\Bigr)\Bigr)
        \quad \text{s.t.} \quad \sum_t p_t d_{it} \le \sum_t p^{def}_t d_{it} \;\; \forall i

    with demand :math:`d_{it}` at the default prices, :math:`D_t = \sum_i d_{it}`, wholesale price :math:`w`, levies
    :math:`\lambda` and elasticity :math:`e \le 0`; and within cap, floor, feed-in price and ramp. The promise counts
    the demand before any response, so it holds for a home that does not respond.

    A step in which next to nothing is drawn keeps the default price as far as the limits let it. With many more homes
    than steps, promises are added as they are broken, those broken most first, until all are kept. The more unlike the
    homes are, the closer such promises hold the prices to the default: with more unlike homes than steps, only the
    default itself may be left.

    Parameters
    ----------
    homes, horizon_steps : int
        Shape of the problems to come.
    options : RetailOptions, optional
        Cap, floor, elasticity and ramp.

    Examples
    --------
    Demand 100 - 2 p at a unit cost of 10 is dearest at p = 30, where it is 40: a profit of 800.

    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[20.0]]), wholesale_eur_per_kwh=np.array([10.0]), levies_eur_per_kwh=0.0,
    ...     default_eur_per_kwh=np.array([40.0]), feed_in_eur_per_kwh=np.array([0.0]),
    ... )
    >>> options = RetailOptions(cap_eur_per_kwh=50.0, elasticity=-4.0)
    >>> prices = ElasticQp(homes=1, horizon_steps=1, options=options).price(problem)
    >>> prices.buy_eur_per_kwh.round(4), round(expected_profit_eur(problem, prices.buy_eur_per_kwh, -4.0), 4)
    (array([30.]), 800.0)
    """

    max_rounds = 50

    def __init__(self, *, homes: int, horizon_steps: int, options: RetailOptions | None = None) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options)
        from vpp_sim.pricing.program import PriceProgram  # cvxpy takes 0.8 s to load, and Flat does without

        self._rows = min(homes, max(_MIN_ROWS, 4 * horizon_steps))
        self._program = PriceProgram(
            horizon_steps=horizon_steps, rows=self._rows, ramp_eur_per_kwh=self.options.ramp_eur_per_kwh
        )

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the optimal prices, or the default tariff with the reason why there are none."""
        self._check(problem)
        started = perf_counter()
        limits = _Limits.of(problem, self.options, self.options.elasticity)
        reason = limits.contradiction()
        if reason:
            return _fallback(problem, "infeasible", reason, started)
        status, price, solve_s = self._solve(problem, limits)
        if status != "optimal":
            reason = f"the solver ended with {status!r}"
            if status == _UNSETTLED:
                reason = f"promises are still broken after {self.max_rounds} rounds"
            return _fallback(problem, status, reason, started, self._program.solver)
        return RetailPrices(
            buy_eur_per_kwh=price,
            status=status,
            solver=self._program.solver,
            solve_s=solve_s,
            total_s=perf_counter() - started,
            binding=limits.binding(price),
        )

    def _solve(self, problem: RetailProblem, limits: _Limits) -> tuple[str, FloatArray, float]:
        """Solve with the promises that matter; add those that are broken, and solve again."""
        linear, quadratic = self._gain(problem)
        lower, upper = limits.lower, limits.upper
        rows, solve_s = self._worst(limits.excess(upper)), 0.0
        for _ in range(self.max_rounds):
            solution = self._program.solve(
                linear=linear, quadratic=quadratic, lower=lower, upper=upper, promises=limits.promises[rows]
            )
            solve_s += solution.solve_s
            if solution.status != "optimal":
                return solution.status, solution.price_eur_per_kwh, solve_s
            price = np.clip(solution.price_eur_per_kwh, lower, upper)
            excess = limits.excess(price)
            if excess.max() <= _KEPT:
                return "optimal", price, solve_s
            excess[rows[excess[rows] >= -_KEPT]] = np.inf  # what binds now stays in
            rows = self._worst(excess)
        return _UNSETTLED, price, solve_s

    def _worst(self, excess: FloatArray) -> IntArray:
        """Return the homes whose bills exceed the default's most, in order of their numbers, shape (rows,)."""
        return np.sort(np.argsort(-excess, kind="stable")[: self._rows]).astype(np.int64)

    def _gain(self, problem: RetailProblem) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients of the margin, ``linear @ p - quadratic @ p**2``, per mean demand."""
        total, default = problem.demand_kwh.sum(axis=0), problem.default_eur_per_kwh
        weight = total / (total.mean() or 1.0)
        elasticity = self.options.elasticity
        slope = -elasticity * weight / default
        linear = weight * (1 - elasticity) + slope * (problem.levies_eur_per_kwh + problem.wholesale_eur_per_kwh)
        idle, pull = weight < _IDLE, _IDLE / default
        return np.where(idle, 2 * pull * default, linear), np.where(idle, pull, slope)
