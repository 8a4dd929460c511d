"""The event loop: SimPy's environment, with the phases of a tick as event priorities."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol

import simpy
from simpy.events import EventPriority

from vpp_sim.errors import SimulationError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World

__all__ = ["Action", "Agent", "Loop", "Process", "Timed"]

Action = Callable[[int], None]
"""What an agent does in one phase; its argument is the step."""

Process = Callable[[simpy.Environment], Generator[simpy.Event, Any, None]]
"""A process with a clock of its own."""


class Agent(Protocol):
    """Somebody who acts in some phases of every tick."""

    name: str
    """Name, unique in a run; the agent's random stream is called so too."""

    def actions(self) -> Mapping[Phase, Action]:
        """Return what the agent does in each phase it takes part in."""
        ...


class Timed(simpy.Event):
    """An event that happens after `delay` seconds, ordered among those of the same second by `priority`, lower first.

    SimPy's own time-outs have priority 1, the phases of a tick theirs.
    """

    def __init__(self, env: simpy.Environment, delay: int, priority: int) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        env.schedule(self, priority=EventPriority(priority), delay=delay)


class Loop:
    """Agents and processes on one time line.

    Parameters
    ----------
    clock : Clock
        The steps.
    world : World
        Its cursor follows the loop.
    """

    def __init__(self, clock: Clock, world: World) -> None:
        self.clock, self.world = clock, world
        self.env = simpy.Environment()
        self.phase_s: dict[Phase, float] = {}
        self._actor: dict[Phase, str] = {}

    def add(self, agent: Agent) -> None:
        """Let `agent` act in its phases.

        Raises
        ------
        SimulationError
            If another agent acts in one of them.
        """
        for phase, action in agent.actions().items():
            if phase in self._actor:
                raise SimulationError(f"{agent.name} and {self._actor[phase]} both act in {phase.name}")
            self._actor[phase] = agent.name
            self.phase_s[phase] = 0.0
            self.env.process(self._ticks(phase, action))

    def add_process(self, process: Process) -> None:
        """Start a process with a clock of its own."""
        self.env.process(process(self.env))

    def run(self) -> None:
        """Run all ticks, and then what processes still have under way (a batch that waits for its confirmations)."""
        self.env.run()

    def _ticks(self, phase: Phase, action: Action) -> Generator[simpy.Event, Any, None]:
        for step in range(self.clock.n_steps):
            yield Timed(self.env, step * self.clock.step_s - int(self.env.now), phase)
            self.world.cursor.move(step, phase)
            begun = time.perf_counter()
            action(step)
            self.phase_s[phase] += time.perf_counter() - begun
