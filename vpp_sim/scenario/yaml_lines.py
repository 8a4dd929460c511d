"""YAML with its line numbers: reads YAML 1.2 into a tree whose every value knows the file and line it came from.

Only data is read: no tags that build objects, no merge keys, no directives. Dates stay text. What a reader of other
YAML dialects would trip over (``12:30`` as 750, ``on`` as true) means here what it says: text.
"""

from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import CollectionNode, MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from vpp_sim.errors import ScenarioProblem, nearest
from vpp_sim.scenario.written import MOST_DIGITS, MOST_LEVELS, TOO_DEEP, TOO_LONG, Written, plain, refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ruamel.yaml.nodes import Node

    from vpp_sim.scenario.written import Scalar

__all__ = ["dump_yaml", "parse_value", "read_yaml", "show"]

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {_TAG + "str", _TAG + "timestamp", _TAG + "value"}
_MOST_NODES = 100_000
_LONGEST_SHOWN = 60


class _TooLargeError(Exception):
    """Aliases of aliases that grow beyond what a scenario can mean."""


class _TooDeepError(ScannerError):
    """More levels than `MOST_LEVELS`."""


class _Scanner(Scanner):
    """Refuses deep nesting where it begins; the time that the scanner takes grows with the square of its depth."""

    def add_indent(self, column: int) -> bool:
        added = bool(super().add_indent(column))
        self._bound(len(self.indents))
        return added

    def fetch_flow_collection_start(self, TokenClass: Any, to_push: str) -> None:
        self._bound(len(self.flow_context) + 1)
        super().fetch_flow_collection_start(TokenClass, to_push)

    def _bound(self, levels: int) -> None:
        if levels > MOST_LEVELS:
            raise _TooDeepError(problem=TOO_DEEP, problem_mark=self.reader.get_mark())


class _Reader:
    """Turns the nodes of one file into `Written`, noting every problem on the way."""

    def __init__(self, yaml: YAML, file: str, problems: list[ScenarioProblem]) -> None:
        self._yaml, self._file, self._problems = yaml, file, problems
        self._open: set[int] = set()
        self._nodes = 0

    def read(self, node: Node, key: str, line: int) -> Written:
        """Return `node`, which is the value of `key` on `line`."""
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise _TooLargeError
        if id(node) in self._open:
            self._note(line, key, "an alias", "expected a value that does not contain itself")
            return Written(None, self._file, line)
        if isinstance(node, CollectionNode) and len(self._open) >= MOST_LEVELS:
            self._note(line, key, "a list or mapping", TOO_DEEP)
            return Written(None, self._file, line)
        self._open.add(id(node))
        value = self._value(node, key, line)
        self._open.discard(id(node))
        return Written(value, self._file, line)

    def _value(self, node: Node, key: str, line: int) -> Scalar | dict[str, Written] | list[Written]:
        if isinstance(node, MappingNode) and str(node.tag) == _TAG + "map":
            return self._mapping(node, key)
        if isinstance(node, SequenceNode) and str(node.tag) == _TAG + "seq":
            return [
                self.read(item, _join(key, str(index)), item.start_mark.line + 1)
                for index, item in enumerate(node.value)
            ]
        if isinstance(node, ScalarNode):
            return self._scalar(node, key, line)
        self._note(line, key, str(node.tag), "expected plain data, without tags")
        return None

    def _mapping(self, node: MappingNode, key: str) -> dict[str, Written]:
        result: dict[str, Written] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, ScalarNode) or str(name_node.tag) not in _TEXT_TAGS:
                self._refuse_key(name_node, key, line)
                continue
            name = str(name_node.value)
            if name in result:
                first = result[name].line
                shown = show(plain(self.read(value_node, _join(key, name), line)))
                self._note(line, _join(key, name), shown, f"duplicate key; first written on line {first}")
                continue
            result[name] = self.read(value_node, _join(key, name), line)
        return result

    def _refuse_key(self, name_node: Node, key: str, line: int) -> None:
        shown = str(name_node.value) if isinstance(name_node, ScalarNode) else "(a list or mapping)"
        allowed = f'expected a name as key, such as "{shown}" in quotes'
        if str(name_node.tag) == _TAG + "merge":
            allowed = "expected no merge keys; share sections through 'extends'"
        elif not isinstance(name_node, ScalarNode):
            allowed = "expected a name as key"
        self._note(line, _join(key, shown), "...", allowed)

    def _scalar(self, node: ScalarNode, key: str, line: int) -> Scalar:
        tag, text = str(node.tag), str(node.value)
        refusal, value = "expected plain data: text, a number, true, false or null", None
        if tag == _TAG + "int" and len(text.lstrip("+-")) > MOST_DIGITS:  # Python refuses to print the longest
            refusal = TOO_LONG
        else:
            try:
                value = text if tag in _TEXT_TAGS else self._yaml.constructor.construct_object(node)
                if value is None or isinstance(value, str | bool | int | float):
                    refusal = refusal_of(value)
            except (YAMLError, ValueError, ArithmeticError, LookupError):
                value = None
        if not refusal:
            return value
        self._note(line, key, ascii(text) if isinstance(value, str) else text, refusal)
        return None

    def _note(self, line: int, key: str, value: str, allowed: str) -> None:
        self._problems.append(ScenarioProblem(self._file, line, key or "scenario", _short(value), allowed))


