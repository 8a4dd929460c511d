"""Quantiles of a sum: the two limits, the Gaussian case, and samples of a Gaussian copula."""

from statistics import NormalDist

import numpy as np
import pytest

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.quantiles import aggregate_quantiles, quantile_at

_LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
_NORMAL = np.array([NormalDist().inv_cdf(level) for level in _LEVELS])


def test_homes_in_step_add_level_by_level():
    homes = np.sort(np.random.default_rng(0).normal(size=(7, 3, 5)), axis=2)
    total = aggregate_quantiles(homes, _LEVELS, rank_correlation=1.0)
    assert total == pytest.approx(homes.sum(axis=0))


def test_independent_gaussian_homes_shrink_with_the_root_of_their_number():
    homes = np.tile(3.0 + 2.0 * _NORMAL, (16, 1, 1))
    total = aggregate_quantiles(homes, _LEVELS, rank_correlation=0.0)
    assert total[0] == pytest.approx(48.0 + 8.0 * _NORMAL)


@pytest.mark.parametrize("rank_correlation", [0.0, 0.3, 0.7])
def test_correlated_gaussian_homes_match_samples(rank_correlation):
    scale = np.array([1.0, 2.0, 0.5])
    correlation = 2 * np.sin(np.pi * rank_correlation / 6)
    covariance = np.outer(scale, scale) * (correlation + (1 - correlation) * np.eye(3))
    samples = np.random.default_rng(5).multivariate_normal(np.zeros(3), covariance, 200_000)
    total = aggregate_quantiles((scale[:, None] * _NORMAL)[:, None], _LEVELS, rank_correlation=rank_correlation)
    assert total[0] == pytest.approx(np.quantile(samples.sum(axis=1), _LEVELS), abs=0.03)


def test_either_side_keeps_its_own_spread():
    homes = np.array([[[0.0, 1.0, 5.0]], [[0.0, 1.0, 4.0]]])
    total = aggregate_quantiles(homes, np.array([0.1, 0.5, 0.9]), rank_correlation=0.0)
    assert total[0] == pytest.approx([2 - np.sqrt(2), 2.0, 7.0])


def test_the_median_may_stand_between_levels():
    assert aggregate_quantiles(np.array([[[2.0, 4.0]]]), np.array([0.4, 0.6]), rank_correlation=0.5).tolist() == [
        [2.0, 4.0]
    ]


def test_a_level_is_interpolated_and_held_outside():
    values = np.array([0.0, 10.0, 20.0, 40.0, 80.0])
    assert [float(quantile_at(values, _LEVELS, level)) for level in (0.0, 0.1, 0.3, 0.9, 1.0)] == pytest.approx(
        [0.0, 0.0, 12.0, 80.0, 80.0]
    )
    assert quantile_at(np.array([[7.0]]), np.array([0.5]), 0.9) == [7.0]


@pytest.mark.parametrize(
    ("homes", "levels", "rank_correlation", "message"),
    [
        (np.zeros((1, 1, 2)), [0.6, 0.9], 0.5, "levels must enclose 0.5"),
        (np.zeros((1, 1, 2)), [0.9, 0.1], 0.5, "levels must rise within 0..1"),
        (np.zeros((1, 1, 2)), [0.1, 1.2], 0.5, "levels must rise within 0..1"),
        (np.zeros((1, 1, 3)), [0.1, 0.9], 0.5, r"quantiles has shape \(1, 1, 3\), expected \(1, 1, 2\)"),
        (np.zeros((1, 2)), [0.1, 0.9], 0.5, r"home_quantiles has shape \(1, 2\)"),
        (np.array([[[1.0, 0.0]]]), [0.1, 0.9], 0.5, "the quantiles cross"),
        (np.zeros((1, 1, 2)), [0.1, 0.9], 1.5, "rank_correlation is 1.5, expected 0..1"),
        (np.zeros((1, 1, 0)), [], 0.5, r"levels has shape \(0,\), expected \(Q,\)"),
    ],
)
def test_bad_quantiles_are_refused(homes, levels, rank_correlation, message):
    with pytest.raises(PhysicsError, match=message):
        aggregate_quantiles(homes, np.array(levels), rank_correlation=rank_correlation)
