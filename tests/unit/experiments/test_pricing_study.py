"""The study of prices: no look ahead, money that adds up, and a battery that follows by the hour."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.support.scenarios import ROOT
from vpp_sim.market.wholesale import two_settlement

FOLDER = ROOT / "experiments" / "pricing"


@pytest.fixture(scope="module")
def study():
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("pricing_run", FOLDER / "run.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


@pytest.fixture(scope="module")
def years():
    return sys.modules["priced_years"]


@pytest.fixture(scope="module")
def homes():
    return sys.modules["planted_homes"]


@pytest.fixture(scope="module")
def year(study, years):
    return years.load("2016/17")


def with_other_future(year, known_until):
    """The same year with everything metered after a day replaced."""
    drawn, fed = year.import_kwh.copy(), year.export_kwh.copy()
    drawn[known_until + 1 :] += 5.0
    fed[known_until + 1 :] += 1.0
    return replace(year, import_kwh=drawn, export_kwh=fed)


def test_prices_know_nothing_metered_after_the_day_before_yesterday(year):
    changed = with_other_future(year, known_until=98)
    np.testing.assert_array_equal(changed.problem(100).demand_kwh, year.problem(100).demand_kwh)
    np.testing.assert_array_equal(changed.problem(100).export_kwh, year.problem(100).export_kwh)
    assert (changed.problem(101).demand_kwh != year.problem(101).demand_kwh).any()
    assert (changed.problem(100, foresight=True).demand_kwh != year.problem(100, foresight=True).demand_kwh).any()


def test_bids_know_neither_the_day_nor_its_prices(study, year):
    bids = study.bidding_year
    changed = with_other_future(year, known_until=98)
    price = year.wholesale_eur_per_kwh.copy()
    price[100:] += 1.0
    changed = replace(changed, wholesale_eur_per_kwh=price)
    job = bids.Job("newsvendor", 0.0, False, 0, (100,))
    np.testing.assert_array_equal(bids.decide(job, changed, 100).position_kwh, bids.decide(job, year, 100).position_kwh)
    given, other = (
        bids.problem(each, 100, sys.modules["bid_outlook"].outlook(each, 100), battery=False, seed=0)
        for each in (year, changed)
    )
    np.testing.assert_array_equal(given.prices.short_eur_per_kwh, other.prices.short_eur_per_kwh)
    np.testing.assert_array_equal(given.quantiles_kwh, other.quantiles_kwh)


def test_the_flat_default_earns_its_margin_and_changes_nothing(homes, year):
    days = (40, 41)
    prices = np.full((2, 24), year.default_eur_per_kwh)
    found = homes.outcome(year, days, prices, homes.planted(year.homes, 0, "mixed"))
    margin = year.default_eur_per_kwh - 0.19 - year.wholesale_eur_per_kwh[list(days)]
    by_hand = (margin * year.import_kwh[list(days)].sum(axis=1)).sum(axis=1)
    np.testing.assert_allclose(found.profit_eur, by_hand)
    assert (found.surplus_eur == 0).all()
    assert (found.excess_eur == 0).all()


def test_profit_and_surplus_together_are_most_at_marginal_cost(study, homes, year):
    days, rng = (60, 150), np.random.default_rng(5)
    for truth in homes.TRUTHS:
        customers = homes.planted(year.homes, 1, truth)
        best = study.retail_year.efficient_eur("2016/17", truth, 1, days)
        for _ in range(5):
            asked = year.default_eur_per_kwh * rng.uniform(0.8, 1.2, (2, 24))
            found = homes.summary(homes.outcome(year, days, asked, customers), promised=False)
            assert found["profit_eur"] + found["consumer_surplus_eur"] < best


def test_a_promised_tariff_pays_back_what_a_home_paid_beyond_the_default(homes):
    zero = np.zeros((2, 3))
    excess = np.array([[3.0, -1.0, 0.0], [-1.0, 0.5, 0.0]])
    found = homes.Outcome(np.array([10.0, 20.0]), zero - [2.5, 0.0, 0.5], excess, np.array([[1.0, 4.0], [2.0, 8.0]]))
    promised, free = (homes.summary(found, promised=promised) for promised in (True, False))
    assert (promised["refund_eur"], promised["profit_eur"]) == (2.0, 28.0)
    assert (promised["consumer_surplus_eur"], promised["worst_home_eur"]) == (-4.0, -3.0)
    assert (free["refund_eur"], free["profit_eur"], free["consumer_surplus_eur"]) == (0.0, 30.0, -6.0)
    assert promised["worse_off_share"] == pytest.approx(1 / 3)  # the third loses 1 EUR exactly
    assert (free["peak_kw"], free["daily_peak_kw"]) == (8.0, 6.0)


def test_what_a_bid_cost_is_the_two_settlement_of_what_was_metered(study, year):
    bids, days = study.bidding_year, (70, 71)
    positions = np.tile(np.linspace(-5.0, 8.0, 24), (2, 1))
    short, long = bids.spreads(np.random.default_rng((7, 3)), year.days)
    cost = bids.realised(year, days, positions, 3, battery=False)
    for row, day in enumerate(days):
        net = (year.import_kwh[day] - year.export_kwh[day]).sum(axis=0)
        hours = [
            two_settlement(
                positions[row, [hour]], net[[hour]], year.wholesale_eur_per_kwh[day, [hour]],
                short_spread=short[day, hour], long_spread=long[day, hour],
            ).total_eur[0]
            for hour in range(24)
        ]  # fmt: skip
        assert cost[row] == pytest.approx(sum(hours))


def test_the_battery_follows_the_position_until_it_is_full_or_empty(study):
    """4 kWh at first, 0.5 each way: 3 kWh asked for put 1.5 in; 6 kWh missing take out (4 + 1.5) 0.5 = 2.75."""
    battery = replace(
        study.bidding_year.fleet(), charge_kw=5.0, discharge_kw=5.0, max_kwh=8.0, initial_kwh=4.0,
        charge_efficiency=0.5, discharge_efficiency=0.5,
    )  # fmt: skip
    metered, kept = study.bidding_year.tracked(np.array([3.0, 0.0, 9.0]), np.array([0.0, 6.0, 0.0]), battery)
    np.testing.assert_allclose(metered, [3.0, 3.25, 5.0])
    assert kept == pytest.approx(2.5 - 4.0)


def test_expected_is_the_mean_of_the_seven_days_before_the_day_before(year):
    np.testing.assert_allclose(year.expected_kwh(20), year.import_kwh[12:19].mean(axis=0))


def test_each_tariff_that_promises_keeps_it_for_the_demand_expected(study, year):
    for name, tariff in study.retail_year.TARIFFS.items():
        if not tariff.promised or name.startswith("stackelberg"):
            continue
        problem = year.problem(120)
        price = tariff.make(year).price(problem).buy_eur_per_kwh
        assert (problem.demand_kwh @ (price - year.default) <= 1e-5 * problem.demand_kwh @ year.default).all(), name
