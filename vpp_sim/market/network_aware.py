r"""A local market that its feeder can carry: the most valuable trades within its limits, at prices by node.

What a trade means to the wires has to be said, for two neighbours who would have drawn from and fed into the grid
anyway change nothing by trading. Here orders are *flexible*: an order's energy flows only if it trades. An ask that is
not accepted is withheld (curtailed, stored, or not made), a bid that is not accepted is not drawn. Everything that
flows in any case belongs to the feeder's base. That is the meaning of offers in the literature on distribution
locational marginal prices, with flexible demand [1]_ and generation [2]_.

References
----------
.. [1] R. Li, Q. Wu, S. S. Oren, "Distribution locational marginal pricing for optimal electric vehicle charging
   management", IEEE Transactions on Power Systems 29 (2014) 203-211. https://doi.org/10.1109/TPWRS.2013.2278952
.. [2] A. Papavasiliou, "Analysis of distribution locational marginal prices", IEEE Transactions on Smart Grid 9 (2018)
   4872-4882. https://doi.org/10.1109/TSG.2017.2673860
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.errors import PhysicsError
from vpp_sim.market.accounts import filled
from vpp_sim.market.clearing import UniformPrice
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.network_aware_limits import Breach, FeederLimits, FeederModel
from vpp_sim.market.network_aware_program import Dispatch, dispatch, drawn_kwh
from vpp_sim.market.pairing import match, pairs
from vpp_sim.market.protocol import Clearing, FeederUse, OrderBook

__all__ = ["BindingLimit", "NetworkAware", "NodalClearing"]

logger = logging.getLogger(__name__)

_INSIDE = 1e-6
"""How far inside its limits the program keeps the feeder [pu, or share of a rating]."""

_SAME = 1e-4
"""Error of the linear feeder at its own solution from which it is linearised again [pu, or share of a rating]."""

_END = 1e-6
"""Length of the end of a queue of orders, as a share of the shorter queue: more than rounding, and no more."""

_HALVINGS = 12


@dataclass(frozen=True, slots=True)
class BindingLimit:
    """A limit that holds trades back.

    Attributes
    ----------
    name : str
        What is at its limit.
    limit : float
        The limit: voltage [pu], or loading as a share of the rating, negative towards the source.
    rent_eur : float
        What buyers pay more than sellers are paid because of it [EUR].
    """

    name: str
    limit: float
    rent_eur: float

    def __str__(self) -> str:
        """Return which limit, and what it costs."""
        return f"{self.name} is at its limit {self.limit:.4f}, which costs {self.rent_eur:.4f} EUR"


@dataclass(frozen=True, slots=True, eq=False)
class NodalClearing:
    """A clearing with prices by node, and why they differ.

    Attributes
    ----------
    clearing : Clearing
        The trades.
    node_eur_per_kwh : ndarray, shape (N,)
        Price at each node [EUR/kWh]; NaN where nothing is traded at all.
    binding : tuple of BindingLimit
        The limits that hold trades back.
    broken : tuple of Breach
        The limits that are broken without any trade, in the order of the feeder: trades do not make them worse.
    rounds : int
        How often the feeder was linearised.
    """

    clearing: Clearing
    node_eur_per_kwh: FloatArray
    binding: tuple[BindingLimit, ...]
    broken: tuple[Breach, ...]
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    """The limits of a feeder, wide enough that trading nothing keeps them."""

    floor: FloatArray
    ceiling: FloatArray

    @classmethod
    def of(cls, base: FeederLimits, nothing_kw: FloatArray) -> _Band:
        level = base.levels(nothing_kw)
        return cls(np.minimum(base.floor, level), np.maximum(base.ceiling, level))

    def holds(self, level: FloatArray) -> bool:
        return bool(((level <= self.ceiling + 1e-9) & (level >= self.floor - 1e-9)).all())

    def room(self, limits: FeederLimits, nothing_kw: FloatArray) -> FloatArray:
        """Return how far each quantity may rise, and then fall, from where it is without trades."""
        level = limits.levels(nothing_kw)
        rise, fall = self.ceiling - _INSIDE - level, level - self.floor - _INSIDE
        return np.asarray(np.maximum(np.concatenate([rise, fall]), 0.0))


@dataclass(frozen=True, slots=True)
class NetworkAware:
    r"""Trade what is worth most among all that the feeder can carry, at marginal prices by node.

    The prices are :math:`\lambda_n = \lambda + \sum_k A_{kn} \mu_k` with the duals :math:`\mu` of the limits
    (:func:`~vpp_sim.market.network_aware_program.dispatch`). A buyer pays the price of its node, a seller is paid that
    of hers, and the difference is the pair's fee. The fees add up to :math:`\mu^\top u`, with the room :math:`u` that
    the limits leave to trades: never below zero, and zero where no limit binds. A fee of one pair may be negative.

    Where no limit binds, trades are those of :class:`~vpp_sim.market.clearing.UniformPrice`, at one price. The level
    :math:`\lambda` is `k` of the way between the lowest and the highest price at which nobody would rather trade more
    or less.

    A limit that the base breaks before any trade is one that trades must not make worse. It is named with the amount
    in :attr:`NodalClearing.broken`; so there is always a clearing.

    A feeder model that is not linear is linearised anew at each solution, until a solution keeps its limits and was
    foreseen well. If that takes more than `rounds`, the most valuable solution that kept them stands, or the last
    one is cut in one proportion until it does, which is logged.

    Parameters
    ----------
    feeder : FeederModel, optional
        The feeder, such as a :class:`~vpp_sim.market.network_aware_limits.FeederLimits`; without it nothing is limited.
        The book's `connection` then names each prosumer's node.
    step_h : float, default 1
        Length of a step, over which the energy of a trade is drawn evenly [h].
    k : float, default 0.5
        Share of the range of possible prices that goes to sellers, between 0 and 1.
    rounds : int, default 6
        Most linearisations.

    Raises
    ------
    PhysicsError
        If `k` is outside 0..1, the step is not positive, or there is no round.

    Examples
    --------
    Two buyers behind one line of 2 kW, with a seller before it and another behind it:

    >>> from vpp_sim.market.network_aware_limits import FeederLimits
    >>> feeder = FeederLimits(
    ...     voltage_pu=np.zeros(0), voltage_pu_per_kw=np.zeros((0, 2)),
    ...     loading=np.zeros(1), loading_per_kw=np.array([[0.0, 0.5]]), loading_names=("line",),
    ... )
    >>> book = OrderBook(
    ...     buyer=np.array([0, 1]), bid_kwh=np.array([2.0, 2.0]), bid_eur_per_kwh=np.array([0.30, 0.28]),
    ...     seller=np.array([2, 3]), ask_kwh=np.array([5.0, 5.0]), ask_eur_per_kwh=np.array([0.05, 0.20]),
    ...     retail_eur_per_kwh=0.30, feed_in_eur_per_kwh=0.05, connection=np.array([1, 1, 0, 1]),
    ... )
    >>> cleared = NetworkAware(feeder).solve(book)
    >>> cleared.node_eur_per_kwh.round(6), round(cleared.clearing.surplus_eur, 4)
    (array([0.05, 0.2 ]), 0.3)
    >>> str(cleared.binding[0])
    'loading of line is at its limit 1.0000, which costs 0.3000 EUR'
    """

    keeps_limits: ClassVar[bool] = True
    feeder: FeederModel | None = None
    step_h: float = 1.0
    k: float = 0.5
    rounds: int = 6

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.k <= 1:
            raise PhysicsError(f"k is {self.k:g}, expected 0..1")
        if not (self.step_h > 0 and self.rounds >= 1):
            raise PhysicsError(f"step_h is {self.step_h:g} and rounds {self.rounds}, expected positive numbers")

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades at nodal prices.

        What the feeder did is what it did at most while orders short of the book's minimum left, round by round: whom
        it left short, it limited.
        """
        seen: list[FeederUse] = []

        def solved(some: OrderBook) -> Clearing:
            clearing = self.solve(some).clearing
            seen.extend([] if clearing.feeder is None else [clearing.feeder])
            return clearing

        clearing = at_least_minimum(book, solved)
        return clearing if not seen else replace(clearing, feeder=_most(seen))

    def solve(self, book: OrderBook) -> NodalClearing:
        """Return the trades with the nodal prices and the limits behind them; the book's minimum is not looked at.

        Raises
        ------
        PhysicsError
            If there is a feeder and the book does not say where on it its prosumers are.
        """
        feeder = self.feeder or _unlimited()
        node = self._nodes(book, feeder.nodes)
        nothing_kw = np.zeros(feeder.nodes)
        base = feeder.limits(nothing_kw)
        band = _Band.of(base, nothing_kw)
        broken = base.broken(nothing_kw)
        for breach in broken:
            logger.info("without any trade, %s", breach)
        solved, limits, rounds, share = self._search(book, node, feeder, base, band)
        node_eur_per_kwh = _level(book, node, solved, self.k) + solved.congestion_eur_per_kwh
        clearing = _paired(book, node, share * solved.bought_kwh, share * solved.sold_kwh, node_eur_per_kwh)
        binding = _binding(limits, band, solved.shadow_eur, share * band.room(limits, nothing_kw))
        use = FeederUse(len(binding), len(broken), share) if self.feeder is not None else None
        return NodalClearing(replace(clearing, feeder=use), node_eur_per_kwh, binding, broken, rounds)

    def _nodes(self, book: OrderBook, nodes: int) -> IntArray:
        """Return the node of each prosumer, by its index."""
        if self.feeder is None:
            return np.zeros(max(book.buyer.max(initial=-1), book.seller.max(initial=-1)) + 1, dtype=np.int64)
        if book.connection is None:
            raise PhysicsError("the book does not say where its prosumers are connected to the feeder")
        if book.connection.size and not (book.connection.min() >= 0 and book.connection.max() < nodes):
            reach = f"{book.connection.min()} to {book.connection.max()}"
            raise PhysicsError(f"connections reach from {reach}, but the feeder has nodes 0 to {nodes - 1}")
        return book.connection

    def _search(
        self, book: OrderBook, node: IntArray, feeder: FeederModel, limits: FeederLimits, band: _Band
    ) -> tuple[Dispatch, FeederLimits, int, float]:
        """Linearise and solve until the feeder keeps its limits.

        Return the solution, the linear feeder that it is for, the rounds, and the share of it that the feeder carries.
        """
        best: tuple[Dispatch, FeederLimits] | None = None
        rounds, seen = 0, limits
        while rounds < self.rounds:
            limits, rounds = seen, rounds + 1
            solved = self._on_a_line(book, node, limits, band)
            net_kw = self._net_kw(book, node, limits.nodes, solved)
            seen = feeder.limits(net_kw)
            if seen is limits:
                return solved, limits, rounds, 1.0
            level = seen.levels(net_kw)
            if band.holds(level):
                if best is None or _welfare_eur(book, solved) >= _welfare_eur(book, best[0]):
                    best = solved, limits
                # What no limit held back cannot be bettered.
                if not solved.shadow_eur.any() or np.abs(level - limits.levels(net_kw)).max(initial=0.0) <= _SAME:
                    break
        if best is None:
            return solved, limits, rounds, self._share(feeder, band, net_kw)
        return *best, rounds, 1.0

    def _on_a_line(self, book: OrderBook, node: IntArray, limits: FeederLimits, band: _Band) -> Dispatch:
        """Return the best fills for one linear feeder; the auction's own if it can carry them."""
        bought_kwh, sold_kwh = filled(UniformPrice().clear(book), book)
        free = Dispatch(bought_kwh, sold_kwh, np.zeros(limits.nodes), np.zeros(2 * limits.level.size))
        if band.holds(limits.levels(self._net_kw(book, node, limits.nodes, free))):
            return free
        room = band.room(limits, np.zeros(limits.nodes))
        return dispatch(book, node, limits.per_kw / self.step_h, room)

    def _net_kw(self, book: OrderBook, node: IntArray, nodes: int, solved: Dispatch) -> FloatArray:
        return drawn_kwh(book, node, nodes, solved.bought_kwh, solved.sold_kwh) / self.step_h

    def _share(self, feeder: FeederModel, band: _Band, net_kw: FloatArray) -> float:
        """Return the largest common share of all trades with which the feeder keeps its limits."""
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            holds = band.holds(feeder.limits(middle * net_kw).levels(middle * net_kw))
            low, high = (middle, high) if holds else (low, middle)
        logger.warning("trades cut to %.2f %% after %d linearisations of the feeder", 100 * low, self.rounds)
        return low


