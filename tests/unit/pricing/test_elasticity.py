"""The elasticity learner: what it takes from prices and meters, and what it refuses to take."""

import numpy as np
import pytest
from scipy.stats import t as student

from vpp_sim.errors import PhysicsError
from vpp_sim.pricing.elasticity import (
    ElasticityLearner,
    ElasticityPosterior,
    ElasticityPrior,
    explored_prices,
    literature_prior,
)

_ONES = np.ones(24)


def _response(rng, ratio, elasticity, noise=0.1):
    return ratio**elasticity * np.exp(noise * rng.standard_normal(ratio.size))


def _same_as_prior(learner):
    posterior = learner.posterior
    assert posterior.own == pytest.approx(learner.prior.own, rel=1e-12)
    assert posterior.own_sd == pytest.approx(learner.prior.own_sd, rel=1e-9)


def test_without_data_the_posterior_is_the_prior():
    _same_as_prior(ElasticityLearner())


@pytest.mark.parametrize("ratio", [1.0, 1.4, 0.6])
def test_a_price_that_never_moves_teaches_nothing(ratio):
    # Demand is half of what was forecast: at one price that is a bad forecast, and no evidence on elasticity.
    rng, learner = np.random.default_rng(0), ElasticityLearner()
    for _ in range(50):
        learner.update(0.5 * np.exp(0.3 * rng.standard_normal(24)), _ONES, ratio * _ONES, _ONES)
    _same_as_prior(learner)
    assert learner.posterior.noise == pytest.approx(0.3, rel=0.1)


def test_a_fixed_daily_pattern_teaches_nothing_when_hours_have_their_own_level():
    # Evening: dear, and always more than forecast. Without groups this reads as an elasticity above zero.
    rng, hours = np.random.default_rng(0), np.arange(24)
    ratio, bias = np.where(hours >= 17, 1.5, 0.9), np.where(hours >= 17, 1.3, 1.0)
    by_hour, pooled = ElasticityLearner(groups=24), ElasticityLearner()
    for _ in range(50):
        metered = bias * np.exp(0.05 * rng.standard_normal(24))
        by_hour.update(metered, _ONES, ratio, _ONES, group=hours)
        pooled.update(metered, _ONES, ratio, _ONES)
    _same_as_prior(by_hour)
    assert pooled.posterior.own > 0.2


def test_one_update_by_hand():
    # Log prices -1, 1 and responses 0.1, -0.3 about their mean -0.1: gram 2, cross -0.4. Noise held at 0.2 by a heavy
    # weight: precision 1/0.1**2 + 2/0.04 = 150, mean (100 * -0.05 + -0.4 / 0.04) / 150 = -0.1.
    learner = ElasticityLearner(ElasticityPrior(own=-0.05, own_sd=0.1, noise=0.2, noise_weight=1e9))
    learner.update(np.exp([0.1, -0.3]), np.ones(2), np.exp([-1.0, 1.0]), np.ones(2))
    assert learner.posterior.own == pytest.approx(-0.1, rel=1e-6)
    assert learner.posterior.own_sd == pytest.approx(150**-0.5, rel=1e-6)


def test_a_vague_prior_gives_least_squares():
    rng = np.random.default_rng(4)
    ratio = rng.uniform(0.5, 1.5, 500)
    metered = _response(rng, ratio, -0.3)
    learner = ElasticityLearner(ElasticityPrior(own=0.0, own_sd=1e4, noise_weight=1e-6))
    learner.update(metered, np.ones(500), ratio, np.ones(500))
    design = np.column_stack([np.ones(500), np.log(ratio)])
    (level, slope), rss, *_ = np.linalg.lstsq(design, np.log(metered))
    assert np.isfinite(level)
    assert learner.posterior.own == pytest.approx(slope, rel=1e-6)
    noise2 = rss[0] / 499  # one intercept removed
    spread = np.sqrt(noise2 / ((np.log(ratio) - np.log(ratio).mean()) ** 2).sum())
    assert learner.posterior.own_sd == pytest.approx(spread, rel=1e-6)
    low, high = learner.posterior.interval(0.9)
    assert (high - low) / 2 == pytest.approx(student.ppf(0.95, 499) * spread, rel=1e-5)


