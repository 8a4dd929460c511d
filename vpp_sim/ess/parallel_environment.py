"""A fleet as a PettingZoo parallel environment: an agent a home, all in the same days.

It takes the same step as :class:`~vpp_sim.ess.environment.StorageEnv` and
:class:`~vpp_sim.ess.vector_environment.StorageVecEnv` and gives the same numbers. There each lane is in days of its
own; here all homes live through the same ones, each in the hands of an agent of its own.
PettingZoo (https://pettingzoo.farama.org) is installed by the extra ``fleet``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding

from vpp_sim.errors import DataError
from vpp_sim.ess.environment import Lanes, action_space, observation_space, two_price_home
from vpp_sim.ess.episodes import Cases
from vpp_sim.ess.features import Float32Array

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise DataError("the fleet of agents needs PettingZoo: pip install 'vpp-sim[fleet]'") from error

__all__ = ["StorageParallelEnv"]


class StorageParallelEnv(ParallelEnv[str, Float32Array, Any]):  # type: ignore[misc]  # PettingZoo carries no types
    """A battery for each case, each run by an agent of its own.

    Parameters
    ----------
    cases : Cases, optional
        The homes; without it, :func:`~vpp_sim.ess.environment.two_price_home`.
    names : sequence of str, optional
        Name of each agent; without it, ``home_0`` and so on.
    episode_steps : int
        Length of an episode; it ends by termination, for the worth of what is stored is in the last reward.
    normalised : bool
        Whether rewards are shares of a full battery's worth instead of EUR.
    continuous : bool
        Whether an action is a share of full power, of shape (1,), instead of one of ten.

    Raises
    ------
    DataError
        If there are not as many names as cases, or a name occurs twice.
    PhysicsError
        If the series are too short for an episode.

    Notes
    -----
    ``reset`` takes the options ``start`` (step) and ``soc_kwh`` (one a home); what is not given is drawn.

    Examples
    --------
    >>> fleet = StorageParallelEnv()
    >>> seen, _ = fleet.reset(seed=1, options={"start": 183, "soc_kwh": [0.0]})
    >>> _, rewards, _, _, infos = fleet.step({"home_0": 5})
    >>> rewards, infos["home_0"]["soc_kwh"]
    ({'home_0': -0.4}, 1.8)
    """

    metadata: dict[str, Any] = {"name": "ess_fleet_v0", "render_modes": []}  # noqa: RUF012 - PettingZoo's own attribute
    render_mode = None

    def __init__(
        self,
        cases: Cases | None = None,
        names: tuple[str, ...] | None = None,
        *,
        episode_steps: int = 72,
        normalised: bool = False,
        continuous: bool = False,
    ) -> None:
        homes = cases or two_price_home()
        n = len(homes.fleet)
        self.possible_agents = [f"home_{i}" for i in range(n)] if names is None else list(names)
        if len(self.possible_agents) != n or len(set(self.possible_agents)) != n:
            raise DataError(f"{n} cases need {n} names, each once; got {', '.join(self.possible_agents)}")
        self.agents: list[str] = []
        self.lanes = Lanes(homes, n, episode_steps=episode_steps, normalised=normalised, continuous=continuous)
        self.observation_spaces = {name: observation_space() for name in self.possible_agents}
        self.action_spaces = {name: action_space(continuous) for name in self.possible_agents}
        self._rng = np.random.default_rng()

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of one agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of one agent's actions."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Float32Array], dict[str, dict[str, Any]]]:
        """Start an episode of all homes in the same step; return observations and states by agent."""
        if seed is not None:
            self._rng, _ = seeding.np_random(seed)
        lanes, given = self.lanes, options or {}
        everybody = np.arange(lanes.n)
        lanes.draw(self._rng, everybody)
        start = np.full(lanes.n, given.get("start", lanes.start[0]))
        lanes.place(everybody, start, self._levels(given))
        self.agents = list(self.possible_agents)
        return self._seen(), self._infos()

    def step(self, actions: dict[str, Any]) -> tuple[
        dict[str, Float32Array], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:  # fmt: skip
        """Take an action in every home; return observations, rewards, terminations, truncations and infos by agent."""
        dtype = np.float64 if self.lanes.continuous else np.int64
        taken = np.array([np.asarray(actions[name], dtype=dtype).reshape(()) for name in self.agents])
        reward, done, saving = self.lanes.advance(taken)
        infos = self._infos()
        for name, saved, cut in zip(self.agents, saving.tolist(), self.lanes.cut().tolist(), strict=True):
            infos[name] |= {"saving_eur": saved, "projected": cut}
        seen, rewards = self._seen(), dict(zip(self.agents, reward.tolist(), strict=True))
        ended = dict(zip(self.agents, done.tolist(), strict=True))
        truncated = dict.fromkeys(self.agents, False)
        if done.all():
            self.agents = []
        return seen, rewards, ended, truncated, infos

    def close(self) -> None:
        """Release nothing; there is nothing to release."""

    def _levels(self, given: dict[str, Any]) -> Any:
        """Return what every home starts with [kWh]: as given, or drawn between the bounds of its own battery."""
        fleet = self.lanes.cases.fleet
        if "soc_kwh" in given:
            return np.broadcast_to(np.asarray(given["soc_kwh"], dtype=np.float64), (self.lanes.n,))
        return fleet.min_kwh + self._rng.random(self.lanes.n) * (fleet.max_kwh - fleet.min_kwh)

    def _seen(self) -> dict[str, Float32Array]:
        return dict(zip(self.agents, self.lanes.observe(), strict=True))

    def _infos(self) -> dict[str, dict[str, Any]]:
        step, soc_kwh = int(self.lanes.step[0]), self.lanes.soc_kwh.tolist()
        return {name: {"step": step, "soc_kwh": level} for name, level in zip(self.agents, soc_kwh, strict=True)}
