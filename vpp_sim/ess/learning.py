"""How a policy is made: cloned from hindsight, trained further by stable-baselines3, the best on validation kept.

Cloning asks, of random states, what each action is worth in hindsight, and teaches the network what it can tell of that
from what a controller sees. Its loss is the expected regret of a softmax policy, which is cooled as it learns:

.. math:: \\sum_a \\pi(a) \\, \\bigl(\\max_{a'} Q(a') - Q(a) + \\tau \\log \\pi(a)\\bigr)

For PPO the policy is the actor; for DQN it is the softmax of the worth that the network tells, whose squared error is
added. Fine-tuning then learns from what really followed, which corrects the optimism of hindsight. That a supervised
margin and a Q-network go together was shown by T. Hester et al., 2018, https://arxiv.org/abs/1704.03732.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor, nn

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.ess.dynamic_programming import action_values, state_values, worth_eur
from vpp_sim.ess.environment import Potential
from vpp_sim.ess.episodes import Cases, subset, window_features
from vpp_sim.ess.features import Float32Array
from vpp_sim.ess.network import ActionNetwork
from vpp_sim.ess.vector_environment import StorageVecEnv

__all__ = ["SETTINGS", "Kind", "LearningSettings", "Outcome", "Progress", "learn", "network_of", "single_threaded"]

_REGRET_CLIP = 0.1
"""A Q-network need not tell bad actions from worse ones while it is cloned; reinforcement learning sees to it."""

_log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["dqn", "ppo"]
"""Which algorithm of stable-baselines3."""

Model: TypeAlias = Any
"""A ``PPO`` or ``DQN``; their policies are typed too loosely to say more."""


Progress: TypeAlias = Callable[[int, int, float], None]
"""Told how far a training is: round, rounds, validation score."""

_CLONE_ROUNDS = 10


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
    shaped: bool = True
    tune_steps: int = 1_000_000
    tune_rate: float = 1e-4
    lanes: int = 64
    episode_steps: int = 96
    rollout_steps: int = 128
    clip: float = 0.1
    entropy: float = 0.0
    evaluations: int = 10


SETTINGS: dict[str, LearningSettings] = {
    "dqn": LearningSettings(tune_steps=120_000, tune_rate=3e-6),
    "ppo": LearningSettings(tune_steps=800_000, tune_rate=3e-5, rollout_steps=256),
}
"""What each algorithm is trained with unless the caller says otherwise."""


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


def learn(
    kind: Kind,
    cases: Cases,
    score: Callable[[ActionNetwork], float],
    *,
    seed: int,
    settings: LearningSettings | None = None,
    progress: Progress | None = None,
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
    """
    chosen = settings or LearningSettings()
    tell = progress or (lambda done, rounds, score: None)
    with single_threaded():
        values = state_values(cases, discount=chosen.discount) if chosen.clone_steps or chosen.shaped else None
        potential = Potential(values, chosen.discount) if values is not None and chosen.shaped else None
        env = StorageVecEnv(cases, chosen.lanes, episode_steps=chosen.episode_steps, potential=potential, seed=seed)
        model = _new_model(kind, env, chosen, seed)
        if values is not None and chosen.clone_steps:
            _clone(kind, model, cases, values, chosen, np.random.default_rng([seed, 1]), tell)
        watch = _Watch(kind, score, chosen, tell)
        watch.model = model
        watch.evaluate()
        if chosen.tune_steps:
            model.learn(chosen.tune_steps, callback=watch)
    return Outcome(watch.best, watch.scores[0], max(watch.scores[1:], default=watch.scores[0]), tuple(watch.scores))


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
        learning_starts=5_000,
        batch_size=1024,
        train_freq=4,
        gradient_steps=4,
        target_update_interval=2_000,
        exploration_initial_eps=0.1 if cloned else 1.0,
        exploration_final_eps=0.02,
        exploration_fraction=0.3,
        policy_kwargs={"net_arch": hidden},
        **common,
    )


