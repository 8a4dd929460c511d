"""Runs over HTTP: what is listed, what is read, and what is answered to a mistake."""

import json
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.support.run_tables import DIGEST, ZONE, run_data, write_run
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.kpis import KPIS

FIRST, SECOND, FAILED = (f"{digest[:12]}-20260102T030405Z" for digest in (DIGEST, "b" * 64, "f" * 64))
PROBLEM = "application/problem+json"


def ids(answer) -> list[str]:  # type: ignore[no-untyped-def]
    return [run["run_id"] for run in answer.json()["runs"]]


def test_runs_are_listed_newest_first(client) -> None:  # type: ignore[no-untyped-def]
    answer = client.get("/api/runs")
    assert answer.status_code == 200
    assert ids(answer)[0] == SECOND
    assert sorted(ids(answer)) == [FIRST, SECOND, FAILED]
    assert (answer.json()["total"], answer.json()["limit"], answer.json()["offset"]) == (3, 100, 0)
    newest = answer.json()["runs"][0]
    assert (newest["name"], newest["status"], newest["seed"]) == ("made_up", "complete", 7)
    assert newest["kpis"]["homes_bill_eur"]["unit"] == "EUR"
    assert "losses_kwh" not in newest["kpis"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=made_up", [SECOND, FIRST]),
        ("name=nobody", []),
        ("status=failed", [FAILED]),
        ("status=complete&name=made_up", [SECOND, FIRST]),
        ("limit=1", [SECOND]),
        ("name=made_up&limit=1&offset=1", [FIRST]),
        ("offset=3", []),
    ],
)
def test_runs_are_filtered(client, query: str, expected: list[str]) -> None:  # type: ignore[no-untyped-def]
    assert ids(client.get(f"/api/runs?{query}")) == expected


def test_total_counts_what_the_limit_left_out(client) -> None:  # type: ignore[no-untyped-def]
    assert client.get("/api/runs?name=made_up&limit=1").json()["total"] == 2


