"""When things happen: clock, phases, event loop, world, random streams, recorder.

SimPy owns time, in integer seconds since the start of the scenario. At each step the agents act in the order of
:class:`~vpp_sim.kernel.phases.Phase`, which is the priority of the events, so the order is written down in one place
and is the same on every run. Whatever does not live on the tick, such as a chain's block producer, is a SimPy process
of its own and comes before the tick that falls on the same second.

State passes between agents only through the slots of the :class:`~vpp_sim.kernel.world.World`. A slot has one owner,
who holds the only means of writing it; values are frozen when they are written. Turned down: callbacks between agents
(the order would hide in the call graph) and a shared dictionary (nobody could say who wrote what).
"""

__all__ = ["clock", "loop", "messages", "phases", "randomness", "recorder", "world"]
