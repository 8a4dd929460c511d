"""Many batteries in one array as a stable-baselines3 ``VecEnv``: what policies are trained in.

It takes the same step as :class:`~vpp_sim.ess.environment.StorageEnv`, without a Python loop over batteries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from vpp_sim.arrays import BoolArray
from vpp_sim.ess.environment import Actions, Lanes, Potential, action_space, observation_space
from vpp_sim.ess.episodes import Cases
from vpp_sim.ess.features import Float32Array

__all__ = ["StorageVecEnv"]


class StorageVecEnv(VecEnv):
    """n lanes that start anew when they are done.

    Parameters
    ----------
    cases : Cases
        Where episodes come from.
    n : int
        Number of lanes.
    episode_steps : int
        Length of an episode.
    normalised : bool
        Whether rewards are shares of a full battery's worth instead of EUR.
    potential : Potential, optional
        Shapes the rewards.
    seed : int
        Seed of the draws.
    continuous : bool
        Whether actions are shares of full power, of shape (n, 1), instead of the ten discrete ones.
    tabulated : bool
        Whether observations are looked up in a table (:class:`~vpp_sim.ess.environment.Lanes`); the numbers are the
        same.

    Attributes
    ----------
    projected : int
        How many actions the limits of batteries have cut since the environment was made.
    """

    render_mode = None

    def __init__(
        self,
        cases: Cases,
        n: int,
        *,
        episode_steps: int = 72,
        normalised: bool = True,
        potential: Potential | None = None,
        seed: int = 0,
        continuous: bool = False,
        tabulated: bool = True,
    ) -> None:
        super().__init__(n, observation_space(), action_space(continuous))
        self.lanes = Lanes(
            cases,
            n,
            episode_steps=episode_steps,
            normalised=normalised,
            potential=potential,
            continuous=continuous,
            tabulated=tabulated,
        )
        self.projected = 0
        self._rng = np.random.default_rng(seed)
        self._dtype: type[Any] = np.float64 if continuous else np.int64
        self._action: Actions = np.zeros(n, dtype=self._dtype)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Restart the draws; return the seed of every lane."""
        self._rng = np.random.default_rng(seed)
        return [seed] * self.num_envs

    def reset(self) -> Float32Array:
        """Start an episode in every lane; return observations of shape (n, 79)."""
        self.lanes.draw(self._rng, np.arange(self.num_envs))
        return self.lanes.observe()

    def step_async(self, actions: Actions) -> None:
        """Take note of the actions, shape (n,), or (n, 1) where they are continuous."""
        self._action = np.asarray(actions, dtype=self._dtype).reshape(self.num_envs)

    def step_wait(self) -> tuple[Float32Array, Float32Array, BoolArray, list[dict[str, Any]]]:
        """Take the step; return observations, rewards, which lanes are done, and what is left to say."""
        reward, done, _ = self.lanes.advance(self._action)
        self.projected += int(self.lanes.cut().sum())
        observation = self.lanes.observe()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            ended = np.flatnonzero(done)
            for lane in ended:
                infos[lane] = {"terminal_observation": observation[lane], "TimeLimit.truncated": False}
            self.lanes.draw(self._rng, ended)
            observation = self.lanes.observe()
        return observation, reward.astype(np.float32), done, infos

    def state(self) -> dict[str, Any]:
        """Return where every lane stands, arrays of shape (n,), and which random numbers come next."""
        lanes = self.lanes
        where = {"case": lanes.case, "start": lanes.start, "step": lanes.step, "soc_kwh": lanes.soc_kwh}
        return {**where, "projected": self.projected, "rng": self._rng.bit_generator.state}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set all lanes to what :meth:`state` returned, of this or of an equal environment."""
        self.lanes.place(state["case"], state["start"], state["soc_kwh"], state["step"])
        self.projected = state["projected"]
        self._rng.bit_generator.state = state["rng"]

    def close(self) -> None:
        """Release nothing; there is nothing to release."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of the whole, once a lane."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the whole."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Call a method of the whole once; return its result once a lane."""
        return [getattr(self, method_name)(*args, **kwargs)] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return that no lane is wrapped."""
        return [False] * len(list(self._get_indices(indices)))
