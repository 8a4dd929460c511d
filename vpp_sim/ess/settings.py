"""What a training of a storage policy is made of, what each algorithm is trained with, and which values are allowed.

Two sets of settings stand here. The first clones hindsight before it learns by itself. The second, *plain*, learns from
nothing: no labels, no rewards shaped by hindsight; so it takes more and greater steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeAlias

from vpp_sim.errors import nearest

__all__ = ["PLAIN_SETTINGS", "SETTINGS", "Kind", "LearningSettings", "Refusal", "changed_settings", "refusals"]

Kind: TypeAlias = Literal["dqn", "ppo"]
"""Which algorithm of stable-baselines3."""


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """What a training is made of.

    Attributes
    ----------
    hidden : tuple of int
        Width of the hidden layers.
    discount : float
        Factor a step on later rewards.
    clone_steps, clone_batch : int
        Gradient steps of cloning, and states in each; no steps means learning from nothing.
    clone_rate : float
        Highest learning rate of cloning; it falls to zero along a cosine.
    clone_from : {"hindsight", "plan"}
        Whether an action is worth what it turns out to be, or what a plan for the hours of the window says.
    shaped : bool
        Whether rewards are shaped by the worth of states in hindsight.
    tune_steps : int
        Environment steps of reinforcement learning.
    tune_rate : float
        Its learning rate.
    lanes, episode_steps : int
        Batteries at once, and the length of their episodes.
    rollout_steps, clip, entropy : int, float, float
        For PPO: steps of every battery between updates, how far an update may move the policy, weight of entropy.
    evaluations : int
        How often the policy is tried on the validation series during reinforcement learning.
    """

    hidden: tuple[int, ...] = (64, 64)
    discount: float = 0.99
    clone_steps: int = 12_000
    clone_batch: int = 1024
    clone_rate: float = 2e-3
    clone_from: Literal["hindsight", "plan"] = "hindsight"
    shaped: bool = True
    tune_steps: int = 1_000_000
    tune_rate: float = 1e-4
    lanes: int = 64
    episode_steps: int = 96
    rollout_steps: int = 128
    clip: float = 0.1
    entropy: float = 0.0
    evaluations: int = 10

    def as_plain(self) -> dict[str, Any]:
        """Return the settings as plain data, as cards and files of settings hold them."""
        return {**asdict(self), "hidden": list(self.hidden)}


SETTINGS: dict[str, LearningSettings] = {
    "dqn": LearningSettings(tune_steps=120_000, tune_rate=3e-6),
    "ppo": LearningSettings(tune_steps=800_000, tune_rate=3e-5, rollout_steps=256),
}
"""What each algorithm is trained with unless the caller says otherwise."""

PLAIN_SETTINGS: dict[str, LearningSettings] = {
    "dqn": LearningSettings(clone_steps=0, shaped=False, tune_steps=1_500_000, tune_rate=3e-4, discount=0.98),
    "ppo": LearningSettings(clone_steps=0, shaped=False, tune_steps=2_000_000, tune_rate=5e-4, clip=0.2, entropy=1e-3),
}
"""What each algorithm learns with from nothing."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A setting that cannot be.

    Attributes
    ----------
    key : str
        Its name.
    allowed : str
        What would have been right.
    hint : str
        The nearest name, or empty.
    """

    key: str
    allowed: str
    hint: str = ""


def refusals(values: Mapping[str, object]) -> list[Refusal]:
    """Return what is wrong with settings as plain data, key by key.

    Examples
    --------
    >>> refusals({"hidden": [64, 64], "clip": 2.0, "tune_rte": 1e-4})
    [Refusal(key='clip', allowed='expected a number above 0, 1 at most', hint=''),
     Refusal(key='tune_rte', allowed='unknown setting; allowed: hidden, discount, clone_steps, ...', hint='tune_rate')]
    """
    names = [field.name for field in fields(LearningSettings)]
    found = []
    for key, value in values.items():
        if key not in names:
            found.append(Refusal(key, f"unknown setting; allowed: {', '.join(names)}", nearest(key, names)))
        elif not _ALLOWED[key][1](value):
            found.append(Refusal(key, f"expected {_ALLOWED[key][0]}"))
    return found


def changed_settings(base: LearningSettings, values: Mapping[str, Any]) -> LearningSettings:
    """Return `base` with `values`, which :func:`refusals` finds nothing wrong with.

    Examples
    --------
    >>> changed_settings(SETTINGS["ppo"], {"hidden": [32], "discount": 1}).hidden
    (32,)
    """
    rates = {key: float(value) for key, value in values.items() if _ALLOWED[key] in (_SHARE, _RATE, _WEIGHT)}
    layers = {"hidden": tuple(values["hidden"])} if "hidden" in values else {}
    return replace(base, **{**values, **rates, **layers})


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object, above: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and above < value <= most


def _are_layers(value: object) -> bool:
    fits = isinstance(value, list | tuple) and 1 <= len(value) <= 4
    return fits and all(_is_whole(width, 1) and width <= 1024 for width in value)  # type: ignore[attr-defined]


_Rule: TypeAlias = tuple[str, Callable[[object], bool]]
_NONE: _Rule = ("a whole number, 0 or more", lambda value: _is_whole(value, 0))
_ONE: _Rule = ("a whole number, 1 or more", lambda value: _is_whole(value, 1))
_TWO: _Rule = ("a whole number, 2 or more", lambda value: _is_whole(value, 2))
_SHARE: _Rule = ("a number above 0, 1 at most", lambda value: _is_number(value, 0.0, 1.0))
_RATE: _Rule = ("a learning rate above 0, 0.1 at most", lambda value: _is_number(value, 0.0, 0.1))
_WEIGHT: _Rule = ("a number from 0 to 1", lambda value: value == 0.0 or _is_number(value, 0.0, 1.0))

_ALLOWED: dict[str, _Rule] = {
    "hidden": ("a list of one to four widths up to 1024, such as [64, 64]", _are_layers),
    "discount": _SHARE,
    "clone_steps": _NONE,
    "clone_batch": _ONE,
    "clone_rate": _RATE,
    "clone_from": ("hindsight or plan", lambda value: value in ("hindsight", "plan")),
    "shaped": ("true or false", lambda value: isinstance(value, bool)),
    "tune_steps": _NONE,
    "tune_rate": _RATE,
    "lanes": _ONE,
    "episode_steps": _ONE,
    "rollout_steps": _TWO,
    "clip": _SHARE,
    "entropy": _WEIGHT,
    "evaluations": _ONE,
}
