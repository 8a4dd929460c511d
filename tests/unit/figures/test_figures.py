"""Every figure draws what the tables say, on full runs and on bare ones."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.support.run_tables import ZONE, run_data
from vpp_sim.errors import UnknownNameError, UserError
from vpp_sim.figures import style
from vpp_sim.figures.gallery import CAPTIONS, FIGURES, plot
from vpp_sim.figures.money import flows_eur
from vpp_sim.figures.series import by_hour, condensed, line, period_word
from vpp_sim.runs.frames import RunData, empty_frame


@pytest.fixture(scope="module")
def run() -> RunData:
    return run_data(homes=4, days=3)


def _bare(run: RunData) -> RunData:
    blind = {f"forecast_net_{q}_kw": np.nan for q in ("p10", "p50", "p90")}
    quiet = {"local_price_eur_per_kwh": np.nan, "traded_kwh": 0.0, "delivered_kwh": 0.0}
    vpp = replace(
        run.vpp,
        timeseries=run.vpp.timeseries.assign(**blind, **quiet, load_kw=run.vpp.timeseries["base_load_kw"]),
        prosumers=run.vpp.prosumers.assign(load_kw=run.vpp.prosumers["base_load_kw"]),
        trades=empty_frame("trades", ZONE),
        chain=empty_frame("chain"),
        prices=empty_frame("prices", ZONE),
        battery_capacity_kwh=0.0,
    )
    return replace(run, vpp=vpp)


def _texts(figure) -> str:
    return " | ".join(text.get_text() for axis in figure.axes for text in [*axis.texts, axis.title, *_titles(axis)])


def _titles(axis) -> list:
    return [axis._left_title, axis.xaxis.label, axis.yaxis.label]


@pytest.mark.parametrize("name", FIGURES)
def test_figure_has_titles_and_units(name: str, run: RunData) -> None:
    figure = FIGURES[name](run)
    text = _texts(figure)
    plots = [axis for axis in figure.axes if axis._left_title.get_text()]
    assert plots, "no plot has a title"
    if name != "trades":
        assert all(axis.has_data() for axis in plots)
    assert "[" in text, "no axis names a unit"
    assert isinstance(figure.canvas, FigureCanvasAgg)


@pytest.mark.parametrize("name", FIGURES)
def test_legends_and_titles_do_not_overlap(name: str, run: RunData) -> None:
    figure = FIGURES[name](run)
    figure.canvas.draw()
    _assert_clear(figure)


def _assert_clear(figure) -> None:
    for axis in figure.axes:
        if axis.get_legend() is not None:
            title, legend = axis._left_title.get_window_extent(), axis.get_legend().get_window_extent()
            assert title.x1 < legend.x0 or title.y0 > legend.y1, axis._left_title.get_text()
            assert legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize("name", FIGURES)
def test_figure_of_a_bare_run(name: str, run: RunData) -> None:
    bare = _bare(run)
    FIGURES[name](bare).canvas.draw()
    assert CAPTIONS[name](bare).endswith(".")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trades", "Nothing was traded in this run."),
        ("price_parts", "Prices were not taken apart in this run."),
        ("settlement", "Nothing was settled on chain in this run."),
        ("forecast", "No step had a day-ahead forecast."),
    ],
)
def test_what_is_missing_is_said(name: str, text: str, run: RunData) -> None:
    assert text in _texts(FIGURES[name](_bare(run)))


def test_a_run_without_day_ahead_forecasts_has_no_fan(run: RunData) -> None:
    without = replace(run, vpp=replace(run.vpp, forecasts=run.vpp.forecasts.iloc[:0]))
    assert "No step had a day-ahead forecast." in _texts(FIGURES["demand"](without))
    assert CAPTIONS["demand"](without) == "No step of this run had a day-ahead forecast."


def test_the_fan_of_a_long_run_shows_its_last_fortnight() -> None:
    run = run_data(homes=2, days=30)
    figure = FIGURES["demand"](run)
    assert "day-ahead forecast, last 14 days" in _texts(figure)
    outcome = next(drawn for drawn in figure.axes[0].lines if drawn.get_label() == "outcome")
    assert len(outcome.get_ydata()) == 14 * 24 + 1
    np.testing.assert_array_equal(outcome.get_ydata()[:-1], run.vpp.timeseries["base_load_kw"].iloc[-14 * 24 :])


def test_the_caption_of_the_fan_is_computed() -> None:
    run = run_data(homes=4, days=3)
    load_kw = run.vpp.timeseries.set_index("step")["base_load_kw"].loc[run.vpp.forecasts["step"]].to_numpy()
    flat = run.vpp.forecasts.assign(
        load_p10_kw=0.0, load_p50_kw=load_kw + 0.5, load_p90_kw=np.where(load_kw > 4, 99, 0)
    )
    caption = CAPTIONS["demand"](replace(run, vpp=replace(run.vpp, forecasts=flat)))
    inside, share = (load_kw > 4).mean(), 0.5 / load_kw.mean()
    assert caption == (
        f"Over the run, the median of the load is off by 0.50 kW on average, {100 * share:.1f} % of the load; "
        f"{100 * inside:.0f} % of outcomes lie in the band made for 80 %."
    )


@pytest.mark.parametrize("name", ["overview", "bills", "grid", "trades", "storage", "forecast"])
def test_long_run_of_many_homes(name: str, long_run: RunData) -> None:
    figure = FIGURES[name](long_run)
    figure.canvas.draw()
    assert (", daily means" in _texts(figure)) == (name in ("overview", "storage", "forecast"))
    _assert_clear(figure)


@pytest.fixture(scope="module")
def long_run() -> RunData:
    run = run_data(homes=45, days=1)
    stretched = pd.concat([run.vpp.timeseries] * 60, ignore_index=True)
    stretched["time"] = pd.date_range("2017-01-01", periods=len(stretched), freq="h", tz=ZONE)
    return RunData(replace(run.vpp, timeseries=stretched), replace(run.counterfactual, timeseries=stretched), run.bills)


@pytest.mark.parametrize("name", FIGURES)
def test_one_step_is_enough(name: str) -> None:
    run = run_data(homes=1, days=1, step_h=24.0)
    assert len(run.vpp.timeseries) == 1
    assert FIGURES[name](run).axes
    assert CAPTIONS[name](run).endswith(".")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_same_run_same_bytes(suffix: str, run: RunData, tmp_path: Path) -> None:
    first, second = (plot(run, "prices", tmp_path / f"{turn}{suffix}").read_bytes() for turn in ("a", "b"))
    assert first == second


def test_wrong_names_and_endings_are_refused(run: RunData, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown figure 'price'.*did you mean 'prices'"):
        plot(run, "price", tmp_path / "x.png")
    with pytest.raises(UserError, match=r"x\.jpg: a figure is written as one of \.png, \.svg"):
        plot(run, "prices", tmp_path / "x.jpg")
    assert list(tmp_path.iterdir()) == []


def test_drawing_leaves_the_settings_of_matplotlib_alone(run: RunData, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    plot(run, "overview", tmp_path / "x.png")
    assert dict(mpl.rcParams) == before


def test_money_flows_sum_to_zero_and_show_every_item(run: RunData) -> None:
    flows = flows_eur(run.vpp)
    assert flows.index.tolist() == ["homes", "vpp", "grid_operator", "wholesale"]
    assert flows.sum().abs().max() < 1e-9
    assert flows.loc["homes"].sum() == pytest.approx(-run.vpp.homes_eur(), abs=1e-9)
    axis = FIGURES["money"](run).axes[0]
    drawn = sum(patch.get_width() for patch in axis.patches)
    assert drawn == pytest.approx(flows.to_numpy().sum(), abs=1e-9)


def test_trade_matrix_shows_the_traded_energy(run: RunData) -> None:
    image = FIGURES["trades"](run).axes[0].images[0]
    shown = np.ma.filled(image.get_array(), 0.0)
    assert np.nansum(shown) == pytest.approx(run.vpp.trades["delivered_kwh"].sum())
    pair = run.vpp.trades.query("buyer == 'homes/home_1' and seller == 'homes/home_2'")["delivered_kwh"].sum()
    assert shown[0, 1] == pytest.approx(pair)


def test_local_time_on_the_axis(run: RunData) -> None:
    axis = FIGURES["overview"](run).axes[-1]
    axis.figure.canvas.draw()
    assert axis.get_xticklabels()[0].get_text() == "Mon 3 Jul"
    assert axis.get_xlabel() == f"local time, 2017 ({ZONE})"


def test_dates_are_local_where_clocks_change() -> None:
    times = pd.Series(pd.date_range("2017-03-24", periods=4 * 24 - 1, freq="h", tz="Europe/Amsterdam"))
    figure, (axis,) = style.axes()
    line(axis, times, np.arange(len(times)))
    style.local_time(axis, times)
    figure.canvas.draw()
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert labels == ["Fri 24 Mar", "Sat 25 Mar", "Sun 26 Mar", "Mon 27 Mar", "Tue 28 Mar"]
    assert axis.get_lines()[0].get_xdata()[-1] == pd.Timestamp("2017-03-28", tz="Europe/Amsterdam")


def test_long_series_become_daily_means_with_extremes_kept() -> None:
    times = pd.Series(pd.date_range("2017-03-01", periods=30 * 24, freq="h", tz=ZONE))  # clocks change on 12 March
    frame = pd.DataFrame({"time": times, "net_kw": 2.0, "v_min_pu": 1.0})
    frame.loc[5, "v_min_pu"] = 0.8
    daily = condensed(frame, {"v_min_pu": "min"})
    assert (len(daily), daily["v_min_pu"][0], daily["net_kw"][0]) == (31, 0.8, 2.0)
    assert period_word(times) == ", daily means"
    assert condensed(frame.iloc[:48]) is not daily
    assert len(condensed(frame.iloc[:48])) == 48


def test_mean_day_by_local_hour() -> None:
    times = pd.Series(pd.date_range("2017-07-03", periods=8, freq="15min", tz=ZONE))
    hours = by_hour(times, [0, 0, 0, 4, 1, 1, 1, 1])
    assert hours[:2].tolist() == [1.0, 1.0]
    assert hours[2:].isna().all()


def test_palette_is_distinct() -> None:
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


def test_prices_show_how_far_retail_lies_from_the_default_tariff(run: RunData) -> None:
    series = run.vpp.timeseries.assign(default_eur_per_kwh=0.25, buy_eur_per_kwh=[0.24, 0.27] * 36)
    shifted = replace(run, vpp=replace(run.vpp, timeseries=series))
    apart = FIGURES["prices"](shifted).axes[1]
    assert apart._left_title.get_text() == "Retail less default tariff"
    heights = apart.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (pytest.approx(-0.01), pytest.approx(0.02))
    assert CAPTIONS["prices"](shifted).endswith(
        "; they lie 0.0150 EUR/kWh apart on average, either way, from -0.0100 to +0.0200."
    )


def test_the_caption_of_storage_says_what_life_it_took(run: RunData) -> None:
    ours, theirs = (
        np.average(tables.ageing().life_used, weights=tables.batteries["capacity_kwh"])
        for tables in (run.vpp, run.counterfactual)
    )
    assert CAPTIONS["storage"](run).endswith(
        f"; with the days that pass, that is {100 * ours:.2f} % of their life, without it {100 * theirs:.2f} %."
    )
    unknown = replace(run, vpp=replace(run.vpp, batteries=empty_frame("batteries")))
    assert "life" not in CAPTIONS["storage"](unknown)
