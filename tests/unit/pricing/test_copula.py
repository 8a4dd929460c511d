"""Scenarios keep the forecast's margins exactly and the copula's dependence nearly."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.copula import (
    EmpiricalCopula,
    ExponentialCopula,
    GaussianCopula,
    MaternCopula,
    fit_gaussian,
    scenarios_from_quantiles,
    stratified_ranks,
)
from vpp_sim.pricing.quantiles import values_at

_LEVELS = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
_COPULAS = (
    ExponentialCopula(),
    MaternCopula(),
    GaussianCopula(np.eye(24)),
    EmpiricalCopula(np.random.default_rng(1).uniform(size=(50, 24))),
)


def _quantiles(seed=0):
    return np.sort(np.random.default_rng(seed).normal(0.0, 5.0, (24, 5)), axis=1)


@pytest.mark.parametrize("copula", _COPULAS, ids=lambda copula: type(copula).__name__)
def test_margins_are_exact_whatever_the_copula(copula):
    # 200 scenarios: exactly 10 lie below the 5 % quantile, 50 below the 25 % one, and so on, in every step.
    quantiles = _quantiles()
    paths = scenarios_from_quantiles(quantiles, _LEVELS, copula=copula, scenarios=200, seed=3)
    for level, column in zip(_LEVELS, quantiles.T, strict=True):
        assert ((paths < column).sum(axis=0) == round(200 * level)).all()


@pytest.mark.parametrize("copula", _COPULAS, ids=lambda copula: type(copula).__name__)
def test_same_seed_same_scenarios(copula):
    one, same, other = (
        scenarios_from_quantiles(_quantiles(), _LEVELS, copula=copula, scenarios=50, seed=seed) for seed in (1, 1, 2)
    )
    assert one.tobytes() == same.tobytes() != other.tobytes()


def test_correlation_falls_as_stated():
    # Gaussian copula: Spearman's coefficient is 6 / pi arcsin(r / 2) (Kruskal 1958).
    paths = scenarios_from_quantiles(
        _quantiles(), _LEVELS, copula=ExponentialCopula(range_h=5.0), scenarios=20_000, seed=0, tail="held"
    )
    for lag in (1, 5, 12):
        expected = 6 / np.pi * np.arcsin(np.exp(-lag / 5.0) / 2)
        assert spearmanr(paths[:, 2], paths[:, 2 + lag]).statistic == pytest.approx(expected, abs=0.02)


def test_quarter_hours_and_hours_see_the_same_time():
    hours = ExponentialCopula(step_h=1.0).correlation(5)
    quarters = ExponentialCopula(step_h=0.25).correlation(17)
    assert quarters[::4, ::4] == pytest.approx(hours)


def test_matern_by_hand():
    # Distance of one range: (1 + sqrt 3) e^(-sqrt 3) = 0.48336.
    assert MaternCopula(step_h=2.0, range_h=2.0).correlation(2)[0, 1] == pytest.approx(0.48336, abs=1e-5)


def test_an_empirical_copula_keeps_what_went_together():
    rng = np.random.default_rng(0)
    morning = rng.uniform(size=200)
    past = np.column_stack([morning, 1 - morning, rng.uniform(size=200)])
    ranks = EmpiricalCopula(past).ranks(600, 3, seed=0)
    assert spearmanr(ranks[:, 0], ranks[:, 1]).statistic < -0.99
    assert abs(spearmanr(ranks[:, 0], ranks[:, 2]).statistic) < 0.15


def test_a_fitted_copula_recovers_the_planted_one():
    planted = ExponentialCopula(range_h=4.0)
    past = planted.ranks(4000, 12, seed=5)
    found = fit_gaussian(past, toward=np.eye(12), weight_days=1e-9).matrix
    assert found == pytest.approx(planted.correlation(12), abs=0.03)


def test_few_days_are_shrunk_and_still_a_correlation():
    past = np.random.default_rng(0).uniform(size=(3, 24))
    prior = ExponentialCopula().correlation(24)
    found = fit_gaussian(past, toward=prior, weight_days=30.0).matrix
    assert np.linalg.eigvalsh(found).min() > 0
    assert np.abs(found - prior).max() < 0.25


def test_ranks_are_midpoints_and_ties_go_by_row():
    assert stratified_ranks(np.zeros((4, 1)))[:, 0].tolist() == [0.125, 0.375, 0.625, 0.875]


def test_a_tail_goes_on_from_the_outermost_level_by_hand():
    # Last segment: 20 over 0.2, a slope of 100. At 0.99: 0.05 * 100 * ln 5 beyond the 95 % quantile.
    quantiles = np.array([[0.0, 1.0, 2.0, 10.0, 30.0]])
    value = values_at(quantiles, _LEVELS, np.array([[0.99]]), tail="exponential")
    assert value[0, 0] == pytest.approx(30 + 5 * np.log(5))
    value = values_at(quantiles, _LEVELS, np.array([[0.01]]), tail="exponential")
    assert value[0, 0] == pytest.approx(0 - 0.05 * 5 * np.log(5))
    assert values_at(quantiles, _LEVELS, np.array([[0.99], [0.01]])).ravel().tolist() == [30.0, 0.0]


def test_at_the_levels_values_are_the_quantiles_with_either_tail():
    quantiles = _quantiles()
    for tail in ("held", "exponential"):
        at = values_at(quantiles, _LEVELS, np.repeat(_LEVELS[:, None], 24, axis=1), tail=tail)
        np.testing.assert_allclose(at.T, quantiles, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probability": np.array([[1.2]])}, r"probability lies outside 0\.\.1"),
        ({"probability": np.array([[1.0]]), "tail": "exponential"}, r"probability lies outside 0\.\.1"),
        ({"tail": "fat"}, "tail is 'fat', expected 'held' or 'exponential'"),
        ({"quantiles": np.array([[1.0, 0.0]])}, "the quantiles cross"),
        ({"probability": np.array([[0.5, 0.5]])}, r"probability has shape \(1, 2\), expected \(1, 1\)"),
    ],
)
def test_bad_probabilities_are_refused(change, message):
    given = {"quantiles": np.array([[0.0, 1.0]]), "levels": np.array([0.1, 0.9]), "probability": np.array([[0.5]])}
    with pytest.raises(PhysicsError, match=message):
        values_at(**(given | change))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianCopula(np.array([[1.0, 2.0], [2.0, 1.0]])), "its lowest eigenvalue is -1"),
        (lambda: GaussianCopula(np.array([[2.0, 0.0], [0.0, 1.0]])), "ones on its diagonal"),
        (lambda: ExponentialCopula(range_h=0.0).correlation(2), "step_h and range_h must be positive"),
        (lambda: EmpiricalCopula(np.array([[1.5]])).ranks(2, 1, seed=0), r"past_ranks must lie within 0\.\.1"),
        (lambda: EmpiricalCopula(np.zeros((0, 1))).ranks(2, 1, seed=0), "past_ranks has shape"),
    ],
)
def test_bad_copulas_are_refused(make, message):
    with pytest.raises(PhysicsError, match=message):
        make()


def test_no_scenarios_are_refused():
    with pytest.raises(PhysicsError, match="scenarios is 0"):
        scenarios_from_quantiles(_quantiles(), _LEVELS, copula=ExponentialCopula(), scenarios=0, seed=0)
