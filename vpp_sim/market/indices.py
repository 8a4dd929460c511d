"""How well a local market serves its members: welfare, budget, rationality, honesty, equality, and Zhou's six indices.

What a member gains is measured against dealing with the retailer alone, at the retail and feed-in prices of the book.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp_sim.arrays import FloatArray, IntArray, require_finite, require_non_negative, require_shape
from vpp_sim.errors import PhysicsError
from vpp_sim.market.accounts import filled, welfare_eur
from vpp_sim.market.optimum import optimum
from vpp_sim.market.protocol import Clearing, ClearingMechanism, OrderBook

__all__ = [
    "CommunityFlows",
    "Misreports",
    "Rationality",
    "ZhouIndices",
    "budget_residual_eur",
    "gini",
    "member_gains_eur",
    "misreports",
    "rationality",
    "welfare_share",
    "zhou_indices",
]

_ROUNDING = 1e-9
"""A loss below this share of the order's worth is rounding [1]."""


def welfare_share(clearing: Clearing, book: OrderBook, values: OrderBook | None = None) -> float:
    """Return the welfare of a clearing as a share of the largest there is, found by linear programming.

    Parameters
    ----------
    clearing : Clearing
        The trades.
    book : OrderBook
        The orders that led to them.
    values : OrderBook, optional
        The same orders at the prices that they are truly worth; `book` itself, as if all were honest, when left out.

    Returns
    -------
    float
        At most 1, and 1 where there is nothing to gain; negative where trades destroy value.

    Examples
    --------
    >>> from vpp_sim.market.clearing import NoTrade, UniformPrice
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([2.0]), bid_eur_per_kwh=np.array([3.0]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([1.0]),
    ...     retail_eur_per_kwh=3.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> welfare_share(UniformPrice().clear(book), book), welfare_share(NoTrade().clear(book), book)
    (1.0, 0.0)
    """
    truth = book if values is None else values
    best = optimum(truth).welfare_eur
    return welfare_eur(clearing, truth) / best if best > 0 else 1.0


def budget_residual_eur(clearing: Clearing) -> float:
    """Return what buyers pay less what sellers are paid [EUR]: 0 balances, above 0 someone keeps it, below adds it."""
    paid_eur = clearing.energy_kwh @ clearing.paid_eur_per_kwh
    return float(paid_eur - clearing.energy_kwh @ clearing.price_eur_per_kwh)


def _money(clearing: Clearing, book: OrderBook) -> tuple[FloatArray, FloatArray]:
    """Return what each bid pays, shape (B,), and what each ask is paid, shape (S,) [EUR]."""
    n = int(max((owner.max() for owner in (book.buyer, book.seller) if owner.size), default=-1)) + 1
    paid_eur = np.bincount(clearing.buyer, clearing.energy_kwh * clearing.paid_eur_per_kwh, minlength=n)
    earned_eur = np.bincount(clearing.seller, clearing.energy_kwh * clearing.price_eur_per_kwh, minlength=n)
    return paid_eur[book.buyer].astype(np.float64), earned_eur[book.seller].astype(np.float64)


def member_gains_eur(clearing: Clearing, book: OrderBook) -> tuple[FloatArray, FloatArray]:
    """Return what each order gains against dealing with the retailer alone.

    Returns
    -------
    buyer_eur : ndarray, shape (B,)
        The retail price of what was bought here, less what was paid for it, fees included [EUR].
    seller_eur : ndarray, shape (S,)
        What was earned here, less the feed-in price of it [EUR].

    Examples
    --------
    >>> from vpp_sim.market.clearing import MidMarketRate
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([100.0]), bid_eur_per_kwh=np.array([0.25]),
    ...     seller=np.array([1]), ask_kwh=np.array([60.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> member_gains_eur(MidMarketRate().clear(book), book)
    (array([6.]), array([6.]))
    """
    bought_kwh, sold_kwh = filled(clearing, book)
    paid_eur, earned_eur = _money(clearing, book)
    return book.retail_eur_per_kwh * bought_kwh - paid_eur, earned_eur - book.feed_in_eur_per_kwh * sold_kwh


