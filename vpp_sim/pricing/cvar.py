"""Day-ahead bids over scenarios: averse to risk by CVaR, risk-neutral, and deterministic.

All three solve the program of :mod:`~vpp_sim.pricing.two_stage` and differ in what they look at: expected cost and its
worst share, expected cost alone, or the median day as if it were sure.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Self

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite
from vpp_sim.errors import PhysicsError, SolveError
from vpp_sim.pricing.bids import BidDecision, BidOptions, BidProblem, PricePaths
from vpp_sim.pricing.copula import Copula, ExponentialCopula, scenarios_from_quantiles
from vpp_sim.pricing.interior_point import solve_interior_point
from vpp_sim.pricing.quantiles import Tail, quantile_at
from vpp_sim.pricing.two_stage import StageProblem, StageSolution, solve_highs
from vpp_sim.pricing.wholesale import critical_quantile

__all__ = [
    "CvarBid",
    "DeterministicBid",
    "RiskNeutralBid",
    "conditional_value_at_risk",
    "critical_quantile",
    "dispatched_costs",
    "foreseen_costs",
]

_LARGE = 2000
"""Scenarios times steps from which on the interior-point method is faster than the simplex method."""

_log = logging.getLogger(__name__)


def conditional_value_at_risk(cost: FloatArray, level: float) -> float:
    r"""Return the mean of the worst share :math:`1 - \alpha` of equally likely costs.

    .. math:: \min_\tau \; \tau + \frac{1}{(1 - \alpha) S} \sum_s (C_s - \tau)^+

    Where the share does not fall between two scenarios, the next one counts in part, so that the result is the minimum
    above exactly [1]_.

    Parameters
    ----------
    cost : ndarray, shape (S,)
        Costs, each as likely, in any unit; a profit is a negative cost.
    level : float
        Level :math:`\alpha` in [0, 1): 0 is the mean, 0.9 the mean of the worst tenth.

    Returns
    -------
    float
        In the unit of the costs.

    Raises
    ------
    PhysicsError
        If there is no cost, one is not finite, or the level lies outside [0, 1).

    References
    ----------
    .. [1] R. T. Rockafellar, S. Uryasev, "Conditional value-at-risk for general loss distributions", Journal of Banking
       and Finance 26 (2002) 1443-1471. https://doi.org/10.1016/S0378-4266(02)00271-6

    Examples
    --------
    >>> profits = np.arange(10.0, -10.0, -2.0)
    >>> conditional_value_at_risk(-profits, 0.8), conditional_value_at_risk(-profits, 0.9)
    (7.0, 8.0)
    """
    require_finite("cost", cost)
    if not (cost.size and 0 <= level < 1):
        raise PhysicsError(f"expected costs and a level in [0, 1), not {cost.size} costs and {level:g}")
    falling = np.sort(cost)[::-1]
    share = np.clip((1 - level) * cost.size - np.arange(cost.size), 0.0, 1.0)
    return float(falling @ share / share.sum())


def _fallen_back(problem: BidProblem, reason: str, solution: StageSolution | None = None) -> BidDecision:
    _log.warning("the newsvendor's bid stands in: %s", reason)
    return BidDecision(
        critical_quantile(problem),
        np.empty(0),
        np.zeros(problem.horizon_steps),
        solution.status if solution else "infeasible",
        solution.solver if solution else "",
        solution.solve_s if solution else 0.0,
        fallback=True,
        reason=reason,
    )


def _concluded(problem: BidProblem, stage: StageProblem, solution: StageSolution) -> BidDecision:
    """Return the decision that a solution comes to, or the newsvendor's where there is none."""
    if solution.status != "optimal":
        return _fallen_back(problem, f"{solution.solver} ended {solution.status}", solution)
    bid, battery = solution.position_kwh, solution.battery_kwh
    cost = _costs(stage, bid, battery)
    return BidDecision(bid, cost, battery.mean(axis=0), "optimal", solution.solver, solution.solve_s)


