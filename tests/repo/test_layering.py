"""Imports point down the house only, and the libraries between devices and runs never import one another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vpp_sim

ROOT = Path(vpp_sim.__file__).parent

LIBRARIES = ("forecasting", "ess", "pricing", "demand_response", "market", "network", "chain")
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "units", "arrays", "registry"),
    ("scenario",),
    ("data",),
    ("kernel",),
    ("devices",),
    LIBRARIES,
    ("runs",),
    ("agents",),
    ("simulation",),
    ("training",),
    ("backtesting",),
    ("trials",),
    ("pretrained",),
    ("sweeps",),
    ("figures",),
    ("server",),
    ("cli",),
)
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}
GROUND = FLOORS[0]
KNOWS_NO_EVENT_LOOP = ("data", "devices", *LIBRARIES, "runs", "training", "backtesting", "trials", "sweeps", "figures")
KNOWS_NO_YAML = (
    "data",
    "kernel",
    "devices",
    *LIBRARIES,
    "runs",
    "agents",
    "simulation",
    "training",
    "backtesting",
    "trials",
)


def part_of(module: str) -> str:
    """Return which part of the house a dotted module belongs to: the name below ``vpp_sim``, or an empty string."""
    return [*module.split("."), ""][1]


def imported(tree: ast.Module, module: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """Yield every module that is imported anywhere in `tree`, in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if is_package else module.split(".")[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base, node.lineno
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return what `source`, the text of `module`, imports and may not."""
    here = part_of(module)
    found = []
    for name, line in imported(ast.parse(source), module, is_package):
        top, there = name.split(".")[0], part_of(name)
        if top == "simpy" and here in KNOWS_NO_EVENT_LOOP:
            found.append(f"{module}:{line}: {here} knows no event loop, but imports {name}")
        if top in {"ruamel", "yaml"} and here in KNOWS_NO_YAML:
            found.append(f"{module}:{line}: {here} knows no YAML, but imports {name}")
        if top != "vpp_sim" or not there or there == here or there == "__version__":
            continue
        if there not in FLOOR_OF:
            found.append(f"{module}:{line}: imports {name}, which stands on no floor")
        elif here in GROUND and there in GROUND:
            continue
        elif here and FLOOR_OF[there] >= FLOOR_OF[here]:
            found.append(f"{module}:{line}: {here} may not import {there}")
    return sorted(set(found))


def test_every_part_stands_on_a_floor() -> None:
    parts = {part_of(module) for module, _ in modules()} - {""}
    assert parts <= set(FLOOR_OF), f"no floor is named for {sorted(parts - set(FLOOR_OF))}"


def test_imports_point_down() -> None:
    found = [
        breach
        for module, path in modules()
        for breach in breaches(module, path.read_text("utf-8"), is_package=path.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


def test_libraries_know_no_scenario() -> None:
    found = [
        f"{module}:{line} imports {name}"
        for module, path in modules()
        if part_of(module) in {*LIBRARIES, "devices", "kernel", "runs"}
        for name, line in imported(ast.parse(path.read_text("utf-8")), module, path.name == "__init__.py")
        if name.startswith("vpp_sim.scenario")
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("vpp_sim.ess.rules", "from vpp_sim.pricing import retail", "ess may not import pricing"),
        ("vpp_sim.ess.rules", "def f():\n    import vpp_sim.agents.ledger", "ess may not import agents"),
        ("vpp_sim.data.homes", "if TYPE_CHECKING:\n    from ..runs import kpis", "data may not import runs"),
        ("vpp_sim.units", "import vpp_sim.scenario", "units may not import scenario"),
        ("vpp_sim.data.homes", "from vpp_sim import kernel", "data may not import kernel"),
        ("vpp_sim.market.clearing", "import simpy", "market knows no event loop"),
        ("vpp_sim.chain.client", "from ruamel.yaml import YAML", "chain knows no YAML"),
        ("vpp_sim.cli.main", "import vpp_sim.helpers", "stands on no floor"),
    ],
)
def test_a_breach_is_seen(module: str, source: str, breach: str) -> None:
    assert any(breach in found for found in breaches(module, source)), breaches(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("vpp_sim.ess.rules", "from vpp_sim.devices.battery import Battery\nfrom vpp_sim.ess import protocol"),
        ("vpp_sim.registry", "from vpp_sim.errors import UserError"),
        ("vpp_sim.kernel.loop", "import simpy"),
        ("vpp_sim.cli.main", "from vpp_sim import __version__"),
    ],
)
def test_what_is_allowed_is_no_breach(module: str, source: str) -> None:
    assert breaches(module, source) == []
