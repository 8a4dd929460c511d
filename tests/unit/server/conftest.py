"""A client of a server over two made-up runs and a failed one."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.run_tables import STAMP, run_data, write_run
from vpp_sim.runs.folder import RunFolder
from vpp_sim.server.app import create_app

with warnings.catch_warnings():  # starlette asks for httpx2, httpx does as well
    warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient` is deprecated")
    from fastapi.testclient import TestClient

LOCAL = "http://127.0.0.1:8000"
EVIL = "<script>alert('x')</script>"


def write_failed(results: Path, error: str) -> RunFolder:
    """Write the folder of a run that failed before its first table was complete."""
    with pytest.raises(ValueError, match="alert"), RunFolder.create(results, "broken", "f" * 64, STAMP) as writer:
        raise ValueError(error)
    return writer.folder


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "results"
    write_run(folder)
    write_run(folder, run_data(days=2, homes=3, seed=2), digest="b" * 64, started="2026-01-03T00:00:00Z")
    write_failed(folder, EVIL)
    (folder.parent / "secret.txt").write_text("a secret")
    return folder


@pytest.fixture(scope="session")
def client(results: Path) -> Iterator[Any]:
    with TestClient(create_app(results), base_url=LOCAL) as made:
        yield made


@pytest.fixture
def new_client(tmp_path: Path) -> Any:
    """Return a client over an empty folder of results, ``tmp_path``."""
    return TestClient(create_app(tmp_path), base_url=LOCAL, raise_server_exceptions=False)