def _solve(stage: StageProblem) -> StageSolution:
    """Solve small programs by HiGHS and large ones by the interior-point method, with HiGHS behind it."""
    if stage.net_kwh.size < _LARGE:
        return solve_highs(stage)
    first = solve_interior_point(stage)
    if first.status == "optimal":
        return first
    _log.info("the interior-point method ended with %s; HiGHS takes over", first.status)
    second = solve_highs(stage)
    return replace(second, solve_s=first.solve_s + second.solve_s)


def _unreachable(problem: BidProblem) -> str:
    """Return why no position is feasible, or an empty string."""
    flexibility = problem.flexibility
    missing = flexibility.shortfall_kwh(problem.horizon_steps) if flexibility else 0.0
    if flexibility is None or missing <= 1e-9:
        return ""
    return (
        f"final_kwh {flexibility.last_kwh:g} cannot be reached from {flexibility.initial_kwh:g} kWh in "
        f"{problem.horizon_steps} steps at {flexibility.charge_kw:g} kW: {missing:g} kWh are missing"
    )


def _stage(
    problem: BidProblem, prices: PricePaths, net_kwh: FloatArray, *, risk_weight: float, level: float
) -> StageProblem:
    lowest, highest = problem.position_limits_kwh
    paths = (prices.day_ahead_eur_per_kwh, prices.short_eur_per_kwh, prices.long_eur_per_kwh)
    day_ahead, short, long = (np.broadcast_to(path, net_kwh.shape) for path in paths)
    return StageProblem(net_kwh, day_ahead, short, long, lowest, highest, problem.flexibility, risk_weight, level)


def _costs(stage: StageProblem, position_kwh: FloatArray, battery_kwh: FloatArray) -> FloatArray:
    """Return what each scenario costs at a position and a use of the battery, shape (S,) [EUR]."""
    imbalance = stage.net_kwh + battery_kwh - position_kwh
    settled = imbalance * np.where(imbalance > 0, stage.short, stage.long)
    wear = stage.flexibility.wear_eur_per_kwh if stage.flexibility else 0.0
    cost: FloatArray = (stage.day_ahead * position_kwh + settled + wear * np.abs(battery_kwh)).sum(axis=1)
    return cost


def foreseen_costs(problem: BidProblem, position_kwh: FloatArray, net_kwh: FloatArray) -> FloatArray:
    """Return what days cost at a position, with a recourse that knows each day in full: the least it can be.

    Parameters
    ----------
    problem : BidProblem
        Prices, one path or one a day, and flexibility.
    position_kwh : ndarray, shape (H,)
        Day-ahead position [kWh].
    net_kwh : ndarray, shape (S, H)
        Net energy of each day without flexibility [kWh]: days that the bid did not see, for an honest figure.

    Returns
    -------
    ndarray, shape (S,)
        Cost of each day [EUR].

    Raises
    ------
    SolveError
        If no solver found the recourse.
    """
    stage = _stage(problem, problem.prices, net_kwh, risk_weight=0.0, level=0.0)
    if problem.flexibility is None:
        return _costs(stage, position_kwh, np.zeros(net_kwh.shape))
    solution = _solve(replace(stage, lowest_kwh=position_kwh, highest_kwh=position_kwh))
    if solution.status != "optimal":
        raise SolveError(f"recourse: {_unreachable(problem) or f'{solution.solver} ended {solution.status}'}")
    return _costs(stage, position_kwh, solution.battery_kwh)