def test_days_and_one_long_day_teach_the_same_without_forgetting():
    rng = np.random.default_rng(2)
    ratio = rng.uniform(0.5, 1.5, 48)
    metered = _response(rng, ratio, -0.1)
    once, twice = ElasticityLearner(forgetting=1.0), ElasticityLearner(forgetting=1.0)
    once.update(metered, np.ones(48), ratio, np.ones(48))
    for half in (slice(0, 24), slice(24, 48)):
        twice.update(metered[half], _ONES, ratio[half], _ONES)
    assert once.posterior.own == pytest.approx(twice.posterior.own, rel=1e-12)


def test_forgetting_returns_to_the_prior_and_not_to_ignorance():
    rng, learner = np.random.default_rng(0), ElasticityLearner(ElasticityPrior(own_sd=0.3), forgetting=0.5)
    for _ in range(5):
        ratio = rng.uniform(0.5, 1.5, 24)
        learner.update(_response(rng, ratio, -0.5, 0.01), _ONES, ratio, _ONES)
    assert learner.posterior.own == pytest.approx(-0.5, abs=0.03)
    for _ in range(60):
        learner.update(_ONES, _ONES, _ONES, _ONES)
    assert learner.posterior.own == pytest.approx(learner.prior.own, abs=1e-4)
    assert learner.posterior.own_sd <= learner.prior.own_sd * (1 + 1e-9)


def test_the_cross_term_is_told_from_the_own_one():
    rng = np.random.default_rng(0)
    learner = ElasticityLearner(ElasticityPrior(own_sd=0.2, cross_sd=0.2), forgetting=1.0)
    for _ in range(300):
        log = rng.normal(0.0, 0.3) + rng.normal(0.0, 0.3, 24)
        others = (log.sum() - log) / 23
        learner.update(np.exp(-0.2 * log + 0.1 * others + 0.1 * rng.standard_normal(24)), _ONES, np.exp(log), _ONES)
    assert learner.posterior.mean == pytest.approx([-0.2, 0.1], abs=0.02)


def test_an_imprecise_forecast_counts_less():
    rng = np.random.default_rng(0)
    ratio = rng.uniform(0.5, 1.5, 24)
    metered = _response(rng, ratio, -0.3)
    sure, unsure = ElasticityLearner(), ElasticityLearner()
    sure.update(metered, _ONES, ratio, _ONES)
    unsure.update(metered, _ONES, ratio, _ONES, weight=0.1 * _ONES)
    assert unsure.posterior.own_sd > sure.posterior.own_sd
    assert unsure.posterior.evidence == 24  # each tells as much of the noise, in units of its own


def test_what_has_no_logarithm_is_counted():
    learner = ElasticityLearner()
    learner.update(np.array([0.0, 1, 1, 1]), np.array([1.0, 0, 1, 1]), np.array([1.0, 1, -0.1, 1]), np.ones(4))
    assert (learner.skipped, learner.posterior.evidence) == (3, 1.0)


def test_a_pricer_never_sees_an_elasticity_above_zero():
    posterior = ElasticityPosterior(np.array([0.01]), np.array([[0.01]]), 30.0, 0.1, 5.0)
    rng = np.random.default_rng(0)
    assert posterior.pricing_elasticity() == 0.0
    draws = [posterior.sample(rng) for _ in range(200)]
    assert max(draws) == 0.0
    assert min(draws) < -0.1


def test_defaulted_customers_are_expected_to_respond_a_quarter_as_much():
    volunteers, defaulted = literature_prior("volunteer"), literature_prior("default")
    assert volunteers.own == pytest.approx(-0.045)  # the middle of -0.02 and -0.07
    assert defaulted.own == pytest.approx(volunteers.own / 4)
    with pytest.raises(PhysicsError, match="enrolment is 'opt_in', expected one of volunteer, default"):
        literature_prior("opt_in")


@pytest.mark.parametrize("seed", range(20))
def test_exploring_never_raises_a_bill_above_the_default(seed):
    rng = np.random.default_rng(seed)
    demand, default = rng.gamma(1.0, 1.0, (13, 24)), rng.uniform(0.2, 0.4, 24)
    price = default * rng.uniform(0.5, 1.0)
    moved = explored_prices(
        price, demand, default, dither=0.3, lowest_eur_per_kwh=np.full(24, 0.05),
        highest_eur_per_kwh=np.full(24, 0.6), rng=rng,
    )  # fmt: skip
    assert (demand @ moved <= demand @ default * (1 + 1e-9)).all()
    assert ((moved >= 0.05) & (moved <= 0.6)).all()
    assert np.ptp(moved / price) > 0.2


