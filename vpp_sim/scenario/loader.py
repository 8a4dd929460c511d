"""From scenario files to a checked :class:`~vpp_sim.scenario.scenario.Scenario`, and back to YAML."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from vpp_sim.errors import ScenarioError
from vpp_sim.scenario.merge import OVERRIDES, merged_tree
from vpp_sim.scenario.paths import with_absolute_paths
from vpp_sim.scenario.problems import MISSING, problem_at, problems_of, relations_of
from vpp_sim.scenario.scenario import Scenario
from vpp_sim.scenario.written import plain
from vpp_sim.scenario.yaml_lines import dump_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vpp_sim.errors import ScenarioProblem
    from vpp_sim.scenario.written import Written

__all__ = ["LoadedScenario", "dump_scenario", "load_scenario", "read_scenario"]


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """A scenario, and where each of its values was written.

    Attributes
    ----------
    scenario : Scenario
        The checked scenario.
    tree : Written
        What the files say, before defaults.
    """

    scenario: Scenario
    tree: Written

    def problem(self, key: str, allowed: str, hint: str = "") -> ScenarioProblem:
        """Return a problem of the value at the dotted `key`, placed in the file and line where it was written.

        Parameters
        ----------
        key : str
            For example ``"clock.start"`` or ``"prosumers.0.data.homes"``.
        allowed : str
            What would have been right.
        hint : str
            The nearest valid value, or empty.
        """
        return problem_at(self.tree, tuple(key.split(".")), allowed, hint)


def read_scenario(
    path: Path | str, overrides: Mapping[str, object] | None = None, named: Sequence[Path | str] = ()
) -> LoadedScenario:
    """Return the scenario that a file describes, with the places of its values.

    Parameters
    ----------
    path : Path or str
        The scenario file; what it ``extends`` is read with it.
    overrides : mapping of str to object, optional
        Dotted keys and their values, applied last, for example ``{"clock.days": 1}``. Entries of lists are named by
        position: ``prosumers.0.battery.capacity_kwh``. A mapping is merged with what is there, as a file would be. A
        value may be a :class:`~vpp_sim.scenario.written.Written` that knows its place.
    named : sequence of Path or str
        Files of overrides, or names in the folder ``overrides`` beside the scenario; applied before `overrides`.

    Raises
    ------
    ScenarioError
        If anything is wrong; it holds every problem found.
    """
    problems: list[ScenarioProblem] = []
    tree = merged_tree(path, overrides or {}, named, problems)
    if tree is None:
        raise ScenarioError(_sorted(problems))
    tree = with_absolute_paths(tree)
    try:
        scenario = Scenario.model_validate_json(json.dumps(plain(tree)), strict=True)
    except ValidationError as error:
        found = dict.fromkeys(problems_of(error, tree) + relations_of(error, tree))
        problems += _news(list(found), problems)
        problems = [_of_an_override(problem, Path(path)) for problem in problems]
        raise ScenarioError(_sorted(problems)) from None
    if problems:
        raise ScenarioError(_sorted(problems))
    return LoadedScenario(scenario, tree)


def load_scenario(
    path: Path | str, overrides: Mapping[str, object] | None = None, named: Sequence[Path | str] = ()
) -> Scenario:
    """Return the scenario that a file describes; parameters and errors are those of :func:`read_scenario`."""
    return read_scenario(path, overrides, named).scenario


def dump_scenario(scenario: Scenario) -> str:
    """Return the scenario as YAML with every default written out; loading it gives an equal scenario."""
    return dump_yaml(json.loads(scenario.model_dump_json()))


def _sorted(problems: list[ScenarioProblem]) -> list[ScenarioProblem]:
    """Return the problems by file and line, those of dotted overrides last."""
    return sorted(problems, key=_order)


def _order(problem: ScenarioProblem) -> tuple[bool, str, int]:
    without_lines = problem.file == OVERRIDES or not problem.line
    return without_lines, "" if problem.line == 0 else problem.file, problem.line


def _of_an_override(problem: ScenarioProblem, path: Path) -> ScenarioProblem:
    """Return `problem`; if it is the missing name of a file that stands among the named overrides, with advice."""
    if path.absolute().parent.name != OVERRIDES or (problem.key, problem.value) != ("name", MISSING):
        return problem
    advice = f"files in {OVERRIDES}/ change a scenario, as in: vpp-sim run SCENARIO --with {path.stem}"
    return replace(problem, allowed=f"{problem.allowed}; {advice}")


def _news(found: list[ScenarioProblem], known: list[ScenarioProblem]) -> list[ScenarioProblem]:
    """Return the problems of values that have none yet: what could not be read is not also of the wrong type."""
    places = {(problem.file, problem.line, problem.key) for problem in known}
    return [problem for problem in found if (problem.file, problem.line, problem.key) not in places]