def dispatched_costs(problem: BidProblem, position_kwh: FloatArray, net_kwh: FloatArray) -> FloatArray:
    """Return what days cost at a position, with a dispatcher who learns each day step by step.

    The batteries take up each step's imbalance as far as power and energy allow; what the position plans for them is
    part of that. Nothing is kept back for later steps and prices are not looked at: a simple dispatcher, as
    :func:`foreseen_costs` is an all-knowing one. The stored energy at the end is not held to the least asked for; what
    is missing or left over there is bought or sold at the day's mean day-ahead price.

    Parameters
    ----------
    problem : BidProblem
        Prices, one path or one a day, and flexibility.
    position_kwh : ndarray, shape (H,)
        Day-ahead position [kWh].
    net_kwh : ndarray, shape (S, H)
        Net energy of each day without flexibility [kWh].

    Returns
    -------
    ndarray, shape (S,)
        Cost of each day [EUR].
    """
    stage = _stage(problem, problem.prices, net_kwh, risk_weight=0.0, level=0.0)
    flexibility, battery = problem.flexibility, np.zeros(net_kwh.shape)
    if flexibility is None:
        return _costs(stage, position_kwh, battery)
    stored = np.full(net_kwh.shape[0], flexibility.initial_kwh)
    gain, loss = flexibility.charge_efficiency, flexibility.discharge_efficiency
    for step in range(net_kwh.shape[1]):
        wish = position_kwh[step] - net_kwh[:, step]  # what leaves no imbalance
        most = np.minimum(flexibility.charge_kwh, np.maximum(flexibility.max_kwh - stored, 0.0) / gain)
        least = -np.minimum(flexibility.discharge_kwh, np.maximum(stored - flexibility.min_kwh, 0.0) * loss)
        used = np.clip(wish, least, most)
        battery[:, step] = used
        stored = stored + np.where(used > 0, gain * used, used / loss)
    end: FloatArray = (flexibility.last_kwh - stored) * stage.day_ahead.mean(axis=1)
    return _costs(stage, position_kwh, battery) + end


@dataclass(slots=True)
class CvarBid:
    r"""Bid what minimises :math:`(1 - \omega)` of the expected cost and :math:`\omega` of its CVaR.

    Attributes
    ----------
    scenarios : int, default 200
        How many days are drawn from the forecast.
    level : float, default 0.9
        Level of the CVaR, in [0, 1): 0.9 looks at the worst tenth.
    risk_weight : float, default 0.5
        Weight :math:`\omega` of the CVaR, 0..1; 0 is risk-neutral.
    copula : Copula
        How the steps move together.
    tail : {"held", "exponential"}
        What lies beyond the forecast's outermost levels.
    seed : int, default 0
        Seed of the scenarios. It is the same for every problem: two bids then differ by their problems, not by luck.
    fallbacks : int
        How often the newsvendor's bid stood in, so far.
    last : BidDecision or None
        The latest decision.

    Raises
    ------
    PhysicsError
        If a number lies outside its range.

    Examples
    --------
    A plant makes 0 to 100 kWh, all equally likely, sold at 50; surplus is paid 30 and shortage costs 80. Selling 40 is
    best on average, and 4 in the worst tenth of days, which are those of least output. Half the weight on either sells
    80/11. Each day of 200 stands for half a kWh.

    >>> prices = PricePaths.of_spreads(np.array([50.0]), short_spread=0.6, long_spread=0.4)
    >>> problem = BidProblem(np.array([[-100.0, 0.0]]), np.array([0.0, 1.0]), prices)
    >>> [CvarBid(risk_weight=weight).decide(problem).position_kwh.round(2).tolist() for weight in (0.0, 0.5, 1.0)]
    [[-40.0], [-7.25], [-4.25]]
    """

    scenarios: int = 200
    level: float = 0.9
    risk_weight: float = 0.5
    copula: Copula = field(default_factory=ExponentialCopula)
    tail: Tail = "exponential"
    seed: int = 0
    fallbacks: int = field(default=0, init=False)
    last: BidDecision | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.scenarios < 1:
            raise PhysicsError(f"scenarios is {self.scenarios}, expected 1 or more")
        if not 0 <= self.level < 1:
            raise PhysicsError(f"level is {self.level:g}, expected [0, 1)")
        if not 0 <= self.risk_weight <= 1:
            raise PhysicsError(f"risk_weight is {self.risk_weight:g}, expected 0..1")

    @classmethod
    def of(cls, options: BidOptions) -> Self:
        """Return the bidder that a scenario's options describe."""
        return cls(
            scenarios=options.scenarios,
            level=options.level,
            risk_weight=options.risk_weight,
            copula=ExponentialCopula(step_h=options.step_h),
            seed=options.seed,
        )

    def draw(self, problem: BidProblem) -> FloatArray:
        """Return the scenarios of net energy that the bid rests on, shape (S, H) [kWh]."""
        return scenarios_from_quantiles(
            problem.quantiles_kwh,
            problem.levels,
            copula=self.copula,
            scenarios=self.scenarios,
            seed=self.seed,
            tail=self.tail,
        )

    def decide(self, problem: BidProblem) -> BidDecision:
        """Return the best position over the scenarios.

        Raises
        ------
        PhysicsError
            If there are several price paths, but not one a scenario.
        """
        started = perf_counter()
        decision = replace(self._decide(problem), total_s=perf_counter() - started)
        self.fallbacks += decision.fallback
        self.last = decision
        return decision

    def _decide(self, problem: BidProblem) -> BidDecision:
        paths = problem.prices.day_ahead_eur_per_kwh.shape[0]
        if paths not in (1, self.scenarios):
            raise PhysicsError(f"there are {paths} price paths for {self.scenarios} scenarios, expected 1 or as many")
        reason = _unreachable(problem)
        if reason:
            return _fallen_back(problem, reason)
        stage = _stage(problem, problem.prices, self.draw(problem), risk_weight=self.risk_weight, level=self.level)
        if self.risk_weight == 0 and problem.flexibility is None and paths == 1:
            bid, idle = critical_quantile(problem), np.zeros(problem.horizon_steps)
            return BidDecision(bid, _costs(stage, bid, np.zeros(stage.net_kwh.shape)), idle, "closed form")
        return _concluded(problem, stage, _solve(stage))


