"""Tariffs by rule, to compare optimised prices with: time of use, critical peak, wholesale price passed through.

Each has a shape over the day, and a level that makes it neutral: with the promise, the highest at which no home pays
more than by default for the demand expected; without it, the one at which all homes together pay the same. Where cap,
floor or ramp leave no room for the whole shape, it is made flatter, in proportion, until they do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from time import perf_counter

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.limits import Limits
from vpp_sim.pricing.protocol import RetailOptions, RetailPrices, RetailProblem
from vpp_sim.pricing.retail import SizedPricer, fall_back

__all__ = ["CriticalPeak", "PassThrough", "TimeOfUse", "best_blocks"]


class _Shaped(SizedPricer, ABC):
    """A tariff with a shape, of which as much is used as the limits leave room for.

    Parameters
    ----------
    homes, horizon_steps : int
        Shape of the problems to come.
    options : RetailOptions, optional
        Cap, floor, ramp and revenue cap.
    promise : bool
        Whether no home may pay more than by default for the demand expected; otherwise all homes together pay the
        same, and some pay more.
    """

    def __init__(
        self, *, homes: int, horizon_steps: int, options: RetailOptions | None = None, promise: bool = True
    ) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options)
        self.promise = promise

    @abstractmethod
    def _shape(self, problem: RetailProblem) -> FloatArray:
        """Return the prices up to their level, shape (H,) [EUR/kWh]."""

    def price(self, problem: RetailProblem) -> RetailPrices:
        """Return the tariff's prices, or the default tariff with the reason why there are none."""
        self.check(problem)
        started = perf_counter()
        limits = Limits.of(problem, self.options)
        reason = limits.contradiction()
        if reason:
            return fall_back(problem, "infeasible", reason, started)
        shape = self._shape(problem)
        lines = self._levels(problem, limits, shape)
        share = _most(lines, shape, limits)
        if share < 0:
            level, lowest = float(lines[0].min()), float(limits.lower.max())
            reason = f"the flat price {level:.4g} EUR/kWh lies below the lowest allowed by {lowest - level:.4g}"
            return fall_back(problem, "infeasible", reason, started)
        level = float((lines[0] + share * lines[1]).min())
        price = np.clip(level + share * shape, limits.lower, limits.upper)
        note = (f"the tariff is flattened to {share:.3g} of its shape by cap, floor or ramp",) if share < 1 else ()
        spent_s = perf_counter() - started
        return RetailPrices(price, status="rule", total_s=spent_s, binding=limits.binding(price), notes=note)

    def _levels(self, problem: RetailProblem, limits: Limits, shape: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the lines ``a + b share``, below all of which the level must lie, shapes (L,)."""
        rows = limits.promises if self.promise else limits.promises[limits.homes :]
        if not self.promise:
            total = problem.demand_kwh.sum(axis=0)
            bill_eur = float(total @ problem.default_eur_per_kwh)
            rows = np.vstack([rows, total / bill_eur if bill_eur else total])
        weight = rows.sum(axis=1)
        rows, weight = rows[weight > 0], weight[weight > 0]
        promised, tilt = 1 / weight, -(rows @ shape) / weight
        if not promised.size:  # nobody draws anything
            promised, tilt = np.array([problem.default_eur_per_kwh.min()]), np.array([-shape.mean()])
        return np.concatenate([promised, limits.upper]), np.concatenate([tilt, -shape])


def _most(lines: tuple[FloatArray, FloatArray], shape: FloatArray, limits: Limits) -> float:
    """Return the largest share of the shape, up to 1, that the limits leave room for; -1 if not even a flat price."""
    spare = lines[0][:, None] - limits.lower
    if spare.min() < 0:
        return -1.0
    growth = lines[1][:, None] + shape
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # the least of numbers divides beyond all
        share = float(np.where(growth < 0, spare / -growth, np.inf).min(initial=1.0))
    if limits.ramp_eur_per_kwh is not None and shape.size > 1:
        steepest = float(np.abs(np.diff(shape)).max())
        share = min(share, limits.ramp_eur_per_kwh / steepest) if steepest > 0 else share
    return min(share, 1.0)


class PassThrough(_Shaped):
    """The wholesale price of each step with levies, and one margin for the horizon.

    The margin is what keeps the tariff neutral, so it changes from one horizon to the next; :attr:`margin_eur_per_kwh`
    caps it where given, for a contract that names it.

    Parameters
    ----------
    homes, horizon_steps, options, promise
        As for every tariff of this module.
    margin_eur_per_kwh : float, optional
        Highest margin over wholesale price and levies [EUR/kWh].

    Examples
    --------
    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[1.0, 3.0]]), wholesale_eur_per_kwh=np.array([0.02, 0.10]),
    ...     default_eur_per_kwh=np.array([0.30, 0.30]), levies_eur_per_kwh=0.1, feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> PassThrough(homes=1, horizon_steps=2).price(problem).buy_eur_per_kwh
    array([0.24, 0.32])
    """

    def __init__(
        self,
        *,
        homes: int,
        horizon_steps: int,
        options: RetailOptions | None = None,
        promise: bool = True,
        margin_eur_per_kwh: float | None = None,
    ) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options, promise=promise)
        self.margin_eur_per_kwh = margin_eur_per_kwh

    def _shape(self, problem: RetailProblem) -> FloatArray:
        shape: FloatArray = problem.wholesale_eur_per_kwh + problem.levies_eur_per_kwh
        return shape

    def _levels(self, problem: RetailProblem, limits: Limits, shape: FloatArray) -> tuple[FloatArray, FloatArray]:
        start, growth = super()._levels(problem, limits, shape)
        if self.margin_eur_per_kwh is None:
            return start, growth
        mean = float(shape.mean())  # what a flattened shape lacks of its mean, the level makes up for
        return np.append(start, self.margin_eur_per_kwh + mean), np.append(growth, -mean)


class TimeOfUse(_Shaped):
    """Two or three prices a day, at hours set from the expected wholesale cost.

    Steps are grouped so that costs within a block differ least (:func:`best_blocks`), and each block is priced at its
    mean cost, weighted with demand. With `windows` the hours are fixed beforehand, as in a published tariff.

    Parameters
    ----------
    homes, horizon_steps, options, promise
        As for every tariff of this module.
    blocks : int
        Number of prices, 2 or 3.
    windows : ndarray, shape (H,), optional
        Block of each step, from 0 on.

    Raises
    ------
    PhysicsError
        If there are neither two nor three blocks, or `windows` has another length than the horizon.

    Examples
    --------
    >>> problem = RetailProblem(
    ...     demand_kwh=np.ones((1, 4)), wholesale_eur_per_kwh=np.array([0.02, 0.04, 0.10, 0.12]),
    ...     default_eur_per_kwh=np.full(4, 0.30), levies_eur_per_kwh=0.1, feed_in_eur_per_kwh=np.zeros(4),
    ... )
    >>> TimeOfUse(homes=1, horizon_steps=4, blocks=2).price(problem).buy_eur_per_kwh
    array([0.26, 0.26, 0.34, 0.34])
    """

    def __init__(
        self,
        *,
        homes: int,
        horizon_steps: int,
        options: RetailOptions | None = None,
        promise: bool = True,
        blocks: int = 3,
        windows: IntArray | None = None,
    ) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options, promise=promise)
        if blocks not in (2, 3):
            raise PhysicsError(f"blocks is {blocks}, expected 2 or 3")
        if windows is not None and windows.shape != (horizon_steps,):
            raise PhysicsError(f"windows has shape {windows.shape}, expected {(horizon_steps,)}")
        self.blocks, self.windows = blocks, windows

    def _shape(self, problem: RetailProblem) -> FloatArray:
        cost = problem.wholesale_eur_per_kwh + problem.levies_eur_per_kwh
        total = problem.demand_kwh.sum(axis=0)
        weight = total + 1e-6 * (total.mean() or 1.0)  # a block without demand has a price too
        block = best_blocks(cost, weight, self.blocks) if self.windows is None else self.windows
        _, block = np.unique(block, return_inverse=True)
        mean = np.bincount(block, weights=weight * cost) / np.bincount(block, weights=weight)
        shape: FloatArray = mean[block]
        return shape


class CriticalPeak(_Shaped):
    """One flat price, and a few dear hours on days whose dearest hours are expected to cost much.

    A day is critical if its dearest steps cost, on average, at least `trigger_eur_per_kwh`; without that number, if
    they cost at least half more than the mean of the day. On other days the price is flat.

    Parameters
    ----------
    homes, horizon_steps, options, promise
        As for every tariff of this module.
    dear_share : float
        Share of the horizon's steps that are dear on a critical day: 1/6 is four hours of a day.
    ratio : float
        Price of the dear steps over that of the others.
    trigger_eur_per_kwh : float, optional
        Mean wholesale price of the dear steps from which on a day is critical [EUR/kWh].

    Raises
    ------
    PhysicsError
        If the share is not within 0..1, or the ratio below 1.

    Examples
    --------
    >>> problem = RetailProblem(
    ...     demand_kwh=np.ones((1, 4)), wholesale_eur_per_kwh=np.array([0.05, 0.05, 0.05, 0.40]),
    ...     default_eur_per_kwh=np.full(4, 0.21), levies_eur_per_kwh=0.1, feed_in_eur_per_kwh=np.zeros(4),
    ... )
    >>> CriticalPeak(homes=1, horizon_steps=4, dear_share=0.25).price(problem).buy_eur_per_kwh.round(6)
    array([0.14, 0.14, 0.14, 0.42])
    """

    def __init__(
        self,
        *,
        homes: int,
        horizon_steps: int,
        options: RetailOptions | None = None,
        promise: bool = True,
        dear_share: float = 1 / 6,
        ratio: float = 3.0,
        trigger_eur_per_kwh: float | None = None,
    ) -> None:
        super().__init__(homes=homes, horizon_steps=horizon_steps, options=options, promise=promise)
        if not (0 <= dear_share <= 1 and ratio >= 1):
            raise PhysicsError(f"dear_share is {dear_share:g} and ratio {ratio:g}, expected 0..1 and 1 or above")
        self.dear_share, self.ratio, self.trigger_eur_per_kwh = dear_share, ratio, trigger_eur_per_kwh

    def _shape(self, problem: RetailProblem) -> FloatArray:
        wholesale = problem.wholesale_eur_per_kwh
        dear = np.zeros(wholesale.size)
        count = round(self.dear_share * wholesale.size)
        steps = np.argsort(-wholesale, kind="stable")[:count]
        if not count or not self._critical(float(wholesale[steps].mean()), float(wholesale.mean())):
            return dear
        dear[steps] = self.ratio - 1
        return dear * self._usual(problem, dear)

    def _critical(self, dear_eur_per_kwh: float, mean_eur_per_kwh: float) -> bool:
        if self.trigger_eur_per_kwh is not None:
            return dear_eur_per_kwh >= self.trigger_eur_per_kwh
        return dear_eur_per_kwh >= mean_eur_per_kwh + 0.5 * abs(mean_eur_per_kwh) and dear_eur_per_kwh > 0

    @staticmethod
    def _usual(problem: RetailProblem, dear: FloatArray) -> float:
        """Return the price of the other steps at which all homes together pay what they would by default."""
        total = problem.demand_kwh.sum(axis=0)
        if not total.any():
            return float(problem.default_eur_per_kwh.min())
        return float(total @ problem.default_eur_per_kwh / (total @ (1 + dear)))


def best_blocks(cost: FloatArray, weight: FloatArray, blocks: int) -> IntArray:
    """Return the block of each step, cheapest first, so that squared differences within blocks are least [1]_.

    The groups of such an optimum are intervals of the sorted costs, so all ways to cut them are compared.

    Parameters
    ----------
    cost : ndarray, shape (H,)
        What is grouped.
    weight : ndarray, shape (H,)
        Weight of each step, positive.
    blocks : int
        Number of groups, 2 or 3; with fewer different costs there are fewer.

    Returns
    -------
    ndarray, shape (H,)
        Block of each step, from 0 on.

    References
    ----------
    .. [1] W. D. Fisher, "On grouping for maximum homogeneity", Journal of the American Statistical Association 53
       (1958) 789-798. https://doi.org/10.1080/01621459.1958.10501479

    Examples
    --------
    >>> best_blocks(np.array([5.0, 1.0, 1.2, 9.0, 5.1]), np.ones(5), 3)
    array([1, 0, 0, 2, 1])
    """
    values, place = np.unique(cost, return_inverse=True)
    if values.size <= blocks:
        return place.astype(np.int64)
    mass = np.bincount(place, weights=weight)
    heavy, moment = (np.append(0.0, np.cumsum(part)) for part in (mass, mass * values))
    first, second = np.triu_indices(values.size - 1, k=1) if blocks == 3 else (np.arange(values.size - 1), None)
    cuts = [np.zeros_like(first), first + 1, *([] if second is None else [second + 1])]
    cuts.append(np.full_like(first, values.size))
    # Squares within blocks are least where those of the blocks' means are largest.
    between = sum((moment[stop] - moment[start]) ** 2 / (heavy[stop] - heavy[start]) for start, stop in pairwise(cuts))
    best = int(np.argmax(between))
    edges = np.array([cut[best] for cut in cuts[1:-1]])
    return np.searchsorted(edges, place, side="right").astype(np.int64)
