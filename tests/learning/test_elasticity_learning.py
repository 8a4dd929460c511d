"""A planted elasticity is found within its interval as often as the interval says, and a changed one is followed."""

import numpy as np
import pytest

from vpp_sim.pricing.elasticity import ElasticityLearner, ElasticityPrior

_ONES = np.ones(24)
_OPEN = ElasticityPrior(own=-0.045, own_sd=0.2)
"""A prior wide enough not to decide by itself whether the interval covers."""


def _noise(rng, days, correlation):
    """Return log errors of deviation 0.15 whose neighbours in time are correlated, shape (days, 24)."""
    shocks, level = rng.standard_normal(days * 24), 0.0
    errors = np.empty(days * 24)
    for step, shock in enumerate(shocks):
        level = correlation * level + np.sqrt(1 - correlation**2) * shock
        errors[step] = 0.15 * level
    return errors.reshape(days, 24)


def _learn(rng, elasticity, days=30, correlation=0.0, prices=0.3, **settings):
    learner = ElasticityLearner(_OPEN, forgetting=1.0, **settings)
    for errors in _noise(rng, days, correlation):
        log = rng.normal(0.0, prices, 24)
        learner.update(np.exp(elasticity * log + errors + 0.05), _ONES, np.exp(log), _ONES)
    return learner.posterior


@pytest.mark.parametrize("probability", [0.5, 0.9])
@pytest.mark.parametrize("elasticity", [-0.06, -0.25])
def test_intervals_cover_as_often_as_they_say(elasticity, probability):
    runs, covered = 200, 0
    for seed in range(runs):
        low, high = _learn(np.random.default_rng(seed), elasticity, days=5).interval(probability)
        covered += low < elasticity < high
    slack = 3 * np.sqrt(probability * (1 - probability) / runs)
    assert covered / runs == pytest.approx(probability, abs=slack)


def test_truth_drawn_from_the_prior_is_covered_too():
    runs, covered = 300, 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        truth = rng.normal(_OPEN.own, _OPEN.own_sd)
        low, high = _learn(rng, truth, days=1).interval(0.9)
        covered += low < truth < high
    assert covered / runs == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / runs))


def test_errors_that_last_need_the_correction():
    # Prices that last over blocks of hours and errors that last too: observations are worth less than they count.
    def coverage(share):
        covered = 0
        for seed in range(80):
            rng = np.random.default_rng(seed)
            learner = ElasticityLearner(_OPEN, forgetting=1.0, independent_share=share)
            for errors in _noise(rng, 15, 0.8):
                log = np.repeat(rng.normal(0.0, 0.3, 4), 6)
                learner.update(np.exp(-0.06 * log + errors), _ONES, np.exp(log), _ONES)
            low, high = learner.posterior.interval(0.9)
            covered += low < -0.06 < high
        return covered / 80

    uncorrected, corrected = coverage(1.0), coverage((1 - 0.8) / (1 + 0.8))
    assert uncorrected < 0.80
    assert corrected >= 0.88


def test_more_days_and_more_movement_make_it_surer():
    spread = [
        _learn(np.random.default_rng(0), -0.06, days=days, prices=prices).own_sd
        for days, prices in ((5, 0.1), (5, 0.3), (60, 0.3))
    ]
    assert spread[0] > 2 * spread[1] > 4 * spread[2]


def test_a_changed_elasticity_is_followed():
    rng = np.random.default_rng(1)
    fading, steady = (ElasticityLearner(_OPEN, forgetting=forgetting) for forgetting in (0.95, 1.0))
    for day in range(240):
        elasticity, log = (-0.02 if day < 120 else -0.20), rng.normal(0.0, 0.3, 24)
        metered = np.exp(elasticity * log + 0.15 * rng.standard_normal(24))
        for learner in (fading, steady):
            learner.update(metered, _ONES, np.exp(log), _ONES)
        if day == 119:
            low, high = fading.posterior.interval(0.95)
            assert low < -0.02 < high
    low, high = fading.posterior.interval(0.95)
    assert low < -0.20 < high
    assert high < -0.10
    low, high = steady.posterior.interval(0.95)
    assert not low < -0.20 < high, "a memory that never fades still believes the mean of both"


def test_days_in_which_a_change_is_seen():
    # Half of the way after ln 2 / -ln 0.95, about 14 days of equal evidence.
    rng, learner = np.random.default_rng(3), ElasticityLearner(_OPEN, forgetting=0.95)
    for day in range(214):
        elasticity, log = (0.0 if day < 200 else -0.4), rng.normal(0.0, 0.3, 24)
        learner.update(np.exp(elasticity * log + 0.05 * rng.standard_normal(24)), _ONES, np.exp(log), _ONES)
    assert learner.posterior.own == pytest.approx(-0.2, abs=0.04)


def test_same_data_same_posterior():
    one, other = (_learn(np.random.default_rng(5), -0.06) for _ in range(2))
    assert one.mean.tobytes() == other.mean.tobytes()
    assert one.covariance.tobytes() == other.covariance.tobytes()
