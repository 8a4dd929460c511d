"""A world whose slots a test writes itself, whatever the phase."""

from typing import Any

from vpp_sim.kernel.phases import Phase
from vpp_sim.kernel.world import Slot, World


class OpenWorld(World):
    """A world in which :meth:`put` writes any slot that nobody else has claimed."""

    def __init__(self) -> None:
        super().__init__()
        self._writers: dict[str, Any] = {}

    def put(self, step: int, **messages: Any) -> None:
        """Write slots by name in tick `step`."""
        for name, message in messages.items():
            slot: Slot[Any] = getattr(self, name)
            if name not in self._writers:
                self._writers[name] = slot.claim("test")
            self.cursor.move(step, slot.phase)
            self._writers[name](message)

    def enter(self, step: int, phase: Phase) -> None:
        """Let an agent act in `phase`."""
        self.cursor.move(step, phase)
