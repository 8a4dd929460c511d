"""Settings to learn with: which are allowed, and what both kinds of training take."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from vpp_sim.ess.settings import PLAIN_SETTINGS, SETTINGS, LearningSettings, changed_settings, refusals

NAMES = [field.name for field in fields(LearningSettings)]


@pytest.mark.parametrize("base", [*SETTINGS.values(), *PLAIN_SETTINGS.values()])
def test_what_ships_is_allowed_and_survives_as_text(base: LearningSettings) -> None:
    plain = base.as_plain()
    assert list(plain) == NAMES
    assert refusals(plain) == []
    assert changed_settings(LearningSettings(), plain) == base
    assert changed_settings(LearningSettings(), json.loads(json.dumps(plain))) == base


def test_plain_learning_uses_no_hindsight() -> None:
    for kind, plain in PLAIN_SETTINGS.items():
        assert (plain.clone_steps, plain.shaped) == (0, False)
        assert plain.tune_steps > SETTINGS[kind].tune_steps
        assert plain.tune_rate > SETTINGS[kind].tune_rate


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("hidden", [], "a list of one to four widths up to 1024, such as [64, 64]"),
        ("hidden", [64, 0], "a list of one to four widths up to 1024, such as [64, 64]"),
        ("hidden", [64, True], "a list of one to four widths up to 1024, such as [64, 64]"),
        ("hidden", "64x64", "a list of one to four widths up to 1024, such as [64, 64]"),
        ("discount", 0.0, "a number above 0, 1 at most"),
        ("discount", 1.01, "a number above 0, 1 at most"),
        ("clip", "0.1", "a number above 0, 1 at most"),
        ("clone_steps", -1, "a whole number, 0 or more"),
        ("clone_steps", 10.0, "a whole number, 0 or more"),
        ("tune_steps", True, "a whole number, 0 or more"),
        ("lanes", 0, "a whole number, 1 or more"),
        ("rollout_steps", 1, "a whole number, 2 or more"),
        ("tune_rate", 0.2, "a learning rate above 0, 0.1 at most"),
        ("clone_rate", 0, "a learning rate above 0, 0.1 at most"),
        ("entropy", -1e-3, "a number from 0 to 1"),
        ("shaped", 1, "true or false"),
        ("evaluations", None, "a whole number, 1 or more"),
    ],
)
def test_what_is_not_allowed(key: str, value: Any, allowed: str) -> None:
    (refusal,) = refusals({key: value})
    assert (refusal.key, refusal.allowed) == (key, f"expected {allowed}")


def test_the_edges_are_allowed() -> None:
    assert not refusals({"discount": 1, "clip": 1.0, "entropy": 0, "clone_steps": 0, "tune_rate": 0.1, "hidden": [1]})


def test_whole_numbers_become_numbers() -> None:
    changed = changed_settings(SETTINGS["ppo"], {"discount": 1, "entropy": 0})
    assert [type(value) for value in (changed.discount, changed.entropy)] == [float, float]
