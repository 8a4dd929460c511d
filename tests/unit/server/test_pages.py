"""Pages, figures and reports: drawn once, escaped, and without anything from elsewhere."""

import re
from pathlib import Path

import pytest

from tests.support.run_tables import DIGEST, write_run
from vpp_sim.figures.gallery import FIGURES
from vpp_sim.runs.catalogue import Catalogue
from vpp_sim.runs.folder import RunFolder
from vpp_sim.runs.kpis import kpi_rows

FIRST = f"{DIGEST[:12]}-20260102T030405Z"
PNG = b"\x89PNG\r\n\x1a\n"


def test_a_figure_is_drawn_and_nothing_is_written(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST}/figures/grid.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(PNG)
    assert not (results / "made_up" / FIRST / "figures" / "grid.png").exists()


def test_a_figure_that_is_there_is_served_if_it_is_whole(new_client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_run(tmp_path)
    file = folder.path / "figures" / "settlement.png"
    file.parent.mkdir()
    whole = PNG + b"kept IEND\xaeB`\x82"
    file.write_bytes(whole)
    address = f"/api/runs/{folder.run_id}/figures/settlement.png"
    assert new_client.get(address).content == whole
    file.write_bytes(whole[:-4])
    assert len(new_client.get(address).content) > 1000


def test_an_unknown_figure_is_answered_with_the_nearest(client) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(f"/api/runs/{FIRST}/figures/overviev.png")
    assert (answer.status_code, answer.json()["title"], answer.json()["hint"]) == (404, "unknown figure", "overview")
    assert "settlement" in answer.json()["allowed"]
    assert client.get(f"/api/runs/{FIRST}/figures/grid.svg").status_code == 404


def test_a_missing_report_is_written_once(new_client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_run(tmp_path, information={"who": "<img src=x onerror=alert(1)>"})
    (folder.path / "figures").mkdir()
    for name in FIGURES:  # those that are there are not drawn again
        (folder.path / "figures" / f"{name}.png").write_bytes(PNG)
    answer = new_client.get(f"/api/runs/{folder.run_id}/report")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.content == (folder.path / "report.html").read_bytes()
    assert "<img src=x" not in answer.text
    assert "&lt;img src=x" in answer.text
    (folder.path / "report.html").write_text("<p>mine</p></html>\n")
    assert new_client.get(f"/api/runs/{folder.run_id}/report").text == "<p>mine</p></html>\n"


def test_index_shows_runs_with_their_kpis(client, results: Path) -> None:  # type: ignore[no-untyped-def]
    page = client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f'<a href="/api/runs/{FIRST}/report">report</a>' in page.text
    label, vpp, _, difference, _ = kpi_rows(RunFolder.open(results / "made_up" / FIRST).kpis())[0]
    assert label.replace("'", "&#39;") in page.text
    assert f"<td>{vpp}<small>{difference}</small></td>" in page.text
    assert "1 to 3 of 3, newest first" in page.text


def test_index_escapes_what_a_run_says(client) -> None:  # type: ignore[no-untyped-def]
    page = client.get("/").text
    assert "<script" not in page
    assert "failed: ValueError: &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


def test_index_escapes_labels_and_folder_names(new_client, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = write_run(tmp_path)
    odd = RunFolder.open(folder.path.rename(folder.path.with_name('"><b>&?#')))
    Catalogue(tmp_path).add(odd, {"ess.kind": "<i>ppo</i>", "chain": None})
    page = new_client.get("/").text
    assert "<b>" not in page
    assert "<i>" not in page
    assert "ess.kind = &lt;i&gt;ppo&lt;/i&gt;, chain = null" in page
    (address,) = re.findall(r'href="([^"]*)/report"', page)
    assert new_client.get(address).json()["run"]["run_id"] == '"><b>&?#'


def test_pages_load_nothing_from_elsewhere(client) -> None:  # type: ignore[no-untyped-def]
    page = client.get("/").text
    addresses = re.findall(r'(?:href|src|action)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith("/") and not address.startswith("//") for address in addresses)
    assert not re.search(r"url\(|@import|http", page)
    assert client.get("/docs").status_code == 404


def test_index_without_runs(new_client) -> None:  # type: ignore[no-untyped-def]
    assert "There are no runs yet." in new_client.get("/").text


def test_index_turns_its_pages(client, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("vpp_sim.server.pages.ROWS", 2)
    first, second = client.get("/").text, client.get("/?offset=2").text
    assert '<a href="/?offset=2">older runs</a>' in first
    assert "newer runs" not in first
    assert '<a href="/?offset=0">newer runs</a>' in second
    assert "3 to 3 of 3" in second
    assert "There are only 3 runs" in client.get("/?offset=9").text
