r"""Cooperative sharing: what a community gains by netting at home is divided by each member's Shapley value [1]_.

A coalition that nets its own energy buys and sells less at the retailer. Of the retail price :math:`b` and the feed-in
price :math:`s` it saves, over what its members would pay apart,

.. math:: v(S) = (b - s) \min\bigl(D(S), G(S)\bigr)

with demand :math:`D` and supply :math:`G` of its members, or nothing where :math:`b \le s`. The game is the gain times
a game of energy, so that everything here is counted in netted kilowatt-hours until the prices are made.

References
----------
.. [1] L. S. Shapley, "A value for n-person games", Contributions to the Theory of Games II, Princeton (1953) 307-317.
   https://doi.org/10.1515/9781400881970-018
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np

from vpp_sim.arrays import FloatArray, require_finite
from vpp_sim.errors import PhysicsError
from vpp_sim.market.minimum import at_least_minimum
from vpp_sim.market.pairing import pairs
from vpp_sim.market.protocol import Clearing, OrderBook

__all__ = ["Shapley", "ShapleyEstimate", "netted_kwh", "sampled_netting_values", "shapley_values"]

_CHUNK = 2**18
"""Marginal contributions held in memory at a time."""


@dataclass(frozen=True, slots=True)
class ShapleyEstimate:
    """Shapley values and how well they are known.

    Attributes
    ----------
    value : ndarray, shape (n,)
        Value of each member, in the unit of the game.
    standard_error : ndarray, shape (n,)
        Standard error of each value, in the same unit; zero where the values are exact.
    """

    value: FloatArray
    standard_error: FloatArray


def netted_kwh(net_kwh: FloatArray) -> FloatArray:
    """Return what each coalition nets among its members.

    Parameters
    ----------
    net_kwh : ndarray, shape (n,)
        Energy of each member [kWh], positive draws.

    Returns
    -------
    ndarray, shape (2**n,)
        The lesser of demand and supply [kWh] of the coalition whose members are the bits of the index.

    Examples
    --------
    >>> netted_kwh(np.array([-10.0, 6.0, 8.0]))
    array([ 0.,  0.,  0.,  6.,  0.,  8.,  0., 10.])
    """
    demand, supply = np.zeros(1), np.zeros(1)
    for net in net_kwh:
        demand = np.concatenate([demand, demand + max(net, 0.0)])
        supply = np.concatenate([supply, supply + max(-net, 0.0)])
    return np.minimum(demand, supply)


@cache
def _weights(members: int) -> FloatArray:
    """Return the matrix that turns the worths of all coalitions into Shapley values, shape (members, 2**members)."""
    coalitions = np.arange(2**members)
    inside = (coalitions[None, :] >> np.arange(members)[:, None]) & 1
    size = inside.sum(axis=0)
    everyone = factorial(members)
    of_size = np.array([factorial(k) * factorial(members - 1 - k) / everyone for k in range(members)] + [0.0])
    # A member inside has joined a coalition one smaller; outside, it is yet to join this one.
    weights: FloatArray = np.where(inside == 1, of_size[size - 1], -of_size[size])
    weights.flags.writeable = False
    return weights


def shapley_values(worth: FloatArray) -> FloatArray:
    r"""Return the Shapley values of any game, given the worth of every coalition.

    .. math:: \phi_i = \sum_{S \not\ni i} \frac{|S|! \, (n - |S| - 1)!}{n!} \bigl(v(S \cup i) - v(S)\bigr)

    Parameters
    ----------
    worth : ndarray, shape (2**n,)
        Worth of the coalition whose members are the bits of the index; that of nobody is 0.

    Returns
    -------
    ndarray, shape (n,)
        Values, in the unit of `worth`.

    Raises
    ------
    PhysicsError
        If there is not one worth a coalition, one is not finite, or nobody is worth something.

    Examples
    --------
    One left glove and two right ones; a pair is worth 1:

    >>> shapley_values(np.array([0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])).round(6)
    array([0.666667, 0.166667, 0.166667])
    """
    members = worth.size.bit_length() - 1
    if worth.shape != (2**members,):
        raise PhysicsError(f"worth has shape {worth.shape}, expected (2**n,)")
    require_finite("worth", worth)
    if worth[0] != 0:
        raise PhysicsError(f"the coalition of nobody is worth {worth[0]:g}, expected 0")
    return np.asarray(_weights(members) @ worth, dtype=np.float64)


def sampled_netting_values(net_kwh: FloatArray, *, pairs: int, seed: int) -> ShapleyEstimate:
    r"""Estimate the Shapley values of the netting game from random orders of arrival [1]_.

    Each random order is used together with its reverse: who comes early in one comes late in the other, and the errors
    cancel in part. Members with the same energy are the same to the game, and get the mean of their estimates. A
    member's contributions in any order add up to the whole, and so do the values.

    Parameters
    ----------
    net_kwh : ndarray, shape (n,)
        Energy of each member [kWh], positive draws.
    pairs : int
        Random orders to draw, at least two; each is used twice.
    seed : int
        Seed of the draws.

    Returns
    -------
    ShapleyEstimate
        Values [kWh netted] and standard errors, from the scatter between pairs.

    Raises
    ------
    PhysicsError
        If an energy is not finite or there are fewer than two pairs.

    References
    ----------
    .. [1] J. Castro, D. Gomez, J. Tejada, "Polynomial calculation of the Shapley value based on sampling", Computers &
       Operations Research 36 (2009) 1726-1730. https://doi.org/10.1016/j.cor.2008.04.004

    Examples
    --------
    >>> estimate = sampled_netting_values(np.array([-10.0, 6.0, 8.0]), pairs=2000, seed=1)
    >>> (abs(estimate.value - np.array([17.0, 5.0, 8.0]) / 3) < 4 * estimate.standard_error).all()
    np.True_
    """
    require_finite("net_kwh", net_kwh)
    if pairs < 2:
        raise PhysicsError(f"pairs is {pairs}, expected at least 2")
    kinds, kind, count = np.unique(net_kwh, return_inverse=True, return_counts=True)
    members = np.repeat(kinds, count)
    first = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    generator = np.random.default_rng(seed)
    total, squares, shift = np.zeros(kinds.size), np.zeros(kinds.size), np.zeros(kinds.size)
    rows = max(_CHUNK // max(members.size, 1), 1)
    for start in range(0, pairs, rows):
        drawn = _contributions(members, generator.random((min(rows, pairs - start), members.size)))
        of_kind = np.add.reduceat(drawn, first, axis=1) / count if members.size else drawn
        # Sums of squares lose small variances unless they are taken about a value near the mean.
        shift = shift if start else of_kind[0]
        total += (of_kind - shift).sum(axis=0)
        squares += ((of_kind - shift) ** 2).sum(axis=0)
    variance = np.maximum(squares - total**2 / pairs, 0.0) / (pairs - 1)
    value = _adding_up((shift + total / pairs)[kind], net_kwh)
    return ShapleyEstimate(value, np.sqrt(variance / pairs)[kind])


def _contributions(net_kwh: FloatArray, keys: FloatArray) -> FloatArray:
    """Return what each member adds when members arrive by `keys`, and by its reverse, in the mean; shape of `keys`."""
    order = np.argsort(keys, axis=1)
    net = net_kwh[order]
    demand, supply = np.cumsum(np.maximum(net, 0.0), axis=1), np.cumsum(np.maximum(-net, 0.0), axis=1)
    before = np.zeros((len(net), 1))
    forward = np.diff(np.minimum(demand, supply), axis=1, prepend=before)
    # In the reverse, those who came before are those who are yet to come.
    demand_left, supply_left = demand[:, -1:] - demand, supply[:, -1:] - supply
    everyone = np.minimum(demand[:, -1:], supply[:, -1:])
    backward = -np.diff(np.minimum(demand_left, supply_left), axis=1, prepend=everyone)
    contributions = np.empty_like(net)
    np.put_along_axis(contributions, order, (forward + backward) / 2, axis=1)
    return contributions


def _adding_up(value_kwh: FloatArray, net_kwh: FloatArray) -> FloatArray:
    """Return the values without the rounding by which they miss what everyone together nets."""
    whole = min(np.maximum(net_kwh, 0.0).sum(), np.maximum(-net_kwh, 0.0).sum())
    sum_kwh = value_kwh.sum()
    return np.asarray(np.maximum(value_kwh * (whole / sum_kwh), 0.0) if sum_kwh > 0 else np.zeros_like(value_kwh))


@dataclass(frozen=True, slots=True)
class Shapley:
    r"""Trade what is there, and divide the gain over the retailer's prices by Shapley values.

    It looks at the community as a whole: what its members would pay apart is reckoned at the book's retail and feed-in
    prices, not at the orders' limits. All the netted energy :math:`T = \min(D, G)` trades. With its value
    :math:`\phi_i` a buyer of :math:`t_i` pays :math:`b - \phi_i / t_i` a kWh and a seller of :math:`t_j` is paid
    :math:`s + \phi_j / t_j`; the rest of each order goes to the retailer. A pair's fee is the difference between its
    two prices, and the fees add up to nothing, since the values add up to :math:`(b - s) T`.

    On the longer side an order is first filled with :math:`\phi_i / (b - s)`, and the rest of the trade is divided in
    proportion to the rest of the orders. So every price lies between feed-in and retail: nobody is worse off than with
    the retailer, neither in all nor in one pair.

    Values are exact to `exact_to` members with energy, by the worth of every coalition, and sampled beyond
    (:func:`sampled_netting_values`).

    Parameters
    ----------
    exact_to : int, default 12
        Most members for exact values, to 16.
    pairs : int, default 500
        Random orders of arrival drawn beyond that, each used forwards and backwards.
    seed : int, default 0
        Seed of the draws, the same for every book.

    Raises
    ------
    PhysicsError
        If `exact_to` is outside 0..16, or there are fewer than two `pairs`.

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([1, 2]), bid_kwh=np.array([6.0, 8.0]), bid_eur_per_kwh=np.array([0.25, 0.25]),
    ...     seller=np.array([0]), ask_kwh=np.array([10.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> Shapley().payoff_eur(book).value.round(4)
    array([1.1333, 0.3333, 0.5333])
    >>> clearing = Shapley().clear(book)
    >>> round(clearing.traded_kwh, 12), abs(clearing.surplus_eur) < 1e-12
    (10.0, True)
    """

    exact_to: int = 12
    pairs: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.exact_to <= 16:
            raise PhysicsError(f"exact_to is {self.exact_to}, expected 0..16")
        if self.pairs < 2:
            raise PhysicsError(f"pairs is {self.pairs}, expected at least 2")

    def payoff_eur(self, book: OrderBook) -> ShapleyEstimate:
        """Return what each prosumer with an order gains over the retailer [EUR], in ascending order of prosumers.

        The book's minimum is not looked at.
        """
        owner = np.concatenate([book.buyer, book.seller])
        net_kwh = np.concatenate([book.bid_kwh, -book.ask_kwh])[np.argsort(owner)]
        gain = max(book.retail_eur_per_kwh - book.feed_in_eur_per_kwh, 0.0)
        values = self._values(net_kwh)
        return ShapleyEstimate(gain * values.value, gain * values.standard_error)

    def clear(self, book: OrderBook) -> Clearing:
        """Return the trades whose prices divide the gain."""
        return at_least_minimum(book, self._clear)

    def _clear(self, book: OrderBook) -> Clearing:
        gain = book.retail_eur_per_kwh - book.feed_in_eur_per_kwh
        bids, asks = np.argsort(book.buyer), np.argsort(book.seller)
        bids, asks = bids[(book.bid_kwh[bids] > 0) & (gain > 0)], asks[(book.ask_kwh[asks] > 0) & (gain > 0)]
        wanted_kwh, offered_kwh = book.bid_kwh[bids], book.ask_kwh[asks]
        value_kwh = self._values(np.concatenate([wanted_kwh, -offered_kwh])).value
        of_buyer, of_seller = value_kwh[: bids.size], value_kwh[bids.size :]
        whole = min(float(wanted_kwh.sum()), float(offered_kwh.sum()))
        bought_kwh, sold_kwh = _filled(wanted_kwh, of_buyer, whole), _filled(offered_kwh, of_seller, whole)
        pays = book.retail_eur_per_kwh - gain * _per_kwh(of_buyer, bought_kwh)
        is_paid = book.feed_in_eur_per_kwh + gain * _per_kwh(of_seller, sold_kwh)
        bid, ask, energy_kwh = pairs(np.arange(bids.size), bought_kwh, np.arange(asks.size), sold_kwh)
        price, fee = is_paid[ask], pays[bid] - is_paid[ask]
        market = float(price[0]) if price.size and (price == price[0]).all() else np.nan
        return Clearing(book.buyer[bids][bid], book.seller[asks][ask], energy_kwh, price, fee, market)

    def _values(self, net_kwh: FloatArray) -> ShapleyEstimate:
        """Return the values of the netting game [kWh]."""
        members = np.flatnonzero(net_kwh)
        if members.size > self.exact_to:
            return sampled_netting_values(net_kwh, pairs=self.pairs, seed=self.seed)
        value_kwh = np.zeros(net_kwh.size)
        value_kwh[members] = shapley_values(netted_kwh(net_kwh[members]))
        return ShapleyEstimate(_adding_up(value_kwh, net_kwh), np.zeros(net_kwh.size))


def _filled(order_kwh: FloatArray, value_kwh: FloatArray, whole_kwh: float) -> FloatArray:
    """Divide `whole_kwh` over one side's orders: first each one's value, the rest by what is left of the orders."""
    if whole_kwh >= order_kwh.sum():
        return order_kwh
    assured = np.minimum(value_kwh, order_kwh)
    room = float((order_kwh - assured).sum())
    rest = max(whole_kwh - float(assured.sum()), 0.0)
    return np.asarray(assured + (order_kwh - assured) * (min(rest / room, 1.0) if room > 0 else 0.0))


def _per_kwh(value_kwh: FloatArray, filled_kwh: FloatArray) -> FloatArray:
    """Return each order's share of the gain a kWh that it trades; never above the whole."""
    share = np.divide(value_kwh, filled_kwh, out=np.zeros(value_kwh.shape), where=filled_kwh > 0)
    return np.minimum(share, 1.0)