def _clone(
    kind: Kind,
    model: Model,
    cases: Cases,
    values: Float32Array,
    settings: LearningSettings,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    parameters = model.policy.parameters() if kind == "ppo" else model.policy.q_net.parameters()
    optimiser = torch.optim.Adam(parameters, lr=settings.clone_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.clone_steps)
    loss_of = _policy_loss if kind == "ppo" else _worth_loss
    for step in range(settings.clone_steps):
        seen, worth = _labelled(cases, values, settings, rng)
        loss = loss_of(model, torch.from_numpy(seen), torch.from_numpy(worth), step / settings.clone_steps)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if (step + 1) % (settings.clone_steps // _CLONE_ROUNDS or 1) == 0:
            done = (step + 1) * _CLONE_ROUNDS // settings.clone_steps
            progress(done, _CLONE_ROUNDS + settings.evaluations, float("nan"))
    if kind == "dqn":
        model.policy.q_net_target.load_state_dict(model.policy.q_net.state_dict())


def _labelled(
    cases: Cases, values: Float32Array, settings: LearningSettings, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    case, step, soc_kwh = _random_states(cases, settings.clone_batch, rng)
    fleet = subset(cases.fleet, case)
    worth = action_values(cases, values, case, step, soc_kwh, discount=settings.discount)
    seen = window_features(cases, fleet, case, step, soc_kwh)
    now = worth_eur(values, fleet, case, step, soc_kwh) if settings.shaped else np.zeros(len(case))
    return seen, ((worth - now[:, None]) / cases.worth_eur[case][:, None]).astype(np.float32)


def _random_states(cases: Cases, n: int, rng: np.random.Generator) -> tuple[IntArray, IntArray, FloatArray]:
    """Draw states; three in ten stand at a bound of the state of charge, where policies spend much of their time."""
    case = rng.integers(len(cases.fleet), size=n)
    step = rng.integers(cases.first_step, cases.last_step, size=n)
    level = np.clip(rng.uniform(-0.2, 1.1, size=n), 0.0, 1.0)
    low, high = cases.fleet.min_kwh[case], cases.fleet.max_kwh[case]
    return case, step, low + level * (high - low)


def _policy_loss(model: Model, seen: Tensor, worth: Tensor, done: float) -> Tensor:
    distribution = model.policy.get_distribution(seen).distribution
    best = worth.max(dim=1).values
    value = nn.functional.mse_loss(model.policy.predict_values(seen)[:, 0], best)
    loss: Tensor = 10.0 * _soft_regret(distribution.logits, worth, _cooled(0.03, 0.001, done)) + 0.1 * value
    return loss


def _worth_loss(model: Model, seen: Tensor, worth: Tensor, done: float) -> Tensor:
    told = model.policy.q_net(seen)
    best = worth.max(dim=1, keepdim=True).values
    short = torch.clamp(worth - best, min=-_REGRET_CLIP)
    difference = nn.functional.mse_loss(told - told.mean(dim=1, keepdim=True), short - short.mean(dim=1, keepdim=True))
    level = nn.functional.mse_loss(told.max(dim=1, keepdim=True).values, best)
    heat = _cooled(0.03, 0.003, done)
    loss: Tensor = 10.0 * _soft_regret(told / heat, worth, 0.0) + 10.0 * difference + level
    return loss


def _soft_regret(logits: Tensor, worth: Tensor, heat: float) -> Tensor:
    """Return the expected regret of acting by `logits`, less `heat` times the entropy, which keeps choices open."""
    log_share = torch.log_softmax(logits, dim=1)
    regret = worth.max(dim=1, keepdim=True).values - worth
    loss: Tensor = (log_share.exp() * (regret + heat * log_share)).sum(dim=1).mean()
    return loss


def _cooled(first: float, last: float, done: float) -> float:
    return float(first * (last / first) ** done)


class _Watch(BaseCallback):
    """Tries the policy on the validation series now and then, and keeps the best."""

    def __init__(
        self,
        kind: Kind,
        score: Callable[[ActionNetwork], float],
        settings: LearningSettings,
        progress: Progress,
    ) -> None:
        super().__init__()
        self._kind, self._score, self._settings, self._progress = kind, score, settings, progress
        self._every = max(settings.tune_steps // max(settings.evaluations, 1), 1)
        self._due = self._every
        self.scores: list[float] = []
        self.best: ActionNetwork

    def evaluate(self) -> None:
        """Score the policy as it is."""
        network = network_of(self._kind, self.model)
        score = self._score(network)
        if not self.scores or score > max(self.scores):
            self.best = network
        self.scores.append(score)
        _log.info("%s after %d steps: validation score %.4f", self._kind, self.num_timesteps, score)

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._due:
            self._due += self._every
            self.evaluate()
            done = min(len(self.scores) - 1, self._settings.evaluations)
            self._progress(_CLONE_ROUNDS + done, _CLONE_ROUNDS + self._settings.evaluations, self.scores[-1])
        return True