def read_yaml(path: Path | str, problems: list[ScenarioProblem]) -> Written | None:
    """Return the tree that the file holds, or None if it cannot be read at all.

    Parameters
    ----------
    path : Path or str
        A file of YAML 1.2, UTF-8.
    problems : list of ScenarioProblem
        Takes every problem found: syntax, duplicate keys, keys that are no names, values that are no plain data.
    """
    file = os.fspath(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(ScenarioProblem(file, line, "scenario", "bytes", "expected text in UTF-8"))
        return None
    except OSError as error:
        problems.append(_unreadable(path, error))
        return None
    return _read_text(text, file, problems)


def parse_value(text: str) -> object:
    """Return the plain data that `text` stands for when it is written as a YAML value.

    Raises
    ------
    ValueError
        If the text is no YAML value.

    Examples
    --------
    >>> parse_value("12.8"), parse_value("15min"), parse_value("[1, 2]"), parse_value("null")
    (12.8, '15min', [1, 2], None)
    """
    problems: list[ScenarioProblem] = []
    if not text.strip():
        return None
    tree = _read_text(text, "value", problems)
    if problems or tree is None:
        raise ValueError("; ".join(problem.allowed for problem in problems))
    return plain(tree)


def dump_yaml(value: object) -> str:
    """Return plain data as YAML 1.2, in the order of its keys.

    Examples
    --------
    >>> print(dump_yaml({"step": "1h", "gate": "12:00", "homes": [1, 2]}), end="")
    step: 1h
    gate: 12:00
    homes:
    - 1
    - 2
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    yaml.allow_unicode = True
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue()


def show(value: object) -> str:
    """Return plain data as a message quotes it: scalars as YAML, sections and long lists shortened.

    Examples
    --------
    >>> show("fontana"), show("7"), show(7), show(None), show({"kind": "flat"})
    ('fontana', '"7"', '7', 'null', '{kind: flat}')
    """
    if isinstance(value, str):
        return _short(value) if _reads_as_text(value) else _short(json.dumps(value, ensure_ascii=False))
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{name}: {show(child)}" for name, child in value.items()) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(show(child) for child in value) + "]"
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**MOST_DIGITS:
        text = hex(value)  # Python refuses to print the longest
    else:
        text = json.dumps(value)
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 4] + " ..."


def _reads_as_text(text: str) -> bool:
    problems: list[ScenarioProblem] = []
    tree = _read_text(text, "", problems) if text.strip() else None
    return not problems and tree is not None and tree.value == text


def _read_text(text: str, file: str, problems: list[ScenarioProblem]) -> Written | None:
    directive = next((number for number, line in _lines(text) if line.startswith("%")), None)
    if directive is not None:
        shown = text.splitlines()[directive - 1]
        problems.append(ScenarioProblem(file, directive, "scenario", shown, "expected YAML 1.2 without directives"))
        return None
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _Scanner
    try:
        node = yaml.compose(StringIO(text))
        if node is None:
            return Written(None, file, 1)
        return _Reader(yaml, file, problems).read(node, "", node.start_mark.line + 1)
    except _TooLargeError:
        allowed = f"expected at most {_MOST_NODES} values, aliases counted each time"
        problems.append(ScenarioProblem(file, 1, "scenario", "aliases", allowed))
    except YAMLError as error:
        problems.append(_syntax_problem(error, text, file))
    return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines before the first that is neither blank nor a comment, and that one."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, line
        if line.strip() and not line.startswith(("#", "%")):
            return


def _syntax_problem(error: YAMLError, text: str, file: str) -> ScenarioProblem:
    line, what = 1, "expected YAML"
    if isinstance(error, ReaderError):
        line = text[: error.position].count("\n") + 1
        what = "expected text without control characters"
    elif isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        said = str(error.problem or error.context)
        what = said if isinstance(error, _TooDeepError) else f"this is not YAML: {said}"
    lines = text.splitlines() or [""]
    line = min(line, len(lines))
    if "'\\t'" in what:
        what = "expected spaces; YAML does not indent with tabs"
    elif "single document" in what or "another document" in what:
        what = "expected one YAML document in the file"
    return ScenarioProblem(file, line, "text", _short(json.dumps(lines[line - 1], ensure_ascii=False)), what)


def _unreadable(path: Path | str, error: OSError) -> ScenarioProblem:
    what = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
    folder = Path(path).parent
    siblings = sorted(os.fspath(folder / item.name) for item in folder.glob("*.y*ml")) if folder.is_dir() else []
    return ScenarioProblem(os.fspath(path), 1, "scenario", os.fspath(path), what, nearest(os.fspath(path), siblings))


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
