"""The shipped storage policies: their cards say what the weights do, their page says what the cards say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.ess.evaluation import greedy_saving_eur, optimal_saving_eur
from vpp_sim.ess.learning import SETTINGS, LearningSettings
from vpp_sim.ess.weights import PRETRAINED, load_policy, read_policy_card
from vpp_sim.training.splits import SPLITS
from vpp_sim.training.storage import storage_trials, train_ess

KINDS = ["dqn", "ppo"]


def test_the_card_says_what_the_weights_do_on_unseen_weeks() -> None:
    for tariff, cases in storage_trials("test").items():
        best_eur = optimal_saving_eur(cases)
        for kind in KINDS:
            said = read_policy_card(kind).metrics["test"][tariff]
            assert said["best_saving_eur_per_home"] == pytest.approx(best_eur.mean(), abs=0.006)
            share = greedy_saving_eur(load_policy(kind), cases).sum() / best_eur.sum()
            assert said["share_of_best"][kind] == pytest.approx(share, abs=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_they_were_trained_as_the_command_on_the_card_would(kind: str) -> None:
    card = read_policy_card(kind)
    assert LearningSettings(**{**card.learning, "hidden": tuple(card.learning["hidden"])}) == SETTINGS[kind]
    assert card.splits == {name: list(days) for name, days in SPLITS.items()}


def test_the_page_states_what_the_seeds_gave() -> None:
    seeds = json.loads((PRETRAINED / "ess_seeds.json").read_text(encoding="utf-8"))
    page = (PRETRAINED / "README.md").read_text(encoding="utf-8")
    for kind in KINDS:
        card = read_policy_card(kind)
        at = seeds[kind]["seeds"].index(card.seed)
        for split in ("validation", "test"):
            for tariff, row in card.metrics[split].items():
                shares = np.array(seeds[kind][split][tariff])
                assert shares[at] == row["share_of_best"][kind]
                if split == "test":
                    line = f"| {kind} | {tariff} | {shares.mean():.3f} | {shares.min():.3f} | {shares.max():.3f} |"
                    assert line in page


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_short_training_writes_a_policy_that_can_be_opened(kind: str, tmp_path: Path) -> None:
    settings = LearningSettings(clone_steps=20, clone_batch=64, tune_steps=9_000, lanes=16, evaluations=1)
    card = train_ess(kind, seed=3, out_dir=tmp_path, settings=settings)  # type: ignore[arg-type]
    assert read_policy_card(kind, tmp_path) == card
    assert card.seed == 3
    assert load_policy(kind, tmp_path).weights[0].shape == (79, 64)
