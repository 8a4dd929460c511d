"""Prices of a retailer whose customers answer by their own optimum: a Stackelberg game as an integer program."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar, get_args

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.demand import Response
from vpp_sim.pricing.followers import Followers, Tie, group_homes
from vpp_sim.pricing.limits import Limits
from vpp_sim.pricing.protocol import RetailOptions, RetailPrices, RetailProblem
from vpp_sim.pricing.relaxation import least_violation
from vpp_sim.pricing.retail import SizedPricer, fall_back

__all__ = ["GameSolution", "OptimisticStackelberg", "PessimisticStackelberg", "Stackelberg", "solve_game"]


@dataclass(frozen=True, slots=True, eq=False)
class GameSolution:
    """What the integer program ended with.

    Attributes
    ----------
    price_eur_per_kwh : ndarray, shape (H,)
        Prices; NaN where none were found [EUR/kWh].
    profit_eur : float
        The retailer's profit at them [EUR].
    status : str
        CVXPY's status; ``"user_limit"`` where the search was cut off.
    solve_s : float
        Seconds inside the solver.
    """

    price_eur_per_kwh: FloatArray
    profit_eur: float
    status: str
    solve_s: float


def solve_game(
    problem: RetailProblem,
    followers: Followers,
    limits: Limits,
    *,
    tie: Tie,
    highest_kwh: FloatArray | None = None,
    strictness_eur_per_kwh: float = 1e-4,
    gap: float = 1e-4,
    most_nodes: int = 100_000,
) -> GameSolution:
    r"""Solve the retailer's problem with the customers' conditions of optimality in it.

    The customers' linear programs (:class:`~vpp_sim.pricing.followers.Followers`) stand in the retailer's problem by
    their conditions of optimality: with :math:`\nu` the worth of a kWh within a window, reduced costs

    .. math:: p_t + \kappa - \nu = \alpha_t - \beta_t, \qquad \nu - p_t = \gamma_t - \delta_t

    and for each of them a pair of binaries that lets it differ from zero only where the energy is at its bound. The
    product of prices and energy is replaced by the dual objective, to which it is equal:
    :math:`p^T (i - o) = -\kappa \sum i - I^T \beta - O^T \delta`. All is linear, and HiGHS solves it.

    Solved like this, customers break ties in the retailer's favour, and the best prices are such ties: a spread of
    exactly :math:`\kappa`. That is the optimistic solution. For the pessimistic one, whose best value may be approached
    but not reached [1]_, only prices are allowed at which the answer is unique: every reduced cost differs from zero by
    `strictness_eur_per_kwh`, but for at most one a window and type, whose energy the balance then fixes. Nothing is
    lost but that margin: at prices with a tie, the worst answer earns no more than what prices close by, in any
    direction that the limits leave open, make the only answer. Limits that leave no room at all, cap and floor equal,
    may tie customers for good; then there is no such price.

    Parameters
    ----------
    problem : RetailProblem
        Wholesale prices and levies; the demand is the followers'.
    followers : Followers
        Types of customers.
    limits : Limits
        Price range, promises and ramp.
    tie : {"optimistic", "pessimistic"}
        How customers break ties.
    highest_kwh : ndarray, shape (H,), optional
        Most that all may draw in a step [kWh].
    strictness_eur_per_kwh : float
        Least difference that decides a customer [EUR/kWh]; pessimistic only.
    gap : float
        Relative gap at which the search ends.
    most_nodes : int
        Nodes after which the search is cut off, whatever the gap: a count, so that the same problem has the same
        answer on any machine.

    References
    ----------
    .. [1] T. Kis, A. Kovacs, C. Meszaros, "On optimistic and pessimistic bilevel optimization models for demand
       response management", Energies 14 (2021) 2095. https://doi.org/10.3390/en14082095
    """
    import cvxpy

    cp: Any = cvxpy  # its type hints cover only a part of it
    margin = strictness_eur_per_kwh if tie == "pessimistic" else 0.0
    game = _Game(cp, problem, followers, limits, margin)
    if highest_kwh is not None:
        game.limits.append(followers.demand_kwh.sum(axis=0) + cp.sum(game.added - game.taken, axis=0) <= highest_kwh)
    program = cp.Problem(cp.Maximize(game.profit), game.limits)
    nothing = np.full(limits.lower.shape, np.nan)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a search cut off is told by its status
            program.solve(solver=cp.HIGHS, mip_rel_gap=gap, mip_max_nodes=most_nodes)
    except cp.SolverError:
        return GameSolution(nothing, np.nan, "solver_error", 0.0)
    spent_s = float(program.solver_stats.solve_time or 0.0)
    if game.price.value is None:
        return GameSolution(nothing, np.nan, str(program.status), spent_s)
    price = np.clip(np.asarray(game.price.value, dtype=np.float64), limits.lower, limits.upper)
    return GameSolution(price, float(program.value), str(program.status), spent_s)


class _Game:
    """The retailer's integer program in CVXPY."""

    def __init__(
        self, cp: Any, problem: RetailProblem, followers: Followers, limits: Limits, strictness: float
    ) -> None:
        shape = followers.demand_kwh.shape
        lower, upper, windows = limits.lower, limits.upper, followers.windows
        self.price = cp.Variable(shape[1])
        self.added, self.taken = cp.Variable(shape, nonneg=True), cp.Variable(shape, nonneg=True)
        self.limits: list[Any] = [self.price >= lower, self.price <= upper, limits.promises @ self.price <= 1]
        if limits.ramp_eur_per_kwh is not None and shape[1] > 1:
            self.limits.append(cp.abs(cp.diff(self.price)) <= limits.ramp_eur_per_kwh)
        lowest = np.where(windows > 0, lower, np.inf).min(axis=1) @ windows
        highest = np.where(windows > 0, upper, -np.inf).max(axis=1) @ windows
        discomfort = np.repeat(followers.discomfort_eur_per_kwh[:, None], shape[1], axis=1)
        worth = cp.Variable((shape[0], len(windows))) @ windows  # of a kWh, in each window
        self.limits += [
            worth >= np.tile(lowest, (shape[0], 1)),
            worth <= highest + discomfort,
            self.added @ windows.T == self.taken @ windows.T,
        ]
        price = cp.vstack([self.price] * shape[0])
        adding = _Bounded(cp, self.added, followers.room_kwh, upper - lowest + discomfort, highest - lower, strictness)
        taking = _Bounded(
            cp, self.taken, followers.movable_kwh, highest + discomfort - lower, upper - lowest, strictness
        )
        self.limits += [price + discomfort - worth == adding.reduced, worth - price == taking.reduced]
        self.limits += adding.limits + taking.limits
        self.limits.append(adding.none + taking.none >= 1)  # nobody adds where it pays to take away
        if strictness:
            open_ends = cp.multiply(adding.free, adding.movable) + cp.multiply(taking.free, taking.movable)
            self.limits.append(open_ends @ windows.T <= 1)
        cost = problem.wholesale_eur_per_kwh + problem.levies_eur_per_kwh
        total = followers.demand_kwh.sum(axis=0)
        moved = cp.sum(cp.multiply(discomfort, self.added)) + adding.dual_cost + taking.dual_cost
        self.profit = self.price @ total - moved - cost @ (total + cp.sum(self.added - self.taken, axis=0))


