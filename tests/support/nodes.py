"""Real Ethereum nodes from npm for slow tests: installed once into a cache folder, started on loopback, and stopped."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import pytest

PACKAGES = {"anvil": "@foundry-rs/anvil@1.7.1", "ganache": "ganache@7.9.2"}
START_S = 60.0


def installed(node: str) -> Path:
    """Return the program of a node, installing it by npm the first time; skip where there is no Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not installed")
    cache = Path(os.environ.get("VPP_SIM_TEST_NODES", Path.home() / ".cache" / "vpp_sim_test_nodes"))
    program = cache / "node_modules" / ".bin" / node
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(cache), PACKAGES[node]]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return program


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(node: str, port: int, genesis_timestamp_s: int, *options: str) -> list[str]:
    """Return the command that starts a node whose clock begins at `genesis_timestamp_s`."""
    program = str(installed(node))
    if node == "anvil":
        return [program, "--port", str(port), "--accounts", "1", "--timestamp", str(genesis_timestamp_s), *options]
    born = datetime.fromtimestamp(genesis_timestamp_s, UTC).isoformat()
    wallet = ["--wallet.deterministic", "--wallet.totalAccounts", "1"]
    return [program, "--server.port", str(port), "--chain.time", born, *wallet, *options]


@contextmanager
def running(node: str, genesis_timestamp_s: int, *options: str) -> Iterator[str]:
    """Run a node on loopback and yield its address."""
    port = free_port()
    process = subprocess.Popen(
        command(node, port, genesis_timestamp_s, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up_s = monotonic() + START_S
    while monotonic() < give_up_s:
        assert process.poll() is None, f"the node ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            sleep(0.05)
        else:
            return
    raise AssertionError(f"no node on port {port} after {START_S} s")
