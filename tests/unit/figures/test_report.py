"""The report is one safe, self-contained file, and its sentences are computed."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.run_tables import SCENARIO, run_data, write_run
from vpp_sim.figures import report
from vpp_sim.figures.gallery import CAPTIONS, FIGURES
from vpp_sim.figures.headline import headline
from vpp_sim.figures.report import write_report
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.kpis import KPIS


@pytest.fixture(scope="module")
def run():
    return run_data(homes=3, days=2)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory) -> RunFolder:
    return write_run(tmp_path_factory.mktemp("results"), run)


@pytest.fixture(scope="module")
def page(folder: RunFolder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def test_page_loads_nothing_from_elsewhere(page: str) -> None:
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:image/png;base64,)", page)
    assert not re.findall(r"https?://|@import|url\(|<script", page)
    assert "default-src 'none'" in page


def test_page_has_every_part(page: str, run) -> None:
    for kpi in KPIS:
        assert kpi.label.replace("'", "&#39;") in page, kpi.name
    for name in FIGURES:
        assert f'<figure id="{name}"><img src="data:image/png;base64,iVBOR' in page
    for part in ("homes/home_3", "gaps filled", "orders unmatched", "acts after this step&#39;s meter", "transformer"):
        assert part in page, part
    for sentence in headline(run):
        assert sentence.replace("'", "&#39;").replace("+", "&#43;") in page.replace("+", "&#43;")
    assert "Homes that were made up for tests." in page
    facts = "3 July 2017 00:00 to 5 July 2017 00:00 (America/Los_Angeles), 48 steps of 60 min"
    assert f"<strong>3 homes, 2 days</strong>: {facts}" in page


def test_figures_are_drawn_once_and_then_reused(folder: RunFolder, page: str) -> None:
    names = {path.stem for path in (folder.path / "figures").iterdir()}
    assert names == set(FIGURES)
    stamps = {path: path.stat().st_mtime_ns for path in (folder.path / "figures").iterdir()}
    assert write_report(folder).read_text(encoding="utf-8") == page
    assert {path: path.stat().st_mtime_ns for path in (folder.path / "figures").iterdir()} == stamps


def test_hostile_text_is_escaped(folder: RunFolder, run, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    hostile = write_run(
        tmp_path, run, name=evil, counts={evil: 1}, information={evil: f'"{evil}'}, model_cards={"demand": {evil: evil}}
    )
    (hostile.path / "scenario.yaml").write_text(f"{SCENARIO}# {evil}\n".replace("Homes that", evil), encoding="utf-8")
    (hostile.path / "figures").symlink_to(folder.path / "figures")
    text = write_report(hostile).read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 8


def test_long_bills_are_cut_and_said_so(folder: RunFolder, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_BILL_ROWS", 2)
    text = write_report(folder).read_text(encoding="utf-8")
    assert "<td>homes/home_2</td>" in text
    assert "<td>homes/home_3</td>" not in text
    assert "The bills of 1 more homes are in <code>bills.parquet</code>" in text


def test_headline_says_who_paid_and_who_gained(run) -> None:
    bills = run.bills.assign(
        saving_eur=[2.0, 0.001, -1.25], total_eur=[1.0, 2.0, 3.0], default_bill_eur=[1.0, 1.9, 3.0]
    )
    sentences = headline(replace(run, bills=bills))
    assert sentences[0].startswith(f"The 3 homes paid {run.vpp.homes_eur():,.2f} EUR together.")
    operator = [-tables.ledger.query("account == 'grid_operator'")["amount_micro_eur"].sum() / 1e6 for tables in
                (run.vpp, run.counterfactual)]  # fmt: skip
    change = operator[0] - operator[1]
    received = f"{abs(change):,.2f} EUR {'more' if change > 0 else 'less'}"
    outside = [tables.ledger.query("account == 'wholesale'")["amount_micro_eur"].sum() / 1e6 for tables in
               (run.vpp, run.counterfactual)]  # fmt: skip
    gain = outside[0] - outside[1]  # the wholesale market's account is what all others paid it, negated
    assert abs(gain) > 0.1
    assert sentences[1].endswith(
        f"; the grid operator received {received}. All three together are {abs(gain):,.2f} EUR "
        f"{'better' if gain > 0 else 'worse'} off."
    )
    assert sentences[2] == (
        "1 homes gained and 1 lost, from +2.00 EUR (home 1) to -1.25 EUR (home 3). 1 home paid more than the "
        "default tariff would have charged for the same metered energy."
    )


@pytest.mark.parametrize(
    ("saved", "sentence"),
    [
        ([2.0, 0.5, -1.25], "home 1 (+2.00 EUR) saves most; home 3 (-1.25 EUR) does worst."),
        ([2.0, 0.5, 0.25], "Every home saves, most of all home 1 (+2.00 EUR), least home 3 (+0.25 EUR)."),
        ([-2.0, 0.0, -1.0], "No home saves; worst off is home 1 (-2.00 EUR)."),
        ([0.001, 0.0, -0.001], "No home saves."),
    ],
)
def test_caption_of_the_bills(run, saved: list[float], sentence: str) -> None:
    assert CAPTIONS["bills"](replace(run, bills=run.bills.assign(saving_eur=saved))) == sentence


def test_headline_says_whether_the_grid_held(run) -> None:
    calm = {
        "net_kw": 5.0,
        "loss_kw": 0.0,
        "v_min_pu": 0.97,
        "v_max_pu": 1.02,
        "transformer_loading": 0.5,
        "line_loading": 0.4,
    }
    hot = calm | {"v_min_pu": 0.88, "transformer_loading": 1.2}
    cases = {
        (0, 0): "The grid held: the lowest voltage was 0.970 p.u., the transformer reached 50 % of its rating.",
        (1, 0): "The grid did not hold: a voltage left the band of plus or minus 10 % in 48 steps, and the transformer "
        "reached 120 % of its rating; without the VPP it would have held.",
        (0, 1): "The grid held: the lowest voltage was 0.970 p.u., the transformer reached 50 % of its rating. Without "
        "the VPP it would not: a voltage left the band of plus or minus 10 % in 48 steps, and the transformer reached "
        "120 % of its rating.",
    }
    for (ours, theirs), sentence in cases.items():
        vpp = replace(run.vpp, timeseries=run.vpp.timeseries.assign(**(hot if ours else calm)))
        other = replace(
            run.counterfactual, timeseries=run.counterfactual.timeseries.assign(**(hot if theirs else calm))
        )
        assert headline(replace(run, vpp=vpp, counterfactual=other))[3] == sentence


@pytest.mark.parametrize(
    ("ours_kw", "theirs_kw", "sentence"),
    [
        (12.5, 10.0, " The feeder's peak rose from 10.0 to 12.5 kW (+25.0 %)."),
        (9.0, 10.0, " The feeder's peak fell from 10.0 to 9.0 kW (-10.0 %)."),
        (10.1, 10.0, ""),
        (10.0, 0.0, " The feeder's peak rose from 0.0 to 10.0 kW."),
    ],
)
def test_headline_says_how_the_peak_changed(run, ours_kw: float, theirs_kw: float, sentence: str) -> None:
    calm = {"v_min_pu": 0.97, "v_max_pu": 1.02, "transformer_loading": 0.5, "line_loading": 0.4, "loss_kw": 0.0}
    ours, theirs = (
        replace(tables, timeseries=tables.timeseries.assign(**calm, net_kw=peak))
        for tables, peak in ((run.vpp, ours_kw), (run.counterfactual, theirs_kw))
    )
    said = headline(replace(run, vpp=ours, counterfactual=theirs))[3]
    assert said.endswith("50 % of its rating." + sentence)


def test_headline_says_that_the_promise_was_kept(run) -> None:
    kept = headline(replace(run, bills=run.bills.assign(total_eur=1.0, default_bill_eur=1.0)))[2]
    assert kept.endswith(" No home paid more than the default tariff would have charged for the same metered energy.")


def test_figures_without_anything_to_draw_are_left_out_and_said_so(run, tmp_path: Path) -> None:
    bare = replace(run, vpp=replace(run.vpp, battery_capacity_kwh=0.0, chain=run.counterfactual.chain))
    bare = replace(bare, vpp=replace(bare.vpp, prices=run.vpp.prices.iloc[:0]))
    text = write_report(write_run(tmp_path, bare)).read_text(encoding="utf-8")
    for name, why in {
        "storage": "There is no figure of storage: no home has a battery with any capacity.",
        "price_parts": "There is no figure of what moved the prices: this run did not take them apart.",
        "settlement": "There is no figure of settlement: nothing was settled on chain in this run.",
    }.items():
        assert f'<figure id="{name}">' not in text
        assert why in text
    assert text.count("<figure id=") == len(FIGURES) - 3


def test_page_names_what_the_counterfactual_is_made_of(folder: RunFolder, run, page: str, tmp_path: Path) -> None:
    assert "without trades and chain. Differences" in page  # a scenario that does not say
    named = write_run(tmp_path, run)
    section = "counterfactual: {battery: idle, demand_response: elastic, forecaster: persistence}\n"
    (named.path / "scenario.yaml").write_text(SCENARIO + section, encoding="utf-8")
    (named.path / "figures").symlink_to(folder.path / "figures")
    assert (
        "By the scenario&#39;s section &#34;counterfactual&#34;: batteries run by idle, demand response elastic, "
        "retailer&#39;s forecasts of load and sun by persistence. Differences"
    ) in write_report(named).read_text(encoding="utf-8")


def test_page_groups_counts_and_labels_wall_times(folder: RunFolder, run, tmp_path: Path) -> None:
    counted = write_run(
        tmp_path, run, counts={"fontana: gaps_filled": 2, "orders": 31, "counterfactual: orders": 0},
        wall_s={"METER": 0.5, "FLOW": 1.5, "retail price solver": 0.25, "whole": 5.0, "counterfactual": 3.0,
                "both and summary": 9.0},
    )  # fmt: skip
    (counted.path / "figures").symlink_to(folder.path / "figures")
    text = write_report(counted).read_text(encoding="utf-8")
    parts = re.findall(r"<h3>(.*?)</h3>|<dt>(fontana: gaps filled|orders)</dt><dd>(\d+)</dd>", text)
    assert parts == [
        ("data repairs", "", ""), ("", "fontana: gaps filled", "2"), ("run", "", ""), ("", "orders", "31"),
        ("counterfactual", "", ""), ("", "orders", "0"),
    ]  # fmt: skip
    assert re.findall(r"<dt>wall time: (.*?)</dt><dd>(.*?)</dd>", text) == [
        ("phases of a tick, with VPP", "2.00 s: FLOW 1.50, METER 0.50"),
        ("in them: retail price solver", "0.25 s"),
        ("set-up, chain and other, with VPP", "3.00 s"),
        ("whole run with VPP", "5.00 s"),
        ("whole counterfactual", "3.00 s"),
        ("both, with bills and KPIs", "9.00 s"),
    ]
    assert "<dt>started (UTC)</dt><dd>2026-01-02T03:04:05Z</dd>" in text


def test_caption_of_the_settlement_speaks_of_means(run) -> None:
    chain = run.vpp.chain.assign(gas_used=100_000, accounts=[4, 7] * (len(run.vpp.chain) // 2))
    said = CAPTIONS["settlement"](replace(run, vpp=replace(run.vpp, chain=chain)))
    assert said.startswith("On average, a period is final ")
    assert " s after its end, at the latest 60 s, " in said
    assert said.endswith(", and settling it takes 100,000 gas (EUR 0.40) for 5.5 accounts.")


RECORD = {
    "series": "load", "scope": "homes", "forecaster": "persistence_ensemble", "days": 2, "mae_kw": 0.61234,
    "bias_kw": -0.25, "persistence_mae_kw": 0.75, "ratio_to_persistence": 0.8164, "wql": 0.2, "coverage_80": 0.777,
    "error_to_reference": None, "reference": "first 21 days", "alarms": 2, "first_alarm_day": 3,
}  # fmt: skip


def test_page_says_how_the_forecasts_did(folder: RunFolder, run, page: str, tmp_path: Path) -> None:
    assert "How the forecasts did" not in page  # a run that does not say
    fleet = RECORD | {"scope": "fleet", "mae_kw": 4.0, "persistence_mae_kw": 0.0, "ratio_to_persistence": None}
    fleet |= {"coverage_80": None, "error_to_reference": 1.234, "alarms": 0, "first_alarm_day": None}
    told = write_run(tmp_path, run, forecasts=[RECORD, fleet])
    (told.path / "figures").symlink_to(folder.path / "figures")
    text = write_report(told).read_text(encoding="utf-8")
    section = text[text.index("<h2>How the forecasts did</h2>") : text.index("<h2>Bills</h2>")]
    assert [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(<td>.*?)</tr>", section)] == [
        ["load, a home", "persistence ensemble", "0.612", "0.750", "0.82", "-0.250", "78 %", "–", "2, first on day 4"],
        ["load, fleet", "persistence ensemble", "4.00", "0.00", "–", "-0.25", "–", "1.23", "none"],
    ]


def test_page_shows_what_made_a_model_and_not_all_its_measures(folder: RunFolder, run, tmp_path: Path) -> None:
    card = {"kind": "lstm", "splits": {"test": ["2017-06-16", "2017-07-31"]}, "metrics": {"test": {"mae": 0.123456}},
            "weights_sha256": "ab12"}  # fmt: skip
    told = write_run(tmp_path, run, model_cards={"demand": card})
    (told.path / "figures").symlink_to(folder.path / "figures")
    text = write_report(told).read_text(encoding="utf-8")
    assert "<dd>kind: lstm; test: 2017-06-16 to 2017-07-31; weights sha256: ab12</dd>" in text
    assert "0.123456" not in text
