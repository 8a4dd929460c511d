"""``vpp-sim backtest``: a user's file, the homes, figures, going on where it was cut off, what mistakes are told."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vpp_sim.cli import main
from vpp_sim.forecasting import fitting
from vpp_sim.forecasting.fitting import FitSettings
from vpp_sim.forecasting.neural import MEMBERS

FIGURES = {"fan_chart.png", "error_by_horizon.png", "error_by_hour.png", "reliability.png"}
FILE = ("--data", "toy.csv", "--id", "meter", "--time", "time", "--value", "kw")
TINY = FitSettings(epochs=2, windows=64, batch=32, refit=False, validation_stride=24)


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where ``toy.csv`` holds two meters over 80 days, one the other's double and a little noise."""
    monkeypatch.chdir(tmp_path)
    hours = np.arange(80 * 24)
    day = 2.0 + np.sin(hours / 24 * 2 * np.pi) + 0.3 * (hours // 24 % 7 > 4)
    noise = np.random.default_rng(5).normal(0.0, 0.1, (2, len(hours)))
    times = pd.date_range("2017-01-01", periods=len(hours), freq="1h").strftime("%Y-%m-%dT%H:%M")
    parts = [
        pd.DataFrame({"meter": name, "time": times, "kw": (scale * day + noise[row]).round(4), "sun": day.round(3)})
        for row, (name, scale) in enumerate((("a", 1.0), ("b", 2.0)))
    ]
    pd.concat(parts).to_csv("toy.csv", index=False)


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures, which takes most of a small back-test's time."""
    monkeypatch.setattr("vpp_sim.cli.backtesting._draw", lambda result, folder: None)


def said_of(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["backtest", *arguments]) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def metrics(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "metrics.json").read_text())
    return found


def test_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    out = said_of(capsys, *FILE, "--kinds", "seasonal_naive", "--target", "load", "--known", "sun", "--out", "out")
    assert out.splitlines()[-1] == "out"
    assert "known ahead: sun, as published: known at each issue for its whole horizon" in out
    assert "crossings of quantiles: 0; not asked for, run as references: persistence, persistence_ensemble" in out
    assert {path.name for path in Path("out").iterdir()} == FIGURES | {
        "forecasts.parquet", "metrics.json", "request.json", "work",
    }  # fmt: skip
    found = metrics("out")
    assert (found["crossings"], found["plan"][0]["origins"]) == (0, 20)
    assert found["plan"][0]["series"] == ["a", "b", "portfolio"]
    assert found["command"].startswith("vpp-sim backtest --kinds seasonal_naive --target load --data toy.csv")
    table = pd.read_parquet("out/forecasts.parquet")
    assert list(table.columns[:6]) == ["kind", "seed", "origin", "series", "step", "actual"]
    assert len(table) == 3 * 20 * 3 * 24
    assert (np.diff(table.filter(regex=r"^q").to_numpy(), axis=1) >= 0).all()
    toy = pd.read_csv("toy.csv", parse_dates=["time"]).set_index(["meter", "time"])["kw"]
    row = table[(table["kind"] == "seasonal_naive") & (table["series"] == "b") & (table["step"] == 14)].iloc[3]
    assert row["actual"] == toy["b", row["origin"] + pd.Timedelta(hours=13)]
    assert row["q0.5"] == toy["b", row["origin"] + pd.Timedelta(hours=13 - 168)]
    summed = table[table["series"] == "portfolio"]["actual"].to_numpy()
    parts = [table[table["series"] == name]["actual"].to_numpy() for name in ("a", "b")]
    assert summed == pytest.approx(parts[0] + parts[1])
    heads, shown = (next(line for line in out.splitlines() if word in line) for word in ("nrmse", " seasonal_naive"))
    mean = found["metrics"]["seasonal_naive"]["mean"]["series"]
    ratios = [f"_ratio_to_{name}" for name in ("persistence", "seasonal_naive", "persistence_ensemble")]
    names = [measure + of for measure in ("mase", "wql") for of in ("", *ratios)]
    wanted = [f"{mean[name]:.3f}" for name in (*names, "nrmse", "coverage_80", "coverage_90")]
    assert shown.split()[1:-2] == wanted
    assert re.split(r"\s{2,}", heads.strip())[-5:] == ["nrmse", "80 %", "90 %", "fit s", "predict s"]
    own = found["metrics"]["seasonal_naive"]["seeds"]["0"]["each"]["b"]
    rows = table[(table["kind"] == "seasonal_naive") & (table["series"] == "b")]
    assert own["mae"] == pytest.approx((rows["actual"] - rows["q0.5"]).abs().mean(), rel=1e-6)
    assert own["mase_ratio_to_seasonal_naive"] == 1.0


