"""The Gymnasium environment, and that the vectorised one gives the same numbers."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_of_learners

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.errors import PhysicsError
from vpp_sim.ess import environment
from vpp_sim.ess.curriculum import training_cases
from vpp_sim.ess.dynamic_programming import state_values, worth_eur
from vpp_sim.ess.environment import ENVIRONMENT_ID, Potential, StorageEnv, two_price_home
from vpp_sim.ess.episodes import Cases, stored_value_eur
from vpp_sim.ess.vector_environment import StorageVecEnv


@pytest.fixture(scope="module")
def cases() -> Cases:
    rng = np.random.default_rng(5)
    hour = np.arange(24.0 * 12) % 24
    own, spot = np.where(hour > 15, 0.5, 0.2), 0.04 + 0.01 * np.sin(hour)
    net_kw = rng.normal(0.3, 1.0, (3, hour.size))
    return training_cases(net_kw, own, spot, hour, battery=(6.4, 5.0, 0.9), rng=rng)


@pytest.mark.parametrize("continuous", [False, True])
def test_gymnasium_and_stable_baselines_find_nothing_to_complain_about(continuous: bool) -> None:
    env = gymnasium.make(ENVIRONMENT_ID, continuous=continuous).unwrapped
    check_env(env, skip_render_check=True)
    check_env_of_learners(env)


def test_same_seed_same_episode() -> None:
    runs = []
    for _ in range(2):
        env = StorageEnv()
        seen, info = env.reset(seed=11)
        rewards = [env.step(np.int64(action % 10))[1] for action in range(30)]
        runs.append((seen.tolist(), info, rewards))
    assert runs[0] == runs[1]


def test_an_episode_adds_up_to_its_saving_and_what_is_left() -> None:
    env = StorageEnv(episode_steps=24)
    env.reset(seed=0, options={"case": 0, "start": 7 * 24, "soc_kwh": 0.0})
    rewards, savings, done = [], [], False
    while not done:
        charging = np.int64(5 if not rewards else 0)  # 2 kW for an hour at 0.9 each way, then rest
        _, reward, done, truncated, info = env.step(charging)
        rewards.append(reward)
        savings.append(info["saving_eur"])
        assert not truncated
    assert len(rewards) == 24
    assert sum(savings) == pytest.approx(-2.0 * 0.2)
    home = two_price_home()
    left = stored_value_eur(home, home.fleet, np.zeros(1, int), np.full(1, 8 * 24), np.full(1, 1.8))[0]
    assert info["soc_kwh"] == pytest.approx(1.8)
    assert sum(rewards) == pytest.approx(-0.4 + left)
    assert left == pytest.approx(1.8 * 0.9 * 0.25)


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
def test_the_vectorised_environment_gives_the_same_numbers(cases: Cases, normalised: bool, continuous: bool) -> None:
    n, length = 16, 20
    many = StorageVecEnv(cases, n, episode_steps=length, normalised=normalised, seed=3, continuous=continuous)
    many.reset()
    start, case = many.lanes.start.copy(), many.lanes.case.copy()
    soc_kwh = many.lanes.soc_kwh.copy()
    assert len(set(case.tolist())) > 5
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.1, 1.1, (length, n, 1)) if continuous else rng.integers(10, size=(length, n))
    cuts = 0
    seen = [many.lanes.observe()]
    rewards = []
    for t in range(length):
        observation, reward, done, infos = many.step(actions[t])
        rewards.append(reward)
        last = [info["terminal_observation"] for info in infos] if done.all() else observation
        seen.append(np.array(last))
    assert done.all()
    for i in range(n):
        one = StorageEnv(cases, episode_steps=length, normalised=normalised, continuous=continuous)
        first, _ = one.reset(options={"case": case[i], "start": start[i], "soc_kwh": soc_kwh[i]})
        np.testing.assert_array_equal(first, seen[0][i])
        for t in range(length):
            observation, reward, terminated, _, info = one.step(actions[t, i])
            np.testing.assert_array_equal(observation, seen[t + 1][i])
            assert np.float32(reward) == rewards[t][i]
            cuts += info["projected"]
        assert terminated
    assert cuts == many.projected > 0


def test_a_table_of_observations_changes_no_bit(cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for tabulated, limit in ((True, environment.TABLE_LIMIT_BYTES), (False, environment.TABLE_LIMIT_BYTES), (True, 10)):
        monkeypatch.setattr(environment, "TABLE_LIMIT_BYTES", limit)
        env = StorageVecEnv(cases, 32, episode_steps=30, seed=4, tabulated=tabulated)
        rng = np.random.default_rng(1)
        first = env.reset()
        runs.append(np.array([first, *(env.step(rng.integers(10, size=32))[0] for _ in range(65))]))
    assert runs[0].dtype == np.float32
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])
    assert np.ptp(runs[0][:, :, 0]) > 0.5


def test_a_step_leaves_the_observation_before_it_alone(cases: Cases) -> None:
    env = StorageVecEnv(cases, 4, seed=0)
    before = env.reset()
    kept = before.copy()
    env.step(np.full(4, 5))
    np.testing.assert_array_equal(before, kept)


@pytest.mark.parametrize(
    ("share", "stored_kwh", "cut"), [(0.5, 0.9, False), (1.0, 1.8, False), (1.7, 1.8, False), (-0.5, 0.0, True)]
)
def test_a_continuous_action_is_a_share_of_full_power(share: float, stored_kwh: float, cut: bool) -> None:
    """2 kW at 0.9 each way store 1.8 kWh in an hour; an empty battery gives nothing."""
    env = StorageEnv(episode_steps=24, continuous=True)
    env.reset(seed=0, options={"case": 0, "start": 7 * 24, "soc_kwh": 0.0})
    _, reward, _, _, info = env.step(np.array([share], dtype=np.float32))
    assert info["soc_kwh"] == pytest.approx(stored_kwh, abs=1e-12)
    assert info["projected"] is cut
    assert reward == pytest.approx(-0.2 * stored_kwh / 0.9)


def test_a_discrete_action_is_counted_when_a_limit_cuts_it() -> None:
    """Full power fits twice into 4 kWh at 1.8 kWh an hour; the third time it does not, and following an empty meter is
    cut as soon as less than the 0.5 kW of the home is left."""
    env = StorageEnv(episode_steps=24)
    env.reset(seed=0, options={"case": 0, "start": 7 * 24, "soc_kwh": 0.0})
    assert [env.step(np.int64(5))[4]["projected"] for _ in range(3)] == [False, False, True]
    followed = [env.step(np.int64(1))[4]["projected"] for _ in range(8)]
    assert followed == [False] * 7 + [True]  # 4 kWh give 3.6 kWh at the meter


def test_lanes_start_anew_and_seeds_repeat(cases: Cases) -> None:
    runs = []
    for _ in range(2):
        env = StorageVecEnv(cases, 4, episode_steps=5, seed=1)
        first = env.reset()
        seen = [env.step(np.ones(4, dtype=int))[0] for _ in range(12)]
        assert (env.lanes.step - env.lanes.start).tolist() == [2, 2, 2, 2]
        runs.append(np.array([first, *seen]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert env.env_is_wrapped(object) == [False] * 4
    assert env.get_attr("num_envs") == [4] * 4


def test_series_too_short_for_an_episode_are_refused() -> None:
    with pytest.raises(PhysicsError, match="series of 192 steps are too short for episodes of 72"):
        StorageEnv(two_price_home(days=8))


def test_a_normalised_reward_is_a_share_of_a_full_battery(cases: Cases) -> None:
    assert isinstance(cases.fleet, BatteryFleet)
    rewards = []
    for normalised in (False, True):
        env = StorageEnv(cases, normalised=normalised)
        env.reset(options={"case": 4, "start": 170, "soc_kwh": 1.0})
        rewards.append(env.step(np.int64(9))[1])
    worth = cases.fleet.capacity_kwh[4] * cases.buy_eur_per_kwh[4].mean()
    assert rewards[0] != 0.0
    assert rewards[1] == pytest.approx(rewards[0] / worth)


def test_shaping_moves_rewards_but_not_what_a_policy_adds_up_to(cases: Cases) -> None:
    values = state_values(cases, discount=1.0)
    length, n = 20, 8
    plain, shaped = (
        StorageVecEnv(cases, n, episode_steps=length, normalised=False, potential=potential, seed=2)
        for potential in (None, Potential(values, 1.0))
    )
    sums = []
    for env in (plain, shaped):
        env.reset()
        lanes = env.lanes
        case, start, soc_kwh = lanes.case, lanes.start, lanes.soc_kwh
        rewards = [lanes.advance(np.full(n, t % 10)) for t in range(length)]
        end = (lanes.case, lanes.step, lanes.soc_kwh)
        sums.append(np.sum([reward for reward, _, _ in rewards], axis=0))
    ended = worth_eur(values, lanes.fleet, *end)
    began = worth_eur(values, lanes.fleet, case, start, soc_kwh)
    left = stored_value_eur(cases, lanes.fleet, *end)
    np.testing.assert_allclose(sums[1], sums[0] - left + ended - began, rtol=1e-5, atol=1e-5)
    assert (sums[1] < 1e-3).all()  # nobody does better than the best in hindsight


def test_ppo_learns_with_continuous_actions(cases: Cases) -> None:
    env = StorageVecEnv(cases, 8, episode_steps=24, continuous=True, seed=0)
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    before = model.policy.action_net.weight.detach().clone()
    model.learn(256)
    assert not torch.equal(before, model.policy.action_net.weight)
    assert model.predict(env.reset(), deterministic=True)[0].shape == (8, 1)
    assert 0 < env.projected <= 256


def test_rest_is_not_cut_by_what_a_battery_loses_at_rest() -> None:
    home = two_price_home()
    leaky = replace(home, fleet=BatteryFleet.uniform(1, 4.0, 2.0, 0.81, self_discharge_per_month=0.5))
    env = StorageEnv(leaky)
    env.reset(seed=1, options={"soc_kwh": 4.0})
    _, _, _, _, info = env.step(np.int64(0))
    # Half is lost in a month of 730 hours, so 1 - 0.5 ** (1 / 730) of it in an hour.
    assert info["soc_kwh"] == pytest.approx(4.0 * 0.5 ** (1 / 730), rel=1e-12)
    assert not info["projected"]
