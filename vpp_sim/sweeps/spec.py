"""A sweep file: which scenario, which of its values, which seeds, how to execute and what to draw."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError, model_validator

from vpp_sim.errors import ScenarioError, nearest
from vpp_sim.registry import SWEEP_EXECUTORS
from vpp_sim.scenario.problems import problem_at
from vpp_sim.scenario.sections.spec import RefusalError, Spec, registered
from vpp_sim.scenario.written import plain
from vpp_sim.scenario.yaml_lines import read_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from vpp_sim.errors import ScenarioProblem
    from vpp_sim.scenario.written import Written

__all__ = ["SEED", "GridValue", "HeatMapSpec", "SweepSpec", "load_sweep"]

SEED = "seed"
"""Key of a scenario that the seeds of a sweep override."""

GridValue: TypeAlias = StrictBool | StrictInt | StrictFloat | StrictStr | None
"""One value of a grid, as the scenario file would hold it."""

_MOST_JOBS = 100_000


class HeatMapSpec(Spec):
    """A heat map of one KPI over two keys of the grid."""

    kind: Literal["heat_map"] = "heat_map"
    """Kind of the figure."""
    x: str
    """Key of the grid along the horizontal axis."""
    y: str
    """Key of the grid along the vertical axis."""
    kpi: str
    """Column of the table of jobs to show, for example ``homes_bill_eur.gain``."""


class SweepSpec(Spec):
    """A grid of scenario values times seeds."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = "sweep"
    """Name of the sweep; its results are written under it."""
    description: str = ""
    """What the sweep asks."""
    base: str
    """Scenario file, relative to the sweep file."""
    grid: Annotated[dict[str, tuple[GridValue, ...]], Field(json_schema_extra={"minProperties": 1})]
    """Values of each dotted key of the scenario; every combination is run."""
    seeds: tuple[Annotated[int, Field(ge=0, json_schema_extra={"unit": "1"})], ...] = (0,)
    """Seeds with which every combination is run."""
    figure: HeatMapSpec | None = None
    """What to draw of the results."""
    executor: Annotated[str, *registered(SWEEP_EXECUTORS)] = "dask"
    """Name of the executor."""
    workers: Annotated[int, Field(ge=1, json_schema_extra={"unit": "1"})] = 2
    """Jobs that run at the same time."""

    @model_validator(mode="after")
    def _grid_is_sound(self) -> SweepSpec:
        if not self.grid:
            raise RefusalError("expected at least one key with its values", keys=("grid",))
        if SEED in self.grid:
            raise RefusalError("expected seeds under the key seeds, not in the grid", keys=("grid.seed",))
        if not self.seeds:
            raise RefusalError("expected at least one seed", keys=("seeds",))
        for key, values in self.grid.items():
            if not values:
                raise RefusalError(f"expected at least one value of {key}", keys=("grid",))
            if len({json.dumps(value) for value in values}) < len(values):
                raise RefusalError(f"expected each value of {key} once", keys=("grid",))
        if len(set(self.seeds)) < len(self.seeds):
            raise RefusalError("expected each seed once", keys=("seeds",))
        if self.n_jobs > _MOST_JOBS:
            raise RefusalError(f"expected at most {_MOST_JOBS} jobs, these are {self.n_jobs}", keys=("grid",))
        return self

    @model_validator(mode="after")
    def _figure_fits_the_grid(self) -> SweepSpec:
        if self.figure is None:
            return self
        shown = {"x": self.figure.x, "y": self.figure.y}
        for axis, key in shown.items():
            if key not in self.grid:
                allowed = f"expected a key of the grid: {', '.join(self.grid)}"
                raise RefusalError(allowed, keys=(f"figure.{axis}",), hint=nearest(key, self.grid))
        if self.figure.x == self.figure.y:
            raise RefusalError("expected another key than x", keys=("figure.y",))
        hidden = [key for key, values in self.grid.items() if len(values) > 1 and key not in shown.values()]
        if hidden:
            allowed = f"expected one value of every key that the figure does not show; {hidden[0]} has more"
            raise RefusalError(allowed, keys=("figure",))
        return self

    @property
    def n_jobs(self) -> int:
        """Number of runs."""
        count = len(self.seeds)
        for values in self.grid.values():
            count *= len(values)
        return count


def load_sweep(path: Path | str) -> tuple[SweepSpec, Path]:
    """Return the sweep that a file describes, and the path of its base scenario.

    Parameters
    ----------
    path : Path or str
        A sweep file.

    Raises
    ------
    ScenarioError
        If anything is wrong; it holds every problem found, with its line.
    """
    problems: list[ScenarioProblem] = []
    tree = read_yaml(path, problems)
    if tree is None or problems:
        raise ScenarioError(problems)
    try:
        spec = SweepSpec.model_validate_json(json.dumps(plain(tree)), strict=True)
    except ValidationError as error:
        raise ScenarioError(_problem(details, tree) for details in error.errors(include_url=False)) from None
    base = Path(os.path.normpath(Path(path).parent / spec.base))
    if not base.is_file():
        siblings = [os.path.relpath(item, Path(path).parent) for item in sorted(base.parent.glob("*.y*ml"))]
        raise ScenarioError([problem_at(tree, ("base",), f"no such file: {base}", nearest(spec.base, siblings))])
    return spec, base


def _problem(details: ErrorDetails, tree: Written) -> ScenarioProblem:
    where = _place(details["loc"], tree)
    refusal = details.get("ctx", {}).get("error")
    if isinstance(refusal, RefusalError):
        key = (*where, *(refusal.keys[0].split(".", 1) if refusal.keys else ()))
        return problem_at(tree, key, refusal.allowed, refusal.hint)
    if details["type"] == "extra_forbidden":
        keys = list((HeatMapSpec if where[0] == "figure" else SweepSpec).model_fields)
        return problem_at(tree, where, f"unknown key; allowed: {', '.join(keys)}", nearest(str(where[-1]), keys))
    if details["type"] == "missing":
        return problem_at(tree, where, "required")
    message = details["msg"].removeprefix("Input should be ").removeprefix("Value should ")
    return problem_at(tree, where, f"expected {message[:1].lower()}{message[1:]}")


def _place(location: tuple[int | str, ...], tree: Written) -> tuple[int | str, ...]:
    """Return `location` without the names of the types that pydantic tried for a value."""
    node: Any = plain(tree)
    place: list[int | str] = []
    for part in location:
        inside = isinstance(node, dict) or (isinstance(node, list) and isinstance(part, int))
        if not inside:
            break
        place.append(part)
        node = node.get(part) if isinstance(node, dict) else node[int(part)]
    return tuple(place)
