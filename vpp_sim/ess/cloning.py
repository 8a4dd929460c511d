"""Cloning: a network is taught what actions are worth, as far as it can tell from what a controller sees.

What they are worth is told by hindsight, or by a plan for the hours of the window (see
:mod:`vpp_sim.ess.dynamic_programming`).

Its loss is the expected regret of a softmax policy, which is cooled as it learns:

.. math:: \\sum_a \\pi(a) \\, \\bigl(\\max_{a'} Q(a') - Q(a) + \\tau \\log \\pi(a)\\bigr)

For PPO the policy is the actor; for DQN it is the softmax of the worth that the network tells, whose squared error is
added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from vpp_sim.arrays import FloatArray, IntArray
from vpp_sim.ess.checkpoint import Checkpoint
from vpp_sim.ess.dynamic_programming import action_values, planned_action_values, planned_values, worth_eur
from vpp_sim.ess.episodes import Cases, subset, window_features
from vpp_sim.ess.features import Float32Array
from vpp_sim.ess.settings import Kind, LearningSettings

__all__ = ["CLONE_ROUNDS", "Cloning"]

CLONE_ROUNDS = 10
"""Times that cloning says how far it is, and is kept."""

_LOSSES_EVERY = 50
"""Steps between the losses that are told."""

_REGRET_CLIP = 0.1
"""A Q-network need not tell bad actions from worse ones while it is cloned; reinforcement learning sees to it."""

_Teacher: TypeAlias = Callable[[IntArray, IntArray, FloatArray], FloatArray]
"""Case, step and stored energy to what each action is worth, shape (n, 10) [EUR]."""

_Loss: TypeAlias = Callable[[Any, Tensor, Tensor, float], Tensor]


class Cloning:
    """The state of a cloning: the model's network, its optimiser, and the draws of states.

    Parameters
    ----------
    kind : {"dqn", "ppo"}
        Algorithm.
    model : PPO or DQN
        Whose policy is taught.
    cases : Cases
        Where states are drawn from.
    values : ndarray of float32
        From :func:`vpp_sim.ess.dynamic_programming.state_values`.
    settings : LearningSettings
        Steps, rate and states a step.
    rng : numpy.random.Generator
        Of the draws.
    """

    def __init__(
        self,
        kind: Kind,
        model: Any,
        cases: Cases,
        values: Float32Array,
        settings: LearningSettings,
        rng: np.random.Generator,
    ) -> None:
        self.kind, self.model, self.settings, self.rng = kind, model, settings, rng
        self.cases, self.teacher = cases, _teacher(cases, values, settings)
        parameters = model.policy.parameters() if kind == "ppo" else model.policy.q_net.parameters()
        self.optimiser = torch.optim.Adam(parameters, lr=settings.clone_rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, settings.clone_steps)
        self.step = 0

    def run(
        self,
        checkpoint: Checkpoint | None,
        *,
        loss_told: Callable[[int, float], None],
        round_told: Callable[[int, int], None],
    ) -> None:
        """Teach until all steps are done.

        Parameters
        ----------
        checkpoint : Checkpoint, optional
            Where each round is kept.
        loss_told : callable
            Now and then called with the step and its loss.
        round_told : callable
            Called after each of :data:`CLONE_ROUNDS` with the step and how many are done.
        """
        total = self.settings.clone_steps
        while self.step < total:
            loss = self._learn()
            self.step += 1
            if self.step % _LOSSES_EVERY == 0:
                loss_told(self.step, float(loss.detach()))
            if self.step % (total // CLONE_ROUNDS or 1) == 0:
                if checkpoint is not None:
                    checkpoint.keep(self.state())
                round_told(self.step, self.step * CLONE_ROUNDS // total)
        if self.kind == "dqn":
            self.model.policy.q_net_target.load_state_dict(self.model.policy.q_net.state_dict())

    def state(self) -> dict[str, Any]:
        """Return everything that changes from step to step."""
        return {
            "phase": "clone",
            "step": self.step,
            "policy": self.model.policy.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self.step = state["step"]
        self.model.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.rng.bit_generator.state = state["rng"]

    def _learn(self) -> Tensor:
        seen, worth = _labelled(self.cases, self.teacher, self.settings, self.rng)
        loss_of: _Loss = _policy_loss if self.kind == "ppo" else _worth_loss
        done = self.step / self.settings.clone_steps
        loss = loss_of(self.model, torch.from_numpy(seen), torch.from_numpy(worth), done)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.schedule.step()
        return loss


def _teacher(cases: Cases, values: Float32Array, settings: LearningSettings) -> _Teacher:
    """Return who tells what every action is worth in given states [EUR], as rewards are shaped."""
    if settings.clone_from == "plan":
        plan = planned_values(cases, discount=settings.discount)

        def planned(case: IntArray, step: IntArray, soc_kwh: FloatArray) -> FloatArray:
            worth = planned_action_values(cases, plan, case, step, soc_kwh, discount=settings.discount)
            best: FloatArray = worth.max(axis=1, keepdims=True)
            return worth - best if settings.shaped else worth

        return planned

    def known(case: IntArray, step: IntArray, soc_kwh: FloatArray) -> FloatArray:
        worth = action_values(cases, values, case, step, soc_kwh, discount=settings.discount)
        if not settings.shaped:
            return worth
        return worth - worth_eur(values, subset(cases.fleet, case), case, step, soc_kwh)[:, None]

    return known


def _labelled(
    cases: Cases, teacher: _Teacher, settings: LearningSettings, rng: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    case, step, soc_kwh = _random_states(cases, settings.clone_batch, rng)
    worth = teacher(case, step, soc_kwh)
    seen = window_features(cases, subset(cases.fleet, case), case, step, soc_kwh)
    return seen, (worth / cases.worth_eur[case][:, None]).astype(np.float32)


def _random_states(cases: Cases, n: int, rng: np.random.Generator) -> tuple[IntArray, IntArray, FloatArray]:
    """Draw states; three in ten stand at a bound of the state of charge, where policies spend much of their time."""
    case = rng.integers(len(cases.fleet), size=n)
    step = rng.integers(cases.first_step, cases.last_step, size=n)
    level = np.clip(rng.uniform(-0.2, 1.1, size=n), 0.0, 1.0)
    low, high = cases.fleet.min_kwh[case], cases.fleet.max_kwh[case]
    return case, step, low + level * (high - low)


def _policy_loss(model: Any, seen: Tensor, worth: Tensor, done: float) -> Tensor:
    distribution = model.policy.get_distribution(seen).distribution
    best = worth.max(dim=1).values
    value = nn.functional.mse_loss(model.policy.predict_values(seen)[:, 0], best)
    loss: Tensor = 10.0 * _soft_regret(distribution.logits, worth, _cooled(0.03, 0.001, done)) + 0.1 * value
    return loss


def _worth_loss(model: Any, seen: Tensor, worth: Tensor, done: float) -> Tensor:
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