class _Bounded:
    """Energy within 0 and a bound, and its reduced cost, which binaries keep from zero only at the ends."""

    def __init__(
        self,
        cp: Any,
        energy: Any,
        bound: FloatArray,
        most_above: FloatArray,
        most_below: FloatArray,
        strictness: float,
    ) -> None:
        shape = energy.shape
        above, below = cp.Variable(shape, nonneg=True), cp.Variable(shape, nonneg=True)
        self.none, self.full = cp.Variable(shape, boolean=True), cp.Variable(shape, boolean=True)
        self.reduced = above - below
        self.movable = (bound > 0).astype(np.float64)
        self.free = 1 - self.none - self.full
        self.dual_cost = cp.sum(cp.multiply(bound, below))
        most_above, most_below = np.broadcast_to(most_above, shape), np.maximum(np.broadcast_to(most_below, shape), 0)
        self.limits = [
            energy <= cp.multiply(bound, 1 - self.none),
            energy >= cp.multiply(bound, self.full),
            above <= cp.multiply(most_above, self.none),
            below <= cp.multiply(most_below, self.full),
            self.none + self.full <= 1,
        ]
        if strictness:
            least = strictness * self.movable
            self.limits += [above >= cp.multiply(least, self.none), below >= cp.multiply(least, self.full)]


