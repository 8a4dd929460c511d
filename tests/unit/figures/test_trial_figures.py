"""The figures of a trial of storage controllers show what the trial found."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from vpp_sim.figures import style
from vpp_sim.figures.trials import learning_curves, share_by_month, soc_and_price, trial_figures
from vpp_sim.trials.request import TrialRequest
from vpp_sim.trials.run import TrialResult, run_trial


@pytest.fixture(scope="module")
def result() -> TrialResult:
    request = TrialRequest(
        kinds=("idle", "self_consumption", "mpc", "ppo"),
        first=date(2017, 6, 25),
        last=date(2017, 7, 8),
        tariff="wholesale",
        homes=("home_2", "home_1"),
    )
    return run_trial(request)


def test_the_week_shows_states_and_prices_of_one_home(result: TrialResult) -> None:
    figure = soc_and_price(result, home=1)
    top, middle, bottom = figure.axes
    assert top.get_title(loc="left").startswith("home 1: ")
    best = [name.replace("_", " ") for name in result.names if name != "idle"]
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["optimum", *best]
    start = 3 * 24  # of thirteen days and an hour, three come before the week in the middle
    shown = {line.get_label(): np.asarray(line.get_ydata())[:-1] for line in top.lines}
    np.testing.assert_allclose(shown["optimum"], result.best.soc_kwh[1, start : start + 168] / 6.4)
    np.testing.assert_allclose(shown["mpc"], result.of("mpc")[0].record.soc_kwh[1, start : start + 168] / 6.4)
    cases, first = result.homes.cases, result.homes.cases.first_step + start
    np.testing.assert_allclose(middle.lines[0].get_ydata()[:-1], cases.net_kw[1, first : first + 168])
    np.testing.assert_allclose(bottom.lines[0].get_ydata()[:-1], cases.buy_eur_per_kwh[1, first : first + 168])


def test_bars_are_the_shares_of_the_months(result: TrialResult) -> None:
    (axis,) = share_by_month(result).axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    names = [name for name in result.names if name != "idle"]  # which has nothing to show
    assert labels == [name.replace("_", " ") for name in names]
    assert [text.get_text() for text in axis.get_xticklabels()] == ["Jun 2017", "Jul 2017"]
    table = result.months_table().set_index(["controller", "month"])["share"]
    for name, bars in zip(names, axis.containers, strict=True):
        assert [bar.get_height() for bar in bars] == pytest.approx([table[name, "2017-06"], table[name, "2017-07"]])


def test_learning_curves_are_those_of_the_cards(result: TrialResult) -> None:
    (axis,) = learning_curves(result).axes
    (curve,) = axis.lines
    assert curve.get_label() == "ppo"
    assert tuple(curve.get_ydata()) == result.of("ppo")[0].entrant.scores


def test_figures_are_the_same_bytes_each_time(result: TrialResult, tmp_path: Path) -> None:
    for turn in ("a", "b"):
        for name, figure in trial_figures(result).items():
            style.save(figure, tmp_path / f"{name}_{turn}.png")
    for name in ("soc_and_price", "share_by_month", "learning_curves"):
        assert (tmp_path / f"{name}_a.png").read_bytes() == (tmp_path / f"{name}_b.png").read_bytes()


def test_without_policies_there_are_no_learning_curves(result: TrialResult) -> None:
    plain = TrialResult(result.request, result.homes, result.best, tuple(result.of("mpc")))
    assert set(trial_figures(plain)) == {"soc_and_price", "share_by_month"}
