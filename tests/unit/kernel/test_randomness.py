"""Streams depend on seed and name alone, and are uniform."""

import numpy as np

from vpp_sim.kernel.randomness import MemberStreams, Streams

NAMES = [f"homes/home_{n}" for n in range(1, 14)]


def test_a_fourteenth_home_changes_nobody_elses_numbers() -> None:
    thirteen = MemberStreams(7, "limit_price", NAMES)
    fourteen = MemberStreams(7, "limit_price", ["homes/home_0", *NAMES])
    for step in range(200):
        assert (thirteen.uniform(step) == fourteen.uniform(step)[1:]).all()


def test_seed_purpose_and_step_each_change_the_numbers() -> None:
    numbers = MemberStreams(7, "limit_price", NAMES).uniform(3)
    assert not (numbers == MemberStreams(8, "limit_price", NAMES).uniform(3)).any()
    assert not (numbers == MemberStreams(7, "noise", NAMES).uniform(3)).any()
    assert not (numbers == MemberStreams(7, "limit_price", NAMES).uniform(4)).any()


def test_members_draw_uniformly_and_independently() -> None:
    draws = np.array([MemberStreams(1, "x", NAMES).uniform(step) for step in range(20_000)])
    assert ((draws >= 0) & (draws < 1)).all()
    # Bounds of five standard errors: sd 1/sqrt(12) of a uniform number, and 1/sqrt(N) of a correlation.
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 5 / np.sqrt(12 * len(draws))
    across = np.corrcoef(draws.T) - np.eye(len(NAMES))
    assert np.abs(across).max() < 5 / np.sqrt(len(draws))
    ahead = [np.corrcoef(draws[1:, i], draws[:-1, i])[0, 1] for i in range(len(NAMES))]
    assert np.abs(ahead).max() < 5 / np.sqrt(len(draws))


def test_agents_streams_repeat_and_differ_by_name() -> None:
    assert Streams(7).generator("a").random() == Streams(7).generator("a").random()
    assert Streams(7).generator("a").random() != Streams(7).generator("b").random()
