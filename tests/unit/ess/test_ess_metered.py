"""Cases whose net load is not metered when acting: what is expected, what strays, and what haste costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.ess.actions import FOLLOW
from vpp_sim.ess.curriculum import training_cases
from vpp_sim.ess.dynamic_programming import action_values, state_values
from vpp_sim.ess.environment import StorageEnv, two_price_home
from vpp_sim.ess.episodes import Cases, step_cases, subset, window_features
from vpp_sim.ess.vector_environment import StorageVecEnv

ONE, START = np.zeros(1, dtype=np.int64), np.full(1, 7 * 24)


@pytest.fixture(scope="module")
def unmetered() -> Cases:
    rng = np.random.default_rng(5)
    hour = np.arange(24.0 * 12) % 24
    own, spot = np.where(hour > 15, 0.5, 0.2), 0.04 + 0.01 * np.sin(hour)
    net_kw = rng.normal(0.3, 1.0, (3, hour.size))
    cases = training_cases(net_kw, own, spot, hour, battery=(6.4, 5.0, 0.9), rng=rng)
    expected_kw = cases.net_kw + rng.normal(0.0, 0.4, cases.net_kw.shape)
    haste = np.full(len(cases.fleet), 0.02)
    return replace(cases, expected_kw=expected_kw, haste_eur_per_kw2h=haste)


def test_the_first_column_and_the_battery_follow_what_is_expected_and_the_bill_follows_the_meter() -> None:
    home = two_price_home()
    home = replace(home, expected_kw=np.full_like(home.net_kw, 0.8))
    full = np.array([3.0])
    seen = window_features(home, home.fleet, ONE, START, full)
    assert seen[0, 6:9].tolist() == pytest.approx([0.8, 0.5, 0.5])  # 4 kWh usable: shares are kW as they stand
    assert seen[0, 5] == pytest.approx(0.8 / 2.0)
    soc_kwh, saving = step_cases(home, home.fleet, ONE, START, full, np.array([FOLLOW]))
    assert soc_kwh[0] == pytest.approx(3.0 - 0.8 / 0.9)
    assert saving[0] == pytest.approx(0.2 * 0.5)  # the other 0.3 kWh went out for nothing
    env = StorageEnv(home)
    env.reset(options={"case": 0, "start": 7 * 24, "soc_kwh": 0.5})
    assert env.step(FOLLOW)[4]["projected"]
    assert not StorageEnv(two_price_home()).unwrapped.lanes.cut()[0]


def test_what_is_expected_changes_nothing_where_it_is_the_meter(unmetered: Cases) -> None:
    metered = replace(unmetered, expected_kw=None)
    told = replace(unmetered, expected_kw=unmetered.net_kw)
    runs = []
    for cases in (metered, told, unmetered):
        env = StorageVecEnv(cases, 16, episode_steps=30, seed=1)
        rng = np.random.default_rng(0)
        runs.append([env.reset(), *(env.step(rng.integers(10, size=16))[:2] for _ in range(40))])
    np.testing.assert_equal(runs[0], runs[1])
    assert (runs[0][0] != runs[2][0]).any()


@pytest.mark.parametrize("continuous", [False, True])
def test_single_vectorised_and_tabulated_environments_agree(unmetered: Cases, continuous: bool) -> None:
    n, length = 12, 20
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (length, n)) if continuous else rng.integers(10, size=(length, n))
    many, plain = (
        StorageVecEnv(unmetered, n, episode_steps=length, seed=3, continuous=continuous, tabulated=tabulated)
        for tabulated in (True, False)
    )
    first = many.reset()
    np.testing.assert_array_equal(first, plain.reset())
    start, case, soc_kwh = (values.copy() for values in (many.lanes.start, many.lanes.case, many.lanes.soc_kwh))
    steps = [many.step(row) for row in actions]
    for row, step in zip(actions, steps, strict=True):
        again = plain.step(row)
        for mine, other in zip(step[:3], again[:3], strict=True):
            np.testing.assert_array_equal(mine, other)
    for i in range(n):
        one = StorageEnv(unmetered, episode_steps=length, normalised=True, continuous=continuous)
        seen, _ = one.reset(options={"case": case[i], "start": start[i], "soc_kwh": soc_kwh[i]})
        np.testing.assert_array_equal(seen, first[i])
        for t in range(length):
            seen, reward, _, _, _ = one.step(actions[t, i])
            assert np.float32(reward) == steps[t][1][i]
            if t + 1 < length:
                np.testing.assert_array_equal(seen, steps[t][0][i])
    assert many.projected == plain.projected > 0


def test_haste_costs_half_the_square_of_the_power() -> None:
    home = two_price_home()
    slow = replace(home, haste_eur_per_kw2h=np.array([0.1]))
    for action, power_kw in ((0, 0.0), (4, 1.0), (5, 2.0), (9, -2.0)):
        soc_kwh, plain = step_cases(
            home, home.fleet, ONE, START, np.array([3.0 if action == 9 else 0.0]), np.array([action])
        )
        same_kwh, less = step_cases(
            slow, home.fleet, ONE, START, np.array([3.0 if action == 9 else 0.0]), np.array([action])
        )
        assert soc_kwh == same_kwh
        assert plain[0] - less[0] == pytest.approx(0.05 * power_kw**2)


def test_the_saving_is_the_mean_over_what_is_possible(unmetered: Cases) -> None:
    rng = np.random.default_rng(2)
    m, steps = unmetered.net_kw.shape
    possible_kw = rng.normal(0.3, 1.0, (m, steps, 3))
    many = replace(unmetered, possible_kw=possible_kw)
    each = [replace(unmetered, net_kw=possible_kw[:, :, k]) for k in range(3)]
    case, step = rng.integers(m, size=40), rng.integers(unmetered.first_step, unmetered.last_step, size=40)
    fleet = subset(unmetered.fleet, case)
    soc_kwh, action = fleet.min_kwh + rng.random(40) * 2.0, rng.integers(10, size=40)
    end_kwh, mean = step_cases(many, fleet, case, step, soc_kwh, action)
    found = [step_cases(one, fleet, case, step, soc_kwh, action) for one in each]
    np.testing.assert_array_equal(end_kwh, found[0][0])
    np.testing.assert_allclose(mean, np.mean([saving for _, saving in found], axis=0), atol=1e-12)
    assert np.ptp([saving for _, saving in found], axis=0).max() > 0.05


def test_hindsight_that_does_not_know_the_meter_spreads_what_is_scarce() -> None:
    """0.45 kWh for three dear hours of 0.5 kW each: when is all the same if they are sure, else a little in each."""
    home = two_price_home()
    strays = replace(home, possible_kw=home.net_kw[..., None] + np.array([-0.5, -0.25, 0.0, 0.25, 0.5]))
    at, scarce = np.full(1, 7 * 24 + 17), np.array([0.5])
    sure, unsure = (
        action_values(cases, state_values(cases, discount=1.0), ONE, at, scarce, discount=1.0)[0]
        for cases in (home, strays)
    )
    little = 6
    assert sure[FOLLOW] == pytest.approx(sure.max(), abs=0.002)
    assert sure[little] == pytest.approx(sure.max(), abs=0.002)
    assert unsure[little] == unsure.max() > unsure[FOLLOW] + 0.005
    assert unsure.max() < sure.max() - 0.01


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("expected_kw", np.zeros((1, 3)), r"expected_kw has shape \(1, 3\), expected \(1, 384\)"),
        ("expected_kw", np.full((1, 384), np.nan), "expected_kw has 384 values that are not finite"),
        ("possible_kw", np.zeros((1, 384)), r"possible_kw has shape \(1, 384\), expected \(1, 384, 1\)"),
        ("possible_kw", np.zeros((2, 384, 5)), r"possible_kw has shape \(2, 384, 5\), expected \(1, 384, 5\)"),
        ("possible_kw", np.full((1, 384, 2), np.inf), "possible_kw has 768 values that are not finite"),
        ("haste_eur_per_kw2h", np.zeros(2), r"haste_eur_per_kw2h has shape \(2,\), expected \(1,\)"),
        ("haste_eur_per_kw2h", np.array([-0.1]), "haste_eur_per_kw2h is negative: lowest value -0.1"),
    ],
)
def test_what_does_not_fit_is_refused(field: str, values: np.ndarray, message: str) -> None:
    with pytest.raises(PhysicsError, match=message):
        replace(two_price_home(), **{field: values})
