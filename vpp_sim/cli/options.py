"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from vpp_sim.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpp_sim.scenario.written import Written

__all__ = ["NamedOverrides", "Quiet", "Results", "ScenarioFile", "SetOptions", "parse_labels", "parse_overrides"]

RESULTS = Path("results")

ScenarioFile: TypeAlias = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file (YAML).")]
"""The scenario to read."""

SetOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one value, such as clock.days=1; may be repeated. A mapping, such as "
        "market.local={kind: none}, replaces the keys that it names and keeps the others.",
    ),
]
"""Dotted overrides."""

NamedOverrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="OVERRIDE", help="Apply a file of overrides, or one by its name; may be repeated."),
]
"""Named overrides."""

Results: TypeAlias = Annotated[Path, typer.Option("--results", metavar="DIR", help="Folder of all runs.")]
"""Where runs are written and found."""

Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the last line.")]
"""Whether tables and progress are left out."""


def parse_overrides(texts: Sequence[str] | None) -> dict[str, Written]:
    """Return what ``--set`` options mean: dotted keys to YAML values, whose place is the option as it was written.

    Raises
    ------
    UserError
        If a text is not ``key=value``, or its value is no YAML.

    Examples
    --------
    >>> parse_overrides(["clock.days=1", "chain=null"])
    {'clock.days': Written(value=1, file='--set clock.days=1', line=0),
     'chain': Written(value=None, file='--set chain=null', line=0)}
    """
    from vpp_sim.scenario.written import written

    assigned = _assignments(texts, "--set", "clock.days=1")
    return {key: written(value, f"--set {text}", 0) for key, (value, text) in assigned.items()}


def parse_labels(texts: Sequence[str] | None) -> dict[str, object]:
    """Return what ``--label`` options mean: keys to plain data, read as YAML values.

    Examples
    --------
    >>> parse_labels(["sweep=battery_tariff", "seed=1"])
    {'sweep': 'battery_tariff', 'seed': 1}
    """
    return {key: value for key, (value, _) in _assignments(texts, "--label", "sweep=battery_tariff").items()}


def _assignments(texts: Sequence[str] | None, option: str, example: str) -> dict[str, tuple[object, str]]:
    """Return the value and the whole text of every key; of two texts with one key, the later."""
    from vpp_sim.scenario.yaml_lines import parse_value

    values: dict[str, tuple[object, str]] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{option} {text}: expected key=value, such as {example}")
        try:
            values[key.strip()] = parse_value(value), text
        except ValueError as error:
            raise UserError(f"{option} {text}: {error}") from None
    return values
