"""The mechanisms that the study compares, by the names under which scenarios know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vpp_sim.market.network_aware_limits import FeederLimits
from vpp_sim.registry import CLEARINGS

if TYPE_CHECKING:
    from vpp_sim.market.protocol import ClearingMechanism

ARGUMENTS: dict[str, dict[str, Any]] = {
    "mid_market_rate": {},
    "supply_demand_ratio": {},
    "bill_sharing": {},
    "shapley": {"pairs": 100},
    "uniform_price": {},
    "k_double_auction": {"k": 1.0},
    "pay_as_bid": {},
    "continuous_double_auction": {},
    "huang": {},
    "mcafee": {},
    "trade_reduction": {},
    "vcg": {},
    "admm": {},
    "network_aware": {},
}
"""The mechanisms, with what they are made with. In ``k_double_auction`` the marginal bid is the price. ``shapley`` is
exact up to twelve members and draws 100 pairs of arrivals beyond."""

BY_COMMUNITY = ("mid_market_rate", "supply_demand_ratio", "bill_sharing", "shapley")
"""Those that set one price for all from supply and demand, or from the community's gain, instead of from limits."""


STREETS, LINE_KW_PER_HOME = 5, 0.2
"""Streets that the homes stand in, in turn, and what a street's line carries for trades with the others [kW/home]."""


def load(name: str, homes: int) -> ClearingMechanism:
    """Return a mechanism for a community of so many homes."""
    arguments = ARGUMENTS[name]
    if name == "network_aware":
        arguments = {"feeder": _lines(homes)}
    made: ClearingMechanism = CLEARINGS.load(name)(**arguments)
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