@pytest.mark.usefixtures("_undrawn")
def test_the_same_command_goes_on_and_another_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fitting.SETTINGS, "load", TINY)
    asked = (*FILE, "--kinds", "lstm", "--target", "load", "--refit", "never", "--validation-days", "7", "-q")
    said_of(capsys, *asked, "--seed", "0,1", "--out", "whole")
    fits, fit = 0, fitting.fit

    def cut_off(*arguments: Any, **more: Any) -> Any:
        nonlocal fits
        fits += 1
        if fits == MEMBERS + 2:  # the second network of the second seed
            raise KeyboardInterrupt
        return fit(*arguments, **more)

    monkeypatch.setattr("vpp_sim.forecasting.neural.fit", cut_off)
    err = said_of(capsys, *asked, "--seed", "0,1", "--out", "cut", status=130)
    assert "what is finished is kept in cut; the same command goes on from there" in err
    assert {path.name for path in Path("cut").iterdir()} == {"request.json", "work"}
    monkeypatch.setattr("vpp_sim.forecasting.neural.fit", fit)
    said_of(capsys, *asked, "--seed", "0,1", "--out", "cut")
    assert Path("cut/forecasts.parquet").read_bytes() == Path("whole/forecasts.parquet").read_bytes()
    found = metrics("cut")["metrics"]["lstm"]
    assert (list(found["seeds"]), found["fits"]) == (["0", "1"], 1)
    pair = [seed["series"]["mase"] for seed in found["seeds"].values()]
    assert found["mean"]["series"]["mase"] == pytest.approx(np.mean(pair), rel=1e-6)
    assert found["spread"]["series"]["mase"] == pytest.approx(abs(pair[0] - pair[1]) / 2**0.5, rel=1e-4)
    said_of(capsys, *asked, "--seed", "0,1", "--out", "cut")
    err = said_of(capsys, *asked, "--seed", "2", "--out", "cut", status=2)
    assert err == (
        "error: cut holds another back-test: request.seeds is [0, 1] there and [2] here; choose another folder\n"
    )


@pytest.mark.usefixtures("_undrawn")
def test_homes_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--kinds", "persistence_ensemble", "--target", "load", "--homes", "1,2,3", "--leave-out", "3,4")
    out = said_of(capsys, *asked, "--calibration", "conformal", "--out", "out")
    assert "calibration: conformal, of the references too" in out
    plan = metrics("out")["plan"][0]
    assert (plan["series"], plan["learned_from"]) == (["home_3", "home_4", "portfolio"], ["home_1", "home_2"])
    assert plan["last_origin"] == "2017-07-31T00:00:00-07:00"
    assert metrics("out")["known_ahead"].startswith("weather as it was forecast at each issue; ")


