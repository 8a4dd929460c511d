"""Every custom error and event of the market's contracts is met by some test."""

import re
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[2] / "contracts" / "src" / "interfaces"
TESTS = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if path.name != Path(__file__).name
)
NAMES = [
    name
    for path in sorted(CONTRACTS.glob("*.sol"))
    if path.stem != "ISettlementCurrency"
    for name in re.findall(r"^ {4}error (\w+)\(", path.read_text(encoding="utf-8"), re.M)
]


@pytest.mark.parametrize("name", NAMES)
def test_every_error_is_provoked(name):
    assert f'"{name}"' in TESTS or f'match="{name}' in TESTS


def test_the_errors_are_seen():
    assert len(NAMES) >= 45
    assert len(set(NAMES)) == len(NAMES)
