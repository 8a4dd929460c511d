"""Pricing engine: what the VPP charges its homes, and what it bids for them on the day-ahead market.

Both sides are protocols over one horizon of arrays (:mod:`~vpp_sim.pricing.protocol`). A retail pricer sees the homes'
expected demand, the wholesale price and the default tariff, and returns one price a step with the reasons for it. A
wholesale bidder sees the quantiles of the fleet's net energy and what imbalance costs, and returns a position.

Two rules shape the retail side. The default tariff is the customer's yardstick: no home's expected bill may exceed what
the default would charge for the same energy, whether it responds to prices or not. And a solve is never trusted: its
status is checked, the result is checked again, and where there is none the default tariff stands in, marked and with
the reason.

Prices are optimised for profit, welfare or the peak against a demand that is a line in them, with cross prices where
they are known (:mod:`~vpp_sim.pricing.retail`); or for profit against customers who shift demand as suits them best,
for or against the retailer where they tie (:mod:`~vpp_sim.pricing.stackelberg`). Tariffs by rule stand beside them
(:mod:`~vpp_sim.pricing.tariffs`). Every price can be taken apart into what moved it (:mod:`~vpp_sim.pricing.explain`),
and where there is none, the limit in the way is named with what it lacks (:mod:`~vpp_sim.pricing.relaxation`).

Turned down: one price a home (a regulator would ask why neighbours pay differently); a response inside the promise
(a home that cannot respond would lose); building the optimisation anew every time (14 ms and more against 2 ms for a
compiled one). What follows: the number of homes and steps is fixed when a pricer is made.

cvxpy is loaded when an optimising pricer first sets prices, not before.
"""

__all__ = [
    "adjustment",
    "bids",
    "copula",
    "customers",
    "cvar",
    "demand",
    "dense_qp",
    "elasticity",
    "explain",
    "followers",
    "interior_point",
    "limits",
    "program",
    "protocol",
    "quantiles",
    "relaxation",
    "retail",
    "stackelberg",
    "tariffs",
    "two_stage",
    "wholesale",
]
