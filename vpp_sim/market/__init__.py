"""Local and wholesale markets: who trades with whom, at what price, and what the wholesale position costs.

A local market is one function of one message: :class:`~vpp_sim.market.protocol.OrderBook` in,
:class:`~vpp_sim.market.protocol.Clearing` out. Orders are arrays, one entry a prosumer, so that ten thousand orders
clear in milliseconds. A clearing is a list of pairs with one price a pair, which goes from buyer to seller, and a fee,
which goes from the buyer to whoever runs the market: no mechanism can create money, what one leaves over or lacks
stands in one place, and the settlement contract can move each pair as one transfer.

Turned down: clearings as one quantity and price an order (the pairs that a contract needs would be made elsewhere, and
budget balance would be a promise instead of a shape); order objects (a Python loop over prosumers in the tick); a
mechanism that owns state between ticks (a random book could no longer be cleared twice with the same result).

What follows: a mechanism whose buyers and sellers see two prices gives the difference as a fee. The residual that a
mechanism leaves is bought from and sold to the retailer at the prices the book carries
(:func:`~vpp_sim.market.accounts.blended_prices`). A new mechanism is one class with one method; ``pro_rata``, ``match``
and ``pairs`` of :mod:`~vpp_sim.market.pairing` do the arithmetic that most of them share.
"""

__all__ = [
    "accounts",
    "admm",
    "auctions",
    "balancing",
    "bidding",
    "clearing",
    "community",
    "community_indices",
    "continuous",
    "day_ahead",
    "gates",
    "imbalance",
    "indices",
    "intraday",
    "merit",
    "minimum",
    "network_aware",
    "network_aware_limits",
    "network_aware_program",
    "optimum",
    "pairing",
    "protocol",
    "shapley",
    "truthful",
    "vcg",
    "wholesale",
]
