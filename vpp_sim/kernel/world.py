"""The state that agents share: slots with one writer each, enforced.

An agent claims a slot once, before the run, and gets the only :class:`Writer` there will ever be for it. A write is
refused outside the slot's phase and twice in a tick; the arrays of what is written are made read-only. A read is
refused before the slot was written in this tick, unless the slot is held from tick to tick.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from vpp_sim.errors import WriterError
from vpp_sim.kernel.messages import (
    DayAhead,
    Flexible,
    Flow,
    Forecast,
    Intraday,
    LocalTrades,
    Metered,
    Payments,
    Settlement,
    Storage,
    Tariff,
    Weather,
)
from vpp_sim.kernel.phases import Phase

__all__ = ["Cursor", "Slot", "World", "Writer"]

T = TypeVar("T")


class Cursor:
    """Where the run stands: tick and phase. Only the event loop moves it."""

    def __init__(self) -> None:
        self.step = -1
        self.phase: Phase | None = None

    def move(self, step: int, phase: Phase) -> None:
        """Set the current tick and phase."""
        self.step, self.phase = step, phase


def _freeze(value: Any) -> None:
    for field in fields(value):
        item = getattr(value, field.name)
        for array in item.values() if isinstance(item, dict) else (item,):
            if isinstance(array, np.ndarray):
                array.setflags(write=False)


class Slot(Generic[T]):
    """One piece of state with one owner.

    Parameters
    ----------
    name : str
        What error messages call it.
    phase : Phase or None
        When its owner may write it, once a tick; None is for an owner with a clock of its own, who may at any time.
    cursor : Cursor
        Where the run stands.
    held : bool
        Whether a value stays readable in later ticks.
    """

    def __init__(self, name: str, phase: Phase | None, cursor: Cursor, *, held: bool) -> None:
        self.name, self.phase, self._cursor, self._held = name, phase, cursor, held
        self._owner: str | None = None
        self._value: T | None = None
        self._written = -2

    def claim(self, owner: str) -> Writer[T]:
        """Return the slot's only writer.

        Raises
        ------
        WriterError
            If somebody claimed it before.
        """
        if self._owner is not None:
            raise WriterError(f"{owner} claims {self.name}, which {self._owner} writes")
        self._owner = owner
        return Writer(self)

    def read(self) -> T:
        """Return the value of this tick, or the last one if the slot is held.

        Raises
        ------
        WriterError
            If there is no such value yet.
        """
        if self._value is None or (not self._held and self._written != self._cursor.step):
            raise WriterError(f"{self.name} is read in tick {self._cursor.step} before {self._owner} wrote it")
        return self._value

    def previous(self) -> T | None:
        """Return the last value written, of whichever tick, or None."""
        return self._value

    def _write(self, value: T, *, before_start: bool) -> None:
        step = self._cursor.step
        if before_start != (step < 0):
            raise WriterError(f"{self._owner} gives {self.name} its initial value after the start")
        misplaced = self._cursor.phase is not self.phase or self._written == step
        if not before_start and self.phase is not None and misplaced:
            now = self._cursor.phase.name if self._cursor.phase else "no phase"
            raise WriterError(
                f"{self._owner} writes {self.name} in {now} of tick {step}; once in {self.phase.name} is allowed"
            )
        if not is_dataclass(value):
            raise WriterError(f"{self._owner} writes {self.name} with something that is no message")
        _freeze(value)
        self._value, self._written = value, step


class Writer(Generic[T]):
    """The right to write one slot."""

    def __init__(self, slot: Slot[T]) -> None:
        self._slot = slot

    def __call__(self, value: T) -> None:
        """Write the slot's value of this tick; its arrays become read-only.

        Raises
        ------
        WriterError
            Outside the slot's phase, or a second time in a tick.
        """
        self._slot._write(value, before_start=False)

    def initial(self, value: T) -> None:
        """Give the slot a value before the first tick."""
        self._slot._write(value, before_start=True)


class World:
    """All slots of a run, in the order of the phases that write them."""

    def __init__(self) -> None:
        self.cursor = Cursor()
        self.weather: Slot[Weather] = self._slot("weather", Phase.OBSERVE)
        self.metered: Slot[Metered] = self._slot("metered", Phase.METER)
        self.forecast: Slot[Forecast] = self._slot("forecast", Phase.FORECAST, held=True)
        self.day_ahead: Slot[DayAhead] = self._slot("day_ahead", Phase.BID, held=True)
        self.intraday: Slot[Intraday] = self._slot("intraday", Phase.BID, held=True)
        self.tariff: Slot[Tariff] = self._slot("tariff", Phase.PRICE, held=True)
        self.flexible: Slot[Flexible] = self._slot("flexible", Phase.RESPOND)
        self.storage: Slot[Storage] = self._slot("storage", Phase.STORE)
        self.trades: Slot[LocalTrades] = self._slot("trades", Phase.TRADE)
        self.flow: Slot[Flow] = self._slot("flow", Phase.FLOW)
        self.settlement: Slot[Settlement] = self._slot("settlement", Phase.SETTLE)
        self.payments: Slot[Payments] = self._slot("payments", None, held=True)

    def _slot(self, name: str, phase: Phase | None, *, held: bool = False) -> Slot[Any]:
        return Slot(name, phase, self.cursor, held=held)
