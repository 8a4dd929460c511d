"""The study of prices: no look ahead, money that adds up, and a battery that follows by the hour."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.support.studies import program
from vpp_sim.market.wholesale import two_settlement


@pytest.fixture(scope="module")
def study():
    return program("pricing")


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
    matrix = -0.1 * np.eye(24)
    known, other = (each.problem_with_foresight(100, matrix).demand_kwh for each in (year, changed))
    assert (known != other).any()


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


def charged_by(study, year, homes, name, days, *, truth="mixed", seed=1):
    plant = study.retail_year.TARIFFS[name].make(year, seed)
    return sys.modules["charged_days"].charge(year, days, plant, homes.planted(year.homes, seed, truth))


@pytest.mark.parametrize("name", ["pass_through", "profit", "profit_learning"])
def test_prices_rest_on_what_meters_showed_at_the_prices_before(study, homes, year, name):
    """Homes of another kind are first seen two days after the first prices, and shift enough to change the third."""
    days = range(100, 104)
    some, others = (charged_by(study, year, homes, name, days, truth=truth) for truth in ("elastic", "mixed"))
    for row in (0, 1):
        np.testing.assert_array_equal(some[row].problem.demand_kwh, others[row].problem.demand_kwh)
        np.testing.assert_array_equal(some[row].price_eur_per_kwh, others[row].price_eur_per_kwh)
    for row in (2, 3):
        assert (some[row].problem.demand_kwh != others[row].problem.demand_kwh).any()


def test_without_a_belief_expected_is_the_mean_of_what_was_metered(study, homes, year):
    charged = charged_by(study, year, homes, "pass_through", range(100, 112))
    metered = np.array([each.answer.demand_kwh for each in charged])
    np.testing.assert_allclose(charged[8].problem.demand_kwh, metered[:7].mean(axis=0))
    np.testing.assert_allclose(
        charged[3].problem.demand_kwh, (year.import_kwh[96 - 1 : 100].sum(axis=0) + metered[:2].sum(axis=0)) / 7
    )
    assert np.abs(metered - year.import_kwh[100:112]).max() > 0.05


@pytest.mark.parametrize(("name", "tie"), [("profit", None), ("stackelberg_pessimistic", "against_seller")])
def test_a_right_belief_leaves_what_homes_would_have_drawn_at_the_default_tariff(study, years, homes, name, tie):
    """Where all days are alike and the belief is true, meters less the change expected are the demand of that day."""
    year = years.load("2021/22")
    same = replace(year, import_kwh=np.repeat(year.import_kwh[100:101], year.days, axis=0))
    customers = homes.planted(year.homes, 0, "tied")
    elastic = type(customers.elastic)(np.full(13, 0.045), np.zeros(13), 3.0)
    if tie is None:
        shifting = replace(customers.shifting, share=np.zeros(13))
    else:
        elastic, shifting = replace(elastic, own=np.zeros(13)), customers.shifting
    plant = study.retail_year.TARIFFS[name].make(same, 0)
    charged = sys.modules["charged_days"].charge(same, range(20, 26), plant, type(customers)(elastic, shifting))
    changes = [np.abs(each.answer.demand_kwh - same.import_kwh[0]).max() for each in charged]
    assert np.median(changes) > 1e-3
    for each in charged:
        np.testing.assert_allclose(each.problem.demand_kwh, same.import_kwh[0], atol=1e-9)


def test_each_tariff_that_promises_keeps_it_for_the_demand_expected(study, year):
    for name, tariff in study.retail_year.TARIFFS.items():
        if not tariff.promised or name.startswith("stackelberg"):
            continue
        problem = year.problem(120)
        _, price = tariff.make(year, 0).ask(problem, [])
        assert (problem.demand_kwh @ (price - year.default) <= 1e-5 * problem.demand_kwh @ year.default).all(), name


def test_every_tariff_is_compared_on_the_same_draws(study):
    """The best profit is known of the draws that all have met, and regret is of these."""
    retail = study.retail_year
    tariffs = {name: [10.0, 20.0, 90.0] for name in retail.TARIFFS} | {"profit": [12.0, 21.0, 95.0]}
    tariffs |= {name: [13.0, 20.5] for name in retail.slow_tariffs()}
    assert len(retail.slow_tariffs()) == 2
    found = {
        name: {"outcomes": {"mixed": [{"profit_eur": each, "consumer_surplus_eur": 0.0} for each in profits]}}
        for name, profits in tariffs.items()
    }
    rows = [
        (retail.Job(name, "2016/17", ("mixed",), (0, 1, 2), (40,)), row) for name, row in found.items()
    ] + [(retail.Job("profit", "2016/17", ("mixed",), (0, 1, 2), (40,), foresight=True), found["flat"])]  # fmt: skip
    case = retail._case(rows, "2016/17", "mixed")
    assert case["best_profit_eur"] == {"mean": 17.0, "min": 13.0, "max": 21.0}
    assert case["tariffs"]["flat"]["profit_regret_eur"] == {"mean": 2.0, "min": 1.0, "max": 3.0}
    assert case["tariffs"]["flat"]["profit_eur"]["mean"] == 40.0


def test_who_learns_learns_of_the_day_before_yesterday(study, homes, year):
    """The day before that is known in full at noon: 24 hours of evidence, but for those without demand."""
    charged = charged_by(study, year, homes, "profit_learning", range(100, 103))
    plant, twin = (study.retail_year.TARIFFS["profit_learning"].make(year, 1) for _ in range(2))
    hours = [
        int((np.minimum(each.answer.demand_kwh.sum(axis=0), each.problem.demand_kwh.sum(axis=0)) > 1e-6).sum())
        for each in charged
    ]
    assert 40 < hours[0] + hours[1] < 48
    for past, seen in ((0, 0), (1, 0), (2, hours[0]), (3, hours[0] + hours[1])):
        plant.ask(year.problem(103), charged[:past])
        assert plant.learner.posterior.evidence == seen
    for past in (charged[:2], [charged[0], charged[2]]):
        twin.ask(year.problem(103), past)
    lone = sys.modules["learnt_response"].learner_of(plant.learner.prior)
    for _ in range(2):
        forecast = charged[0].problem.demand_kwh.sum(axis=0)
        sys.modules["learnt_response"].teach(lone, charged[0], forecast, independent_share=1.0)
    assert twin.learner.posterior.own == lone.posterior.own != plant.learner.posterior.own


@pytest.fixture(scope="module")
def trials(study):
    return sys.modules["dither_trials"]


def test_sixteen_times_the_homes_or_four_times_the_moves_teach_about_sixteen_times_as_much(trials):
    def precision(copies, move):
        return trials.run_setting(trials.Setting(copies, move, seeds=(0,), trials=3))["precision"]

    base = precision(1, 0.05)
    assert 10 < precision(1, 0.2) / base < 22
    assert 5 < precision(16, 0.05) / base < 22


def test_intervals_of_moved_prices_hold_as_often_as_they_say_where_hours_count_in_full(trials):
    """Of 40 intervals at 90 %, 31 or fewer hold in one of 60 cases; where an hour counts as a tenth all should."""
    found = trials.run_setting(trials.Setting(1, 0.2, trials=8))
    assert found["trials"] == 40
    assert found["covered"]["1"] >= 0.8
    assert found["covered"]["0.1"] == 1.0
    assert 0.6 < found["off"] / found["said"] < 1.4


def test_a_plant_that_learns_counts_hours_in_full_only_while_it_moves_prices(study, homes, year):
    """With the demand at the default prices known, sixty days tell nearly all that there is to learn."""
    learnt = sys.modules["learnt_response"]
    plant = study.retail_year.TARIFFS["profit_learning"].make(year, 0)
    customers = homes.planted(year.homes, 0, "elastic")
    charged = sys.modules["charged_days"].charge(year, range(40, 110), plant, customers)
    found = learnt.taught_by(year, charged, plant.learner, customers)
    assert found["controlled_own_low"] < found["true_own"] < found["controlled_own_high"]
    assert -0.14 < found["true_own"] < -0.08
    assert found["controlled_precision"] > 10 * found["prior_precision"]
    assert found["alone_precision"] < found["prior_precision"] / 10
    assert found["precision"] == pytest.approx(found["prior_precision"] + found["alone_precision"], rel=0.02)
    assert [learnt.share_of(row) for row in (0, 59, 60)] == [1.0, 1.0, 0.1]
    moves = np.array([np.log(each.price_eur_per_kwh / each.solved.buy_eur_per_kwh) for each in charged])
    assert (np.ptp(moves[:60], axis=1) > 0.09).all()
    assert (moves[60:] == 0).all()
