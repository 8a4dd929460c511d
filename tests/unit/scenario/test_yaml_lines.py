"""What YAML means here, where each value stands, and how what is no data is refused."""

import time
from pathlib import Path

import pytest

from vpp_sim.errors import ScenarioProblem
from vpp_sim.scenario.written import find, plain, written
from vpp_sim.scenario.yaml_lines import dump_yaml, parse_value, read_yaml, show

TOO_DEEP = "expected at most 32 levels of nesting"


def read(tmp_path: Path, content: str | bytes) -> tuple[object, list[ScenarioProblem]]:
    path = tmp_path / "x.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    problems: list[ScenarioProblem] = []
    tree = read_yaml(path, problems)
    return (None if tree is None else plain(tree)), problems


def only(problems: list[ScenarioProblem]) -> tuple[int, str, str, str]:
    assert len(problems) == 1, problems
    problem = problems[0]
    assert problem.file.endswith("x.yaml")
    return problem.line, problem.key, problem.value, problem.allowed


@pytest.mark.parametrize(
    ("text", "value"),
    [  # YAML 1.2.2, section 10.3.2 (core schema); dates are no part of it
        ("12:30", "12:30"),
        ("on", "on"),
        ("no", "no"),
        ("1e3", 1000.0),
        ("0.5", 0.5),
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        ("2017-07-03", "2017-07-03"),
        ("2017-07-03T06:00", "2017-07-03T06:00"),
        ("~", None),
        ("", None),
        ("true", True),
        ("'7'", "7"),
        ("15min", "15min"),
        ("=", "="),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(tmp_path: Path, text: str, value: object) -> None:
    found, problems = read(tmp_path, f"a: {text}\n")
    assert problems == []
    assert found == {"a": value}
    assert type(found["a"]) is type(value)  # type: ignore[index]


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfname: x\n") == ({"name": "x"}, [])


def test_an_alias_repeats_what_its_anchor_names(tmp_path: Path) -> None:
    assert read(tmp_path, "a: &b {c: 1}\nd: *b\n") == ({"a": {"c": 1}, "d": {"c": 1}}, [])


@pytest.mark.parametrize(
    ("content", "line", "key", "value", "allowed"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: [3]\n", 5, "b.c", "[3]", "duplicate key; first written on line 3"),
        ("a:\n\tb: 1\n", 2, "text", '"\\tb: 1"', "expected spaces; YAML does not indent with tabs"),
        ("a: {b: 1\n", 1, "text", '"a: {b: 1"', "this is not YAML: expected ',' or '}', but got '<stream end>'"),
        ("a: 1\n---\nb: 2\n", 2, "text", '"---"', "expected one YAML document in the file"),
        ("a: 1\n7: b\n", 2, "7", "...", 'expected a name as key, such as "7" in quotes'),
        ("true: b\n", 1, "true", "...", 'expected a name as key, such as "true" in quotes'),
        ("? [a]\n: b\n", 1, "(a list or mapping)", "...", "expected a name as key"),
        ("a:\n  <<: {b: 1}\n", 2, "a.<<", "...", "expected no merge keys; share sections through 'extends'"),
        ("a: &x\n  b: *x\n", 2, "a.b", "an alias", "expected a value that does not contain itself"),
        ("a: !!python/name:os.system x\n", 1, "a", "x", "expected plain data: text, a number, true, false or null"),
        ("a: !!set {b}\n", 1, "a", "tag:yaml.org,2002:set", "expected plain data, without tags"),
        ("a: !!int x\n", 1, "a", "x", "expected plain data: text, a number, true, false or null"),
        ("a: !!binary aGk=\n", 1, "a", "aGk=", "expected plain data: text, a number, true, false or null"),
        ("# c\n%YAML 1.1\n---\na: on\n", 2, "scenario", "%YAML 1.1", "expected YAML 1.2 without directives"),
        ("a: .inf\n", 1, "a", ".inf", "expected a finite number"),
        ("a: 1\nb: .nan\n", 2, "b", ".nan", "expected a finite number"),
        ("a: 1\nb: \x07\n", 2, "text", '"b: \\u0007"', "expected text without control characters"),
        ('a: "\\ud800"\n', 1, "a", "'\\ud800'", "expected text without lone surrogates"),
        (b"a: 1\nb: \xff\n", 2, "scenario", "bytes", "expected text in UTF-8"),
        ("a: " + "9" * 101, 1, "a", "9" * 56 + " ...", "expected a whole number of at most 100 digits"),
        (
            "a: [1, -" + "9" * 8000 + "]",
            1,
            "a.1",
            "-" + "9" * 55 + " ...",
            "expected a whole number of at most 100 digits",
        ),
        ("a: 1\nb: 0x" + "f" * 8000, 2, "b", "0x" + "f" * 54 + " ...", "expected a whole number of at most 100 digits"),
        ("a: 1\nb: " + "[" * 33, 2, "text", '"b: ' + "[" * 33 + '"', TOO_DEEP),
        ("a:\n- " + "[" * 2000, 2, "text", '"- ' + "[" * 53 + " ...", TOO_DEEP),
        ("a: " + "{b: " * 33, 1, "text", '"a: ' + ("{b: " * 13) + " ...", TOO_DEEP),
        ("a:\n  " + "- " * 33 + "1", 2, "text", '"  ' + ("- " * 26) + "- ...", TOO_DEEP),
        ("? " * 40, 1, "text", '"' + "? " * 27 + "? ...", TOO_DEEP),
    ],
)
def test_what_is_no_data_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, line: int, key: str, value: str, allowed: str
) -> None:
    assert only(read(tmp_path, content)[1]) == (line, key, value, allowed)


def test_levels_up_to_the_deepest_are_read(tmp_path: Path) -> None:
    for text in ("[" * 31 + "]" * 31, "\n  " + "- " * 31 + "1"):
        value, problems = read(tmp_path, f"a: {text}")
        assert problems == []
        for _ in range(30):
            (value,) = value.values() if isinstance(value, dict) else value  # type: ignore[attr-defined]


def test_brackets_in_text_are_no_levels(tmp_path: Path) -> None:
    brackets = "[" * 500
    text = f"a: '{brackets}' # {brackets}\nb: |\n  {brackets}\nc: x{brackets}\n"
    assert read(tmp_path, text) == ({"a": brackets, "b": f"{brackets}\n", "c": f"x{brackets}"}, [])


def test_aliases_do_not_deepen_without_end(tmp_path: Path) -> None:
    text = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 40))
    problem = read(tmp_path, text)[1][0]
    assert (problem.key.split(".")[0], problem.allowed) == ("a31", TOO_DEEP)


