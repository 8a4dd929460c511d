"""Figures of forecasts draw the numbers they are given, name units, and keep legends off the data."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from vpp_sim.errors import UserError
from vpp_sim.figures import style
from vpp_sim.figures.forecasts import error_by_horizon, error_by_hour, fan_chart, reliability_diagram

ZONE = "America/Los_Angeles"
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
TIMES = pd.Series(pd.date_range("2017-07-03", periods=72, freq="h", tz=ZONE))
MEDIAN = 5.0 + np.sin(np.arange(72) / 4.0)
QUANTILES = MEDIAN[:, None] + np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0])
ACTUAL = MEDIAN + 0.3
MODELS = ("persistence", "seasonal_naive", "persistence_ensemble", "linear", "gbm", "lstm", "transformer", "perfect")


def _fan() -> Figure:
    return fan_chart(TIMES, ACTUAL, QUANTILES, LEVELS, issues=TIMES[::24])


def _horizon() -> Figure:
    return error_by_horizon({name: np.full(24, 1.0 + index) for index, name in enumerate(MODELS)})


def _hour() -> Figure:
    return error_by_hour({name: np.arange(24.0) + index for index, name in enumerate(MODELS)}, zone=ZONE)


def _reliability() -> Figure:
    return reliability_diagram({"lstm": np.array(LEVELS), "gbm": np.array(LEVELS) + 0.02}, LEVELS, outcomes=400)


ALL = pytest.mark.parametrize("draw", [_fan, _horizon, _hour, _reliability])


def _legend(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@ALL
def test_titles_units_and_free_legends(draw) -> None:
    figure = draw()
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1 + 1
    for axis in figure.axes:
        assert axis._left_title.get_text()
        assert "[" in axis.get_ylabel()
        assert "[" in axis.get_xlabel() or "local time" in axis.get_xlabel()
        for box in (axis.get_window_extent(), axis._left_title.get_window_extent()):
            assert not box.overlaps(legend), "the legend hides something"


@ALL
def test_same_bytes_and_settings_left_alone(draw, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    for turn in ("a", "b"):
        style.save(draw(), tmp_path / f"{turn}.svg")
    assert dict(mpl.rcParams) == before
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_fan_shows_quantiles_median_outcome_and_issues() -> None:
    figure = _fan()
    (axis,) = figure.axes
    assert _legend(figure) == ["90 %", "80 %", "50 %", "median", "outcome"]
    heights = [band.get_paths()[0].vertices[:, 1] for band in axis.collections]
    expected = [(MEDIAN.min() - low, MEDIAN.max() + high) for low, high in ((3, 4), (2, 2), (1, 1))]
    np.testing.assert_allclose([(height.min(), height.max()) for height in heights], expected)
    drawn = {each.get_label(): each.get_ydata() for each in axis.lines}
    np.testing.assert_allclose(drawn["median"][:-1], MEDIAN)
    np.testing.assert_allclose(drawn["outcome"][:-1], ACTUAL)
    issued = [each.get_xdata()[0] for each in axis.lines if each.get_label().startswith("_")]
    assert issued == TIMES[::24].tolist()


def test_a_fan_of_few_levels_and_missing_outcomes() -> None:
    figure = fan_chart(TIMES, np.full(72, np.nan), QUANTILES[:, [3, 5]], (0.5, 0.9), label="price [EUR/MWh]")
    figure.canvas.draw()
    assert _legend(figure) == ["median", "outcome"]  # 0.9 has no partner
    assert figure.axes[0].get_ylabel() == "price [EUR/MWh]"


def test_a_fan_of_many_levels_has_a_band_for_each_pair() -> None:
    levels = np.round(np.linspace(0.05, 0.95, 19), 2)
    figure = fan_chart(TIMES, ACTUAL, MEDIAN[:, None] + levels, levels.tolist())
    assert len(figure.axes[0].collections) == 9


def test_error_by_horizon_in_hours() -> None:
    figure = error_by_horizon({"lstm": np.array([1.0, 2.0, 3.0, 4.0])}, step_h=0.25)
    (drawn,) = figure.axes[0].lines
    assert drawn.get_xdata().tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert drawn.get_ydata().tolist() == [1.0, 2.0, 3.0, 4.0, 4.0]
    assert figure.axes[0].get_ylim()[0] == 0.0


def test_eight_models_are_told_apart() -> None:
    figure = _horizon()
    assert _legend(figure) == [name.replace("_", " ") for name in MODELS]
    looks = {(each.get_color(), each.get_linestyle()) for each in figure.axes[0].lines}
    assert len(looks) == len(MODELS)


def test_error_by_hour_keeps_gaps() -> None:
    values = np.arange(24.0)
    values[3] = np.nan
    (drawn,) = error_by_hour({"lstm": values}).axes[0].lines
    assert np.flatnonzero(np.isnan(drawn.get_ydata())).tolist() == [3]


def test_reliability_shows_shares_differences_and_chance() -> None:
    whole, apart = _reliability().axes
    assert _legend(_reliability()) == ["95 % by chance", "lstm", "gbm"]
    np.testing.assert_allclose(whole.lines[2].get_ydata(), 100 * np.array(LEVELS) + 2)
    np.testing.assert_allclose(apart.lines[2].get_ydata(), 2.0)
    np.testing.assert_allclose(apart.lines[1].get_ydata(), 0.0, atol=1e-12)
    # 400 outcomes, half of them: a deviation of sqrt(0.25 / 400) = 2.5 points, 1.96 of them 4.9.
    assert apart.collections[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(4.9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fan_chart(TIMES, ACTUAL[:5], QUANTILES, LEVELS), r"72 steps takes as many outcomes, not \(5,\)"),
        (lambda: fan_chart(TIMES, ACTUAL, QUANTILES[:, :2], (0.1, 0.9)), r"around 0.5"),
        (lambda: error_by_horizon({}), r"one length, not of \[\]"),
        (lambda: error_by_horizon({"a": np.ones(3), "b": np.ones(4)}), r"one length, not of \[3, 4\]"),
        (lambda: error_by_hour({"a": np.ones(23)}), "24 values, not 23"),
        (lambda: reliability_diagram({"a": np.ones(3)}, (0.5,), outcomes=9), "1 levels need as many shares, not 3"),
        (lambda: reliability_diagram({"a": np.ones(1)}, (0.5,), outcomes=0), "one outcome or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()
