"""Who acts: thin agents that read the world, call a library, and write their slot; one file an agent.

An agent holds what it needs to act, claims the slot it writes, and says in which phases it acts. It contains no
physics, no market rule and no model: those are in the libraries below. :mod:`vpp_sim.simulation` puts agents together.
"""

__all__ = [
    "audit_money",
    "auditor",
    "bidder",
    "fleet",
    "forecaster",
    "grid",
    "inputs",
    "ledger",
    "local_market",
    "planning",
    "pricer",
    "prosumers",
    "scribe",
    "settler",
    "station",
    "storage",
]
