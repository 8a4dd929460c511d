"""What stands in the repository: its top level, its dependencies, and nothing of the machine it was written on."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
OPTIONAL = PROJECT["optional-dependencies"]
EXTRAS = [Requirement(text) for texts in OPTIONAL.values() for text in texts]
OFFERED = [Requirement(text) for extra, texts in OPTIONAL.items() if extra != "dev" for text in texts]
PINS = {
    canonicalize_name(name): Version(version)
    for name, _, version in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line
    )
}
TOP_LEVEL = {
    ".ci", ".github", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "constraints.txt", "contracts",
    "docs", "experiments", "pyproject.toml", "results", "scenarios", "tests", "vpp_sim",
}  # fmt: skip
INSEPARABLE = {"pydantic_core": "pydantic"}
"""Libraries that come with another in one exact version."""
UNBOUNDED = {"pandas-stubs", "tzdata"}
"""Follow other packages' versions, or the calendar."""
MACHINES = re.compile(r"(?<![\w.:~])/(?:home|root|Users|work|tmp|mnt)/[\w.-]+|[A-Z]:\\Users\\")
REGISTRIES = re.compile(r"(?:files\.pythonhosted|registry\.npmjs|registry\.yarnpkg)\.(?:org|com)", re.IGNORECASE)
BINARY = {".parquet", ".safetensors", ".png", ".zip", ".npz", ".ico"}


def tracked() -> list[Path]:
    """Return the files under version control; there are none to judge where there is no repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        if path.suffix not in BINARY:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def test_the_top_level_is_the_one_we_know() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert found <= TOP_LEVEL, f"new at the top level: {sorted(found - TOP_LEVEL)}"


@pytest.mark.parametrize(("pattern", "what"), [(MACHINES, "a path of one machine"), (REGISTRIES, "a registry's host")])
def test_no_text_names_where_it_was_written(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{path}:{text[: match.start()].count(chr(10)) + 1}: {match[0]}"
        for path, text in texts()
        for match in pattern.finditer(text)
    ]
    assert not found, f"{what}:\n" + "\n".join(found[:20])


def test_the_patterns_see_what_they_are_for() -> None:
    slash = "/"
    assert MACHINES.search(f"see {slash}home{slash}anna{slash}x.yaml")
    assert MACHINES.search(f'"{slash}tmp{slash}a"')
    assert not MACHINES.search(f"https://example.org{slash}work{slash}a")
    assert not MACHINES.search(f"homes{slash}home_1 and results{slash}work{slash}a")
    assert REGISTRIES.search("https://files.pythonhosted" + ".org/packages")


@pytest.mark.parametrize("requirement", [*RUNTIME, *EXTRAS], ids=lambda requirement: requirement.name)
def test_a_dependency_is_bounded_and_its_pin_lies_within(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    operators = {specifier.operator for specifier in requirement.specifier}
    if name not in UNBOUNDED:
        assert operators == {"=="} or ({">="} <= operators and operators & {"<", "<=", "~="}), f"{requirement}: bounds"
    assert name in PINS, f"{name} is not pinned in constraints.txt"
    assert requirement.specifier.contains(PINS[name], prereleases=True), f"{requirement} excludes {PINS[name]}"


def test_the_project_names_its_licence_and_its_pythons() -> None:
    assert PROJECT["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert PROJECT["requires-python"] == ">=3.11"


def imported_libraries() -> dict[str, str]:
    """Return the top-level names that the package imports from elsewhere, each with one place."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "vpp_sim").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.split(".")[0], f"{path.relative_to(ROOT)}:{node.lineno}")
    return {name: place for name, place in found.items() if name not in {*sys.stdlib_module_names, "vpp_sim"}}


def test_every_library_that_is_imported_is_declared() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in [*RUNTIME, *OFFERED]}
    owners = packages_distributions()
    undeclared = {
        name: place
        for name, place in imported_libraries().items()
        if not {canonicalize_name(owner) for owner in [INSEPARABLE.get(name, name), *owners.get(name, [])]} & declared
    }
    assert not undeclared, f"imported, but no dependency in pyproject.toml: {undeclared}"


def test_every_file_is_small_enough_to_read() -> None:
    lines = {path: text.count("\n") for path, text in texts() if path.suffix in {".py", ".sol"}}
    long = {str(path): count for path, count in lines.items() if count > 600}
    assert not long, f"longer than 600 lines: {long}"
    package = sorted(count for path, count in lines.items() if path.parts[0] == "vpp_sim")
    assert package[len(package) // 2] <= 200