class Stackelberg(SizedPricer):
    """Prices that earn most when customers shift demand as suits them best, and no home pays more than by default.

    Homes are grouped into a few types (:func:`~vpp_sim.pricing.followers.group_homes`), whose answers stand in an
    integer program (:func:`solve_game`). The promise counts the demand before any shift, so it holds for a home that
    shifts nothing; one that does pays less. Elasticities play no part: customers move energy, and give up none.

    Parameters
    ----------
    homes, horizon_steps : int
        Shape of the problems to come.
    options : RetailOptions, optional
        Cap, floor, ramp, revenue cap and feeder limit; the objective must be the profit.
    tie : {"pessimistic", "optimistic"}
        How customers break ties. Optimistic prices count on a goodwill that is theirs to withhold.
    types : int
        Number of types of customers.
    flexible_share : float
        Share of demand that may move, 0..1.
    discomfort_eur_per_kwh : float
        What moving a kWh costs the customer [EUR/kWh].
    window_steps : int, optional
        Steps within which energy may move; the whole horizon if left out.
    gap : float
        Relative gap at which the search ends.
    most_nodes : int
        Nodes after which it is cut off.

    Raises
    ------
    PhysicsError
        If a number is out of its range, or the objective is another than the profit.

    Examples
    --------
    A kWh of two may move from a step that costs the retailer 0.20 to one that costs 0.05, at a discomfort of 0.05. The
    default bill is the most that two kWh at step 0 may cost: 0.30 a kWh there, and 0.25 at step 1 to draw demand over.

    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[2.0, 0.0]]), wholesale_eur_per_kwh=np.array([0.2, 0.05]), levies_eur_per_kwh=0.0,
    ...     default_eur_per_kwh=np.full(2, 0.3), feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> pricer = Stackelberg(
    ...     homes=1, horizon_steps=2, tie="optimistic", types=1, flexible_share=0.5, discomfort_eur_per_kwh=0.05
    ... )
    >>> pricer.price(problem).buy_eur_per_kwh.round(6)
    array([0.3 , 0.25])
    """

    solver = "HIGHS"
    needs_range: ClassVar[bool] = True
    heeds: ClassVar[frozenset[str]] = SizedPricer.heeds | {"feeder_limit_kw"}

    def __init__(
        self,
        *,
        homes: int,
        horizon_steps: int,
        options: RetailOptions | None = None,
        tie: Tie = "pessimistic",
        types: int = 2,
        flexible_share: float = 0.2,
        discomfort_eur_per_kwh: float = 0.04,
        window_steps: int | None = None,
        gap: float = 1e-3,
        most_nodes: int = 20_000,
    ) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options)
        if self.options.objective != "profit":
            raise PhysicsError(f"a Stackelberg pricer maximises profit, not {self.options.objective!r}")
        if tie not in get_args(Tie):
            raise PhysicsError(f"tie is {tie!r}, expected one of {', '.join(get_args(Tie))}")
        if not 0 <= flexible_share <= 1 or types < 1:
            raise PhysicsError(f"flexible_share is {flexible_share:g} and types {types}, expected 0..1 and 1 or above")
        self.tie, self.types, self.flexible_share = tie, types, flexible_share
        self.discomfort_eur_per_kwh, self.window_steps = discomfort_eur_per_kwh, window_steps
        self.gap, self.most_nodes = gap, most_nodes

    def followers(self, problem: RetailProblem) -> Followers:
        """Return the types of customers that the pricer sees in a problem."""
        return group_homes(
            problem,
            types=self.types,
            flexible_share=self.flexible_share,
            discomfort_eur_per_kwh=self.discomfort_eur_per_kwh,
            window_steps=self.window_steps,
        )

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the best prices found, or the default tariff with the reason why there are none."""
        self.check(problem)
        started = perf_counter()
        limits = self._limits(problem)
        reason = limits.contradiction()
        if reason:
            return fall_back(problem, "infeasible", reason, started)
        found = solve_game(
            problem,
            self.followers(problem),
            limits,
            tie=self.tie,
            highest_kwh=self._highest_kwh(problem),
            gap=self.gap,
            most_nodes=self.most_nodes,
        )
        if np.isnan(found.price_eur_per_kwh).any():
            return fall_back(problem, found.status, self._why(problem, limits, found.status), started, self.solver)
        return RetailPrices(
            buy_eur_per_kwh=found.price_eur_per_kwh,
            status=found.status,
            solver=self.solver,
            solve_s=found.solve_s,
            total_s=perf_counter() - started,
            binding=limits.binding(found.price_eur_per_kwh),
            notes=() if found.status == "optimal" else (f"the search was cut off after {self.most_nodes} nodes",),
        )

    def _limits(self, problem: RetailProblem) -> Limits:
        """Return the limits, with the cost of a kWh as one more floor where there is no demand to price.

        Such a price brings nothing unless it draws demand over from other steps, which pays at cost or above. But homes
        with batteries may draw nothing in a step because it is dear by default, and a price below would bring back what
        no type of customers here foresees.
        """
        limits = Limits.of(problem, self.options)
        idle = Response.of(problem, 0.0).idle
        cost = np.minimum(problem.wholesale_eur_per_kwh + problem.levies_eur_per_kwh, problem.default_eur_per_kwh)
        floor = np.where(idle, np.minimum(cost, limits.upper), -np.inf)
        return replace(limits, floors=limits.floors | {"cost without demand": floor})

    def _highest_kwh(self, problem: RetailProblem) -> FloatArray | None:
        if self.options.feeder_limit_kw is None:
            return None
        export_kwh = np.zeros(self.horizon_steps) if problem.export_kwh is None else problem.export_kwh
        highest: FloatArray = self.options.feeder_limit_kw * self.options.step_h + export_kwh
        return highest

    def _why(self, problem: RetailProblem, limits: Limits, status: str) -> str:
        if "infeasible" not in status:
            return f"the solver ended with {status!r}"
        unit_kw = Response.of(problem, 0.0).unit_kwh / self.options.step_h
        reason = least_violation(limits, problem.default_eur_per_kwh, unit_kw)
        if not reason and self.options.feeder_limit_kw is None:
            return "no prices within the limits leave every customer a single answer"
        return reason or "no shift of demand keeps the feeder limit"


class OptimisticStackelberg(Stackelberg):
    """The Stackelberg pricer whose customers break ties in the retailer's favour."""

    def __init__(self, *, homes: int, horizon_steps: int, options: RetailOptions | None = None, **rest: Any) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options, tie="optimistic", **rest)


class PessimisticStackelberg(Stackelberg):
    """The Stackelberg pricer whose customers break ties against the retailer."""

    def __init__(self, *, homes: int, horizon_steps: int, options: RetailOptions | None = None, **rest: Any) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options, tie="pessimistic", **rest)
