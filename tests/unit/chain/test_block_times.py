"""Times of blocks: multiples of the block time, or a geometric distribution of that mean."""

import numpy as np
import pytest

from vpp_sim.chain.block_times import BlockTimes
from vpp_sim.errors import ChainError


def test_regular_blocks_come_at_multiples_and_draw_nothing():
    rng = np.random.default_rng(7)
    before = rng.bit_generator.state
    times = BlockTimes(12, "regular", rng)
    assert [times.after(now_s) for now_s in (0, 1, 11, 12, 3_601)] == [12, 12, 12, 24, 3_612]
    assert rng.bit_generator.state == before


def test_random_blocks_have_the_mean_and_spread_of_a_geometric_distribution():
    """Mean 12 s; variance (1 - p) / p^2 = 132 s2 with p = 1/12; share under 4 s 1 - (11/12)^3."""
    times = BlockTimes(12, "exponential", np.random.default_rng(7))
    gaps = np.array([times.after(1_000) for _ in range(100_000)]) - 1_000
    assert gaps.min() == 1
    assert gaps.mean() == pytest.approx(12.0, rel=0.01)
    assert gaps.var() == pytest.approx(132.0, rel=0.03)
    assert np.mean(gaps < 4) == pytest.approx(1 - (11 / 12) ** 3, abs=0.005)


def test_random_blocks_of_a_second_come_every_second():
    times = BlockTimes(1, "exponential", np.random.default_rng(7))
    assert [times.after(5) for _ in range(3)] == [6, 6, 6]


def test_the_same_seed_gives_the_same_times():
    first, second = (BlockTimes(12, "exponential", np.random.default_rng(3)) for _ in range(2))
    assert [first.after(0) for _ in range(20)] == [second.after(0) for _ in range(20)]


def test_no_block_time_is_under_a_second():
    with pytest.raises(ChainError, match="block time 0 s is less than a second"):
        BlockTimes(0, "regular", np.random.default_rng(7))
