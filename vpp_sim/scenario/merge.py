"""One tree from many files: ``extends:``, named overrides, and dotted overrides.

Mappings are merged key by key, the later one winning; lists and values are replaced. What was written where stays
known, so a mistake in a base file is shown with the base file's line, and one in an option as the option was written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vpp_sim.errors import ScenarioProblem, nearest
from vpp_sim.scenario.written import Written, plain, written
from vpp_sim.scenario.yaml_lines import read_yaml, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["OVERRIDES", "merged_tree"]

OVERRIDES = "overrides"
"""What messages call the file of a dotted override; its line is the override's place in their list. Also the folder,
beside a scenario or above it, in which named overrides stand."""


def merged_tree(
    path: Path | str,
    overrides: Mapping[str, object],
    named: Sequence[Path | str],
    problems: list[ScenarioProblem],
) -> Written | None:
    """Return the tree of a scenario file with all that it extends and all that overrides it.

    Parameters
    ----------
    path : Path or str
        The scenario file.
    overrides : mapping of str to object
        Dotted key to value, applied last, in order: plain data, or a `Written` that knows its own place.
    named : sequence of Path or str
        Files of overrides, or their names in the folder ``overrides`` beside the scenario, applied in order.
    problems : list of ScenarioProblem
        Takes every problem found.

    Returns
    -------
    Written or None
        None if the scenario file itself cannot be read.
    """
    root = _with_bases(Path(path), (), problems)
    if root is None:
        return None
    for name in named:
        file = _named_file(Path(path), name, problems)
        layer = _with_bases(file, (), problems) if file is not None else None
        root = _merge(root, layer) if layer is not None else root
    for number, (key, value) in enumerate(overrides.items(), start=1):
        root = _set(root, key, value, number, problems)
    return root


def _merge(base: Written, layer: Written) -> Written:
    if not (isinstance(base.value, dict) and isinstance(layer.value, dict)):
        return layer
    merged = dict(base.value)
    for name, child in layer.value.items():
        merged[name] = _merge(merged[name], child) if name in merged else child
    return Written(merged, layer.file, layer.line)


def _with_bases(path: Path, above: tuple[Path, ...], problems: list[ScenarioProblem]) -> Written | None:
    """Read `path` on top of what it extends; `above` are the files that extend it."""
    tree = read_yaml(path, problems)
    if tree is None:
        return None
    if not isinstance(tree.value, dict):
        seen = show(plain(tree))
        problems.append(ScenarioProblem(tree.file, tree.line, "scenario", seen, "expected a mapping of sections"))
        return None
    own = dict(tree.value)
    extends = own.pop("extends", None)
    root: Written | None = None
    for entry in _base_entries(extends, problems) if extends is not None else []:
        base = _base(entry, path, (*above, path), problems)
        if base is not None:
            root = base if root is None else _merge(root, base)
    layer = Written(own, tree.file, tree.line)
    return layer if root is None else _merge(root, layer)


def _base_entries(extends: Written, problems: list[ScenarioProblem]) -> list[Written]:
    entries = extends.value if isinstance(extends.value, list) else [extends]
    if entries and all(isinstance(entry.value, str) for entry in entries):
        return entries
    allowed = "expected the path of a file relative to this one, or a list of them"
    problems.append(ScenarioProblem(extends.file, extends.line, "extends", show(plain(extends)), allowed))
    return []


def _base(entry: Written, path: Path, chain: tuple[Path, ...], problems: list[ScenarioProblem]) -> Written | None:
    base = Path(os.path.normpath(path.parent / str(entry.value)))
    place = (entry.file, entry.line, "extends", str(entry.value))
    if base.resolve() in [file.resolve() for file in chain]:
        cycle = " -> ".join(os.fspath(file) for file in (*chain, base))
        problems.append(ScenarioProblem(*place, f"expected files that do not extend one another: {cycle}"))
        return None
    if not base.is_file():
        problems.append(ScenarioProblem(*place, f"no such file: {base}", _nearest_file(str(entry.value), path.parent)))
        return None
    return _with_bases(base, chain, problems)


def _nearest_file(name: str, folder: Path) -> str:
    return nearest(name, [item.relative_to(folder).as_posix() for item in sorted(folder.glob("**/*.y*ml"))])


def _named_file(scenario: Path, name: Path | str, problems: list[ScenarioProblem]) -> Path | None:
    asked = Path(name)
    if asked.suffix in {".yaml", ".yml"}:
        return asked
    folders = [folder / OVERRIDES for folder in (scenario.parent, *scenario.parent.parents)]
    found = [folder / f"{asked}.yaml" for folder in folders if (folder / f"{asked}.yaml").is_file()]
    if found:
        return found[0]
    names = sorted({item.stem for folder in folders for item in folder.glob("*.yaml")})
    allowed = f"expected a file, or one of the named overrides: {', '.join(names) or 'there are none'}"
    place = (os.fspath(scenario), 1, "named override", str(name))
    problems.append(ScenarioProblem(*place, allowed, nearest(str(name), names)))
    return None


def _set(root: Written, key: str, value: object, number: int, problems: list[ScenarioProblem]) -> Written:
    """Return `root` with `value` at the dotted `key`, merged or in place of what is there.

    Unless `value` knows its own place, that is its `number` among the overrides.
    """
    file, line = (value.file, value.line) if isinstance(value, Written) else (OVERRIDES, number)
    try:
        leaf = value if isinstance(value, Written) else written(value, file, line)
    except (TypeError, ValueError) as error:
        shown = show(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
        problems.append(ScenarioProblem(file, line, key, shown, str(error)))
        return root
    parts = key.split(".")
    if not all(parts):
        allowed = "expected keys joined by dots, such as clock.days"
        problems.append(ScenarioProblem(file, line, key or '""', show(plain(leaf)), allowed))
        return root
    refusal = _refusal(root, parts)
    if refusal:
        problems.append(ScenarioProblem(file, line, key, show(plain(leaf)), refusal))
        return root
    return _replaced(root, parts, leaf)


def _refusal(node: Written, parts: list[str]) -> str:
    """Return why nothing can be set at `parts` below `node`, or an empty string."""
    for depth, part in enumerate(parts):
        here = ".".join(parts[:depth])
        if isinstance(node.value, list):
            if not (part.isdecimal() and int(part) < len(node.value)):
                return f"{here} is a list; expected a position from 0 to {len(node.value) - 1}"
            node = node.value[int(part)]
        elif isinstance(node.value, dict):
            if part not in node.value:
                return ""
            node = node.value[part]
        elif node.value is None:
            return ""
        else:
            return f"{here} is a value ({show(node.value)}), not a section"
    return ""


def _replaced(node: Written, parts: list[str], leaf: Written) -> Written:
    if not parts:
        return _merge(node, leaf)
    head, rest = parts[0], parts[1:]
    if isinstance(node.value, list):
        items = list(node.value)
        items[int(head)] = _replaced(items[int(head)], rest, leaf)
        return Written(items, node.file, node.line)
    children = dict(node.value) if isinstance(node.value, dict) else {}
    below = children.get(head, Written(None, leaf.file, leaf.line))
    children[head] = _replaced(below, rest, leaf)
    return Written(children, node.file, node.line)
