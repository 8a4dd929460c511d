"""Options that training a storage policy and searching its settings share, and files of settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from vpp_sim.errors import ScenarioError, ScenarioProblem

if TYPE_CHECKING:
    from vpp_sim.ess.settings import LearningSettings
    from vpp_sim.scenario.written import Written

__all__ = [
    "MODELS",
    "Clone",
    "Kind",
    "Out",
    "Seed",
    "SettingsFile",
    "TrainUntil",
    "ValidateUntil",
    "settings_in",
]

MODELS = Path("results/models")
"""Where trained models are written unless the user says otherwise."""

Kind: TypeAlias = Annotated[Literal["dqn", "ppo"], typer.Option("--kind", help="Algorithm.")]
"""Which policy to train."""

Seed: TypeAlias = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same weights.")]
"""Of all randomness."""

Out: TypeAlias = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the weights and their card.")]
"""Where to write."""

Clone: TypeAlias = Annotated[
    bool, typer.Option("--clone/--no-clone", help="Clone hindsight first, or learn from nothing: plain DQN or PPO.")
]
"""Whether labels come first."""

SettingsFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--settings", metavar="FILE", help="Settings to learn with (JSON or YAML), as vpp-sim tune ess finds."
    ),
]
"""Other settings than the algorithm's."""

TrainUntil: TypeAlias = Annotated[
    str | None, typer.Option("--train-until", metavar="DAY", help="Last local day to learn from.")
]
"""End of the training days."""

ValidateUntil: TypeAlias = Annotated[
    str | None,
    typer.Option("--validate-until", metavar="DAY", help="Last local day that chooses; later days decide nothing."),
]
"""End of the validation days."""


def settings_in(path: Path | None, kind: str, clone: bool) -> LearningSettings | None:
    """Return the settings that a file holds, those of the algorithm where it is silent, or None without a file.

    Parameters
    ----------
    path : path, optional
        A mapping of names to values.
    kind : str
        Algorithm.
    clone : bool
        Whether hindsight is cloned first.

    Raises
    ------
    ScenarioError
        If the file cannot be read, or a key or value cannot be; every problem with its line.
    """
    if path is None:
        return None
    from vpp_sim.ess.settings import PLAIN_SETTINGS, SETTINGS, changed_settings
    from vpp_sim.scenario.written import plain
    from vpp_sim.scenario.yaml_lines import read_yaml

    problems: list[ScenarioProblem] = []
    tree = read_yaml(path, problems)
    if tree is not None and not problems:
        problems = _problems(tree, clone)
    if problems or tree is None:
        raise ScenarioError(replace(problem, key=problem.key.replace("scenario", "settings")) for problem in problems)
    return changed_settings((SETTINGS if clone else PLAIN_SETTINGS)[kind], plain(tree))


def _problems(tree: Written, clone: bool) -> list[ScenarioProblem]:
    from vpp_sim.ess.settings import refusals
    from vpp_sim.scenario.written import plain
    from vpp_sim.scenario.yaml_lines import show

    if not isinstance(tree.value, dict):
        return [ScenarioProblem(tree.file, tree.line, "settings", show(plain(tree)), "expected a mapping of settings")]
    found = [
        ScenarioProblem(
            tree.file, tree.value[no.key].line, no.key, show(plain(tree.value[no.key])), no.allowed, no.hint
        )
        for no in refusals(plain(tree))
    ]
    steps = tree.value.get("clone_steps")
    if not clone and steps is not None and steps.value != 0:
        allowed = "expected 0, for --no-clone learns from nothing"
        found.append(ScenarioProblem(tree.file, steps.line, "clone_steps", show(plain(steps)), allowed))
    return found
