"""Who acts: thin agents that read the world, call a library, and write their slot; one file an agent.

An agent holds what it needs to act, claims the slot it writes, and says in which phases it acts. It contains no
physics, no market rule and no model: those are in the libraries below. :mod:`~vpp_sim.agents.stage` makes agents of a
scenario and :mod:`vpp_sim.simulation` runs them.

The forecasting desk is the one with parts of its own: a channel each for load and sun, which shows a model what was
known at the issue and nothing else, and a book of the forecasts that were bid on. The book stands here and not in
``runs``, because the forecasts of every home are too many to record; scored as the readings come in, they need no more
memory than two days of them.
"""

__all__ = [
    "audit_money",
    "auditor",
    "bidder",
    "disclosure",
    "fleet",
    "forecast_book",
    "forecast_channel",
    "forecaster",
    "grid",
    "inputs",
    "intraday_desk",
    "ledger",
    "local_market",
    "planning",
    "pricer",
    "prosumers",
    "scribe",
    "settler",
    "settling",
    "stage",
    "station",
    "storage",
    "weather_outlook",
]
