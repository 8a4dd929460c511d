"""The JSON Schema of scenario files says of every number its unit, and of every key what it is for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vpp_sim.registry import CONTROLLERS, FORECASTERS
from vpp_sim.scenario import json_schema
from vpp_sim.scenario.schema import expectation, schema_at

SCHEMA = json_schema()
# The vocabularies of JSON Schema draft 2020-12 that are used here; ``unit`` is our annotation.
KEYWORDS = {
    "$schema", "$defs", "$ref", "title", "description", "default", "type", "properties", "required", "items", "anyOf",
    "additionalProperties", "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minItems", "if", "then", "not", "format", "unit",
}  # fmt: skip


def properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, section in {"Scenario": schema, **schema["$defs"]}.items():
        for key, child in section["properties"].items():
            yield f"{name}.{key}", child


def leaves(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from leaves(child)
    elif isinstance(node, list):
        for child in node:
            yield from leaves(child)


@pytest.mark.parametrize(("key", "child"), [pytest.param(*found, id=found[0]) for found in properties(SCHEMA)])
def test_every_key_says_what_it_is_for(key: str, child: dict[str, Any]) -> None:
    described = {**(SCHEMA["$defs"][child["$ref"].rpartition("/")[2]] if "$ref" in child else {}), **child}
    assert len(described.get("description", "")) >= 10, f"{key} has no description"


@pytest.mark.parametrize(("key", "child"), [pytest.param(*found, id=found[0]) for found in properties(SCHEMA)])
def test_every_number_has_a_unit(key: str, child: dict[str, Any]) -> None:
    numeric = [leaf for leaf in leaves(child) if leaf.get("type") in {"number", "integer"}]
    units = [leaf["unit"] for leaf in leaves(child) if "unit" in leaf]
    assert bool(numeric) <= bool(units), f"{key} is a number without a unit"
    suffix = {"kwh": "kWh", "kw": "kW", "eur": "EUR"}.get(key.rpartition("_")[2])
    expected = "EUR/kWh" if key.endswith("_eur_per_kwh") else suffix
    assert expected is None or set(units) == {expected}, f"{key} is named for {expected}, but has {units}"


def test_the_schema_uses_the_words_of_its_dialect() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Scenario of vpp_sim"
    names = {key for _, child in properties(SCHEMA) for key in child} | set(SCHEMA)
    assert names <= KEYWORDS
    bounds = [leaf for leaf in leaves(SCHEMA) if {"minimum", "maximum", "exclusiveMinimum"} & set(leaf)]
    assert bounds
    assert all(leaf["type"] in {"number", "integer"} for leaf in bounds if "type" in leaf)
    json.dumps(SCHEMA, allow_nan=False)


def test_names_are_those_of_the_registries() -> None:
    assert SCHEMA["$defs"]["ForecasterSpec"]["properties"]["kind"]["enum"] == list(FORECASTERS.names)
    assert SCHEMA["$defs"]["StorageSpec"]["properties"]["kind"]["enum"] == list(CONTROLLERS.names)


def test_defaults_are_written_as_a_file_would_hold_them() -> None:
    assert SCHEMA["$defs"]["ClockSpec"]["properties"]["step"]["default"] == "1h"
    assert SCHEMA["properties"]["chain"]["default"]["block_time"] == "12s"
    assert SCHEMA["$defs"]["BatterySpec"]["properties"]["capacity_kwh"] == {
        "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": ".*kWh$"}],
        "default": 6.4,
        "description": "Energy between empty and full; 0 means no battery.",
        "title": "Capacity Kwh",
        "unit": "kWh",
    }


def test_what_a_base_may_say_is_required_only_without_a_base() -> None:
    assert "extends" in SCHEMA["properties"]
    assert SCHEMA["if"] == {"not": {"required": ["extends"]}}
    assert SCHEMA["then"]["required"] == ["name", "clock", "prosumers"]
    assert SCHEMA["then"]["properties"]["clock"] == {"required": ["start"]}
    assert SCHEMA["then"]["properties"]["forecasting"]["properties"]["solar"] == {"required": ["kind"]}
    assert "required" not in SCHEMA
    assert "required" not in SCHEMA["$defs"]["ClockSpec"]
    assert SCHEMA["$defs"]["ProsumerGroupSpec"]["required"] == ["group", "data"]


def test_a_second_schema_is_not_spoilt_by_changing_the_first() -> None:
    first = json_schema()
    first["properties"].clear()
    assert json_schema() == SCHEMA


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("clock", "days"), "expected a whole number of days, >= 1"),
        (("clock", "step"), "expected a duration with its unit, such as 12s, 15min, 24h or 7d"),
        (("prosumers", 3, "battery", "power_kw"), "expected a number in kW, >= 0"),
        (("prosumers", 0, "battery", "efficiency"), "expected a number, > 0, <= 1"),
        (("prosumers", 0, "pv_capacity_kw"), "expected a number in kW, >= 0 or null"),
        (("chain",), "expected a section with the keys backend, url, keys, allow_main_network, settlement, every, "
         "challenge_window, block_time, block_times, confirmations, resend_after, gas_price_gwei, native_eur, faults, "
         "deposit_eur or null"),
        (("chain", "deposit_eur"), "expected a number in EUR, > 0, <= 1e+09"),
        (("market", "wholesale", "kind"), "expected day_ahead"),
        (("pricing", "retail", "elasticity"), "expected a number, < 0"),
        (("description",), "expected text"),
    ],
)  # fmt: skip
def test_what_is_allowed_is_said_in_words(path: tuple[str | int, ...], words: str) -> None:
    schema = schema_at(path)
    assert schema is not None
    assert expectation(schema) == words


def test_there_is_no_schema_of_what_is_no_key() -> None:
    assert schema_at(("clock", "dais")) is None
    assert schema_at(("seed", "x")) is None


def test_shipped_scenarios_use_only_keys_of_the_schema() -> None:
    from vpp_sim.scenario.written import plain
    from vpp_sim.scenario.yaml_lines import read_yaml

    files = sorted((Path(__file__).parents[3] / "scenarios").rglob("*.yaml"))
    assert files
    for file in files:
        tree = read_yaml(file, problems := [])
        assert problems == []
        assert tree is not None
        assert set(plain(tree)) <= set(SCHEMA["properties"]), file
