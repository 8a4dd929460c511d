"""One home's battery as a Gymnasium environment, and the lanes that it shares with the vectorised one.

Importing this module registers ``vpp_sim/ESS-v0``. An episode starts in a random case at a random step with a random
state of charge. The reward of a step is what the battery saves against none [EUR]; the last one adds the worth of what
is still stored (:func:`vpp_sim.ess.episodes.stored_value_eur`), so emptying the battery at the end earns nothing.

Actions are the ten of :mod:`vpp_sim.ess.actions`, or, continuous, a share of full power in -1..1, positive when
charging. Either is projected onto what the battery can do, and what was cut can be counted (:meth:`Lanes.cut`).

Of an observation only the state of charge depends on what was done. All else follows from the case and the step, so
lanes by the thousand look their rows up in a table, which is made once and holds what
:func:`vpp_sim.ess.episodes.window_features` gives, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from vpp_sim.arrays import BoolArray, FloatArray, IntArray
from vpp_sim.devices.battery import BatteryFleet, project
from vpp_sim.errors import PhysicsError
from vpp_sim.ess.actions import ACTION_COUNT, asked_powers
from vpp_sim.ess.dynamic_programming import worth_eur
from vpp_sim.ess.episodes import Cases, step_cases, step_powers, stored_value_eur, subset, window_features
from vpp_sim.ess.features import FEATURE_BOUND, FEATURE_COUNT, Float32Array

__all__ = [
    "ENVIRONMENT_ID",
    "TABLE_LIMIT_BYTES",
    "Actions",
    "Lanes",
    "Potential",
    "StorageEnv",
    "action_space",
    "observation_space",
    "two_price_home",
]

ENVIRONMENT_ID = "vpp_sim/ESS-v0"

TABLE_LIMIT_BYTES = 1 << 29
"""Observations of more cases and steps than fit in this are made anew each time."""

Actions: TypeAlias = NDArray[Any]
"""Index of an action, or share of full power, of every lane."""

_Action: TypeAlias = Any
_SMALLEST_SIZE = 1e-6


def observation_space() -> spaces.Box:
    """Return the space of :func:`vpp_sim.ess.features.storage_features`."""
    return spaces.Box(-FEATURE_BOUND, FEATURE_BOUND, (FEATURE_COUNT,), np.float32)


def action_space(continuous: bool = False) -> spaces.Space[Any]:
    """Return the space of :mod:`vpp_sim.ess.actions`, or that of shares of full power, positive when charging."""
    return spaces.Box(-1.0, 1.0, (1,), np.float32) if continuous else spaces.Discrete(ACTION_COUNT)


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
    continuous : bool
        Whether actions are shares of full power instead of the ten discrete ones.
    tabulated : bool
        Whether to look observations up in a table, where that stays below :data:`TABLE_LIMIT_BYTES`. It takes about as
        long to make as to observe every step of every case once.

    Raises
    ------
    PhysicsError
        If the series are too short for an episode.
    """

    def __init__(
        self,
        cases: Cases,
        n: int,
        *,
        episode_steps: int,
        normalised: bool,
        potential: Potential | None = None,
        continuous: bool = False,
        tabulated: bool = False,
    ) -> None:
        self.cases, self.n, self.episode_steps, self.potential = cases, n, episode_steps, potential
        self.continuous = continuous
        self._starts = cases.last_step - cases.first_step - episode_steps + 1
        if self._starts < 1:
            raise PhysicsError(f"series of {cases.hour.shape[0]} steps are too short for episodes of {episode_steps}")
        self._unit_eur = cases.worth_eur if normalised else np.ones(len(cases.fleet))
        fits = 4 * FEATURE_COUNT * len(cases.fleet) * (cases.last_step - cases.first_step) <= TABLE_LIMIT_BYTES
        self._table = _observations(cases) if tabulated and fits else None
        self._last: tuple[FloatArray, Actions] | None = None
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
        self._low_kwh, high_kwh = self.fleet.min_kwh, self.fleet.max_kwh
        self._usable_kwh = np.maximum(high_kwh - self._low_kwh, _SMALLEST_SIZE)
        self.soc_kwh = np.clip(soc_kwh, self._low_kwh, high_kwh)

    def observe(self) -> Float32Array:
        """Return the features of every lane, shape (n, 79)."""
        last = np.minimum(self.step, self.cases.last_step - 1)
        if self._table is not None:
            first, steps = self.cases.first_step, self.cases.last_step - self.cases.first_step
            seen: Float32Array = self._table.take(self.case * steps + (last - first), axis=0)
            seen[:, 0] = np.clip((self.soc_kwh - self._low_kwh) / self._usable_kwh, 0.0, 1.0)
            return seen
        return window_features(self.cases, self.fleet, self.case, last, self.soc_kwh)

    def advance(self, action: Actions) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Take a step in every lane; return rewards, which lanes are done, and savings [EUR], each of shape (n,)."""
        before_kwh, before = self.soc_kwh, self.step
        take = _step_shares if self.continuous else step_cases
        self.soc_kwh, saving = take(self.cases, self.fleet, self.case, before, before_kwh, action)
        self.step, self._last = before + 1, (before_kwh, action)
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

    def cut(self) -> BoolArray:
        """Return in which lanes a limit of the battery cut the last action, shape (n,)."""
        if self._last is None:
            return np.zeros(self.n, dtype=np.bool_)
        (before_kwh, action), fleet, h = self._last, self.fleet, self.cases.step_h
        if self.continuous:
            asked_kw = np.clip(action, -1.0, 1.0) * fleet.power_kw
        else:
            net_kw = self.cases.now_kw[self.case, self.step - 1]
            charge_kw, discharge_kw = asked_powers(fleet, net_kw, action.astype(np.int64))
            asked_kw = charge_kw - discharge_kw
        stored_kwh = fleet.charge_efficiency * np.maximum(asked_kw, 0.0) * h
        drawn_kwh = np.maximum(-asked_kw, 0.0) * h / fleet.discharge_efficiency
        missed_kwh = np.abs(before_kwh * fleet.kept_share(h) + stored_kwh - drawn_kwh - self.soc_kwh)
        short: BoolArray = missed_kwh > 1e-9 * (1.0 + fleet.capacity_kwh)
        return short


def _observations(cases: Cases) -> Float32Array:
    """Return the observation of every case at every step that can be acted on, batteries empty, one row each."""
    step = np.arange(cases.first_step, cases.last_step)
    table = np.empty((len(cases.fleet), len(step), FEATURE_COUNT), dtype=np.float32)
    for case, rows in enumerate(table):
        at = np.full(len(step), case)
        fleet = subset(cases.fleet, at)
        rows[:] = window_features(cases, fleet, at, step, fleet.min_kwh)
    return table.reshape(-1, FEATURE_COUNT)


def _step_shares(
    cases: Cases, fleet: BatteryFleet, case: IntArray, step: IntArray, soc_kwh: FloatArray, share: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what :func:`vpp_sim.ess.episodes.step_cases` does, for shares of full power."""
    asked_kw = np.clip(share, -1.0, 1.0) * fleet.power_kw
    wanted = project(fleet, soc_kwh, np.maximum(asked_kw, 0.0), np.maximum(-asked_kw, 0.0), cases.step_h)
    return step_powers(cases, fleet, case, step, soc_kwh, *wanted)


