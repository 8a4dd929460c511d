"""One home's battery as a Gymnasium environment, and the lanes that it shares with the vectorised one.

Importing this module registers ``vpp_sim/ESS-v0``. An episode starts in a random case at a random step with a random
state of charge. The reward of a step is what the battery saves against none [EUR]; the last one adds the worth of what
is still stored (:func:`vpp_sim.ess.episodes.stored_value_eur`), so emptying the battery at the end earns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces

from vpp_sim.arrays import BoolArray, FloatArray, IntArray
from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.actions import ACTION_COUNT
from vpp_sim.ess.dynamic_programming import worth_eur
from vpp_sim.ess.episodes import Cases, step_cases, stored_value_eur, subset, window_features
from vpp_sim.ess.features import FEATURE_BOUND, FEATURE_COUNT, Float32Array

__all__ = ["ENVIRONMENT_ID", "Lanes", "Potential", "StorageEnv", "action_space", "observation_space", "two_price_home"]

ENVIRONMENT_ID = "vpp_sim/ESS-v0"

_Action: TypeAlias = np.int64


def observation_space() -> spaces.Box:
    """Return the space of :func:`vpp_sim.ess.features.storage_features`."""
    return spaces.Box(-FEATURE_BOUND, FEATURE_BOUND, (FEATURE_COUNT,), np.float32)


def action_space() -> spaces.Discrete:
    """Return the space of :mod:`vpp_sim.ess.actions`."""
    return spaces.Discrete(ACTION_COUNT)


@dataclass(frozen=True, slots=True, eq=False)
class Potential:
    r"""What states are worth in hindsight, to shape rewards with: :math:`r + \gamma V(s') - V(s)`.

    The best policy stays the best [1]_, also where the potential depends on time [2]_; what is left of the reward is
    the regret of the action, free of the noise of what no action could change. It replaces the worth of what is stored
    at the end.

    Attributes
    ----------
    values : ndarray of float32, shape (m, T + 1, 25)
        From :func:`vpp_sim.ess.dynamic_programming.state_values` [EUR].
    discount : float
        The learner's :math:`\gamma`.

    References
    ----------
    .. [1] A. Y. Ng, D. Harada, S. Russell, "Policy invariance under reward transformations", ICML 1999.
    .. [2] S. Devlin, D. Kudenko, "Dynamic potential-based reward shaping", AAMAS 2012.
    """

    values: Float32Array
    discount: float


class Lanes:
    """n batteries, each in an episode of its own.

    Parameters
    ----------
    cases : Cases
        Where episodes come from.
    n : int
        Number of lanes.
    episode_steps : int
        Length of an episode.
    normalised : bool
        Whether rewards are divided by what a full battery is worth in the case, so that cases weigh alike.
    potential : Potential, optional
        Shapes the rewards.

    Raises
    ------
    PhysicsError
        If the series are too short for an episode.
    """

    def __init__(
        self, cases: Cases, n: int, *, episode_steps: int, normalised: bool, potential: Potential | None = None
    ) -> None:
        self.cases, self.n, self.episode_steps, self.potential = cases, n, episode_steps, potential
        self._starts = cases.last_step - cases.first_step - episode_steps + 1
        if self._starts < 1:
            raise PhysicsError(f"series of {cases.hour.shape[0]} steps are too short for episodes of {episode_steps}")
        self._unit_eur = cases.worth_eur if normalised else np.ones(len(cases.fleet))
        self.place(np.zeros(n, dtype=np.int64), np.full(n, cases.first_step), np.zeros(n))

    def draw(self, rng: np.random.Generator, lanes: IntArray) -> None:
        """Start new random episodes in `lanes`."""
        case, start, soc_kwh = self.case.copy(), self.start.copy(), self.soc_kwh.copy()
        fleet = self.cases.fleet
        case[lanes] = rng.integers(len(fleet), size=len(lanes))
        start[lanes] = self.cases.first_step + rng.integers(self._starts, size=len(lanes))
        low, high = fleet.min_kwh[case[lanes]], fleet.max_kwh[case[lanes]]
        soc_kwh[lanes] = low + rng.random(len(lanes)) * (high - low)
        step = self.step.copy()
        step[lanes] = start[lanes]
        self.place(case, start, soc_kwh, step)

    def place(self, case: IntArray, start: IntArray, soc_kwh: FloatArray, step: IntArray | None = None) -> None:
        """Put every lane where the caller says; each array has shape (n,)."""
        self.case, self.start, self.step = case, start, (start if step is None else step)
        self.fleet = subset(self.cases.fleet, case)
        self.soc_kwh = np.clip(soc_kwh, self.fleet.min_kwh, self.fleet.max_kwh)

    def observe(self) -> Float32Array:
        """Return the features of every lane, shape (n, 79)."""
        last = np.minimum(self.step, self.cases.last_step - 1)
        return window_features(self.cases, self.fleet, self.case, last, self.soc_kwh)

    def advance(self, action: IntArray) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Take a step in every lane; return rewards, which lanes are done, and savings [EUR], each of shape (n,)."""
        before_kwh, before = self.soc_kwh, self.step
        self.soc_kwh, saving = step_cases(self.cases, self.fleet, self.case, before, before_kwh, action)
        self.step = before + 1
        done = self.step - self.start >= self.episode_steps
        if self.potential is not None:
            values = self.potential.values
            gain = self.potential.discount * worth_eur(values, self.fleet, self.case, self.step, self.soc_kwh)
            gain -= worth_eur(values, self.fleet, self.case, before, before_kwh)
        elif done.any():
            left = stored_value_eur(self.cases, self.fleet, self.case, self.step, self.soc_kwh)
            gain = np.where(done, left, 0.0)
        else:
            gain = np.zeros(self.n)
        return (saving + gain) / self._unit_eur[self.case], done, saving


