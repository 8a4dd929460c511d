"""Why a price is what it is: what wholesale price, expected demand, elasticity and limits each moved, step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.protocol import RetailOptions, RetailPricer, RetailPrices, RetailProblem

__all__ = ["Explainer", "PriceExplanation"]

_FAR = 10.0
"""Cap and floor are put so many times the cap away to see what prices would be without them."""

_SEEN = 5e-5
"""A part is told if it moves the price by half a hundredth of a cent or more [EUR/kWh]."""


@dataclass(frozen=True, slots=True, eq=False)
class PriceExplanation:
    """The parts that add up to a price, each of shape (H,) [EUR/kWh].

    Attributes
    ----------
    price_eur_per_kwh : ndarray
        The price that is explained: the sum of all parts below.
    default_eur_per_kwh : ndarray
        The default tariff.
    markup_eur_per_kwh : ndarray
        What the pricer would add on a day without features: the same demand, at the same cost, in every step.
    wholesale_eur_per_kwh : ndarray
        What the course of the wholesale price moves.
    demand_eur_per_kwh : ndarray
        What the course of the expected demand moves, and with it the promises to homes that are unlike each other.
    elasticity_eur_per_kwh : ndarray
        What the elasticities learnt move against those believed before.
    limits_eur_per_kwh : ndarray
        What cap, floor, feed-in price, ramp, revenue cap and feeder limit move, wherever they bind.
    limit : tuple of str
        The limit that binds in each step and holds back most; where none does, the promise, if it binds for any home.
    text : tuple of str
        The explanation of each step in words.
    """

    price_eur_per_kwh: FloatArray
    default_eur_per_kwh: FloatArray
    markup_eur_per_kwh: FloatArray
    wholesale_eur_per_kwh: FloatArray
    demand_eur_per_kwh: FloatArray
    elasticity_eur_per_kwh: FloatArray
    limits_eur_per_kwh: FloatArray
    limit: tuple[str, ...]
    text: tuple[str, ...]

    def parts(self) -> dict[str, FloatArray]:
        """Return the parts by name, in the order in which they are told."""
        return {
            "default": self.default_eur_per_kwh,
            "markup": self.markup_eur_per_kwh,
            "wholesale": self.wholesale_eur_per_kwh,
            "demand": self.demand_eur_per_kwh,
            "elasticity": self.elasticity_eur_per_kwh,
            "limits": self.limits_eur_per_kwh,
        }


class Explainer:
    r"""Takes prices apart by asking the pricer what it would have done.

    The pricer is asked again on days that lack some of their features: wholesale price and demand the same in every
    step (of each home, its mean), elasticities as believed before; all without limits but the promise. The part of a
    feature is its mean contribution over all orders in which the features could be put back, its Shapley value [1]_, so
    that no order is favoured and nothing is left over. What the limits then change is their part. Four problems are
    solved, or eight where elasticities were learnt. A pricer whose prices mean nothing without cap and floor
    (`needs_range`) keeps them, and what they move is in the other parts.

    Parameters
    ----------
    make : callable
        Makes the pricer for given options.
    options : RetailOptions
        The options under which the prices are set.
    prior_elasticity : float, optional
        Elasticity believed before any was learnt; the options' if left out.

    References
    ----------
    .. [1] L. S. Shapley, "A value for n-person games", Contributions to the Theory of Games II, Princeton University
       Press, 1953, 307-317. https://doi.org/10.1515/9781400881970-018

    Examples
    --------
    A retailer passes half of a change in cost on to a linear demand, about its mean.

    >>> from vpp_sim.pricing.retail import ElasticQp
    >>> problem = RetailProblem(
    ...     demand_kwh=np.array([[1.0, 1.0]]), wholesale_eur_per_kwh=np.array([0.05, 0.15]), levies_eur_per_kwh=0.1,
    ...     default_eur_per_kwh=np.full(2, 0.3), feed_in_eur_per_kwh=np.zeros(2),
    ... )
    >>> make = lambda options: ElasticQp(homes=1, horizon_steps=2, options=options)
    >>> options = RetailOptions(elasticity=-0.1, cap_eur_per_kwh=0.32)
    >>> explanation = Explainer(make, options).explain(problem, make(options).price(problem))
    >>> explanation.text[1]
    '0.3200 EUR/kWh = default 0.3000 + wholesale 0.0250 - limits 0.0050 (cap)'
    """

    def __init__(
        self,
        make: Callable[[RetailOptions], RetailPricer],
        options: RetailOptions,
        *,
        prior_elasticity: float | None = None,
    ) -> None:
        self._options = options
        self._prior = options.elasticity if prior_elasticity is None else prior_elasticity
        free = replace(options, ramp_eur_per_kwh=None, revenue_cap_eur_per_kwh=None, feeder_limit_kw=None)
        self._pricer, self._far = make(free), 0.0
        if not self._pricer.needs_range:
            self._far = _FAR * max(abs(options.cap_eur_per_kwh), abs(options.floor_eur_per_kwh))
            self._pricer = make(replace(free, cap_eur_per_kwh=self._far, floor_eur_per_kwh=-self._far))

    def explain(self, problem: RetailProblem, prices: RetailPrices) -> PriceExplanation:
        """Return what moved `prices`, which were set for `problem`.

        Prices that fell back to the default tariff are the default, and nothing moved them.
        """
        default, price = problem.default_eur_per_kwh, prices.buy_eur_per_kwh
        names = ["wholesale", "demand", *(["elasticity"] if self._learnt(problem) else [])]
        none = np.zeros(default.size)
        parts = {
            "default": default.copy(),
            "markup": none,
            **dict.fromkeys(("wholesale", "demand", "elasticity"), none),
        }
        limit = ("",) * default.size
        if not prices.fallback:
            asked = {
                kept: self._asked(problem, kept)
                for count in range(len(names) + 1)
                for kept in combinations(names, count)
            }
            parts["markup"] = asked[()] - default
            parts |= {name: _shapley(name, names, asked) for name in names}
            limit = _limit(prices)
        parts["limits"] = price - sum(parts.values())
        text = tuple(_sentence(price, parts, limit, step, prices) for step in range(price.size))
        return PriceExplanation(
            price, **{f"{name}_eur_per_kwh": part for name, part in parts.items()}, limit=limit, text=text
        )

    def _learnt(self, problem: RetailProblem) -> bool:
        return problem.elasticity is not None or self._options.elasticity != self._prior

    def _asked(self, problem: RetailProblem, kept: tuple[str, ...]) -> FloatArray:
        """Return the prices without limits on a day that has only the features `kept`."""
        horizon_steps = problem.default_eur_per_kwh.size
        total = problem.demand_kwh.sum(axis=0)
        changed = problem
        if not self._pricer.needs_range:
            changed = replace(problem, feed_in_eur_per_kwh=np.full(horizon_steps, -self._far))
        if "wholesale" not in kept:
            weight = total if total.any() else np.ones(horizon_steps)
            mean = float(problem.wholesale_eur_per_kwh @ weight / weight.sum())
            changed = replace(changed, wholesale_eur_per_kwh=np.full(horizon_steps, mean))
        if "demand" not in kept:
            mean_kwh = np.repeat(problem.demand_kwh.mean(axis=1, keepdims=True), horizon_steps, axis=1)
            export = None if problem.export_kwh is None else np.full(horizon_steps, problem.export_kwh.mean())
            changed = replace(changed, demand_kwh=mean_kwh, export_kwh=export)
            if problem.responsive_kwh is not None:
                even = np.full(horizon_steps, problem.responsive_kwh.mean())
                changed = replace(changed, responsive_kwh=even)
        if self._learnt(problem) and "elasticity" not in kept:
            changed = replace(changed, elasticity=self._prior * np.eye(horizon_steps))
        return self._pricer.price(changed).buy_eur_per_kwh


def _shapley(name: str, names: list[str], asked: dict[tuple[str, ...], FloatArray]) -> FloatArray:
    """Return the mean over all orders of what putting `name` back changes, shape (H,)."""
    others = [other for other in names if other != name]
    part = np.zeros_like(asked[()])
    for count in range(len(others) + 1):
        for kept in combinations(others, count):
            with_name = tuple(other for other in names if other == name or other in kept)
            part += (asked[with_name] - asked[kept]) / (len(names) * comb(len(others), count))
    return part


def _limit(prices: RetailPrices) -> tuple[str, ...]:
    """Return the name of the limit that binds in each step and, by the dual values, holds back most there."""
    everywhere = "revenue cap" if "revenue cap" in prices.binding else ""
    found = [everywhere] * prices.buy_eur_per_kwh.size
    for entry in prices.binding:
        name, at, step = entry.partition(" at step ")
        if at and _held(prices, name, int(step)) > _held(prices, found[int(step)], int(step)):
            found[int(step)] = name
    promised = "promise" if any(entry.startswith("promise") for entry in prices.binding) else ""
    return tuple(name or promised for name in found)


def _held(prices: RetailPrices, name: str, step: int) -> float:
    """Return how much a limit holds back; one without dual values a little, and none at all less."""
    if not name:
        return 0.0
    return float(abs(prices.pressure_kwh[name][step])) if name in prices.pressure_kwh else float(np.finfo(float).tiny)


def _sentence(
    price: FloatArray, parts: dict[str, FloatArray], limit: tuple[str, ...], step: int, prices: RetailPrices
) -> str:
    told = [f"default {parts['default'][step]:.4f}"]
    for name in ("markup", "wholesale", "demand", "elasticity", "limits"):
        part = float(parts[name][step])
        if abs(part) >= _SEEN:
            told.append(f"{'+' if part > 0 else '-'} {name} {abs(part):.4f}")
            if name == "limits":  # the promise is in the other parts
                told.append(f"({limit[step] if limit[step] not in ('', 'promise') else 'at other steps'})")
    why = f"; the default tariff stands in: {prices.reason}" if prices.fallback else ""
    return f"{price[step]:.4f} EUR/kWh = {' '.join(told)}{why}"
