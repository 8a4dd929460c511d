"""Addresses of scenarios: their schema for editors, and the check of one that is sent as text."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from vpp_sim.data.coverage import require_coverage
from vpp_sim.errors import ScenarioError, ScenarioProblem
from vpp_sim.scenario import dump_scenario, json_schema, read_scenario
from vpp_sim.scenario.written import plain
from vpp_sim.scenario.yaml_lines import read_yaml, show
from vpp_sim.server.messages import Validation, ValidScenario
from vpp_sim.server.problems import RequestError

if TYPE_CHECKING:
    from vpp_sim.scenario.scenario import Scenario

__all__ = ["MOST_BYTES", "MOST_PROBLEMS", "scenario_routes", "validate_text"]

MOST_BYTES = 64 * 1024
"""Size of the longest scenario that is checked."""

MOST_PROBLEMS = 200
"""Problems that are told of one scenario."""

_FILE = "scenario.yaml"
_BODY = {"requestBody": {"required": True, "content": {"application/yaml": {"schema": {"type": "string"}}}}}


def scenario_routes() -> APIRouter:
    """Return the addresses of scenarios."""
    routes = APIRouter(prefix="/api", tags=["scenarios"])
    one_at_a_time = asyncio.Lock()  # a long text takes seconds; many may not hold up everything else

    @routes.get("/schema")
    def show_schema() -> dict[str, Any]:
        """Show the JSON Schema of scenario files."""
        return json_schema()

    @routes.post("/validate", openapi_extra=_BODY)
    async def validate(request: Request) -> Validation:
        """Check a scenario, sent as YAML, also against the data that it names; it may not extend another file."""
        text = await _body(request)
        async with one_at_a_time:
            return await run_in_threadpool(validate_text, text)

    return routes


async def _body(request: Request) -> bytes:
    """Return the body of the request, reading no further than is allowed."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise RequestError(413, "scenario too long", f"expected at most {MOST_BYTES} bytes")
    return bytes(content)


def validate_text(text: bytes) -> Validation:
    """Return the problems of a scenario that is given as text, the first `MOST_PROBLEMS` of them.

    Parameters
    ----------
    text : bytes
        YAML 1.2 in UTF-8.

    Examples
    --------
    >>> for problem in validate_text(b"name: fontana\\nextends: base.yaml\\n").problems:
    ...     print(problem)
    scenario.yaml:2: extends = base.yaml; expected a whole scenario: text that is sent may not read other files
    """
    with TemporaryDirectory() as folder:
        file = Path(folder) / _FILE
        file.write_bytes(text)
        try:
            scenario = _checked(file)
        except ScenarioError as error:
            problems = [replace(problem, file=_FILE) for problem in error.problems[:MOST_PROBLEMS]]
            return Validation(valid=False, problems=problems, scenario=None)
    return Validation(True, [], ValidScenario(scenario.name, scenario.digest, dump_scenario(scenario)))


def _checked(file: Path) -> Scenario:
    """Return the scenario in `file`, which may not extend another: this is refused before any such file is read."""
    problems: list[ScenarioProblem] = []
    tree = read_yaml(file, problems)
    if tree is not None and isinstance(tree.value, dict) and "extends" in tree.value:
        extends = tree.value["extends"]
        allowed = "expected a whole scenario: text that is sent may not read other files"
        refused = ScenarioProblem(_FILE, extends.line, "extends", show(plain(extends)), allowed)
        raise ScenarioError(sorted([*problems, refused], key=lambda problem: problem.line))
    loaded = read_scenario(file)
    require_coverage(loaded)
    return loaded.scenario
