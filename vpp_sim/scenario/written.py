"""The tree of a scenario before it is checked: plain data whose every value knows where it was written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "MOST_DIGITS",
    "MOST_LEVELS",
    "TOO_DEEP",
    "TOO_LONG",
    "KeyPath",
    "Scalar",
    "Written",
    "dotted",
    "find",
    "plain",
    "refusal_of",
    "written",
]

MOST_DIGITS = 100
"""Digits of the longest whole number that is read: more than anything has, few enough to print and to be a float."""

MOST_LEVELS = 32
"""Sections and lists that may stand in one another; no scenario needs half of them."""

TOO_LONG = f"expected a whole number of at most {MOST_DIGITS} digits"
TOO_DEEP = f"expected at most {MOST_LEVELS} levels of nesting"

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys from the root of a scenario to a value."""

Scalar: TypeAlias = str | int | float | bool | None
"""What a leaf of the tree may hold."""


@dataclass(frozen=True, slots=True)
class Written:
    """A value as it was written, and where.

    Attributes
    ----------
    value : scalar, dict of str to Written, or list of Written
        The value.
    file : str
        The file it stands in, or what else names its place.
    line : int
        Line of its key, or of its beginning if it has none; counted from 1. 0 if the place has no lines.
    """

    value: Scalar | dict[str, Written] | list[Written]
    file: str
    line: int


def plain(node: Written) -> Any:
    """Return the tree without files and lines."""
    if isinstance(node.value, dict):
        return {name: plain(child) for name, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def refusal_of(value: Scalar) -> str:
    """Return why a scenario cannot hold `value`, or an empty string.

    Examples
    --------
    >>> refusal_of(float("inf")), refusal_of(10**100), refusal_of(7)
    ('expected a finite number', 'expected a whole number of at most 100 digits', '')
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
        return TOO_LONG
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "expected text without lone surrogates"
    return ""


def written(value: object, file: str, line: int) -> Written:
    """Return plain data as a tree that stands at one place.

    Raises
    ------
    TypeError
        If a value is not plain data, or a key is not text.
    ValueError
        If a scenario cannot hold a value, or values are nested too deeply.
    """
    return _written(value, file, line, 0)


def _written(value: object, file: str, line: int, level: int) -> Written:
    if isinstance(value, dict | list | tuple) and level >= MOST_LEVELS:
        raise ValueError(TOO_DEEP)
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("expected keys that are text")
        return Written({name: _written(child, file, line, level + 1) for name, child in value.items()}, file, line)
    if isinstance(value, list | tuple):
        return Written([_written(child, file, line, level + 1) for child in value], file, line)
    if value is None or isinstance(value, str | bool | int | float):
        refusal = refusal_of(value)
        if refusal:
            raise ValueError(refusal)
        return Written(value, file, line)
    raise TypeError(f"expected plain data, not {type(value).__name__}")


def find(root: Written, path: KeyPath) -> tuple[Written, bool]:
    """Return the value at `path`, or the nearest section around it; and whether it is the value itself."""
    node = root
    for part in path:
        child = _child(node, part)
        if child is None:
            return node, False
        node = child
    return node, True


def dotted(path: KeyPath) -> str:
    """Return `path` as messages write it.

    Examples
    --------
    >>> dotted(("prosumers", 0, "battery"))
    'prosumers.0.battery'
    """
    return ".".join(str(part) for part in path)


def _child(node: Written, part: str | int) -> Written | None:
    if isinstance(node.value, dict):
        return node.value.get(str(part))
    if isinstance(node.value, list) and str(part).isdecimal() and int(part) < len(node.value):
        return node.value[int(part)]
    return None
