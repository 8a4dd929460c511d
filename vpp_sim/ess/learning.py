"""How a policy is made: cloned from hindsight, trained further by stable-baselines3, the best on validation kept.

Cloning (:mod:`vpp_sim.ess.cloning`) teaches the network what it can tell of hindsight. Fine-tuning then learns from
what really followed, which corrects the optimism of hindsight. That a supervised margin and a Q-network go together was
shown by T. Hester et al., 2018, https://arxiv.org/abs/1704.03732. Without cloning, PPO or DQN learn from nothing.

A training that keeps checkpoints and was cut off goes on from the last one, and ends in the same weights, bit by bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from torch import nn

from vpp_sim.errors import DataError
from vpp_sim.ess.checkpoint import Checkpoint, learner_state, restore_learner
from vpp_sim.ess.cloning import CLONE_ROUNDS, Cloning
from vpp_sim.ess.dynamic_programming import state_values
from vpp_sim.ess.environment import Potential
from vpp_sim.ess.episodes import Cases
from vpp_sim.ess.network import ActionNetwork
from vpp_sim.ess.settings import SETTINGS, Kind, LearningSettings
from vpp_sim.ess.vector_environment import StorageVecEnv

__all__ = ["SETTINGS", "Kind", "LearningSettings", "Outcome", "Progress", "learn", "network_of", "single_threaded"]

_log = logging.getLogger(__name__)

Model: TypeAlias = Any
"""A ``PPO`` or ``DQN``; their policies are typed too loosely to say more."""

Score: TypeAlias = Callable[[ActionNetwork], float]
"""Validation score of a network; higher is better."""

Progress: TypeAlias = Callable[[int, int, float], None]
"""Told how far a training is: round, rounds, validation score."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trained policy and how it came about.

    Attributes
    ----------
    network : ActionNetwork
        The best one on validation.
    cloned_score, tuned_score : float
        Validation score after cloning, and the best one met in reinforcement learning.
    scores : tuple of float
        Every validation score, the cloned one first.
    """

    network: ActionNetwork
    cloned_score: float
    tuned_score: float
    scores: tuple[float, ...]


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let torch use one thread, and give back what it had: sums then do not depend on the machine's cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def scalars_into(folder: Path | None) -> Iterator[Logger | None]:
    """Yield a logger that writes scalars for TensorBoard into `folder`, or None without one.

    Raises
    ------
    DataError
        If TensorBoard, which is an extra, is not installed.
    """
    if folder is None:
        yield None
        return
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise DataError("logs of scalars need TensorBoard: pip install 'vpp-sim[train]'") from error
    log = Logger(str(folder), [TensorBoardOutputFormat(str(folder))])
    try:
        yield log
    finally:
        log.close()


def learn(
    kind: Kind,
    cases: Cases,
    score: Score,
    *,
    seed: int,
    settings: LearningSettings | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    log_dir: Path | None = None,
) -> Outcome:
    """Return the policy that scores best on validation.

    Parameters
    ----------
    kind : {"dqn", "ppo"}
        Algorithm.
    cases : Cases
        What to learn from.
    score : callable
        Validation score of a network; higher is better.
    seed : int
        Seed of all randomness.
    settings : LearningSettings, optional
        What the training is made of.
    progress : callable, optional
        Called after each round with its number, the number of rounds, and the last validation score (NaN before one).
    checkpoint : Checkpoint, optional
        Where the state is kept after each round; a training that finds it goes on from there. Its key must tell
        `score` apart from others; all else that matters is told apart here. The caller removes it.
    log_dir : path, optional
        Gets scalars for TensorBoard: the loss of cloning, what stable-baselines3 logs, and validation scores.

    Raises
    ------
    DataError
        If the checkpoint is of another training, or scalars are asked for without TensorBoard.
    """
    chosen = settings or LearningSettings()
    tell = progress or (lambda done, rounds, score: None)
    kept = None if checkpoint is None else checkpoint.of((kind, chosen, seed, cases))
    with single_threaded(), scalars_into(log_dir) as log:
        values = state_values(cases, discount=chosen.discount) if chosen.clone_steps or chosen.shaped else None
        potential = Potential(values, chosen.discount) if values is not None and chosen.shaped else None
        env = StorageVecEnv(cases, chosen.lanes, episode_steps=chosen.episode_steps, potential=potential, seed=seed)
        model = _new_model(kind, env, chosen, seed)
        if log is not None:
            model.set_logger(log)
        watch = _Watch(kind, model, score, chosen, tell, kept, log)
        found = None if kept is None else kept.find()
        if found is not None and found["phase"] == "tune":
            watch.restore(found)
        else:
            if values is not None and chosen.clone_steps:
                cloning = Cloning(kind, model, cases, values, chosen, np.random.default_rng([seed, 1]))
                if found is not None:
                    cloning.restore(found)
                cloning.run(kept, loss_told=watch.clone_loss, round_told=watch.cloned)
            watch.evaluate()
        if model.num_timesteps < chosen.tune_steps:
            left = chosen.tune_steps - model.num_timesteps
            model.learn(left, callback=watch, reset_num_timesteps=model._last_obs is None)
    return watch.outcome()


def network_of(kind: Kind, model: Model) -> ActionNetwork:
    """Return the part of a stable-baselines3 model that chooses the greedy action."""
    if kind == "ppo":
        layers = [*model.policy.mlp_extractor.policy_net, model.policy.action_net]
    else:
        layers = list(model.policy.q_net.q_net)
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    weights = tuple(np.ascontiguousarray(layer.weight.detach().numpy().T) for layer in linear)
    return ActionNetwork(weights, tuple(layer.bias.detach().numpy().copy() for layer in linear))


def _new_model(kind: Kind, env: StorageVecEnv, settings: LearningSettings, seed: int) -> Model:
    common: dict[str, Any] = {
        "learning_rate": settings.tune_rate,
        "gamma": settings.discount,
        "seed": seed,
        "device": "cpu",
        "verbose": 0,
    }
    hidden = list(settings.hidden)
    if kind == "ppo":
        arch: dict[str, Any] = {"net_arch": {"pi": hidden, "vf": hidden}, "activation_fn": nn.ReLU}
        return PPO(
            "MlpPolicy",
            env,
            n_steps=settings.rollout_steps,
            batch_size=settings.lanes * settings.rollout_steps // 4,
            n_epochs=4,
            gae_lambda=0.95,
            ent_coef=settings.entropy,
            clip_range=settings.clip,
            policy_kwargs=arch,
            **common,
        )
    cloned = settings.clone_steps > 0
    return DQN(
        "MlpPolicy",
        env,
        buffer_size=200_000,
        learning_starts=5_000 if cloned else min(20_000, settings.tune_steps // 20),
        batch_size=1024,
        train_freq=4,
        gradient_steps=4,
        target_update_interval=2_000 if cloned else min(10_000, max(settings.tune_steps // 20, 1)),
        exploration_initial_eps=0.1 if cloned else 1.0,
        exploration_final_eps=0.02,
        exploration_fraction=0.3,
        policy_kwargs={"net_arch": hidden},
        **common,
    )


class _Watch(BaseCallback):
    """Tries the policy on the validation series now and then, keeps the best, and what is needed to go on from there.

    The state is kept where a rollout begins: there the model, its batteries and the random numbers to come are all that
    the rest depends on.
    """

    def __init__(
        self,
        kind: Kind,
        model: Model,
        score: Score,
        settings: LearningSettings,
        progress: Progress,
        checkpoint: Checkpoint | None,
        log: Logger | None,
    ) -> None:
        super().__init__()
        self.model = model
        self._kind, self._score, self._settings, self._progress = kind, score, settings, progress
        self._checkpoint, self._log = checkpoint, log
        self._every = max(settings.tune_steps // max(settings.evaluations, 1), 1)
        self._due = self._every
        self._kept_scores = 0
        self.scores: list[float] = []
        self.best: ActionNetwork

    def outcome(self) -> Outcome:
        """Return the best policy so far."""
        first, *tuned = self.scores
        return Outcome(self.best, first, max(tuned, default=first), tuple(self.scores))

    def evaluate(self) -> None:
        """Score the policy as it is."""
        network = network_of(self._kind, self.model)
        score = self._score(network)
        if not self.scores or score > max(self.scores):
            self.best = network
        self.scores.append(score)
        _log.info("%s after %d steps: validation score %.4f", self._kind, self.num_timesteps, score)
        self._tell("validation/score", score, self.num_timesteps)

    def clone_loss(self, step: int, loss: float) -> None:
        """Tell the loss of a step of cloning."""
        self._tell("clone/loss", loss, step)

    def cloned(self, step: int, done: int) -> None:
        """Tell that a round of cloning is done; its score is worth the time only to who logs it."""
        if self._log is not None:
            self._tell("clone/validation_score", self._score(network_of(self._kind, self.model)), step)
        self._progress(done, CLONE_ROUNDS + self._settings.evaluations, float("nan"))

    def state(self) -> dict[str, Any]:
        """Return everything that changes from rollout to rollout."""
        layers = {name: [torch.from_numpy(a) for a in getattr(self.best, name)] for name in ("weights", "biases")}
        watched = {"scores": list(self.scores), "due": self._due, "best": layers}
        return {"phase": "tune", "learner": learner_state(self.model), "watch": watched}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        restore_learner(self.model, state["learner"])
        watched = state["watch"]
        self.scores, self._due, self._kept_scores = watched["scores"], watched["due"], len(watched["scores"])
        self.num_timesteps = self.model.num_timesteps
        weights, biases = (tuple(a.numpy() for a in watched["best"][name]) for name in ("weights", "biases"))
        self.best = ActionNetwork(weights, biases)

    def _on_rollout_start(self) -> None:
        if self._checkpoint is not None and len(self.scores) > self._kept_scores:
            self._kept_scores = len(self.scores)
            self._checkpoint.keep(self.state())

    def _on_step(self) -> bool:
        if self._log is not None:
            self._log.record_mean("rollout/reward", float(np.mean(self.locals["rewards"])))
        if self.num_timesteps >= self._due:
            self._due += self._every
            self.evaluate()
            done = min(len(self.scores) - 1, self._settings.evaluations)
            self._progress(CLONE_ROUNDS + done, CLONE_ROUNDS + self._settings.evaluations, self.scores[-1])
        return True

    def _tell(self, name: str, value: float, step: int) -> None:
        if self._log is not None:
            self._log.record(name, value)
            self._log.dump(step)
