"""What is learned from and what is forecast: homes left out teach nothing, covariates are known as published."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vpp_sim.backtesting.cases import cases_of_file, cases_of_homes
from vpp_sim.backtesting.output import claim, one_move
from vpp_sim.backtesting.request import BacktestRequest
from vpp_sim.backtesting.run import backtest_homes
from vpp_sim.data.fontana import Fontana
from vpp_sim.data.series_file import SeriesColumns
from vpp_sim.errors import DataError

COLUMNS = SeriesColumns("time", "value", "id", ("wind",))


def request(**more: object) -> BacktestRequest:
    return BacktestRequest(("persistence",), "load", **more)  # type: ignore[arg-type]


def file(tmp_path: Path, names: tuple[str, ...] = ("a", "b")) -> Path:
    hours = np.arange(100)
    times = pd.date_range("2017-01-01", periods=100, freq="1h")
    parts = [
        pd.DataFrame({"id": name, "time": times, "value": hours * (row + 1.0), "wind": hours**2})
        for row, name in enumerate(names)
    ]
    pd.concat(parts).to_parquet(tmp_path / "series.parquet")
    return tmp_path / "series.parquet"


def test_homes_left_out_teach_nothing() -> None:
    (case,) = cases_of_homes(request(), homes=("home_1", "home_2", "home_3"), leave_out=("home_5", "home_2")).cases
    load = {name: Fontana().load().select((name,)).load_kw[:, 0] for name in ("home_1", "home_2", "home_3", "home_5")}
    assert case.learned.values.T.tolist() == [load["home_1"].tolist(), load["home_3"].tolist()]
    assert case.series == ("home_5", "home_2", "portfolio")
    assert case.forecast.values[:, :2].T.tolist() == [load["home_5"].tolist(), load["home_2"].tolist()]
    assert case.forecast.values[:, 2] == pytest.approx(load["home_5"] + load["home_2"])


@pytest.mark.parametrize("origin", [0, 23, 24, 60, 76])
def test_covariates_of_a_file_are_known_for_the_whole_horizon(tmp_path: Path, origin: int) -> None:
    (case,) = cases_of_file(request(), file(tmp_path), COLUMNS).cases
    known = case.forecast.known_covariates(origin, context_steps=0, horizon_steps=24)
    assert known[:, 0].tolist() == [float(step**2) for step in range(origin, origin + 24)]
    assert case.task(request()).covariates == ("wind",)


def test_the_sum_is_forecast_where_it_means_something(tmp_path: Path) -> None:
    path = file(tmp_path)
    assert cases_of_file(request(), path, COLUMNS).cases[0].series == ("a", "b", "portfolio")
    assert cases_of_file(request(portfolio=False), path, COLUMNS).cases[0].series == ("a", "b")
    price = BacktestRequest(("persistence",), "price")
    assert cases_of_file(price, path, COLUMNS).cases[0].series == ("a", "b")
    with pytest.raises(
        DataError, match="a series is named 'portfolio', as the sum of all would be; rename it or ask for no p"
    ):
        cases_of_file(request(), file(tmp_path, ("a", "portfolio")), COLUMNS)


def test_calibration_moves_the_quantiles_and_leaves_the_median() -> None:
    more = {"first": date(2017, 7, 1), "portfolio": False}
    raw, calibrated = (
        backtest_homes(request(calibration=how, **more), homes=("home_1",)).forecasts[0].result.quantiles
        for how in ("none", "conformal")
    )
    assert np.array_equal(raw[..., 3], calibrated[..., 3])
    assert np.array_equal(raw[0], calibrated[0])  # nothing was known before the first outcome
    assert (np.abs(raw - calibrated)[10:].mean(axis=(0, 1, 2))[[0, 6]] > 0.01).all()


def test_a_folder_belongs_to_one_request(tmp_path: Path) -> None:
    claim(tmp_path / "new" / "run", {"request": {"target": "load"}, "seeds": [0]})
    claim(tmp_path / "new" / "run", {"request": {"target": "load"}, "seeds": (0,)})
    with pytest.raises(DataError, match=r'run holds another back-test: request\.target is "load" there and "pv" here'):
        claim(tmp_path / "new" / "run", {"request": {"target": "pv"}, "seeds": [0]})


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room"), one_move(tmp_path / "metrics.json") as part:
        _write_half(part)
    assert list(tmp_path.iterdir()) == []


def _write_half(part: Path) -> None:
    part.write_text("{")
    raise OSError("no room")
