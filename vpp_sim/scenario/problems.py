"""What the schema refuses, in words: each refusal becomes a line with file, line, key, value and what is allowed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from vpp_sim.errors import ScenarioProblem, nearest
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.scenario.schema import expectation, schema_at
from vpp_sim.scenario.sections.spec import RefusalError
from vpp_sim.scenario.written import KeyPath, dotted, find, plain
from vpp_sim.scenario.yaml_lines import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

    from vpp_sim.scenario.written import Written

__all__ = ["MISSING", "problem_at", "problems_of", "relations_of"]

MISSING = "(missing)"
"""What messages show as the value of a key that nobody wrote."""

_DECIMAL_COMMA = re.compile(r"\s*([+-]?\d+),(\d+)(?:\s*[A-Za-z/]+)?\s*")


def problem_at(root: Written, path: KeyPath, allowed: str, hint: str = "") -> ScenarioProblem:
    """Return the problem of the value at `path`, placed where it, or else the section around it, was written.

    Parameters
    ----------
    root : Written
        The tree of the scenario.
    path : tuple of str or int
        Keys from the root.
    allowed : str
        What would have been right.
    hint : str
        The nearest valid name, or empty.
    """
    node, found = find(root, path)
    value = show(plain(node)) if found else MISSING
    return ScenarioProblem(node.file, node.line, dotted(path) or "scenario", value, allowed, hint)


def problems_of(error: ValidationError, root: Written) -> list[ScenarioProblem]:
    """Return every refusal of the schema as a problem of the files that `root` was read from."""
    return [_problem(details, root) for details in error.errors(include_url=False)]


def relations_of(error: ValidationError, root: Written) -> list[ScenarioProblem]:
    """Return the relations between values that fail too, where none of the values is itself among the refused.

    The schema compares values only once each of them is right. Here the refused ones are left out, and the rest is
    checked again, until nothing can be left out; a section whose required value is refused stays unchecked.
    """
    values, left_out, problems = plain(root), list[KeyPath](), list[ScenarioProblem]()
    refused = error.errors(include_url=False)
    while True:
        gone = [taken for details in refused for path in _at_fault(details) if (taken := _left_out(values, path))]
        if not gone:
            return problems
        left_out += gone
        try:
            Scenario.model_validate_json(json.dumps(values), strict=True)
        except ValidationError as again:
            refused = again.errors(include_url=False)
        else:
            return problems
        found = [details for details in refused if details["type"] == "value_error"]
        problems += [_problem(details, root) for details in found if not _compares(details, left_out)]


def _left_out(values: dict[str, Any], path: KeyPath) -> KeyPath:
    """Take the value at `path`, or the list that it is an entry of, out of `values`; return its path, or an empty one.

    What is itself a section stays: its values were right, and only their relation was not.
    """
    parents: list[Any] = [values]
    for part in path:
        inside = parents[-1]
        known = part in inside if isinstance(inside, dict) else isinstance(inside, list) and isinstance(part, int)
        if not known:
            return ()
        parents.append(inside[part])
    end = len(path)
    while end and not isinstance(parents[end - 1], dict):
        end -= 1
    if not end or isinstance(parents[-1], dict):
        return ()
    parents[end - 1].pop(path[end - 1])
    return path[:end]


def _compares(details: ErrorDetails, left_out: Sequence[KeyPath]) -> bool:
    """Return whether a refusal is about a value that was left out, so that its default was compared instead."""
    return any(path[: len(gone)] == gone for path in _at_fault(details) for gone in left_out)


def _at_fault(details: ErrorDetails) -> list[KeyPath]:
    """Return the paths of the values that a refusal is about."""
    error, path = details.get("ctx", {}).get("error"), tuple(details["loc"])
    return _paths(error, path) if isinstance(error, RefusalError) else [path]


def _paths(error: RefusalError, path: KeyPath) -> list[KeyPath]:
    return [(*path, *key.split(".")) for key in error.keys] or [path]


def _problem(details: ErrorDetails, root: Written) -> ScenarioProblem:
    path, kind = tuple(details["loc"]), details["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path, root)
    if kind == "value_error":
        return _refused(details["ctx"]["error"], path, root)
    schema = schema_at(path) or {}
    if kind == "missing":
        purpose = str(schema.get("description", "")).rstrip(".").replace("``", "'")
        return problem_at(root, path, f"required: {purpose[:1].lower()}{purpose[1:]}")
    node, _ = find(root, path)
    hint = nearest(node.value, schema.get("enum", ())) if isinstance(node.value, str) else ""
    return problem_at(root, path, expectation(schema) + _decimal_point(node, schema), hint)


def _decimal_point(node: Written, schema: dict[str, Any]) -> str:
    """Return advice on a number that is written with a decimal comma, or an empty string."""
    match = _DECIMAL_COMMA.fullmatch(node.value) if isinstance(node.value, str) else None
    if match is None or schema.get("type") != "number":
        return ""
    return f"; the decimal mark is a point: write {match[1]}.{match[2]}"


def _unknown_key(path: KeyPath, root: Written) -> ScenarioProblem:
    section: dict[str, Any] = schema_at(path[:-1]) or {}
    keys: Sequence[str] = list(section.get("properties", ()))
    return problem_at(root, path, f"unknown key; allowed: {', '.join(keys)}", nearest(str(path[-1]), keys))


def _refused(error: Exception, path: KeyPath, root: Written) -> ScenarioProblem:
    if not isinstance(error, RefusalError):
        node, _ = find(root, path)
        schema = schema_at(path) or {}
        advice = _decimal_point(node, schema)
        no_number = schema.get("type") == "number" and str(error).startswith("expected a number")
        return problem_at(root, path, expectation(schema) + advice if advice or no_number else str(error))
    below = _paths(error, path)
    written = [key for key in below if find(root, key)[1]]
    return problem_at(root, (written or below)[0], error.allowed, error.hint)
