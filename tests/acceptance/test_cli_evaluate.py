"""``vpp-sim evaluate ess``: the folder, several seeds, what each controller knew, what mistakes are told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vpp_sim.cli import main
from vpp_sim.ess.weights import PRETRAINED, load_policy, pack_policy, read_policy_card, save_policy
from vpp_sim.registry import CONTROLLERS

DAYS = ("--first", "2017-06-28", "--last", "2017-07-05")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figures, which takes most of a small evaluation's time."""
    monkeypatch.setattr("vpp_sim.cli.evaluate._draw", lambda result, folder: None)


def said_of(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["evaluate", "ess", *arguments]) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def found_in(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "evaluation.json").read_text(encoding="utf-8"))
    return found


def seed_into(folder: str, seed: int) -> None:
    """Copy the shipped PPO policy as if trained with another seed, more fond of resting."""
    network = load_policy("ppo")
    network.biases[-1][0] += 2.0 * seed
    packed = pack_policy(network)
    card = replace(read_policy_card("ppo"), seed=seed, weights_sha256=sha256(packed).hexdigest())
    save_policy(packed, card, Path(folder))


def test_the_folder_holds_tables_that_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    out = said_of(capsys, *DAYS, "--homes", "1,2,4", "--kinds", "self_consumption,mpc,ppo", "--out", "out")
    assert out.splitlines()[-1] == "out"
    assert "known of load and sun: this step's load and sun as metered" in out
    assert {path.name for path in Path("out").iterdir()} == {
        "evaluation.json", "summary.md", "homes.parquet", "months.parquet", "steps.parquet",
        "soc_and_price.png", "share_by_month.png", "learning_curves.png",
    }  # fmt: skip
    said = found_in("out")
    assert said["command"] == f"vpp-sim evaluate ess --kinds self_consumption,mpc,ppo {' '.join(DAYS)} " + (
        "--homes 1,2,4 --out out"
    )
    assert said["homes"] == ["home_1", "home_2", "home_4"]
    assert (said["first_step"][:16], said["last_step"][:16]) == ("2017-06-28T00:00", "2017-07-05T00:00")
    homes, months, steps = (pd.read_parquet(f"out/{name}.parquet") for name in ("homes", "months", "steps"))
    for row in said["results"]:
        own = homes[homes["controller"] == row["controller"]]
        assert row["share"] == pytest.approx(own["share"].mean(), abs=1e-6)
        assert row["saving_eur_per_home"] == pytest.approx(own["saving_eur"].mean(), abs=1e-6)
        assert row["share_of_sum"] == pytest.approx(own["saving_eur"].sum() / own["best_eur"].sum(), abs=1e-6)
        for table in (months, steps):
            part = table[table["controller"] == row["controller"]]
            assert part["saving_eur"].sum() == pytest.approx(own["saving_eur"].sum())
        low, high = row["interval_over_homes"]
        assert low <= row["share"] <= high
    assert months["month"].unique().tolist() == ["2017-06", "2017-07"]
    assert len(steps) == 4 * 3 * (7 * 24 + 1)
    assert str(steps["time"].dt.tz) == "America/Los_Angeles"
    by_name = {row["controller"]: row for row in said["results"]}
    assert by_name["mpc"]["projected"] == 0.0  # it plans within the limits
    assert by_name["ppo"]["projected"] == homes.loc[homes["controller"] == "ppo", "projected"].sum()
    shares = {name: np.array(list(row["shares"].values())) for name, row in by_name.items()}
    ahead = (shares["ppo"] > np.maximum(shares["mpc"], shares["self_consumption"])).sum()
    assert by_name["ppo"]["homes_ahead"] == ahead
    assert "| ppo |" in Path("out/summary.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("_undrawn")
def test_a_split_gives_what_the_card_says(capsys: pytest.CaptureFixture[str]) -> None:
    said_of(capsys, "--kinds", "ppo,self_consumption", "--split", "test", "--tariff", "wholesale", "-q", "--out", "out")
    card = read_policy_card("ppo").metrics["test"]["wholesale"]
    for row in found_in("out")["results"]:
        assert row["share_of_sum"] == pytest.approx(card["share_of_best"][row["controller"]], abs=2e-3)
        assert row["best_eur_per_home"] == pytest.approx(card["best_saving_eur_per_home"], abs=0.006)


@pytest.mark.usefixtures("_undrawn")
def test_seeds_make_a_row_and_a_spread(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):
        seed_into(f"s{seed}", seed)
    out = said_of(
        capsys, *DAYS, "--homes", "1,2,3", "--kinds", "idle,ppo", "--policies", "s1,s2", "--policies", "first=s1",
        "--acts", "before_meter", "--out", "out",
    )  # fmt: skip
    rows = {row["controller"]: row for row in found_in("out")["results"]}
    assert set(rows) == {"idle", "ppo", "first_ppo"}
    assert rows["ppo"]["seeds"] == [1, 2]
    homes = pd.read_parquet("out/homes.parquet")
    by_seed = homes[homes["controller"] == "ppo"].groupby("seed")["share"].mean()
    assert by_seed.nunique() == 2
    assert rows["ppo"]["spread_over_seeds"] == pytest.approx(by_seed.std(), abs=1e-6)
    assert rows["first_ppo"]["share"] == pytest.approx(by_seed[1], abs=1e-6)
    assert rows["idle"]["share"] == 0.0
    assert "known of load and sun: every hour as it was the day before, this one too" in out


@pytest.mark.usefixtures("_undrawn")
def test_a_plan_on_a_perfect_forecast_comes_near_the_optimum(capsys: pytest.CaptureFixture[str]) -> None:
    shares = {}
    for forecast in ("yesterday", "perfect"):
        given = ("--homes", "2,4", "--kinds", "mpc,self_consumption", "--forecast", forecast, "--out", forecast)
        out = said_of(capsys, *DAYS, *given)
        shares[forecast] = {row["controller"]: row["share"] for row in found_in(forecast)["results"]}
    assert "known of load and sun: the coming day as it will be, which nobody knows: a bound" in out
    assert shares["perfect"]["mpc"] > 0.98 > shares["yesterday"]["mpc"]
    assert shares["perfect"]["self_consumption"] == shares["yesterday"]["self_consumption"]


@pytest.mark.usefixtures("_undrawn")
def test_all_controllers_take_part_and_foresight_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    days = ("--first", "2017-07-01", "--last", "2017-07-02")
    out = said_of(capsys, *days, "--homes", "1")
    folder = out.splitlines()[-1]
    assert folder.startswith("results/evaluations/ess_")
    rows = {row["controller"]: row for row in found_in(folder)["results"]}
    assert set(rows) == set(CONTROLLERS.names)
    assert "as they will be" in rows["perfect_foresight"]["knew"]
    assert "knows the coming day as it will be: perfect_foresight" in out
    assert all(row["interval_over_homes"] is None for row in rows.values())
    assert said_of(capsys, *days, "--homes", "1", "-q").splitlines() == [folder]


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize(
    ("days", "met", "warning"),
    [
        (("2017-04-29", "2017-05-02"), ["train"], "warning: ppo learned from some of these days"),
        (("2017-05-01", "2017-05-02"), ["validation"], "warning: ppo was chosen on some of these days"),
        (("2017-06-15", "2017-06-17"), ["validation"], "warning: ppo was chosen on some of these days"),
        (("2017-06-16", "2017-06-17"), [], None),
    ],
)
def test_days_that_a_policy_has_met_are_told(
    capsys: pytest.CaptureFixture[str], days: tuple[str, str], met: list[str], warning: str | None
) -> None:
    """The splits: train to 2017-04-30, validation to 2017-06-15, test from then on."""
    options = ("--first", days[0], "--last", days[1], "--homes", "1", "--kinds", "ppo,idle", "--out", "out")
    out = said_of(capsys, *options)
    assert {row["controller"]: row["met_before"] for row in found_in("out")["results"]} == {"ppo": met, "idle": []}
    assert (warning in out) if warning else ("warning" not in out)
    assert ("**ppo" in Path("out/summary.md").read_text(encoding="utf-8")) is bool(met)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kinds", "ppoo"], "unknown storage controller 'ppoo'"),
        (["--kinds", "ppo,ppo"], "controllers must be named once each; got ppo, ppo"),
        (["--split", "train"], "Invalid value for '--split'"),
        (["--split", "test", *DAYS], "--split: not with --first and --last, which name the days"),
        (["--first", "2017-07-01"], "a trial needs its first and its last day, or neither"),
        (["--first", "July", "--last", "2017-07-02"], "--first July: expected a day such as 2017-07-01"),
        (["--first", "2017-07-02", "--last", "2017-07-01"], "the last day, 2017-07-01, must lie after the first"),
        (["--first", "2017-07-30", "--last", "2017-08-02"], "days may lie from 2016-08-08 to 2017-07-31"),
        (["--first", "2016-08-03", "--last", "2016-08-12"], "days may lie from 2016-08-08 to 2017-07-31"),
        (["--homes", "99"], "unknown home 'home_99'"),
        (["--source", "fontanna"], "did you mean 'fontana'?"),
        (["--prices", "mars"], "unknown price source 'mars'"),
        (["--policies", "nowhere"], "nowhere: there is no trained storage policy in this folder"),
        (["--policies", "one,two"], "two policies ppo have seed 0; name the folders apart"),
        (["--out", "full"], "full holds something else than an evaluation"),
    ],
)
def test_mistakes_are_told(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    for folder in ("one", "two", "full"):
        Path(folder).mkdir()
        for name in ("ess_ppo.json", "ess_ppo.safetensors"):
            shutil.copy(PRETRAINED / name, folder)
    assert message in said_of(capsys, *arguments, status=2)
    assert not Path("results").exists()
