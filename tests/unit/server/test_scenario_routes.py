"""Scenarios over HTTP: the schema, and every problem of a text with its line."""

from pathlib import Path

import pytest

from tests.support.scenarios import FONTANA, LIGHT
from vpp_sim.scenario import dump_scenario, json_schema, load_scenario
from vpp_sim.server.scenario_routes import MOST_BYTES, MOST_PROBLEMS

WHOLE = dump_scenario(load_scenario(FONTANA, LIGHT))


def check(client, text: str | bytes) -> dict:  # type: ignore[no-untyped-def,type-arg]
    answer = client.post("/api/validate", content=text)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_schema_is_that_of_scenario_files(client) -> None:  # type: ignore[no-untyped-def]
    assert client.get("/api/schema").json() == json_schema()


def test_a_valid_scenario_is_resolved(client) -> None:  # type: ignore[no-untyped-def]
    scenario = load_scenario(FONTANA, LIGHT)
    assert check(client, WHOLE) == {
        "valid": True,
        "problems": [],
        "scenario": {"name": "fontana", "digest": scenario.digest, "resolved_yaml": WHOLE},
    }


def test_every_problem_is_named_with_its_line(client) -> None:  # type: ignore[no-untyped-def]
    text = WHOLE.replace("seed: 7", "sed: 7").replace("kind: self_consumption", "kind: self_consumtion")
    body = check(client, text)
    assert (body["valid"], body["scenario"]) == (False, None)
    lines = text.splitlines()
    found = {problem["key"]: problem for problem in body["problems"]}
    assert set(found) == {"sed", "ess.kind"}
    assert found["sed"]["hint"] == "seed"
    assert found["ess.kind"]["value"] == "self_consumtion"
    assert found["ess.kind"]["allowed"].startswith("expected a storage controller: dp, dqn, idle, ")
    assert found["ess.kind"]["hint"] == "self_consumption"
    assert all(lines[p["line"] - 1].strip().startswith(p["key"].split(".")[-1]) for p in body["problems"])
    assert {problem["file"] for problem in body["problems"]} == {"scenario.yaml"}


def test_data_that_does_not_cover_the_run_is_a_problem(client) -> None:  # type: ignore[no-untyped-def]
    start = load_scenario(FONTANA, LIGHT).clock.start
    body = check(client, WHOLE.replace(str(start), "1999-01-01"))
    assert "clock.start" in {problem["key"] for problem in body["problems"]}


@pytest.mark.parametrize("extends", ["base/california.yaml", "/etc/passwd", "[a.yaml, b.yaml]", "../secret.yaml"])
def test_extends_is_refused_before_a_file_is_read(client, monkeypatch, extends: str) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("vpp_sim.server.scenario_routes.read_scenario", lambda _: pytest.fail("was read"))
    (problem,) = check(client, f"name: a\nextends: {extends}\n")["problems"]
    assert (problem["line"], problem["key"], problem["value"]) == (2, "extends", extends)
    assert problem["allowed"] == "expected a whole scenario: text that is sent may not read other files"


def test_quoted_and_repeated_extends_are_refused(client) -> None:  # type: ignore[no-untyped-def]
    problems = check(client, 'name: a\n"extends": /etc/passwd\nextends: /etc/hosts\n')["problems"]
    assert [(problem["line"], problem["key"]) for problem in problems] == [(2, "extends"), (3, "extends")]
    assert check(client, '{"extends": "/etc/passwd"}')["problems"][0]["key"] == "extends"


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        (b"", "expected a mapping of sections"),
        (b"\xff\xfe", "expected text in UTF-8"),
        (b"a: \0", "expected text without control characters"),
        (b"a: [b", "this is not YAML"),
        (b"- " * 3000, "expected at most 32 levels of nesting"),
        (b"[" * 30_000, "expected at most 32 levels of nesting"),
        (b"a: !!python/object/apply:os.system [ls]", "expected plain data, without tags"),
        (b"seed: 0x" + b"f" * 8000, "expected a whole number of at most 100 digits"),
        (b"- a\n- b\n", "expected a mapping of sections"),
    ],
)
def test_what_is_no_scenario_is_a_problem(client, text: bytes, allowed: str) -> None:  # type: ignore[no-untyped-def]
    assert allowed in " ".join(problem["allowed"] for problem in check(client, text)["problems"])


def test_no_message_tells_where_the_server_works(client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for text in (b"", b"\xff", b"a: 1", b"extends: x"):
        assert "/tmp" not in str(check(client, text))


def test_a_scenario_too_long_is_refused(client) -> None:  # type: ignore[no-untyped-def]
    answer = client.post("/api/validate", content=b"#" * (MOST_BYTES + 1))
    assert (answer.status_code, answer.json()["detail"]) == (413, f"expected at most {MOST_BYTES} bytes")
    assert check(client, b"#" * MOST_BYTES)["valid"] is False


def test_problems_without_end_are_cut_off(client) -> None:  # type: ignore[no-untyped-def]
    text = "".join(f"key_{number}: 1\n" for number in range(MOST_PROBLEMS + 50))
    assert len(check(client, text)["problems"]) == MOST_PROBLEMS
