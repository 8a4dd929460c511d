"""The JSON Schema of scenario files: what editors complete and check, and where messages learn what is allowed."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from vpp_sim.scenario.scenario import Scenario
from vpp_sim.units import format_duration

if TYPE_CHECKING:
    from vpp_sim.scenario.written import KeyPath

__all__ = ["expectation", "json_schema", "schema_at"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXTENDS = {
    "title": "Extends",
    "description": "Files, relative to this one, whose sections this file completes and overrides, in order.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SIGNS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
_UNITS = {"1": "", "d": " of days"}
_NAME_PATTERN = r"^[a-z][a-z0-9_]*$"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file.

    A file that extends another may leave out what its base says, so keys are required only where nothing is extended,
    and in the entries of lists, which are never merged. Every number carries its ``unit``.
    """
    schema = _repaired_schema()
    merged: list[dict[str, Any]] = []
    required = _merged_required(schema, schema, merged)
    for section in merged:
        section.pop("required", None)
    schema["properties"] = {"extends": dict(_EXTENDS), **schema["properties"]}
    return {
        "$schema": _DIALECT,
        **schema,
        "title": "Scenario of vpp_sim",
        "if": {"not": {"required": ["extends"]}},
        "then": required,
    }


def schema_at(path: KeyPath) -> dict[str, Any] | None:
    """Return the schema of the value at `path`, with references resolved; None if there is no such key."""
    root = _cached_schema()
    node = _dereferenced(root, root)
    for part in path:
        child = node["properties"].get(part) if "properties" in node else node.get("items")
        if child is None:
            return None
        node = _dereferenced(child, root)
    return node


def expectation(schema: dict[str, Any]) -> str:
    """Return in words what values `schema` allows.

    Examples
    --------
    >>> expectation({"type": "number", "unit": "kW", "minimum": 0})
    'expected a number in kW, >= 0'
    >>> expectation({"type": "string", "enum": ["flat", "data"]})
    'expected one of flat, data'
    """
    signs = {word: sign for word, sign in _SIGNS.items() if word in schema}
    if "exclusiveMinimum" in schema and schema.get("minimum", -math.inf) <= schema["exclusiveMinimum"]:
        signs.pop("minimum", None)
    bounds = [f"{sign} {schema[word]:g}" for word, sign in signs.items()]
    return ", ".join([f"expected {_kind(schema)}", *bounds]) + (" or null" if schema.get("nullable") else "")


def _kind(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if "properties" in schema:
        return "a section with the keys " + ", ".join(schema["properties"])
    if schema.get("type") == "string" and schema.get("unit") == "s":
        return "a duration with its unit, such as 12s, 15min, 24h or 7d"
    if schema.get("pattern") == _NAME_PATTERN:
        return "a name of lower-case letters, digits and _, beginning with a letter"
    if schema.get("type") == "array" and "items" in schema:
        return "a list, each entry " + _kind(schema["items"])
    unit = _UNITS.get(schema.get("unit", "1"), f" in {schema.get('unit')}")
    words = {"number": "a number", "integer": "a whole number", "boolean": "true or false", "string": "text"}
    return words.get(str(schema.get("type")), "another value") + unit


def _repaired_schema() -> dict[str, Any]:
    schema = Scenario.model_json_schema()
    _repair_bounds(schema)
    for section in (schema, *schema["$defs"].values()):
        for child in section["properties"].values():
            if "default" in child:
                child["default"] = _as_written(child["default"], _dereferenced(child, schema), schema)
    return schema


_cached_schema = cache(_repaired_schema)


def _dereferenced(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Return `node` with its reference followed, and its choice narrowed to what is neither null nor text with unit."""
    if "$ref" in node:
        target = root["$defs"][node["$ref"].rpartition("/")[2]]
        return _dereferenced({**target, **{key: value for key, value in node.items() if key != "$ref"}}, root)
    if "anyOf" not in node:
        return node
    choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    nullable = {"nullable": True} if len(choices) < len(node["anyOf"]) else {}
    return _dereferenced({**choices[0], **rest, **nullable}, root)


def _as_written(default: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Return a default as a file would hold it: durations with their unit."""
    if isinstance(default, dict):
        parts = schema["properties"]
        return {name: _as_written(value, _dereferenced(parts[name], root), root) for name, value in default.items()}
    if isinstance(default, int) and schema.get("unit") == "s":
        return format_duration(default)
    return default


def _repair_bounds(node: Any) -> None:
    """Give bounds their JSON Schema names, on numbers; pydantic leaves its own where input may also be text."""
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _repair_bounds(child)
    if not isinstance(node, dict):
        return
    bounds = {_BOUNDS[word]: node.pop(word) for word in _BOUNDS if word in node and not isinstance(node[word], dict)}
    for choice in node.get("anyOf", []):
        if choice.get("type") in {"number", "integer"}:
            choice.update(bounds)


def _merged_required(node: dict[str, Any], root: dict[str, Any], merged: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what `node` and the sections below it require, as a schema of its own; `merged` takes those sections."""
    merged.append(node)
    result: dict[str, Any] = {"required": node["required"]} if "required" in node else {}
    below = {
        name: _merged_required(root["$defs"][child["$ref"].rpartition("/")[2]], root, merged)
        for name, child in node.get("properties", {}).items()
        if "$ref" in child
    }
    properties = {name: nested for name, nested in below.items() if nested}
    return {**result, "properties": properties} if properties else result