@dataclass(slots=True)
class RiskNeutralBid(CvarBid):
    """Bid what minimises the expected cost over the scenarios, whatever the worst days cost."""

    risk_weight: float = 0.0

    @classmethod
    def of(cls, options: BidOptions) -> Self:
        """Return the bidder that a scenario's options describe, but for their weight of risk."""
        copula = ExponentialCopula(step_h=options.step_h)
        return cls(scenarios=options.scenarios, level=options.level, copula=copula, seed=options.seed)


@dataclass(slots=True)
class DeterministicBid(CvarBid):
    """Bid the median day with its best use of the flexibility, as if it were sure."""

    risk_weight: float = 0.0
    scenarios: int = 1

    @classmethod
    def of(cls, options: BidOptions) -> Self:
        """Return the bidder, which looks at no scenarios."""
        return cls()

    def draw(self, problem: BidProblem) -> FloatArray:
        """Return the median day, shape (1, H) [kWh]."""
        return quantile_at(problem.quantiles_kwh, problem.levels, 0.5)[None]

    def _decide(self, problem: BidProblem) -> BidDecision:
        """Return the median day's position: all that it draws, so that no imbalance is planned."""
        reason = _unreachable(problem)
        if reason:
            return _fallen_back(problem, reason)
        paths = (
            problem.prices.day_ahead_eur_per_kwh,
            problem.prices.short_eur_per_kwh,
            problem.prices.long_eur_per_kwh,
        )
        prices = PricePaths(*(path.mean(axis=0, keepdims=True) for path in paths))
        median = self.draw(problem)
        stage = _stage(problem, prices, median, risk_weight=0.0, level=0.0)
        if problem.flexibility is None:
            bid = np.clip(median[0], *problem.position_limits_kwh)
            return BidDecision(bid, _costs(stage, bid, np.zeros((1, bid.size))), np.zeros(bid.size), "closed form")
        sure = replace(stage, short=stage.day_ahead + 1e3, long=stage.day_ahead - 1e3)
        return _concluded(problem, stage, solve_highs(sure))
