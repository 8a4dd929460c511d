"""Files of settings to learn with, and days, as the command line takes them."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from vpp_sim.cli.days import day_of
from vpp_sim.cli.learning import settings_in
from vpp_sim.errors import ScenarioError, UserError
from vpp_sim.ess.settings import PLAIN_SETTINGS, SETTINGS, LearningSettings, changed_settings

NAMES = [field.name for field in fields(LearningSettings)]


def told(path: Path, clone: bool = True) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        settings_in(path, "ppo", clone)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize("base", [*SETTINGS.values(), *PLAIN_SETTINGS.values()])
def test_what_ships_survives_a_file(base: LearningSettings, tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text(json.dumps(base.as_plain(), indent=2))
    assert settings_in(tmp_path / "found.json", "dqn", base.clone_steps > 0) == base


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("hidden: [32]\ntune_rate: 1e-5\n")
    found = settings_in(tmp_path / "mine.yaml", "ppo", True)
    assert found == changed_settings(SETTINGS["ppo"], {"hidden": [32], "tune_rate": 1e-5})
    assert settings_in(None, "ppo", True) is None


def test_a_file_with_mistakes_names_line_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"clone_steps": 20,\n "clip": 2.0,\n "tune_stps": 9000}')
    assert told(path) == [
        "2: clip = 2.0; expected a number above 0, 1 at most",
        f"3: tune_stps = 9000; unknown setting; allowed: {', '.join(NAMES)}; did you mean 'tune_steps'?",
    ]
    assert told(path, clone=False)[-1] == "1: clone_steps = 20; expected 0, for --no-clone learns from nothing"
    path.write_text("[1, 2]")
    assert told(path) == ["1: settings = [1, 2]; expected a mapping of settings"]
    path.unlink()
    assert told(path) == [f"1: settings = {path}; no such file"]


def test_a_day_that_is_none() -> None:
    assert str(day_of("--train-until", "2017-03-31")) == "2017-03-31"
    assert day_of("--train-until", None) is None
    with pytest.raises(UserError, match=r"^--train-until 2017-13-01: expected a day such as 2017-07-01$"):
        day_of("--train-until", "2017-13-01")
