"""What acts inside CityLearn sees and does what the product's policies do, and never looks ahead."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vpp_sim.devices.battery import BatteryFleet, project
from vpp_sim.ess.actions import ACTION_COUNT, POWER_SHARES, asked_powers
from vpp_sim.ess.features import FEATURE_COUNT, storage_features
from vpp_sim.ess.network import ActionNetwork

STUDY = Path(__file__).resolve().parents[3] / "experiments" / "ess" / "citylearn"


@pytest.fixture(scope="module")
def study() -> Any:
    sys.path.insert(0, str(STUDY))
    try:
        import agents
        import replica
    finally:
        sys.path.remove(str(STUDY))
    return agents, replica


def test_agents_see_and_do_what_the_product_does(study: Any) -> None:
    agents, _ = study
    rng, n = np.random.default_rng(0), 200
    fleet = BatteryFleet.uniform(n, 6.4, 2.0, 0.84)
    soc_kwh, net_kw = rng.uniform(0, 6.4, n), rng.normal(0.3, 1.5, (n, 24))
    sell = rng.normal(0.1, 0.2, (n, 24))
    buy = sell + rng.uniform(0.1, 0.6, (n, 24))
    battery = tuple(np.full(n, value) for value in (6.4, 2.0, 0.84))
    seen = agents.features(soc_kwh, net_kw, buy, sell, 17, battery)
    assert agents.FEATURES == FEATURE_COUNT
    assert agents.SHARES.tolist() == list(POWER_SHARES)
    np.testing.assert_allclose(seen, storage_features(fleet, soc_kwh, net_kw, buy, sell, 17.0, 1.0), atol=2e-6)
    sizes = [FEATURE_COUNT, 16, ACTION_COUNT]
    weights = tuple(rng.normal(0, 0.3, pair).astype(np.float32) for pair in pairwise(sizes))
    biases = tuple(rng.normal(0, 0.3, size).astype(np.float32) for size in sizes[1:])
    action = ActionNetwork(weights, biases).actions(seen)
    weight = agents.mixed(agents.scores(list(zip(weights, biases, strict=True)), seen), 0.0)
    charge, discharge = project(fleet, soc_kwh, *asked_powers(fleet, net_kw[:, 0], action), 1.0)
    power = agents.asked_kw(soc_kwh, net_kw[:, 0], battery, weight)
    np.testing.assert_allclose(power, charge - discharge, atol=1e-9)
    assert len(set(action.tolist())) > 3
    warm = agents.mixed(agents.scores(list(zip(weights, biases, strict=True)), seen), 1e9)
    np.testing.assert_allclose(warm, 0.1, atol=1e-6)


def _given(agents: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "usual_load": np.full((17, 24), 0.5),
        "usual_sun": np.full((17, 24), 0.2),
        "usual_carbon": np.full(24, 0.15),
        "now_load": rng.random(10) / 10,
        "now_sun": rng.random(4) / 4,
        "next_load": rng.random(4) / 4,
        "next_sun": rng.random(3) / 3,
        "money": np.full(17, 0.2),
        "emissions": np.full(17, 0.1),
        "battery": np.array([6.4, 2.0, 0.84]),
        "steepness": np.array(0.3),
        "heat": np.array(1.0),
        "calm": np.array(0.5),
        "weight_0": rng.normal(size=(agents.FEATURES, 10)),
        "bias_0": np.zeros(10),
    }


def test_agents_know_the_past_and_the_tariff_alone(study: Any) -> None:
    agents, _ = study
    rng, homes, hours = np.random.default_rng(1), [0, 3], 60
    given, price = _given(agents, rng), rng.uniform(0.2, 0.5, 100)
    load, sun, carbon = rng.random((2, hours)), rng.random((2, hours)), rng.random(hours)
    told = []
    for spoilt in (False, True):
        acting, powers = agents.Agents(given, homes, price, 23), []
        for t in range(hours):
            late = spoilt and t >= 40
            acting.learn(load[:, t] + 5.0 * late, sun[:, t] + late, float(carbon[t]) + late)
            powers.append(acting.powers(np.full(2, 3.0), 1.0))
        told.append(np.array(powers))
        assert acting.memory.hour == (23 + hours) % 24
    np.testing.assert_array_equal(told[0][:40], told[1][:40])
    assert (told[0][40:] != told[1][40:]).all()


def test_what_is_foreseen_does_not_depend_on_when_it_is_asked(study: Any) -> None:
    """A forecast of an hour takes what was known a day before it, so training may make each but once."""
    agents, _ = study
    rng, homes = np.random.default_rng(2), [0, 3, 5]
    given = _given(agents, rng)
    acting, windows = agents.Agents(given, homes, np.full(200, 0.3), 0), []
    for _ in range(80):
        windows.append(acting.foresee()[0])
        acting.learn(rng.random(3), rng.random(3), 0.1)
    for ahead in (1, 7, 23):
        np.testing.assert_allclose(windows[40][:, ahead], windows[41][:, ahead - 1] if ahead > 1 else windows[40][:, 1])
    np.testing.assert_allclose(windows[40][:, 23], windows[60][:, 3])


def test_calm_takes_off_its_share_of_the_ramp(study: Any) -> None:
    agents, _ = study
    rng = np.random.default_rng(3)
    given = _given(agents, rng)
    powers = []
    for calm in (0.0, 0.5):
        acting = agents.Agents(given | {"calm": np.array(calm)}, [0, 3], np.full(50, 0.3), 0)
        powers.append(acting.powers(np.full(2, 3.0), 4.0))
        net = acting.foresee()[0][:, 0]
    ramp_kw = net.sum() + powers[0].sum() - 4.0
    np.testing.assert_allclose(powers[1] - powers[0], -0.5 * ramp_kw / 2)


def test_the_replica_loses_what_its_curves_say(study: Any) -> None:
    """By hand from CityLearn's curves: 0.83 up to 1.5 kW, 0.9 at 3.75; power falls linearly from 80 % full."""
    _, replica = study
    batteries = replica.Batteries(3)
    metered = batteries.step(np.array([1.0, 3.75, 9.0]))
    np.testing.assert_allclose(metered, [1.0, 3.75, 5.0])
    np.testing.assert_allclose(batteries.soc_kwh, np.array([0.83, 0.9, 0.85]) ** 0.5 * [1.0, 3.75, 5.0])
    metered = batteries.step(np.array([-2.0, 0.0, 0.0]))
    assert metered[0] == pytest.approx(-0.83)  # all that was stored, less the way out at the last efficiency
    full = replica.Batteries(1)
    for _ in range(40):
        full.step(np.array([5.0]))
    assert full.soc_kwh[0] == pytest.approx(6.4, abs=0.01)
    assert full.step(np.array([-5.0]))[0] == pytest.approx(-1.0, abs=0.02)


def test_the_score_of_no_control_is_one_and_parts_are_those_of_hand_arithmetic(study: Any) -> None:
    _, replica = study
    net = np.tile(np.r_[np.full(12, 1.0), np.full(12, 3.0)], (2, 2))
    price, carbon = np.full(48, 0.2), np.full(48, 0.1)
    assert set(replica.score(net, net, price, carbon).values()) == {1.0}
    flat = replica.score(np.full_like(net, 2.0), net, price, carbon)
    assert flat["cost"] == flat["emissions"] == pytest.approx(1.0)
    assert (flat["ramping"], flat["load_factor"]) == (0.0, 0.0)
    assert flat["daily_peak"] == flat["all_time_peak"] == pytest.approx(2 / 3)
    assert flat["score"] == pytest.approx((2 + 1 / 3) / 3)
