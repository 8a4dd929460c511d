"""The sources keep their documentation complete and their style."""

import re
from pathlib import Path

import pytest

SOURCES = sorted((Path(__file__).parents[2] / "contracts" / "src").rglob("*.sol"))
INTERFACES = [path for path in SOURCES if path.parent.name == "interfaces"]
DECLARATION = re.compile(
    r"((?:^ *///[^\n]*\n)*)^ *(function|event|error|constructor)\b ?(\w*)\(([^)]*)\)([^;{]*)[;{]", re.M
)
UNITS = {"MicroEuro": "[micro-euro]", "WattHour": "[Wh]"}


def declarations(path):
    for doc, kind, name, parameters, rest in DECLARATION.findall(path.read_text(encoding="utf-8")):
        arguments = [part.split() for part in parameters.replace("\n", " ").split(",") if part.strip()]
        yield doc, kind, name or kind, arguments, rest


def cases(paths):
    return [pytest.param(*found, id=f"{path.stem}-{found[2]}") for path in paths for found in declarations(path)]


def test_all_declarations_are_seen():
    names = {found[2] for path in INTERFACES for found in declarations(path)}
    assert {"settleNetted", "PeriodSettled", "MarketUnbalancedEnergy", "mint", "accounts"} <= names
    assert len(cases(INTERFACES)) >= 30


@pytest.mark.parametrize(("doc", "kind", "name", "arguments", "rest"), cases(INTERFACES))
def test_interfaces_document_every_name_with_its_unit(doc, kind, name, arguments, rest):
    assert "@notice" in doc
    for type_name, *_, argument in arguments:
        line = re.search(rf"@param {argument} (.*)", doc)
        assert line, f"{name}: no @param {argument}"
        assert UNITS.get(type_name.removesuffix("[]"), "") in line[1]
    if kind == "function":
        assert "may call" in doc
        assert re.search(r"[Nn]ever", doc)
        assert ("@return" in doc) == ("returns" in rest)


@pytest.mark.parametrize(
    ("doc", "kind", "name", "arguments", "rest"), cases([path for path in SOURCES if path not in INTERFACES])
)
def test_code_inherits_or_carries_documentation(doc, kind, name, arguments, rest):
    assert kind in ("function", "constructor"), "errors and events stand in the interfaces"
    assert re.search(r"@(inheritdoc|notice|dev) \S", doc)


ASSEMBLY = {
    "SettlementEntries": [
        'assembly ("memory-safe") {\n            word := calldataload(add(entries.offset, offset))\n        }'
    ]
}
"""All of it, by file: none writes anything."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_sources_keep_the_style(path):
    text = path.read_text(encoding="utf-8")
    code = re.sub(r"//[^\n]*", "", text)
    assert text.startswith("// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\n")
    assert re.findall(r"\bassembly\b[^}]*}", code) == ASSEMBLY.get(path.stem, [])
    assert not re.search(r"\brequire\(|\btx\.origin\b|\bselfdestruct\b", code)
    assert not re.search(r"^\s+(mapping|address|uint\w*|int\w*)\b[^;=(]*\b(public|internal) \w+;", code, re.M)
    for before in text.split("unchecked {")[:-1]:
        assert before.rstrip().rsplit("\n", 1)[-1].lstrip().startswith("// "), "unchecked needs its reason"
