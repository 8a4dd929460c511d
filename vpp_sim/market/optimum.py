"""The largest welfare that a book allows, as a linear program: what every mechanism is measured against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from vpp_sim.arrays import FloatArray
from vpp_sim.errors import SolveError
from vpp_sim.market.protocol import OrderBook

__all__ = ["Optimum", "optimum"]


@dataclass(frozen=True, slots=True, eq=False)
class Optimum:
    """The fills of largest welfare.

    Attributes
    ----------
    bought_kwh : ndarray, shape (B,)
        Fill of each bid [kWh].
    sold_kwh : ndarray, shape (S,)
        Fill of each ask [kWh].
    welfare_eur : float
        What buyers would have paid less what sellers asked, by limit prices [EUR]; never negative.
    price_eur_per_kwh : float
        What one more kWh would be worth: the multiplier of the energy balance [EUR/kWh]; NaN if a side is empty.
    """

    bought_kwh: FloatArray
    sold_kwh: FloatArray
    welfare_eur: float
    price_eur_per_kwh: float


def optimum(book: OrderBook) -> Optimum:
    r"""Return the fills :math:`x, y` of largest welfare, solved by HiGHS [1]_.

    .. math:: \max_{x, y} \; \sum_i b_i x_i - \sum_j a_j y_j \quad \text{s.t.} \quad \sum_i x_i = \sum_j y_j,
              \; 0 \le x_i \le \text{wanted}_i, \; 0 \le y_j \le \text{offered}_j

    Feeder limits and the book's least energy are not in it: they can only lower the welfare, so it bounds every
    mechanism from above.

    Raises
    ------
    SolveError
        If the solver does not end with an optimum.

    References
    ----------
    .. [1] Q. Huangfu, J. A. J. Hall, "Parallelizing the dual revised simplex method", Mathematical Programming
       Computation 10 (2018) 119-142. https://doi.org/10.1007/s12532-017-0130-5

    Examples
    --------
    >>> book = OrderBook(
    ...     buyer=np.array([0, 1]), bid_kwh=np.array([1.0, 2.0]), bid_eur_per_kwh=np.array([3.0, 4.0]),
    ...     seller=np.array([2]), ask_kwh=np.array([2.5]), ask_eur_per_kwh=np.array([1.0]),
    ...     retail_eur_per_kwh=4.0, feed_in_eur_per_kwh=0.0,
    ... )
    >>> best = optimum(book)
    >>> best.welfare_eur, best.bought_kwh, best.price_eur_per_kwh
    (7.0, array([0.5, 2. ]), 3.0)
    """
    bids, asks = book.bid_kwh.size, book.ask_kwh.size
    if not bids or not asks:
        return Optimum(np.zeros(bids), np.zeros(asks), 0.0, float("nan"))
    energy_kwh = np.concatenate([book.bid_kwh, book.ask_kwh])
    unit_kwh = float(energy_kwh.max()) or 1.0  # the solver takes what differs by less than 1e-7 for equal
    result = linprog(
        np.concatenate([-book.bid_eur_per_kwh, book.ask_eur_per_kwh]),
        A_eq=csr_array(np.concatenate([np.ones(bids), -np.ones(asks)])[None]),
        b_eq=[0.0],
        bounds=np.column_stack([np.zeros(bids + asks), energy_kwh / unit_kwh]),
        method="highs",
    )
    if result.status != 0:
        raise SolveError(f"largest welfare of {bids} bids and {asks} asks: {result.message}")
    fills_kwh = result.x * unit_kwh
    welfare_eur = max(-float(result.fun) * unit_kwh, 0.0)
    return Optimum(fills_kwh[:bids], fills_kwh[bids:], welfare_eur, -float(result.eqlin.marginals[0]))
