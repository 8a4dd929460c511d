"""The order in which agents act within a tick."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Phase"]


class Phase(IntEnum):
    """Phases of a tick; the value is the priority of the phase's events, lower first.

    SimPy's own events have priorities 0 and 1: a process that wakes on the second of a tick comes before its phases.

    Examples
    --------
    >>> Phase.METER < Phase.SETTLE
    True
    """

    OBSERVE = 10
    """Weather becomes known."""
    METER = 11
    """Base load and available solar power become known."""
    FORECAST = 12
    """The aggregator forecasts load and sun."""
    BID = 13
    """The aggregator bids day ahead, at gate closure, and trades intraday."""
    PRICE = 14
    """The aggregator publishes retail prices."""
    RESPOND = 15
    """Homes move flexible load."""
    STORE = 16
    """Batteries charge and discharge."""
    TRADE = 17
    """Homes trade with each other."""
    FLOW = 18
    """The feeder carries the net loads, and curtails what it cannot carry."""
    SETTLE = 19
    """The ledger books what was metered."""
    AUDIT = 20
    """Energy and money are checked to add up."""
    RECORD = 21
    """The tick is written down."""