class StorageEnv(gymnasium.Env[Float32Array, _Action]):
    """One battery; ten actions or a share of full power, 79 features (:mod:`vpp_sim.ess.features`).

    Parameters
    ----------
    cases : Cases, optional
        Where episodes come from; without it, :func:`two_price_home`.
    episode_steps : int
        Length of an episode; it ends by termination, for the worth of what is stored is in the last reward.
    normalised : bool
        Whether rewards are shares of a full battery's worth instead of EUR.
    continuous : bool
        Whether an action is a share of full power, of shape (1,), instead of one of ten.

    Notes
    -----
    ``reset`` takes the options ``case``, ``start`` (step) and ``soc_kwh``; what is not given is drawn. ``info`` says
    where the episode stands, the saving of the step [EUR], and whether a limit of the battery cut the action.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - gymnasium's own attribute

    def __init__(
        self,
        cases: Cases | None = None,
        *,
        episode_steps: int = 72,
        normalised: bool = False,
        continuous: bool = False,
    ) -> None:
        self.lanes = Lanes(
            cases or two_price_home(), 1, episode_steps=episode_steps, normalised=normalised, continuous=continuous
        )
        self.observation_space = observation_space()  # type: ignore[assignment]  # float32, by its dtype
        self.action_space = action_space(continuous)

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
        taken = np.asarray(action, dtype=np.float64 if self.lanes.continuous else np.int64).reshape(1)
        reward, done, saving = self.lanes.advance(taken)
        info = {**self._info(), "saving_eur": float(saving[0]), "projected": bool(self.lanes.cut()[0])}
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
