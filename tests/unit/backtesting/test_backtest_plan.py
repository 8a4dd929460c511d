"""Days become origins and fits."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vpp_sim.backtesting.cases import Case
from vpp_sim.backtesting.plan import described_plan, fit_starts, issue_steps, plan_of
from vpp_sim.backtesting.request import BacktestRequest
from vpp_sim.data.issued import IssuedForecasts
from vpp_sim.errors import DataError, UnknownNameError
from vpp_sim.forecasting.windows import SeriesTable


def case(start: str = "2017-01-01", days: int = 120, zone: str | None = None) -> Case:
    index = pd.date_range(start, periods=days * 24, freq="1h", tz=zone)
    nothing = IssuedForecasts(np.array([0]), np.empty((1, 1, 0)), ())
    calendar = np.asarray(index.hour, dtype=float), np.asarray(index.dayofweek), np.asarray(index.dayofyear)
    table = SeriesTable(np.ones((len(index), 1)), np.empty((len(index), 0)), nothing, *calendar)
    return Case("toy", ("a",), ("a",), index, table, table)


def request(**more: Any) -> BacktestRequest:
    return BacktestRequest(**{"kinds": ("persistence",), "target": "load", **more})


def issues(found: Case, asked: BacktestRequest, learns: bool = False) -> list[str]:
    return [f"{found.index[step]:%m-%d %H}" for step in issue_steps(found, asked, learns=learns)]


def test_the_last_issues_with_room_are_made() -> None:
    """Data ends with 30 April: the last day that has a horizon is that day itself."""
    found = issues(case(), request())
    assert (len(found), found[0], found[-1]) == (20, "04-11 00", "04-30 00")


def test_from_a_day_to_a_day() -> None:
    found = issues(case(), request(first=date(2017, 2, 1), last=date(2017, 2, 25), issue_hour=6))
    assert (len(found), found[0], found[-1]) == (25, "02-01 06", "02-25 06")


def test_several_a_day_and_one_in_several_days() -> None:
    asked = request(first=date(2017, 2, 1), last=date(2017, 2, 5), every_s=6 * 3600)
    found = issues(case(), asked)
    assert (found[:2], found[-1], len(found)) == (["02-01 00", "02-01 06"], "02-05 18", 20)
    assert issues(case(), request(every_s=3 * 86400))[-2:] == ["04-27 00", "04-30 00"]


def test_the_local_hour_is_kept_where_clocks_change() -> None:
    """Clocks skip 2 o'clock on 26 March 2017: that day's issue is the first step after it."""
    asked = request(first=date(2017, 3, 20), last=date(2017, 4, 10), issue_hour=2)
    found = issues(case(zone="Europe/Berlin"), asked)
    assert found[5:8] == ["03-25 02", "03-26 03", "03-27 02"]


def test_what_learns_needs_days_to_learn_from() -> None:
    """7 days of context, 28 of validation and 14 to learn from: 49 days before the first issue."""
    assert issues(case(), request(first=date(2017, 2, 19)), learns=True)[0] == "02-19 00"
    with pytest.raises(DataError, match="the first day to forecast a on cannot be 2017-02-18; expected 2017-02-19 to"):
        issue_steps(case(), request(first=date(2017, 2, 18)), learns=True)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"first": date(2017, 4, 20)}, "11 forecasts of a from 2017-04-20 to 2017-04-30 are too few .* expected 20"),
        ({"last": date(2017, 5, 1)}, "the last day to forecast a on cannot be 2017-05-01; expected 2017-01-09 to"),
        ({"least_origins": 500}, "are too few to judge by; expected 500 or more"),
    ],
)
def test_days_that_the_data_has_no_room_for(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        issue_steps(case(), request(**asked), learns=False)


def test_too_little_data() -> None:
    with pytest.raises(DataError, match="has no room for a forecast: 49 days before it and 1d after it"):
        issue_steps(case(days=20), request(), learns=True)


@pytest.mark.parametrize(
    ("refit", "days"),
    [
        ("never", ["03-10"]),
        ("monthly", ["03-10", "04-01"]),
        ("weekly", ["03-10", "03-17", "03-24", "03-31", "04-07"]),
        ("20d", ["03-10", "03-30"]),
    ],
)
def test_fits(refit: str, days: list[str]) -> None:
    toy, asked = case(), request(first=date(2017, 3, 10), last=date(2017, 4, 10), refit=refit)
    at = issue_steps(toy, asked, learns=True)
    assert [f"{toy.index[start]:%m-%d}" for start in fit_starts(toy.index, at, asked)] == days


def test_every_fit_looks_only_at_what_came_before() -> None:
    toy, asked = case(), request(first=date(2017, 3, 10), refit="weekly")
    at = issue_steps(toy, asked, learns=True)
    plan = plan_of(toy, asked, at, learns=True)
    assert np.concatenate([refit.origins for refit in plan]).tolist() == at.tolist()
    for refit in plan:
        assert refit.train.stop == refit.validation.start == refit.validation.stop - 28 * 24
        assert refit.validation.stop <= refit.origins.min()
    said = described_plan(toy, plan)
    assert said["fits"][0]["validation"] == ["2017-02-10T00:00:00", "2017-03-09T23:00:00"]
    assert described_plan(toy, plan_of(toy, asked, at, learns=False))["fits"] == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kinds": ("persistance",)}, "unknown forecaster 'persistance'; .* did you mean 'persistence'"),
        ({"kinds": ()}, "forecasters must be named once each, at least one; got none"),
        ({"seeds": (1, 1)}, "seeds must be named once each, at least one; got 1, 1"),
        ({"target": "demand"}, "unknown forecast target 'demand'; allowed: load, pv, price"),
        ({"calibration": "conform"}, "unknown calibration 'conform'; .* did you mean 'conformal'"),
        ({"refit": "0d"}, "'0d' says not when to fit anew; allowed: never, weekly, monthly, or days such as 10d"),
        ({"horizon_s": 7 * 86400}, "expected at most 144h"),
        ({"validation_days": 0}, "expected days that hold a horizon of 1d"),
        ({"first": date(2017, 2, 1), "last": date(2017, 1, 1)}, "2017-01-01, lies before the first, 2017-02-01"),
    ],
)
def test_what_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, UnknownNameError), match=message):
        request(**asked)


def test_a_horizon_of_part_of_a_step() -> None:
    with pytest.raises(DataError, match="a horizon of 90min is no whole number of steps of 1h"):
        case().task(replace(request(), horizon_s=5400))