def test_detail_holds_manifest_and_scenario(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    detail = client.get(f"/api/runs/{FIRST}").json()
    folder = RunFolder.open(results / "made_up" / FIRST)
    assert detail["manifest"] == json.loads((folder.path / "manifest.json").read_text())
    assert detail["scenario_yaml"] == folder.scenario_yaml()
    assert detail["tables"] == [
        "timeseries",
        "prosumers",
        "batteries",
        "trades",
        "prices",
        "forecasts",
        "ledger",
        "chain",
        "bills",
    ]
    assert "chain" not in detail["counterfactual_tables"]
    assert "overview" in detail["figures"]


def test_latest_is_the_newest(client) -> None:  # type: ignore[no-untyped-def]
    assert client.get("/api/runs/latest").json()["run"]["run_id"] == SECOND


def test_a_failed_run_says_why(client) -> None:  # type: ignore[no-untyped-def]
    detail = client.get(f"/api/runs/{FAILED}").json()
    assert detail["run"]["status"] == "failed"
    assert "alert" in detail["manifest"]["error"]
    assert (detail["scenario_yaml"], detail["tables"], detail["figures"]) == ("", [], [])


@pytest.mark.parametrize("part", ["kpis", "report", "figures/overview.png"])
def test_a_failed_run_has_no_results(client, part: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FAILED}/{part}")
    assert (answer.status_code, answer.json()["title"]) == (404, "failed run")
    assert answer.json()["detail"].startswith(f"run {FAILED} failed and has no results: ValueError: ")


def test_kpis_are_those_of_the_folder(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST}/kpis")
    assert answer.json() == json.loads((results / "made_up" / FIRST / "kpis.json").read_text())
    assert list(answer.json()) == [kpi.name for kpi in KPIS]


def test_an_unknown_run_is_answered_with_the_nearest(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST[:-1]}/kpis")
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    body = answer.json()
    assert body == {
        "type": "urn:vpp-sim:problem:unknown-run", "title": "unknown run", "status": 404, "hint": FIRST,
        "detail": f"there is no run '{FIRST[:-1]}' among 3; did you mean '{FIRST}'?", "error": "RequestError",
    }  # fmt: skip
    assert str(results) not in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "/api/runs/..",
        "/api/runs/../secret.txt",
        "/api/runs/%2e%2e",
        "/api/runs/..%2f..%2fsecret.txt",
        "/api/runs/%2e%2e%2fsecret.txt/report",
        "/api/runs/made_up%2f{first}",
        "/api/runs/{results}/made_up/{first}",
        "/api/runs/%2fetc/kpis",
        "/api/runs/%00",
        "/api/runs/{first}%00/kpis",
        "/api/runs/{first}/tables/..%2fbills",
        "/api/runs/{first}/tables/%2e%2e",
        "/api/runs/{first}/tables/counterfactual%2fbills",
        "/api/runs/{first}/tables/../../../secret.txt",
        "/api/runs/{first}/tables/..%5c..%5cbills",
        "/api/runs/{first}/figures/..%2freport.png",
        "/api/runs/{first}/figures/%2e%2e%2f%2e%2e%2fsecret.png",
        "/api/runs/{first}/figures/overview%00.png",
        "/api/runs/{first}/manifest.json",
        "/secret.txt",
        "/..%2fsecret.txt",
    ],
)
def test_no_path_leads_out(client, results: Path, address: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(address.format(first=FIRST, results=str(results)))
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    assert "a secret" not in answer.text


@pytest.mark.parametrize("ids", ["../secret.txt", "/etc/passwd", "{results}/made_up/{first}", "made_up/{first}", "%00"])
def test_no_path_is_compared(client, results: Path, ids: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.get("/api/compare", params={"ids": ids.format(first=FIRST, results=results)})
    assert (answer.status_code, answer.json()["title"]) == (404, "unknown run")


def test_a_catalogued_run_that_was_deleted_is_unknown(new_client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_run(tmp_path)
    assert ids(new_client.get("/api/runs")) == [folder.run_id]
    folder.path.rename(tmp_path.parent / "elsewhere")
    assert new_client.get(f"/api/runs/{folder.run_id}").status_code == 404
    assert ids(new_client.get("/api/runs")) == []


def test_two_folders_of_one_id_are_ambiguous(new_client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = run_data(days=2)
    run_id = write_run(tmp_path, data).run_id
    write_run(tmp_path / "copies", data)
    answer = new_client.get(f"/api/runs/{run_id}")
    assert (answer.status_code, answer.json()["title"]) == (409, "ambiguous run")
    assert f"copies/made_up/{run_id}, made_up/{run_id}" in answer.json()["detail"]


def test_unfinished_and_damaged_folders_are_not_listed(new_client, tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    for name in ("a.partial", "damaged"):
        (tmp_path / "x" / name).mkdir(parents=True)
        (tmp_path / "x" / name / "manifest.json").write_text("{")
    assert ids(new_client.get("/api/runs")) == []
    assert ids(new_client.get("/api/runs")) == []
    assert [record.message.split(":")[0] for record in caplog.records if "vpp_sim" in record.name] == ["not listed"]


def test_damage_is_a_problem_without_the_servers_paths(new_client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_run(tmp_path)
    (folder.path / "bills.parquet").write_text("no Parquet")
    answer = new_client.get(f"/api/runs/{folder.run_id}/tables/bills")
    assert (answer.status_code, answer.json()["title"], answer.json()["error"]) == (500, "damaged run", "DataError")
    assert answer.json()["detail"].startswith(f"made_up/{folder.run_id}/bills.parquet: cannot be read as a table")
    assert str(tmp_path) not in answer.text


def test_a_defect_is_a_problem_that_tells_nothing(new_client, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    def broken(*_: object) -> None:
        raise ZeroDivisionError("inner workings")

    monkeypatch.setattr("vpp_sim.server.store.RunStore.list", broken)
    answer = new_client.get("/api/runs")
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert answer.json()["title"] == "internal error"
    assert "inner workings" not in answer.text


def test_comparison_holds_values_in_the_order_asked(client) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/compare?ids={SECOND},{FIRST}&kpis=homes_bill_eur,v_min_pu")
    body = answer.json()
    assert ids(answer) == [SECOND, FIRST]
    assert [kpi["name"] for kpi in body["kpis"]] == ["homes_bill_eur", "v_min_pu"]
    for run_id, value in zip((SECOND, FIRST), body["kpis"][0]["values"], strict=True):
        kpi = client.get(f"/api/runs/{run_id}/kpis").json()["homes_bill_eur"]
        assert value == {side: kpi[side] for side in ("vpp", "counterfactual", "difference")}
    repeated = client.get(f"/api/compare?ids={SECOND}&ids={FIRST}&ids={SECOND}&kpis=homes_bill_eur,v_min_pu")
    assert repeated.json() == body
    assert len(client.get(f"/api/compare?ids={FIRST}").json()["kpis"]) == len(KPIS)


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("", 422, "query.ids = None: Field required"),
        ("?ids=", 422, "expected 1 to 50 ids of runs, got 0"),
        ("?ids=" + ",".join(map(str, range(51))), 422, "expected 1 to 50 ids of runs, got 51"),
        (f"?ids={FAILED}", 404, f"run {FAILED} failed and has no results"),
        (f"?ids={FIRST}&kpis=homes_bil_eur", 422, "did you mean 'homes_bill_eur'?"),
    ],
)
def test_mistaken_comparison(client, query: str, status: int, detail: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/compare{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert detail in answer.json()["detail"]


def test_json_table_has_units_and_local_times(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST}/tables/timeseries?columns=time,load_kw,forecast_net_p50_kw&limit=30").json()
    frame = RunFolder.open(results / "made_up" / FIRST).table("timeseries").head(30)
    assert answer["columns"][1] == {"name": "load_kw", "unit": "kW", "description": "Load after demand response."}
    assert answer["values"]["load_kw"] == frame["load_kw"].tolist()
    assert answer["values"]["time"][0] == "2017-07-03T00:00:00-07:00"
    assert answer["values"]["forecast_net_p50_kw"][:25] == [None] * 24 + [frame["forecast_net_p50_kw"][24]]
    assert (answer["total_rows"], answer["offset"], answer["next_offset"]) == (48, 0, 30)


def test_parts_of_a_table_join_to_the_whole(client) -> None:  # type: ignore[no-untyped-def]
    address, offset, steps = f"/api/runs/{FIRST}/tables/prosumers?columns=step,home&limit=100", 0, []
    while offset is not None:
        part = client.get(f"{address}&offset={offset}").json()
        steps += part["values"]["step"]
        offset = part["next_offset"]
    assert steps == [step for step in range(48) for _ in range(6)]
    beyond = client.get(f"{address}&offset=1000000").json()
    assert (beyond["values"], beyond["next_offset"]) == ({"step": [], "home": []}, None)


def test_csv_holds_the_steps_asked_for(client) -> None:  # type: ignore[no-untyped-def]
    address = f"/api/runs/{FIRST}/tables/timeseries?format=csv&first_step=3&last_step=5&columns=step,time"
    answer = client.get(address)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="timeseries.csv"'
    assert answer.text == (
        '"step","time"\n3,"2017-07-03T03:00:00-07:00"\n4,"2017-07-03T04:00:00-07:00"\n5,"2017-07-03T05:00:00-07:00"\n'
    )
    assert (answer.headers["x-total-rows"], "x-next-offset" in answer.headers) == ("3", False)
    assert client.get(address + "&limit=1").headers["x-next-offset"] == "1"


def test_csv_leaves_nan_empty(client) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST}/tables/timeseries?format=csv&columns=step,forecast_net_p50_kw&limit=1")
    assert answer.text == '"step","forecast_net_p50_kw"\n0,\n'


def test_parquet_is_what_was_recorded(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST}/tables/timeseries?format=parquet&first_step=10&columns=time,load_kw")
    table = pq.read_table(BytesIO(answer.content))
    recorded = RunFolder.open(results / "made_up" / FIRST).table("timeseries")
    pd.testing.assert_frame_equal(table.to_pandas(), recorded.loc[10:, ["time", "load_kw"]].reset_index(drop=True))
    assert table.schema.field("load_kw").metadata[b"unit"] == b"kW"
    assert str(table.schema.field("time").type) == f"timestamp[ms, tz={ZONE}]"


def test_counterfactual_is_another_table(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    address = f"/api/runs/{FIRST}/tables/timeseries?columns=net_kw"
    theirs = client.get(f"{address}&counterfactual=true").json()["values"]["net_kw"]
    frame = RunFolder.open(results / "made_up" / FIRST).table("timeseries", counterfactual=True)
    assert theirs == frame["net_kw"].tolist()
    assert theirs != client.get(address).json()["values"]["net_kw"]


def test_settlement_periods_count_if_they_touch_a_step(client) -> None:  # type: ignore[no-untyped-def]
    address = f"/api/runs/{FIRST}/tables/chain?columns=period&first_step=4&last_step=6"
    assert client.get(address).json()["values"]["period"] == [4, 5, 6]


@pytest.mark.parametrize(
    ("rest", "status", "title", "detail"),
    [
        ("timeserie", 404, "unknown table", "did you mean 'timeseries'?"),
        ("chain?counterfactual=1", 404, "missing table", f"the counterfactual of run {FIRST} has no table chain"),
        ("bills?format=xlsx", 422, "invalid parameter", "query.format = xlsx: Input should be 'json', 'csv'"),
        ("bills?columns=home,total", 422, "unknown column of bills", "unknown column of bills 'total'"),
        ("bills?columns=total_eu", 422, "unknown column of bills", "did you mean 'total_eur'?"),
        ("bills?columns=home,home", 422, "repeated column", "expected each column once"),
        ("bills?first_step=1", 422, "table without steps", "the rows of bills belong to no step"),
        ("bills?limit=100001", 422, "invalid parameter", "less than or equal to 100000"),
        ("bills?limit=0", 422, "invalid parameter", "greater than or equal to 1"),
        ("bills?offset=-1", 422, "invalid parameter", "greater than or equal to 0"),
        ("ledger?first_step=99999999999", 422, "invalid parameter", "less than or equal to 2147483647"),
        ("ledger?last_step=noon", 422, "invalid parameter", "query.last_step = noon"),
        ("bills?counterfactual=perhaps", 422, "invalid parameter", "query.counterfactual = perhaps"),
    ],
)  # fmt: skip
def test_mistaken_table(client, rest: str, status: int, title: str, detail: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST}/tables/{rest}")
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert detail in answer.json()["detail"]
