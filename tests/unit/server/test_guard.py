"""Who is answered, and with which headers."""

from pathlib import Path

import pytest

from vpp_sim.errors import UserError
from vpp_sim.server.app import create_app
from vpp_sim.server.serving import allowed_hosts, serve

PROBLEM = "application/problem+json"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[::2]:80"])
@pytest.mark.parametrize("address", ["/", "/api/runs"])
def test_foreign_host_names_are_refused(client, host: str, address: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.get(address, headers={"host": host})
    assert (answer.status_code, answer.headers["content-type"], answer.json()["title"]) == (
        421,
        PROBLEM,
        "foreign host",
    )


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "127.0.0.1:1", "[::1]:8000"])
def test_names_of_this_machine_are_answered(client, host: str) -> None:  # type: ignore[no-untyped-def]
    assert client.get("/api/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("address", ["/", "/api/runs", "/api/runs/x", "/nowhere"])
def test_every_answer_is_guarded(client, address: str) -> None:  # type: ignore[no-untyped-def]
    headers = client.get(address, headers={"origin": "http://evil.example"}).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; img-src 'self' data:;")
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("method", "address", "status", "title"),
    [("GET", "/nowhere", 404, "not found"), ("DELETE", "/api/runs", 405, "method not allowed")],
)
def test_wrong_addresses_are_problems(client, method: str, address: str, status: int, title: str) -> None:  # type: ignore[no-untyped-def]
    answer = client.request(method, address)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["title"]) == (status, PROBLEM, title)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "vpp.example"])
def test_a_server_that_others_reach_answers_to_all_names(host: str) -> None:
    assert allowed_hosts(host) is None


def test_a_server_on_a_loopback_address_answers_to_it() -> None:
    assert allowed_hosts("127.0.0.2") == {"127.0.0.1", "127.0.0.2", "::1", "localhost"}


def test_results_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing: there is no such folder of runs"):
        create_app(tmp_path / "missing")


def test_an_address_of_nobody_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot serve at 192\.0\.2\.1, port 1: "):  # RFC 5737: never assigned
        serve(tmp_path, host="192.0.2.1", port=1, on_ready=pytest.fail)


def test_the_interface_is_described(client) -> None:  # type: ignore[no-untyped-def]
    paths = client.get("/api/openapi.json").json()["paths"]
    assert sorted(paths) == [
        "/api/compare", "/api/runs", "/api/runs/{run_id}", "/api/runs/{run_id}/figures/{name}.png",
        "/api/runs/{run_id}/kpis", "/api/runs/{run_id}/report", "/api/runs/{run_id}/tables/{table}", "/api/schema",
        "/api/validate",
    ]  # fmt: skip