class StorageEnv(gymnasium.Env[Float32Array, _Action]):
    """One battery; ten actions (:mod:`vpp_sim.ess.actions`), 79 features (:mod:`vpp_sim.ess.features`).

    Parameters
    ----------
    cases : Cases, optional
        Where episodes come from; without it, :func:`two_price_home`.
    episode_steps : int
        Length of an episode; it ends by termination, for the worth of what is stored is in the last reward.
    normalised : bool
        Whether rewards are shares of a full battery's worth instead of EUR.

    Notes
    -----
    ``reset`` takes the options ``case``, ``start`` (step) and ``soc_kwh``; what is not given is drawn.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's own attribute

    def __init__(self, cases: Cases | None = None, *, episode_steps: int = 72, normalised: bool = False) -> None:
        self.lanes = Lanes(cases or two_price_home(), 1, episode_steps=episode_steps, normalised=normalised)
        self.observation_space = observation_space()  # type: ignore[assignment]  # float32, by its dtype
        self.action_space = action_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Start an episode; return the observation and its state."""
        super().reset(seed=seed)
        self.lanes.draw(self.np_random, np.zeros(1, dtype=np.int64))
        given = options or {}
        self.lanes.place(
            np.array([given.get("case", self.lanes.case[0])]),
            np.array([given.get("start", self.lanes.start[0])]),
            np.array([given.get("soc_kwh", self.lanes.soc_kwh[0])], dtype=np.float64),
        )
        return self.lanes.observe()[0], self._info()

    def step(self, action: _Action) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """Take an action for one step."""
        reward, done, saving = self.lanes.advance(np.array([int(action)]))
        info = {**self._info(), "saving_eur": float(saving[0])}
        return self.lanes.observe()[0], float(reward[0]), bool(done[0]), False, info

    def _info(self) -> dict[str, Any]:
        lanes = self.lanes
        return {"case": int(lanes.case[0]), "step": int(lanes.step[0]), "soc_kwh": float(lanes.soc_kwh[0])}


def two_price_home(days: int = 16) -> Cases:
    """Return one home without sun: 0.5 kW all day, energy dear from 16 to 20 h and cheap before and after.

    Examples
    --------
    >>> home = two_price_home()
    >>> home.net_kw.shape, home.buy_eur_per_kwh[0, [3, 17]].tolist()
    ((1, 384), [0.2, 0.5])
    """
    hour = np.arange(24.0 * days) % 24.0
    buy = np.where((hour >= 16) & (hour < 20), 0.5, 0.2)[None]
    net_kw = np.full((1, len(hour)), 0.5)
    fleet = BatteryFleet.uniform(1, 4.0, 2.0, 0.81)
    return Cases(fleet, net_kw, net_kw, buy, np.zeros_like(buy), np.zeros(1, dtype=np.bool_), hour)


if ENVIRONMENT_ID not in gymnasium.registry:
    gymnasium.register(ENVIRONMENT_ID, entry_point="vpp_sim.ess.environment:StorageEnv")
