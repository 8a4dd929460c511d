"""Paths in a scenario: relative to the file that names them, and checked before a run begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vpp_sim.errors import ScenarioError
from vpp_sim.scenario.written import Written

if TYPE_CHECKING:
    from vpp_sim.scenario.loader import LoadedScenario

__all__ = ["require_paths", "with_absolute_paths"]

_FOLDERS = ("forecasting.demand.model", "forecasting.solar.model")
_FILES = ("forecasting.weather.path",)


def with_absolute_paths(root: Written) -> Written:
    """Return the tree of a scenario with its paths made absolute.

    A relative path starts from the folder of the file that it is written in; from the working directory if it is
    written in no file, but in an option or an override.
    """
    for key in (*_FOLDERS, *_FILES):
        root = _absolute(root, key.split("."))
    return root


def require_paths(loaded: LoadedScenario) -> None:
    """Raise unless the files and folders that a scenario names exist.

    Raises
    ------
    ScenarioError
        Naming file, line, key and path of every one that does not.
    """
    problems = []
    for keys, what, exists in ((_FOLDERS, "folder", Path.is_dir), (_FILES, "file", Path.is_file)):
        for key in keys:
            path = _value(loaded, key)
            if path is not None and not exists(path):
                problems.append(loaded.problem(key, f"no such {what}: {path}"))
    if problems:
        raise ScenarioError(problems)


def _absolute(node: Written, parts: list[str]) -> Written:
    if not parts:
        if not isinstance(node.value, str):
            return node
        in_file = node.line > 0 and Path(node.file).is_file()
        folder = Path(node.file).parent if in_file else Path()
        return Written(os.path.abspath(folder / node.value), node.file, node.line)
    if not isinstance(node.value, dict) or parts[0] not in node.value:
        return node
    below = _absolute(node.value[parts[0]], parts[1:])
    return Written({**node.value, parts[0]: below}, node.file, node.line)


def _value(loaded: LoadedScenario, key: str) -> Path | None:
    section: object = loaded.scenario
    for part in key.split("."):
        section = getattr(section, part)
    return section if isinstance(section, Path) else None
