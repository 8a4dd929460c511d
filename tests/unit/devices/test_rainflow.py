"""Rainflow counting against the standard's worked example and a plain implementation of its rules."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from vpp_sim.devices.rainflow import count_cycles, turning_points
from vpp_sim.errors import PhysicsError

FIGURE_6 = [-2.0, 1.0, -3.0, 5.0, -1.0, 3.0, -4.0, 4.0, -2.0]
"""The history of figure 6 of ASTM E1049-85."""


def _by_the_rules(history: list[float]) -> list[tuple[float, float, float]]:
    """Return depth, mean and count of each cycle by section 5.4.4, with a list of open points, a step at a time."""
    values = [v for i, v in enumerate(history) if i == 0 or v != history[i - 1]]
    inner = [b for a, b, c in zip(values, values[1:], values[2:], strict=False) if (b - a) * (c - b) < 0]
    points, cycles = ([values[0], *inner, values[-1]] if len(values) > 1 else values), []
    pending: list[float] = []
    for point in points:
        pending.append(point)
        while len(pending) >= 3 and abs(pending[-1] - pending[-2]) >= abs(pending[-2] - pending[-3]):
            a, b = pending[-3], pending[-2]
            whole = len(pending) > 3
            cycles.append((abs(b - a), (a + b) / 2, 1.0 if whole else 0.5))
            del pending[-3 if whole else 0 : -1 if whole else 1]
    return cycles + [(abs(b - a), (a + b) / 2, 0.5) for a, b in pairwise(pending)]


def _sums(depth: np.ndarray, mean: np.ndarray, count: np.ndarray) -> dict[tuple[float, float], float]:
    sums: Counter[tuple[float, float]] = Counter()
    for cycle in zip(depth.tolist(), mean.tolist(), count.tolist(), strict=True):
        sums[cycle[0], cycle[1]] += cycle[2]
    return dict(sums)


def test_the_standards_own_example() -> None:
    """The table of figure 6: half a cycle of ranges 3, 6 and 9, one of 8, one and a half of 4."""
    cycles = count_cycles(np.array(FIGURE_6)[:, None])
    counted = {r: float(cycles.count[cycles.depth == r].sum()) for r in range(1, 11)}
    assert counted == {1: 0, 2: 0, 3: 0.5, 4: 1.5, 5: 0, 6: 0.5, 7: 0, 8: 1.0, 9: 0.5, 10: 0}
    # the ranges in the order in which the text counts them: A-B, B-C, E-F, C-D, D-G, G-H, H-I
    assert cycles.depth.tolist() == [3, 4, 4, 8, 9, 8, 6]
    assert cycles.mean.tolist() == [-0.5, -1.0, 1.0, 1.0, 0.5, 0.0, 1.0]
    assert cycles.count.tolist() == [0.5, 0.5, 1.0, 0.5, 0.5, 0.5, 0.5]


def test_points_on_the_way_and_plateaus_change_nothing() -> None:
    slowly = np.interp(np.arange(0.0, 8.01, 0.25), np.arange(9), FIGURE_6)
    waiting = np.repeat(FIGURE_6, 3)
    for history in (slowly, waiting):
        cycles = count_cycles(history[:, None])
        assert cycles.depth.tolist() == [3, 4, 4, 8, 9, 8, 6]


def test_a_small_cycle_inside_a_large_one_is_counted_on_its_own() -> None:
    """0 to 1 to 0 with a dip from 0.6 to 0.4 on the way: by hand one cycle of 0.2 and two halves of 1."""
    cycles = count_cycles(np.array([[0.0], [0.6], [0.4], [1.0], [0.0]]))
    np.testing.assert_allclose(cycles.depth, [0.2, 1.0, 1.0])
    assert cycles.count.tolist() == [1.0, 0.5, 0.5]
    np.testing.assert_allclose(cycles.mean, [0.5, 0.5, 0.5])


def test_many_histories_at_once_are_those_of_each_alone() -> None:
    rng = np.random.default_rng(3)
    history = np.round(np.cumsum(rng.normal(0, 1, (300, 40)) * rng.integers(0, 2, (300, 40)), axis=0), 1)
    history[:, 0] = 1.0  # never changes
    history[:, 1] = np.arange(300)  # never turns
    history[:, 2] = np.where(np.arange(300) % 2, 1, -1) / (1.0 + np.arange(300))  # never closes
    history[:, 3] = np.where(np.arange(300) % 2, 1, -1) * np.arange(300)  # closes at once
    cycles = count_cycles(history)
    for i in range(40):
        mine = cycles.battery == i
        expected = _by_the_rules(history[:, i].tolist())
        assert len(expected) == int(mine.sum())
        got = _sums(cycles.depth[mine], cycles.mean[mine], cycles.count[mine])
        assert got == _sums(*(np.array(part) for part in zip(*expected, strict=True))) if expected else not got


def test_no_range_is_lost() -> None:
    """Each cycle is two ranges and each half one, so depth times count is half of all that a history moves."""
    history = np.random.default_rng(4).random((500, 20))
    cycles = count_cycles(history)
    np.testing.assert_allclose(cycles.total(cycles.depth, 20), np.abs(np.diff(history, axis=0)).sum(axis=0) / 2)


@pytest.mark.parametrize("history", [[0.5], [0.5, 0.5, 0.5]])
def test_without_a_move_there_is_no_cycle(history: list[float]) -> None:
    cycles = count_cycles(np.array(history)[:, None])
    assert cycles.depth.size == cycles.battery.size == 0
    assert cycles.total(cycles.depth, 1).tolist() == [0.0]


def test_turning_points_start_and_end_with_the_history() -> None:
    points, count = turning_points(np.array([[1.0, 0.0], [1.0, 0.2], [0.5, 0.4], [0.5, 0.4], [0.7, 0.4]]))
    assert count.tolist() == [3, 2]
    assert points[:3, 0].tolist() == [1.0, 0.5, 0.7]
    assert points[:2, 1].tolist() == [0.0, 0.4]


def test_refusals() -> None:
    with pytest.raises(PhysicsError, match=r"history has shape \(0, 2\), expected \(T, n\) with T at least 1"):
        count_cycles(np.zeros((0, 2)))
    with pytest.raises(PhysicsError, match="history has 1 values that are not finite"):
        count_cycles(np.array([[0.0], [np.nan]]))
