r"""Solve the two-stage program of a bid by an interior-point method that uses its shape; a general solver is slower.

The program couples its scenarios through the position and the value at risk alone. For fixed values of those, each
scenario is a chain in time. So the normal equations of a primal-dual method [1]_ fall into one tridiagonal system a
scenario, bordered by its row of the CVaR, and one dense system for the position:

.. math:: \Bigl(\Theta_x + \sum_s B_s^T M_s^{-1} B_s\Bigr) \, dx = r

All scenarios are factorised at once, with arrays of shape (H, S) and a loop over the steps; the sum over scenarios of
the inverses of tridiagonal matrices is taken diagonal by diagonal. HiGHS solves the same program in
:mod:`~vpp_sim.pricing.two_stage`: it stands in where this method does not converge, and the tests compare the two.

References
----------
.. [1] S. Mehrotra, "On the implementation of a primal-dual interior point method", SIAM Journal on Optimization 2
   (1992) 575-601. https://doi.org/10.1137/0802028
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.two_stage import StageProblem, StageSolution

__all__ = ["solve_interior_point"]

_MOST_ITERATIONS = 80
_TOLERANCE = 1e-6
_REFINEMENTS = 1
_STEP_BACK = 0.995
_NARROWEST = 1e-9


class _Block:
    """Variables of one kind with their duals: non-negative, and bounded above where `upper` is given."""

    def __init__(self, cost: FloatArray, start: FloatArray, upper: FloatArray | None = None) -> None:
        self.cost, self.value = cost, start
        self.dual = np.ones_like(start)
        self.upper = upper
        self.slack = np.ones_like(start) if upper is None else upper - start
        self.upper_dual = np.zeros_like(start) if upper is None else np.ones_like(start)
        self.inverse = self.gradient = self.step = self.dual_step = self.upper_step = start

    @property
    def products(self) -> tuple[float, int]:
        """Sum of the complementarity products, and their number."""
        total = _dot(self.value, self.dual)
        if self.upper is None:
            return total, self.value.size
        return total + _dot(self.slack, self.upper_dual), 2 * self.value.size

    def weigh(self) -> None:
        """Set the inverse of the barrier's curvature."""
        curvature = self.dual / self.value
        if self.upper is not None:
            curvature = curvature + self.upper_dual / self.slack
        self.inverse = 1 / curvature

    def aim(self, reduced_cost: FloatArray, target: float, *, corrected: bool) -> None:
        """Set the gradient of the Newton step for products of size `target`."""
        self.residual = reduced_cost - self.dual + self.upper_dual
        self.lower_target = target - self.value * self.dual
        self.upper_target = target - self.slack * self.upper_dual
        if corrected:
            self.lower_target = self.lower_target - self.step * self.dual_step
            self.upper_target = self.upper_target + self.step * self.upper_step
        self.gradient = self.lower_target / self.value - self.residual
        if self.upper is not None:
            self.gradient = self.gradient - self.upper_target / self.slack

    def move(self, pull: FloatArray) -> None:
        """Set the step from the pull of the constraints' duals."""
        self.step = self.inverse * (self.gradient + pull)
        self.dual_step = (self.lower_target - self.dual * self.step) / self.value
        if self.upper is not None:
            self.upper_step = (self.upper_target + self.upper_dual * self.step) / self.slack

    def reach(self) -> tuple[float, float]:
        """Return how much of the primal and of the dual step keeps all signs, each at most 1."""
        primal, dual = _reach(self.value, self.step), _reach(self.dual, self.dual_step)
        if self.upper is not None:
            primal = min(primal, _reach(self.slack, -self.step))
            dual = min(dual, _reach(self.upper_dual, self.upper_step))
        return primal, dual

    def products_after(self, primal: float, dual: float) -> float:
        """Return the sum of products after steps of these lengths."""
        total = _dot(self.value + primal * self.step, self.dual + dual * self.dual_step)
        if self.upper is not None:
            total += _dot(self.slack - primal * self.step, self.upper_dual + dual * self.upper_step)
        return total

    def take(self, primal: float, dual: float) -> None:
        """Take the steps."""
        self.value = self.value + primal * self.step
        self.dual = self.dual + dual * self.dual_step
        if self.upper is not None:
            self.slack = self.slack - primal * self.step
            self.upper_dual = self.upper_dual + dual * self.upper_step


def _dot(one: FloatArray, other: FloatArray) -> float:
    """Return the sum of products without BLAS, whose threads cost more than they save on a busy machine."""
    return float(np.einsum("i,i->", one.ravel(), other.ravel()))