def _most(uses: list[FeederUse]) -> FeederUse:
    """Return the most that the feeder did in any of several rounds."""
    return FeederUse(max(use.binding for use in uses), max(use.broken for use in uses), min(use.share for use in uses))


def _unlimited() -> FeederLimits:
    """Return a feeder of one node that carries everything."""
    return FeederLimits(np.zeros(0), np.zeros((0, 1)), np.zeros(0), np.zeros((0, 1)))


def _welfare_eur(book: OrderBook, solved: Dispatch) -> float:
    return float(book.bid_eur_per_kwh @ solved.bought_kwh - book.ask_eur_per_kwh @ solved.sold_kwh)


def _level(book: OrderBook, node: IntArray, solved: Dispatch, k: float) -> float:
    """Return the price without congestion, `k` of the way through the range at which nobody would trade otherwise.

    Once congestion is taken off every limit price, the best trades are those of a single market; its two queues cross
    at the range. Fills would say the same but for rounding: that of a long running sum is more than a small order.
    """
    if not (solved.bought_kwh.any() and solved.sold_kwh.any()):
        return float("nan")
    bid = book.bid_eur_per_kwh - solved.congestion_eur_per_kwh[node[book.buyer]]
    ask = book.ask_eur_per_kwh - solved.congestion_eur_per_kwh[node[book.seller]]
    bids, asks = np.lexsort((book.buyer, -bid)), np.lexsort((book.seller, ask))
    # At the end of each queue stands an order that nobody accepts.
    end_kwh = _END * min(book.bid_kwh.sum(), book.ask_kwh.sum())
    at_bid, at_ask, _ = match(np.append(book.bid_kwh[bids], end_kwh), np.append(book.ask_kwh[asks], end_kwh))
    bid, ask = np.append(bid[bids], -np.inf)[at_bid], np.append(ask[asks], np.inf)[at_ask]
    count = int(np.count_nonzero(bid >= ask))
    low = max(ask[:count].max(initial=-np.inf), bid[count])
    high = min(bid[:count].min(initial=np.inf), ask[count])
    return float(k * high + (1 - k) * low)


