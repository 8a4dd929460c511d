"""The fleet of agents: PettingZoo's own test, and the numbers of the vectorised environment."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from vpp_sim.errors import DataError
from vpp_sim.ess.curriculum import training_cases
from vpp_sim.ess.episodes import Cases
from vpp_sim.ess.parallel_environment import StorageParallelEnv
from vpp_sim.ess.vector_environment import StorageVecEnv


@pytest.fixture(scope="module")
def cases() -> Cases:
    rng = np.random.default_rng(5)
    hour = np.arange(24.0 * 12) % 24
    own, spot = np.where(hour > 15, 0.5, 0.2), 0.04 + 0.01 * np.sin(hour)
    net_kw = rng.normal(0.3, 1.0, (2, hour.size))
    return training_cases(net_kw, own, spot, hour, battery=(6.4, 5.0, 0.9), rng=rng)


@pytest.mark.parametrize("continuous", [False, True])
def test_pettingzoo_finds_nothing_to_complain_about(cases: Cases, continuous: bool) -> None:
    parallel_api_test(StorageParallelEnv(cases, continuous=continuous, episode_steps=20), num_cycles=50)
    parallel_seed_test(lambda: StorageParallelEnv(cases, continuous=continuous, episode_steps=20), num_cycles=25)


@pytest.mark.parametrize("continuous", [False, True])
def test_it_gives_the_numbers_of_the_vectorised_environment(cases: Cases, continuous: bool) -> None:
    n, length = len(cases.fleet), 20
    names = tuple(f"house {i}" for i in range(n))
    fleet = StorageParallelEnv(cases, names, episode_steps=length, normalised=True, continuous=continuous)
    seen, infos = fleet.reset(seed=2)
    start = infos["house 0"]["step"]
    soc_kwh = np.array([infos[name]["soc_kwh"] for name in names])
    assert len(set(soc_kwh.tolist())) == n
    many = StorageVecEnv(cases, n, episode_steps=length, continuous=continuous)
    many.lanes.place(np.arange(n), np.full(n, start), soc_kwh)
    np.testing.assert_array_equal([seen[name] for name in names], many.lanes.observe())
    rng, cuts = np.random.default_rng(0), 0
    for _ in range(length):
        actions = rng.uniform(-1.0, 1.0, (n, 1)) if continuous else rng.integers(10, size=n)
        seen, rewards, ended, truncated, infos = fleet.step(dict(zip(names, actions, strict=True)))
        observation, reward, done, told = many.step(actions)
        last = [info["terminal_observation"] for info in told] if done.all() else observation
        np.testing.assert_array_equal([seen[name] for name in names], last)
        np.testing.assert_array_equal(np.array([rewards[name] for name in names], dtype=np.float32), reward)
        assert list(ended.values()) == done.tolist()
        assert not any(truncated.values())
        cuts += sum(info["projected"] for info in infos.values())
    assert all(ended.values())
    assert fleet.agents == []
    assert cuts == many.projected > 0


def test_names_must_fit_the_homes(cases: Cases) -> None:
    with pytest.raises(DataError, match="12 cases need 12 names, each once; got a, a"):
        StorageParallelEnv(cases, ("a", "a"))


def test_without_pettingzoo_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['pettingzoo'] = None; import vpp_sim.ess.parallel_environment"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "DataError: the fleet of agents needs PettingZoo: pip install 'vpp-sim[fleet]'" in done.stderr