def test_deep_nesting_is_refused_at_once(tmp_path: Path) -> None:
    begun = time.process_time()
    for opening in ("[", "{", "- ", "? ", "{a: ", "[? "):
        assert only(read(tmp_path, opening * 2000)[1])[3] == TOO_DEEP
    assert time.process_time() - begun < 0.5  # each took as long before it was bounded


def test_aliases_of_aliases_do_not_grow_without_end(tmp_path: Path) -> None:
    levels = [
        f"{name}: &{name} [{', '.join([value] * 9)}]"
        for name, value in zip("bcdefgh", ["1", *("*" + c for c in "bcdefg")], strict=True)
    ]
    assert only(read(tmp_path, "\n".join(levels))[1])[3] == "expected at most 100000 values, aliases counted each time"


def test_a_missing_file_is_answered_by_its_nearest_neighbour(tmp_path: Path) -> None:
    (tmp_path / "fontana.yaml").touch()
    problems: list[ScenarioProblem] = []
    assert read_yaml(tmp_path / "fontanna.yaml", problems) is None
    assert [(p.allowed, p.hint) for p in problems] == [("no such file", str(tmp_path / "fontana.yaml"))]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    problems: list[ScenarioProblem] = []
    assert read_yaml(tmp_path, problems) is None
    assert problems[0].allowed == "cannot be read: Is a directory"


def test_lines_are_those_of_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a:\n  b:\n    - 1\n    - c:\n        2\n")
    tree = read_yaml(path, [])
    assert tree is not None
    assert {key: find(tree, key)[0].line for key in [("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 1, "c")]} == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", 1): 4,
        ("a", "b", 1, "c"): 4,
    }
    nearest, found = find(tree, ("a", "x", "y"))
    assert (nearest.line, found) == (1, False)
    assert find(tree, ("a", "b", 2))[1] is False


def test_values_of_the_command_line_are_yaml() -> None:
    assert parse_value("{kind: lstm}") == {"kind": "lstm"}
    assert parse_value(" ") is None
    with pytest.raises(ValueError, match="this is not YAML"):
        parse_value("[1")


@pytest.mark.parametrize(
    "value", ["12:00", "7", "null", "on", "2017-07-03", "a: b", "", " a", "1e3", "%a", "é\u2028\n"]
)
def test_text_is_dumped_so_that_it_is_read_back(tmp_path: Path, value: str) -> None:
    assert read(tmp_path, dump_yaml({"a": value})) == ({"a": value}, [])


def test_messages_show_short_values() -> None:
    assert show([1, "x", None, True]) == "[1, x, null, true]"
    assert show("x" * 100) == "x" * 56 + " ..."
    assert show("") == '""'
    assert show("a: b") == '"a: b"'


def test_only_plain_data_becomes_a_tree() -> None:
    assert plain(written({"a": (1, 2.5)}, "f", 3)) == {"a": [1, 2.5]}
    with pytest.raises(TypeError, match="expected plain data, not set"):
        written({"a": {1}}, "f", 1)
    with pytest.raises(TypeError, match="expected keys that are text"):
        written({1: 2}, "f", 1)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (10**100, "expected a whole number of at most 100 digits"),
        (-(1 << 40_000), "expected a whole number of at most 100 digits"),
        (float("nan"), "expected a finite number"),
        ("\ud800", "expected text without lone surrogates"),
    ],
    ids=["long", "very long", "nan", "surrogate"],
)
def test_only_what_can_be_written_becomes_a_tree(value: object, allowed: str) -> None:
    with pytest.raises(ValueError, match=allowed):
        written({"a": [value]}, "f", 1)
    assert plain(written(10**100 - 1, "f", 1)) == 10**100 - 1


def test_nesting_of_plain_data_is_bounded() -> None:
    value: object = 1
    for _ in range(32):
        value = [value]
    written(value, "f", 1)
    with pytest.raises(ValueError, match=TOO_DEEP):
        written({"a": value}, "f", 1)


def test_whole_numbers_of_any_length_are_shown() -> None:
    assert show(1 << 40_000) == "0x1" + "0" * 53 + " ..."
    assert show(-(10**50)) == "-1" + "0" * 50