def _paired(
    book: OrderBook, node: IntArray, bought_kwh: FloatArray, sold_kwh: FloatArray, node_eur_per_kwh: FloatArray
) -> Clearing:
    """Return the pairs, neighbours first as far as their order allows."""
    bids = np.lexsort((book.buyer, node[book.buyer]))
    asks = np.lexsort((book.seller, node[book.seller]))
    bought_kwh, sold_kwh = bought_kwh[bids], sold_kwh[asks]
    # The solver keeps balances to its own tolerance only.
    traded_kwh = min(bought_kwh.sum(), sold_kwh.sum())
    bought_kwh, sold_kwh = (kwh * (traded_kwh / kwh.sum() if traded_kwh else 0.0) for kwh in (bought_kwh, sold_kwh))
    bid, ask, energy_kwh = pairs(bids, bought_kwh, asks, sold_kwh)
    # Rounding of the duals must not take anyone beyond its limit.
    pays = np.minimum(node_eur_per_kwh[node[book.buyer[bid]]], book.bid_eur_per_kwh[bid])
    price = np.maximum(node_eur_per_kwh[node[book.seller[ask]]], book.ask_eur_per_kwh[ask])
    market = float(price[0]) if price.size and (price == price[0]).all() else np.nan
    return Clearing(book.buyer[bid], book.seller[ask], energy_kwh, price, pays - price, market)


def _binding(limits: FeederLimits, band: _Band, shadow_eur: FloatArray, room: FloatArray) -> tuple[BindingLimit, ...]:
    limit = np.concatenate([band.ceiling, band.floor])
    return tuple(
        BindingLimit(limits.name(int(row % limits.level.size)), float(limit[row]), float(shadow_eur[row] * room[row]))
        for row in np.flatnonzero(shadow_eur > 0)
    )
