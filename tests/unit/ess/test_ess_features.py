"""The observation: its rules by hand, its bounds, and that only ratios matter."""

from __future__ import annotations

import numpy as np

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.ess.features import FEATURE_BOUND, FEATURE_COUNT, storage_features


def _features(fleet: BatteryFleet, **change: object) -> np.ndarray:
    hours = np.arange(24.0)
    given = {
        "soc_kwh": np.full(len(fleet), 1.6),
        "net_kw": np.repeat((hours / 10.0 - 1.0)[None], len(fleet), axis=0),
        "buy_eur_per_kwh": np.where(hours < 12, 0.2, 0.4),
        "sell_eur_per_kwh": np.full(24, 0.06),
        "hour": 6.0,
        "step_h": 1.0,
    }
    return storage_features(fleet, **{**given, **change})  # type: ignore[arg-type]


def test_each_feature_follows_its_rule() -> None:
    row = _features(BatteryFleet.uniform(1, 6.4, 5.0, 0.9))[0]
    assert row.dtype == np.float32
    # (1.6 - 0) / 6.4; sin and cos of a quarter turn; 6.4 / 5 / 4; 5 * 0.1; -1 kW / 5 kW
    np.testing.assert_allclose(row[:6], [0.25, 1.0, 0.0, 0.32, 0.5, -0.2], atol=1e-7)
    np.testing.assert_allclose(row[6:30], 4.0 * (np.arange(24) / 10.0 - 1.0) / 6.4, rtol=1e-6)
    # mean 0.3, standard deviation 0.1
    np.testing.assert_allclose(row[30:54], [-1.0] * 12 + [1.0] * 12, rtol=1e-6)
    np.testing.assert_allclose(row[54:78], 0.2, rtol=1e-6)
    np.testing.assert_allclose(row[78], 1.0 / 3.0, rtol=1e-6)


def test_only_ratios_matter() -> None:
    small, large = BatteryFleet.uniform(1, 6.4, 5.0, 0.9), BatteryFleet.uniform(1, 64.0, 50.0, 0.9)
    net_kw, buy = np.linspace(-1, 2, 24)[None], np.linspace(0.1, 0.5, 24)
    one = _features(small, net_kw=net_kw, buy_eur_per_kwh=buy)
    ten = _features(
        large,
        soc_kwh=np.full(1, 16.0),
        net_kw=10 * net_kw,
        buy_eur_per_kwh=3 * buy,
        sell_eur_per_kwh=np.full(24, 0.18),
    )
    np.testing.assert_allclose(ten, one, rtol=1e-6, atol=1e-6)


def test_quarter_hours_are_averaged_but_the_first() -> None:
    fleet = BatteryFleet.uniform(1, 6.4, 5.0, 0.9)
    net_kw, buy = np.linspace(-1, 2, 96), np.linspace(0.1, 0.5, 96)
    hourly = net_kw.reshape(24, 4).mean(axis=1)
    hourly[0] = net_kw[0]
    prices = buy.reshape(24, 4).mean(axis=1)
    prices[0] = buy[0]
    fine = _features(fleet, net_kw=net_kw[None], buy_eur_per_kwh=buy, sell_eur_per_kwh=np.full(96, 0.06), step_h=0.25)
    np.testing.assert_allclose(
        fine, _features(fleet, net_kw=hourly[None], buy_eur_per_kwh=prices), rtol=1e-5, atol=1e-6
    )


def test_nothing_leaves_the_bounds_whatever_comes() -> None:
    rng = np.random.default_rng(0)
    n = 500
    one_way = rng.uniform(0.1, 1.0, n)
    low, high = np.sort(rng.random((2, n)), axis=0)
    fleet = BatteryFleet(rng.choice([0.0, 1.0, 1e4], n), rng.choice([0.0, 1.0, 1e4], n), one_way, one_way, low, high)
    rows = _features(
        fleet,
        soc_kwh=rng.normal(0, 1e4, n),
        net_kw=rng.normal(0, 1e5, (n, 24)),
        buy_eur_per_kwh=rng.normal(0, 10.0, (n, 24)),
        sell_eur_per_kwh=rng.normal(0, 10.0, (n, 24)),
        hour=rng.uniform(0, 24, n),
    )
    assert rows.shape == (n, FEATURE_COUNT)
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() == FEATURE_BOUND
