"""The mechanisms that the study compares, by the names under which scenarios know them."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_sim.market.network_aware_limits import FeederLimits

if TYPE_CHECKING:
    from vpp_sim.market.protocol import ClearingMechanism

TARGETS: dict[str, tuple[str, dict[str, Any]]] = {
    "mid_market_rate": ("vpp_sim.market.clearing:MidMarketRate", {}),
    "supply_demand_ratio": ("vpp_sim.market.community:SupplyDemandRatio", {}),
    "bill_sharing": ("vpp_sim.market.community:BillSharing", {}),
    "shapley": ("vpp_sim.market.shapley:Shapley", {"pairs": 100}),
    "uniform_price": ("vpp_sim.market.clearing:UniformPrice", {}),
    "k_double_auction": ("vpp_sim.market.clearing:UniformPrice", {"k": 1.0}),
    "pay_as_bid": ("vpp_sim.market.auctions:PayAsBid", {}),
    "continuous_double_auction": ("vpp_sim.market.continuous:ContinuousDoubleAuction", {}),
    "huang": ("vpp_sim.market.truthful:HuangMultiUnit", {}),
    "mcafee": ("vpp_sim.market.truthful:McAfee", {}),
    "trade_reduction": ("vpp_sim.market.truthful:TradeReduction", {}),
    "vcg": ("vpp_sim.market.vcg:Vcg", {}),
    "admm": ("vpp_sim.market.admm:Decentralised", {}),
    "network_aware": ("vpp_sim.market.network_aware:NetworkAware", {}),
}
"""Name to class and arguments. In ``k_double_auction`` the marginal bid is the price. ``shapley`` is exact up to twelve
members and draws 100 pairs of arrivals beyond."""

BY_COMMUNITY = ("mid_market_rate", "supply_demand_ratio", "bill_sharing", "shapley")
"""Those that set one price for all from supply and demand, or from the community's gain, instead of from limits."""


STREETS, LINE_KW_PER_HOME = 5, 0.2
"""Streets that the homes stand in, in turn, and what a street's line carries for trades with the others [kW/home]."""


def load(name: str, homes: int) -> ClearingMechanism:
    """Return a mechanism for a community of so many homes."""
    target, arguments = TARGETS[name]
    module, _, attribute = target.partition(":")
    if name == "network_aware":
        arguments = {"feeder": _lines(homes)}
    made: ClearingMechanism = partial(getattr(import_module(module), attribute), **arguments)()
    return made


def _lines(homes: int) -> FeederLimits:
    """Return the lines of the streets, each as strong as its homes are many."""
    of_street = np.bincount(np.arange(homes) % STREETS, minlength=STREETS)
    return FeederLimits(
        voltage_pu=np.zeros(0),
        voltage_pu_per_kw=np.zeros((0, STREETS)),
        loading=np.zeros(STREETS),
        loading_per_kw=np.diag(1 / (LINE_KW_PER_HOME * of_street)),
    )
