"""Why there are no prices: the least that the limits would have to give, and which of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vpp_sim.arrays import FloatArray
from vpp_sim.pricing.limits import Limits

__all__ = ["least_violation"]

_GIVEN = 1e-7
"""A limit that gives less than this share of its scale is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """The rows ``matrix @ p <= right`` of one kind of limit, which give together by a multiple of `scale`."""

    name: str
    matrix: FloatArray
    right: FloatArray
    scale: float
    unit: str
    places: tuple[str, ...]


def least_violation(limits: Limits, default_eur_per_kwh: FloatArray, unit_kw: float) -> str:
    """Say which limits cannot be kept together, and by how much the cheapest set of them would have to give.

    Every kind of limit gets one allowance: prices in shares of the mean default price, bills in shares of the default
    bill, demand in shares of its mean. The sum of allowances is made smallest by a linear program [1]_, whose optimum
    lies in a corner: most allowances are zero there, and what remains names the obstacle.

    Parameters
    ----------
    limits : Limits
        The limits.
    default_eur_per_kwh : ndarray, shape (H,)
        Default prices, which set the scale of prices [EUR/kWh].
    unit_kw : float
        Mean demand, the unit of the limits' demand [kW].

    Returns
    -------
    str
        The limits that give and by how much; empty if all can be kept.

    References
    ----------
    .. [1] J. W. Chinneck, "Feasibility and Infeasibility in Optimization", Springer, 2008, chapter 6 (elastic filter).
       https://doi.org/10.1007/978-0-387-74932-7
    """
    from scipy.optimize import linprog

    horizon = default_eur_per_kwh.size
    kinds = list(_kinds(limits, float(default_eur_per_kwh.mean()), unit_kw))
    allowances = [np.zeros((len(kind.right), len(kinds))) for kind in kinds]
    for place, (allowance, kind) in enumerate(zip(allowances, kinds, strict=True)):
        allowance[:, place] = -kind.scale
    rows = np.hstack([np.vstack([kind.matrix for kind in kinds]), np.vstack(allowances)])
    right = np.concatenate([kind.right for kind in kinds])
    finite = np.isfinite(right)
    cost = np.append(np.zeros(horizon), np.ones(len(kinds)))
    bounds = [(None, None)] * horizon + [(0, None)] * len(kinds)
    found = linprog(cost, A_ub=rows[finite], b_ub=right[finite], bounds=bounds, method="highs")
    if found.status != 0:
        return f"the search for the obstacle ended with {found.message!r}"
    given = found.x[horizon:]
    return "; ".join(
        _sentence(kind, found.x[:horizon]) for kind, share in zip(kinds, given, strict=True) if share > _GIVEN
    )


def _sentence(kind: _Kind, price: FloatArray) -> str:
    excess = kind.matrix @ price - kind.right
    place = int(np.argmax(excess))
    return f"{kind.name}{kind.places[place]} would have to give by {excess[place]:.4g} {kind.unit}"


def _kinds(limits: Limits, price_scale: float, unit_kw: float) -> Iterator[_Kind]:
    horizon = limits.lower.size
    one, steps = np.eye(horizon), tuple(f" at step {step}" for step in range(horizon))
    for name, bound in limits.caps.items():
        yield _Kind(name, one, bound, price_scale, "EUR/kWh", steps)
    for name, bound in limits.floors.items():
        yield _Kind(name, -one, -bound, price_scale, "EUR/kWh", steps)
    homes = tuple(f" to {name}" for name in limits.names)
    ones = np.ones(len(limits.promises))
    yield _Kind("promise", limits.promises[: limits.homes], ones[: limits.homes], 1.0, "of its default bill", homes)
    if len(limits.promises) > limits.homes:
        yield _Kind("revenue cap", limits.promises[limits.homes :], ones[:1], 1.0, "of the revenue allowed", ("",))
    if limits.ramp_eur_per_kwh is not None and horizon > 1:
        change, ramp = np.diff(one, axis=0), np.full(horizon - 1, limits.ramp_eur_per_kwh)
        yield _Kind("ramp", np.vstack([change, -change]), np.append(ramp, ramp), price_scale, "EUR/kWh", 2 * steps[1:])
    if limits.room is not None:
        room = limits.room
        yield _Kind("feeder limit", room.slope * unit_kw, (room.highest - room.offset) * unit_kw, unit_kw, "kW", steps)
        yield _Kind("demand", -room.slope * unit_kw, room.offset * unit_kw, unit_kw, "kW below zero", steps)