@dataclass(frozen=True, slots=True)
class Rationality:
    """Whom a clearing hurts.

    Attributes
    ----------
    beyond_limit : int
        Orders that pay more, or are paid less, than their own limits allow.
    worse_off : int
        Orders that the retailer alone would have served better.
    orders : int
        All orders.
    community_gain_eur : float
        What all members gain together against the retailer alone; below zero the community as a whole is hurt [EUR].
    """

    beyond_limit: int
    worse_off: int
    orders: int
    community_gain_eur: float


def rationality(clearing: Clearing, book: OrderBook) -> Rationality:
    """Count the orders that a clearing hurts, by their own limits and against not trading; rounding is let pass.

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([1.0]), bid_eur_per_kwh=np.array([0.20]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([0.05]),
    ...     retail_eur_per_kwh=0.25, feed_in_eur_per_kwh=0.05,
    ... )
    >>> one = np.ones(1)
    >>> dear = Clearing(book.buyer, book.seller, one, 0.22 * one, 0.0 * one, 0.22)
    >>> found = rationality(dear, book)
    >>> found.beyond_limit, found.worse_off, round(found.community_gain_eur, 12)
    (1, 0, 0.2)
    """
    bought_kwh, sold_kwh = filled(clearing, book)
    paid_eur, earned_eur = _money(clearing, book)
    gains = member_gains_eur(clearing, book)
    kwh = np.concatenate([bought_kwh, sold_kwh])
    dearest = np.max(np.abs(np.concatenate([book.bid_eur_per_kwh, book.ask_eur_per_kwh, [1.0]])))
    slack_eur = _ROUNDING * dearest * (kwh + kwh.max(initial=0.0))
    by_limit = np.concatenate(
        [book.bid_eur_per_kwh * bought_kwh - paid_eur, earned_eur - book.ask_eur_per_kwh * sold_kwh]
    )
    by_retailer = np.concatenate(gains)
    return Rationality(
        beyond_limit=int((by_limit < -slack_eur).sum()),
        worse_off=int((by_retailer < -slack_eur).sum()),
        orders=kwh.size,
        community_gain_eur=float(by_retailer.sum()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Misreports:
    """What sampled members could gain by lying while all others are honest.

    Attributes
    ----------
    member : ndarray of int, shape (m,)
        The members.
    gain_eur : ndarray, shape (m,)
        Most that each gains over its honest report [EUR], never negative: honesty is among the reports.
    price_eur_per_kwh : ndarray, shape (m,)
        The best report's limit [EUR/kWh].
    quantity_share : ndarray, shape (m,)
        The best report's energy as a share of the true one [1].
    """

    member: IntArray
    gain_eur: FloatArray
    price_eur_per_kwh: FloatArray
    quantity_share: FloatArray

    @property
    def greatest_eur(self) -> float:
        """The greatest gain [EUR]; 0 where nobody was sampled."""
        return float(self.gain_eur.max(initial=0.0))

    @property
    def mean_eur(self) -> float:
        """The mean gain [EUR]; 0 where nobody was sampled."""
        return float(self.gain_eur.mean()) if self.gain_eur.size else 0.0


def misreports(
    mechanism: ClearingMechanism,
    book: OrderBook,
    members: IntArray,
    *,
    prices_eur_per_kwh: FloatArray,
    quantity_shares: FloatArray,
) -> Misreports:
    """Search the best response of each member to the honest reports of all others, over a grid of reports.

    The limits and energies of `book` are taken as true. A member values what it buys, up to what it wants, at its
    limit; what it bought beyond that it feeds in. A seller forgoes its limit for each kWh it has; what it sold beyond
    that it buys from the retailer. The search is a lower bound: it knows no report between the points of the grid.

    Parameters
    ----------
    mechanism : ClearingMechanism
        The market.
    book : OrderBook
        The honest orders.
    members : ndarray of int, shape (m,)
        Who may lie, one at a time; each must have an order.
    prices_eur_per_kwh : ndarray, shape (P,)
        Limits to try [EUR/kWh], beside the honest one.
    quantity_shares : ndarray, shape (K,)
        Energies to try as shares of the true one, non-negative, beside 1.

    Raises
    ------
    PhysicsError
        If a member has no order, or a share is negative.

    Examples
    --------
    The only buyer of a double auction presses the price down to what the seller asks:

    >>> from vpp_sim.market.clearing import UniformPrice
    >>> book = OrderBook(
    ...     buyer=np.array([0]), bid_kwh=np.array([1.0]), bid_eur_per_kwh=np.array([3.0]),
    ...     seller=np.array([1]), ask_kwh=np.array([1.0]), ask_eur_per_kwh=np.array([1.0]),
    ...     retail_eur_per_kwh=3.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> grid = np.array([1.0, 2.0])
    >>> found = misreports(
    ...     UniformPrice(), book, np.array([0]), prices_eur_per_kwh=grid, quantity_shares=np.ones(1)
    ... )
    >>> found.greatest_eur, found.price_eur_per_kwh
    (1.0, array([1.]))
    """
    require_non_negative("quantity_shares", quantity_shares)
    require_finite("prices_eur_per_kwh", prices_eur_per_kwh)
    best = [_best_report(mechanism, book, int(member), prices_eur_per_kwh, quantity_shares) for member in members]
    gain, price, share = np.array(best, dtype=np.float64).reshape(-1, 3).T
    return Misreports(np.asarray(members, dtype=np.int64), gain, price, share)


def _best_report(
    mechanism: ClearingMechanism, book: OrderBook, member: int, prices: FloatArray, shares: FloatArray
) -> tuple[float, float, float]:
    """Return one member's greatest gain, and the report that brings it."""
    buys = member in book.buyer
    place = np.flatnonzero((book.buyer if buys else book.seller) == member)
    if not place.size:
        raise PhysicsError(f"prosumer {member} has no order to misreport")
    at = int(place[0])
    limit = float((book.bid_eur_per_kwh if buys else book.ask_eur_per_kwh)[at])
    honest = _utility_eur(mechanism.clear(book), book, at, buys)
    best = (0.0, limit, 1.0)
    for price in (limit, *prices.tolist()):
        for share in (1.0, *shares.tolist()):
            told = _told(book, at, buys, price, share)
            gain = _utility_eur(mechanism.clear(told), book, at, buys) - honest
            if gain > best[0]:
                best = (gain, price, share)
    return best


def _told(book: OrderBook, at: int, buys: bool, price: float, share: float) -> OrderBook:
    """Return the book in which one order is misreported."""
    kwh = (book.bid_kwh if buys else book.ask_kwh).copy()
    limits = (book.bid_eur_per_kwh if buys else book.ask_eur_per_kwh).copy()
    kwh[at], limits[at] = share * kwh[at], price
    if buys:
        return replace(book, bid_kwh=kwh, bid_eur_per_kwh=limits)
    return replace(book, ask_kwh=kwh, ask_eur_per_kwh=limits)


def _utility_eur(clearing: Clearing, true: OrderBook, at: int, buys: bool) -> float:
    """Return what a clearing is worth to one order, by its true limit and energy [EUR]."""
    mine = (clearing.buyer == true.buyer[at]) if buys else (clearing.seller == true.seller[at])
    kwh = clearing.energy_kwh[mine]
    traded = float(kwh.sum())
    if buys:
        useful = min(traded, float(true.bid_kwh[at]))
        worth = useful * true.bid_eur_per_kwh[at] + (traded - useful) * true.feed_in_eur_per_kwh
        return float(worth - kwh @ clearing.paid_eur_per_kwh[mine])
    own = min(traded, float(true.ask_kwh[at]))
    cost = own * true.ask_eur_per_kwh[at] + (traded - own) * true.retail_eur_per_kwh
    return float(kwh @ clearing.price_eur_per_kwh[mine] - cost)


def gini(values: FloatArray) -> float:
    r"""Return the Gini coefficient: 0 where all have the same, near 1 where one has all.

    .. math:: G = \frac{\sum_i \sum_j |x_i - x_j|}{2 n \sum_i |x_i|}

    For non-negative values that is the textbook's coefficient. Negative ones make the textbook's denominator, the sum,
    small or zero; the sum of magnitudes in its place, the base that [1]_ puts there, keeps it within 0..1.

    Parameters
    ----------
    values : ndarray, shape (n,)
        What each member has, of either sign.

    Returns
    -------
    float
        Between 0 and 1; 0 where nobody has anything, or there is nobody.

    References
    ----------
    .. [1] E. Raffinetti, E. Siletti, A. Vernizzi, "On the Gini coefficient normalization when attributes with negative
       values are considered", Statistical Methods and Applications 24 (2015) 507-521.
       https://doi.org/10.1007/s10260-014-0293-4

    Examples
    --------
    >>> gini(np.array([0.0, 0.0, 0.0, 4.0])), gini(np.array([-1.0, 1.0]))
    (0.75, 0.5)
    """
    require_finite("values", values)
    total = float(np.abs(values).sum())
    if total == 0:
        return 0.0
    n = values.size
    # In rising order, the i-th is above i - 1 and below n - i others.
    apart = 2.0 * float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(values))
    return apart / (2 * n * total)


@dataclass(frozen=True, slots=True, eq=False)
class CommunityFlows:
    """What a community of n members consumed, generated and paid over T steps.

    Attributes
    ----------
    load_kw, generation_kw : ndarray, shape (T, n)
        Mean power of each member in each step, behind its own meter [kW], non-negative.
    cost_eur : ndarray, shape (n,)
        Each member's electricity bill, to its peers and its retailer [EUR]; negative is income.

    Raises
    ------
    PhysicsError
        If shapes differ, or a power is negative.
    """

    load_kw: FloatArray
    generation_kw: FloatArray
    cost_eur: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and signs."""
        require_shape("generation_kw", self.generation_kw, self.load_kw.shape)
        require_shape("cost_eur", self.cost_eur, self.load_kw.shape[1:])
        require_non_negative("load_kw", self.load_kw)
        require_non_negative("generation_kw", self.generation_kw)
        require_finite("cost_eur", self.cost_eur)

    @property
    def net_kw(self) -> FloatArray:
        """What the community as a whole draws from outside, shape (T,); negative feeds in [kW]."""
        net: FloatArray = self.load_kw.sum(axis=1) - self.generation_kw.sum(axis=1)
        return net


@dataclass(frozen=True, slots=True)
class ZhouIndices:
    """The three economic and three technical indices of Zhou et al.; higher is better, and 1 is the best."""

    value_tapping: float
    participation_willingness: float
    equality: float
    energy_balance: float
    power_flatness: float
    self_sufficiency: float

    @property
    def economic(self) -> float:
        """Mean of the three economic indices, equally weighted as in the paper's cases."""
        return (self.value_tapping + self.participation_willingness + self.equality) / 3

    @property
    def technical(self) -> float:
        """Mean of the three technical indices."""
        return (self.energy_balance + self.power_flatness + self.self_sufficiency) / 3

    @property
    def overall(self) -> float:
        """Mean of the economic and the technical index."""
        return (self.economic + self.technical) / 2


def zhou_indices(shared: CommunityFlows, alone: CommunityFlows, best_cost_eur: float) -> ZhouIndices:
    r"""Return the six indices by which Zhou et al. compare mechanisms of energy sharing [1]_.

    With each member's cost :math:`C_n`, the community's net power :math:`P_t`, its load :math:`L_t`, its generation
    :math:`G_t`, and a reference (0) in which everyone deals with the retailer alone:

    - *value tapping*, the share of the possible saving that is made:
      :math:`(\sum C^0_n - \sum C_n) / (\sum C^0_n - C^*)`, with the lowest cost :math:`C^*` of a community run as one;
    - *participation willingness*, the share of members whose cost falls: :math:`|\{n : C_n < C^0_n\}| / N`;
    - *equality*, one less the Gini coefficient of incomes :math:`-C_n`, all raised by the same amount, so that the
      lowest is zero, if one is negative;
    - *energy balance*, :math:`1 - \sum_t |P_t| / \sum_t (L_t + G_t)`;
    - *power flatness*, :math:`1 - R / R^0` with the peak over the mean :math:`R = \max_t |P_t| / \overline{|P_t|}`;
      negative where the mechanism makes a higher peak than the reference has;
    - *self-sufficiency*, :math:`1 - \sum_{t: P_t > 0} P_t / \sum_t L_t`.

    The formulas are the paper's as its readers restate them. Ours are the limits: nothing to save counts as wholly
    tapped, members whose cost stays within rounding do not gain, equal incomes are equal, no energy at all is balanced
    and self-sufficient, and a community that never exchanges anything is as flat as can be (1).
    The paper raises incomes by a small number more than needed, which here is zero.

    Parameters
    ----------
    shared, alone : CommunityFlows
        The community with the mechanism, and the reference without it.
    best_cost_eur : float
        Lowest cost of the community run as one [EUR].

    Raises
    ------
    PhysicsError
        If the two communities differ in size, or the best cost is not finite.

    References
    ----------
    .. [1] Y. Zhou, J. Wu, C. Long, "Evaluation of peer-to-peer energy sharing mechanisms based on a multiagent
       simulation framework", Applied Energy 222 (2018) 993-1022. https://doi.org/10.1016/j.apenergy.2018.02.089

    Examples
    --------
    >>> load_kw, sun_kw = np.array([[2.0, 1.0], [1.0, 1.0]]), np.array([[0.0, 3.0], [0.0, 0.0]])
    >>> alone = CommunityFlows(load_kw, sun_kw, np.array([0.75, 0.15]))
    >>> shared = CommunityFlows(load_kw, sun_kw, np.array([0.55, -0.05]))
    >>> found = zhou_indices(shared, alone, best_cost_eur=0.5)
    >>> found.value_tapping, found.energy_balance, found.self_sufficiency
    (1.0, 0.75, 0.6)
    """
    require_shape("the reference's load_kw", alone.load_kw, shared.load_kw.shape)
    require_finite("best_cost_eur", np.array([best_cost_eur]))
    before, after = float(alone.cost_eur.sum()), float(shared.cost_eur.sum())
    rounding = _ROUNDING * np.maximum(1.0, np.abs(alone.cost_eur))
    load, generation, net = float(shared.load_kw.sum()), float(shared.generation_kw.sum()), shared.net_kw
    peak, peak_alone = _peak_to_mean(net), _peak_to_mean(alone.net_kw)
    return ZhouIndices(
        value_tapping=_ratio(before - after, before - best_cost_eur, 1.0),
        participation_willingness=float((shared.cost_eur < alone.cost_eur - rounding).mean()),
        equality=1 - gini(_raised(-shared.cost_eur)),
        energy_balance=1 - _ratio(float(np.abs(net).sum()), load + generation, 0.0),
        power_flatness=1 - _ratio(peak, peak_alone, 0.0 if peak == 0 else 1.0),
        self_sufficiency=1 - _ratio(float(net[net > 0].sum()), load, 0.0),
    )


def _ratio(numerator: float, denominator: float, otherwise: float) -> float:
    return numerator / denominator if abs(denominator) > _ROUNDING else otherwise


def _raised(income_eur: FloatArray) -> FloatArray:
    """Raise all incomes alike, so that none is negative."""
    return income_eur - min(float(income_eur.min(initial=0.0)), 0.0)


def _peak_to_mean(net_kw: FloatArray) -> float:
    exchanged = np.abs(net_kw)
    return _ratio(float(exchanged.max(initial=0.0)), float(exchanged.mean()) if exchanged.size else 0.0, 0.0)