def _reach(value: FloatArray, step: FloatArray) -> float:
    worst = float((-step / value).max())
    return 1.0 if worst <= 1.0 else 1.0 / worst


@dataclass(slots=True, eq=False)
class _Duals:
    """Multipliers of the balances (H, S), of the stored energy (H, S), and of the CVaR rows (S,)."""

    balance: FloatArray
    stored: FloatArray
    risk: FloatArray


class _Chains:
    """One tridiagonal matrix a scenario, factorised together; arrays have the shape (H, S)."""

    def __init__(self, excess: FloatArray, link: FloatArray) -> None:
        """Take what the diagonal exceeds the links by, and each step's link to the next one, all positive.

        The diagonal is excess + link + link of the step before, the entry beside it minus that link: as in a resistor
        ladder. Pivots are built without subtraction, which keeps their digits where links are a billion times the rest.
        """
        self.pivot, self.factor = np.empty_like(link), np.zeros_like(link)
        ground = excess[0]
        self.pivot[0] = link[0] + ground
        for t in range(1, link.shape[0]):
            ratio = link[t - 1] / self.pivot[t - 1]
            self.factor[t] = -ratio
            ground = excess[t] + ratio * ground
            self.pivot[t] = link[t] + ground

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the solutions for one right-hand side a scenario."""
        value = right.copy()
        for t in range(1, value.shape[0]):
            value[t] -= self.factor[t] * value[t - 1]
        value /= self.pivot
        for t in range(value.shape[0] - 2, -1, -1):
            value[t] -= self.factor[t + 1] * value[t + 1]
        return value

    def weighted_inverse(self, weight: FloatArray) -> FloatArray:
        """Return the sum over scenarios of diag(w) T^-1 diag(w), shape (H, H)."""
        steps = weight.shape[0]
        corner = 1 / self.pivot
        for t in range(steps - 2, -1, -1):
            corner[t] += self.factor[t + 1] ** 2 * corner[t + 1]
        right, total = corner * weight, np.zeros((steps, steps))
        chain, ratio = weight.copy(), -self.factor
        rows = np.arange(steps)
        total[rows, rows] = np.einsum("ts,ts->t", chain, right)
        for lag in range(1, steps):
            chain = chain[:-1] * ratio[lag:]
            entries = np.einsum("ts,ts->t", chain, right[lag:])
            total[rows[:-lag], rows[lag:]] = entries
            total[rows[lag:], rows[:-lag]] = entries
        return total


class _InteriorPoint:
    """State of the method for one program, scaled so that energies and prices are of size 1."""

    def __init__(self, problem: StageProblem) -> None:
        self.problem = problem
        flexibility, weight = problem.flexibility, problem.risk_weight
        self.flexible, self.averse = flexibility is not None, weight > 0
        net = problem.net_kwh.T
        steps, scenarios = net.shape
        self.steps, self.scenarios = steps, scenarios
        spread = np.ptp(net, axis=1).mean() + (flexibility.charge_kwh if flexibility else 0.0)
        self.unit = unit = max(float(spread), 1e-9)
        self.price = price = max(float(np.abs(problem.day_ahead).mean()), 1e-9)
        short, long = (np.ascontiguousarray(premium.T) / price for premium in problem.premiums)
        day_ahead = np.ascontiguousarray(problem.day_ahead.T) / price
        self.free = problem.highest_kwh - problem.lowest_kwh > _NARROWEST * unit
        width = np.where(self.free, (problem.highest_kwh - problem.lowest_kwh) / unit, 1.0)
        self.position = _Block(np.zeros(steps), width / 2, width)
        # Where the limits meet there is no barrier: such a position stands still, and its duals count for nothing.
        self.position.dual = np.where(self.free, 1.0, 1e-30)
        self.position.upper_dual = self.position.dual.copy()
        self.net = (net - problem.lowest_kwh[:, None]) / unit
        self.sure = np.einsum("ts,ts->s", day_ahead, net / unit)
        kinds = [(short, 1.0, 0.0), (long, -1.0, 0.0)]
        uppers: list[float | None] = [None, None]
        if flexibility is not None:
            wear = flexibility.wear_eur_per_kwh / price
            kinds += [(day_ahead + wear, -1.0, flexibility.charge_efficiency)]
            kinds += [(wear - day_ahead, 1.0, 1 / flexibility.discharge_efficiency)]
            uppers += [flexibility.charge_kwh / unit, flexibility.discharge_kwh / unit]
            self._prepare_stored(flexibility.min_kwh, flexibility.max_kwh, flexibility.last_kwh)
        # Each kind: its cost, its sign in the balance, and its stored energy a unit in the balance.
        self.costs, self.signs, self.gains = zip(*kinds, strict=True)
        one = np.ones((steps, scenarios))
        self.recourse = [
            _Block(
                (1 - weight) * cost, one * (1.0 if upper is None else upper / 2), None if upper is None else upper * one
            )
            for cost, upper in zip(self.costs, uppers, strict=True)
        ]
        self.excess = _Block(np.full(scenarios, weight / (1 - problem.level)), np.ones(scenarios))
        self.spare = _Block(np.zeros(scenarios), np.ones(scenarios))
        self.tau = float(self.sure.mean())
        self.duals = _Duals(np.zeros_like(one), np.zeros_like(one), np.zeros(scenarios))

    def _prepare_stored(self, lowest: float, highest: float, last: float) -> None:
        flexibility = self.problem.flexibility
        assert flexibility is not None
        floor = np.full(self.steps, lowest)
        floor[-1] = last
        before = np.concatenate([[flexibility.initial_kwh], floor[:-1]])
        self.carried = np.repeat(((before - floor) / self.unit)[:, None], self.scenarios, axis=1)
        room = np.repeat(((highest - floor) / self.unit)[:, None], self.scenarios, axis=1)
        self.stored = _Block(np.zeros_like(room), room / 2, room)

    @property
    def blocks(self) -> list[_Block]:
        """All variables but tau."""
        risk = [self.excess, self.spare] if self.averse else []
        return [self.position, *self.recourse, *([self.stored] if self.flexible else []), *risk]

    def residuals(self) -> _Duals:
        """Return what the constraints lack."""
        balance = self.net - np.where(self.free, self.position.value, 0.0)[:, None]
        risk = np.zeros(self.scenarios)
        stored = np.zeros_like(balance)
        for block, sign in zip(self.recourse, self.signs, strict=True):
            balance = balance - sign * block.value
        if self.averse:
            risk = self.sure - self.excess.value - self.tau + self.spare.value
            for block, cost in zip(self.recourse, self.costs, strict=True):
                risk = risk + np.einsum("ts,ts->s", cost, block.value)
        if self.flexible:
            stored = self.carried - self.stored.value
            stored[1:] += self.stored.value[:-1]
            for block, sign, gain in zip(self.recourse[2:], self.signs[2:], self.gains[2:], strict=True):
                stored = stored - sign * gain * block.value
        return _Duals(balance, stored, risk)

    def pulls(self, duals: _Duals) -> list[FloatArray]:
        """Return the constraints' duals as each block feels them, in the order of `blocks`."""
        position = np.where(self.free, duals.balance.sum(axis=1), 0.0)
        pulls = [position]
        for cost, sign, gain in zip(self.costs, self.signs, self.gains, strict=True):
            pull = sign * duals.balance
            if gain:
                pull = pull + sign * gain * duals.stored
            pulls.append(pull - cost * duals.risk if self.averse else pull)
        if self.flexible:
            stored = duals.stored.copy()
            stored[:-1] -= duals.stored[1:]
            pulls.append(stored)
        return [*pulls, duals.risk, -duals.risk] if self.averse else pulls

    def factorise(self) -> None:
        """Set up the bordered chains and the dense system of the position."""
        for block in self.blocks:
            block.weigh()
        inverses = [block.inverse for block in self.recourse]
        self.mass = np.sum(inverses, axis=0)
        # In the balance each kind has a rate of stored energy and of cost; only their spread about the mean is left.
        rates = [-sign * cost for sign, cost in zip(self.signs, self.costs, strict=True)]
        self.rate = sum(inverse * rate for inverse, rate in zip(inverses, rates, strict=True)) / self.mass
        self.gain = sum(inverse * gain for inverse, gain in zip(inverses, self.gains, strict=True)) / self.mass
        dense = np.diag((1 / self.mass).sum(axis=1) + np.where(self.free, 1 / self.position.inverse, 1e30))
        slope = self.rate
        if self.flexible:
            excess = np.zeros_like(self.mass)
            mixed = np.zeros_like(self.mass)
            for inverse, gain, rate in zip(inverses, self.gains, rates, strict=True):
                excess = excess + inverse * (gain - self.gain) ** 2
                mixed = mixed + inverse * (gain - self.gain) * (rate - self.rate)
            self.chains, self.mixed = _Chains(excess, self.stored.inverse), mixed
            dense += self.chains.weighted_inverse(self.gain)
            self.border = self.chains.solve(mixed)
            slope = self.rate - self.gain * self.border
        if self.averse:
            least = self.excess.inverse + self.spare.inverse
            own = least
            for inverse, rate in zip(inverses, rates, strict=True):
                own = own + np.einsum("ts,ts->s", inverse, (rate - self.rate) ** 2)
            if self.flexible:
                own = own - np.einsum("ts,ts->s", self.mixed, self.border)
            self.own = np.maximum(own, least)
            scaled = slope / self.own
            dense += scaled @ slope.T
            edge = -scaled.sum(axis=1)
            corner = np.array([[(1 / self.own).sum()]])
            dense = np.block([[dense, edge[:, None]], [edge[None], corner]])
        scale = 1 / np.sqrt(np.diag(dense))
        self.scale, self.dense = scale, dense * scale[:, None] * scale

    def solve_local(self, right: _Duals) -> _Duals:
        """Return the duals for a right-hand side at a fixed position and tau."""
        risk, stored = np.zeros(self.scenarios), np.zeros_like(right.balance)
        if self.flexible:
            stored = self.chains.solve(right.stored - self.gain * right.balance)
        if self.averse:
            lack = right.risk - np.einsum("ts,ts->s", self.rate, right.balance)
            if self.flexible:
                lack = lack - np.einsum("ts,ts->s", self.mixed, stored)
            risk = lack / self.own
            if self.flexible:
                stored = stored - self.border * risk
        balance = right.balance / self.mass - self.rate * risk
        if self.flexible:
            balance = balance - self.gain * stored
        return _Duals(balance, stored, risk)

    def newton(self, lack: _Duals) -> tuple[_Duals, float]:
        """Return the steps of the duals and of tau, and set those of the blocks."""
        right = _Duals(lack.balance, lack.stored, lack.risk)
        moves = [block.inverse * block.gradient for block in self.blocks]
        self.subtract(right, moves)
        first = np.where(self.free, self.position.gradient, 0.0)
        if self.averse:
            first = np.append(first, self.tau_gradient)
        duals, shift = self.solve_bordered(right, first)
        for _ in range(_REFINEMENTS):
            extra, more = self.solve_bordered(*self.unsolved(right, first, duals, shift))
            duals = _Duals(duals.balance + extra.balance, duals.stored + extra.stored, duals.risk + extra.risk)
            shift = shift + more
        return duals, float(shift[-1]) if self.averse else 0.0

    def subtract(self, right: _Duals, moves: list[FloatArray]) -> None:
        """Take from a right-hand side what moves of the blocks other than the position do to the constraints."""
        for move, sign, gain, cost in zip(moves[1:], self.signs, self.gains, self.costs, strict=False):
            right.balance = right.balance - sign * move
            right.stored = right.stored - sign * gain * move if gain else right.stored
            if self.averse:
                right.risk = right.risk + np.einsum("ts,ts->s", cost, move)
        if self.flexible:
            carried = moves[1 + len(self.recourse)]
            right.stored = right.stored - carried
            right.stored[1:] += carried[:-1]
        if self.averse:
            right.risk = right.risk - moves[-2] + moves[-1]

    def solve_bordered(self, right: _Duals, first: FloatArray) -> tuple[_Duals, FloatArray]:
        """Return the steps of the duals, and of position and tau."""
        local = self.solve_local(right)
        pull = first + np.append(local.balance.sum(axis=1), local.risk.sum())[: first.size]
        pull[: self.steps] = np.where(self.free, pull[: self.steps], 0.0)
        shift = self.scale * np.linalg.solve(self.dense, self.scale * pull)
        shift[: self.steps] = np.where(self.free, shift[: self.steps], 0.0)
        tau = shift[-1] if self.averse else 0.0
        change = _Duals(right.balance - shift[: self.steps, None], right.stored, right.risk - tau)
        return self.solve_local(change), shift

    def unsolved(self, right: _Duals, first: FloatArray, duals: _Duals, shift: FloatArray) -> tuple[_Duals, FloatArray]:
        """Return what a solution leaves of its right-hand side, for one round of refinement."""
        moves = [block.inverse * pull for block, pull in zip(self.blocks, self.pulls(duals), strict=True)]
        left = _Duals(right.balance - shift[: self.steps, None], right.stored, right.risk)
        self.subtract(left, moves)
        position = np.where(self.free, 1 / self.position.inverse, 0.0) * shift[: self.steps]
        pull = np.where(self.free, duals.balance.sum(axis=1), 0.0) - position
        if self.averse:
            left.risk = left.risk - shift[-1]
            pull = np.append(pull, duals.risk.sum())
        return left, first + pull

    def iterate(self) -> tuple[float, float, float]:
        """Take one predictor-corrector step; return relative gap, primal and dual residual before it."""
        lack = self.residuals()
        pulls = self.pulls(self.duals)
        reduced = [block.cost - pull for block, pull in zip(self.blocks, pulls, strict=True)]
        self.tau_gradient = -(self.problem.risk_weight * self.scenarios - float(self.duals.risk.sum()))
        totals, counts = zip(*(block.products for block in self.blocks), strict=True)
        measure = sum(totals) / sum(counts)
        wrong = [float(np.abs(c - b.dual + b.upper_dual).max()) for b, c in zip(self.blocks, reduced, strict=True)]
        lacking = max(float(np.abs(part).max()) for part in (lack.balance, lack.stored, lack.risk))
        self.factorise()
        target, corrected = 0.0, False
        for corrected in (False, True):
            for block, cost in zip(self.blocks, reduced, strict=True):
                block.aim(cost, target, corrected=corrected)
            duals, tau_step = self.newton(lack)
            for block, pull in zip(self.blocks, self.pulls(duals), strict=True):
                block.move(pull)
            self._hold_fixed()
            reaches = [block.reach() for block in self.blocks]
            primal, dual = (min(reach) for reach in zip(*reaches, strict=True))
            after = sum(block.products_after(primal, dual) for block in self.blocks) / sum(counts)
            target = measure * (max(after, 0.0) / measure) ** 3
        primal, dual = min(1.0, _STEP_BACK * primal), min(1.0, _STEP_BACK * dual)
        for block in self.blocks:
            block.take(primal, dual)
        self.tau += primal * tau_step
        for name in ("balance", "stored", "risk"):
            setattr(self.duals, name, getattr(self.duals, name) + dual * getattr(duals, name))
        worst = max(*wrong, abs(self.tau_gradient) / self.scenarios if self.averse else 0.0)
        return sum(totals) / (1.0 + abs(self.objective())), lacking, worst

    def _hold_fixed(self) -> None:
        """Keep positions whose limits meet where they are."""
        for name in ("step", "dual_step", "upper_step"):
            setattr(self.position, name, np.where(self.free, getattr(self.position, name), 0.0))

    def objective(self) -> float:
        """Return the scaled objective, S times the true one."""
        weight = self.problem.risk_weight
        value = (1 - weight) * float(self.sure.sum())
        value += sum(_dot(block.cost, block.value) for block in self.recourse)
        if self.averse:
            value += weight * self.scenarios * self.tau + float(self.excess.cost @ self.excess.value)
        return value