def test_solar_output_of_the_homes(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--kinds", "persistence", "--target", "pv", "--homes", "1", "--first", "2017-07-01", "--quiet")
    out = said_of(capsys, *asked)
    folder = out.strip()
    assert folder.startswith("results/backtests/pv_")
    assert out.count("\n") == 1
    assert metrics(folder)["plan"][0]["series"] == ["home_1"]  # a single home is its own portfolio


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--kinds", "lstn"), "unknown forecaster 'lstn'; allowed: "),
        (("--target", "demand"), "unknown forecast target 'demand'; allowed: load, pv, price"),
        (("--target", "price"), "homes have no series of 'price'; allowed: load, pv"),
        (("--source", "fontona"), "unknown home source 'fontona'; allowed: fontana; did you mean 'fontana'?"),
        (("--homes", "99"), "unknown home 'home_99'; allowed: "),
        (("--homes", "1,1"), "homes to select must be named once each, at least one; got home_1, home_1"),
        (("--homes", "1", "--leave-out", "1"), "every home is left out; expected one or more to learn from"),
        (("--weather", "sunny"), "unknown weather forecast 'sunny'; allowed: error_model, file, perfect"),
        (("--weather", "file"), "the weather forecast 'file' needs the path of a Parquet or CSV file"),
        (("--first", "tomorrow"), "--first tomorrow: expected a day such as 2017-02-01"),
        (("--first", "2019-01-01"), "the first day to forecast home_1, home_2, home_3 and 10 more on cannot be "),
        (("--first", "2017-07-20"), "12 forecasts of home_1, home_2, home_3 and 10 more from 2017-07-20 to "),
        (("--horizon", "1 day"), "--horizon 1 day: "),
        (("--horizon", "168h"), "a horizon of 604800 s is not allowed; expected at most 144h"),
        (("--seed", "one"), "--seed one: expected whole numbers from 0 on, such as 0,1,2"),
        (("--refit", "yearly"), "'yearly' says not when to fit anew; allowed: never, weekly, monthly, or days such "),
        (("--value", "kw"), "--value: only with --data FILE"),
        (("--data", "toy.csv"), "--data needs --time COLUMN and --value COLUMN"),
        ((*FILE, "--homes", "1"), "--homes: not with --data, which brings its own series"),
        ((*FILE, "--known", "son"), "toy.csv: has no column 'son'; it has meter, time, kw, sun; did you mean 'sun'?"),
        (("--data", "toys.csv", *FILE[2:]), "toys.csv: is no Parquet or CSV file that can be read: No such file"),
        ((*FILE, "--kinds", "lstm", "--first", "2017-01-20"), "the first day to forecast a, b on cannot be "),
    ],
)
def test_a_mistake(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    given = dict(zip(("--kinds", "--target"), ("persistence", "load"), strict=True))
    defaults = [word for name, value in given.items() if name not in arguments for word in (name, value)]
    before = sorted(Path().rglob("*"))
    err = said_of(capsys, *defaults, *arguments, status=2)
    assert err.startswith(f"error: {message}"), err
    assert err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_a_folder_of_something_else_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    err = said_of(capsys, *FILE, "--kinds", "persistence", "--target", "load", "--out", ".", status=2)
    assert err == "error: . holds something else than a back-test; choose an empty folder or a new one\n"


@pytest.mark.usefixtures("_undrawn")
def test_series_of_other_spans_have_no_portfolio(capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv("toy.csv")
    table.iloc[:-24].to_csv("toy.csv", index=False)
    asked = (*FILE, "--kinds", "persistence", "--target", "load", "--out", "out")
    err = said_of(capsys, *asked, "--portfolio", status=2)
    assert "a portfolio is a sum of series of one span and with the same covariates, but these differ (a: " in err
    said_of(capsys, *asked)
    assert [plan["last_origin"] for plan in metrics("out")["plan"]] == ["2017-03-21T00:00:00", "2017-03-20T00:00:00"]


@pytest.mark.usefixtures("_undrawn")
def test_times_with_an_offset_keep_it(capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.read_csv("toy.csv")
    table.assign(time=table["time"] + "-08:00").to_csv("toy.csv", index=False)
    said_of(capsys, *FILE, "--kinds", "persistence", "--target", "load", "--issue-hour", "9", "--out", "out")
    origin = pd.read_parquet("out/forecasts.parquet")["origin"]
    assert (origin.dt.hour.unique().tolist(), origin.iloc[0].utcoffset()) == ([9], pd.Timedelta(hours=-8))


@pytest.mark.usefixtures("_undrawn")
def test_a_home_that_reads_zero_has_no_relative_error(capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv("toy.csv").assign(kw=0.0).to_csv("toy.csv", index=False)
    out = said_of(capsys, *FILE, "--kinds", "persistence", "--target", "load", "--out", "out")
    assert "–" in out
    mean = metrics("out")["metrics"]["persistence"]["mean"]["series"]
    assert (mean["mae"], mean["mase"], mean["wql"], mean["mae_ratio_to_persistence"]) == (0.0, None, None, None)
