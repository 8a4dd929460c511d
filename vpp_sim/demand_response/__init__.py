"""Demand response: how homes answer to prices, and what they would have used without an event.

A response is a small object that owns one piece of state, the energy each home has put off, and is asked once a step.
It knows the day's tariff (prices are published ahead) and the load of this step, nothing of the load to come: what it
does could be done by a real home. Energy put off within a day is made good within the same day, so a saving is a saving
by shifting and never by going without.

Turned down: a response as a factor on the load (energy would vanish from the bill and be booked as a saving); a day
solved at once with its load known ahead (nobody knows it); bringing consumption forward (needs a forecast of one's own
dear hours, and somewhere to keep the comfort; a battery or a heat pump does that in its own model). What follows: loads
only move to later hours, and cheap hours before the first dear one gain nothing.

Baselines are the rules by which system operators estimate the load without an event; they are functions of past days.
"""

__all__ = ["baselines", "responses"]
