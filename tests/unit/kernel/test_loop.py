"""Order of events: phases within a tick, processes before the tick of the same second."""

from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest
import simpy

from vpp_sim.errors import SimulationError
from vpp_sim.kernel.clock import Clock
from vpp_sim.kernel.loop import Loop
from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import World


class Speaker:
    """Says its name, the phase and the step."""

    def __init__(self, name: str, phases: tuple[Phase, ...], said: list[str]) -> None:
        self.name, self._phases, self._said = name, phases, said

    def actions(self) -> Mapping[Phase, Callable[[int], None]]:
        return {phase: lambda step, phase=phase: self._said.append(f"{step} {phase.name}") for phase in self._phases}


def loop(steps: int = 2) -> Loop:
    day = Clock.of_days("2017-07-03", days=1, step_s=3600, timezone="UTC")
    return Loop(Clock(day.start, 3600, steps), World())


def test_phases_order_a_tick_whatever_the_order_of_adding() -> None:
    said: list[str] = []
    run = loop()
    run.add(Speaker("late", (Phase.SETTLE,), said))
    run.add(Speaker("both", (Phase.METER, Phase.RESPOND), said))
    run.add(Speaker("first", (Phase.OBSERVE,), said))
    run.run()
    order = ["OBSERVE", "METER", "RESPOND", "SETTLE"]
    assert said == [f"{step} {phase}" for step in range(2) for phase in order]


def test_a_phase_has_one_actor() -> None:
    run = loop()
    run.add(Speaker("one", (Phase.TRADE,), []))
    with pytest.raises(SimulationError, match="two and one both act in TRADE"):
        run.add(Speaker("two", (Phase.TRADE,), []))


def test_a_process_comes_before_the_tick_of_its_second_and_between_ticks() -> None:
    said: list[str] = []

    def producer(env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        for _ in range(3):
            yield env.timeout(1800)
            said.append(f"block at {env.now}")

    run = loop()
    run.add(Speaker("meter", (Phase.METER,), said))
    run.add_process(producer)
    run.run()
    assert said == ["0 METER", "block at 1800", "block at 3600", "1 METER", "block at 5400"]


def test_the_cursor_follows_and_wall_time_is_kept() -> None:
    run = loop()
    seen: list[tuple[int, Phase | None]] = []
    run.add(Speaker("meter", (Phase.METER,), []))

    class Watcher:
        name = "watcher"

        def actions(self) -> Mapping[Phase, Callable[[int], None]]:
            return {Phase.FLOW: lambda step: seen.append((run.world.cursor.step, run.world.cursor.phase))}

    run.add(Watcher())
    run.run()
    assert seen == [(0, Phase.FLOW), (1, Phase.FLOW)]
    assert set(run.phase_s) == {Phase.METER, Phase.FLOW}
    assert all(seconds > 0 for seconds in run.phase_s.values())