def solve_interior_point(problem: StageProblem) -> StageSolution:
    """Solve the program by a primal-dual interior-point method.

    Parameters
    ----------
    problem : StageProblem
        The program. Each limit of the flexibility must leave room: where one does not, there is no interior.

    Returns
    -------
    StageSolution
        With the status ``"optimal"`` when the relative duality gap and all residuals are below 1e-6; arrays of NaN
        otherwise.
    """
    started = perf_counter()
    nothing = np.full(problem.net_kwh.shape, np.nan)
    status, value = "no interior", np.nan
    flexibility = problem.flexibility
    room = (
        (flexibility.charge_kwh, flexibility.discharge_kwh, flexibility.max_kwh - flexibility.last_kwh)
        if flexibility
        else (1.0,)
    )
    method = None
    if min(room) > 0:
        # Its matrices are small: on several threads BLAS spends three times as long, most of it waiting.
        with np.errstate(all="ignore"), threadpool_limits(limits=1, user_api="blas"):
            try:
                method = _InteriorPoint(problem)
                status = _run(method)
            except np.linalg.LinAlgError:
                status = "singular system"
    spent_s = perf_counter() - started
    if method is None or status != "optimal":
        return StageSolution(nothing[0], nothing, status, "interior point", spent_s, np.nan)
    value = method.objective() * method.unit * method.price / method.scenarios
    width = np.where(method.free, method.position.value, 0.0) * method.unit
    position = np.clip(problem.lowest_kwh + width, problem.lowest_kwh, problem.highest_kwh)
    battery = np.zeros(problem.net_kwh.shape)
    if method.flexible:
        battery = (method.recourse[2].value - method.recourse[3].value).T * method.unit
    return StageSolution(position, battery, status, "interior point", spent_s, value)


def _run(method: _InteriorPoint) -> str:
    for _ in range(_MOST_ITERATIONS):
        errors = method.iterate()
        if not np.isfinite(errors).all():
            return "not finite"
        if max(errors) < _TOLERANCE:
            return "optimal"
    return "iteration limit reached"
