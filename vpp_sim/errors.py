"""The one tree of errors: everything the package raises on purpose derives from :class:`VppSimError`.

Two branches matter to a caller. A :class:`UserError` is a mistake in what was asked (a scenario, a name, a date): the
command line prints its message without a traceback and exits 2. Everything else is a failure of the run itself.

An error's ``args`` are those of its constructor, so that it survives pickling to another process and being raised anew
by the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ChainError",
    "ConservationError",
    "DataError",
    "PhysicsError",
    "ScenarioError",
    "ScenarioProblem",
    "SimulationError",
    "SolveError",
    "UnknownNameError",
    "UserError",
    "VppSimError",
    "WriterError",
    "nearest",
]


class VppSimError(Exception):
    """Root of every error that the package raises on purpose."""


class UserError(VppSimError):
    """A mistake in what was asked; shown without a traceback, exit status 2."""


class UnknownNameError(UserError):
    """A name that no registry knows.

    Parameters
    ----------
    kind : str
        What was looked up, for example ``"forecaster"``.
    name : str
        The name that was asked for.
    allowed : iterable of str
        The names that exist.
    """

    def __init__(self, kind: str, name: str, allowed: Iterable[str]) -> None:
        self.kind, self.name, self.allowed = kind, name, tuple(sorted(allowed))
        super().__init__(self.kind, self.name, self.allowed)

    def __str__(self) -> str:
        """Return the message, with the nearest name if one is near."""
        hint = nearest(self.name, self.allowed)
        return f"unknown {self.kind} {self.name!r}; allowed: {', '.join(self.allowed)}" + (
            f"; did you mean {hint!r}?" if hint else ""
        )


@dataclass(frozen=True, slots=True)
class ScenarioProblem:
    """One mistake in a scenario file.

    Attributes
    ----------
    file : str
        The file it stands in.
    line : int
        Its line, counted from 1; 0 if the place has no lines, as an option of the command line.
    key : str
        Dotted path of the key, for example ``"prosumers.0.battery.capacity_kwh"``.
    value : str
        The value seen, as YAML shows it.
    allowed : str
        What would have been right.
    hint : str
        The nearest valid name, or empty.
    """

    file: str
    line: int
    key: str
    value: str
    allowed: str
    hint: str = ""

    def __str__(self) -> str:
        """Return the problem as one line: ``file:line: key = value; allowed; hint``."""
        hint = f"; did you mean {self.hint!r}?" if self.hint else ""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key} = {self.value}; {self.allowed}{hint}"


class ScenarioError(UserError):
    """A scenario that cannot be run, with every problem found in it.

    Parameters
    ----------
    problems : sequence of ScenarioProblem
        At least one.
    """

    def __init__(self, problems: Iterable[ScenarioProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """Return the problems, one a line."""
        return "\n".join(str(problem) for problem in self.problems)


class DataError(UserError):
    """Input data that is missing, outside its range, or does not fit together."""


class PhysicsError(VppSimError):
    """Arguments for which a physical model has no answer (shapes, signs, NaN)."""


class SolveError(VppSimError):
    """An optimisation problem that ended without a usable solution."""


class ChainError(VppSimError):
    """A transaction that failed, or chain state that contradicts the ledger."""


class SimulationError(VppSimError):
    """A run that cannot go on."""


class WriterError(SimulationError):
    """A slot of the world written by somebody else than its owner, or out of its phase."""


class ConservationError(SimulationError):
    """Energy, money or tokens that do not add up; stops the run.

    Parameters
    ----------
    step : int
        The tick in which it was found.
    account : str
        What does not balance, for example ``"meter of home_3"`` or ``"feeder"``.
    amount : float
        By how much.
    unit : str
        Unit of `amount`.
    """

    def __init__(self, step: int, account: str, amount: float, unit: str) -> None:
        self.step, self.account, self.amount, self.unit = step, account, amount, unit
        super().__init__(step, account, amount, unit)

    def __str__(self) -> str:
        """Return the message."""
        return f"tick {self.step}: {self.account} is out of balance by {self.amount:g} {self.unit}"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return the allowed name most like `name`, or an empty string.

    Examples
    --------
    >>> nearest("capcity_kwh", ["capacity_kwh", "power_kw"])
    'capacity_kwh'
    """
    matches = get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return matches[0] if matches else ""