def test_from_the_default_itself_moves_are_lowered_until_every_promise_holds():
    # Each move up must be paid for: without lowering, some home of ten would pay more than the default.
    rng = np.random.default_rng(0)
    demand, default = rng.gamma(1.0, 1.0, (10, 24)), np.full(24, 0.3)
    moved = explored_prices(
        default, demand, default, dither=0.2, lowest_eur_per_kwh=np.zeros(24), highest_eur_per_kwh=np.ones(24), rng=rng
    )
    bills, promised = demand @ moved, demand @ default
    assert (bills <= promised * (1 + 1e-9)).all()
    assert (bills / promised).max() == pytest.approx(1.0)
    assert moved.max() / moved.min() == pytest.approx(1.2 / 0.8)


def test_where_the_floor_leaves_no_room_nothing_is_explored():
    flat = np.full(4, 0.3)
    limits = {"lowest_eur_per_kwh": flat, "highest_eur_per_kwh": flat + 1}
    moved = explored_prices(flat, np.ones((1, 4)), flat, dither=0.2, rng=np.random.default_rng(0), **limits)
    assert moved.tolist() == flat.tolist()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"forgetting": 0.0}, r"expected forgetting and independent_share in \(0, 1\]"),
        ({"independent_share": 1.1}, r"expected forgetting and independent_share in \(0, 1\]"),
        ({"groups": 0}, "and a group"),
    ],
)
def test_bad_settings_are_refused(kwargs, message):
    with pytest.raises(PhysicsError, match=message):
        ElasticityLearner(**kwargs)


@pytest.mark.parametrize("kwargs", [{"own": np.nan}, {"own_sd": 0.0}, {"cross_sd": -1.0}, {"noise": 0.0}])
def test_bad_priors_are_refused(kwargs):
    with pytest.raises(PhysicsError, match="prior"):
        ElasticityPrior(**kwargs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metered_kwh": -np.ones(3)}, "metered_kwh is negative"),
        ({"forecast_kwh": np.ones(2)}, r"forecast_kwh has shape \(2,\), expected \(3,\)"),
        ({"price_eur_per_kwh": np.array([1, np.nan, 1])}, "price_eur_per_kwh has 1 values"),
        ({"group": np.array([0, 0, 1])}, r"group must hold 3 numbers within 0\.\.0"),
        ({"weight": -np.ones(3)}, "weight is negative"),
    ],
)
def test_bad_days_are_refused(change, message):
    names = ("metered_kwh", "forecast_kwh", "price_eur_per_kwh", "default_eur_per_kwh")
    with pytest.raises(PhysicsError, match=message):
        ElasticityLearner().update(**{name: np.ones(3) for name in names} | change)


def test_the_scale_of_the_weights_says_how_noisy_the_noise_is_and_not_how_many_were_seen() -> None:
    """Weights are inverse variances relative to the noise: all four times as large, the noise is twice as large."""
    found = []
    for weight in (1.0, 4.0):
        rng = np.random.default_rng(3)
        learner = ElasticityLearner(ElasticityPrior(own_sd=10.0, noise_weight=1e-6), forgetting=1.0)
        for _ in range(50):
            ratio = rng.uniform(0.5, 1.5, 24)
            metered = ratio**-0.2 * np.exp(0.1 * rng.standard_normal(24))
            learner.update(metered, np.ones(24), ratio, np.ones(24), weight=np.full(24, weight))
        found.append(learner.posterior)
    assert found[0].noise == pytest.approx(0.1, rel=0.05)
    assert found[1].noise == pytest.approx(2 * found[0].noise, rel=1e-6)
    assert found[1].own == pytest.approx(found[0].own, rel=1e-6)
    assert found[1].own_sd == pytest.approx(found[0].own_sd, rel=1e-6)
    assert found[0].evidence == found[1].evidence == 50 * 24


def test_a_share_of_an_update_is_what_a_learner_could_be_made_with():
    rng = np.random.default_rng(0)
    ratio = rng.uniform(0.5, 1.5, 24)
    metered = _response(rng, ratio, -0.3)
    made, told = ElasticityLearner(independent_share=0.25), ElasticityLearner()
    made.update(metered, _ONES, ratio, _ONES)
    told.update(metered, _ONES, ratio, _ONES, independent_share=0.25)
    assert made.posterior.own == told.posterior.own
    assert made.posterior.interval() == told.posterior.interval()
    assert told.posterior.evidence == 6
    with pytest.raises(PhysicsError, match=r"independent_share is 0, expected \(0, 1\]"):
        told.update(metered, _ONES, ratio, _ONES, independent_share=0.0)
