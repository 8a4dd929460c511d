r"""What homes do when prices change, and what that is worth to them: the truth that a pricer is judged against.

Two kinds of response, each with the surplus that goes with it. :class:`ElasticHomes` use less in dear steps and move
some of it to near steps, smoothly; :class:`ShiftingHomes` move a part to the cheapest steps once that pays for the
trouble.
Money is quasi-linear: a home's surplus is what the energy is worth to it less what it pays. Only changes against the
default tariff are given: a level would rest on the demand curve far outside any price that was ever charged.

In both kinds a home may always do as it did at the default prices. Whoever keeps the promise on that demand,
:math:`\sum_t p_t d^0_t \le \sum_t p^{def}_t d^0_t`, therefore leaves no home worse off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError

__all__ = ["Customers", "ElasticHomes", "Response", "ShiftingHomes", "Tie"]

Tie: TypeAlias = Literal["stay", "for_seller", "against_seller"]
"""What an indifferent home does: leaves things as they are, or what earns the seller most or least."""

_TIED = 1e-5
"""A home is indifferent to less than this: a thousandth of a cent, what solvers leave prices off by [EUR/kWh]."""


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """What homes draw at the prices asked, and what they gain against the default tariff.

    Attributes
    ----------
    demand_kwh : ndarray, shape (n, H)
        Energy drawn [kWh].
    surplus_change_eur : ndarray, shape (n,)
        Consumer surplus at the prices asked less that at the default prices [EUR].
    """

    demand_kwh: FloatArray
    surplus_change_eur: FloatArray


def _check(base_kwh: FloatArray, default: FloatArray, buy: FloatArray, homes: int) -> None:
    if base_kwh.ndim != 2 or base_kwh.shape[0] != homes:
        raise PhysicsError(f"base_kwh has shape {base_kwh.shape}, expected ({homes}, H)")
    require_non_negative("base_kwh", base_kwh)
    for name, price in (("default_eur_per_kwh", default), ("buy_eur_per_kwh", buy)):
        require_shape(name, price, base_kwh.shape[1:])
        require_finite(name, price)
    if (default <= 0).any():
        raise PhysicsError(f"default_eur_per_kwh must be positive: lowest is {default.min():g}")


def _require_sizes(name: str, values: FloatArray) -> None:
    require_shape(name, values, (values.size,))
    require_non_negative(name, values)


@dataclass(frozen=True, slots=True, eq=False)
class ElasticHomes:
    r"""Homes whose demand is linear in the prices of all steps, around what they draw at the default prices.

    .. math::

        d_{it} = d^0_{it} - \frac{e_i d^0_{it}}{p^{def}_t} \Delta_t
            - \frac{k_i}{\bar p^{def}} \sum_s w_{ts} \frac{d^0_{it} d^0_{is}}{\sum_u d^0_{iu}} (\Delta_t - \Delta_s),
        \qquad \Delta = p - p^{def}, \quad w_{ts} = 2^{-|t-s|/r}

    The first part is lost where it is dear, the second moves between steps and keeps its energy. The slopes are
    symmetric and not positive, so that demand comes from a concave utility and the area under it does not depend on the
    path of the prices [1]_. As demand is linear, that area is a trapezium:
    :math:`-\tfrac12 \sum_t (d^0_{it} + d_{it}) \Delta_t`.

    Parameters
    ----------
    own : ndarray, shape (n,)
        Size :math:`e` of the elasticity of what is lost, non-negative.
    shift : ndarray, shape (n,)
        Size :math:`k` of the elasticity of what moves, were all steps equally near; non-negative.
    reach_steps : float
        Distance :math:`r` over which the willingness to move halves [steps].

    Raises
    ------
    PhysicsError
        If shapes differ, a size is negative or not finite, or the reach is not positive.

    References
    ----------
    .. [1] H. Hotelling, "Edgeworth's taxation paradox and the nature of demand and supply functions", Journal of
       Political Economy 40 (1932) 577-616. https://doi.org/10.1086/254387

    Examples
    --------
    Demand 100 - 2 p, priced 40 by default: at 30 it is 40, and surplus rises from 100 to 400.

    >>> homes = ElasticHomes(own=np.array([4.0]), shift=np.array([0.0]), reach_steps=1.0)
    >>> answer = homes.respond(np.array([[20.0]]), np.array([40.0]), np.array([30.0]))
    >>> answer.demand_kwh, answer.surplus_change_eur
    (array([[40.]]), array([300.]))
    """

    own: FloatArray
    shift: FloatArray
    reach_steps: float

    def __post_init__(self) -> None:
        """Check the sizes."""
        _require_sizes("own", self.own)
        _require_sizes("shift", self.shift)
        require_shape("shift", self.shift, self.own.shape)
        if not (np.isfinite(self.reach_steps) and self.reach_steps > 0):
            raise PhysicsError(f"reach_steps is {self.reach_steps:g}, expected above 0")

    def respond(self, base_kwh: FloatArray, default_eur_per_kwh: FloatArray, buy_eur_per_kwh: FloatArray) -> Response:
        """Return demand and change of surplus.

        Parameters
        ----------
        base_kwh : ndarray, shape (n, H)
            Demand at the default prices [kWh].
        default_eur_per_kwh, buy_eur_per_kwh : ndarray, shape (H,)
            Default prices, and those asked [EUR/kWh].

        Raises
        ------
        PhysicsError
            If shapes differ, a number is not finite, or prices lie so far out that demand would be negative.
        """
        _check(base_kwh, default_eur_per_kwh, buy_eur_per_kwh, self.own.size)
        change = buy_eur_per_kwh - default_eur_per_kwh
        demand = base_kwh + self._lost(base_kwh, change / default_eur_per_kwh)
        demand += self._moved(base_kwh, change / default_eur_per_kwh.mean())
        if (demand < 0).any():
            home, step = (int(place) for place in np.unravel_index(np.argmin(demand), demand.shape))
            raise PhysicsError(
                f"demand of home {home} in step {step} would be {demand[home, step]:.4g} kWh at "
                f"{buy_eur_per_kwh[step]:.4g} EUR/kWh: prices lie outside the range of linear demand"
            )
        return Response(demand, -(base_kwh + demand) @ change / 2)

    def elasticity(self, base_kwh: FloatArray, default_eur_per_kwh: FloatArray) -> FloatArray:
        """Return the elasticities of the sum of all homes, shape (H, H): of demand in the row to price in the column.

        A step without demand has none.
        """
        _check(base_kwh, default_eur_per_kwh, default_eur_per_kwh, self.own.size)
        scale = self._scale(base_kwh) / default_eur_per_kwh.mean()
        between = np.einsum("it,is,i->ts", base_kwh, base_kwh, scale) * self._nearness(base_kwh.shape[1])
        slopes = between - np.diag(between.sum(axis=1) + self.own @ base_kwh / default_eur_per_kwh)
        total = base_kwh.sum(axis=0)
        shares = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        relative: FloatArray = slopes * default_eur_per_kwh * shares[:, None]
        return relative

    def _lost(self, base_kwh: FloatArray, relative: FloatArray) -> FloatArray:
        lost: FloatArray = -self.own[:, None] * base_kwh * relative
        return lost

    def _moved(self, base_kwh: FloatArray, relative: FloatArray) -> FloatArray:
        nearness = self._nearness(relative.size)
        pull = (base_kwh * relative) @ nearness - (base_kwh @ nearness) * relative
        moved: FloatArray = self._scale(base_kwh)[:, None] * base_kwh * pull
        return moved

    def _scale(self, base_kwh: FloatArray) -> FloatArray:
        total = base_kwh.sum(axis=1)
        scale: FloatArray = np.divide(self.shift, total, out=np.zeros_like(total), where=total > 0)
        return scale

    def _nearness(self, steps: int) -> FloatArray:
        nearness: FloatArray = 2.0 ** (-_distance(steps) / self.reach_steps)
        return nearness


def _distance(steps: int) -> IntArray:
    place = np.arange(steps)
    distance: IntArray = np.abs(place[:, None] - place[None, :])
    return distance


@dataclass(frozen=True, slots=True, eq=False)
class ShiftingHomes:
    r"""Homes that move a part of their demand from dear to cheap steps of a window, as far as it pays for the trouble.

    Of the demand :math:`d^0_{it}` of a step the share :math:`\phi_i` may leave it, and into a step no more may come
    than that share of the home's largest demand. Each kWh moved costs the home the discomfort :math:`\kappa_i`. At the
    default prices nothing moves, so what counts is how far a price is off the default, :math:`\Delta = p - p^{def}`:

    .. math::

        \min_m \sum_{t, s} m_{its} (\Delta_s - \Delta_t + \kappa_i) \quad \text{s.t.} \quad
        \sum_s m_{its} \le \phi_i d^0_{it}, \quad \sum_t m_{its} \le \phi_i \max_u d^0_{iu}, \quad m \ge 0

    with :math:`t` and :math:`s` in one window. The discomfort is the same for all moves, so the dearest step gives to
    the cheapest, the next to the next, until the difference is no more than the discomfort: no solver is needed. The
    surplus against the default is :math:`-\sum_t \Delta_t d_{it} - \kappa_i \sum m`.

    Parameters
    ----------
    share : ndarray, shape (n,)
        Share :math:`\phi` of each home's demand that can move, 0..1.
    discomfort_eur_per_kwh : ndarray, shape (n,)
        What moving a kWh costs the home, :math:`\kappa`, positive [EUR/kWh].
    window_steps : int
        Steps of a window, counted from the first of the horizon on; the last window may be shorter.
    tie : {"stay", "for_seller", "against_seller"}
        What a home does whose saving is no more and no less than its discomfort.

    Raises
    ------
    PhysicsError
        If shapes differ, a share lies outside 0..1, a discomfort is not positive, or a window has no step.

    Examples
    --------
    >>> homes = ShiftingHomes(np.array([0.5]), np.array([0.02]), window_steps=3)
    >>> answer = homes.respond(np.array([[2.0, 2.0, 2.0]]), np.full(3, 0.3), np.array([0.2, 0.4, 0.1]))
    >>> answer.demand_kwh, answer.surplus_change_eur.round(6)
    (array([[2., 1., 3.]]), array([0.68]))
    """

    share: FloatArray
    discomfort_eur_per_kwh: FloatArray
    window_steps: int
    tie: Tie = "stay"

    def __post_init__(self) -> None:
        """Check the ranges."""
        _require_sizes("share", self.share)
        if (self.share > 1).any():
            raise PhysicsError(f"share must lie within 0..1: highest is {self.share.max():g}")
        require_shape("discomfort_eur_per_kwh", self.discomfort_eur_per_kwh, self.share.shape)
        require_finite("discomfort_eur_per_kwh", self.discomfort_eur_per_kwh)
        if (self.discomfort_eur_per_kwh <= 0).any():
            raise PhysicsError(f"discomfort is {self.discomfort_eur_per_kwh.min():g} EUR/kWh, expected above 0")
        if self.window_steps < 1:
            raise PhysicsError(f"window_steps is {self.window_steps}, expected 1 or above")

    def respond(
        self,
        base_kwh: FloatArray,
        default_eur_per_kwh: FloatArray,
        buy_eur_per_kwh: FloatArray,
        *,
        cost_eur_per_kwh: FloatArray | None = None,
    ) -> Response:
        """Return demand and change of surplus.

        Parameters
        ----------
        base_kwh : ndarray, shape (n, H)
            Demand at the default prices [kWh].
        default_eur_per_kwh, buy_eur_per_kwh : ndarray, shape (H,)
            Default prices, and those asked [EUR/kWh].
        cost_eur_per_kwh : ndarray, shape (H,), optional
            What a kWh costs the seller, which breaks ties for or against it; all alike when left out [EUR/kWh].

        Raises
        ------
        PhysicsError
            If shapes differ or a number is not finite.
        """
        _check(base_kwh, default_eur_per_kwh, buy_eur_per_kwh, self.share.size)
        cost = np.zeros_like(buy_eur_per_kwh) if cost_eur_per_kwh is None else cost_eur_per_kwh
        require_shape("cost_eur_per_kwh", cost, buy_eur_per_kwh.shape)
        change = buy_eur_per_kwh - default_eur_per_kwh
        movable = self.share[:, None] * base_kwh
        room = self.share * base_kwh.max(axis=1, initial=0.0)
        demand, moved = base_kwh.copy(), np.zeros(self.share.size)
        for start in range(0, change.size, self.window_steps):
            here = slice(start, start + self.window_steps)
            moves = self._moves(movable[:, here], room, change[here], (buy_eur_per_kwh - cost)[here])
            demand[:, here] += moves.sum(axis=1) - moves.sum(axis=2)
            moved += moves.sum(axis=(1, 2))
        return Response(demand, -(demand @ change) - self.discomfort_eur_per_kwh * moved)

    def _moves(self, movable: FloatArray, room: FloatArray, change: FloatArray, margin: FloatArray) -> FloatArray:
        """Return what each home moves within a window, from the second axis' step to the third's, shape (n, L, L)."""
        wish = {"stay": 0.0, "for_seller": 1.0, "against_seller": -1.0}[self.tie] * margin
        level = np.round(change / _TIED)  # prices that tie are ordered by the wish
        dearest, cheapest = np.lexsort((wish, -level)), np.lexsort((-wish, level))
        given = np.cumsum(movable[:, dearest], axis=1)
        taken = room[:, None] * np.arange(1, change.size + 1)
        before = np.maximum((given - movable[:, dearest])[:, :, None], (taken - room[:, None])[:, None, :])
        sorted_moves = np.maximum(np.minimum(given[:, :, None], taken[:, None, :]) - before, 0.0)
        saving = change[dearest][:, None] - change[cheapest][None, :]
        gain = saving - self.discomfort_eur_per_kwh[:, None, None]
        tied = (wish[cheapest][None, :] > wish[dearest][:, None]) & (np.abs(gain) <= _TIED)
        moves: FloatArray = np.zeros_like(sorted_moves)
        moves[:, dearest[:, None], cheapest[None, :]] = np.where((gain > _TIED) | tied, sorted_moves, 0.0)
        return moves


@dataclass(frozen=True, slots=True, eq=False)
class Customers:
    """Homes with a part that shifts and a rest that is elastic.

    Parameters
    ----------
    elastic : ElasticHomes
        How the rest responds.
    shifting : ShiftingHomes
        The part that shifts, and how; its shares are of all demand.

    Raises
    ------
    PhysicsError
        If both are not of the same number of homes.

    Examples
    --------
    >>> homes = Customers(
    ...     ElasticHomes(own=np.array([0.1]), shift=np.array([0.0]), reach_steps=1.0),
    ...     ShiftingHomes(np.array([0.5]), np.array([0.02]), window_steps=2),
    ... )
    >>> homes.respond(np.array([[2.0, 2.0]]), np.array([0.3, 0.3]), np.array([0.45, 0.15])).demand_kwh
    array([[0.95, 3.05]])
    """

    elastic: ElasticHomes
    shifting: ShiftingHomes

    def __post_init__(self) -> None:
        """Check that both are of the same homes."""
        if self.elastic.own.size != self.shifting.share.size:
            raise PhysicsError(f"{self.elastic.own.size} homes are elastic and {self.shifting.share.size} shift")

    def respond(
        self,
        base_kwh: FloatArray,
        default_eur_per_kwh: FloatArray,
        buy_eur_per_kwh: FloatArray,
        *,
        cost_eur_per_kwh: FloatArray | None = None,
    ) -> Response:
        """Return demand and change of surplus of both parts together; see :meth:`ShiftingHomes.respond`."""
        whole = replace(self.shifting, share=np.ones(self.shifting.share.size))
        _check(base_kwh, default_eur_per_kwh, buy_eur_per_kwh, self.elastic.own.size)
        moves = self.shifting.share[:, None] * base_kwh
        moved = whole.respond(moves, default_eur_per_kwh, buy_eur_per_kwh, cost_eur_per_kwh=cost_eur_per_kwh)
        rest = self.elastic.respond(base_kwh - moves, default_eur_per_kwh, buy_eur_per_kwh)
        return Response(rest.demand_kwh + moved.demand_kwh, rest.surplus_change_eur + moved.surplus_change_eur)
