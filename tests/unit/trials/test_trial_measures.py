"""Shares, intervals and cycles of a trial, against hand arithmetic and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from vpp_sim.devices.battery import BatteryFleet
from vpp_sim.trials.measures import bootstrap_interval, shares_of, spread_of
from vpp_sim.trials.record import Record


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(3).beta(8, 2, 13)
    found = bootstrap_interval(values)
    other = bootstrap((values,), np.mean, n_resamples=50_000, method="percentile", rng=1).confidence_interval
    assert found is not None
    assert found == pytest.approx((other.low, other.high), abs=3e-3)


def test_homes_where_nothing_could_be_saved_do_not_count() -> None:
    share = shares_of(np.array([1.0, 3.0, 0.0, 2.0]), np.array([2.0, 4.0, 0.001, 2.0]))
    assert share[[0, 1, 3]].tolist() == [0.5, 0.75, 1.0]
    assert np.isnan(share[2])
    assert bootstrap_interval(share) == bootstrap_interval(share[[0, 1, 3]])
    assert bootstrap_interval(share[:2]) is None


def test_the_spread_of_one_seed_is_unknown() -> None:
    assert spread_of(np.array([0.5])) is None
    assert spread_of(np.array([0.5, 0.7, 0.9])) == pytest.approx(0.2)


def test_a_full_charge_and_discharge_is_one_cycle() -> None:
    fleet = BatteryFleet.uniform(1, 10.0, 20.0, 0.81, min_soc=0.1, max_soc=0.9)
    charge, discharge = np.array([[8.0 / 0.9, 0.0]]), np.array([[0.0, 8.0 * 0.9]])
    record = Record(np.array([[1.0, 9.0]]), charge, discharge, np.zeros((1, 2)))
    assert record.cycles(fleet).tolist() == pytest.approx([1.0])
