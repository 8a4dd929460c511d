"""Coming prices told from past ones: the conditional median, what may be known when, and what it is good for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vpp_sim.errors import DataError, PhysicsError
from vpp_sim.ess.outlook import CUT, KNOWLEDGE, SHRINKAGE, Knowledge, PriceOutlook, carried_mean

SHAPE = 0.05 + 0.02 * np.sin(np.arange(24) * np.pi / 12)


def calendar(start: str, days: int) -> tuple[np.ndarray, np.ndarray]:
    stamps = pd.date_range(start, periods=days * 24, freq="h", tz="America/Chicago")
    return np.asarray(stamps.hour, dtype=float), np.asarray(stamps.dayofweek, dtype=np.int64)


def dear_and_cheap_days(days: int, seed: int = 0) -> np.ndarray:
    """Each day has a level of its own, which the next does not inherit; hours differ from it a little."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.normal(0.0, 0.3, days), 24)
    return np.asarray(np.tile(SHAPE, days) * np.exp(level + rng.normal(0.0, 0.03, days * 24)))


def fitted(days: int = 300) -> PriceOutlook:
    return PriceOutlook.fit(dear_and_cheap_days(days), *calendar("2021-01-01", days))


@pytest.mark.parametrize("knows", KNOWLEDGE)
def test_it_is_the_conditional_median_of_a_joint_normal_distribution(knows: Knowledge) -> None:
    """By the other formula for it, with the inverse of the whole covariance (Eaton 1983)."""
    outlook, hour = fitted(), np.arange(20 * 24.0) % 24
    weekday = np.repeat(np.arange(20) % 7, 24)
    price = dear_and_cheap_days(20, seed=1)
    told = outlook.foresee(price[None], hour, weekday, knows=knows)[0]
    usual = np.array([np.mean([price[t - 24 * d] for d in range(1, 8)]) if t >= 168 else price[t] for t in range(480)])
    step, begin = 12 * 24 + 9, 12 * 24
    known = 24 + (9 if knows == "past_only" else 24)
    seen = np.clip(np.log(price / usual), -CUT, CUT)[begin - 24 : begin - 24 + known] - outlook.mean[12 % 7, :known]
    precision = np.linalg.inv(outlook.covariance)
    shift = -np.linalg.solve(precision[known:, known:], precision[known:, :known] @ seen)
    ratio = np.exp(outlook.mean[12 % 7, known:] + shift)
    for at in range(begin - 24 + known, step + 24):
        mean = np.mean([price[at - 24 * d] for d in range(1, 8)])
        assert told[step, at - step] == pytest.approx(mean * ratio[at - (begin - 24 + known)], rel=1e-9)


def test_the_distribution_is_that_of_the_days_it_was_fitted_to() -> None:
    outlook = fitted(2000)
    # a day's level, normal with 0.3, less the logarithm of the mean of seven others', and each hour's own 0.03
    spread = np.diag(outlook.covariance) / (1.0 + SHRINKAGE)
    assert np.sqrt(spread).mean() == pytest.approx(np.sqrt(0.3**2 * (1 + 1 / 7) + 0.03**2 * (1 + 1 / 7)), rel=0.05)
    same_day, next_day = outlook.covariance[30, 40], outlook.covariance[30, 60]
    assert same_day == pytest.approx(0.3**2 * (1 + 1 / 7), rel=0.1)
    assert abs(next_day) < 0.2 * same_day


def test_a_dear_morning_tells_of_the_evening_and_not_of_tomorrow() -> None:
    outlook, (hour, weekday) = fitted(), calendar("2022-01-03", 60)
    price = dear_and_cheap_days(60, seed=2)[None]
    told = outlook.foresee(price, hour, weekday, knows="past_only")[0]
    carried = carried_mean(price, hour, knows="past_only")[0]
    noons = np.arange(10 * 24 + 12, 58 * 24, 24)
    evening, morrow = np.arange(4, 10), np.arange(14, 22)

    def error(foreseen: np.ndarray, ahead: np.ndarray) -> float:
        return float(np.abs(np.log(foreseen[noons[:, None], ahead] / price[0, noons[:, None] + ahead])).mean())

    assert error(told, evening) < 0.5 * error(carried, evening)
    level = np.log(price[0, noons - 1] / SHAPE[11])

    def pull(ahead: np.ndarray) -> float:
        """Return by how much of the morning's level what is foreseen is shifted."""
        shift = np.log(told[noons[:, None], ahead] / SHAPE[(12 + ahead) % 24]).mean(axis=1)
        return float(np.polyfit(level, shift, 1)[0])

    assert pull(evening) > 0.7
    assert abs(pull(morrow)) < 0.25


@pytest.mark.parametrize("start", ["2022-05-01", "2022-03-05", "2022-10-29"])  # the clock changes on the ninth day
@pytest.mark.parametrize("knows", KNOWLEDGE)
def test_nothing_is_told_from_what_is_not_known(knows: Knowledge, start: str) -> None:
    hour, weekday = calendar(start, 12)
    local_day = np.cumsum(np.diff(hour, prepend=hour[0]) < 0)
    price, outlook = dear_and_cheap_days(12)[None], fitted()
    for step in range(7 * 24, 11 * 24):
        first_unknown = step if knows == "past_only" else int(np.searchsorted(local_day, local_day[step] + 1))
        other = price.copy()
        other[:, first_unknown:] = 9.0
        one, two = (outlook.foresee(p, hour, weekday, knows=knows)[0, step] for p in (price, other))
        np.testing.assert_array_equal(one[first_unknown - step :], two[first_unknown - step :])


def test_storms_and_negative_prices_leave_it_finite_and_bounded() -> None:
    price, (hour, weekday) = dear_and_cheap_days(300), calendar("2021-01-01", 300)
    price[5000:5048] *= 200.0
    price[6000:6010] = -0.1
    outlook = PriceOutlook.fit(price, hour, weekday)
    told = outlook.foresee(price[None], hour, weekday, knows="past_only")
    assert np.isfinite(told).all()
    assert (told > 0).all()
    assert np.diag(outlook.covariance).max() <= (1.0 + SHRINKAGE) * CUT**2 * 1.05


def test_every_market_is_foreseen_for_itself() -> None:
    outlook, (hour, weekday) = fitted(), calendar("2022-01-03", 20)
    markets = np.stack([dear_and_cheap_days(20, seed=k) for k in (3, 4)])
    both = outlook.foresee(markets, hour, weekday, knows="da_known")
    for row in range(2):
        alone = outlook.foresee(markets[row : row + 1], hour, weekday, knows="da_known")
        np.testing.assert_allclose(both[row], alone[0], rtol=1e-12)


def test_what_it_cannot_be_made_of_is_refused() -> None:
    with pytest.raises(DataError, match="prices of 51 days after the first week; an outlook needs 100"):
        fitted(60)
    with pytest.raises(PhysicsError, match=r"hour has shape \(5,\), expected \(24,\)"):
        fitted().foresee(np.ones((1, 24)), np.arange(5.0), np.zeros(5, dtype=np.int64), knows="da_known")
