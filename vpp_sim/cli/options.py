"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from vpp_sim.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NamedOverrides", "Quiet", "Results", "ScenarioFile", "SetOptions", "parse_labels", "parse_overrides"]

RESULTS = Path("results")

ScenarioFile: TypeAlias = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario file (YAML).")]
"""The scenario to read."""

SetOptions: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one value, such as clock.days=1; may be repeated."),
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


def parse_overrides(texts: Sequence[str] | None) -> dict[str, object]:
    """Return what ``--set`` options mean: dotted keys to plain data, read as YAML values.

    Raises
    ------
    UserError
        If a text is not ``key=value``, or its value is no YAML.

    Examples
    --------
    >>> parse_overrides(["clock.days=1", "market.wholesale.gate_closure=10:00", "chain=null"])
    {'clock.days': 1, 'market.wholesale.gate_closure': '10:00', 'chain': None}
    """
    return _assignments(texts, "--set", "clock.days=1")


def parse_labels(texts: Sequence[str] | None) -> dict[str, object]:
    """Return what ``--label`` options mean, as :func:`parse_overrides` does.

    Examples
    --------
    >>> parse_labels(["sweep=battery_tariff", "seed=1"])
    {'sweep': 'battery_tariff', 'seed': 1}
    """
    return _assignments(texts, "--label", "sweep=battery_tariff")


def _assignments(texts: Sequence[str] | None, option: str, example: str) -> dict[str, object]:
    from vpp_sim.scenario.yaml_lines import parse_value

    values: dict[str, object] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UserError(f"{option} {text}: expected key=value, such as {example}")
        try:
            values[key.strip()] = parse_value(value)
        except ValueError as error:
            raise UserError(f"{option} {text}: {error}") from None
    return values
